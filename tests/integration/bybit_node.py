"""
A node with NautilusTrader's own Bybit clients, which trades on a loopback venue.

``python bybit_node.py SESSION PRODUCT BUS ADDRESS RESULT``: SESSION is ``trade`` or ``again``
(what a node finds that was started after it), PRODUCT is ``linear`` or ``spot``, BUS is ``stock``,
``enhanced`` or ``factories`` (enhanced, with enhanced factories in place of the option), ADDRESS is
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

from nautilus_trader.adapters.bybit.factories import BybitLiveDataClientFactory
from nautilus_trader.adapters.bybit.factories import BybitLiveExecClientFactory
from nautilus_trader.config import LiveExecEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.config import StrategyConfig
from nautilus_trader.config import TradingNodeConfig
from nautilus_trader.core.nautilus_pyo3 import BybitMarginAction
from nautilus_trader.core.nautilus_pyo3 import BybitMarginBorrowResult
from nautilus_trader.core.nautilus_pyo3 import BybitMarginStatusResult
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import DataType
from nautilus_trader.model.enums import BookType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import TimeInForce
from nautilus_trader.model.identifiers import AccountId
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.trading.strategy import Strategy

from nautilus_enhanced import EnhancedMessageBusConfig
from nautilus_enhanced import features
from nautilus_enhanced import health
from nautilus_enhanced import statistics
from nautilus_enhanced.adapters.bybit import EnhancedBybitLiveDataClientFactory
from nautilus_enhanced.adapters.bybit import EnhancedBybitLiveExecClientFactory
from nautilus_enhanced.sandbox.bybit import data_client_config
from nautilus_enhanced.sandbox.bybit import exec_client_config
from nautilus_enhanced.sandbox.bybit import public_socket_factory


STEP_TIMEOUT_S = 30.0
FAR, KEPT, CROSSING = 40_000.0, 41_000.0, 60_000.0
MARGIN_RESULTS = (BybitMarginBorrowResult, BybitMarginStatusResult)
BUSES = {
    "stock": None,
    "enhanced": EnhancedMessageBusConfig(adapters="all"),
    "factories": EnhancedMessageBusConfig(),
}


def ask(urls, path, method="GET", **parameters):
    query = "?" + urllib.parse.urlencode(parameters) if parameters else ""
    request = urllib.request.Request(urls["http_url"] + path + query, method=method)
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


async def until(condition, what):
    deadline = time.monotonic() + STEP_TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        await asyncio.sleep(0.01)


class Trader(Strategy):
    """Note everything, and do nothing by itself."""

    def __init__(self, instrument_id):
        claims = [instrument_id]
        super().__init__(StrategyConfig(order_id_tag="001", external_order_claims=claims))
        self.instrument_id = instrument_id
        self.bid = None
        self.quotes = self.trades = self.deltas = self.marks = self.crossed = 0
        self.events = {}
        self.margin_results = []
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
        if self.instrument_id.symbol.value.endswith("-LINEAR"):
            self.subscribe_mark_prices(self.instrument_id)
        for kind in MARGIN_RESULTS:
            topic = f"data.{DataType(kind).topic}"
            self.msgbus.subscribe(topic=topic, handler=self.on_margin_result)

    def on_stop(self):
        self.unsubscribe_quote_ticks(self.instrument_id)
        self.unsubscribe_trade_ticks(self.instrument_id)

    def on_quote_tick(self, tick):
        self.quotes += 1
        self.bid = tick.bid_price.as_double()

    def on_trade_tick(self, tick):
        self.trades += 1

    def on_mark_price(self, price):
        self.marks += 1

    def on_margin_result(self, result):
        said = getattr(result, "borrow_amount", None) or result.amount
        self.margin_results.append([type(result).__name__, result.coin, said])

    def on_order_book_deltas(self, deltas):
        self.deltas += 1
        book = self.cache.order_book(self.instrument_id)
        bid, ask_ = book.best_bid_price(), book.best_ask_price()
        self.crossed += bid is None or ask_ is None or bid >= ask_

    def on_order_event(self, event):
        name = type(event).__name__
        if name == "OrderFilled":
            name += f" {event.last_qty} {event.liquidity_side.name}"
        elif name == "OrderRejected":
            name += f" {event.reason}"
        # The date and time in an ID are another in each run.
        short_id = event.client_order_id.value.rpartition("-")[2]
        self.events.setdefault(short_id, []).append(name)


class Session:
    def __init__(self, product, bus, urls):
        self.product, self.urls = product, urls
        self.instrument_id = InstrumentId.from_str(f"BTCUSDT-{product.upper()}.BYBIT")
        at = {"product": product, "http_url": urls["http_url"]}
        sockets = {"ws_url": urls["ws_url"], "ws_api_url": urls["ws_api_url"]}
        config = TradingNodeConfig(
            trader_id=TraderId("TESTER-001"),
            logging=LoggingConfig(
                log_level=os.environ.get("LOG", "WARNING"),
                log_colors=False,
                use_pyo3="LOG" in os.environ,
            ),
            message_bus=BUSES[bus],
            data_clients={"BYBIT": data_client_config(**at)},
            exec_clients={"BYBIT": exec_client_config(**at, **sockets)},
            exec_engine=LiveExecEngineConfig(
                reconciliation=True, reconciliation_startup_delay_secs=0
            ),
            timeout_connection=30,
            timeout_reconciliation=20,
            timeout_portfolio=20,
            timeout_disconnection=10,
            timeout_post_stop=0.2,
        )
        data_factory, exec_factory = BybitLiveDataClientFactory, BybitLiveExecClientFactory
        if bus == "factories":
            data_factory = EnhancedBybitLiveDataClientFactory
            exec_factory = EnhancedBybitLiveExecClientFactory
        self.node = TradingNode(config)
        self.node.add_data_client_factory(
            "BYBIT", public_socket_factory(data_factory, urls["ws_url"])
        )
        self.node.add_exec_client_factory("BYBIT", exec_factory)
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
            f"market data: {trader.quotes} {trader.trades} {trader.deltas}",
        )

    async def has_user_data(self):
        deadline = time.monotonic() + STEP_TIMEOUT_S
        while not (await self.ask("/loopback/statistics"))["user_sessions"]:
            if time.monotonic() > deadline:
                raise TimeoutError("user data")
            await asyncio.sleep(0.02)

    def order(self, side, quantity, price=None, **options):
        instrument = self.trader.cache.instrument(self.instrument_id)
        make = self.trader.order_factory
        common = (self.instrument_id, side, instrument.make_qty(quantity))
        if price is None:
            return make.market(*common, **options)
        return make.limit(*common, instrument.make_price(price), **options)

    async def submit(self, order, last):
        """Submit an order, and wait for an event."""
        self.trader.submit_order(order)
        await self.wait(order, last)

    async def wait(self, order, last):
        short_id = order.client_order_id.value.rpartition("-")[2]
        events = self.trader.events
        await until(
            lambda: any(name.startswith(last) for name in events.get(short_id, [])),
            f"{last}: {events}",
        )

    async def cancel(self, order):
        self.trader.cancel_order(order)
        await self.wait(order, "OrderCanceled")

    async def closed(self, order):
        await until(lambda: order.is_closed, f"closed: {order} {self.trader.events}")

    async def ask_for_margin(self, action, expected, **params):
        self.trader.query_account(
            AccountId("BYBIT-UNIFIED"), params={"action": action, "coin": "USDT", **params}
        )
        await until(
            lambda: any(r[0] == expected for r in self.trader.margin_results),
            f"{expected}: {self.trader.margin_results}",
        )

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
    await session.submit(crossing, "OrderRejected")
    at_once = session.order(OrderSide.BUY, 0.1, FAR, time_in_force=TimeInForce.IOC)  # 5
    await session.submit(at_once, "OrderCanceled")
    too_large = session.order(OrderSide.BUY, 8_000, FAR)  # 6
    await session.submit(too_large, "OrderRejected")

    for fault in ("reject", "rate-limit"):  # 7 and 8
        rule = f"{fault}:on=order,match=order.create,times=1"
        await session.ask("/loopback/faults", "POST", fault=rule)
        await session.submit(session.order(OrderSide.BUY, 0.1, FAR), "OrderRejected")
    await session.ask("/loopback/faults", "POST", fault="delay:on=user,ms=200,times=1")
    await session.ask("/loopback/faults", "POST", fault="garbage:on=market,times=1")
    late = session.order(OrderSide.BUY, 0.1, FAR)  # 9
    await session.submit(late, "OrderAccepted")
    await session.cancel(late)

    found["dropped"] = [(await session.ask("/loopback/drop", "POST", on="market"))["dropped"]]
    await session.has_market_data()
    found["dropped"] += [(await session.ask("/loopback/drop", "POST", on="user"))["dropped"]]
    await session.has_user_data()
    after = session.order(OrderSide.BUY, 0.1, FAR)  # 10
    await session.submit(after, "OrderAccepted")
    await session.cancel(after)
    found["crossed_books_after"] = trader.crossed

    await session.submit(session.order(OrderSide.BUY, 0.1, KEPT), "OrderAccepted")  # 11
    if session.product == "linear":
        await until(lambda: trader.marks, "mark prices")
    await session.ask_for_margin(BybitMarginAction.BORROW, "BybitMarginBorrowResult", amount="25")
    await session.ask_for_margin(BybitMarginAction.GET_BORROW_AMOUNT, "BybitMarginStatusResult")
    found["margin_results"] = trader.margin_results
    found["positions"] = [str(p.signed_decimal_qty()) for p in trader.cache.positions_open()]
    found["balances"] = balances(session)
    return found | observed(session)


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
    if type(session.node.kernel.data_engine).__name__ == "LiveDataEngine":
        return []
    return sorted(feature.value for feature in features(session.node).active)


def observed(session):
    """What the mixins tell of the clients: nothing on a stock bus."""
    if type(session.node.kernel.data_engine).__name__ == "LiveDataEngine":
        return {"observed": {}, "findings": []}
    figures = {
        client.side: {
            "counts": {row.message_type: row.count for row in client.messages},
            "event_times": {row.message_type: row.event_time for row in client.messages},
            "errors": client.errors,
            "reports": client.reports.requests,
        }
        for client in statistics(session.node).adapters
    }
    found = [str(finding) for finding in health(session.node).findings]
    return {"observed": figures, "findings": found}


def balances(session):
    account = session.node.portfolio.account(Venue("BYBIT"))
    return sorted(str(currency) for currency in account.balances())


async def main(name, product, bus, address):
    session = Session(product, bus, json.loads(address))
    try:
        found = await {"trade": trade, "again": again}[name](session)
    finally:
        await session.stop()
    return found | {"events": session.trader.events, "quotes": session.trader.quotes}


if __name__ == "__main__":
    *arguments, result = sys.argv[1:]
    Path(result).write_text(json.dumps(asyncio.run(main(*arguments))))
    sys.stdout.flush()
    # The host's threads may outlive the loop; the result is out, and nothing is left to save.
    os._exit(0)
