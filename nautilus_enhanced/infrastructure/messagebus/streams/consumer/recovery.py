"""
What a consumer does with entries that were read and never acknowledged.

Their reader may have been killed, and one of them may be what killed it. So what was read once is
taken together, and what was read more often alone, one at a time in the whole process: what ends
the process a third time is known, and of what was with it nothing comes near the bound.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING
from typing import Final

import msgspec

from nautilus_enhanced.infrastructure.messagebus.publishing.wire import EntryId
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import FIRST_ID
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import next_id


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Container
    from collections.abc import Iterable
    from collections.abc import Sequence

    from nautilus_enhanced.infrastructure.messagebus.streams.commands import PendingEntry
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.read_stream import ReadStream


PAGE: Final = 100


class ListPending(msgspec.Struct, frozen=True):
    """Ask for pending entries whose ID is not less than `after`."""

    after: EntryId


class Claim(msgspec.Struct, frozen=True):
    """Claim these entries and hand them to the handler."""

    entries: tuple[PendingEntry, ...]


class Bury(msgspec.Struct, frozen=True):
    """Claim this entry and put it among the dead letters."""

    entry: PendingEntry


class Wait(msgspec.Struct, frozen=True):
    """Wait until the entry that was claimed last is acknowledged."""


Step = ListPending | Claim | Bury | Wait | None


class Suspects:
    """Let one entry that was read more than once be in hand, of all streams of a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entry: tuple[ReadStream, bytes] | None = None
        self._is_claimed = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._entry})"

    def take(self, stream: ReadStream, raw_id: bytes) -> bool:
        """Take the turn for an entry, unless another one has it."""
        with self._lock:
            if self._entry is not None:
                of, other_id = self._entry
                if not self._is_claimed or (other_id in of.in_hand and not of.is_lost):
                    return False
            self._entry = stream, raw_id
            self._is_claimed = False
            return True

    def claimed(self, stream: ReadStream) -> None:
        """Note that the entry is in hand by now if it could be claimed: its turn ends with that."""
        with self._lock:
            if self._entry is not None and self._entry[0] is stream:
                self._is_claimed = True


class PendingWork:
    """
    Go through the pending entries of one stream, in order.

    Parameters
    ----------
    max_deliveries : int
        How often an entry is read before it is a dead letter.
    min_idle_ms : int
        Milliseconds for which nobody may have touched an entry; 0 where all that is pending is
        this consumer's to take.
    forced : iterable of bytes, default ()
        What this process has made pending itself.

    Attributes
    ----------
    unlisted : set[bytes]
        What of that has not been listed: when there is no more to do, it is not pending.
    """

    def __init__(
        self, max_deliveries: int, min_idle_ms: int = 0, forced: Iterable[bytes] = ()
    ) -> None:
        self._max_deliveries = max_deliveries
        self.min_idle_ms = min_idle_ms
        self._queue: deque[PendingEntry] = deque()
        self._cursor: EntryId | None = FIRST_ID
        self._alone: bytes | None = None
        self.unlisted = set(forced)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._queue)} listed, cursor={self._cursor})"

    def listed(self, page: Sequence[PendingEntry], in_hand: Container[bytes]) -> None:
        """
        Take over the answer to a `ListPending`.

        Parameters
        ----------
        page : Sequence[PendingEntry]
            The entries.
        in_hand : Container[bytes]
            Those that this process has already.
        """
        self.unlisted.difference_update(entry.raw_id for entry in page)
        self._queue.extend(
            entry
            for entry in page
            if entry.raw_id not in in_hand and entry.idle_ms >= self.min_idle_ms
        )
        self._cursor = next_id(page[-1].entry_id) if len(page) == PAGE else None

    def next(
        self, in_hand: Container[bytes], may_take: Callable[[bytes], bool] = lambda _: True
    ) -> Step:
        """
        Return the next step; None if there is no more to do.

        Parameters
        ----------
        in_hand : Container[bytes]
            The entries that this process has and that are not acknowledged.
        may_take : Callable[[bytes], bool], optional
            Whether it may take this entry, of this or any stream, which was read more than once.
        """
        if self._alone is not None:
            if self._alone in in_hand:
                return Wait()
            self._alone = None
        if not self._queue:
            return None if self._cursor is None else ListPending(self._cursor)
        entry = self._queue[0]
        if entry.deliveries >= self._max_deliveries:
            return Bury(self._queue.popleft())
        if entry.deliveries > 1:
            if not may_take(entry.raw_id):
                return Wait()
            self._alone = entry.raw_id
            return Claim((self._queue.popleft(),))
        together = [self._queue.popleft()]
        while self._queue and self._queue[0].deliveries <= 1:
            together.append(self._queue.popleft())
        return Claim(tuple(together))
