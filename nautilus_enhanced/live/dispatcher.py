"""The dispatcher: serves the queues of a node's engines from one event loop."""

from __future__ import annotations

import asyncio
import time
from threading import Lock
from typing import TYPE_CHECKING
from typing import Any
from typing import Protocol

from nautilus_enhanced.infrastructure.messagebus.settings.dispatch import DispatchSettings
from nautilus_enhanced.live.rules import FlowRules
from nautilus_enhanced.live.scheduling import DispatchCore
from nautilus_enhanced.live.scheduling import DispatchLane
from nautilus_enhanced.live.scheduling import Route
from nautilus_enhanced.live.statistics import DispatcherStatistics
from nautilus_enhanced.live.statistics import HandlerStatistics


if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_enhanced.live.scheduling import BulkRoute
    from nautilus_enhanced.live.statistics import QueueStatistics


class ServedQueue(Protocol):
    """A queue of an engine, as far as the dispatcher asks it."""

    # Whether its messages are market data or about it.
    holds_data: bool

    @property
    def queued(self) -> int:
        """Return the messages that wait."""

    @property
    def is_open(self) -> bool:
        """Return whether its messages are served."""

    def statistics(self) -> QueueStatistics:
        """Return its figures."""


class OpenableRoute(Route, Protocol):
    """A route that the dispatcher opens."""

    openings: int

    def set_openings(self, openings: int) -> None:
        """Note how many runs serve it."""


class PriorityDispatcher:
    """
    Serve order flow before data, in slices, with a turn of the event loop between slices.

    One for each node, shared by its engines. `post` may be called from any thread; all
    handlers run on the event loop's.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The event loop of the node.
    settings : DispatchSettings, optional
        The settings.
    trader_has_started : Callable[[], bool], optional
        Tells when to stop serving in order of arrival. Without it serving is by lanes from the
        start, as for engines without a trader.
    clock_ns : Callable[[], int], optional
        A monotonic clock, in nanoseconds.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: DispatchSettings | None = None,
        trader_has_started: Callable[[], bool] | None = None,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self.settings = settings or DispatchSettings()
        self._loop = loop
        self.rules = FlowRules(self.settings.rules)
        self._core = DispatchCore(clock_ns, self.settings.min_share)
        self._slice_ns = self.settings.slice_us * 1_000
        self._trader_has_started: Callable[[], bool] | None = None
        self._queues: list[ServedQueue] = []
        # Held from scheduling a drain until its end. Taking it is one step for all threads, so
        # there is one drain at a time: two would be two slices for each turn of the loop.
        self._scheduled = Lock()
        self.is_scheduled = self._scheduled.locked
        self.in_startup = False
        # Called before an engine ends the process, with a time limit of its own.
        self.before_exit: Callable[[], object] = lambda: None
        if trader_has_started is not None:
            self.watch_trader(trader_has_started)

    def __repr__(self) -> str:
        waiting = ", ".join(f"{lane.name}={self._core.depth(lane)}" for lane in DispatchLane)
        return f"{type(self).__name__}({waiting})"

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop that handlers run on."""
        return self._loop

    def watch_trader(self, trader_has_started: Callable[[], bool]) -> None:
        """Serve in order of arrival until `trader_has_started` says so."""
        self._trader_has_started = trader_has_started
        self._begin_startup()

    def make_bulk(self, route: BulkRoute) -> DispatchCore:
        """Let the messages of a route stand in their lanes bare; return the lanes."""
        self._core.bulk = route
        return self._core

    def register(self, queue: ServedQueue) -> None:
        """Add a queue to the statistics."""
        self._queues.append(queue)

    def on_loop_thread(self) -> bool:
        """Return whether the caller runs on the event loop, where handlers run."""
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def post(self, route: Route, message: Any) -> None:
        """
        Queue a message for its route, from any thread.

        Raises
        ------
        RuntimeError
            If the event loop is closed; the message stays queued.
        """
        if self.in_startup:
            self.check_startup()
        self._core.post(route, message)
        if not self.is_scheduled():
            self.schedule()

    def open(self, routes: tuple[OpenableRoute, ...]) -> None:
        """Serve these routes from now on; if no queue was open, a new start begins."""
        starting = not any(queue.is_open for queue in self._queues)
        if starting and self._trader_has_started is not None and not self._trader_has_started():
            self._begin_startup()
        for route in routes:
            route.set_openings(route.openings + 1)
        self._core.release_held()
        if self._core.has_work():
            self.schedule()

    @property
    def data_backlog(self) -> int:
        """Return the messages of market data that wait, commands and requests for it included."""
        # Not the depth of lanes: in some of them order flow waits too.
        return sum(queue.queued for queue in self._queues if queue.holds_data)

    @property
    def backlog(self) -> int:
        """Return the messages of all kinds that wait."""
        return sum(queue.queued for queue in self._queues)

    @property
    def oldest_data(self) -> Any:
        """Return the message of market data that is handled next, or None."""
        lanes = (DispatchLane.STARTUP, DispatchLane.DATA, DispatchLane.LOW)
        waiting = map(self._core.oldest_data_in, lanes)
        return next((message for message in waiting if message is not None), None)

    def statistics(self) -> DispatcherStatistics:
        """Return the figures of the lanes and queues."""
        return DispatcherStatistics(
            in_startup=self._core.in_startup,
            slices=self._core.slices,
            served={lane.name: self._core.served[lane] for lane in DispatchLane},
            queued={lane.name: self._core.depth(lane) for lane in DispatchLane},
            longest_slice_us=self._core.longest_slice_ns / 1_000,
            longest_handler=self._longest_handler(),
            queues=tuple(queue.statistics() for queue in self._queues),
        )

    def _longest_handler(self) -> HandlerStatistics | None:
        longest = self._core.longest_handler
        if longest is None:
            return None
        engine, queue = longest.route.origin
        return HandlerStatistics(
            engine=engine,
            queue=queue,
            message_type=longest.message_type,
            took_us=longest.took_ns / 1_000,
        )

    def _begin_startup(self) -> None:
        self._core.begin_startup()
        self.in_startup = True

    def check_startup(self) -> None:
        """End the order of arrival if the trader has started."""
        if self._trader_has_started is None or self._trader_has_started():
            # Two threads that come here at once both do the same.
            self._core.end_startup()
            self.in_startup = False

    def schedule(self) -> None:
        """Schedule a drain unless there is one."""
        if not self._scheduled.acquire(False):  # by name it takes three times as long
            return
        try:
            if self.on_loop_thread():
                self._loop.call_soon(self._drain)
            else:
                self._loop.call_soon_threadsafe(self._drain)
        except BaseException:
            self._scheduled.release()
            raise

    def _drain(self) -> None:
        core = self._core
        if self.in_startup:
            self.check_startup()
        try:
            core.serve(self._slice_ns)
        finally:
            # Also after an exception that ends the loop for now (KeyboardInterrupt): whoever
            # runs it again finds the rest scheduled.
            # Clear the flag first and look second: a thread that posts between the two finds
            # it cleared and schedules; one that posted before is seen by the look.
            self._scheduled.release()
            if core.has_work():
                self.schedule()
