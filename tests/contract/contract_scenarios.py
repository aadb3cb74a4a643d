"""
What a node does, as scenarios that run in a process of their own on either bus.

``python contract_scenarios.py NAME BUS [JSON]`` prints its result as JSON. The venue is in this
process and as simple as can be: it accepts and fills at once, or does what it is told.
"""
# A program of its own: it prints its result, polls real nodes, implements the host's signatures,
# and imports nautilus_enhanced only where the bus under test is ours.
# ruff: noqa: ASYNC110, BLE001, PLC0415, PLR0917, T201

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
import threading
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from nautilus_trader.common.config import MessageBusConfig
from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.config import LiveDataClientConfig
from nautilus_trader.config import LiveDataEngineConfig
from nautilus_trader.config import LiveExecClientConfig
from nautilus_trader.config import LiveExecEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.config import StrategyConfig
from nautilus_trader.config import TradingNodeConfig
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.reports import OrderStatusReport
from nautilus_trader.live.data_client import LiveMarketDataClient
from nautilus_trader.live.execution_client import LiveExecutionClient
from nautilus_trader.live.factories import LiveDataClientFactory
from nautilus_trader.live.factories import LiveExecClientFactory
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import BarType
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import AccountType
from nautilus_trader.model.enums import LiquiditySide
from nautilus_trader.model.enums import OmsType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.enums import OrderType
from nautilus_trader.model.enums import TimeInForce
from nautilus_trader.model.events import OrderEvent
from nautilus_trader.model.identifiers import AccountId
from nautilus_trader.model.identifiers import ClientId
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.identifiers import VenueOrderId
from nautilus_trader.model.objects import AccountBalance
from nautilus_trader.model.objects import Money
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity
from nautilus_trader.system.kernel import NautilusKernel
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy


VENUE = Venue("SIM")
INSTRUMENT_ID = InstrumentId.from_str("S0000.SIM")
QTY = Quantity.from_int(10)
# After that a scenario gives up. Nothing takes so long, even while other processes are at work.
LIMIT_S = 60.0


class Market:
    """What the scenario says about the venue, and the clients that were made."""

    instruments = 1
    open_orders = 0
    exec_delay_s = 0.0
    fills = True
    data: DataClient
    exec: ExecClient


def equity(number: int):
    return TestInstrumentProvider.equity(symbol=f"S{number:04}", venue="SIM")


def quote(bid: float = 100.0) -> QuoteTick:
    now = time.time_ns()
    return QuoteTick(
        INSTRUMENT_ID, Price(bid, 2), Price(bid + 0.01, 2), QTY, QTY, ts_event=now, ts_init=now
    )


class DataClient(LiveMarketDataClient):
    def __init__(self, loop, msgbus, cache, clock) -> None:
        super().__init__(
            loop=loop,
            client_id=ClientId("SIM"),
            venue=VENUE,
            msgbus=msgbus,
            cache=cache,
            clock=clock,
            instrument_provider=InstrumentProvider(),
        )
        Market.data = self

    async def _connect(self) -> None:
        for number in range(Market.instruments):
            self._handle_data(equity(number))

    async def _disconnect(self) -> None:
        pass

    async def _subscribe_quote_ticks(self, command) -> None:
        pass

    async def _unsubscribe_quote_ticks(self, command) -> None:
        pass

    def feed(self, data) -> None:
        self._handle_data(data)


class ExecClient(LiveExecutionClient):
    def __init__(self, loop, msgbus, cache, clock) -> None:
        super().__init__(
            loop=loop,
            client_id=ClientId("SIM"),
            venue=VENUE,
            oms_type=OmsType.NETTING,
            account_type=AccountType.MARGIN,
            base_currency=USD,
            instrument_provider=InstrumentProvider(),
            msgbus=msgbus,
            cache=cache,
            clock=clock,
        )
        self._set_account_id(AccountId("SIM-001"))
        self.orders = 0
        Market.exec = self

    async def _connect(self) -> None:
        await asyncio.sleep(Market.exec_delay_s)
        money = Money(10_000_000, USD)
        self.generate_account_state(
            balances=[AccountBalance(money, Money(0, USD), money)],
            margins=[],
            reported=True,
            ts_event=self._clock.timestamp_ns(),
        )

    async def _disconnect(self) -> None:
        pass

    def _now(self) -> int:
        return self._clock.timestamp_ns()

    def accept(self, order) -> VenueOrderId:
        self.orders += 1
        venue_id = VenueOrderId(f"V-{self.orders}")
        ids = (order.strategy_id, order.instrument_id, order.client_order_id)
        self.generate_order_submitted(*ids, self._now())
        self.generate_order_accepted(*ids, venue_id, self._now())
        return venue_id

    def fill(self, order, venue_id, price: float = 100.0) -> None:
        self.generate_order_filled(
            strategy_id=order.strategy_id,
            instrument_id=order.instrument_id,
            client_order_id=order.client_order_id,
            venue_order_id=venue_id,
            venue_position_id=None,
            trade_id=TradeId(f"T-{order.client_order_id.value[-20:]}"),
            order_side=order.side,
            order_type=order.order_type,
            last_qty=order.quantity,
            last_px=Price(price, 2),
            quote_currency=USD,
            commission=Money(0, USD),
            liquidity_side=LiquiditySide.TAKER,
            ts_event=self._now(),
        )

    async def _submit_order(self, command) -> None:
        order = command.order
        venue_id = self.accept(order)
        if Market.fills and order.order_type == OrderType.MARKET:
            self.fill(order, venue_id)

    async def _submit_order_list(self, command) -> None:
        entry, *exits = command.order_list.orders
        ids = {order: self.accept(order) for order in (entry, *exits)}
        self.fill(entry, ids[entry])
        # The first exit is filled, the venue cancels its sibling.
        self.fill(exits[-1], ids[exits[-1]], 110.0)
        stop_loss = exits[0]
        self.generate_order_canceled(
            stop_loss.strategy_id,
            stop_loss.instrument_id,
            stop_loss.client_order_id,
            ids[stop_loss],
            self._now(),
        )

    async def _cancel_order(self, command) -> None:
        self.generate_order_canceled(
            command.strategy_id,
            command.instrument_id,
            command.client_order_id,
            command.venue_order_id,
            self._now(),
        )

    async def _cancel_all_orders(self, command) -> None:
        for order in self._cache.orders_open(instrument_id=command.instrument_id):
            self.generate_order_canceled(
                order.strategy_id,
                order.instrument_id,
                order.client_order_id,
                order.venue_order_id,
                self._now(),
            )

    async def generate_order_status_report(self, command):
        return None

    async def generate_order_status_reports(self, command):
        step = max(1, Market.instruments // max(1, Market.open_orders))
        return [
            OrderStatusReport(
                account_id=self.account_id,
                instrument_id=equity(Market.instruments - 1 - number * step).id,
                venue_order_id=VenueOrderId(f"OLD-{number}"),
                order_side=OrderSide.BUY,
                order_type=OrderType.LIMIT,
                time_in_force=TimeInForce.GTC,
                order_status=OrderStatus.ACCEPTED,
                price=Price(90.0, 2),
                quantity=QTY,
                filled_qty=Quantity.zero(),
                avg_px=Decimal(0),
                report_id=UUID4(),
                ts_accepted=self._now(),
                ts_last=self._now(),
                ts_init=self._now(),
            )
            for number in range(Market.open_orders)
        ]

    async def generate_fill_reports(self, command):
        return []

    async def generate_position_status_reports(self, command):
        return []


class DataFactory(LiveDataClientFactory):
    @staticmethod
    def create(loop, name, config, msgbus, cache, clock):
        return DataClient(loop, msgbus, cache, clock)


class ExecFactory(LiveExecClientFactory):
    @staticmethod
    def create(loop, name, config, msgbus, cache, clock):
        return ExecClient(loop, msgbus, cache, clock)


class Trader(Strategy):
    """Notes order events by order, and leaves the rest to hooks of the scenario."""

    def __init__(self, on_started=None) -> None:
        super().__init__(StrategyConfig(strategy_id="T-001"))
        self.events: dict[str, list[str]] = {}
        self.at_start = on_started
        self.at_quote = None
        self.at_bar = None
        self.at_order_event = None

    def on_start(self) -> None:
        self.subscribe_quote_ticks(INSTRUMENT_ID)
        if self.at_start is not None:
            self.at_start()

    def on_quote_tick(self, tick) -> None:
        if self.at_quote is not None:
            self.at_quote(tick)

    def on_bar(self, bar) -> None:
        if self.at_bar is not None:
            self.at_bar(bar)

    def on_order_event(self, event) -> None:
        name = type(event).__name__
        self.events.setdefault(event.client_order_id.value, []).append(name)
        if self.at_order_event is not None:
            self.at_order_event(event)

    def market(self, side=OrderSide.BUY, position_id=None, **options):
        order = self.order_factory.market(INSTRUMENT_ID, side, QTY, **options)
        self.submit_order(order, position_id=position_id)
        return order


def bus_config(bus: str, **fields):
    if bus == "stock":
        return MessageBusConfig(**fields) if fields else None
    from nautilus_enhanced import EnhancedMessageBusConfig

    return EnhancedMessageBusConfig(**fields)


def make_config(bus: str, message_bus=None, **fields) -> TradingNodeConfig:
    return TradingNodeConfig(
        trader_id=TraderId("CONTRACT-001"),
        logging=LoggingConfig(log_level=fields.pop("log_level", "OFF")),
        message_bus=bus_config(bus) if message_bus is None else message_bus,
        data_engine=LiveDataEngineConfig(time_bars_build_with_no_updates=True),
        exec_engine=LiveExecEngineConfig(reconciliation=True),
        data_clients={"SIM": LiveDataClientConfig()},
        exec_clients={"SIM": LiveExecClientConfig()},
        timeout_connection=30.0,
        timeout_reconciliation=30.0,
        timeout_portfolio=30.0,
        timeout_disconnection=10.0,
        timeout_post_stop=0.05,
        **fields,
    )


class Run:
    """A node with the trader, which stops when the scenario says so, or after a time limit."""

    def __init__(self, bus: str, *, loop=None, **fields) -> None:
        self.node = TradingNode(make_config(bus, **fields), loop=loop)
        self.node.add_data_client_factory("SIM", DataFactory)
        self.node.add_exec_client_factory("SIM", ExecFactory)
        self.loop = self.node.get_event_loop()
        self.trader = Trader()
        self.node.trader.add_strategy(self.trader)
        self.node.build()
        self.timed_out = False
        self.stopping = False

    def run(self, limit_s: float = LIMIT_S) -> None:
        self.loop.call_later(limit_s, self._time_out)
        self.node.run()

    def _time_out(self) -> None:
        self.timed_out = True
        self.node.stop()

    def stop_soon(self, after_s: float = 0.05) -> None:
        if self.stopping:
            return
        self.stopping = True
        # `call_soon_threadsafe`, since a timer's callback runs on another thread.
        self.loop.call_soon_threadsafe(self.loop.call_later, after_s, self.node.stop)


def active(node) -> list[str]:
    from nautilus_enhanced import features

    return [str(feature) for feature in features(node).active]


def reasons_of(node) -> dict[str, str]:
    from nautilus_enhanced import features

    return {state.feature.value: state.reason.name for state in features(node).states}


def engines_of(node) -> list[str]:
    kernel = getattr(node, "kernel", node)
    return [type(e).__name__ for e in (kernel.data_engine, kernel.risk_engine, kernel.exec_engine)]


# -- scenarios -----------------------------------------------------------------------------------


def lifecycle(bus: str) -> dict:
    run = Run(bus)
    run.trader.at_start = run.stop_soon
    run.run()
    node = run.node
    result = {
        "timed_out": run.timed_out,
        "engines": engines_of(node),
        "active": active(node),
        "reasons": reasons_of(node),
        "sizes": [node.kernel.data_engine.data_qsize(), node.kernel.exec_engine.evt_qsize()],
    }
    node.dispose()
    kernel = node.kernel
    result["disposed"] = [
        e.is_disposed for e in (kernel.data_engine, kernel.risk_engine, kernel.exec_engine)
    ]
    result["threads"] = sorted(
        t.name for t in threading.enumerate() if t is not threading.main_thread() and not t.daemon
    )
    return result


def reconcile(bus: str, delay_ms: float) -> dict:
    Market.instruments, Market.open_orders = 3_000, 60
    Market.exec_delay_s = delay_ms / 1_000
    run = Run(bus)
    seen = {}

    def started() -> None:
        cache = run.node.cache
        seen["instruments"] = len(cache.instruments())
        seen["open_orders"] = len(cache.orders_open())
        run.stop_soon()

    run.trader.at_start = started
    run.run()
    run.node.dispose()
    return seen | {"timed_out": run.timed_out}


def orders(bus: str) -> dict:
    """Submit from inside handlers, from timers and from order events."""
    run = Run(bus)
    trader = run.trader
    numbers = iter(range(1_000))

    def at_quote(_tick) -> None:
        number = next(numbers)
        if number == 0:
            # Not while it starts: then it would not hear of what it submits.
            set_alerts()
        if number < 20:
            trader.market()

    def at_timer(_event) -> None:
        # On a thread of the Rust runtime.
        trader.market(OrderSide.SELL)

    def at_event(event) -> None:
        # Copied in one step: the timer's thread adds to it.
        lasts = [events[-1] for events in list(trader.events.values()) if events]
        filled = lasts.count("OrderFilled")
        if type(event).__name__ == "OrderFilled" and filled == 5:
            trader.submit_order(
                trader.order_factory.limit(INSTRUMENT_ID, OrderSide.BUY, QTY, Price(90.0, 2))
            )
        if filled + lasts.count("OrderAccepted") == 20 + 5 + 1:
            run.stop_soon(0.1)

    def started() -> None:
        for number in range(200):
            Market.data.feed(quote(100 + number / 100))

    def set_alerts() -> None:
        for number in range(5):
            trader.clock.set_time_alert(
                f"alert {number}",
                trader.clock.utc_now() + timedelta(milliseconds=10 * (number + 1)),
                at_timer,
            )

    trader.at_start, trader.at_quote, trader.at_order_event = started, at_quote, at_event
    run.run()
    net = float(run.node.portfolio.net_position(INSTRUMENT_ID))
    run.node.dispose()
    sequences = sorted(trader.events.values())
    return {"timed_out": run.timed_out, "sequences": sequences, "net": net}


def reduce_only(bus: str) -> dict:
    """A queued fill closes the position; a close command posted after it must be denied."""
    run = Run(bus)
    trader = run.trader
    Market.fills = False
    state: dict = {}

    def race() -> None:
        # A backlog of data makes a dispatcher choose.
        for _ in range(500):
            Market.data.feed(quote())
        Market.exec.fill(*state["exit"])
        state["close"] = trader.market(OrderSide.SELL, state["position"].id, reduce_only=True)

    def at_event(event) -> None:
        # Denied, or sent as it must not be.
        is_close = "close" in state and event.client_order_id == state["close"].client_order_id
        if is_close and type(event).__name__ in ("OrderDenied", "OrderAccepted"):
            run.stop_soon()

    async def play() -> None:
        entry = trader.market()
        await settled(entry)
        Market.exec.fill(entry, entry.venue_order_id)
        await settled(entry, "OrderFilled")
        (state["position"],) = trader.cache.positions_open()
        exit_order = trader.order_factory.limit(
            INSTRUMENT_ID, OrderSide.SELL, QTY, Price(101.0, 2), reduce_only=True
        )
        trader.submit_order(exit_order)
        await settled(exit_order)
        state["exit"] = (exit_order, exit_order.venue_order_id)
        race()

    async def settled(order, last: str = "OrderAccepted") -> None:
        while trader.events.get(order.client_order_id.value, [""])[-1] != last:
            await asyncio.sleep(0.001)

    trader.at_order_event = at_event
    trader.at_start = lambda: state.update(task=run.loop.create_task(play()))
    run.run()
    result = {
        "timed_out": run.timed_out,
        "close": trader.events.get(state["close"].client_order_id.value),
        "net": float(run.node.portfolio.net_position(INSTRUMENT_ID)),
    }
    run.node.dispose()
    return result


def order_list(bus: str) -> dict:
    run = Run(bus)
    trader = run.trader

    def started() -> None:
        bracket = trader.order_factory.bracket(
            INSTRUMENT_ID,
            OrderSide.BUY,
            QTY,
            sl_trigger_price=Price(90.0, 2),
            tp_price=Price(110.0, 2),
        )
        trader.submit_order_list(bracket)

    def at_event(event) -> None:
        last = sorted(events[-1] for events in trader.events.values())
        if last == ["OrderCanceled", "OrderFilled", "OrderFilled"]:
            run.stop_soon()

    trader.at_start, trader.at_order_event = started, at_event
    run.run()
    result = {
        "timed_out": run.timed_out,
        "sequences": [events for _, events in sorted(trader.events.items())],
        "net": float(run.node.portfolio.net_position(INSTRUMENT_ID)),
    }
    run.node.dispose()
    return result


def time_bars(bus: str) -> dict:
    run = Run(bus)
    trader = run.trader
    bars = []
    bar_type = BarType.from_str("S0000.SIM-100-MILLISECOND-MID-INTERNAL")

    def at_bar(bar) -> None:
        bars.append([str(bar.open), bar.ts_event])
        if len(bars) == 4:
            # On either bus a timer that fires when the loop is closed already says so.
            trader.unsubscribe_bars(bar_type)
            run.stop_soon()

    def started() -> None:
        trader.subscribe_bars(bar_type)
        feed()

    def feed() -> None:
        Market.data.feed(quote())
        run.loop.call_later(0.01, feed)

    trader.at_start, trader.at_bar = started, at_bar
    run.run()
    run.node.dispose()
    return {"timed_out": run.timed_out, "bars": bars}


def sandbox(bus: str) -> dict:
    """Fill at a sandbox venue behind a backlog, at the price that comes last."""
    from nautilus_trader.adapters.sandbox.config import SandboxExecutionClientConfig
    from nautilus_trader.adapters.sandbox.factory import SandboxLiveExecClientFactory

    config = make_config(bus)
    import msgspec

    config = msgspec.structs.replace(
        config,
        exec_clients={
            "SIM": SandboxExecutionClientConfig(
                venue="SIM",
                starting_balances=["10_000_000 USD"],
                base_currency="USD",
                account_type="MARGIN",
            )
        },
        exec_engine=LiveExecEngineConfig(reconciliation=False),
    )
    node = TradingNode(config)
    node.add_data_client_factory("SIM", DataFactory)
    node.add_exec_client_factory("SIM", SandboxLiveExecClientFactory)
    loop = node.get_event_loop()
    trader = Trader()
    node.trader.add_strategy(trader)
    node.build()
    # The simulated venue looks for instruments when it connects.
    node.cache.add_instrument(equity(0))
    fills = []
    submitted = []

    def at_quote(tick) -> None:
        if tick.bid_price == Price(100.10, 2) and not submitted:
            submitted.append(trader.market())

    def at_event(event) -> None:
        if type(event).__name__ == "OrderFilled":
            fills.append(str(event.last_px))
            loop.call_later(0.05, node.stop)

    def flood() -> None:
        for number in range(300):
            Market.data.feed(quote(100 + number / 100))

    trader.at_start = lambda: loop.call_later(0.05, flood)
    trader.at_quote, trader.at_order_event = at_quote, at_event
    loop.call_later(LIMIT_S, node.stop)
    node.run()
    node.dispose()
    return {"fills": fills}


# -- scenarios of the enhanced bus ---------------------------------------------------------------


def streams_without_server(bus: str) -> dict:
    """External streams and no server: the node must run all the same."""
    message_bus = bus_config(bus, external_streams=["elsewhere"], database=None)
    run = Run(bus, message_bus=message_bus)
    run.trader.at_start = lambda: run.stop_soon(0.3)
    started = time.monotonic()
    run.run()
    ran_s = time.monotonic() - started
    run.node.dispose()
    return {"timed_out": run.timed_out, "ran_s": ran_s}


def with_server(bus: str, **fields) -> dict:
    """Trade a little with a server, dispose, and say what the publisher counted."""
    run = Run(bus, message_bus=bus_config(bus, **fields))
    trader = run.trader

    def started() -> None:
        for number in range(500):
            Market.data.feed(quote(100 + number / 100))
        trader.market()

    def at_event(event) -> None:
        if type(event).__name__ == "OrderFilled":
            run.stop_soon()

    trader.at_start, trader.at_order_event = started, at_event
    run.run()
    backing = run.node.kernel.msgbus_database
    url = backing.client.url
    before = backing.statistics()
    run.node.dispose()
    after = backing.statistics()
    return {
        "timed_out": run.timed_out,
        "active": active(run.node),
        "published": after.published,
        "acknowledged": after.acknowledged,
        "lost": after.lost,
        "published_before": before.published,
        "url": url,
        "events": sorted(trader.events.values()),
    }


def late_server(bus: str, port: int) -> dict:
    """The server is down at start and comes while the node runs."""
    from nautilus_enhanced.sandbox.embedded import EmbeddedServer

    message_bus = bus_config(bus, connection=f"redis://127.0.0.1:{port}")
    run = Run(bus, message_bus=message_bus, log_level="INFO")
    trader = run.trader
    seen: dict = {"engines": engines_of(run.node), "reasons": reasons_of(run.node)}
    server = EmbeddedServer(port)

    async def play() -> None:
        trader.market()
        while not any("OrderFilled" in events for events in trader.events.values()):
            await asyncio.sleep(0.001)
        statistics = run.node.kernel.msgbus_database.statistics
        seen["before"] = [statistics().connected, statistics().acknowledged]
        seen["published"] = statistics().published
        await asyncio.to_thread(server.start)
        came = time.monotonic()
        while statistics().acknowledged < seen["published"]:
            await asyncio.sleep(0.005)
        seen["within_s"] = time.monotonic() - came
        run.stop_soon()

    trader.at_start = lambda: seen.update(task=run.loop.create_task(play()))
    run.run()
    del seen["task"]
    run.node.dispose()
    import redis

    with redis.Redis(port=port) as client:
        streams = client.keys("trader-*")
        entries = sum(client.xlen(stream) for stream in streams)
        fills = [stream for stream in streams if b"events.order" in stream]
    server.stop()
    figures = run.node.kernel.msgbus_database.statistics()
    return seen | {
        "timed_out": run.timed_out,
        "entries": entries,
        "acknowledged": figures.acknowledged,
        "order_streams": len(fills),
    }


def types_filter(bus: str, url: str) -> dict:
    """One configuration with a filter, for two nodes: the bus empties its list in place."""
    message_bus = bus_config(bus, connection=url, types_filter=[QuoteTick], stream_per_topic=True)
    published = []
    for _ in range(2):
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        run = Run(bus, message_bus=message_bus, loop=loop)
        run.trader.at_start = lambda run=run: (
            [Market.data.feed(quote()) for _ in range(100)],
            run.stop_soon(0.1),
        )
        run.run()
        run.node.dispose()
        published.append(run.node.kernel.msgbus_database.statistics().published)
    return {"published": published, "filter": [t.__name__ for t in message_bus.types_filter]}


def serialized(bus: str, url: str, **fields) -> dict:
    """Publish ticks and order events, and compare what reached Redis with the stock bytes."""
    import msgspec
    import redis
    from nautilus_trader.serialization.serializer import MsgSpecSerializer

    run = Run(bus, message_bus=bus_config(bus, connection=url, **fields))
    kernel, trader = run.node.kernel, run.trader
    encoding = {"json": msgspec.json, "msgpack": msgspec.msgpack}[fields["encoding"]]
    iso8601 = fields["timestamps_as_iso8601"]
    stock = MsgSpecSerializer(encoding, timestamps_as_str=True, timestamps_as_iso8601=iso8601)
    expected: list = []

    def note(message) -> None:
        if isinstance(message, QuoteTick | OrderEvent):
            expected.append(stock.serialize(message).hex())

    def at_event(event) -> None:
        if type(event).__name__ == "OrderFilled":
            run.stop_soon()

    def started() -> None:
        for number in range(100):
            Market.data.feed(quote(100 + number / 100))
        trader.market()

    kernel.msgbus.subscribe("*", note)
    trader.at_start, trader.at_order_event = started, at_event
    run.run()
    run.node.dispose()
    with redis.Redis.from_url(url) as client:
        entries = [entry for stream in client.keys("trader-*") for entry in client.xrange(stream)]
    names = {"QuoteTick", "OrderInitialized", "OrderSubmitted", "OrderAccepted", "OrderFilled"}
    payloads = [entry[b"payload"] for _, entry in entries]
    return {
        "timed_out": run.timed_out,
        "active": active(run.node),
        "serializer": type(kernel.msgbus_serializer).__name__,
        "same_serializer": kernel.msgbus_serializer is kernel.msgbus.serializer,
        "expected": sorted(expected),
        "found": sorted(p.hex() for p in payloads if kind_of(encoding, p) in names),
    }


def kind_of(encoding, payload: bytes) -> str:
    value = encoding.decode(payload)
    return value.get("type", "") if isinstance(value, dict) else ""


def embedded(bus: str) -> dict:
    """Tell the server's URL, then run until a signal comes."""
    run = Run(bus, message_bus=bus_config(bus, connection="embedded"))
    url = run.node.kernel.msgbus_database.client.url
    run.trader.at_start = lambda: print(f"STARTED {url}", flush=True)
    run.run()
    run.node.dispose()
    return {"timed_out": run.timed_out}


def two_threads(bus: str) -> dict:
    """Build stock and enhanced kernels at once: each gets its own classes."""
    signal.signal = lambda *_: None
    barrier = threading.Barrier(2)
    found: dict[str, list] = {"stock": [], "enhanced": []}
    errors = []

    def build(kind: str) -> None:
        try:
            for _ in range(5):
                # The kernel installs signal handlers, which only the main thread can.
                loop = asyncio.SelectorEventLoop()
                loop.add_signal_handler = lambda *_: None
                config = make_config(kind)
                barrier.wait(LIMIT_S)
                kernel = NautilusKernel(name="T", config=config, loop=loop)
                found[kind].append([*engines_of(kernel), *active(kernel)])
                loop.close()
        except Exception as error:
            errors.append(repr(error))
            barrier.abort()

    threads = [threading.Thread(target=build, args=(kind,)) for kind in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found | {"errors": errors}


SCENARIOS = {
    scenario.__name__: scenario
    for scenario in (
        lifecycle,
        reconcile,
        orders,
        reduce_only,
        order_list,
        time_bars,
        sandbox,
        streams_without_server,
        with_server,
        late_server,
        types_filter,
        serialized,
        embedded,
        two_threads,
    )
}


def main(scenarios: dict) -> None:
    name, bus, *rest = sys.argv[1:]
    result = scenarios[name](bus, **(json.loads(rest[0]) if rest else {}))
    if path := os.environ.get("CONTRACT_RESULT"):
        # A long line on standard output may be cut in two by the host's logging thread.
        Path(path).write_text(json.dumps(result))
        return
    print("RESULT " + json.dumps(result), flush=True)


def end_at_once() -> None:
    """
    End the process without finalizing the interpreter.

    NautilusTrader's reader of external streams may still be about to call it, on a thread of its
    own: Python 3.12 ends such a thread by unwinding its stack, and in Rust code that is an abort.
    """
    # What would be said of tasks that nobody waited for is said now.
    gc.collect()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main(SCENARIOS)
