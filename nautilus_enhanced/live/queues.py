"""
The queues of an engine, in the shape that NautilusTrader's live engines expect.

One object stands in for both the ``asyncio.Queue`` and the ``ThrottledEnqueuer`` of a queue, so
that everything else in the engine stays as it is in that version: who enqueues what, the
sizes it reports, the sentinels on stopping.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections import deque
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.errors import EnhancedBusError
from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority
from nautilus_enhanced.infrastructure.messagebus.publishing.tally import Tally
from nautilus_enhanced.live.labels import priority_of_type
from nautilus_enhanced.live.scheduling import DispatchLane
from nautilus_enhanced.live.statistics import QueueStatistics


if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_enhanced.live.dispatcher import PriorityDispatcher


_NS: Final = 1_000_000_000


class QueueOverflowError(EnhancedBusError):
    """
    A queue reached its hard limit: handlers are slower than messages arrive.

    Make handlers faster, subscribe to less, or raise `qsize` or ``dispatch.hard_limit_factor``.
    """


class QueueRoute:
    """
    The way of one queue's messages through one lane.

    Each run of the queue opens it once more and each sentinel closes it once, as each ends one
    of stock's tasks: an engine that is stopped and started at once goes on.
    """

    __slots__ = (
        "_queue",
        "handle",
        "handled",
        "holds_data",
        "is_open",
        "lane",
        "openings",
        "sentinels",
        "stale_sentinels",
    )

    def __init__(
        self,
        queue: EngineQueue,
        lane: DispatchLane,
        handle: Callable[[Any], None] | None = None,
    ) -> None:
        self._queue = queue
        # The queue's own method: a call for each message is saved.
        self.handle = handle or queue.handle
        self.handled = 0
        self.holds_data = queue.holds_data
        self.lane = lane
        self.openings = 0
        self.is_open = False
        # Those that wait in the lane, and how many of them belong to runs that have ended.
        self.sentinels = 0
        self.stale_sentinels = 0

    def set_openings(self, openings: int) -> None:
        """Note how many runs serve it."""
        self.openings = max(0, openings)
        self.is_open = self.openings > 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._queue.qname}, {self.lane.name})"

    @property
    def origin(self) -> tuple[str, str]:
        """Return the names of the engine and of its queue."""
        return self._queue.origin

    def close(self) -> None:
        """Note that the sentinel was reached in this lane."""
        self.sentinels -= 1
        if self.stale_sentinels:
            self.stale_sentinels -= 1
            return
        self.set_openings(self.openings - 1)
        self._queue.on_route_closed()


class EngineQueue:
    """
    One queue of a live engine, served by the node's dispatcher.

    Parameters
    ----------
    engine : Any
        The live engine.
    qname : str
        The name of the queue in the engine's own words, such as ``cmd_queue``.
    handler : str
        The name of the engine's method that handles a message; looked up at each call, so that
        a replaced handler is the one that runs.
    kind : str
        What is queued, as the engine's exception policy names it.
    lanes : tuple[DispatchLane, ...]
        The lanes that the queue's messages may go through; the first is the usual one.
    dispatcher : PriorityDispatcher
        The node's dispatcher.
    maxsize : int
        The engine's `qsize`. More than that is queued all the same, counted and warned about,
        up to `maxsize` times ``hard_limit_factor``.
    never_refuses : bool, default False
        Whether messages are queued beyond the hard limit too (order flow and responses).
    choose_lane : Callable[[Any], DispatchLane], optional
        Chooses among `lanes`.
    """

    def __init__(
        self,
        engine: Any,
        *,
        qname: str,
        handler: str,
        kind: str,
        lanes: tuple[DispatchLane, ...],
        dispatcher: PriorityDispatcher,
        maxsize: int,
        never_refuses: bool = False,
        choose_lane: Callable[[Any], DispatchLane] | None = None,
    ) -> None:
        self.qname = qname
        self.maxsize = maxsize
        # Commands for a sandbox stay among the data, and are none.
        self.holds_data = lanes[0] is DispatchLane.DATA
        self._engine = engine
        self._handler = handler
        self._kind = kind
        self._dispatcher = dispatcher
        self._routes = {lane: QueueRoute(self, lane) for lane in lanes}
        self._route = self._routes[lanes[0]]
        self._choose_lane = choose_lane
        self._never_refuses = never_refuses
        self._hard_limit = maxsize * dispatcher.settings.hard_limit_factor
        self._posted = Tally()
        self._handled = 0
        self._types: Counter[type] = Counter()
        self._refused = 0
        self._over_capacity = 0
        self._queued_max = 0
        self._warned_at_ns = 0
        self._overflow_handled = False
        # One for each run, the oldest first.
        self._runs: deque[asyncio.Future[None]] = deque()
        dispatcher.register(self)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({type(self._engine).__name__}.{self.qname}, "
            f"{self.queued}/{self.maxsize})"
        )

    @property
    def origin(self) -> tuple[str, str]:
        """Return the names of the engine and of this queue."""
        return type(self._engine).__name__, self.qname

    # -- the face of `ThrottledEnqueuer` ---------------------------------------------------------

    @property
    def size(self) -> int:
        """Return the messages that wait, as `qsize` does."""
        return self.qsize()

    @property
    def capacity(self) -> int:
        """Return the engine's `qsize`."""
        return self.maxsize

    def enqueue(self, message: Any) -> None:
        """
        Queue a message, from any thread, without waiting.

        Raises
        ------
        AssertionError
            If the message is None, which is the sentinel; as the stock enqueuer does.
        RuntimeError
            If the event loop is closed; as the stock enqueuer does.
        """
        assert message is not None, "message was None, expected a value"  # noqa: S101 (as stock)
        queued = self._posted.value - self._handled
        if queued >= self.maxsize and not self._admit(queued):
            return
        if queued >= self._queued_max:
            self._queued_max = queued + 1
        route = self._route if self._choose_lane is None else self._choose(message)
        self._posted.add(1)
        self._dispatcher.post(route, message)

    def cancel_pending_tasks(self) -> None:
        """Do nothing: unlike the stock enqueuer this one has no tasks."""

    # -- the face of `asyncio.Queue` -------------------------------------------------------------

    def qsize(self) -> int:
        """Return the messages that wait, at most the capacity: stock keeps the rest in tasks."""
        return min(self.queued, self.maxsize)

    def empty(self) -> bool:
        """Return whether nothing waits."""
        return self.queued == 0

    def full(self) -> bool:
        """Return whether the capacity is reached."""
        return self.queued >= self.maxsize

    def put_nowait(self, message: Any) -> None:
        """Queue a message, or with None the sentinel that stops the queue when reached."""
        if message is not None:
            self.enqueue(message)
            return
        for route in self._routes.values():
            route.sentinels += 1
            self._dispatcher.post(route, None)

    # -- service ---------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Return whether messages are served, which they are until the sentinel."""
        return any(route.is_open for route in self._routes.values())

    @property
    def queued(self) -> int:
        """Return the messages that wait, without limit."""
        return max(0, self._posted.value - self._handled)

    @property
    def handled(self) -> int:
        """Return the messages handled."""
        return self._handled

    @property
    def posted(self) -> int:
        """Return the messages put on the queue."""
        return self._posted.value

    @property
    def queued_max(self) -> int:
        """Return the most messages that ever waited."""
        return self._queued_max

    async def run(self) -> None:
        """
        Serve the queue until its sentinel is reached or the task is cancelled.

        What is queued behind the sentinel, or when cancelled, stays for the next run.
        """
        log = self._engine._log  # noqa: SLF001 (the engine's own logger, as its queue tasks use)
        log.debug(f"{self._kind} queue is served (qsize={self.queued})")
        self._posted.adopt()
        self._overflow_handled = False
        finished = self._dispatcher.loop.create_future()
        self._runs.append(finished)
        self._dispatcher.open(tuple(self._routes.values()))
        try:
            await finished
        except asyncio.CancelledError:
            log.warning(f"{self._kind} queue canceled")
            self._end_canceled(finished)
        finally:
            if self.queued:
                log.warning(f"{self._kind} queue stopped with {self.queued:,} message(s) on it")
            else:
                log.debug(f"{self._kind} queue stopped")

    def halt(self) -> None:
        """Serve nothing from now on, at once."""
        for route in self._routes.values():
            route.set_openings(0)
        self._forget_half_reached()
        self.on_route_closed()

    def on_route_closed(self) -> None:
        """End the oldest `run` once its sentinel was reached in every lane."""
        openings = max(route.openings for route in self._routes.values())
        while len(self._runs) > openings:
            finished = self._runs.popleft()
            if not finished.done():
                finished.set_result(None)

    def _end_canceled(self, finished: asyncio.Future[None]) -> None:
        # Not there when the sentinel or `halt` came first.
        if finished in self._runs:
            self._runs.remove(finished)
            for route in self._routes.values():
                route.set_openings(route.openings - 1)
            if not self._runs:
                self._forget_half_reached()

    def _forget_half_reached(self) -> None:
        """Let sentinels that another lane has reached close no later run: it would be half open."""
        ahead = min(route.sentinels for route in self._routes.values())
        for route in self._routes.values():
            route.stale_sentinels = route.sentinels - ahead

    def handle(self, message: Any) -> None:
        """Hand a message to the engine's handler, and what that raises to its policy."""
        self._handled += 1
        self._types[type(message)] += 1
        engine = self._engine
        try:
            getattr(engine, self._handler)(message)
        except BaseException as error:  # noqa: BLE001 (what is not for the queue goes on)
            self.on_raised(error)

    def on_raised(self, error: BaseException) -> None:
        """Do what stock's queue task does about what a handler raised."""
        if isinstance(error, asyncio.CancelledError):
            # That task ends.
            self.halt()
        elif isinstance(error, Exception):
            self._fail(error)
        else:
            raise error

    def _fail(self, error: Exception) -> None:
        """Apply the engine's policy to an error, which may be to end the process at once."""
        engine = self._engine
        if not engine.graceful_shutdown_on_exception:
            self._dispatcher.before_exit()
        engine._handle_queue_exception(error, self._kind)  # noqa: SLF001 (the engine's policy)

    def statistics(self) -> QueueStatistics:
        """Return the queue's figures."""
        engine, qname = self.origin
        return QueueStatistics(
            engine=engine,
            queue=qname,
            posted=self.posted,
            handled=self.handled,
            refused=self._refused,
            queued=self.queued,
            queued_max=self.queued_max,
            capacity=self.maxsize,
            over_capacity=self._over_capacity,
            conflated=self.conflated,
            handled_by_priority={
                priority.name: count for priority, count in sorted(self._labels().items())
            },
        )

    @property
    def conflated(self) -> int:
        """Return the messages that were superseded by a newer one before they were handled."""
        return 0

    def _labels(self) -> dict[MessagePriority, int]:
        """Return the messages handled, by their label."""
        labels: Counter[MessagePriority] = Counter()
        # Copied in one step: another thread may ask while messages are handled.
        for message_type, count in list(self._types.items()):
            labels[priority_of_type(message_type)] += count
        return labels

    def _choose(self, message: Any) -> QueueRoute:
        assert self._choose_lane is not None  # noqa: S101 (`enqueue` looked)
        return self._routes[self._choose_lane(message)]

    def _admit(self, queued: int) -> bool:
        """Note a message beyond the capacity; return whether it may be queued all the same."""
        engine = self._engine
        self._over_capacity += 1
        now_ns = engine._clock.timestamp_ns()  # noqa: SLF001 (the clock of the engine's warnings)
        if now_ns - self._warned_at_ns >= _NS:
            self._warned_at_ns = now_ns
            engine._log.warning(  # noqa: SLF001 (the engine's own logger)
                f"{self.qname} holds {queued:,} messages, over its capacity of "
                f"{self.maxsize:,}; it grows up to {self._hard_limit:,}",
            )
        if queued < self._hard_limit:
            return True
        if not self._overflow_handled:
            self._overflow_handled = True
            self._hand_to_policy()
        # The policy is to shut down gracefully: what may still matter on the way is kept.
        if not self._never_refuses:
            self._refused += 1
        return self._never_refuses

    def _hand_to_policy(self) -> None:
        """Do what the engine does about an exception: once, and where its handlers run."""
        error = QueueOverflowError(
            f"{self.qname} reached its hard limit of {self._hard_limit:,} messages: make "
            "handlers faster, subscribe to less, or raise `qsize` or `dispatch.hard_limit_factor`",
        )
        if self._dispatcher.on_loop_thread():
            self._fail(error)
        else:
            # It publishes on the bus, which is not for other threads.
            self._dispatcher.loop.call_soon_threadsafe(self._fail, error)
