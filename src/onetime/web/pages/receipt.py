"""What the sender keeps: the fate of a secret, and the way to destroy it unread."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from onetime.core.limits import PASSPHRASE_TOTAL
from onetime.errors import NotFound
from onetime.model import State
from onetime.web.http import redirect
from onetime.web.pages import static
from onetime.web.render import address, render

if TYPE_CHECKING:
    from onetime.model import Receipt
    from onetime.web.http import Answer, Call


async def envelope(call: Call) -> Answer:
    """The page of the receipt of every secret that was encrypted by its sender."""
    return static.packed(call, render(call, "receipt/envelope.html"))


async def show(call: Call) -> Answer:
    try:
        receipt = await call.app.vault.receipt(call.values["key"])
    except NotFound:
        return _gone(call)
    return page(call, receipt)


async def burn(call: Call) -> Answer:
    """Without the form's own field nothing is done: a program that repeats an address destroys nothing."""
    key = call.values["key"]
    given = await call.form()
    too_late = False
    if given.text("burn") == "yes":
        try:
            await call.app.vault.burn_by_receipt(key, caller=call.caller)
        except NotFound:
            too_late = True
    try:
        receipt = await call.app.vault.receipt(key)
    except NotFound:
        return _gone(call, switch=f"/receipt/{quote(key, safe='')}")
    if too_late and receipt.state is State.REVEALED:
        return page(call, receipt, too_late=True)
    return redirect(address(call, f"/receipt/{receipt.receipt_key}"))


async def earlier_address(call: Call) -> Answer:
    """What older links to a receipt say, in the words of the reference: /private and /metadata."""
    return redirect(address(call, f"/receipt/{quote(call.values['key'], safe='')}"), status=301)


async def burn_at_earlier_address(call: Call) -> Answer:
    key = quote(call.values["key"], safe="")
    return redirect(address(call, f"/receipt/{key}/burn"), status=308)


def page(
    call: Call, receipt: Receipt, *, too_late: bool = False, switch: str | None = ""
) -> Answer:
    """It shows no link to the secret: a sender must not be able to confuse the two."""
    here = f"/receipt/{receipt.receipt_key}"
    return render(
        call,
        "receipt/show.html",
        status=409 if too_late else 200,
        switch=here if too_late else switch,
        closed=receipt.wrong_tries >= PASSPHRASE_TOTAL,
        here=here,
        receipt=receipt,
        too_late=too_late,
    )


def _gone(call: Call, switch: str = "") -> Answer:
    return render(call, "receipt/gone.html", status=404, switch=switch)
