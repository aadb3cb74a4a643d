"""
Which messages are sent next: taken from the lanes when they are due, without I/O.

While a batch is in flight the next one is taken, numbered and encoded, so that the server and
this process work at the same time. It is not sent before the fate of the one in flight is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import Batch
from nautilus_enhanced.infrastructure.messagebus.publishing.wakeup import IDLE


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

    from nautilus_enhanced.infrastructure.messagebus.publishing.sources import Source
    from nautilus_enhanced.infrastructure.messagebus.publishing.wire import RouteTable
    from nautilus_enhanced.infrastructure.messagebus.settings.streams import StreamSettings


# A waiting lane gets at least one message in this many of a batch, however long the lanes
# before it are.
LANE_SHARE: Final = 16

# Messages of a batch as long as there is no backlog, and the part of a backlog that one takes.
SMALL_BATCH: Final = 64
BACKLOG_SHARE: Final = 16


def batch_limit(queued: int, most: int) -> int:
    """
    Return how many messages a batch may hold.

    Parameters
    ----------
    queued : int
        Messages that wait.
    most : int
        Messages that a batch may ever hold.

    Returns
    -------
    int
        64 where few messages wait: making a batch keeps the interpreter from the thread that
        trades, and a short one keeps it for 60 microseconds, not for 200. Of a backlog a part in
        `BACKLOG_SHARE`, up to `most`, since large batches are sent faster.
    """
    return min(most, max(SMALL_BATCH, queued // BACKLOG_SHARE))


def plan_batch(queued: Sequence[int], limit: int) -> list[int]:
    """
    Share a batch among the lanes that are due.

    Parameters
    ----------
    queued : sequence of int
        Messages that each lane would like to send, most urgent lane first.
    limit : int
        Messages that the batch may hold.

    Returns
    -------
    list[int]
        Messages for each lane: the urgent ones first, but at least a sixteenth of the batch
        for each lane that waits, so that none starves when the batch has room for one of each.
    """
    reserve = max(1, limit // LANE_SHARE)
    shares = [0] * len(queued)
    left = limit
    for index, wanted in enumerate(queued):
        kept_back = sum(min(reserve, later) for later in queued[index + 1 :])
        shares[index] = min(wanted, max(min(reserve, left), left - kept_back))
        left -= shares[index]
    return shares


class Outbox:
    """
    Make batches of what the lanes hold.

    Urgent messages that find others waiting go in a batch of their own, so that they are in
    their stream after one short exchange. The batch after that has both.

    Parameters
    ----------
    sources : Sequence[Source]
        Where messages come from, one for each lane, most urgent first.
    routes : RouteTable
        Finds stream and command of a topic.
    settings : StreamSettings
        Bounds of a batch.
    """

    def __init__(
        self, sources: Sequence[Source], routes: RouteTable, settings: StreamSettings
    ) -> None:
        self._sources = sources
        self._routes = routes
        self._settings = settings
        self._prepared = Batch()
        self._urgent_went_alone = False
        self._flushed_at: dict[Source, int] = {}
        self.is_closing = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.queued} queued, {len(self)} prepared)"

    def __len__(self) -> int:
        """Return the messages that were taken from the lanes and not handed out."""
        return len(self._prepared)

    @property
    def queued(self) -> int:
        """Return the messages that wait to be taken."""
        return sum(map(len, self._sources))

    @property
    def is_empty(self) -> bool:
        """Return whether neither the lanes nor the outbox hold anything."""
        return not self._prepared and not self.queued

    @property
    def prepared(self) -> Batch:
        """Return the batch that was made and not handed out; it may be empty."""
        return self._prepared

    def restore(self, batch: Batch) -> None:
        """Hand out `batch` next: it was prepared by an earlier process."""
        self._prepared = batch

    def take(self, now_ns: int) -> Batch:
        """
        Return the next batch, with the IDs it has got already; empty if nothing is due.

        Parameters
        ----------
        now_ns : int
            Nanoseconds of the monotonic clock.
        """
        prepared = self._prepared
        if not prepared:
            self._routes.forget_if_full()
            return self._collect(now_ns)
        urgent = Batch()
        # Of one lane nothing goes before what was taken earlier.
        if not self._urgent_went_alone and not any(lane.is_urgent for lane in prepared.sources):
            urgent = self._gather(now_ns, [self._urgent(source) for source in self._sources])
        if not urgent:
            self._urgent_went_alone = all(lane.is_urgent for lane in prepared.sources)
            self._prepared = Batch()
            return prepared
        self._urgent_went_alone = True
        if not prepared.streams.isdisjoint(urgent.streams):
            # What goes out later needs the higher number.
            prepared.renumber()
        return urgent

    def prepare(
        self, now_ns: int, now_ms: int, encode: Callable[[Batch], object] = Batch.encode
    ) -> None:
        """
        Make the batch after the one in flight, if it is due.

        Parameters
        ----------
        now_ns, now_ms : int
            Nanoseconds of the monotonic clock and milliseconds of the wall clock.
        encode : Callable[[Batch], object], optional
            Encodes the batch, once it has IDs.
        """
        # A route table that is full is emptied when no batch is held.
        if self._prepared or self._routes.is_full:
            return
        self._prepared = self._collect(now_ns)
        if self._prepared and not self._prepared.unknown_streams():
            self._prepared.number(now_ms)
            encode(self._prepared)

    def renumber(self) -> None:
        """Forget the IDs of what is prepared: messages before it will get new ones."""
        self._prepared.renumber()

    def abandon(self) -> None:
        """Count what is prepared as abandoned."""
        prepared, self._prepared = self._prepared, Batch()
        prepared.abandon()

    def is_due(self, source: Source, now_ns: int) -> bool:
        """Return whether messages of a source are to be sent now."""
        waiting, lane = len(source), source.lane
        return waiting > 0 and (
            lane.is_urgent
            or waiting >= lane.half_full
            or source.has_backlog
            or self.is_closing
            or now_ns >= self._flushed_at.get(source, 0) + lane.flush_interval_ns
        )

    def shortest_interval_ns(self) -> int:
        """Return the shortest flush interval of the lanes that hold something."""
        intervals = (source.lane.flush_interval_ns for source in self._sources if len(source))
        return min(intervals, default=IDLE)

    def due_in_ns(self, now_ns: int) -> int:
        """Return nanoseconds until something is due, 0 or less if it is now."""
        waits = [
            self._flushed_at.get(source, 0) + source.lane.flush_interval_ns - now_ns
            for source in self._sources
            if len(source)
        ]
        if self._prepared or any(self.is_due(source, now_ns) for source in self._sources):
            return 0
        return min(waits, default=IDLE)

    def _collect(self, now_ns: int) -> Batch:
        """Make a batch of what is due; of the urgent lanes only, if it is their turn."""
        due = [len(source) if self.is_due(source, now_ns) else 0 for source in self._sources]
        if not any(due):
            return Batch()
        urgent = [self._urgent(source) for source in self._sources]
        goes_alone = any(urgent) and urgent != due and not self._urgent_went_alone
        self._urgent_went_alone = goes_alone
        return self._gather(now_ns, urgent if goes_alone else due)

    @staticmethod
    def _urgent(source: Source) -> int:
        return len(source) if source.lane.is_urgent else 0

    def _gather(self, now_ns: int, wanted: list[int]) -> Batch:
        """Take messages from the lanes, as many of each as it wants or as its share is."""
        batch = Batch()
        bytes_left = self._settings.batch_bytes
        limit = batch_limit(sum(wanted), self._settings.batch_messages)
        shares = plan_batch(wanted, limit)
        for source, waiting, share in zip(self._sources, wanted, shares, strict=True):
            if share == 0:
                continue
            # At least one, however large those of the lanes before it: else it would starve.
            count, size = source.fill(batch, share, max(bytes_left, 1), self._routes)
            if count == waiting:
                # Only a lane that was emptied begins a new interval.
                self._flushed_at[source] = now_ns
            bytes_left -= size
        return batch
