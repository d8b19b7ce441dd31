"""API v2 in the words of its contract (docs/api.md); what it shares with v3 is in record.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onetime.errors import Unauthenticated
from onetime.web.api import record
from onetime.web.api.record import AUTH_MISSING, Dialect

if TYPE_CHECKING:
    from onetime.web.http import Answer, Call

WORDS = Dialect(custid=None, recipients="", has_metadata=True, says_success=True)


async def conceal(call: Call) -> Answer:
    return record.created(WORDS, await record.conceal(call))


async def generate(call: Call) -> Answer:
    return record.created(WORDS, await record.generate(call))


async def receipt(call: Call) -> Answer:
    return await record.receipt(call, WORDS)


async def burn(call: Call) -> Answer:
    return await record.burn(call, WORDS)


async def state(call: Call) -> Answer:
    record.refuse_credentials(call)
    return await record.state(call)


async def states(call: Call) -> Answer:
    record.refuse_credentials(call)
    return await record.states(call)


async def memo(call: Call) -> Answer:
    """Its owner alone may write on a receipt, and what is made without an account has none."""
    record.refuse_credentials(call)
    await call.app.vault.receipt(record.identifier(call))
    raise Unauthenticated("Not authorized to update this receipt")


async def needs_account(call: Call) -> Answer:
    """The routes that make sense for an account alone: recent and version."""
    record.refuse_credentials(call)
    raise Unauthenticated(AUTH_MISSING)


async def status(call: Call) -> Answer:
    return await record.service(call, WORDS)


async def locales(call: Call) -> Answer:
    return await record.locales(call, WORDS)
