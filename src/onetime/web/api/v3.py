"""API v3 in the words of its contract (docs/api.md); what it shares with v2 is in record.py.

Its routes outside /guest/ are for people who are signed in, and nobody is yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from onetime.errors import Forbidden, Invalid, NotFound, Unauthenticated
from onetime.web.api import gate, record, wish
from onetime.web.api.record import NO_SESSION, Dialect, ReceiptsAnswer
from onetime.web.http import json_answer

if TYPE_CHECKING:
    from onetime.web.http import Answer, Call

WORDS = Dialect(custid=UNSET, recipients=None, has_metadata=False, says_success=False)

MOST_RECEIPTS = 25


async def needs_session(call: Call) -> Answer:
    record.refuse_credentials(call)
    raise Unauthenticated(NO_SESSION)


async def conceal(call: Call) -> Answer:
    return record.created(WORDS, await record.conceal(call))


async def generate(call: Call) -> Answer:
    return record.created(WORDS, await record.generate(call))


async def receipt(call: Call) -> Answer:
    return await record.receipt(call, WORDS)


async def receipts(call: Call) -> Answer:
    """Those that are there, in the order of the question."""
    gate.check(call, "receipt")
    keys = record.identifiers(await call.parameters(), most=MOST_RECEIPTS)
    records = []
    for key in keys:
        try:
            found = await call.app.vault.receipt(key)
        except NotFound:
            continue
        records.append(record.receipt_record(WORDS, found))
    return json_answer(ReceiptsAnswer(records, len(records)))


async def burn(call: Call) -> Answer:
    return await record.burn(call, WORDS)


async def feedback(call: Call) -> Answer:
    """Refused as long as it can reach nobody: what is taken in must not be lost."""
    if not wish.text(await call.parameters(), "msg").strip():
        raise Invalid("msg", "You can be more original than that!", rule="empty")
    contact = call.app.settings.operator_contact.removeprefix("mailto:")
    instead = f"Please write to {contact}" if contact else "Please ask who gave you the address"
    raise Forbidden(f"Feedback reaches nobody here: this service sends no mail. {instead}")


async def status(call: Call) -> Answer:
    return await record.service(call, WORDS)


async def locales(call: Call) -> Answer:
    return await record.locales(call, WORDS)
