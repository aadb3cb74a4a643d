"""The queue of market data: bare messages, and envelopes for what is demoted or conflated."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority
from nautilus_enhanced.live.conflation import QUOTE_TYPE
from nautilus_enhanced.live.conflation import QuoteConflator
from nautilus_enhanced.live.conflation import Slot
from nautilus_enhanced.live.queues import EngineQueue
from nautilus_enhanced.live.queues import QueueRoute
from nautilus_enhanced.live.scheduling import DispatchLane


if TYPE_CHECKING:
    from collections.abc import Callable


class SideRoute:
    """A way beside the queue's usual one, open and closed with it."""

    __slots__ = ("_usual", "handle", "holds_data", "lane")

    def __init__(self, usual: QueueRoute, handle: Callable[[Any], None]) -> None:
        self._usual = usual
        self.handle = handle
        self.lane = usual.lane
        self.holds_data = usual.holds_data

    @property
    def is_open(self) -> bool:
        """Return whether the usual route is."""
        return self._usual.is_open

    @property
    def origin(self) -> tuple[str, str]:
        """Return the names of the engine and of its queue."""
        return self._usual.origin

    def close(self) -> None:
        """Do nothing: the sentinel goes the usual way."""


class BareRoute(QueueRoute):
    """The way of messages that wait bare: the dispatcher gives them to the engine itself."""

    __slots__ = ("receiver",)

    def __init__(self, queue: DataQueue, lane: DispatchLane, receiver: Any) -> None:
        super().__init__(queue, lane)
        self.receiver = receiver

    def on_raised(self, error: BaseException) -> None:
        """Leave what the engine raised to the queue."""
        self._queue.on_raised(error)


class DataQueue(EngineQueue):
    """
    The queue of market data, which gets most by far.

    Its messages wait bare and are counted by the lengths of the lanes, so that a quote costs an
    append and a look. A dispatcher has one of them. What a rule demotes and what is conflated
    waits in envelopes and is counted as in other queues.

    Parameters
    ----------
    engine : Any
        The live data engine.
    may_conflate : Callable[[Any], bool], optional
        Tells whether quotes of an instrument may be conflated now, from any thread; without it
        none are.
    **kwargs : Any
        The other parameters of `EngineQueue`.
    """

    def __init__(
        self,
        engine: Any,
        *,
        may_conflate: Callable[[Any], bool] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(engine, handler="_handle_data", lanes=(DispatchLane.DATA,), **kwargs)
        bare = BareRoute(self, DispatchLane.DATA, engine)
        self._route = self._routes[DispatchLane.DATA] = bare
        self._core = self._dispatcher.make_bulk(bare)
        self._is_scheduled = self._dispatcher.is_scheduled
        settings = self._dispatcher.settings
        rules = self._dispatcher.rules
        self._lane_of = rules.lane_of_data if rules.has_data_rules else None
        self._demoted = QueueRoute(self, DispatchLane.LOW, self._handle_demoted)
        if self._lane_of is not None:
            self._routes[DispatchLane.LOW] = self._demoted
        self._conflator: QuoteConflator | None = None
        self._conflate_above = settings.conflate_above
        self._slots = SideRoute(self._route, self._handle_slot)
        if settings.conflate_quotes and may_conflate is not None:
            self._conflator = QuoteConflator(self._post_slot)
            self._may_conflate = may_conflate
        self._is_plain = self._lane_of is None and self._conflator is None

    def enqueue(self, message: Any) -> None:
        """Queue a message, as `EngineQueue.enqueue` does."""
        assert message is not None, "message was None, expected a value"  # noqa: S101 (as stock)
        if self._dispatcher.in_startup:
            self._dispatcher.check_startup()
        target = self._core.bulk_target
        # An estimate that is never too low: messages of other queues stand there too, and
        # before the start what waits is held elsewhere.
        if (len(target) >= self.maxsize or not self._route.is_open) and not self._has_room():
            return
        if not self._is_plain and self._diverts(message, len(target)):
            return
        target.append(message)
        if not self._is_scheduled():
            self._dispatcher.schedule()

    def handle(self, message: Any) -> None:
        """Hand a message to the engine's handler, and what that raises to its policy."""
        try:
            self._engine._handle_data(message)  # noqa: SLF001 (what the stock queue task calls)
        except BaseException as error:  # noqa: BLE001 (what is not for the queue goes on)
            self.on_raised(error)

    @property
    def queued(self) -> int:
        """Return the messages that wait, without limit."""
        return self._core.bulk_depth + max(0, self._posted.value - self._handled)

    @property
    def handled(self) -> int:
        """Return the messages handled; up to date after each slice."""
        return self._route.handled + self._handled

    @property
    def conflated(self) -> int:
        """Return the quotes that were superseded by a newer one before they were handled."""
        return 0 if self._conflator is None else self._conflator.conflated

    @property
    def posted(self) -> int:
        """Return the messages put on the queue; up to date after each slice."""
        return self.handled + self.queued + self.conflated

    @property
    def queued_max(self) -> int:
        """Return the most messages that waited when a slice began, or wait now."""
        return max(self._core.bulk_depth_max, self.queued)

    def _labels(self) -> dict[MessagePriority, int]:
        low = self._demoted.handled
        return {
            MessagePriority.NORMAL: self.handled - low,
            **({MessagePriority.LOW: low} if low else {}),
        }

    def _has_room(self) -> bool:
        queued = self.queued
        return queued < self.maxsize or self._admit(queued)

    def _diverts(self, message: Any, depth: int) -> bool:
        """Post a message that a rule demotes or that is conflated; False for any other."""
        if self._lane_of is not None and self._lane_of(message) is DispatchLane.LOW:
            self._posted.add(1)
            self._dispatcher.post(self._demoted, message)
            return True
        conflator = self._conflator
        if conflator is None or type(message).__name__ != QUOTE_TYPE:
            return False
        instrument_id = message.instrument_id
        if depth < self._conflate_above or not self._may_conflate(instrument_id):
            conflator.seal(instrument_id)
            return False
        conflator.offer(message)
        return True

    def _post_slot(self, slot: Slot) -> None:
        self._posted.add(1)
        self._dispatcher.post(self._slots, slot)

    def _handle_demoted(self, message: Any) -> None:
        self._handled += 1
        self._demoted.handled += 1
        self.handle(message)

    def side_routes(self, handle: Callable[[Any], None]) -> dict[DispatchLane, SideRoute]:
        """Return a way beside each of the queue's own, for messages that `handle` is to have."""
        return {lane: SideRoute(route, handle) for lane, route in self._routes.items()}

    def lane_of(self, message: Any) -> DispatchLane:
        """Return the lane that the rules give to a message."""
        return DispatchLane.DATA if self._lane_of is None else self._lane_of(message)

    def enqueue_by(self, route: SideRoute, message: Any) -> None:
        """Queue a message that goes a way of its own, as `enqueue` does; counted as any other."""
        if self._has_room():
            self._posted.add(1)
            self._dispatcher.post(route, message)

    def handle_one(self, message: Any) -> None:
        """Handle a message that went a way of its own."""
        self._handled += 1
        self.handle(message)

    def _handle_slot(self, slot: Slot) -> None:
        self._handled += 1
        assert self._conflator is not None  # noqa: S101 (nobody else posts slots)
        quote = self._conflator.take(slot)
        if quote is not None:
            self.handle(quote)
