"""
What the journal holds and what of it is still needed: kept in memory, without I/O.

It knows numbers, sizes and times; the messages are on disk.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Iterable
from typing import Final

import msgspec

from nautilus_enhanced.infrastructure.messagebus.journal.numbers import NumberSet
from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority


# What a row costs beside its messages, in the file and in memory.
ROW_BYTES: Final = 256

# What is given up first when the journal is full; order flow never is.
SHED_ORDER: Final = (MessagePriority.LOW, MessagePriority.NORMAL)


class StoredRun(msgspec.Struct, order=True):
    """
    A run of messages of one lane in one row.

    Attributes
    ----------
    first, end : int
        The number of the first message, and that behind the last.
    position : int
        The row.
    size : int
        Bytes that the run takes.
    at_ns : int
        When it was stored, in nanoseconds since the UNIX epoch.
    """

    first: int
    end: int
    position: int
    size: int
    at_ns: int


class LaneLedger:
    """
    What the journal holds of one lane.

    Attributes
    ----------
    settled : NumberSet
        The messages whose fate is known.
    runs : list[StoredRun]
        What is on disk and not settled as a whole, oldest first.
    next_number : int
        The number of the next message that leaves the lane.
    """

    __slots__ = ("next_number", "runs", "settled")

    def __init__(self) -> None:
        self.settled = NumberSet()
        self.runs: list[StoredRun] = []
        self.next_number = 0

    @property
    def unsettled(self) -> int:
        """Return the messages on disk whose fate is not known."""
        return sum(
            run.end
            - max(run.first, self.settled.below)
            - sum(
                max(0, min(end, run.end) - max(first, run.first))
                for first, end in self.settled.ranges
            )
            for run in self.runs
        )


class JournalLedger:
    """
    Keep account of the rows of a journal.

    Attributes
    ----------
    lanes : tuple[LaneLedger, ...]
        One for each priority.
    size : int
        Bytes that the rows take which are still needed.
    """

    def __init__(self) -> None:
        self.lanes = tuple(LaneLedger() for _ in MessagePriority)
        self.size = 0
        self._runs_of: Counter[int] = Counter()
        self._state_at: int | None = None
        self._useless: list[int] = []

    def __repr__(self) -> str:
        return f"{type(self).__name__}({sum(self._runs_of.values())} runs, {self.size} bytes)"

    @property
    def is_empty(self) -> bool:
        """Return whether every message that was stored is settled."""
        return not self._runs_of

    def note_run(self, lane: int, run: StoredRun) -> None:
        """Note that messages were stored; a run that is settled already is not needed."""
        of = self.lanes[lane]
        of.next_number = max(of.next_number, run.end)
        self._runs_of[run.position] += 1
        self.size += run.size + ROW_BYTES
        # Nearly always at the end.
        insort(of.runs, run)
        self._forget_settled(lane)

    def note_state(self, position: int) -> None:
        """Note that the row at `position` has the state that holds now."""
        before, self._state_at = self._state_at, position
        if before is not None and before != position and not self._runs_of[before]:
            self._useless.append(before)

    def settle(self, lane: int, numbers: Iterable[int]) -> None:
        """Note that the fate of messages is known."""
        settled = self.lanes[lane].settled
        begin = end = -1
        for number in numbers:
            if number == end:
                end += 1
                continue
            settled.add(begin, end)
            begin, end = number, number + 1
        settled.add(begin, end)
        self._forget_settled(lane)

    def restore_settled(self, settled: list[tuple[int, list[tuple[int, int]]]]) -> None:
        """Take over what an earlier state says is settled."""
        for lane, (of, (below, ranges)) in enumerate(zip(self.lanes, settled, strict=True)):
            of.settled = NumberSet(below, ranges)
            of.next_number = max(of.next_number, below, *(end for _, end in ranges), 0)
            self._forget_settled(lane)

    def settled_state(self) -> list[tuple[int, list[tuple[int, int]]]]:
        """Return what is settled, as a state says it."""
        return [(lane.settled.below, lane.settled.ranges) for lane in self.lanes]

    def take_useless(self) -> list[int]:
        """Return the rows that are not needed any more, each once."""
        useless, self._useless = self._useless, []
        return useless

    def forget_rows(self) -> None:
        """Note that the file was made anew, when it held nothing that was needed."""
        self._state_at = None
        self._useless = []

    def shed_next(self, unread: tuple[StoredRun | None, ...]) -> tuple[int, StoredRun] | None:
        """
        Return lane and run to give up when the journal is full; None if nothing may be.

        Parameters
        ----------
        unread : tuple[StoredRun or None, ...]
            For each lane, the oldest run that is on disk only.
        """
        for lane in SHED_ORDER:
            run = unread[lane]
            if run is not None:
                return lane, run
        return None

    def _forget_settled(self, lane: int) -> None:
        """Drop the runs that are settled as a whole, and the rows that nobody needs then."""
        of = self.lanes[lane]
        settled, runs = of.settled, of.runs
        ranges = settled.ranges
        limit = ranges[-1][1] if ranges else settled.below
        looked_at = 0
        kept: list[StoredRun] = []
        gone: list[StoredRun] = []
        while looked_at < len(runs) and runs[looked_at].first < limit:
            run = runs[looked_at]
            (gone if settled.has_all(run.first, run.end) else kept).append(run)
            looked_at += 1
        if not gone:
            return
        runs[:looked_at] = kept
        for run in gone:
            self.size -= run.size + ROW_BYTES
            self._runs_of[run.position] -= 1
            if not self._runs_of[run.position]:
                del self._runs_of[run.position]
                if run.position != self._state_at:
                    self._useless.append(run.position)
