"""The dispatcher on real event loops: turns, wake-ups from threads, and interrupted handlers."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time

import pytest
import uvloop
from live_engines import until

from nautilus_enhanced.infrastructure.messagebus.settings.dispatch import DispatchSettings
from nautilus_enhanced.live.dispatcher import PriorityDispatcher
from nautilus_enhanced.live.scheduling import DispatchCore
from nautilus_enhanced.live.scheduling import DispatchLane


LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=LOOPS)
def loop(request):
    loop = LOOPS[request.param]()
    yield loop
    if not loop.is_closed():
        loop.close()


class Route:
    """A route that notes what it handles, on which thread, and does what it is told to."""

    def __init__(self, lane=DispatchLane.DATA, react=None) -> None:
        self.lane = lane
        self.is_open = True
        self.handled: list = []
        self.threads: set[int] = set()
        self._react = react
        self.holds_data = lane is DispatchLane.DATA
        self.origin = ("Engine", lane.name)

    def handle(self, message) -> None:
        self.handled.append(message)
        self.threads.add(threading.get_ident())
        if self._react is not None:
            self._react(message)

    def close(self) -> None:
        self.is_open = False


def spin(us: float) -> None:
    end = time.perf_counter() + us / 1e6
    while time.perf_counter() < end:
        pass


# -- turns of the event loop ---------------------------------------------------------------------


def test_a_timer_and_a_socket_get_their_turn_while_a_backlog_lasts(loop):
    dispatcher = PriorityDispatcher(loop)
    route = Route(react=lambda _: spin(50))
    left_at = {}

    async def run() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            loop.add_reader(ours, lambda: left_at.setdefault("socket", len(route.handled)))
            for number in range(2_000):  # 100 ms of work
                dispatcher.post(route, number)
            loop.call_later(0.005, lambda: left_at.setdefault("timer", len(route.handled)))
            theirs.send(b"x")
            await until(lambda: len(route.handled) == 2_000)
            loop.remove_reader(ours)

    loop.run_until_complete(run())
    assert left_at["socket"] < 500
    assert left_at["timer"] < 1_000
    assert route.handled == list(range(2_000))


def test_during_startup_there_is_no_turn_until_everything_is_served(loop):
    started = []
    dispatcher = PriorityDispatcher(loop, trader_has_started=lambda: bool(started))
    route = Route(react=lambda _: spin(20))
    seen = []

    async def run() -> None:
        for number in range(1_000):
            dispatcher.post(route, number)
        loop.call_soon(lambda: None)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        seen.append(len(route.handled))
        started.append(True)
        order = []
        dispatcher.post(Route(DispatchLane.DATA, order.append), "data")
        dispatcher.post(Route(DispatchLane.ORDER_FLOW, order.append), "order")
        await until(lambda: len(order) == 2)
        seen.append(order)

    loop.run_until_complete(run())
    assert seen == [1_000, ["order", "data"]]
    assert not dispatcher.statistics().in_startup


def test_order_flow_waits_no_longer_than_a_slice_and_a_handler(loop):
    dispatcher = PriorityDispatcher(loop, DispatchSettings(slice_us=500))
    data = Route(react=lambda _: spin(100))
    seen = []
    orders = Route(DispatchLane.ORDER_FLOW, lambda _: seen.append(len(data.handled)))

    async def run() -> None:
        for number in range(200):
            dispatcher.post(data, number)
        await asyncio.sleep(0)
        # Between two slices; the next one begins with the order.
        before = len(data.handled)
        dispatcher.post(orders, "order")
        await until(lambda: orders.handled)
        assert 0 < before < 200
        assert seen == [before]
        data.is_open = False

    loop.run_until_complete(run())


# -- wake-ups from threads -----------------------------------------------------------------------


class LosesWakeUps(PriorityDispatcher):
    """Clears the flag after the look instead of before: the mistake that the test must find."""

    def _drain(self) -> None:
        more = self._core.serve(self._slice_ns)
        if more:
            self._loop.call_soon(self._drain)
        else:
            self._scheduled.release()


class YieldingCore(DispatchCore):
    """Lets other threads run right after each look, where a wake-up would get lost."""

    def serve(self, slice_ns) -> bool:
        more = super().serve(slice_ns)
        time.sleep(0)
        return more

    def has_work(self) -> bool:
        work = super().has_work()
        time.sleep(0)
        return work


def stress(
    dispatcher_class,
    loop,
    limit_s: float,
    *,
    patience_s: float = 30.0,
    watching=None,
    is_found=lambda: False,
) -> bool:
    """
    Post from three threads until something stays unserved, or is found, or time is up.

    They go in rounds, each posts once and all wait for all: the dispatcher goes idle all the
    time, which is where a wake-up gets lost, and nobody else's post makes up for a lost one.
    A message stays unserved if it is not handled within `patience_s`: long where that must not
    happen, since the system may have the loop's thread wait.
    """
    dispatcher = dispatcher_class(loop)
    dispatcher._core = YieldingCore(time.perf_counter_ns, 0.05)
    if watching is not None:
        dispatcher._loop = watching
    stuck = threading.Event()
    deadline = time.monotonic() + limit_s
    routes = [Route(DispatchLane.ORDER_FLOW) for _ in range(3)]
    last_round: list[int] = []

    def producer(own: Route) -> None:
        count = 0
        while count not in last_round:
            count += 1
            # One decides for all, before it posts: who stopped by itself would be waited for.
            if own is routes[0] and (time.monotonic() > deadline or is_found()):
                last_round.append(count)
            dispatcher.post(own, count)
            patience = time.monotonic() + patience_s
            # Not an event to wait for: threads that run are switched more often.
            while any(len(route.handled) < count for route in routes):
                if stuck.is_set() or time.monotonic() > patience:
                    stuck.set()
                    return

    threads = [threading.Thread(target=producer, args=(r,), daemon=True) for r in routes]

    async def run() -> None:
        for thread in threads:
            thread.start()
        # Without a timer of its own the loop sleeps, unless it is woken.
        await loop.run_in_executor(None, lambda: [thread.join() for thread in threads])

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        loop.run_until_complete(run())
    finally:
        sys.setswitchinterval(interval)
        loop.run_until_complete(loop.shutdown_default_executor())
    return stuck.is_set()


def test_the_stress_finds_a_dispatcher_that_loses_wake_ups(loop):
    assert stress(LosesWakeUps, loop, 60.0, patience_s=0.5)


def test_no_wake_up_is_lost_under_stress(loop):
    assert not stress(PriorityDispatcher, loop, 3.0)


def test_nothing_is_lost_and_order_is_kept_when_threads_post_at_full_speed(loop):
    dispatcher = PriorityDispatcher(loop)
    routes = [Route(lane) for lane in (DispatchLane.ORDER_FLOW, DispatchLane.DATA)]
    count = 20_000

    def produce(route: Route) -> None:
        for number in range(count):
            dispatcher.post(route, number)

    async def run() -> None:
        await asyncio.gather(*(asyncio.to_thread(produce, route) for route in routes))
        await until(lambda: all(len(route.handled) == count for route in routes))

    loop.run_until_complete(run())
    for route in routes:
        assert route.handled == list(range(count))
        assert route.threads == {threading.get_ident()}


class WatchingLoop:
    """An event loop that notes whether more than one drain is scheduled at a time."""

    def __init__(self, loop) -> None:
        self._loop = loop
        self.scheduled = 0
        self.most = 0
        self._lock = threading.Lock()

    def __getattr__(self, name):
        method = getattr(self._loop, name)
        if name not in ("call_soon", "call_soon_threadsafe"):
            return method

        def schedule(callback):
            with self._lock:
                self.scheduled += 1
                self.most = max(self.most, self.scheduled)

            def run() -> None:
                with self._lock:
                    self.scheduled -= 1
                callback()

            return method(run)

        return schedule


class SchedulesTwice(PriorityDispatcher):
    """Looks at the flag and takes it in two steps: the mistake that the test must find."""

    def schedule(self) -> None:
        if self._scheduled.locked():
            return
        time.sleep(0)
        self._scheduled.acquire(blocking=False)
        self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        self._core.serve(self._slice_ns)
        if self._scheduled.locked():
            self._scheduled.release()
        if self._core.has_work():
            self.schedule()


def test_there_is_one_drain_at_a_time_however_many_threads_post(loop):
    watching = WatchingLoop(loop)
    stress(PriorityDispatcher, loop, 1.0, watching=watching)
    assert watching.most == 1


def test_the_stress_finds_a_dispatcher_that_schedules_two_drains(loop):
    watching = WatchingLoop(loop)
    stress(SchedulesTwice, loop, 60.0, watching=watching, is_found=lambda: watching.most > 1)
    assert watching.most > 1


# -- interruptions -------------------------------------------------------------------------------


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_handler_leaves_the_rest_scheduled(interruption):
    # On uvloop too, but that ends the process's own way of handling signals.
    loop = asyncio.new_event_loop()
    dispatcher = PriorityDispatcher(loop)

    def react(message) -> None:
        if message == 1:
            raise interruption

    route = Route(react=react)
    for number in range(3):
        dispatcher.post(route, number)
    with pytest.raises(interruption):
        loop.run_until_complete(asyncio.sleep(1.0))
    assert route.handled == [0, 1]
    loop.run_until_complete(until(lambda: len(route.handled) == 3))
    loop.close()


def test_an_error_of_a_route_is_the_loops_to_report_and_the_rest_is_served(loop):
    reported = []
    loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))
    dispatcher = PriorityDispatcher(loop)

    def react(message) -> None:
        if message == 1:
            raise ValueError("one")

    route = Route(react=react)
    for number in range(3):
        dispatcher.post(route, number)
    loop.run_until_complete(until(lambda: len(route.handled) == 3))
    assert [str(error) for error in reported] == ["one"]


def test_a_closed_loop_is_the_posters_error_every_time_and_the_message_stays(loop):
    dispatcher = PriorityDispatcher(loop)
    loop.close()
    route = Route()
    for count in (1, 2):
        with pytest.raises(RuntimeError):
            dispatcher.post(route, count)
        assert dispatcher.statistics().queued["DATA"] == count


def test_posts_before_the_loop_runs_are_served_once_it_does(loop):
    dispatcher = PriorityDispatcher(loop)
    route = Route()
    dispatcher.post(route, 1)
    assert route.handled == []
    loop.run_until_complete(until(lambda: route.handled == [1]))


def test_a_loop_that_runs_again_on_another_thread_is_woken(loop):
    dispatcher = PriorityDispatcher(loop)
    route = Route()
    dispatcher.post(route, 0)
    loop.run_until_complete(until(lambda: route.handled))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        time.sleep(0.02)  # asleep in its selector, without a timer
        dispatcher.post(route, 1)
        deadline = time.monotonic() + 30.0
        while len(route.handled) < 2 and time.monotonic() < deadline:
            time.sleep(0.001)
        assert route.handled == [0, 1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


# -- figures -------------------------------------------------------------------------------------


def test_statistics_count_lanes_slices_and_the_longest_slice(loop):
    dispatcher = PriorityDispatcher(loop)
    data, orders = Route(react=lambda _: spin(2_000)), Route(DispatchLane.ORDER_FLOW)
    dispatcher.post(data, 1)
    dispatcher.post(orders, 1)
    before = dispatcher.statistics()
    assert before.queued == {"STARTUP": 0, "ORDER_FLOW": 1, "DATA": 1, "LOW": 0}
    assert before.served == {"STARTUP": 0, "ORDER_FLOW": 0, "DATA": 0, "LOW": 0}
    loop.run_until_complete(until(lambda: data.handled and orders.handled))
    after = dispatcher.statistics()
    assert after.served == {"STARTUP": 0, "ORDER_FLOW": 1, "DATA": 1, "LOW": 0}
    assert after.queued == {"STARTUP": 0, "ORDER_FLOW": 0, "DATA": 0, "LOW": 0}
    assert after.slices >= 1
    assert after.longest_slice_us >= 2_000
    assert before.longest_handler is None
    assert (after.longest_handler.queue, after.longest_handler.message_type) == ("DATA", "int")
    assert 2_000 <= after.longest_handler.took_us <= after.longest_slice_us
    assert repr(dispatcher) == "PriorityDispatcher(STARTUP=0, ORDER_FLOW=0, DATA=0, LOW=0)"
