"""What was done to a server and what it answered: one line of JSON for each operation and each event.

Every value that is shared is made up from a *marker*, the secret's name in the history (`value_of`), so a value that comes
back says which secret it is, whole or damaged. Keys lie in the history too: whoever continues after a restart needs them,
and nothing in here is anybody's secret.

`start` and `end` are readings of the monotonic clock, which all processes of a machine share: they order operations.
`at` is the wall clock at `start`; the server's own clock is that plus the shift of the last CLOCK event.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self


class Act(StrEnum):
    CONCEAL = "conceal"
    REVEAL = "reveal"
    BURN = "burn"
    RECEIPT = "receipt"
    # Of end-to-end secrets (device.py).
    CREATE = "create"
    CLAIM = "claim"
    SETTLE = "settle"
    DESTROY = "destroy"  # by who holds the link
    WITHDRAW = "withdraw"  # by its sender
    TRACK = "track"  # its receipt


class Outcome(StrEnum):
    OK = "ok"
    REFUSED = "refused"
    UNKNOWN = "unknown"  # no answer, or one that does not say whether it happened


class Kind(StrEnum):
    START = "start"  # started at start, ready at end
    KILL = "kill"  # the process group was killed somewhere between start and end
    TERM = "term"  # asked to stop at start, gone at end
    FULL = "full"  # creates may be refused for want of room
    CLOCK = "clock"  # the server's clock was shifted; `shift` seconds from then on
    SWEPT = "swept"  # everything that expired before `before` on the server's clock has been swept
    BROKEN = "broken"  # the scenario saw a promise broken: `rule` and `text`


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One request. `found` is the marker of the value that came back, even in part; `facts` what the answer said.

    Of an end-to-end secret `device` is who asked, and `proof` whether with the right one.
    """

    act: Act
    marker: str
    process: str
    start: float
    end: float
    at: float
    outcome: Outcome
    status: int = 0
    found: str = ""
    device: str = ""
    proof: bool = True
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def end_at(self) -> float:
        return self.at + (self.end - self.start)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    kind: Kind
    start: float
    end: float
    shift: float = 0.0
    before: float = 0.0
    rule: str = ""
    text: str = ""

    @classmethod
    def now(
        cls, kind: Kind, *, since: float | None = None, shift: float = 0.0, before: float = 0.0
    ) -> Self:
        end = time.monotonic()
        start = end if since is None else since
        return cls(kind=kind, start=start, end=end, shift=shift, before=before)

    @classmethod
    def broken(cls, rule: str, text: str) -> Self:
        now = time.monotonic()
        return cls(kind=Kind.BROKEN, start=now, end=now, rule=rule, text=text)


Line = Operation | Event


class History:
    """Appends to a file that one process writes; other processes have files of their own in the same folder."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def add(self, line: Line) -> None:
        self._file.write(json.dumps(asdict(line), separators=(",", ":")) + "\n")

    def close(self) -> None:
        self._file.close()


def read(folder: Path, processes: str = "*") -> list[Line]:
    """Every line of these processes, in the order in which things began."""
    lines = [line for path in sorted(folder.glob(f"{processes}.jsonl")) for line in _lines(path)]
    return sorted(lines, key=lambda line: line.start)


def _lines(path: Path) -> Iterator[Line]:
    with path.open(encoding="utf-8") as file:
        for text in file:
            record = json.loads(text)
            if "act" in record:
                record["act"] = Act(record["act"])
                record["outcome"] = Outcome(record["outcome"])
                yield Operation(**record)
            else:
                record["kind"] = Kind(record["kind"])
                yield Event(**record)


def operations(lines: Iterable[Line]) -> Iterator[Operation]:
    return (line for line in lines if isinstance(line, Operation))


def events(lines: Iterable[Line]) -> Iterator[Event]:
    return (line for line in lines if isinstance(line, Event))


def value_of(marker: str, size: int) -> str:
    """The value shared under a marker: `~marker~size~` and hex digits up to `size` characters."""
    head = f"~{marker}~{size}~"  # nothing that a form would escape: that takes long
    digits = hashlib.sha256(head.encode()).hexdigest()
    return (head + digits * (size // len(digits) + 1))[: max(size, len(head))]


def marker_of(value: str) -> str:
    """The marker whose value this is; `damaged` if it is not exactly what was shared."""
    _, marker, size, *_ = [*value.split("~", 3), "", ""]
    whole = size.isdecimal() and value == value_of(marker, int(size))
    return marker if whole else "damaged"
