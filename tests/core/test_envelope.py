"""What may happen to an end-to-end secret, as sentences."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from onetime.app import App
from onetime.core.limits import BUDGETS, ENVELOPE_TRIES
from onetime.crypto import envelope, ids
from onetime.errors import (
    Claimed,
    Closed,
    Conflict,
    Invalid,
    NotFound,
    OnetimeError,
    RateLimited,
    TooLarge,
    WrongPassphrase,
)
from onetime.model import Created, EnvelopeReceipt, Handed, Look, Settled, State
from tests.core.opening import DAY, START, Clock, network, opened, outcome
from tests.core.sealed import Sealed, device, guess, pass_time

WINDOW = 600
PHONE, LAPTOP = device("phone"), device("laptop")
HOME, ELSEWHERE = network(0), network(1)


async def created(app: App, **facts: Any) -> Sealed:
    sealed = Sealed()
    await app.envelopes.create(sealed.new(**facts))
    return sealed


async def reveal(app: App, sealed: Sealed, claim: bytes = PHONE) -> Handed:
    return await app.envelopes.reveal(sealed.link_proof, sealed.open_proof, claim)


async def receipt(app: App, sealed: Sealed) -> EnvelopeReceipt:
    return await app.envelopes.receipt(sealed.secret_id, sealed.receipt_proof)


async def error_of(asked: Awaitable[Any]) -> OnetimeError:
    with pytest.raises(OnetimeError) as refused:
        await asked
    return refused.value


async def try_wrong(app: App, sealed: Sealed, times: int = 1) -> OnetimeError:
    """The last refusal."""
    for number in range(times):
        error = await error_of(app.envelopes.reveal(sealed.link_proof, guess(number), PHONE))
    return error


# One reader


async def test_one_device_gets_it_and_acknowledges_that_it_has_arrived(
    onetime: App, clock: Clock
) -> None:
    sealed = Sealed()
    assert await onetime.envelopes.create(sealed.new(ttl=3600, has_passphrase=True)) == Created(
        created_at=START, secret_expires_at=START + 3600, expires_at=START + 7200, now=START
    )
    assert await onetime.envelopes.look(sealed.link_proof) == Look(
        state=State.NEW,
        has_passphrase=True,
        size_bytes=len(sealed.body),
        created_at=START,
        secret_expires_at=START + 3600,
        window_ends_at=None,
        attempts_left=10,
        locked_until=None,
        closed=False,
        now=START,
    )
    handed = await reveal(onetime, sealed)
    assert (handed.window_ends_at, handed.now) == (START + WINDOW, START)
    assert sealed.opened(handed.body) == b"correct horse"
    clock.now += 3
    assert await onetime.envelopes.settle(sealed.link_proof, PHONE) == Settled(
        acknowledged_at=START + 3, now=START + 3
    )
    assert await receipt(onetime, sealed) == EnvelopeReceipt(
        state=State.REVEALED,
        has_passphrase=True,
        created_at=START,
        secret_expires_at=START + 3600,
        expires_at=START + 7200,
        ended_at=START,
        acknowledged=True,
        acknowledged_at=START + 3,
        window_ends_at=None,
        wrong_tries=0,
        closed=False,
        now=START + 3,
    )


async def test_the_same_device_gets_it_again_and_another_is_told_that_it_is_too_late(
    onetime: App, clock: Clock
) -> None:
    sealed = await created(onetime)
    first = await reveal(onetime, sealed)
    await pass_time(onetime, clock, WINDOW - 1)
    # It need not even know the passphrase any more.
    again = await onetime.envelopes.reveal(sealed.link_proof, guess(), PHONE)
    assert (again.body, again.window_ends_at) == (first.body, first.window_ends_at)
    for proof in (sealed.open_proof, guess()):
        with pytest.raises(Claimed) as refused:
            await onetime.envelopes.reveal(sealed.link_proof, proof, LAPTOP)
        assert refused.value.code == "claimed"
    assert (await onetime.envelopes.look(sealed.link_proof)).state is State.CLAIMED
    await pass_time(onetime, clock, 1)
    for claim in (PHONE, LAPTOP):
        with pytest.raises(NotFound):
            await reveal(onetime, sealed, claim)
    told = await receipt(onetime, sealed)
    assert (told.state, told.acknowledged, told.ended_at) == (State.REVEALED, False, START)


@pytest.mark.parametrize("window", [0, 30, 3600])
async def test_the_operator_says_how_long_a_device_may_ask_again(
    tmp_path: Path, clock: Clock, window: int
) -> None:
    async with opened(tmp_path, clock, reveal_window=window) as onetime:
        assert onetime.envelopes.reveal_window == window
        sealed = await created(onetime)
        handed = await reveal(onetime, sealed)
        assert handed.window_ends_at == START + window
        await pass_time(onetime, clock, max(window - 1, 0))
        if window:
            assert (await reveal(onetime, sealed)).body == handed.body
        await pass_time(onetime, clock, 1)
        with pytest.raises(NotFound):
            await reveal(onetime, sealed)


async def test_a_claim_or_a_settle_that_is_not_this_device_s_finds_nothing(onetime: App) -> None:
    sealed = await created(onetime)
    with pytest.raises(NotFound):
        await onetime.envelopes.settle(sealed.link_proof, PHONE)
    handed = await reveal(onetime, sealed)
    with pytest.raises(NotFound):
        await onetime.envelopes.settle(sealed.link_proof, LAPTOP)
    assert (await reveal(onetime, sealed)).body == handed.body
    settled = await onetime.envelopes.settle(sealed.link_proof, PHONE)
    assert await onetime.envelopes.settle(sealed.link_proof, PHONE) == settled


# Who knows nothing has nothing to ask about


Ask = Callable[[App, bytes], Awaitable[Any]]

BY_LINK: dict[str, Ask] = {
    "look": lambda app, proof: app.envelopes.look(proof),
    "reveal": lambda app, proof: app.envelopes.reveal(proof, guess(), PHONE),
    "settle": lambda app, proof: app.envelopes.settle(proof, PHONE),
    "burn": lambda app, proof: app.envelopes.burn(proof, open_proof=guess()),
    "burn with a claim": lambda app, proof: app.envelopes.burn(proof, claim=PHONE),
}


@pytest.mark.parametrize("ask", BY_LINK)
async def test_without_its_link_proof_a_secret_is_as_one_that_never_was(
    onetime: App, ask: str
) -> None:
    sealed = await created(onetime)
    # Its id is what a thief of the database has.
    for proof in (os.urandom(32), sealed.secret_id, sealed.open_proof, sealed.receipt_proof):
        with pytest.raises(NotFound):
            await BY_LINK[ask](onetime, proof)
    assert (await receipt(onetime, sealed)).wrong_tries == 0
    await reveal(onetime, sealed)


async def test_without_its_receipt_proof_there_is_no_receipt(onetime: App) -> None:
    sealed, other = await created(onetime), await created(onetime)
    wrong = [
        (sealed.secret_id, os.urandom(32)),
        (sealed.secret_id, sealed.link_proof),
        (sealed.secret_id, sealed.open_proof),
        (sealed.secret_id, envelope.proof_hash(sealed.receipt_proof)),
        (sealed.secret_id, other.receipt_proof),
        (other.secret_id, sealed.receipt_proof),
        # The same shard, and another secret.
        (sealed.secret_id[:4] + os.urandom(28), sealed.receipt_proof),
        (os.urandom(32), sealed.receipt_proof),
    ]
    for secret_id, proof in wrong:
        for ask in (onetime.envelopes.receipt, onetime.envelopes.burn_by_receipt):
            with pytest.raises(NotFound):
                await ask(secret_id, proof)
    assert (await receipt(onetime, sealed)).state is State.NEW


async def test_the_receipt_opens_nothing_and_the_link_is_no_receipt(onetime: App) -> None:
    sealed = await created(onetime)
    with pytest.raises(WrongPassphrase):
        await onetime.envelopes.reveal(sealed.link_proof, sealed.receipt_proof, PHONE)
    with pytest.raises(NotFound):
        await onetime.envelopes.receipt(sealed.secret_id, sealed.open_proof)


async def test_no_file_holds_what_proves_or_opens_anything(tmp_path: Path, onetime: App) -> None:
    sealed = await created(onetime)
    await try_wrong(onetime, sealed)
    await reveal(onetime, sealed)
    await receipt(onetime, sealed)
    files = b"\0".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert sealed.secret_id in files
    for part in (
        sealed.link_key,
        sealed.receipt_key,
        sealed.link_proof,
        sealed.open_proof,
        sealed.receipt_proof,
        envelope.derive(sealed.link_key).content_key,
        sealed.content,
        PHONE,
        guess(),
    ):
        assert part not in files


# Create


@pytest.mark.parametrize("ttl", [None, 60, 7 * DAY])
async def test_it_lives_as_long_as_its_sender_says(onetime: App, ttl: int | None) -> None:
    made = await onetime.envelopes.create(Sealed().new(ttl=ttl))
    lives = ttl or onetime.envelopes.terms.default_ttl
    assert made.secret_expires_at == START + lives
    assert made.expires_at == START + 2 * lives


@pytest.mark.parametrize(
    ("ttl", "rule"), [(59, "too_short"), (0, "too_short"), (7 * DAY + 1, "too_long")]
)
async def test_a_life_out_of_range_is_refused(onetime: App, ttl: int, rule: str) -> None:
    sealed = Sealed()
    error = await error_of(onetime.envelopes.create(sealed.new(ttl=ttl)))
    assert isinstance(error, Invalid)
    assert (error.field, error.rule) == ("ttl", rule)
    with pytest.raises(NotFound):
        await onetime.envelopes.look(sealed.link_proof)


SPOILED: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda body: body[:0],
    "a byte less": lambda body: body[:-1],
    "a byte more": lambda body: body + b"\0",
    "its head alone": lambda body: body[:21],
    "another record size": lambda body: body[:16] + b"\0\0\x10\0" + body[20:],
    "a key id": lambda body: body[:20] + b"\x01" + body[21:],
    "a text in the clear": lambda body: b"the text".ljust(len(body)),
}


@pytest.mark.parametrize("spoil", SPOILED)
async def test_what_is_no_envelope_is_refused(onetime: App, spoil: str) -> None:
    sealed = Sealed()
    body = SPOILED[spoil](sealed.body)
    error = await error_of(onetime.envelopes.create(sealed.new(body=body)))
    assert isinstance(error, Invalid)
    assert error.field == "body"


async def test_the_largest_allowed_text_fits_and_a_larger_envelope_does_not(
    tmp_path: Path, clock: Clock
) -> None:
    async with opened(tmp_path, clock, max_secret_bytes=200_000) as onetime:
        largest = Sealed(content=bytes(200_000))
        await onetime.envelopes.create(largest.new())
        handed = await reveal(onetime, largest)
        assert largest.opened(handed.body) == bytes(200_000)
        most = onetime.envelopes.max_body_bytes
        assert len(largest.body) <= most < 1.2 * 200_000
        error = await error_of(onetime.envelopes.create(Sealed(content=bytes(most)).new()))
        assert isinstance(error, TooLarge)
        assert error.limit_bytes == most


async def test_a_create_repeated_to_the_letter_is_answered_as_the_first(
    onetime: App, clock: Clock
) -> None:
    sealed = Sealed()
    first = await onetime.envelopes.create(sealed.new(ttl=3600))
    clock.now += 100
    again = await onetime.envelopes.create(sealed.new(ttl=3600))
    assert again == Created(
        created_at=first.created_at,
        secret_expires_at=first.secret_expires_at,
        expires_at=first.expires_at,
        now=START + 100,
    )
    await reveal(onetime, sealed)
    with pytest.raises(Conflict):
        await onetime.envelopes.create(sealed.new(ttl=3600))


async def test_a_create_with_one_difference_is_a_conflict(onetime: App) -> None:
    sealed, other = Sealed(), Sealed()
    await onetime.envelopes.create(sealed.new(ttl=3600))
    different: list[dict[str, Any]] = [
        {"ttl": 3601},
        {"ttl": None},
        {"body": other.body},
        {"open_hash": other.new().open_hash},
        {"receipt_hash": other.new().receipt_hash},
        {"has_passphrase": True},
    ]
    for difference in different:
        with pytest.raises(Conflict):
            await onetime.envelopes.create(sealed.new(**{"ttl": 3600} | difference))
    assert (await receipt(onetime, sealed)).secret_expires_at == START + 3600
    with pytest.raises(NotFound):
        await onetime.envelopes.receipt(sealed.secret_id, other.receipt_proof)


async def test_a_full_vault_refuses_new_ones_and_answers_the_repeated(
    tmp_path: Path, clock: Clock
) -> None:
    async with opened(tmp_path, clock, vault_max_bytes=1_000_000) as onetime:
        made = [Sealed(content=bytes(40_000)) for _ in range(40)]
        outcomes = [await outcome(onetime.envelopes.create(each.new())) for each in made]
        kept = outcomes.count("done")
        assert 5 < kept < 40
        assert outcomes[kept:] == ["Full"] * (40 - kept)
        assert (await onetime.envelopes.create(made[0].new())).created_at == START
        await reveal(onetime, made[0])


# Burn


async def test_whoever_holds_the_link_may_burn_it_unread(onetime: App, clock: Clock) -> None:
    sealed = await created(onetime)
    clock.now += 5
    assert (
        await onetime.envelopes.burn(sealed.link_proof, open_proof=sealed.open_proof) == START + 5
    )
    told = await receipt(onetime, sealed)
    assert (told.state, told.ended_at, told.acknowledged) == (State.BURNED, START + 5, False)
    for ask in (*BY_LINK.values(),):
        with pytest.raises(NotFound):
            await ask(onetime, sealed.link_proof)
    with pytest.raises(NotFound):
        await onetime.envelopes.burn(sealed.link_proof, open_proof=sealed.open_proof)


async def test_a_burn_with_a_wrong_proof_burns_nothing_and_is_counted(onetime: App) -> None:
    sealed = await created(onetime)
    error = await error_of(onetime.envelopes.burn(sealed.link_proof, open_proof=guess()))
    assert isinstance(error, WrongPassphrase)
    assert error.attempts_left == 9
    assert (await receipt(onetime, sealed)).wrong_tries == 1
    await reveal(onetime, sealed)


async def test_once_claimed_the_link_burns_nothing_but_the_claim_ends_the_window(
    onetime: App,
) -> None:
    sealed = await created(onetime)
    await reveal(onetime, sealed)
    for proof in ({"open_proof": sealed.open_proof}, {"claim": LAPTOP}):
        with pytest.raises(Claimed):
            await onetime.envelopes.burn(sealed.link_proof, **proof)
    await reveal(onetime, sealed)
    with pytest.raises(Claimed):
        await onetime.envelopes.burn(sealed.link_proof, claim=PHONE)
    with pytest.raises(NotFound):
        await reveal(onetime, sealed)
    told = await receipt(onetime, sealed)
    assert (told.state, told.acknowledged) == (State.REVEALED, False)


async def test_a_burn_with_a_claim_that_was_never_made_finds_nothing(onetime: App) -> None:
    sealed = await created(onetime)
    with pytest.raises(NotFound):
        await onetime.envelopes.burn(sealed.link_proof, claim=PHONE)
    await reveal(onetime, sealed)


async def test_its_sender_may_burn_it_unread(onetime: App, clock: Clock) -> None:
    sealed = await created(onetime)
    clock.now += 5
    told = await onetime.envelopes.burn_by_receipt(sealed.secret_id, sealed.receipt_proof)
    assert (told.state, told.ended_at) == (State.BURNED, START + 5)
    assert await receipt(onetime, sealed) == told
    with pytest.raises(NotFound):
        await onetime.envelopes.burn_by_receipt(sealed.secret_id, sealed.receipt_proof)
    with pytest.raises(NotFound):
        await reveal(onetime, sealed)


async def test_its_sender_is_told_when_it_is_too_late_and_ends_the_window(
    onetime: App, clock: Clock
) -> None:
    sealed = await created(onetime)
    await reveal(onetime, sealed)
    for _ in range(2):
        with pytest.raises(Claimed):
            await onetime.envelopes.burn_by_receipt(sealed.secret_id, sealed.receipt_proof)
        with pytest.raises(NotFound):
            await reveal(onetime, sealed)
        assert (await receipt(onetime, sealed)).state is State.REVEALED
        await pass_time(onetime, clock, WINDOW)
    # The device may still say that it had it.
    await onetime.envelopes.settle(sealed.link_proof, PHONE)
    assert (await receipt(onetime, sealed)).acknowledged


async def test_what_has_expired_cannot_be_burned(onetime: App, clock: Clock) -> None:
    sealed = await created(onetime, ttl=60)
    clock.now += 60
    with pytest.raises(NotFound):
        await onetime.envelopes.burn(sealed.link_proof, open_proof=sealed.open_proof)
    with pytest.raises(NotFound):
        await onetime.envelopes.burn_by_receipt(sealed.secret_id, sealed.receipt_proof)
    told = await receipt(onetime, sealed)
    assert (told.state, told.ended_at) == (State.EXPIRED, START + 60)
    clock.now += 60
    with pytest.raises(NotFound):
        await receipt(onetime, sealed)


# Attempts


async def test_wrong_proofs_are_counted_then_locked_and_told_to_both(
    onetime: App, clock: Clock
) -> None:
    sealed = await created(onetime, has_passphrase=True)
    for left in range(9, -1, -1):
        error = await try_wrong(onetime, sealed)
        assert isinstance(error, WrongPassphrase)
        assert error.attempts_left == left
        looked = await onetime.envelopes.look(sealed.link_proof)
        assert looked.attempts_left == left
        assert (await receipt(onetime, sealed)).wrong_tries == 10 - left
    assert (looked.locked_until, looked.closed) == (START + 60, False)
    clock.now += 20
    for proof in (sealed.open_proof, guess()):
        for ask in (
            onetime.envelopes.reveal(sealed.link_proof, proof, PHONE),
            onetime.envelopes.burn(sealed.link_proof, open_proof=proof),
        ):
            error = await error_of(ask)
            assert isinstance(error, RateLimited)
            assert (error.code, error.retry_after) == ("rate_limited", 40)
    clock.now += 40
    looked = await onetime.envelopes.look(sealed.link_proof)
    assert (looked.attempts_left, looked.locked_until) == (1, None)
    await reveal(onetime, sealed)


async def test_after_a_hundred_wrong_ones_it_is_closed_for_good_to_all_but_its_sender(
    onetime: App, clock: Clock
) -> None:
    sealed = await created(onetime, ttl=7 * DAY)
    await try_wrong(onetime, sealed, 10)
    for _ in range(90):
        looked = await onetime.envelopes.look(sealed.link_proof)
        assert looked.locked_until is not None
        clock.now = looked.locked_until
        await try_wrong(onetime, sealed)
    looked = await onetime.envelopes.look(sealed.link_proof)
    assert (looked.attempts_left, looked.closed) == (0, True)
    clock.now += 3600
    error = await error_of(reveal(onetime, sealed))
    assert isinstance(error, Closed)
    assert (error.code, error.retry_after) == ("closed", None)
    told = await receipt(onetime, sealed)
    assert (told.state, told.wrong_tries, told.closed) == (State.NEW, 100, True)
    told = await onetime.envelopes.burn_by_receipt(sealed.secret_id, sealed.receipt_proof)
    assert told.state is State.BURNED


@pytest.mark.parametrize("back", [30, 3600, DAY])
async def test_a_clock_set_back_stretches_no_lock(onetime: App, clock: Clock, back: int) -> None:
    sealed = await created(onetime)
    await try_wrong(onetime, sealed, 10)
    clock.now -= back
    looked = await onetime.envelopes.look(sealed.link_proof)
    assert looked.locked_until is not None
    assert looked.locked_until <= clock.now + 60
    error = await error_of(reveal(onetime, sealed))
    assert isinstance(error, RateLimited)
    clock.now += error.retry_after or 0
    await reveal(onetime, sealed)


async def test_guesses_from_everywhere_spend_one_budget(onetime: App) -> None:
    sealed = await created(onetime)
    for number in range(10):
        with pytest.raises(WrongPassphrase):
            await onetime.envelopes.reveal(
                sealed.link_proof, guess(number), device(number), caller=network(number)
            )
    with pytest.raises(RateLimited):
        await onetime.envelopes.reveal(
            sealed.link_proof, sealed.open_proof, PHONE, caller=network(99)
        )


def test_how_many_there_are_and_what_they_cost() -> None:
    assert (ENVELOPE_TRIES.free, ENVELOPE_TRIES.total) == (10, 100)
    assert (ENVELOPE_TRIES.lock, ENVELOPE_TRIES.longest_lock) == (60, 3600)


# Budgets of a network


async def spend(app: App, name: str, *, but: int = 0) -> None:
    """All that HOME may do of it."""
    count = app.envelopes._limits.count
    await asyncio.gather(*(count(name, HOME) for _ in range(BUDGETS[name].limit - but)))


async def test_reveals_of_a_network_are_limited_but_a_delivery_again_is_not(
    onetime: App, clock: Clock
) -> None:
    mine, new = await created(onetime), await created(onetime)
    handed = await onetime.envelopes.reveal(mine.link_proof, mine.open_proof, PHONE, caller=HOME)
    await spend(onetime, "reveal", but=1)
    # The window would not wait until the budget is there again.
    for _ in range(3):
        again = await onetime.envelopes.reveal(mine.link_proof, guess(), PHONE, caller=HOME)
        assert again.body == handed.body
    with pytest.raises(Claimed):
        await onetime.envelopes.reveal(mine.link_proof, mine.open_proof, LAPTOP, caller=HOME)
    for proof in (new.link_proof, os.urandom(32)):
        error = await error_of(onetime.envelopes.reveal(proof, new.open_proof, PHONE, caller=HOME))
        assert isinstance(error, RateLimited)
        assert error.retry_after == BUDGETS["reveal"].window
    await onetime.envelopes.settle(mine.link_proof, PHONE)
    await onetime.envelopes.look(new.link_proof)
    assert (await receipt(onetime, new)).wrong_tries == 0
    await onetime.envelopes.reveal(new.link_proof, new.open_proof, PHONE, caller=ELSEWHERE)


async def test_creates_of_a_network_are_limited(onetime: App) -> None:
    await spend(onetime, "create")
    with pytest.raises(RateLimited):
        await onetime.envelopes.create(Sealed().new(), caller=HOME)
    await onetime.envelopes.create(Sealed().new(), caller=ELSEWHERE)


async def test_what_is_refused_as_no_envelope_costs_no_create(onetime: App) -> None:
    await spend(onetime, "create")
    with pytest.raises(Invalid):
        await onetime.envelopes.create(Sealed().new(body=b"no"), caller=HOME)
    with pytest.raises(Invalid):
        await onetime.envelopes.create(Sealed().new(ttl=1), caller=HOME)


# Sealed secrets keep apart


async def test_the_ways_to_sealed_secrets_lead_to_no_envelope(onetime: App) -> None:
    sealed = await created(onetime)
    made = await onetime.vault.conceal("a sealed one")
    for key in (sealed.secret_id.hex(), envelope.to_base64_url(sealed.link_key)):
        for act in (onetime.vault.peek, onetime.vault.reveal, onetime.vault.burn):
            with pytest.raises(NotFound):
                await act(key)
    for proof in (made.secret_key.encode(), made.secret_key.encode().ljust(32, b"\0")):
        for ask in BY_LINK.values():
            with pytest.raises(NotFound):
                await ask(onetime, proof)
    assert await onetime.vault.reveal(made.secret_key) == "a sealed one"
    await reveal(onetime, sealed)


async def test_an_envelope_that_takes_the_name_of_a_sealed_receipt_has_none(onetime: App) -> None:
    # Its sender chooses both hashes, and the tag that both ids begin with.
    key = ids.new_keys().receipt_key
    name = ids.receipt_id(key)
    tag, rest = name[: ids.TAG_LENGTH], name[ids.TAG_LENGTH :]
    sealed = Sealed()
    secret_id = tag + sealed.secret_id[ids.TAG_LENGTH :]
    await onetime.envelopes.create(sealed.new(secret_id=secret_id, receipt_hash=rest))
    for ask in (
        onetime.vault.receipt,
        onetime.vault.burn_by_receipt,
        onetime.vault.generated_value,
    ):
        with pytest.raises(NotFound):
            await ask(key)
