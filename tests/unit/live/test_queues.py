"""
Each queue of each live engine: sizes, limits, sentinels, gates.

Tests that take `bus` run on the stock engines too: they describe what ours must keep.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import textwrap
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from live_engines import QUEUES
from live_engines import QueueUnderTest
from live_engines import settle
from live_engines import until
from nautilus_trader.common.component import LiveClock

from nautilus_enhanced.live.dispatcher import PriorityDispatcher
from nautilus_enhanced.live.queues import EngineQueue
from nautilus_enhanced.live.scheduling import DispatchLane


HERE = Path(__file__).parent


@pytest.fixture(params=QUEUES)
def name(request):
    return request.param


# -- what stock does, and ours too ---------------------------------------------------------------


async def test_messages_are_handled_in_order(engines_of, bus, name):
    engines = engines_of(bus=bus)
    queue = QueueUnderTest(engines, name)
    engines.start()
    for number in range(100):
        queue.feed(number)
    await until(lambda: len(queue.handled) == 100)
    assert queue.handled == list(range(100))
    assert queue.qsize() == 0


async def test_messages_before_start_wait_for_it(engines_of, bus, name):
    engines = engines_of(bus=bus)
    queue = QueueUnderTest(engines, name)
    for number in range(3):
        queue.feed(number)
    await settle()
    assert queue.handled == []
    assert queue.qsize() == 3
    queue.engine.start()
    await until(lambda: queue.handled == [0, 1, 2])


async def test_the_start_of_another_engine_opens_nothing(engines_of, bus, name):
    engines = engines_of(bus=bus)
    queue = QueueUnderTest(engines, name)
    queue.feed(1)
    for engine in engines.all:
        if engine is not queue.engine:
            engine.start()
    await settle()
    assert queue.handled == []
    queue.engine.start()
    await until(lambda: queue.handled == [1])


async def test_stop_drains_what_is_queued_and_holds_what_comes_later(engines_of, bus, name):
    engines = engines_of(bus=bus)
    queue = QueueUnderTest(engines, name)
    engines.start()
    for number in range(50):
        queue.feed(number)
    queue.engine.stop()
    await until(lambda: len(queue.handled) == 50)
    await settle()
    queue.feed("late")
    await settle()
    assert queue.handled == list(range(50))
    assert queue.qsize() == 1


async def test_the_queue_task_ends_with_the_sentinel(engines_of, bus, name):
    engines = engines_of(bus=bus)
    queue = QueueUnderTest(engines, name)
    engines.start()
    task = queue.task()
    await asyncio.sleep(0)
    assert not task.done()
    queue.engine.stop()
    await asyncio.wait_for(task, 2.0)
    assert not task.cancelled()
    assert task.exception() is None


async def test_a_second_start_serves_what_was_held_first(engines_of, bus, name):
    engines = engines_of(bus=bus)
    queue = QueueUnderTest(engines, name)
    engines.start()
    queue.feed(1)
    engines.stop()
    await until(lambda: queue.handled == [1])
    await settle()
    queue.feed(2)
    queue.feed(3)
    await settle()
    engines.reset()
    engines.start()
    queue.feed(4)
    await until(lambda: len(queue.handled) == 4)
    assert queue.handled == [1, 2, 3, 4]


async def test_an_engine_stopped_and_started_at_once_goes_on(engines_of, bus, name):
    engines = engines_of(bus=bus)
    queue = QueueUnderTest(engines, name)
    engines.start()
    await asyncio.sleep(0)
    engines.stop()
    engines.reset()
    engines.start()
    await settle()
    queue.feed(1)
    await until(lambda: queue.handled == [1])


async def test_a_killed_engine_handles_nothing_more(engines_of, bus, name):
    engines = engines_of(bus=bus)
    queue = QueueUnderTest(engines, name)
    queue.react = lambda message: queue.engine.kill() if message == 1 else None
    engines.start()
    await asyncio.sleep(0)
    task = queue.task()
    queue.feed(1)
    await until(lambda: queue.handled == [1])
    for number in range(2, 5):
        queue.feed(number)
    await asyncio.wait_for(asyncio.wait([task]), 2.0)
    await settle()
    assert queue.handled == [1]
    assert queue.engine.is_stopped


async def test_a_killed_engine_handles_none_of_its_backlog(engines_of, name):
    # Stock does not check between messages and handles its backlog to the end.
    engines = engines_of()
    queue = QueueUnderTest(engines, name)
    queue.react = lambda message: queue.engine.kill() if message == 5 else None
    engines.start()
    for number in range(50):
        queue.feed(number)
    await until(lambda: queue.engine.is_stopped)
    await settle()
    assert queue.handled == [0, 1, 2, 3, 4, 5]
    assert queue.qsize() == 44


async def test_a_stopped_engine_can_be_reset_started_again_and_disposed(engines_of, bus, name):
    engines = engines_of(bus=bus)
    queue = QueueUnderTest(engines, name)
    engines.start()
    engines.stop()
    await settle()
    engines.reset()
    engines.start()
    queue.feed(1)
    await until(lambda: queue.handled == [1])
    engines.stop()
    await settle()
    for engine in engines.all:
        engine.dispose()
        assert engine.is_disposed


async def test_a_full_queue_reports_its_capacity_and_loses_nothing(engines_of, bus, name):
    engines = engines_of(bus=bus, qsize=2)
    queue = QueueUnderTest(engines, name)
    for number in range(3):
        queue.feed(number)
        # Stock looks at the size only after the loop has put the last one.
        await asyncio.sleep(0)
    assert queue.qsize() == 2
    engines.start()
    await until(lambda: len(queue.handled) == 3)
    assert queue.handled == [0, 1, 2]


async def test_none_is_refused_as_a_message(engines_of, bus):
    engines = engines_of(bus=bus)
    with pytest.raises(AssertionError):
        engines.data.process(None)


async def test_a_handler_that_raises_asks_for_a_graceful_shutdown_once(engines_of, bus, name):
    engines = engines_of(bus=bus)
    queue = QueueUnderTest(engines, name)
    shutdowns = []
    engines.msgbus.subscribe("commands.system.shutdown", shutdowns.append)

    def react(message) -> None:
        if message in (1, 2):
            raise ValueError(message)

    queue.react = react
    engines.start()
    for number in range(4):
        queue.feed(number)
    await until(lambda: len(queue.handled) == 4)
    assert len(shutdowns) == 1
    assert "ValueError(1)" in shutdowns[0].reason


async def test_a_handler_replaced_at_run_time_is_the_one_that_is_called(engines_of, bus, name):
    engines = engines_of(bus=bus)
    queue = QueueUnderTest(engines, name)
    engines.start()
    queue.feed(1)
    await until(lambda: queue.handled == [1])
    replaced = []
    setattr(queue.engine, queue.handler, replaced.append)
    queue.feed(2)
    await until(lambda: replaced == [2])
    assert queue.handled == [1]


async def test_a_handler_that_replaces_itself_does_not_get_the_next_message(engines_of, bus, name):
    engines = engines_of(bus=bus)
    queue = QueueUnderTest(engines, name)
    replaced = []
    queue.react = lambda _: setattr(queue.engine, queue.handler, replaced.append)
    engines.start()
    for number in (1, 2):
        queue.feed(number)
    await until(lambda: replaced == [2])
    assert queue.handled == [1]


async def test_canceling_a_queue_task_ends_it_and_keeps_its_messages(engines_of, bus, name):
    engines = engines_of(bus=bus)
    queue = QueueUnderTest(engines, name)
    engines.start()
    await asyncio.sleep(0)
    task = queue.task()
    task.cancel()
    await asyncio.wait_for(asyncio.wait([task]), 2.0)
    assert not task.cancelled()
    queue.feed(1)
    await settle()
    assert queue.handled == []
    assert queue.qsize() == 1


async def test_a_canceled_error_from_a_handler_ends_its_queue_and_no_other(engines_of, bus, name):
    engines = engines_of(bus=bus)
    queue = QueueUnderTest(engines, name)
    other = QueueUnderTest(engines, "data.req" if name != "data.req" else "data.res")

    def react(message) -> None:
        raise asyncio.CancelledError

    queue.react = react
    engines.start()
    task = queue.task()
    queue.feed(1)
    await asyncio.wait_for(asyncio.wait([task]), 2.0)
    queue.feed(2)
    other.feed(3)
    await until(lambda: other.handled == [3])
    assert queue.handled == [1]


# -- from other threads --------------------------------------------------------------------------


async def test_messages_from_several_threads_are_all_handled_on_the_loops(engines_of, name):
    engines = engines_of()
    queue = QueueUnderTest(engines, name)
    threads = set()
    queue.react = lambda _: threads.add(threading.get_ident())
    engines.start()

    def produce(source: int) -> None:
        for number in range(500):
            queue.feed((source, number))

    await asyncio.gather(*(asyncio.to_thread(produce, source) for source in range(3)))
    await until(lambda: len(queue.handled) == 1_500)
    for source in range(3):
        numbers = [number for origin, number in queue.handled if origin == source]
        assert numbers == list(range(500))
    assert threads == {threading.get_ident()}
    assert queue.statistics.posted == queue.statistics.handled == 1_500


async def test_a_live_clocks_timer_is_handled_without_anything_else_waking_the_loop(
    engines_of, name
):
    # Timers of a LiveClock fire on a thread of the Rust runtime.
    engines = engines_of()
    queue = QueueUnderTest(engines, name)
    fired_on = set()
    handled = asyncio.get_running_loop().create_future()

    def react(_) -> None:
        if len(queue.handled) == 5:
            handled.set_result(None)

    def feed(event) -> None:
        fired_on.add(threading.get_ident())
        queue.feed(event)

    queue.react = react
    engines.start()
    clock = LiveClock()
    clock.set_timer("t", timedelta(milliseconds=2), callback=feed)
    try:
        await asyncio.wait_for(handled, 5.0)
    finally:
        clock.cancel_timers()
    assert threading.get_ident() not in fired_on


# -- the limits ----------------------------------------------------------------------------------


async def test_a_queue_grows_beyond_its_capacity_up_to_the_hard_limit(engines_of, name):
    engines = engines_of(qsize=10, factor=3)
    queue = QueueUnderTest(engines, name)
    shutdowns = []
    engines.msgbus.subscribe("commands.system.shutdown", shutdowns.append)
    for number in range(30):
        queue.feed(number)
    figures = queue.statistics
    assert (figures.queued, figures.over_capacity, figures.refused) == (30, 20, 0)
    assert (figures.queued_max, figures.capacity) == (30, 10)
    assert shutdowns == []
    for number in range(30, 35):
        queue.feed(number)
    assert queue.statistics.refused == (5 if queue.refuses else 0)
    assert queue.statistics.queued == (30 if queue.refuses else 35)
    engines.start()
    await until(lambda: queue.statistics.queued == 0)
    assert queue.handled == list(range(30 if queue.refuses else 35))


async def test_the_hard_limit_asks_for_a_graceful_shutdown_once(engines_of, name):
    engines = engines_of(qsize=1, factor=2)
    queue = QueueUnderTest(engines, name)
    shutdowns, errors = [], []
    engines.msgbus.subscribe("commands.system.shutdown", shutdowns.append)
    policy = queue.engine._handle_queue_exception
    queue.engine._handle_queue_exception = lambda *args: (errors.append(args), policy(*args))
    for number in range(100):
        queue.feed(number)
    assert len(errors) == 1, "one traceback in the log, not one for each message"
    assert len(shutdowns) == 1
    assert "hard limit of 2 messages" in shutdowns[0].reason


async def test_the_policy_runs_on_the_loop_when_a_thread_hits_the_limit(engines_of, name):
    engines = engines_of(qsize=1, factor=1)
    queue = QueueUnderTest(engines, name)
    threads = []
    queue.engine._handle_queue_exception = lambda *_: threads.append(threading.get_ident())
    await asyncio.to_thread(lambda: [queue.feed(number) for number in range(3)])
    await until(lambda: threads)
    assert threads == [threading.get_ident()]


def exit_code_of(body: str) -> tuple[int, str]:
    code = textwrap.dedent(
        f"""
        import asyncio, sys
        sys.path.insert(0, {str(HERE)!r})
        from live_engines import Engines, QueueUnderTest
        async def main():
        {{}}
            await asyncio.sleep(5.0)
        asyncio.run(main())
        print("survived")
        """
    ).format(textwrap.indent(textwrap.dedent(body), "    "))
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=90.0
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("bus", ["stock", "enhanced"])
def test_without_grace_an_error_in_a_handler_ends_the_process_at_once(bus):
    code, output = exit_code_of(
        f"""
        engines = Engines(asyncio.get_running_loop(), bus={bus!r}, graceful=False)
        queue = QueueUnderTest(engines, "exec.evt")
        def react(message):
            raise ValueError(message)
        queue.react = react
        engines.start()
        queue.feed(1)
        """
    )
    assert code == 1, output
    assert "survived" not in output


@pytest.mark.parametrize("from_thread", [False, True])
def test_without_grace_the_hard_limit_ends_the_process_at_once(from_thread):
    code, output = exit_code_of(
        f"""
        engines = Engines(asyncio.get_running_loop(), qsize=2, factor=2, graceful=False)
        queue = QueueUnderTest(engines, "data.data")
        def feed():
            for number in range(4):
                queue.feed(number)
            print("at the limit", flush=True)
            queue.feed(4)
        if {from_thread}:
            await asyncio.to_thread(feed)
        else:
            feed()
        """
    )
    assert code == 1, output
    assert "at the limit" in output
    assert "survived" not in output


class TwoLanes:
    """A queue with two lanes, in an engine that notes what it handles."""

    def __init__(self) -> None:
        self._log = self
        self.handled: list = []
        dispatcher = PriorityDispatcher(asyncio.get_running_loop())
        self.queue = EngineQueue(
            self,
            qname="queue",
            handler="handled_one",
            kind="Message",
            lanes=(DispatchLane.ORDER_FLOW, DispatchLane.LOW),
            dispatcher=dispatcher,
            maxsize=100,
            choose_lane=lambda message: message[0],
        )
        self.core = dispatcher._core

    def debug(self, text) -> None:
        pass

    warning = debug

    def handled_one(self, message) -> None:
        self.handled.append(message)


@pytest.mark.parametrize("how", ["halt", "cancel"])
async def test_a_sentinel_that_one_lane_has_reached_closes_no_other_lane_of_a_later_run(how):
    engine = TwoLanes()
    queue = engine.queue
    run = queue.run()
    run.send(None)
    queue.put_nowait(None)
    # Order flow comes to its sentinel, and the other lane not yet.
    engine.core._run(DispatchLane.ORDER_FLOW, 0, 0)
    with contextlib.suppress(StopIteration):
        if how == "halt":
            queue.halt()
            run.send(None)
        else:
            run.throw(asyncio.CancelledError())
    again = asyncio.create_task(queue.run())
    await asyncio.sleep(0)
    messages = [(DispatchLane.ORDER_FLOW, 1), (DispatchLane.LOW, 2)]
    for message in messages:
        queue.put_nowait(message)
    await until(lambda: not engine.core.has_work())
    assert engine.handled == messages
    queue.put_nowait(None)
    await again
