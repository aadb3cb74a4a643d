"""
Which message is handled next: decided here, without an event loop, a clock or a thread.

A lane is one FIFO of pairs, the route and then the bare message: a tuple for each message would
keep the garbage collector busy with every backlog.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum
from enum import unique
from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from typing import Protocol


if TYPE_CHECKING:
    from collections.abc import Callable


@unique
class DispatchLane(IntEnum):
    """
    Rank the lanes of the dispatcher, first served first.

    STARTUP holds everything in order of arrival until the trader has started. ORDER_FLOW is
    the commands and events of the risk and the execution engine: one FIFO, because a command
    that overtakes an order event acts on a position that is gone. DATA is all four queues of
    the data engine: one FIFO, because a book's snapshot and its changes belong together.
    """

    STARTUP = 0
    ORDER_FLOW = 1
    DATA = 2
    LOW = 3


class Route(Protocol):
    """Where a message goes; one for each queue of an engine and lane it uses."""

    lane: DispatchLane
    is_open: bool

    def handle(self, message: Any) -> None:
        """Handle the message; what its handler raises is dealt with here."""

    def close(self) -> None:
        """Note that the sentinel was reached: what follows waits for the next opening."""


# A lane that waits is served out of turn as soon as it is owed this many nanoseconds, so that
# what it gets comes in pieces worth the switch.
OWED_NS: Final = 25_000


class DispatchCore:
    """
    Hold the lanes and decide which is served.

    ORDER_FLOW is served before DATA and DATA before LOW, message by message. A lane that has
    to wait for another one is owed `min_share` of the time that passes. `post` may be called
    from any thread, everything else only from the thread that serves.

    Parameters
    ----------
    clock_ns : Callable[[], int]
        A monotonic clock, in nanoseconds.
    min_share : float
        The share of the time that is owed to a lane that waits.
    """

    __slots__ = ("_clock_ns", "_held", "_lanes", "_min_share", "_owed_ns", "_targets", "served")

    def __init__(self, clock_ns: Callable[[], int], min_share: float) -> None:
        self._clock_ns = clock_ns
        self._min_share = min_share
        self._lanes: tuple[deque[Any], ...] = tuple(deque() for _ in DispatchLane)
        self._held: tuple[deque[Any], ...] = tuple(deque() for _ in DispatchLane)
        self._owed_ns = [0.0] * len(DispatchLane)
        self._targets = self._lanes
        self.served = [0] * len(DispatchLane)

    # -- any thread ------------------------------------------------------------------------------

    def post(self, route: Route, message: Any) -> None:
        """
        Append a message (or the sentinel None) to the route's lane.

        One call of ``deque.extend`` with a tuple appends both without another thread between.
        """
        self._targets[route.lane].extend((route, message))

    def has_work(self) -> bool:
        """Return whether a lane holds anything that is not held back by a closed route."""
        return any(self._lanes)

    # -- the serving thread ----------------------------------------------------------------------

    @property
    def in_startup(self) -> bool:
        """Return whether all messages are served in order of arrival."""
        return self._targets is not self._lanes

    def begin_startup(self) -> None:
        """
        Serve everything in order of arrival, and never by slices, from now on.

        What an earlier run left goes first, order flow before data: a command of this run must
        not overtake an order event of that one.
        """
        if self.in_startup:
            return
        startup = self._lanes[DispatchLane.STARTUP]
        left: list[Any] = []
        self._take_all(DispatchLane.STARTUP, left)
        # From here on other threads post behind what is being moved.
        self._targets = (startup,) * len(DispatchLane)
        for lane in list(DispatchLane)[1:]:
            self._take_all(lane, left)
        startup.extendleft(reversed(left))

    def end_startup(self) -> None:
        """Serve by lanes and slices from now on; what came before goes first."""
        self._targets = self._lanes

    def depth(self, lane: DispatchLane) -> int:
        """Return the messages in a lane, those held back by a closed route included."""
        return (len(self._lanes[lane]) + len(self._held[lane])) // 2

    def release_held(self) -> None:
        """Put what closed routes held back in front again, in its old order."""
        for lane, held in zip(self._lanes, self._held, strict=True):
            lane.extendleft(reversed(held))
            held.clear()

    def serve(self, slice_ns: int) -> bool:
        """
        Handle messages for a slice, or during startup until nothing is left.

        Parameters
        ----------
        slice_ns : int
            Nanoseconds after which no further message is begun. At least one is handled.

        Returns
        -------
        bool
            Whether there is more to serve.
        """
        clock_ns = self._clock_ns
        now_ns = clock_ns()
        end_ns = now_ns + slice_ns
        while True:
            index = self._next_lane()
            if index is None:
                return False
            lane = self._lanes[index]
            route = lane.popleft()
            message = lane.popleft()
            if not route.is_open:
                self._held[index].extend((route, message))
                continue
            if message is None:
                route.close()
                continue
            try:
                route.handle(message)
            finally:
                self.served[index] += 1
                before_ns, now_ns = now_ns, clock_ns()
                self._account(index, now_ns - before_ns)
            if now_ns >= end_ns and not self.in_startup:
                return self.has_work()

    def _take_all(self, lane: DispatchLane, into: list[Any]) -> None:
        """Move what a lane holds, what is held back first; others may post meanwhile."""
        for queue in (self._held[lane], self._lanes[lane]):
            while queue:
                into.append(queue.popleft())

    def _next_lane(self) -> int | None:
        lanes = self._lanes
        for owed in (DispatchLane.LOW, DispatchLane.DATA):
            if self._owed_ns[owed] >= OWED_NS and lanes[owed]:
                return owed
        for index, lane in enumerate(lanes):
            if lane:
                return index
        return None

    def _account(self, served: int, spent_ns: int) -> None:
        """Note what serving one lane cost the lanes that wait, and what it got of its share."""
        owed = self._owed_ns
        credit = owed[served]
        if credit >= OWED_NS:
            # It was served out of turn: what its handler took beyond its credit is a debt.
            owed[served] = credit - spent_ns
        elif credit > 0.0:
            owed[served] = max(0.0, credit - spent_ns)
        for index in range(DispatchLane.DATA, len(owed)):
            owed[index] += spent_ns * self._min_share
            if owed[index] > 0.0 and not self._lanes[index]:
                # Who does not wait saves nothing up, but a debt stays until time has paid it:
                # else a lane with one slow message at a time would take all there is.
                owed[index] = 0.0
