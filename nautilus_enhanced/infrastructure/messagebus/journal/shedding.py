"""What is given up when the journal, or its disk, is full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nautilus_enhanced.infrastructure.messagebus.journal.ledger import SHED_ORDER


if TYPE_CHECKING:
    from collections.abc import Sequence

    from nautilus_enhanced.infrastructure.messagebus.journal.disk import JournalDisk
    from nautilus_enhanced.infrastructure.messagebus.journal.lane import JournaledLane
    from nautilus_enhanced.infrastructure.messagebus.journal.ledger import JournalLedger
    from nautilus_enhanced.infrastructure.messagebus.journal.ledger import StoredRun


class Shedding:
    """
    Make room in the order LOW, NORMAL, oldest first; nothing of order flow is ever given up.

    Under the journal's lock.

    Parameters
    ----------
    lanes : Sequence[JournaledLane]
        What waits, most urgent first.
    ledger : JournalLedger
        What the journal holds.
    disk : JournalDisk
        Where it holds it.
    max_bytes : int
        Bytes that it may hold.
    """

    def __init__(
        self,
        lanes: Sequence[JournaledLane],
        ledger: JournalLedger,
        disk: JournalDisk,
        max_bytes: int,
    ) -> None:
        self._lanes = lanes
        self._ledger = ledger
        self._disk = disk
        self._max_bytes = max_bytes
        self._is_over_limit = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._ledger.size}/{self._max_bytes} bytes)"

    @property
    def problem(self) -> str:
        """Return what stands in the way of writing more, or an empty string."""
        if self._is_over_limit and self._ledger.size < self._max_bytes // 2:
            self._is_over_limit = False
        if not self._is_over_limit:
            return ""
        return f"it holds {self._ledger.size:,} bytes of the {self._max_bytes:,} that it may take"

    def make_room(self, source: JournaledLane, size: int) -> bool:
        """Give up what may be until `size` bytes of a lane fit; return whether they do."""
        while self._ledger.size + size > self._max_bytes:
            if not self._shed_oldest():
                self._is_over_limit = True
                return False
        return not self._disk.problem or self._replace(source, size)

    def _replace(self, source: JournaledLane, size: int) -> bool:
        """On a full disk, give up what may be for order flow; return whether that made room."""
        if source.lane.priority in SHED_ORDER:
            return False
        before = self._ledger.size
        while before - self._ledger.size < 2 * size:
            if not self._shed_oldest():
                return False
        return self._disk.forget()

    def _shed_oldest(self) -> bool:
        """Give up what is next to be given up; return whether there was anything."""
        oldest = tuple(lane.unread[0] if lane.unread else None for lane in self._lanes)
        found = self._ledger.shed_next(oldest)
        if found is None:
            return False
        self._shed(*found)
        return True

    def _shed(self, lane: int, run: StoredRun) -> None:
        source = self._lanes[lane]
        source.unread.popleft()
        stored = self._disk.read(lane, run)
        if stored is not None:
            for index, topic in enumerate(stored.topics):
                gap = 1 + stored.gaps.get(index, 0)
                source.shed_gaps[topic] = source.shed_gaps.get(topic, 0) + gap
        source.give_up(run, "shed")
