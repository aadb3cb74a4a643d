"""A node under test: its venue is in the process and fills at once, at its own market's price."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING
from typing import Any

from nautilus_trader.common.config import MessageBusConfig
from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.config import LiveDataClientConfig
from nautilus_trader.config import LiveDataEngineConfig
from nautilus_trader.config import LiveExecClientConfig
from nautilus_trader.config import LiveExecEngineConfig
from nautilus_trader.config import LiveRiskEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.config import StrategyConfig
from nautilus_trader.config import TradingNodeConfig
from nautilus_trader.live.data_client import LiveMarketDataClient
from nautilus_trader.live.execution_client import LiveExecutionClient
from nautilus_trader.live.factories import LiveDataClientFactory
from nautilus_trader.live.factories import LiveExecClientFactory
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import AccountType
from nautilus_trader.model.enums import LiquiditySide
from nautilus_trader.model.enums import OmsType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import AccountId
from nautilus_trader.model.identifiers import ClientId
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.identifiers import VenueOrderId
from nautilus_trader.model.objects import AccountBalance
from nautilus_trader.model.objects import Money
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

from nautilus_enhanced import EnhancedMessageBusConfig


if TYPE_CHECKING:
    from collections.abc import Callable


NAME = "SIM"
QUANTITY = Quantity.from_int(10)


class InstantVenue:
    """A market of one equity, and the two clients that a node made for it."""

    def __init__(self) -> None:
        self.instrument = TestInstrumentProvider.equity(symbol="BENCH", venue=NAME)
        self.ask = Price(100.01, 2)
        self.data: DataClient | None = None
        self.execution: ExecutionClient | None = None

    def make_quotes(self, count: int) -> list[QuoteTick]:
        """Return quotes that a venue could send now, each an object of its own."""
        now = time.time_ns()
        bid, instrument_id = Price(100.00, 2), self.instrument.id
        return [
            QuoteTick(
                instrument_id, bid, self.ask, QUANTITY, QUANTITY, ts_event=now + n, ts_init=now + n
            )
            for n in range(count)
        ]

    def feed(self, data: Any) -> None:
        """Let the node have data, as if it had come over the socket."""
        if self.data is None:
            raise RuntimeError("the node has made no data client for this venue")
        self.data._handle_data(data)  # noqa: SLF001 (what a client calls on itself)

    def data_factory(self) -> type[LiveDataClientFactory]:
        """Return the factory of the data client of this venue."""
        venue = self

        class Factory(LiveDataClientFactory):
            @staticmethod
            def create(  # type: ignore[override]  # it takes the others as they come
                loop: Any, name: str, config: Any, **parts: Any
            ) -> DataClient:
                del name, config
                venue.data = DataClient(venue, loop, **parts)
                return venue.data

        return Factory

    def execution_factory(self) -> type[LiveExecClientFactory]:
        """Return the factory of the execution client of this venue."""
        venue = self

        class Factory(LiveExecClientFactory):
            @staticmethod
            def create(  # type: ignore[override]  # as above
                loop: Any, name: str, config: Any, **parts: Any
            ) -> ExecutionClient:
                del name, config
                venue.execution = ExecutionClient(venue, loop, **parts)
                return venue.execution

        return Factory


class DataClient(LiveMarketDataClient):
    """Feeds what the benchmark gives to its venue."""

    def __init__(self, venue: InstantVenue, loop: Any, **parts: Any) -> None:
        super().__init__(
            loop=loop,
            client_id=ClientId(NAME),
            venue=Venue(NAME),
            instrument_provider=InstrumentProvider(),
            **parts,
        )
        self._market = venue

    async def _connect(self) -> None:
        self._handle_data(self._market.instrument)

    async def _disconnect(self) -> None:
        pass

    async def _subscribe_quote_ticks(self, command: Any) -> None:
        pass

    async def _unsubscribe_quote_ticks(self, command: Any) -> None:
        pass


class ExecutionClient(LiveExecutionClient):
    """Accepts and fills each order where it is submitted."""

    def __init__(self, venue: InstantVenue, loop: Any, **parts: Any) -> None:
        super().__init__(
            loop=loop,
            client_id=ClientId(NAME),
            venue=Venue(NAME),
            oms_type=OmsType.NETTING,
            account_type=AccountType.MARGIN,
            base_currency=USD,
            instrument_provider=InstrumentProvider(),
            **parts,
        )
        self._market = venue
        self._orders = 0
        self._set_account_id(AccountId(f"{NAME}-001"))

    async def _connect(self) -> None:
        money = Money(100_000_000, USD)
        self.generate_account_state(
            balances=[AccountBalance(money, Money(0, USD), money)],
            margins=[],
            reported=True,
            ts_event=self._clock.timestamp_ns(),
        )

    async def _disconnect(self) -> None:
        pass

    async def _submit_order(self, command: Any) -> None:
        self._orders += 1
        order, now_ns = command.order, self._clock.timestamp_ns()
        ids = {
            "strategy_id": order.strategy_id,
            "instrument_id": order.instrument_id,
            "client_order_id": order.client_order_id,
        }
        venue_order_id = VenueOrderId(f"V-{self._orders}")
        self.generate_order_submitted(**ids, ts_event=now_ns)
        self.generate_order_accepted(**ids, venue_order_id=venue_order_id, ts_event=now_ns)
        self.generate_order_filled(
            **ids,
            venue_order_id=venue_order_id,
            venue_position_id=None,
            trade_id=TradeId(f"T-{self._orders}"),
            order_side=order.side,
            order_type=order.order_type,
            last_qty=order.quantity,
            last_px=self._market.ask,
            quote_currency=USD,
            commission=Money(0, USD),
            liquidity_side=LiquiditySide.TAKER,
            ts_event=now_ns,
        )

    async def generate_order_status_reports(self, command: Any) -> list[Any]:
        """Return none: the venue starts empty."""
        del command
        return []

    async def generate_fill_reports(self, command: Any) -> list[Any]:
        """Return none: the venue starts empty."""
        del command
        return []

    async def generate_position_status_reports(self, command: Any) -> list[Any]:
        """Return none: the venue starts empty."""
        del command
        return []


class Trader(Strategy):
    """Counts quotes, keeps the processor busy with each, and submits when told to."""

    def __init__(self, venue: InstantVenue, work_s: float) -> None:
        super().__init__(StrategyConfig(strategy_id="BENCH-001"))
        self._market = venue
        self._work_s = work_s
        self._awaited: asyncio.Future[float] | None = None
        self.quotes = 0
        self.filled = 0
        self.at_start: Callable[[], None] | None = None

    def on_start(self) -> None:
        """Subscribe, and tell the benchmark."""
        self.subscribe_quote_ticks(self._market.instrument.id)
        if self.at_start is not None:
            self.at_start()

    def on_quote_tick(self, tick: QuoteTick) -> None:
        """Count it and work."""
        del tick
        self.quotes += 1
        if self._work_s:
            end = time.perf_counter() + self._work_s
            while time.perf_counter() < end:
                pass

    def on_order_filled(self, event: Any) -> None:
        """Say when."""
        del event
        now = time.perf_counter()
        self.filled += 1
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_result(now)

    async def submit_and_wait(self) -> float:
        """Submit a market order; return when it was filled."""
        self._awaited = asyncio.get_running_loop().create_future()
        order = self.order_factory.market(self._market.instrument.id, OrderSide.BUY, QUANTITY)
        self.submit_order(order)
        return await self._awaited


def make_node(bus: str, venue: InstantVenue) -> TradingNode:
    """Return a node on either bus, not yet built, without a server and without a log."""
    config = TradingNodeConfig(
        trader_id=TraderId("BENCH-001"),
        logging=LoggingConfig(log_level="OFF"),
        message_bus=(
            EnhancedMessageBusConfig(fallback="raise") if bus == "enhanced" else MessageBusConfig()
        ),
        data_engine=LiveDataEngineConfig(qsize=1_000_000),
        risk_engine=LiveRiskEngineConfig(bypass=False),
        exec_engine=LiveExecEngineConfig(reconciliation=False),
        data_clients={NAME: LiveDataClientConfig()},
        exec_clients={NAME: LiveExecClientConfig()},
        timeout_connection=10.0,
        timeout_portfolio=5.0,
        timeout_disconnection=2.0,
        timeout_post_stop=0.05,
    )
    node = TradingNode(config)
    node.add_data_client_factory(NAME, venue.data_factory())
    node.add_exec_client_factory(NAME, venue.execution_factory())
    return node
