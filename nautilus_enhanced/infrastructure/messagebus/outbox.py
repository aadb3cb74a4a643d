"""
Which messages are sent next: taken from the lanes when they are due, without I/O.

While a batch is in flight the next one is taken, numbered and encoded, so that the server and
this process work at the same time. It is not sent before the fate of the one in flight is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.delivery import Batch
from nautilus_enhanced.infrastructure.messagebus.wakeup import IDLE


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

    from nautilus_enhanced.infrastructure.messagebus.buffers import PriorityBuffers
    from nautilus_enhanced.infrastructure.messagebus.lanes import Lane
    from nautilus_enhanced.infrastructure.messagebus.settings import StreamSettings
    from nautilus_enhanced.infrastructure.messagebus.wire import RouteTable


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
    buffers : PriorityBuffers
        The lanes.
    routes : RouteTable
        Finds stream and command of a topic.
    settings : StreamSettings
        Bounds of a batch.
    """

    def __init__(
        self, buffers: PriorityBuffers, routes: RouteTable, settings: StreamSettings
    ) -> None:
        self._buffers = buffers
        self._routes = routes
        self._settings = settings
        self._prepared = Batch()
        self._urgent_went_alone = False
        self._flushed_at: dict[Lane, int] = {}
        self.is_closing = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._buffers)} queued, {len(self)} prepared)"

    def __len__(self) -> int:
        """Return the messages that were taken from the lanes and not handed out."""
        return len(self._prepared)

    @property
    def is_empty(self) -> bool:
        """Return whether neither the lanes nor the outbox hold anything."""
        return not self._prepared and not len(self._buffers)

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
            urgent = self._gather(now_ns, [self._urgent(lane) for lane in self._buffers.lanes])
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

    def is_due(self, lane: Lane, now_ns: int) -> bool:
        """Return whether a lane's messages are to be sent now."""
        waiting = len(lane)
        return waiting > 0 and (
            lane.is_urgent
            or waiting >= lane.half_full
            or self.is_closing
            or now_ns >= self._flushed_at.get(lane, 0) + lane.flush_interval_ns
        )

    def shortest_interval_ns(self) -> int:
        """Return the shortest flush interval of the lanes that hold something."""
        intervals = (lane.flush_interval_ns for lane in self._buffers.lanes if len(lane))
        return min(intervals, default=IDLE)

    def due_in_ns(self, now_ns: int) -> int:
        """Return nanoseconds until something is due, 0 or less if it is now."""
        lanes = self._buffers.lanes
        waits = [
            self._flushed_at.get(lane, 0) + lane.flush_interval_ns - now_ns
            for lane in lanes
            if len(lane)
        ]
        if self._prepared or any(self.is_due(lane, now_ns) for lane in lanes):
            return 0
        return min(waits, default=IDLE)

    def _collect(self, now_ns: int) -> Batch:
        """Make a batch of what is due; of the urgent lanes only, if it is their turn."""
        lanes = self._buffers.lanes
        due = [len(lane) if self.is_due(lane, now_ns) else 0 for lane in lanes]
        if not any(due):
            return Batch()
        urgent = [self._urgent(lane) for lane in lanes]
        goes_alone = any(urgent) and urgent != due and not self._urgent_went_alone
        self._urgent_went_alone = goes_alone
        return self._gather(now_ns, urgent if goes_alone else due)

    @staticmethod
    def _urgent(lane: Lane) -> int:
        return len(lane) if lane.is_urgent else 0

    def _gather(self, now_ns: int, wanted: list[int]) -> Batch:
        """Take messages from the lanes, as many of each as it wants or as its share is."""
        batch = Batch()
        bytes_left = self._settings.batch_bytes
        limit = batch_limit(sum(wanted), self._settings.batch_messages)
        shares = plan_batch(wanted, limit)
        for lane, waiting, share in zip(self._buffers.lanes, wanted, shares, strict=True):
            if share == 0:
                continue
            # At least one, however large those of the lanes before it: else it would starve.
            taken = lane.take(share, max(bytes_left, 1))
            if len(taken) == waiting:
                # Only a lane that was emptied begins a new interval.
                self._flushed_at[lane] = now_ns
            if taken:
                batch.add(lane, taken, self._routes.routes(topic for topic, _, _ in taken))
                bytes_left -= sum(len(payload) for _, payload, _ in taken)
        return batch
