"""
A node with NautilusTrader's own OKX clients, which trades on a loopback venue.

``python okx_node.py SESSION PRODUCT BUS ADDRESS RESULT``: SESSION is ``trade`` or ``again``
(what a node finds that was started after it), PRODUCT is ``swap`` or ``spot``, BUS is
``stock``, ``enhanced`` (with mixins for all clients) or ``factories`` (enhanced ones), ADDRESS is
the venue's first line and RESULT the file for what was found.
"""

import asyncio
import json
import os
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

from nautilus_trader.adapters.okx.factories import OKXLiveDataClientFactory
from nautilus_trader.adapters.okx.factories import OKXLiveExecClientFactory
from nautilus_trader.config import LiveExecEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.config import StrategyConfig
from nautilus_trader.config import TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import BookType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import TimeInForce
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.trading.strategy import Strategy

from nautilus_enhanced import EnhancedMessageBusConfig
from nautilus_enhanced import features
from nautilus_enhanced import statistics
from nautilus_enhanced.adapters.okx import EnhancedOKXLiveDataClientFactory
from nautilus_enhanced.adapters.okx import EnhancedOKXLiveExecClientFactory
from nautilus_enhanced.sandbox.okx import data_client_config
from nautilus_enhanced.sandbox.okx import exec_client_config


SYMBOLS = {"swap": "BTC-USDT-SWAP", "spot": "BTC-USDT"}
STEP_TIMEOUT_S = 30.0
FAR, KEPT, CROSSING, CHEAP = 40_000.0, 41_000.0, 60_000.0, 40.0
# One tenth of a bitcoin: ten contracts of a hundredth.
UNITS = {"swap": 100, "spot": 1}
BUSES = {
    "stock": lambda: None,
    "enhanced": lambda: EnhancedMessageBusConfig(adapters="all"),
    "factories": EnhancedMessageBusConfig,
}
# An ID without hyphens: a letter, date and time, and the tags of trader and strategy.
ID_HEAD = len("O20260101000000001001")


def ask(urls, path, method="GET", **parameters):
    query = "?" + urllib.parse.urlencode(parameters) if parameters else ""
    request = urllib.request.Request(urls["http_url"] + path + query, method=method)
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


async def until(condition, what):
    deadline = time.monotonic() + STEP_TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what() if callable(what) else what)
        await asyncio.sleep(0.01)


def short(client_order_id):
    """The date and time in an ID are another in each run."""
    return client_order_id.value[ID_HEAD:]


class Trader(Strategy):
    """Note everything, and do nothing by itself."""

    def __init__(self, instrument_id):
        config = StrategyConfig(
            order_id_tag="001",
            external_order_claims=[instrument_id],
            use_hyphens_in_client_order_ids=False,
        )
        super().__init__(config)
        self.instrument_id = instrument_id
        self.bid = None
        self.quotes = self.trades = self.deltas = self.crossed = self.bars = self.marks = 0
        self.events = {}
        self.open_at_start = []
        self.positions_at_start = []

    def on_start(self):
        self.open_at_start = [
            [o.order_type.name, str(o.quantity), str(o.price), o.status.name]
            for o in self.cache.orders_open()
        ]
        self.positions_at_start = [str(p.signed_decimal_qty()) for p in self.cache.positions_open()]
        self.subscribe_quote_ticks(self.instrument_id)
        self.subscribe_trade_ticks(self.instrument_id)
        self.subscribe_order_book_deltas(self.instrument_id, BookType.L2_MBP)
        self.subscribe_bars(BarType.from_str(f"{self.instrument_id}-1-SECOND-LAST-EXTERNAL"))
        if self.instrument_id.symbol.value.endswith("-SWAP"):
            self.subscribe_mark_prices(self.instrument_id)

    def on_stop(self):
        self.unsubscribe_quote_ticks(self.instrument_id)
        self.unsubscribe_trade_ticks(self.instrument_id)

    def on_quote_tick(self, tick):
        self.quotes += 1
        self.bid = tick.bid_price.as_double()

    def on_trade_tick(self, tick):
        self.trades += 1

    def on_bar(self, bar):
        self.bars += 1

    def on_mark_price(self, price):
        self.marks += 1

    def on_order_book_deltas(self, deltas):
        self.deltas += 1
        book = self.cache.order_book(self.instrument_id)
        bid, ask_ = book.best_bid_price(), book.best_ask_price()
        self.crossed += bid is None or ask_ is None or bid >= ask_

    def on_order_event(self, event):
        name = type(event).__name__
        if name == "OrderFilled":
            name += f" {event.last_qty} {event.liquidity_side.name} {event.commission}"
        elif name == "OrderRejected":
            name += f" {event.reason}"
        self.events.setdefault(short(event.client_order_id), []).append(name)


class Session:
    def __init__(self, product, bus, urls):
        self.product, self.bus, self.urls = product, bus, urls
        self.instrument_id = InstrumentId.from_str(f"{SYMBOLS[product]}.OKX")
        at = {"product": product, "http_url": urls["http_url"]}
        config = TradingNodeConfig(
            trader_id=TraderId("TESTER-001"),
            logging=LoggingConfig(log_level="WARNING", log_colors=False),
            message_bus=BUSES[bus](),
            data_clients={"OKX": data_client_config(**at, ws_url=urls["ws_url"])},
            exec_clients={"OKX": exec_client_config(**at, ws_api_url=urls["ws_api_url"])},
            exec_engine=LiveExecEngineConfig(
                reconciliation=True, reconciliation_startup_delay_secs=0
            ),
            timeout_connection=30,
            timeout_reconciliation=20,
            timeout_portfolio=20,
            timeout_disconnection=10,
            timeout_post_stop=0.2,
        )
        self.node = TradingNode(config)
        enhanced = bus == "factories"
        self.node.add_data_client_factory(
            "OKX", EnhancedOKXLiveDataClientFactory if enhanced else OKXLiveDataClientFactory
        )
        self.node.add_exec_client_factory(
            "OKX", EnhancedOKXLiveExecClientFactory if enhanced else OKXLiveExecClientFactory
        )
        self.trader = Trader(self.instrument_id)
        self.node.trader.add_strategy(self.trader)
        self.node.build()
        self.task = asyncio.get_running_loop().create_task(self.node.run_async())

    async def ask(self, path, method="GET", **parameters):
        return await asyncio.to_thread(ask, self.urls, path, method, **parameters)

    async def has_market_data(self):
        trader = self.trader
        quotes, trades, deltas = trader.quotes, trader.trades, trader.deltas
        await until(
            lambda: (
                trader.quotes >= quotes + 5
                and trader.trades >= trades + 1
                and trader.deltas >= deltas + 3
            ),
            lambda: f"market data: {trader.quotes} {trader.trades} {trader.deltas}",
        )

    async def drop_user_data(self):
        """Drop the private websocket, and wait for another; say how many there were."""
        before = (await self.ask("/loopback/statistics"))["connections_total"]
        dropped = (await self.ask("/loopback/drop", "POST", on="user"))["dropped"]
        deadline = time.monotonic() + STEP_TIMEOUT_S
        while time.monotonic() < deadline:
            now = await self.ask("/loopback/statistics")
            if now["connections_total"] > before and now["user_sessions"]:
                return dropped
            await asyncio.sleep(0.02)
        raise TimeoutError("user data")

    def order(self, side, quantity, price=None, **options):
        instrument = self.trader.cache.instrument(self.instrument_id)
        make = self.trader.order_factory
        common = (self.instrument_id, side, instrument.make_qty(quantity * UNITS[self.product]))
        if price is None:
            return make.market(*common, **options)
        return make.limit(*common, instrument.make_price(price), **options)

    async def submit(self, order, last):
        """Submit an order, and wait for an event."""
        self.trader.submit_order(order)
        await self.wait(order, last)

    async def wait(self, order, last):
        events = self.trader.events
        await until(
            lambda: any(n.startswith(last) for n in events.get(short(order.client_order_id), [])),
            lambda: f"{last}: {events}",
        )

    async def cancel(self, order):
        self.trader.cancel_order(order)
        await self.wait(order, "OrderCanceled")

    async def closed(self, order):
        await until(lambda: order.is_closed, lambda: f"closed: {order} {self.trader.events}")

    async def stop(self):
        await self.node.stop_async()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def trade(session):
    trader = session.trader
    await session.has_market_data()
    found = {"active": active(session), "crossed_books": trader.crossed}
    instrument = trader.cache.instrument(session.instrument_id)
    found["instrument"] = [
        type(instrument).__name__,
        str(instrument.price_increment),
        str(instrument.size_increment),
        str(instrument.multiplier),
    ]

    far = session.order(OrderSide.BUY, 0.1, FAR)  # 1
    await session.submit(far, "OrderAccepted")
    trader.modify_order(far, price=instrument.make_price(FAR + 1))
    await session.wait(far, "OrderUpdated")
    await session.cancel(far)
    # Rests where the market comes to again and again, and shows half of what it wants.
    resting = session.order(OrderSide.BUY, 0.2, session.urls["dip"])  # 2
    await session.submit(resting, "OrderAccepted")
    await session.closed(resting)
    market = session.order(OrderSide.SELL, 0.3)  # 3
    await session.submit(market, "OrderAccepted")
    await session.closed(market)
    crossing = session.order(OrderSide.BUY, 0.1, CROSSING, post_only=True)  # 4
    trader.submit_order(crossing)
    await session.closed(crossing)
    at_once = session.order(OrderSide.BUY, 0.1, FAR, time_in_force=TimeInForce.IOC)  # 5
    trader.submit_order(at_once)
    await session.closed(at_once)

    cheap = session.order(OrderSide.BUY, 0.1, CHEAP)  # 6
    await session.submit(cheap, "OrderRejected")
    for fault in ("reject", "rate-limit"):  # 7 and 8
        rule = f"{fault}:on=order,match=WS,times=1"
        await session.ask("/loopback/faults", "POST", fault=rule)
        await session.submit(session.order(OrderSide.BUY, 0.1, FAR), "OrderRejected")
    await session.ask("/loopback/faults", "POST", fault="delay:on=user,ms=200,times=1")
    await session.ask("/loopback/faults", "POST", fault="garbage:on=market,times=1")
    late = session.order(OrderSide.BUY, 0.1, FAR)  # 9
    await session.submit(late, "OrderAccepted")
    await session.cancel(late)

    found["dropped"] = await drop(session)
    found["crossed_books_after"] = trader.crossed

    await cancel_all(session)
    await session.submit(session.order(OrderSide.BUY, 0.1, KEPT), "OrderAccepted")  # 14
    await until(lambda: trader.bars, "bars")
    if session.product == "swap":
        await until(lambda: trader.marks, "mark prices")
    found["positions"] = [str(p.signed_decimal_qty()) for p in trader.cache.positions_open()]
    found["balances"] = balances(session)
    found["figures"] = figures(session)
    return found


async def drop(session):
    """Drop the sockets of either client, and trade on the new ones; say how many there were."""
    trader = session.trader
    dropped = [(await session.ask("/loopback/drop", "POST", on="market"))["dropped"]]
    await session.has_market_data()
    dropped.append(await session.drop_user_data())
    after = session.order(OrderSide.BUY, 0.1, FAR)  # 10
    await session.submit(after, "OrderAccepted")
    await session.ask("/loopback/faults", "POST", fault="reject:on=order,match=cancel,times=1")
    trader.cancel_order(after)
    await session.wait(after, "OrderCancelRejected")
    await session.cancel(after)
    return dropped


async def cancel_all(session):
    """Cancel two orders at once; ask for one that the venue does not serve."""
    trader = session.trader
    both = [session.order(OrderSide.BUY, 0.1, FAR) for _ in range(2)]  # 11 and 12
    for order in both:
        await session.submit(order, "OrderAccepted")
    trader.cancel_all_orders(session.instrument_id)
    for order in both:
        await session.closed(order)
    stop = trader.order_factory.stop_market(  # 13
        session.instrument_id, OrderSide.SELL, both[0].quantity, both[0].price
    )
    await session.submit(stop, "OrderRejected")


async def again(session):
    trader = session.trader
    await until(lambda: trader.is_running, "running")
    (kept,) = trader.cache.orders_open()
    await session.cancel(kept)
    return {
        "active": active(session),
        "open_at_start": trader.open_at_start,
        "positions_at_start": trader.positions_at_start,
        "balances": balances(session),
    }


def active(session):
    if session.bus == "stock":
        return []
    return sorted(feature.value for feature in features(session.node).active)


def figures(session):
    """What is told of the clients, side by side."""
    if session.bus == "stock":
        return {}
    return {
        client.side: {
            "counts": {row.message_type: row.count for row in client.messages},
            "event_times": {row.message_type: row.event_time for row in client.messages},
            "errors": client.errors,
            "reconnects": client.connection.reconnects,
        }
        for client in statistics(session.node).adapters
    }


def balances(session):
    account = session.node.portfolio.account(Venue("OKX"))
    return sorted(str(currency) for currency in account.balances())


async def main(name, product, bus, address):
    session = Session(product, bus, json.loads(address))
    try:
        found = await {"trade": trade, "again": again}[name](session)
    finally:
        await session.stop()
    return found | {"events": session.trader.events}


if __name__ == "__main__":
    *arguments, result = sys.argv[1:]
    Path(result).write_text(json.dumps(asyncio.run(main(*arguments))))
    sys.stdout.flush()
    # The host's threads may outlive the loop; the result is out, and nothing is left to save.
    os._exit(0)
