"""What each verb does inside a transaction: functions of a `Transaction`, without commit, retry or thread.

A step raises a refusal of a rule only before it has written anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onetime.errors import Conflict, Full
from onetime.model import Kind, State
from onetime.storage.port import (
    Debit,
    Debited,
    NewAnswer,
    NewSecret,
    Session,
    Stored,
    StoredReceipt,
    StoredSecret,
    Swept,
)
from onetime.storage.vault import envelope, eraser
from onetime.storage.vault.transaction import KINDS, STATES, Transaction, shard

# Expired content is unreadable at its second; it is removed this much later, so that a clock that jumps ahead for a
# moment destroys nothing. With a sweep every minute that is well inside ten minutes.
GRACE_SECONDS = 300

# Of one step. What is removed is overwritten with zeros and so written to the log first: on a full disk a step must fit
# into what the reserve gives.
SWEEP_ROWS = 500
SWEEP_BYTES = 4 * 1024 * 1024

# The one-time promise rests on this line: DELETE lets one caller through, and RETURNING hands the row to that one
# alone. A SELECT followed by a DELETE gives the secret to every caller that gets between the two.
# The proof is found in the head or the secret stays; without one it is empty, which is found everywhere.
# An end-to-end secret leaves through a claim alone.
TAKE = """DELETE FROM secret WHERE number = (SELECT number FROM receipt
WHERE shard = ? AND secret_id = ? AND state = 'new' AND secret_expires_at > ? AND kind <> 'envelope') AND instr(head, ?)
RETURNING number, head, body"""
BURN = """DELETE FROM secret WHERE number = (SELECT number FROM receipt
WHERE shard = ? AND secret_id = ? AND state = 'new' AND secret_expires_at > ?)
RETURNING number"""

PEEK = """SELECT kind, has_passphrase, created_at, secret_expires_at, head FROM receipt JOIN secret USING (number)
WHERE shard = ? AND secret_id = ? AND state = 'new' AND secret_expires_at > ? AND kind <> 'envelope'"""
END = """UPDATE receipt SET state = ?, ended_at = ?, wrong_tries = max(wrong_tries - ?, 0), wrapped = x''
WHERE number = ? RETURNING kind, has_passphrase, created_at, secret_expires_at"""
RECEIPT_COLUMNS = """receipt_id, secret_id, kind, state, has_passphrase, created_at, secret_expires_at, expires_at,
ended_at, acknowledged, wrong_tries, wrapped, listing, acknowledged_at, window_ends_at"""
RECEIPTS = f"SELECT {RECEIPT_COLUMNS} FROM receipt LEFT JOIN envelope USING (number)"  # noqa: S608
RECEIPT = f"{RECEIPTS} WHERE shard = ?3 AND receipt_id = ?1 AND expires_at > ?2"
LISTED = f"{RECEIPTS} WHERE listing_id = ?1 AND expires_at > ?2"
OWNED = f"""{RECEIPTS} WHERE owner = ? AND created_at < ? AND expires_at > ?
ORDER BY created_at DESC, number DESC LIMIT ?"""
# The sender of an end-to-end secret chooses its id, and with it the shard; whoever put thousands into one would make every
# question there a search through all of them. Honest ids are random: of ten million hardly four share one.
MOST_ENVELOPES_A_SHARD = 32
# Looks for its ids and writes them in one statement.
PUT_RECEIPT = f"""INSERT INTO receipt (shard, receipt_id, secret_id, kind, state, has_passphrase, created_at,
secret_expires_at, expires_at, wrapped, owner, listing_id, listing)
SELECT ?1, ?2, ?3, ?4, 'new', ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12
WHERE NOT EXISTS (SELECT 1 FROM receipt WHERE shard = ?1 AND (secret_id = ?3 OR receipt_id = ?2))
AND (?4 <> 'envelope' OR NOT EXISTS
(SELECT 1 FROM receipt WHERE shard = ?1 AND kind = 'envelope' LIMIT 1 OFFSET {MOST_ENVELOPES_A_SHARD - 1}))"""  # noqa: S608
PUT_SECRET = (
    "INSERT INTO secret (number, expires_at, key_number, head, body) VALUES (?, ?, ?, ?, ?)"  # noqa: S105
)


def put(tx: Transaction, secret: NewSecret, answer: NewAnswer | None) -> Stored:
    if answer is not None:
        row = tx.one(
            "SELECT sealed FROM answer WHERE answer_id = ? AND expires_at > ?",
            answer.answer_id,
            tx.now,
        )
        if row is not None:
            return Stored(earlier=row[0])
    where = shard(secret.secret_id)
    if shard(secret.receipt_id) != where:
        raise ValueError("a secret and its receipt begin with the same shard tag")
    room = len(secret.body) + 4096
    if tx.room_bytes < room or secret.listing_id is not None:
        known = _known(tx, secret)
        if known is not None:
            return _put_again(tx, known, secret)
        if tx.room_bytes < room:
            raise Full
    made = tx.db.execute(
        PUT_RECEIPT,
        (
            where,
            secret.receipt_id,
            secret.secret_id,
            secret.kind.value,
            secret.has_passphrase,
            secret.created_at,
            secret.expires_at,
            secret.receipt_expires_at,
            secret.wrapped,
            secret.owner,
            secret.listing_id,
            secret.listing,
        ),
    )
    if not made.rowcount:
        return _put_again(tx, _known(tx, secret), secret)
    tx.room_bytes -= room
    number: int = made.lastrowid  # type: ignore[assignment]  # an INSERT that made a row always has one
    locked = tx.eraser.lock(tx.db, number, secret.body, tx.nonce)
    tx.run(PUT_SECRET, number, secret.expires_at, secret.key_number, secret.head, locked)
    if secret.open_hash is not None:
        envelope.put(tx, number, secret.open_hash)
    else:
        used_until = tx.key_uses.get(secret.key_number, 0)
        tx.key_uses[secret.key_number] = max(secret.expires_at, used_until)
    if answer is not None:
        tx.run("DELETE FROM answer WHERE answer_id = ?", answer.answer_id)
        tx.run(
            "INSERT INTO answer VALUES (?, ?, ?)",
            answer.answer_id,
            answer.expires_at,
            answer.sealed,
        )
    return Stored()


def _known(tx: Transaction, secret: NewSecret) -> int | None:
    """The number of the receipt that has one of its ids. Nobody else can add one before this transaction ends."""
    row = tx.one(
        "SELECT number FROM receipt WHERE shard = ? AND (secret_id = ? OR receipt_id = ?)",
        shard(secret.secret_id),
        secret.secret_id,
        secret.receipt_id,
    )
    if row is None and secret.listing_id is not None:
        row = tx.one("SELECT number FROM receipt WHERE listing_id = ?", secret.listing_id)
    return row[0] if row else None


def _put_again(tx: Transaction, number: int | None, secret: NewSecret) -> Stored:
    if number is not None and secret.open_hash is not None:
        created_at = envelope.put_again(tx, number, secret)
        if created_at is not None:
            return Stored(created_at=created_at)
        raise Conflict("There is, or was, something else under this id")
    row = tx.one(
        """SELECT body, state, secret_id, receipt_id, kind, has_passphrase, created_at, secret_expires_at,
        receipt.expires_at, key_number, head, wrapped, owner, listing_id, listing
        FROM receipt JOIN secret USING (number) WHERE number = ? AND secret_expires_at > ?""",
        number,
        tx.now,
    )
    same = (
        State.NEW.value,
        secret.secret_id,
        secret.receipt_id,
        secret.kind.value,
        secret.has_passphrase,
        secret.created_at,
        secret.expires_at,
        secret.receipt_expires_at,
        secret.key_number,
        secret.head,
        secret.wrapped,
        secret.owner,
        secret.listing_id,
        secret.listing,
    )
    if (
        number is None
        or row is None
        or row[1:] != same
        or tx.eraser.unlock(tx.db, number, row[0]) != secret.body
    ):
        raise Conflict("There is, or was, something else under this id")
    return Stored()


def take(
    tx: Transaction, secret_id: bytes, proof: bytes, refund: Sequence[Debit]
) -> StoredSecret | None:
    taken = tx.one(TAKE, shard(secret_id), secret_id, tx.now, proof)
    if taken is None:
        return None
    number, head, locked = taken
    facts = tx.one(END, State.REVEALED.value, tx.now, 1 if refund else 0, number)
    give_back(tx, refund)
    body = tx.eraser.unlock(tx.db, number, locked)
    tx.removed.append(number)
    return secret(secret_id, facts, head, body, tx.now)


def burn(tx: Transaction, secret_id: bytes, refund: Sequence[Debit]) -> bool:
    burned = tx.one(BURN, shard(secret_id), secret_id, tx.now)
    if burned is None:
        envelope.end_window_of(tx, secret_id)
        return False
    (number,) = burned
    facts = tx.one(END, State.BURNED.value, tx.now, 1 if refund else 0, number)
    give_back(tx, refund)
    tx.removed.append(number)
    if facts[0] == Kind.ENVELOPE:
        envelope.forget(tx, number)
    return True


def debit(tx: Transaction, debits: Sequence[Debit]) -> Debited:
    """All or none."""
    left = 1 << 30
    rows = []
    for index, debit in enumerate(debits):
        used, window_ends_at, locked_until = tx.one(
            "SELECT used, window_ends_at, locked_until FROM counter WHERE key = ?", debit.key
        ) or (0, 0, 0)
        budget = debit.budget
        # A clock that was set back must stretch neither window nor lock.
        latest = tx.now + budget.window, tx.now + budget.lock
        if window_ends_at > latest[0] or locked_until > latest[1]:
            window_ends_at, locked_until = (
                min(window_ends_at, latest[0]),
                min(locked_until, latest[1]),
            )
            tx.run(
                "UPDATE counter SET window_ends_at = ?, locked_until = ? WHERE key = ?",
                window_ends_at,
                locked_until,
                debit.key,
            )
        if locked_until > tx.now:
            return Debited(refused=index, retry_after=locked_until - tx.now)
        if window_ends_at <= tx.now or locked_until:
            # The window is over, or a lock was served: from the start again.
            used, window_ends_at, locked_until = 0, tx.now + budget.window, 0
        if used >= budget.limit:
            return Debited(refused=index, retry_after=window_ends_at - tx.now)
        used += 1
        if used == budget.limit and budget.lock:
            locked_until = tx.now + budget.lock
        left = min(left, budget.limit - used)
        rows.append(
            (debit.key, used, window_ends_at, locked_until, max(window_ends_at, locked_until))
        )
    for row in rows:
        tx.run("INSERT OR REPLACE INTO counter VALUES (?, ?, ?, ?, ?)", *row)
    return Debited(left=left)


def give_back(tx: Transaction, debits: Sequence[Debit]) -> None:
    for debit in debits:
        tx.run(
            "UPDATE counter SET used = used - 1, locked_until = 0 WHERE key = ? AND used > 0",
            debit.key,
        )


def sweep(tx: Transaction) -> Swept:
    envelope.say_awake(tx)
    before = tx.now - GRACE_SECONDS

    def remove(table: str) -> int:
        return tx.run(
            f"""DELETE FROM {table} WHERE rowid IN
            (SELECT rowid FROM {table} WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)""",  # noqa: S608
            before,
            SWEEP_ROWS,
        )

    secrets, is_all = _due(tx, before)
    one_each = [(number,) for number in secrets]
    # The receipt learns it with the removal: a clock set back must not call new what is no more.
    tx.db.executemany(
        """UPDATE receipt SET state = 'expired', ended_at = secret_expires_at, wrapped = x''
        WHERE number = ? AND state = 'new'""",
        one_each,
    )
    tx.db.executemany("DELETE FROM secret WHERE number = ?", one_each)
    envelope.end_windows(tx, one_each)
    tx.removed += secrets
    # Only when no expired content is left: a receipt outlives its secret, whatever the order of expiries.
    receipts = remove("receipt") if is_all else 0
    if receipts:
        eraser.drop_unused(tx.db)
    others = [remove(table) for table in ("answer", "counter", "daily_key", "token", "session")]
    tx.run("DELETE FROM writer WHERE at < ?", tx.now - 86_400)
    return Swept(
        secrets=len(secrets),
        receipts=receipts,
        others=sum(others),
        more=not is_all or SWEEP_ROWS in {receipts, *others},
    )


def _due(tx: Transaction, before: int) -> tuple[list[int], bool]:
    """One step's worth of secrets whose time has passed, and whether that is all of them."""
    rows = tx.db.execute(
        "SELECT number, length(body) FROM secret WHERE expires_at <= ? ORDER BY expires_at LIMIT ?",
        (before, SWEEP_ROWS),
    ).fetchall()
    numbers: list[int] = []
    room = SWEEP_BYTES
    for number, size in rows:
        if numbers and size > room:
            return numbers, False
        numbers.append(number)
        room -= size
    return numbers, len(rows) < SWEEP_ROWS


def secret(
    secret_id: bytes, facts: Sequence[Any], head: bytes, body: bytes, now: int
) -> StoredSecret:
    kind, has_passphrase, created_at, expires_at = facts
    return StoredSecret(
        secret_id=secret_id,
        kind=KINDS[kind],
        has_passphrase=bool(has_passphrase),
        created_at=created_at,
        expires_at=expires_at,
        head=head,
        body=body,
        now=now,
    )


def receipt(row: Sequence[Any], now: int) -> StoredReceipt:
    (
        receipt_id,
        secret_id,
        kind,
        stored_state,
        has_passphrase,
        created_at,
        secret_expires_at,
        expires_at,
        ended_at,
        acknowledged,
        wrong_tries,
        wrapped,
        listing,
        acknowledged_at,
        window_ends_at,
    ) = row
    state = STATES[stored_state]
    if state is State.NEW and secret_expires_at <= now:
        state, ended_at = State.EXPIRED, secret_expires_at
    if state is State.CLAIMED and window_ends_at <= now:
        state, window_ends_at = State.REVEALED, None
    return StoredReceipt(
        receipt_id=receipt_id,
        secret_id=secret_id,
        kind=KINDS[kind],
        state=state,
        has_passphrase=bool(has_passphrase),
        created_at=created_at,
        secret_expires_at=secret_expires_at,
        expires_at=expires_at,
        ended_at=ended_at,
        acknowledged=bool(acknowledged),
        wrong_tries=wrong_tries,
        wrapped=wrapped,
        listing=listing,
        now=now,
        acknowledged_at=acknowledged_at,
        window_ends_at=window_ends_at,
    )


def session(row: Sequence[Any]) -> Session:
    session_id, account, created_at, expires_at, data = row
    return Session(
        session_id=session_id,
        account=account,
        data=data,
        created_at=created_at,
        expires_at=expires_at,
    )
