"""The vault in Valkey: secrets in memory, and what the server's own log of writes keeps of it.

Each verb is one function in the server (valkey.lua), and a batch of operations is one write to the connection: the replies
come after the server's commit, which the operations of the batch share.

What the promise rests on is said where it is done: in valkey.lua (one caller), in `link` (which servers are refused), and in
`_commit` below (what an operation without a reply means).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from msgspec import Struct
from valkey import exceptions

from onetime.errors import Conflict, Full, Misconfigured, OnetimeError, Unavailable
from onetime.model import Handed, Settled
from onetime.storage.batch import GroupCommit, Operation
from onetime.storage.port import (
    Debit,
    Debited,
    KeyName,
    KeyUse,
    Looked,
    NewAnswer,
    NewSecret,
    Refusal,
    Refused,
    Session,
    Stored,
    StoredReceipt,
    StoredSecret,
    Swept,
    Tries,
)
from onetime.storage.vault import link, steps
from onetime.storage.vault.envelope import SLEPT_SECONDS
from onetime.storage.vault.link import LIBRARY, LOST, TLS, VERSION, Command, Dial, Line, Link
from onetime.storage.vault.transaction import STATES

R = TypeVar("R")

# Of the keys and fields in valkey.lua. Functions may differ while it is the same.
SCHEMA_VERSION = 1

# Seconds from a call to "Unavailable", while the store is away. A batch of many bytes gets more.
PATIENCE_SECONDS = 1.8
# Where nobody listens, nobody is waited for as long.
REFUSED_SECONDS = 1.0
# At the start, for the first connection.
CONNECT_SECONDS = 10.0
BYTES_A_SECOND = 10_000_000
# Seconds to find out what became of an operation, before its caller is told that nobody knows. The server keeps its answer for
# longer (TOKEN_MS), and begins nothing in the last tenth.
PROOF_SECONDS = 5.0
PAUSE_SECONDS = 0.03
# For replicas, before the batch is looked for anew.
WAIT_MS = 1000
# As TOKEN_MS in valkey.lua, and one more.
TOKEN_SECONDS = 11.0
FOR_EVER = 1 << 52

# A scrub has the log of writes written anew while the vault takes no more memory than this, in bytes; a larger one leaves it to
# the server's auto-aof-rewrite-percentage.
REWRITE_BYTES = 64 << 20
REWRITE_SECONDS = 60.0

Text = bytes | str | int


class Answer(Struct, gc=False):
    """What the store said of one step, as of the instant `now`; nothing, numbers and bytes, or rows of them."""

    now: int
    said: list[Any]

    @property
    def word(self) -> str:
        """The first; empty if there is none."""
        return self.said[0].decode() if self.said else ""


class Step(Generic[R]):
    """An operation on its way to the store: a function of valkey.lua, its arguments, and what its answer means to the caller."""

    __slots__ = ("args", "arrived_at", "begun", "name", "read", "size", "token")

    def __init__(self, name: str, read: Callable[[Answer], R], *args: Text) -> None:
        if not all(isinstance(each, (bytes, str, int)) for each in args):
            raise TypeError("only bytes, words and numbers can be sent")
        self.name = name
        self.read = read
        self.args = args
        self.size = sum(len(each) for each in args if isinstance(each, bytes))
        self.token = os.urandom(16)
        self.arrived_at = 0.0
        self.begun = False

    def __call__(self, answer: Answer) -> R:
        return self.read(answer)

    def command(self, not_after: int) -> Command:
        return ("FCALL", f"onetime_{VERSION}_{self.name}", 0, self.token, not_after, *self.args)


class ValkeyVault:
    """`VaultStore` in a Valkey server, for any number of processes on any number of machines."""

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float],
        max_bytes: int,
        dial: Dial,
        library: str,
        proof_seconds: float,
        patience: float,
    ) -> None:
        self._url = url
        self._clock = clock
        self._max_bytes = min(max_bytes, FOR_EVER)
        self._proof_seconds = proof_seconds
        self._patience = patience
        self._replicas = link.replicas(url)
        self._writer = Link(url, dial=dial, library=library)
        self._reader = Link(url, dial=dial, library=library)
        self._keeper = Link(url, dial=dial, library=library)  # scrubs
        self._commits = GroupCommit[Answer](self._commit)
        self._looks = GroupCommit[Answer](self._look_up)
        # Seconds that the store's clock is ahead of this process's.
        self._offset = 0.0
        self._has_learned = False
        # When this process last wrote anything, by the store's clock.
        self._awake_at = 0
        # When something was last removed, and a scrub begun, by the loop's clock; at the start nobody knows what a crash left.
        self._removed_at = _in(0)
        self._scrubbed_at = 0.0
        self._scrubbing = asyncio.Lock()

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        clock: Callable[[], float] = time.time,
        max_bytes: int = FOR_EVER,
        dial: Dial = link.dial,
        library: str = LIBRARY,
        proof_seconds: float = PROOF_SECONDS,
        patience: float = PATIENCE_SECONDS,
    ) -> ValkeyVault:
        """Connect, and bring this version's functions. `clock` is the process's; what counts is the store's.

        Raises:
            Misconfigured: the server is not safe to use or refuses us.
            Unavailable: it cannot be reached.
        """
        store = cls(
            url,
            clock=clock,
            max_bytes=max_bytes,
            dial=dial,
            library=library,
            proof_seconds=proof_seconds,
            patience=patience,
        )
        try:
            await _at_the_start(store._writer)
            await store.ready()
        except OnetimeError:
            await store.close()
            raise
        return store

    def now(self) -> int:
        return int(self._clock() + self._offset)

    def skew(self) -> float:
        return -self._offset

    # Keys

    async def adopt(self, keys: Sequence[KeyName]) -> None:
        def read(answer: Answer) -> None:
            match answer.word:
                case "other":
                    raise Misconfigured(
                        "ONETIME_ROOT_KEY (or root.key) is not the key this data was written with; "
                        "restore it, or list it in ONETIME_OLD_ROOT_KEYS"
                    )
                case "lacking":
                    raise Misconfigured(
                        "ONETIME_OLD_ROOT_KEYS lacks a key that living secrets were sealed with"
                    )
                case "newer":
                    raise Misconfigured(
                        "The vault was written by a newer version "
                        f"(schema {int(answer.said[1])}, this program knows {SCHEMA_VERSION})"
                    )

        pairs = [part for key in keys for part in (key.number, key.verifier)]
        await self._submit(Step("adopt", read, SCHEMA_VERSION, *pairs))

    async def key_uses(self) -> list[KeyUse]:
        return await self._look(Step("key_uses", _key_uses))

    # Secrets and receipts

    async def put(self, secret: NewSecret, *, answer: NewAnswer | None = None) -> Stored:
        if secret.secret_id[:4] != secret.receipt_id[:4]:
            raise ValueError("a secret and its receipt begin with the same shard tag")

        def read(said: Answer) -> Stored:
            match said.word:
                case "stored":
                    return Stored()
                case "earlier":
                    return Stored(earlier=said.said[1])
                case "known":
                    is_envelope = secret.open_hash is not None
                    return Stored(created_at=int(said.said[1]) if is_envelope else None)
                case "full":
                    raise Full
            raise Conflict("There is, or was, something else under this id")

        return await self._submit(
            Step(
                "put",
                read,
                int(secret.has_passphrase),
                secret.created_at,
                secret.expires_at,
                secret.receipt_expires_at,
                secret.key_number,
                secret.kind.value,
                secret.secret_id,
                secret.receipt_id,
                secret.head,
                secret.body,
                secret.wrapped,
                secret.open_hash or b"",
                secret.owner or b"",
                secret.listing_id or b"",
                secret.listing or b"",
                answer.answer_id if answer else b"",
                answer.sealed if answer else b"",
                answer.expires_at if answer else 0,
                self._max_bytes,
            )
        )

    async def peek(self, secret_id: bytes) -> StoredSecret | None:
        def read(answer: Answer) -> StoredSecret | None:
            return _secret(secret_id, answer, b"") if answer.said else None

        return await self._look(Step("peek", read, secret_id))

    async def take(
        self, secret_id: bytes, *, proof: bytes = b"", refund: Sequence[Debit] = ()
    ) -> StoredSecret | None:
        def read(answer: Answer) -> StoredSecret | None:
            if not answer.said:
                return None
            self._has_removed()
            return _secret(secret_id, answer, answer.said[5])

        return await self._submit(Step("take", read, secret_id, proof, *_keys(refund)))

    async def burn(self, secret_id: bytes, *, refund: Sequence[Debit] = ()) -> bool:
        def read(answer: Answer) -> bool:
            self._has_removed()
            return answer.word == "burned"

        return await self._submit(Step("burn", read, secret_id, *_keys(refund)))

    async def show_once(self, receipt_id: bytes, *, within: int) -> StoredSecret | None:
        def read(answer: Answer) -> StoredSecret | None:
            return _secret(answer.said[6], answer, answer.said[5]) if answer.said else None

        return await self._submit(Step("show_once", read, receipt_id, within))

    async def receipt(self, receipt_id: bytes) -> StoredReceipt | None:
        def read(answer: Answer) -> StoredReceipt | None:
            return _receipt(answer.said[0], answer.now) if answer.said else None

        await self._stay_awake()
        return await self._look(Step("receipt", read, receipt_id))

    async def receipts_of(
        self, owner: bytes, *, limit: int, before: int | None = None
    ) -> list[StoredReceipt]:
        def read(answer: Answer) -> list[StoredReceipt]:
            return [_receipt(row, answer.now) for row in answer.said]

        await self._stay_awake()
        newest = "+inf" if before is None else f"({before}"
        return await self._look(Step("receipts_of", read, owner, newest, limit))

    # End-to-end secrets

    async def look(self, secret_id: bytes) -> Looked | None:
        def read(answer: Answer) -> Looked | None:
            if not answer.said:
                return None
            state, *said = answer.said
            has_passphrase, size, created_at, expires_at, window_ends_at, tries, locked_until = map(
                _number, said
            )
            return Looked(
                state=STATES[state.decode()],
                has_passphrase=bool(has_passphrase),
                size_bytes=size or 0,
                created_at=created_at or 0,
                secret_expires_at=expires_at or 0,
                window_ends_at=window_ends_at,
                wrong_tries=tries or 0,
                locked_until=locked_until if (locked_until or 0) > answer.now else None,
                now=answer.now,
            )

        await self._stay_awake()
        return await self._look(Step("look", read, secret_id))

    async def claim(
        self, secret_id: bytes, *, open_hash: bytes, claim_hash: bytes, window: int, tries: Tries
    ) -> Handed | Refused | None:
        def read(answer: Answer) -> Handed | Refused | None:
            match answer.word:
                case "":
                    return None
                case "handed":
                    if not window:
                        self._has_removed()
                    _, until, body = answer.said
                    return Handed(body=body, window_ends_at=int(until), now=answer.now)
            return _refused(answer, tries)

        return await self._submit(
            Step("claim", read, secret_id, open_hash, claim_hash, window, *_tries(tries))
        )

    async def settle(self, secret_id: bytes, *, claim_hash: bytes) -> Settled | None:
        def read(answer: Answer) -> Settled | None:
            if not answer.said:
                return None
            self._has_removed()
            return Settled(acknowledged_at=answer.said[0], now=answer.now)

        return await self._submit(Step("settle", read, secret_id, claim_hash))

    async def burn_proved(
        self, secret_id: bytes, *, open_hash: bytes, claim_hash: bytes, tries: Tries
    ) -> bool | Refused:
        def read(answer: Answer) -> bool | Refused:
            self._has_removed()
            match answer.word:
                case "":
                    return False
                case "burned":
                    return True
            return _refused(answer, tries)

        return await self._submit(
            Step("burn_proved", read, secret_id, open_hash, claim_hash, *_tries(tries))
        )

    # Attempts and rate counters

    async def spend(
        self, secret_id: bytes, *, total: int, debits: Sequence[Debit]
    ) -> Debited | None:
        def read(answer: Answer) -> Debited | None:
            return _debited(answer) if answer.said else None

        return await self._submit(Step("spend", read, secret_id, total, *_budgets(debits)))

    async def refund(self, secret_id: bytes, debits: Sequence[Debit]) -> None:
        await self._submit(Step("refund", _nothing, secret_id, *_keys(debits)))

    async def count(self, debit: Debit) -> Debited:
        return await self._submit(Step("count", _debited, *_budgets([debit])))

    async def daily_key(self, day: int, candidate: bytes, *, expires_at: int) -> bytes:
        def read(answer: Answer) -> bytes:
            key: bytes = answer.said[0]
            return key

        return await self._submit(Step("daily_key", read, day, candidate, expires_at))

    # What is used once, and sessions

    async def put_token(
        self, token_id: bytes, *, purpose: str, body: bytes, expires_at: int
    ) -> None:
        def read(answer: Answer) -> None:
            if not answer.said[0]:
                raise Conflict("There is such a token")

        await self._submit(Step("put_token", read, token_id, purpose, body, expires_at))

    async def take_token(self, token_id: bytes, *, purpose: str) -> bytes | None:
        def read(answer: Answer) -> bytes | None:
            self._has_removed()
            return answer.said[0] if answer.said else None

        return await self._submit(Step("take_token", read, token_id, purpose))

    async def put_session(self, session: Session) -> None:
        def read(answer: Answer) -> None:
            if not answer.said[0]:
                raise Conflict("There is such a session")

        await self._submit(
            Step(
                "put_session",
                read,
                session.session_id,
                session.account,
                session.data,
                session.created_at,
                session.expires_at,
            )
        )

    async def session(self, session_id: bytes) -> Session | None:
        def read(answer: Answer) -> Session | None:
            return _session(answer.said[0]) if answer.said else None

        return await self._look(Step("session", read, session_id))

    async def sessions_of(self, account: bytes) -> list[Session]:
        def read(answer: Answer) -> list[Session]:
            return [_session(row) for row in answer.said]

        return await self._look(Step("sessions_of", read, account))

    async def extend_session(self, session_id: bytes, *, expires_at: int) -> bool:
        return await self._submit(Step("extend_session", _has_changed, session_id, expires_at))

    async def end_session(self, session_id: bytes) -> bool:
        self._has_removed()
        return await self._submit(Step("end_session", _has_changed, session_id))

    async def end_sessions_of(self, account: bytes, *, but: bytes | None = None) -> int:
        def read(answer: Answer) -> int:
            number: int = answer.said[0]
            return number

        self._has_removed()
        return await self._submit(Step("end_sessions_of", read, account, but or b""))

    # Upkeep

    async def sweep(self) -> Swept:
        def read(answer: Answer) -> Swept:
            secrets, receipts, others, more = answer.said
            if secrets or receipts or others:
                self._has_removed()
            return Swept(secrets=secrets, receipts=receipts, others=others, more=bool(more))

        return await self._submit(Step("sweep", read))

    async def scrub(self) -> None:
        """Have the server's log of writes written anew, so that it holds only what lives.

        What was handed over lives on under its token for a while; so the last removals need another scrub after that.
        """
        if self._removed_at + TOKEN_SECONDS < self._scrubbed_at:
            return
        async with self._scrubbing:
            begun_at = _in(0)
            try:
                async with asyncio.timeout(REWRITE_SECONDS):
                    await self._scrub(await self._keeper.line())
            except BaseException as error:
                await self._keeper.give_up()
                if isinstance(error, (*LOST, exceptions.ValkeyError)):
                    raise Unavailable(f"The store cannot be scrubbed: {_why(error)}") from None
                raise
            self._scrubbed_at = begun_at

    @staticmethod
    async def _scrub(line: Line) -> None:
        memory = await link.facts(line, "memory")
        kept = await link.facts(line, "persistence")
        if kept["aof_enabled"] != "1" or int(memory["used_memory_dataset"]) > REWRITE_BYTES:
            return
        is_begun = False
        while True:
            if not is_begun:
                try:
                    await line.ask("BGREWRITEAOF")
                    is_begun = True
                except exceptions.ResponseError as error:
                    # One that began earlier may have passed what was removed since.
                    if "in progress" not in f"{error}":
                        raise
            await asyncio.sleep(PAUSE_SECONDS)
            kept = await link.facts(line, "persistence")
            if is_begun and kept["aof_rewrite_in_progress"] == kept["aof_rewrite_scheduled"] == "0":
                return

    def _has_removed(self) -> None:
        self._removed_at = _in(0)

    async def doubts(self) -> list[str]:
        """What of the promise this server cannot keep, a sentence each; docs/storage.md has the rest."""
        try:
            async with asyncio.timeout(self._patience):
                line = await self._keeper.line()
                kept = await link.facts(line, "persistence")
                replicas = int((await link.facts(line, "replication"))["connected_slaves"])
                settings = await _settings(line)
        except (*LOST, exceptions.ValkeyError) as error:
            await self._keeper.give_up()
            raise Unavailable(_why(error)) from None
        writes_log = kept["aof_enabled"] == "1"
        is_remote = not link.is_here(self._url)
        doubts = {
            "appendonly is off: a restart of the server loses every secret": not writes_log,
            f"appendfsync is {settings.get('appendfsync')}: a power cut loses what was just shared, and "
            "may bring back what was just read; always keeps the promise": writes_log
            and settings.get("appendfsync") not in {"always", None},
            "appendfsync cannot be seen by this user (CONFIG GET); only always keeps the promise": writes_log
            and not settings,
            "save is set: snapshots (dump.rdb) keep what was read until the next one": bool(
                settings.get("save")
            ),
            f"replicas are {replicas}, and {self._replicas} are waited for: one that is promoted may lack what was just shared, and "
            "may give out again what was just read": replicas > self._replicas,
            "no-appendfsync-on-rewrite is on: a power cut at the wrong moment loses what was just shared, and may "
            "bring back what was just read": settings.get("no-appendfsync-on-rewrite") == "yes",
            "the connection to the server is not encrypted; valkeys:// is": is_remote
            and self._url.partition(":")[0] not in TLS,
        }
        return [doubt for doubt, is_so in doubts.items() if is_so]

    async def ready(self) -> None:
        await self._submit(Step("ready", _nothing))

    async def close(self) -> None:
        await self._commits.close()
        await self._looks.close()
        for each in (self._writer, self._reader, self._keeper):
            await each.close()

    # Machinery

    async def _submit(self, step: Step[R]) -> R:
        return await self._wait(self._commits, step)

    async def _look(self, step: Step[R]) -> R:
        return await self._wait(self._looks, step)

    async def _wait(self, group: GroupCommit[Answer], step: Step[R]) -> R:
        """The answer. Withdrawn, and Unavailable, if it has waited in vain for its batch to begin."""
        loop = asyncio.get_running_loop()
        step.arrived_at = loop.time()
        caller = asyncio.current_task()
        withdrawn = False

        def withdraw() -> None:
            nonlocal withdrawn
            if caller is not None and not step.begun:
                withdrawn = caller.cancel()

        timer = loop.call_at(step.arrived_at + self._patience, withdraw)
        try:
            return await group.submit(step, size=step.size)
        except asyncio.CancelledError:
            if withdrawn and caller is not None and caller.uncancel() == 0:
                raise Unavailable from None
            raise
        finally:
            timer.cancel()

    async def _stay_awake(self) -> None:
        """Before a question about windows: after a silence, those that were slept through are given first."""
        if self.now() - self._awake_at > SLEPT_SECONDS:
            await self.ready()

    def _deadline(self, batch: Sequence[Step[Any]]) -> float:
        """Until when the first of the batch waits; the last moment to begin it has not passed."""
        size = sum(step.size for step in batch)
        first = min(step.arrived_at for step in batch)
        return max(first + self._patience + size / BYTES_A_SECOND, _in(0.1))

    async def _look_up(self, operations: Sequence[Operation[Answer, Any]]) -> Sequence[Any]:
        batch = _begin(operations)
        begun_at = _in(0)
        deadline = self._deadline(batch)
        round_ = _Round(batch)
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    await self._ask(self._reader, round_, 0)
            except (*LOST, OnetimeError, exceptions.ValkeyError) as error:
                await self._reader.give_up()
                deadline = _sooner(deadline, error, begun_at)
                if not await _may_try_again(deadline):
                    return round_.given_up(Unavailable(_why(error)))
            else:
                return round_.results

    async def _commit(self, operations: Sequence[Operation[Answer, Any]]) -> Sequence[Any]:
        """All in one write, and then the replies, which come when the server has committed.

        Where replies are lost, the operations are sent again with their tokens: the server gives the first answer of one that it
        knows and does the others. Whichever copy of an operation comes late, when its caller was told that nobody knows,
        finds its time over and does nothing.
        """
        batch = _begin(operations)
        begun_at = _in(0)
        deadline = self._deadline(batch)
        proof_at: float | None = None
        round_ = _Round(batch)
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    await self._writer.line()
                proof_at = proof_at or _in(self._proof_seconds)
                async with asyncio.timeout_at(min(proof_at, max(deadline, _in(self._patience)))):
                    await self._ask(self._writer, round_, proof_at)
                if not round_.open:
                    return round_.results
            except (*LOST, OnetimeError, exceptions.ValkeyError) as error:
                await self._writer.give_up()
                # As long as nothing was sent, nothing has happened.
                deadline = proof_at or _sooner(deadline, error, begun_at)
                if not await _may_try_again(deadline):
                    return round_.given_up(Unavailable(_why(error)))
            if proof_at is not None and _in(0) > proof_at:
                return round_.given_up(Unavailable("It is not known whether that has happened"))

    async def _ask(self, link_: Link, round_: _Round, proof_at: float) -> None:
        """Send what is open in the round, and fill in what is answered, in order.

        Raises:
            LOST and others: the rest has no answer.
        """
        line = await link_.line()
        sent = list(round_.open)
        asked_at = self._clock()
        # In the store's time. Until its clock is known nothing is too late.
        not_after = FOR_EVER
        if self._has_learned and link_ is self._writer:
            left = 0.9 * max(proof_at - _in(0), 0)
            not_after = int((asked_at + self._offset + left) * 1e6)
        commands = [round_.batch[place].command(not_after) for place in sent]
        waits = bool(self._replicas) and link_ is self._writer
        if waits:
            commands.append(("WAIT", self._replicas, WAIT_MS))
        await line.send(commands)
        results: dict[int, Any] = {}
        lost: Exception | None = None
        for place in sent:
            try:
                instant, *said = await line.read_response()
            except exceptions.ResponseError as error:
                if isinstance(error, LOST) or link.is_without_functions(error):
                    lost = error  # it was not done; the others' replies are read all the same
                else:
                    results[place] = _meaning(error)
                continue
            now = self._learn(instant, asked_at)
            if said == [b"late"]:
                continue
            if link_ is self._writer:
                self._awake_at = now
            try:
                results[place] = round_.batch[place].read(Answer(now, said))
            except Exception as error:  # noqa: BLE001 - a refusal, or a bug that must not fail its neighbours
                results[place] = error
            if not waits:
                round_.answer(place, results.pop(place))
        if waits and await line.read_response() < self._replicas:
            # Until they have it, what has happened may still be undone: nobody is answered.
            raise TimeoutError
        for place, result in results.items():
            round_.answer(place, result)
        if lost is not None:
            raise lost

    def _learn(self, instant: int, asked_at: float) -> int:
        """The store's time; how far the process's clock is from it."""
        # Somewhere between question and answer; what was known before stays, if it fits. A millisecond is for the rounding.
        earliest = instant / 1e6 - self._clock() - 0.001
        latest = instant / 1e6 - asked_at + 0.001
        self._offset = min(max(self._offset, earliest), latest)
        self._has_learned = True
        return instant // 1_000_000


class _Round:
    """A batch, and what is known of it."""

    def __init__(self, batch: list[Step[Any]]) -> None:
        self.batch = batch
        self.results: list[Any] = [None] * len(batch)
        self.open = dict.fromkeys(range(len(batch)))

    def answer(self, place: int, result: Any) -> None:
        self.results[place] = result
        del self.open[place]

    def given_up(self, error: Exception) -> list[Any]:
        for place in list(self.open):
            self.answer(place, error)
        return self.results


async def prepare(url: str, *, dial: Dial = link.dial) -> None:
    """Load the functions of this version.

    Raises:
        Misconfigured: the server is not safe to use or refuses us.
        Unavailable: it cannot be reached.
    """
    one = Link(url, dial=dial)
    try:
        await _at_the_start(one)
    finally:
        await one.close()


async def inspect(url: str, *, dial: Dial = link.dial) -> list[KeyUse]:
    """Whether a service with this URL could serve, and what its living secrets need.

    Raises:
        Misconfigured: it could not.
        Unavailable: the server cannot be reached.
    """
    one = Link(url, dial=dial, library=None)
    try:
        await _at_the_start(one)
        line = await one.line()
        _, *said = await line.ask(*Step("key_uses", _key_uses).command(0))
    except (*LOST, exceptions.ValkeyError) as error:
        raise _refusal(error) from None
    finally:
        await one.close()
    return _key_uses(Answer(0, said))


async def _at_the_start(one: Link) -> None:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await one.line()
    except (*LOST, exceptions.ValkeyError, ValueError) as error:
        raise _refusal(error) from None


def _refusal(error: BaseException) -> Misconfigured | Unavailable:
    """Why there is no start. A server that is away may come back, so to try again later is right."""
    line = f"ONETIME_VAULT_URL: {_why(error)}"
    is_away = isinstance(error, LOST) and not isinstance(error, exceptions.AuthenticationError)
    return Unavailable(line) if is_away else Misconfigured(line)


async def _settings(line: Line) -> dict[str, str]:
    """What CONFIG says; nothing where this user may not ask."""
    try:
        said = await line.ask("CONFIG", "GET", "appendfsync", "save", "no-appendfsync-on-rewrite")
    except exceptions.ResponseError:
        return {}
    return {said[at].decode(): said[at + 1].decode() for at in range(0, len(said), 2)}


def _begin(operations: Sequence[Operation[Answer, Any]]) -> list[Step[Any]]:
    batch: list[Any] = list(operations)
    for step in batch:
        step.begun = True
    return batch


def _in(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


def _cause(error: BaseException) -> BaseException:
    """valkey-py says all that goes wrong with a connection in one class; what it was is below."""
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    return error


def _sooner(deadline: float, error: BaseException, begun_at: float) -> float:
    is_refused = isinstance(_cause(error), ConnectionRefusedError)
    return min(deadline, begun_at + REFUSED_SECONDS) if is_refused else deadline


async def _may_try_again(deadline: float) -> bool:
    await asyncio.sleep(PAUSE_SECONDS)
    return asyncio.get_running_loop().time() < deadline


def _number(said: Any) -> int | None:
    return None if said is None else int(said)


def _keys(debits: Sequence[Debit]) -> list[bytes]:
    return [debit.key for debit in debits]


def _budgets(debits: Sequence[Debit]) -> list[Text]:
    return [
        part
        for debit in debits
        for part in (debit.key, debit.budget.limit, debit.budget.window, debit.budget.lock)
    ]


def _tries(tries: Tries) -> tuple[int, ...]:
    return tries.free, tries.lock, tries.longest_lock, tries.total


def _debited(answer: Answer) -> Debited:
    left, refused, retry_after = answer.said
    return Debited(left=left, refused=refused, retry_after=retry_after)


def _refused(answer: Answer, tries: Tries) -> Refused:
    why = Refusal(answer.word)
    if why is Refusal.WRONG:
        _, wrong_tries, lock = answer.said
        return Refused(why=why, left=0 if lock else tries.left(wrong_tries))
    if why is Refusal.LOCKED:
        return Refused(why=why, retry_after=answer.said[1])
    return Refused(why=why)


def _secret(secret_id: bytes, answer: Answer, body: bytes) -> StoredSecret:
    kind, has_passphrase, created_at, expires_at, head, *_ = answer.said
    facts = (kind.decode(), int(has_passphrase), int(created_at), int(expires_at))
    return steps.secret(secret_id, facts, head, body, answer.now)


def _receipt(row: Sequence[Any], now: int) -> StoredReceipt:
    receipt_id, secret_id, kind, state, *rest = row
    has_passphrase, created_at, secret_expires_at, expires_at, ended_at, wrong_tries = map(
        _number, rest[:6]
    )
    wrapped, listing, acknowledged_at, window_ends_at = rest[6:]
    return steps.receipt(
        (
            receipt_id,
            secret_id,
            kind.decode(),
            state.decode(),
            has_passphrase,
            created_at,
            secret_expires_at,
            expires_at,
            ended_at,
            acknowledged_at is not None,
            wrong_tries,
            wrapped,
            listing,
            _number(acknowledged_at),
            _number(window_ends_at),
        ),
        now,
    )


def _session(row: Sequence[Any]) -> Session:
    session_id, account, created_at, expires_at, data = row
    return steps.session((session_id, account, int(created_at), int(expires_at), data))


def _key_uses(answer: Answer) -> list[KeyUse]:
    numbers = list(map(int, answer.said))
    uses = zip(numbers[::2], numbers[1::2], strict=True)
    return [KeyUse(number=number, needed_until=until) for number, until in sorted(uses)]


def _has_changed(answer: Answer) -> bool:
    return bool(answer.said[0])


def _nothing(_answer: Answer) -> None:
    pass


def _why(error: BaseException) -> str:
    """A few words for the log and the operator, which never hold the URL."""
    if isinstance(error, OnetimeError):
        return f"{error}"
    if isinstance(error, (TimeoutError, exceptions.TimeoutError)):
        return "Valkey did not answer in time"
    if isinstance(error, exceptions.AuthenticationError):
        return "Valkey refuses this user or password"
    if isinstance(error, exceptions.ReadOnlyError):
        return "that server is a replica, and a replica may not know yet what was read"
    if isinstance(error, (OSError, exceptions.ConnectionError)):
        below = _cause(error)
        said = (below.strerror if isinstance(below, OSError) else None) or f"{below}"
        return f"Valkey cannot be reached ({said})".splitlines()[0]
    if isinstance(error, exceptions.ResponseError):
        return f"Valkey: {error}".splitlines()[0]
    return f"the connection to Valkey was lost ({type(error).__name__})"


def _meaning(error: exceptions.ResponseError) -> Exception:
    """What the caller is told. The server refuses before it has begun anything."""
    if isinstance(error, exceptions.OutOfMemoryError):
        return Full()
    return Unavailable(f"The store failed: {_why(error)}")
