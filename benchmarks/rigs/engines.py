"""The engines under test: real ones, on either bus, without a node around them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING
from typing import Any

import uvloop
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock
from nautilus_trader.common.component import MessageBus
from nautilus_trader.config import LiveDataEngineConfig
from nautilus_trader.config import LiveExecEngineConfig
from nautilus_trader.live.data_engine import LiveDataEngine
from nautilus_trader.live.execution_engine import LiveExecutionEngine
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.portfolio.portfolio import Portfolio
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.data import TestDataStubs

from nautilus_enhanced.infrastructure.messagebus.settings.dispatch import DispatchSettings
from nautilus_enhanced.live import EnhancedLiveDataEngine
from nautilus_enhanced.live import EnhancedLiveExecutionEngine
from nautilus_enhanced.live import PriorityDispatcher


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Coroutine


QSIZE = 1_000_000
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "uvloop": uvloop.new_event_loop,
    "asyncio": asyncio.new_event_loop,
}


class Rig:
    """
    A data and an execution engine on one bus, started.

    Attributes
    ----------
    handled : int
        Quotes that a subscriber on the bus has got.
    work_s : float
        Seconds for which the subscriber keeps the processor busy with each quote.
    """

    def __init__(
        self, bus: str, loop: asyncio.AbstractEventLoop, slice_us: int | None = None
    ) -> None:
        clock = LiveClock()
        msgbus = MessageBus(trader_id=TraderId("BENCH-001"), clock=clock)
        cache = Cache()
        instrument = TestInstrumentProvider.default_fx_ccy("AUD/USD")
        cache.add_instrument(instrument)
        Portfolio(msgbus, cache, clock)
        parts: dict[str, Any] = {"loop": loop, "msgbus": msgbus, "cache": cache, "clock": clock}
        data_config = LiveDataEngineConfig(qsize=QSIZE)
        exec_config = LiveExecEngineConfig(
            qsize=QSIZE, reconciliation=False, inflight_check_interval_ms=0
        )
        self.dispatcher: PriorityDispatcher | None = None
        if bus == "enhanced":
            self.dispatcher = PriorityDispatcher(
                loop,
                DispatchSettings() if slice_us is None else DispatchSettings(slice_us=slice_us),
            )
            parts["dispatcher"] = self.dispatcher
            self.data: Any = EnhancedLiveDataEngine(**parts, config=data_config)
            self.execution: Any = EnhancedLiveExecutionEngine(**parts, config=exec_config)
        else:
            self.data = LiveDataEngine(**parts, config=data_config)
            self.execution = LiveExecutionEngine(**parts, config=exec_config)
        self.quote = TestDataStubs.quote_tick(instrument)
        self.handled = 0
        self.work_s = 0.0
        msgbus.subscribe("data.quotes.*", self._on_quote)

    def start(self) -> Rig:
        """Start the engines and return the rig."""
        self.data.start()
        self.execution.start()
        return self

    def make_quotes(self, count: int) -> list[QuoteTick]:
        """Return as many quotes, each an object of its own, as they come from a venue."""
        like = self.quote
        return [
            QuoteTick(
                like.instrument_id,
                like.bid_price,
                like.ask_price,
                like.bid_size,
                like.ask_size,
                ts_event=number,
                ts_init=number,
            )
            for number in range(1, count + 1)
        ]

    def on_order_event(self, handle: Callable[[Any], None]) -> None:
        """Let `handle` have what the execution engine would do with an event."""
        # Both buses look the handler up at each call.
        self.execution._handle_event_with_tracking = handle  # noqa: SLF001 (the measurement's end)
        # What is sent is no real order event.
        self.execution._record_local_activity = lambda _event: None  # noqa: SLF001

    def _on_quote(self, _quote: Any) -> None:
        self.handled += 1
        if self.work_s:
            end = time.perf_counter() + self.work_s
            while time.perf_counter() < end:
                pass

    async def drained(self, goal: int) -> None:
        """Wait until `goal` quotes were handled."""
        while self.handled < goal:  # noqa: ASYNC110 (the engine has no event to wait for)
            await asyncio.sleep(0)

    async def stop(self) -> None:
        """Stop the engines and wait for their queues."""
        tasks = [
            self.data.get_cmd_queue_task(),
            self.data.get_req_queue_task(),
            self.data.get_res_queue_task(),
            self.data.get_data_queue_task(),
            self.execution.get_cmd_queue_task(),
            self.execution.get_evt_queue_task(),
        ]
        self.data.stop()
        self.execution.stop()
        await asyncio.wait_for(asyncio.gather(*tasks), 10)


def on_a_loop(
    loop_name: str, run: Callable[[asyncio.AbstractEventLoop], Coroutine[Any, Any, Any]]
) -> Any:
    """Run a coroutine on a new event loop of the kind and return its result."""
    loop = LOOPS[loop_name]()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(run(loop))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
