"""The steps of end-to-end secrets: claim and settle, and what else asks for a proof.

Table `envelope` holds, under the number of a receipt, what these secrets have beside it. While a window runs
`envelope.window_ends_at` says until when, and `secret.expires_at` says the same, so that the sweep finds it.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from onetime.model import Handed, Settled, State
from onetime.storage.port import Looked, NewSecret, Refusal, Refused, Tries
from onetime.storage.vault.eraser import MORE_BYTES
from onetime.storage.vault.transaction import STATES, shard

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from onetime.storage.vault.transaction import Transaction

# The service says every minute that it is awake, with its sweep. After a silence of this many seconds it has slept.
SLEPT_SECONDS = 120

LOOK = """SELECT state, has_passphrase, length(body), created_at, secret_expires_at, window_ends_at, wrong_tries, locked_until
FROM receipt JOIN envelope USING (number) JOIN secret USING (number) WHERE shard = ? AND secret_id = ?"""
FIND = """SELECT number, state, secret_expires_at, wrong_tries, open_hash, claim_hash, window_ends_at, locked_until
FROM receipt JOIN envelope USING (number) WHERE shard = ? AND secret_id = ?"""


def look(row: Sequence[Any], now: int) -> Looked | None:
    (
        state,
        has_passphrase,
        size,
        created_at,
        expires_at,
        window_ends_at,
        wrong_tries,
        locked_until,
    ) = row
    until = expires_at if window_ends_at is None else window_ends_at
    if until <= now:
        return None
    return Looked(
        state=STATES[state],
        has_passphrase=bool(has_passphrase),
        size_bytes=size - MORE_BYTES,
        created_at=created_at,
        secret_expires_at=expires_at,
        window_ends_at=window_ends_at,
        wrong_tries=wrong_tries,
        locked_until=locked_until if locked_until > now else None,
        now=now,
    )


def claim(
    tx: Transaction,
    secret_id: bytes,
    open_hash: bytes,
    claim_hash: bytes,
    window: int,
    tries: Tries,
) -> Handed | Refused | None:
    """The one-time promise rests on the transaction: whoever wrote the first claim has written it before anybody else reads."""
    found = tx.one(FIND, shard(secret_id), secret_id)
    if found is None:
        return None
    number, state, _, _, _, first_claim, window_ends_at, _ = found
    if state == State.CLAIMED:
        if window_ends_at <= tx.now:
            return None
        if not hmac.compare_digest(first_claim, claim_hash):
            return Refused(why=Refusal.CLAIMED)
        return Handed(body=_body(tx, number), window_ends_at=window_ends_at, now=tx.now)
    refused = _try(tx, found, open_hash, tries)
    if refused is not None or not _is_living(tx, found):
        return refused
    body = _body(tx, number)  # first: what is damaged stays
    until = tx.now + window
    tx.run(
        """UPDATE envelope SET claim_hash = ?, window_ends_at = ?, open_hash = x'', locked_until = 0
        WHERE number = ?""",
        claim_hash,
        until if window else None,
        number,
    )
    tx.run(
        "UPDATE receipt SET state = ?, ended_at = ?, expires_at = max(expires_at, ?) WHERE number = ?",
        (State.CLAIMED if window else State.REVEALED).value,
        tx.now,
        until + window,  # it outlives the content
        number,
    )
    if window:
        tx.run("UPDATE secret SET expires_at = ? WHERE number = ?", until, number)
    else:
        _remove(tx, number)
    return Handed(body=body, window_ends_at=until, now=tx.now)


def settle(tx: Transaction, secret_id: bytes, claim_hash: bytes) -> Settled | None:
    found = tx.one(
        "SELECT number, claim_hash, acknowledged_at FROM receipt JOIN envelope USING (number) "
        "WHERE shard = ? AND secret_id = ? AND expires_at > ?",
        shard(secret_id),
        secret_id,
        tx.now,
    )
    if found is None:
        return None
    number, first_claim, acknowledged_at = found
    if first_claim is None or not hmac.compare_digest(first_claim, claim_hash):
        return None
    if acknowledged_at is None:
        acknowledged_at = tx.now
        tx.run(
            "UPDATE envelope SET acknowledged_at = ?, window_ends_at = NULL WHERE number = ?",
            tx.now,
            number,
        )
        tx.run(
            "UPDATE receipt SET acknowledged = 1, state = ? WHERE number = ?",
            State.REVEALED.value,
            number,
        )
        _remove(tx, number)
    return Settled(acknowledged_at=acknowledged_at, now=tx.now)


def burn(
    tx: Transaction, secret_id: bytes, open_hash: bytes, claim_hash: bytes, tries: Tries
) -> bool | Refused:
    found = tx.one(FIND, shard(secret_id), secret_id)
    if found is None:
        return False
    number, state, _, _, _, first_claim, window_ends_at, _ = found
    if state == State.CLAIMED:
        if window_ends_at <= tx.now:
            return False
        if hmac.compare_digest(first_claim, claim_hash):
            end_window(tx, number)
        return Refused(why=Refusal.CLAIMED)
    if not open_hash or not _is_living(tx, found):
        return False
    refused = _try(tx, found, open_hash, tries)
    if refused is not None:
        return refused
    _remove(tx, number)
    tx.run(
        "UPDATE receipt SET state = ?, ended_at = ? WHERE number = ?",
        State.BURNED.value,
        tx.now,
        number,
    )
    forget(tx, number)
    return True


def end_window(tx: Transaction, number: int) -> None:
    """Of a claimed one: the content goes; it was handed out."""
    _remove(tx, number)
    tx.run(
        "UPDATE receipt SET state = ? WHERE number = ? AND state = ?",
        State.REVEALED.value,
        number,
        State.CLAIMED.value,
    )
    tx.run("UPDATE envelope SET window_ends_at = NULL WHERE number = ?", number)


def end_window_of(tx: Transaction, secret_id: bytes) -> None:
    found = tx.one(
        "SELECT number FROM receipt WHERE shard = ? AND secret_id = ? AND state = ?",
        shard(secret_id),
        secret_id,
        State.CLAIMED.value,
    )
    if found is not None:
        end_window(tx, found[0])


def end_windows(tx: Transaction, one_each: list[tuple[int]]) -> None:
    """After the sweep has removed the secrets with these numbers: of claimed ones the window is over."""
    tx.db.executemany(
        "UPDATE receipt SET state = 'revealed' WHERE number = ? AND state = 'claimed'", one_each
    )
    tx.db.executemany(
        "UPDATE envelope SET window_ends_at = NULL, open_hash = x'', locked_until = 0 WHERE number = ?",
        one_each,
    )


def forget(tx: Transaction, number: int) -> None:
    """What would prove something of a secret that is no more."""
    tx.run("UPDATE envelope SET open_hash = x'', locked_until = 0 WHERE number = ?", number)


def put(tx: Transaction, number: int, open_hash: bytes) -> None:
    tx.run("INSERT INTO envelope (number, open_hash) VALUES (?, ?)", number, open_hash)


def put_again(tx: Transaction, number: int, secret: NewSecret) -> int | None:
    """When the same secret came first; None if it was another, or is no longer new."""
    row = tx.one(
        """SELECT body, created_at, state, secret_id, receipt_id, has_passphrase, secret_expires_at - created_at,
        receipt.expires_at - created_at, open_hash
        FROM receipt JOIN envelope USING (number) JOIN secret USING (number)
        WHERE number = ? AND secret_expires_at > ?""",
        number,
        tx.now,
    )
    same = (
        State.NEW.value,
        secret.secret_id,
        secret.receipt_id,
        secret.has_passphrase,
        secret.expires_at - secret.created_at,
        secret.receipt_expires_at - secret.created_at,
        secret.open_hash,
    )
    if row is None or row[2:] != same or tx.eraser.unlock(tx.db, number, row[0]) != secret.body:
        return None
    created_at: int = row[1]
    return created_at


def say_awake(tx: Transaction) -> None:
    tx.run("UPDATE vault SET awake_at = ?", tx.now)


def wake(tx: Transaction) -> None:
    """Give the windows once more that the service has slept through.

    The first thing of the first transaction of a process, and of one that comes after a silence.
    """
    # Whoever has committed something was awake. Instants that a clock left behind which was set back say nothing.
    (awake_at,) = tx.one(
        """SELECT ifnull(max(at), 0) FROM (SELECT awake_at AS at FROM vault UNION ALL SELECT at FROM writer)
        WHERE at <= ?""",
        tx.now,
    )
    if tx.now - awake_at > SLEPT_SECONDS:
        rows = tx.db.execute(
            """SELECT number, window_ends_at - ended_at FROM envelope JOIN receipt USING (number)
            WHERE window_ends_at > ? AND woken = 0 AND state = ?""",
            (awake_at, State.CLAIMED.value),
        ).fetchall()
        for number, window in rows:
            tx.run(
                "UPDATE envelope SET woken = 1, window_ends_at = ? WHERE number = ?",
                tx.now + window,
                number,
            )
            tx.run("UPDATE secret SET expires_at = ? WHERE number = ?", tx.now + window, number)
            tx.run(
                "UPDATE receipt SET expires_at = max(expires_at, ?) WHERE number = ?",
                tx.now + 2 * window,
                number,
            )
    say_awake(tx)


def _remove(tx: Transaction, number: int) -> None:
    """The content, if it is still there."""
    if tx.run("DELETE FROM secret WHERE number = ?", number):
        tx.removed.append(number)


def _body(tx: Transaction, number: int) -> bytes:
    (locked,) = tx.one("SELECT body FROM secret WHERE number = ?", number)
    return tx.eraser.unlock(tx.db, number, locked)


def _is_living(tx: Transaction, found: Sequence[Any]) -> bool:
    _, state, expires_at, *_ = found
    return bool(state == State.NEW and expires_at > tx.now)


def _try(tx: Transaction, found: Sequence[Any], open_hash: bytes, tries: Tries) -> Refused | None:
    """Why the proof does not open a living secret; None if it does, or there is none. A wrong one is debited."""
    if not _is_living(tx, found):
        return None
    number, _, _, wrong_tries, right_hash, _, _, locked_until = found
    if wrong_tries >= tries.total:
        return Refused(why=Refusal.CLOSED)
    if locked_until > tx.now:
        # A clock that was set back must not stretch a lock.
        latest = tx.now + tries.lock_after(wrong_tries)
        if locked_until > latest:
            tx.run("UPDATE envelope SET locked_until = ? WHERE number = ?", latest, number)
        return Refused(why=Refusal.LOCKED, retry_after=min(locked_until, latest) - tx.now)
    if hmac.compare_digest(right_hash, open_hash):
        return None
    wrong_tries += 1
    lock = tries.lock_after(wrong_tries)
    tx.run("UPDATE receipt SET wrong_tries = ? WHERE number = ?", wrong_tries, number)
    if lock:
        tx.run("UPDATE envelope SET locked_until = ? WHERE number = ?", tx.now + lock, number)
    return Refused(why=Refusal.WRONG, left=0 if lock else tries.left(wrong_tries))
