"""A loopback venue whose quotes carry numbers, and a node with NautilusTrader's client of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING
from typing import Any
from urllib.parse import urlsplit

from nautilus_trader.adapters.binance.factories import BinanceLiveDataClientFactory
from nautilus_trader.common.config import DatabaseConfig
from nautilus_trader.common.config import MessageBusConfig
from nautilus_trader.config import LiveExecEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.config import StrategyConfig
from nautilus_trader.config import TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.trading.strategy import Strategy

from nautilus_enhanced import EnhancedMessageBusConfig
from nautilus_enhanced.benchmarks.harness import tell
from nautilus_enhanced.benchmarks.rigs.publishing import TRADER_ID
from nautilus_enhanced.sandbox.binance import data_client_config
from nautilus_enhanced.sandbox.generator import DEFAULT_INSTRUMENT
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.venues import open_venue


if TYPE_CHECKING:
    from collections.abc import Iterator

    from nautilus_trader.model.data import QuoteTick

    from nautilus_enhanced.sandbox.market import Instrument


VENUE = "BINANCE"
TOPIC = "data.quotes.BINANCE.BTCUSDT"
# Quotes without a number come first, until the reader has begun.
LEAD_INTERVAL_S = 0.02
LIMIT_S = 30.0
GRACE_S = 0.3
NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class NumberedMarket:
    """
    Quotes on schedule, each with its number as the size of its bid.

    Parameters
    ----------
    lead_s : float
        For how long quotes with the number 0 come first.
    per_s, count : int
        How many of the others come a second, and how many there are.
    """

    lead_s: float
    per_s: int
    count: int

    @property
    def instrument(self) -> Instrument:
        """Return what is traded."""
        return DEFAULT_INSTRUMENT

    def due_ns(self, number: int) -> int:
        """Return when a quote is due, in nanoseconds since the market began."""
        return int(self.lead_s * NS_PER_S) + (number - 1) * NS_PER_S // self.per_s

    def __iter__(self) -> Iterator[Quote]:
        """Iterate over all quotes; the first one says when the market began."""
        _Begin.at_ns = time.perf_counter_ns()
        step = self.instrument.step_size
        for lead in range(int(self.lead_s / LEAD_INTERVAL_S)):
            yield self._quote(int(lead * LEAD_INTERVAL_S * NS_PER_S), Decimal(0) * step)
        for number in range(1, self.count + 1):
            yield self._quote(self.due_ns(number), number * step)

    def _quote(self, due_ns: int, size: Decimal) -> Quote:
        return Quote(
            due_ns=due_ns,
            bid=Decimal("50000.00"),
            ask=Decimal("50000.01"),
            bid_size=size,
            ask_size=Decimal(1),
        )


class _Begin:
    """When this process's market began."""

    at_ns = 0


def run_venue(lead_s: float, per_s: int, count: int) -> int:
    """Run a venue until all is sent; tell where it is; return when its market began."""
    market = NumberedMarket(lead_s, per_s, count)

    async def serve() -> None:
        async with open_venue("binance-spot", market) as venue:
            tell(f"{venue.addresses['http_url']} {venue.addresses['ws_url']}")
            deadline = time.monotonic() + LIMIT_S
            _Begin.at_ns = 0
            end_ns = market.due_ns(count) + int(GRACE_S * NS_PER_S)
            while time.monotonic() < deadline:
                if _Begin.at_ns and time.perf_counter_ns() > _Begin.at_ns + end_ns:
                    break
                await asyncio.sleep(0.02)

    asyncio.run(serve())
    return _Begin.at_ns


class Watcher(Strategy):
    """Subscribes to quotes and counts those with a number."""

    def __init__(self) -> None:
        super().__init__(StrategyConfig(strategy_id="BENCH-001"))
        self.seen = 0

    def on_start(self) -> None:
        """Subscribe."""
        self.subscribe_quote_ticks(InstrumentId.from_str(f"BTCUSDT.{VENUE}"))

    def on_quote_tick(self, tick: QuoteTick) -> None:
        """Count it."""
        self.seen += tick.bid_size.raw != 0


def run_node(bus: str, server_url: str, http_url: str, ws_url: str, count: int) -> int:
    """
    Run a node until its strategy has seen all quotes.

    Parameters
    ----------
    bus : str
        ``enhanced``, or ``stock`` and the milliseconds that it buffers, or ``stock`` alone.
    server_url, http_url, ws_url : str
        The server and the venue.
    count : int
        How many quotes with a number there are.

    Returns
    -------
    int
        How many the strategy saw.
    """
    config = TradingNodeConfig(
        trader_id=TraderId(TRADER_ID),
        logging=LoggingConfig(log_level="OFF"),
        message_bus=bus_config(bus, server_url),
        exec_engine=LiveExecEngineConfig(reconciliation=False),
        data_clients={VENUE: data_client_config(http_url=http_url, ws_url=ws_url)},
        timeout_connection=20.0,
        timeout_portfolio=5.0,
        timeout_disconnection=2.0,
        timeout_post_stop=0.05,
    )
    node = TradingNode(config)
    node.add_data_client_factory(VENUE, BinanceLiveDataClientFactory)
    watcher = Watcher()
    node.trader.add_strategy(watcher)
    node.build()
    loop: Any = node.get_event_loop()

    async def stop_at_the_end() -> None:
        deadline = time.monotonic() + LIMIT_S
        while (  # noqa: ASYNC110 (a strategy has no event to wait for)
            watcher.seen < count and time.monotonic() < deadline
        ):
            await asyncio.sleep(0.02)
        # What is buffered still is to be published.
        await asyncio.sleep(GRACE_S)
        node.stop()

    stopping = loop.create_task(stop_at_the_end())
    node.run()
    stopping.result()
    node.dispose()
    return watcher.seen


def bus_config(bus: str, server_url: str) -> MessageBusConfig:
    """Return the configuration of a node's bus."""
    if bus == "enhanced":
        return EnhancedMessageBusConfig(connection=server_url, fallback="raise", encoding="json")
    interval = bus.partition(" ")[2]
    return MessageBusConfig(
        database=DatabaseConfig(host="127.0.0.1", port=urlsplit(server_url).port),
        encoding="json",
        buffer_interval_ms=int(interval) if interval else None,
    )
