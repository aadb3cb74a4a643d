"""The monitor: what it says, once, and that it ends with its node."""

from __future__ import annotations

import asyncio

from live_engines import until

from nautilus_enhanced.live.dispatcher import PriorityDispatcher
from nautilus_enhanced.live.monitor import NodeMonitor
from nautilus_enhanced.live.scheduling import DispatchLane


class Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __getattr__(self, level):
        return lambda message: self.lines.append((level, message))


async def test_it_says_that_a_queue_is_over_its_capacity_once_and_that_it_is_healthy_again(
    engines_of,
):
    engines = engines_of(qsize=2)
    log = Log()
    monitor = NodeMonitor(
        loop=asyncio.get_running_loop(),
        log=log,
        is_over=lambda: False,
        client=None,
        dispatcher=engines.dispatcher,
        interval_s=0.005,
    )
    engines.data._handle_data = lambda _: None
    for number in range(5):
        engines.data.process(number)
    monitor.start()
    await until(lambda: log.lines)
    await asyncio.sleep(0.03)
    assert [level for level, _ in log.lines] == ["warning"]
    assert "EnhancedLiveDataEngine.data_queue" in log.lines[0][1]
    engines.start()
    await until(lambda: log.lines[-1] == ("info", "healthy again"))
    monitor.stop()
    assert engines.dispatcher.statistics().queued[DispatchLane.DATA.name] == 0


async def test_it_ends_with_its_node_on_a_loop_that_lives_on():
    disposed = []
    monitor = NodeMonitor(
        loop=asyncio.get_running_loop(),
        log=Log(),
        is_over=lambda: bool(disposed),
        client=None,
        dispatcher=PriorityDispatcher(asyncio.get_running_loop()),
        interval_s=0.001,
    )
    monitor.start()
    await asyncio.sleep(0.01)
    assert monitor._timer is not None
    disposed.append(True)
    await until(lambda: monitor._timer is None)
