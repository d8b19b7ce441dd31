"""What happened around the requests of a history: kills, stops, full disks, clocks; and what a rule says when it is broken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.faults.history import Event, Kind, Operation


@dataclass(frozen=True, slots=True)
class Violation:
    rule: str
    marker: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.marker or '-'}: {self.text}"


class World:
    """What happened around the requests."""

    def __init__(self, happened: Sequence[Event]) -> None:
        self.events = sorted(happened, key=lambda event: event.start)
        self._clock = [event for event in self.events if event.kind is Kind.CLOCK]

    def stop_of(self, operation: Operation) -> Event | None:
        """The kill or stop that this ran into: it ended after that began, and began before the next start."""
        stop = None
        for event in self.events:
            if event.kind in {Kind.KILL, Kind.TERM} and operation.end >= event.start:
                stop = event
            elif event.kind is Kind.START and operation.start >= event.start:
                stop = None
        return stop

    def is_full(self, operation: Operation) -> bool:
        return any(
            event.kind is Kind.FULL
            and operation.start <= event.end
            and operation.end >= event.start
            for event in self.events
        )

    def server_time(self, operation: Operation) -> tuple[float, float]:
        """Earliest and latest reading of the server's clock while this ran."""
        shifts = self._shifts(operation.start, operation.end)
        return operation.at + min(shifts), operation.end_at + max(shifts)

    def latest_ever(self, operation: Operation) -> float:
        """The latest that the server's clock has shown up to the end of this."""
        wall = operation.at - operation.start
        ends = [event.end for event in self._clock if event.end < operation.end]
        shifts = [0.0, *(event.shift for event in self._clock)]
        seen = [
            wall + end + shift for end, shift in zip([*ends, operation.end], shifts, strict=False)
        ]
        return max([*seen, self.server_time(operation)[1]])

    def swept_before(self, operation: Operation) -> float:
        """What expired before this reading of the server's clock is surely gone when this begins."""
        swept = [
            event.before
            for event in self.events
            if event.kind is Kind.SWEPT and event.end <= operation.start
        ]
        return max(swept, default=0.0)

    def _shifts(self, start: float, end: float) -> list[float]:
        before = [event.shift for event in self._clock if event.end < start]
        within = [event.shift for event in self._clock if event.end >= start and event.start <= end]
        return [before[-1] if before else 0.0, *within]
