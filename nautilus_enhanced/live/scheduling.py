"""
Which message is handled next: decided here, without an event loop, a clock or a thread.

Messages of one route, the *bulk* route, stand in their lanes bare; every other message stands
in an envelope that names its route. In a node the bulk is market data: an object for each quote
that waits would keep the garbage collector busy with every backlog.
"""

from __future__ import annotations

import sys
from collections import deque
from enum import IntEnum
from enum import unique
from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from typing import NamedTuple
from typing import Protocol

from nautilus_enhanced.infrastructure.messagebus.publishing.tally import Tally


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sized


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
    # Whether its messages are market data or about it, whatever their lane.
    holds_data: bool

    @property
    def origin(self) -> tuple[str, str]:
        """Return the names of the engine and of its queue."""

    @property
    def is_open(self) -> bool:
        """Return whether messages are handled rather than held back."""

    def handle(self, message: Any) -> None:
        """Handle the message; what its handler raises is dealt with here."""

    def close(self) -> None:
        """Note that the sentinel was reached: what follows waits for the next opening."""


class Receiver(Protocol):
    """The engine that the messages of the bulk route are for."""

    def _handle_data(self, data: Any) -> None:
        """Handle a message."""


class BulkRoute(Route, Protocol):
    """
    The route whose messages stand in their lanes bare.

    They are given to the receiver without a call in between, which each quote would pay for. Its
    method is looked up each time, as stock does: a replaced one is the one that runs.
    """

    handled: int

    @property
    def receiver(self) -> Receiver:
        """Return whom they are for."""

    def on_raised(self, error: BaseException) -> None:
        """Deal with what the receiver raised; raise what is not to be dealt with."""


class Envelope:
    """A message and where it goes."""

    __slots__ = ("message", "route")

    def __init__(self, route: Route, message: Any) -> None:
        self.route = route
        self.message = message


class Carrier:
    """A message that only stands for another one."""

    __slots__ = ()

    @property
    def carried_type(self) -> str:
        """Return the name of the type of the message that it stands for."""
        raise NotImplementedError


class LongestHandler(NamedTuple):
    """A handler, by what it handled and where that came from."""

    took_ns: int
    route: Route
    message_type: str


class _NoBulk:
    """Stand in where nothing is bulk: it gets no messages."""

    lane = DispatchLane.DATA
    holds_data = True
    origin = ("", "")
    is_open = False
    handled = 0

    @property
    def receiver(self) -> Receiver:
        """Return nobody else."""
        return self

    def handle(self, message: Any) -> None:
        """Do nothing."""

    _handle_data = handle

    def on_raised(self, error: BaseException) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


NO_BULK: Final = _NoBulk()

# Plain numbers: those of an enumeration cost several times as much where every quote meets them.
_STARTUP, _ORDER_FLOW, _DATA, _LOW = map(int, DispatchLane)

# A lane that waits is served out of turn as soon as it is owed this many nanoseconds, so that
# what it gets comes in pieces worth the switch.
OWED_NS: Final = 25_000

# What a message has led to when its slice ends goes on in the next ones before anything else, and
# with it what that leads to, up to this many messages: so that bars come before the orders of their
# tick however slow the handlers are and wherever the system takes the processor away, and a chain
# without end holds nothing up. One trade of a recording completes 20 bars of the same volume.
MAX_FOLLOW_UPS: Final = 128

# What is left of a slice after order flow, at most.
AFTER_ORDER_FLOW_NS: Final = 50_000


class DispatchCore:
    """
    Hold the lanes and decide which is served.

    ORDER_FLOW is served before DATA and DATA before LOW, message by message. Where nothing else
    waits, what the handler of a message posts to its own lane counts as a part of that message.
    A lane that has to wait for another one is owed `min_share` of the time that passes. Before
    all of them, and on nobody's account, goes what came until the trader had started.

    `post` may be called from any thread, everything else only from the thread that serves.

    Parameters
    ----------
    clock_ns : Callable[[], int]
        A monotonic clock, in nanoseconds.
    min_share : float
        The share of the time that is owed to a lane that waits.
    """

    __slots__ = (
        "_clock_ns",
        "_delivered",
        "_enveloped",
        "_follow_ups",
        "_follow_ups_left",
        "_followed_lane",
        "_held",
        "_lanes",
        "_longest_handler_ns",
        "_min_share",
        "_opened",
        "_orders_waited",
        "_owed_ns",
        "_targets",
        "bulk",
        "bulk_depth_max",
        "bulk_target",
        "longest_handler",
        "longest_slice_ns",
        "served",
        "slices",
    )

    def __init__(self, clock_ns: Callable[[], int], min_share: float) -> None:
        self._clock_ns = clock_ns
        self._min_share = min_share
        self._lanes: tuple[deque[Any], ...] = tuple(deque() for _ in DispatchLane)
        self._held: tuple[deque[Any], ...] = tuple(deque() for _ in DispatchLane)
        self._owed_ns = [0.0] * len(DispatchLane)
        self._targets = self._lanes
        # Envelopes posted and opened: what is left of the lanes' lengths is bulk. Those opened
        # that held no sentinel.
        self._enveloped = Tally()
        self._opened = 0
        self._delivered = 0
        # Messages of a lane that a slice left, and that go before everything else; and how many
        # these may be, with those they lead to.
        self._follow_ups = 0
        self._follow_ups_left = 0
        self._followed_lane = _DATA
        self._longest_handler_ns = 0
        # Whether an order did when the slice ended: they go before it, and before no other.
        self._orders_waited = False
        self.bulk_depth_max = 0
        self.bulk: BulkRoute = NO_BULK
        self.bulk_target = self._lanes[DispatchLane.DATA]
        self.served = [0] * len(DispatchLane)
        self.slices = 0
        self.longest_slice_ns = 0
        self.longest_handler: LongestHandler | None = None

    # -- any thread ------------------------------------------------------------------------------

    def post(self, route: Route, message: Any) -> None:
        """Append a message (or the sentinel None) to the route's lane: one step for all threads."""
        if route is self.bulk and message is not None:
            self.bulk_target.append(message)
            return
        self._enveloped.add(1)
        self._targets[route.lane].append(Envelope(route, message))

    def has_work(self) -> bool:
        """Return whether a lane holds anything that is not held back by a closed route."""
        return any(self._lanes)

    @property
    def bulk_depth(self) -> int:
        """Return the messages of the bulk route that wait."""
        entries = sum(map(len, self._lanes)) + sum(map(len, self._held))
        return max(0, entries - (self._enveloped.value - self._opened))

    def oldest_data_in(self, lane: DispatchLane) -> Any:
        """Return the message of market data that waits longest in a lane, or None."""
        entries = self._lanes[lane]
        # By index: others may append and take meanwhile, which an iterator does not bear.
        index = 0
        while True:
            try:
                entry = entries[index]
            except IndexError:
                return None
            if entry.__class__ is not Envelope:
                return entry
            if entry.route.holds_data and entry.message is not None:
                return entry.message
            index += 1

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
        self._follow_ups = 0
        startup = self._lanes[DispatchLane.STARTUP]
        left: list[Any] = []
        self._take_all(DispatchLane.STARTUP, left)
        # From here on other threads post behind what is being moved.
        self._targets = (startup,) * len(DispatchLane)
        self.bulk_target = startup
        for lane in list(DispatchLane)[1:]:
            self._take_all(lane, left)
        startup.extendleft(reversed(left))

    def end_startup(self) -> None:
        """Serve by lanes and slices from now on; what came before goes first."""
        self._targets = self._lanes
        self.bulk_target = self._lanes[DispatchLane.DATA]

    def depth(self, lane: DispatchLane) -> int:
        """Return the messages in a lane, those held back by a closed route included."""
        return len(self._lanes[lane]) + len(self._held[lane])

    def release_held(self) -> None:
        """Put what closed routes held back in front again, in its old order."""
        # In front of what the last slice has led to as well: that may be of the same queues.
        self._follow_ups = 0
        for lane, held in zip(self._lanes, self._held, strict=True):
            lane.extendleft(reversed(held))
            held.clear()

    def serve(self, slice_ns: int) -> bool:
        """
        Handle messages for a slice, or during startup until nothing is left.

        Parameters
        ----------
        slice_ns : int
            Nanoseconds after which no further message is begun. At least one is handled. After
            order flow a slice ends within 50 microseconds.

        Returns
        -------
        bool
            Whether there is more to serve.
        """
        if len(self.bulk_target) > self.bulk_depth_max:
            self.bulk_depth_max = max(self.bulk_depth_max, self.bulk_depth)
        self.slices += 1
        clock_ns = self._clock_ns
        slice_began_ns = begin_ns = clock_ns()
        end_ns = begin_ns + slice_ns
        if self._follow_ups and self._lanes[_ORDER_FLOW] and not self._orders_waited:
            # These did not come of what the last slice left, but while the event loop had its turn.
            self._follow_ups = 0
        while True:
            goes_on = self._follow_ups and self._lanes[self._followed_lane]
            index = self._followed_lane if goes_on else self._next_lane()
            if index is None:
                return False
            try:
                self._run(index, end_ns, begin_ns)
            finally:
                now_ns = clock_ns()
                self._account(index, now_ns - begin_ns)
                begin_ns = now_ns
                if now_ns - slice_began_ns > self.longest_slice_ns and not self.in_startup:
                    self.longest_slice_ns = now_ns - slice_began_ns
            if index == _ORDER_FLOW:
                # A command has led to a task of a client: the event loop gets its turn for it
                # soon. Not at once, or steady order flow would leave data its owed share only.
                end_ns = min(end_ns, now_ns + AFTER_ORDER_FLOW_NS)
            if now_ns >= end_ns and not self.in_startup:
                return self.has_work()

    def _run(self, index: int, end_ns: int, now_ns: int) -> None:
        """Handle messages of one lane until another one has its turn, or the time is up."""
        lane, held = self._lanes[index], self._held[index]
        popleft, clock_ns = lane.popleft, self._clock_ns
        # What may take over between two messages: nothing for the first lanes.
        _, order_flow, data, _ = self._lanes
        urgent: Sized = order_flow if index > _ORDER_FLOW else ()
        less_urgent: Sized = data if index > _DATA else ()
        credit_ns = self._owed_ns[index]
        if credit_ns >= OWED_NS:
            # Out of turn: others go on when the credit is used up, not when they have something.
            urgent = less_urgent = ()
            end_ns = min(end_ns, now_ns + int(credit_ns))
        bulk = self.bulk
        receiver = bulk.receiver
        count, delivered = 0, self._delivered
        follow_ups = self._follow_ups if index == self._followed_lane else 0
        self._follow_ups = 0
        is_rest = follow_ups > 0
        left = self._follow_ups_left if is_rest else sys.maxsize
        # The next time that matters: the end, or when one that began now would have taken longer
        # than any before. Whichever does ends after that, so one comparison finds both.
        look_ns = min(end_ns, now_ns + self._longest_handler_ns)
        try:
            while lane:
                entry = popleft()
                # What a message leads to at once, such as the bar that a tick completes, comes
                # before the orders it leads to, as long as nothing else waits.
                if follow_ups:
                    follow_ups -= 1
                    left -= 1
                    nothing_else_waits = len(lane) == follow_ups
                else:
                    nothing_else_waits = not lane
                if type(entry) is not Envelope and bulk.is_open:
                    count += 1
                    try:
                        receiver._handle_data(entry)  # noqa: SLF001 (what the stock queue task calls)
                    except BaseException as error:  # noqa: BLE001 (the route raises what is not for it)
                        bulk.on_raised(error)
                elif not self._open(entry, held):
                    now_ns = clock_ns()
                    continue
                began_ns, now_ns = now_ns, clock_ns()
                if nothing_else_waits and lane:
                    follow_ups = min(len(lane), left)
                if now_ns >= look_ns:
                    longest_ns = self._note_handler(entry, now_ns - began_ns)
                    if now_ns >= end_ns and not (index == 0 and self.in_startup):
                        self._leave(index, follow_ups, left)
                        return
                    look_ns = min(end_ns, now_ns + longest_ns)
                if not follow_ups and (urgent or less_urgent or is_rest):
                    return
        finally:
            self.served[index] += count + self._delivered - delivered
            bulk.handled += count

    def _note_handler(self, entry: Any, took_ns: int) -> int:
        """Note what was handled if nothing took longer; return the longest time."""
        # In startup nobody waits for it.
        if took_ns <= self._longest_handler_ns or self.in_startup:
            return self._longest_handler_ns
        is_enveloped = type(entry) is Envelope
        route: Route = entry.route if is_enveloped else self.bulk
        message = entry.message if is_enveloped else entry
        is_carrier = isinstance(message, Carrier)
        name = message.carried_type if is_carrier else type(message).__name__
        self._longest_handler_ns = took_ns
        self.longest_handler = LongestHandler(took_ns, route, name)
        return took_ns

    def _leave(self, index: int, follow_ups: int, left: int) -> None:
        """Note what the next slice goes on with."""
        # Order flow comes first without that, but not before what is owed to the others.
        if index > _ORDER_FLOW:
            self._followed_lane = index
            self._follow_ups = min(follow_ups, MAX_FOLLOW_UPS)
            self._follow_ups_left = min(left, MAX_FOLLOW_UPS)
            self._orders_waited = bool(self._lanes[_ORDER_FLOW])

    def _open(self, entry: Any, held: deque[Any]) -> bool:
        """Hand over what is in an envelope, or hold an entry back; False if nothing was handled."""
        if type(entry) is not Envelope or not entry.route.is_open:
            held.append(entry)
            return False
        self._opened += 1
        route = entry.route
        if entry.message is None:
            route.close()
            return False
        self._delivered += 1
        route.handle(entry.message)
        return True

    def _take_all(self, lane: DispatchLane, into: list[Any]) -> None:
        """Move what a lane holds, what is held back first; others may post meanwhile."""
        for queue in (self._held[lane], self._lanes[lane]):
            while queue:
                into.append(queue.popleft())

    def _next_lane(self) -> int | None:
        startup, order_flow, data, low = self._lanes
        if startup:
            # Before any credit: what stands here came before all that stands elsewhere.
            return _STARTUP
        owed_ns = self._owed_ns
        if low and owed_ns[_LOW] >= OWED_NS:
            return _LOW
        if data and owed_ns[_DATA] >= OWED_NS:
            return _DATA
        if order_flow:
            return _ORDER_FLOW
        if data:
            return _DATA
        return _LOW if low else None

    def _account(self, served: int, spent_ns: int) -> None:
        """Note what serving one lane cost the lanes that wait, and what it got of its share."""
        if served == _STARTUP:
            # Nobody waits for a share of it; a second of it would be worth 50 ms of data that
            # goes before order flow.
            return
        owed_ns = self._owed_ns
        _, _, data, low = self._lanes
        credit_ns = owed_ns[served]
        if not (data or low or credit_ns or owed_ns[_DATA] or owed_ns[_LOW]):
            return
        if credit_ns >= OWED_NS:
            # It was served out of turn: what its handler took beyond its credit is a debt.
            owed_ns[served] = credit_ns - spent_ns
        elif credit_ns > 0.0:
            owed_ns[served] = max(0.0, credit_ns - spent_ns)
        for index, lane in ((_DATA, data), (_LOW, low)):
            if index == served and 0.0 <= credit_ns < OWED_NS:
                # In its turn it does not wait.
                continue
            owed_ns[index] += spent_ns * self._min_share
            if owed_ns[index] > 0.0 and not lane:
                # Who does not wait saves nothing up, but a debt stays until time has paid it:
                # else a lane with one slow message at a time would take all there is.
                owed_ns[index] = 0.0
