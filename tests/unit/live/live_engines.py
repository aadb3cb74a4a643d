"""Real engines of the installed version on a real event loop, stock or ours."""

from __future__ import annotations

import asyncio
import time

from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock
from nautilus_trader.common.component import MessageBus
from nautilus_trader.config import LiveDataEngineConfig
from nautilus_trader.config import LiveExecEngineConfig
from nautilus_trader.config import LiveRiskEngineConfig
from nautilus_trader.live.data_engine import LiveDataEngine
from nautilus_trader.live.execution_engine import LiveExecutionEngine
from nautilus_trader.live.risk_engine import LiveRiskEngine
from nautilus_trader.portfolio.portfolio import Portfolio
from nautilus_trader.test_kit.stubs.identifiers import TestIdStubs

from nautilus_enhanced.infrastructure.messagebus.settings.dispatch import DispatchSettings
from nautilus_enhanced.live.dispatcher import PriorityDispatcher
from nautilus_enhanced.live.engines import EnhancedLiveDataEngine
from nautilus_enhanced.live.engines import EnhancedLiveExecutionEngine
from nautilus_enhanced.live.engines import EnhancedLiveRiskEngine


# Each queue of each engine: how it is fed, where its messages go, how its size is asked for,
# and whether it refuses at the hard limit.
QUEUES = {
    "data.cmd": ("data", "execute", "_execute_command", "cmd_qsize", False),
    "data.req": ("data", "request", "_handle_request", "req_qsize", False),
    "data.res": ("data", "response", "_handle_response", "res_qsize", False),
    "data.data": ("data", "process", "_handle_data", "data_qsize", True),
    "risk.cmd": ("risk", "execute", "_execute_command", "cmd_qsize", False),
    "risk.evt": ("risk", "process", "_handle_event", "evt_qsize", False),
    "exec.cmd": ("exec", "execute", "_execute_command", "cmd_qsize", False),
    "exec.evt": ("exec", "process", "_handle_event_with_tracking", "evt_qsize", False),
}


QUEUE_KINDS = ("cmd", "req", "res", "data", "evt")


class QueueUnderTest:
    """One queue of a real engine, with a handler that notes what it gets."""

    def __init__(self, engines, name: str) -> None:
        engine, feed, self.handler, size, self.refuses = QUEUES[name]
        self.engine = getattr(engines, engine)
        self.name = name
        self.qsize = getattr(self.engine, size)
        self.handled: list = []
        self._feed = getattr(self.engine, feed)
        self.react = None
        setattr(self.engine, self.handler, self._handle)
        # The execution engine looks into what it is given before it queues it.
        if name == "exec.evt":
            self.engine._record_local_activity = lambda event: None

    def task(self):
        # By its name: 1.221 has the tasks of two queues under each other's attribute.
        qname = f"{self.name.split('.')[1]}_queue"
        tasks = (getattr(self.engine, f"_{q}_queue_task", None) for q in QUEUE_KINDS)
        return next(task for task in tasks if task is not None and task.get_name() == qname)

    def feed(self, message) -> None:
        self._feed(message)

    def _handle(self, message) -> None:
        self.handled.append(message)
        if self.react is not None:
            self.react(message)

    @property
    def statistics(self):
        qname = f"{self.name.split('.')[1]}_queue"
        kind = type(self.engine).__name__
        return next(
            figures
            for figures in self.engine._cmd_queue._dispatcher.statistics().queues
            if (figures.engine, figures.queue) == (kind, qname)
        )


class Engines:
    """The three live engines of a node, sharing a dispatcher when they are ours."""

    def __init__(
        self,
        loop,
        bus="enhanced",
        *,
        qsize=100_000,
        factor=10,
        graceful=True,
        started=None,
        **dispatch,
    ) -> None:
        self.loop = loop
        self.clock = LiveClock()
        self.msgbus = MessageBus(trader_id=TestIdStubs.trader_id(), clock=self.clock)
        self.cache = Cache()
        self.portfolio = Portfolio(msgbus=self.msgbus, cache=self.cache, clock=self.clock)
        common = {
            "loop": loop,
            "msgbus": self.msgbus,
            "cache": self.cache,
            "clock": self.clock,
        }
        options = {"qsize": qsize, "graceful_shutdown_on_exception": graceful}
        classes = (LiveDataEngine, LiveRiskEngine, LiveExecutionEngine)
        self.dispatcher = None
        if bus == "enhanced":
            classes = (
                EnhancedLiveDataEngine,
                EnhancedLiveRiskEngine,
                EnhancedLiveExecutionEngine,
            )
            self.dispatcher = PriorityDispatcher(
                loop, DispatchSettings(hard_limit_factor=factor, **dispatch), started
            )
            common["dispatcher"] = self.dispatcher
        data, risk, execution = classes
        self.data = data(config=LiveDataEngineConfig(**options), **common)
        self.risk = risk(portfolio=self.portfolio, config=LiveRiskEngineConfig(**options), **common)
        self.exec = execution(
            config=LiveExecEngineConfig(reconciliation=False, **options), **common
        )
        self.all = (self.data, self.risk, self.exec)

    def start(self) -> None:
        for engine in self.all:
            engine.start()

    def reset(self) -> None:
        for engine in self.all:
            engine.reset()

    def stop(self) -> None:
        for engine in self.all:
            if engine.is_running:
                engine.stop()


async def settle() -> None:
    """
    Give way for more turns of the loop than anything here takes.

    Turns and no time: while the system has the process wait, time passes without any.
    """
    for _ in range(50):
        await asyncio.sleep(0)


async def until(condition, within_s=30.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.001)
