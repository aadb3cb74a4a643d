"""
A node with NautilusTrader's own clients for a venue, and a session of trading on a loopback one.

A venue's program (`binance_node.py` and the like) has a subclass of `Session` with what is its own,
and ends with ``run_program(ItsSession)``. It is run as ``python PROGRAM SESSION PRODUCT BUS ADDRESS
RESULT``: SESSION is ``trade`` or ``again`` (what a node finds that was started after it), BUS is
one of `BUSES`, ADDRESS says as JSON where the venue is, and RESULT is the file for what was found.
`venue_play.py` does that, and `venue_suite.py` has the tests that all venues share.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

from nautilus_trader.config import LiveExecEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.config import StrategyConfig
from nautilus_trader.config import TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.enums import BookType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import TimeInForce
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.trading.strategy import Strategy

from nautilus_enhanced import EnhancedMessageBusConfig
from nautilus_enhanced import features
from nautilus_enhanced import health
from nautilus_enhanced import statistics


STEP_TIMEOUT_S = 30.0
FAR, KEPT, CROSSING = 40_000.0, 41_000.0, 60_000.0
BUSES = {
    "stock": lambda: None,
    # Stock factories, and mixins for all clients.
    "enhanced": lambda: EnhancedMessageBusConfig(adapters="all"),
    # Enhanced factories, without the option.
    "factories": EnhancedMessageBusConfig,
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
            raise TimeoutError(what())
        await asyncio.sleep(0.01)


class Trader(Strategy):
    """Note everything, and do nothing by itself."""

    has_hyphens = True
    tells_commissions = False

    def __init__(self, instrument_id, tag):
        own = {} if self.has_hyphens else {"use_hyphens_in_client_order_ids": False}
        super().__init__(
            StrategyConfig(order_id_tag=tag, external_order_claims=[instrument_id], **own)
        )
        self.instrument_id = instrument_id
        self.bid = None
        self.quotes = self.trades = self.deltas = self.crossed = self.marks = self.bars = 0
        self.crossed_since_snapshot = 0
        self.events = {}
        self.open_at_start = []
        self.positions_at_start = []

    def on_start(self):
        self.open_at_start = [
            [o.order_type.name, str(o.quantity), str(o.price), o.status.name]
            for o in self.cache.orders_open(instrument_id=self.instrument_id)
        ]
        self.positions_at_start = self.positions()
        self.subscribe()

    def subscribe(self):
        self.subscribe_quote_ticks(self.instrument_id)
        self.subscribe_trade_ticks(self.instrument_id)
        self.subscribe_order_book_deltas(self.instrument_id, BookType.L2_MBP)

    def positions(self):
        positions = self.cache.positions_open(instrument_id=self.instrument_id)
        return [str(position.signed_decimal_qty()) for position in positions]

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

    def on_bar(self, bar):
        self.bars += 1

    def on_order_book_deltas(self, deltas):
        self.deltas += 1
        book = self.cache.order_book(self.instrument_id)
        bid, ask_ = book.best_bid_price(), book.best_ask_price()
        if deltas.is_snapshot:
            self.crossed_since_snapshot = 0
        is_crossed = bid is None or ask_ is None or bid >= ask_
        self.crossed += is_crossed
        self.crossed_since_snapshot += is_crossed

    def on_order_event(self, event):
        name = type(event).__name__
        if name == "OrderFilled":
            name += f" {event.last_qty} {event.liquidity_side.name}"
            name += f" {event.commission}" if self.tells_commissions else ""
        elif name == "OrderRejected":
            name += f" {event.reason}"
        self.events.setdefault(event.client_order_id.value, []).append(name)


class Session:
    """
    A node, and the steps of its trading; what a venue does otherwise it overrides.

    Orders have names, by which tests find their events: an ID has date and time in it.
    """

    venue = ""
    symbols = {}  # by product
    trader_class = Trader
    can_change_orders = True
    # What the rules of faults look for in a request that places an order.
    order_request = "POST"

    def __init__(self, product, bus, urls, tag="001"):
        self.product, self.bus, self.urls = product, bus, urls
        self.found = {}
        self.names = {}
        self.node = None
        self.instrument_id = InstrumentId.from_str(f"{self.symbols[product]}.{self.listed_at()}")
        self.trader = self.trader_class(self.instrument_id, tag)

    # -- what a venue has of its own

    def listed_at(self):
        """Return the venue in the ID of the instrument."""
        return self.venue

    def data_client(self):
        """Return the config of the data client."""
        raise NotImplementedError

    def exec_client(self):
        """Return the config of the execution client."""
        raise NotImplementedError

    def factories(self):
        """Return the factories of both, enhanced ones if the bus is ``factories``."""
        raise NotImplementedError

    async def trade_more(self):
        """Do what only this venue can; leave nothing open, and the position as it was."""

    # -- what steps are made of

    @property
    def instrument(self):
        return self.trader.cache.instrument(self.instrument_id)

    async def ask(self, path, method="GET", **parameters):
        return await asyncio.to_thread(ask, self.urls, path, method, **parameters)

    async def fault(self, rule):
        await self.ask("/loopback/faults", "POST", fault=rule)

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

    def quantity(self, size):
        return self.instrument.make_qty(size)

    def order(self, name, side, size, price=None, **options):
        make = self.trader.order_factory
        common = (self.instrument_id, side, self.quantity(size))
        if price is None:
            return self.called(name, make.market(*common, **options))
        return self.called(name, make.limit(*common, self.instrument.make_price(price), **options))

    def called(self, name, order):
        self.names[order.client_order_id.value] = name
        return order

    async def submit(self, order, last="OrderAccepted"):
        """Submit an order, and wait for an event."""
        self.trader.submit_order(order)
        await self.wait(order, last)

    async def wait(self, order, last):
        events = self.trader.events
        await until(
            lambda: any(n.startswith(last) for n in events.get(order.client_order_id.value, [])),
            lambda: f"{last}: {events}",
        )

    async def cancel(self, order):
        self.trader.cancel_order(order)
        await self.wait(order, "OrderCanceled")

    async def closed(self, order):
        await until(lambda: order.is_closed, lambda: f"closed: {order} {self.trader.events}")

    # -- the steps

    async def trade(self):
        trader, found = self.trader, self.found
        await self.has_market_data()
        found["crossed_books"] = trader.crossed
        found["instrument"] = [
            type(self.instrument).__name__,
            str(self.instrument.price_increment),
            str(self.instrument.size_increment),
            str(self.instrument.multiplier),
        ]
        await self.change_and_cancel()
        await self.fill_orders()
        await self.ask_for_rejects()
        await self.have_trouble()
        found["dropped"] = await self.drop_sockets()
        await self.submit(after := self.order("after", OrderSide.BUY, 0.1, FAR))
        await self.cancel(after)
        # On either bus Binance's client may get changes by its new socket, and put them into the
        # book of before the drop, until it is told of the socket and begins to rebuild the book.
        found["crossed_books_after"] = trader.crossed_since_snapshot
        await self.trade_more()
        await self.submit(self.order("kept", OrderSide.BUY, 0.1, KEPT))
        found["positions"] = trader.positions()
        found["observed"], found["findings"] = self.observed()

    async def change_and_cancel(self):
        far = self.order("far", OrderSide.BUY, 0.1, FAR)
        await self.submit(far)
        if self.can_change_orders:
            self.trader.modify_order(far, price=self.instrument.make_price(FAR + 1))
            await self.wait(far, "OrderUpdated")
        await self.cancel(far)

    async def fill_orders(self):
        """Buy 0.2 and sell 0.3."""
        # Rests where the market comes to again and again, and shows half of what it wants.
        resting = self.order("resting", OrderSide.BUY, 0.2, self.urls["dip"])
        await self.submit(resting)
        await self.closed(resting)
        # In the end 0.3 is sold, also where the stop order was refused.
        market = self.order("market", OrderSide.SELL, 0.3 - await self.sell_at_the_dip())
        await self.submit(market)
        await self.closed(market)

    async def sell_at_the_dip(self):
        """Sell 0.1 by an order that waits for a price, where there is one; return what was sold."""
        stop = self.stop_order(OrderSide.SELL, self.quantity(0.1))
        if stop is None:
            return 0.0
        # With the most time until the next dip.
        dip = self.urls["dip"]
        await until(lambda: self.trader.bid < dip, lambda: "the dip")
        await until(lambda: self.trader.bid > dip, lambda: "the rise")
        self.trader.submit_order(self.called("stop", stop))
        await self.closed(stop)
        return 0.1 if stop.filled_qty.as_double() else 0.0

    def stop_order(self, side, quantity):
        """Return an order that waits for the dip; there is none unless a venue has it."""

    async def ask_for_rejects(self):
        crossing = self.order("crossing", OrderSide.BUY, 0.1, CROSSING, post_only=True)
        self.trader.submit_order(crossing)
        await self.closed(crossing)
        at_once = self.order("at once", OrderSide.BUY, 0.1, FAR, time_in_force=TimeInForce.IOC)
        self.trader.submit_order(at_once)
        await self.closed(at_once)
        for fault in ("reject", "rate-limit"):
            await self.fault(f"{fault}:on=order,match={self.order_request},times=1")
            await self.submit(self.order(fault, OrderSide.BUY, 0.1, FAR), "OrderRejected")

    async def have_trouble(self):
        await self.fault("delay:on=user,ms=200,times=1")
        await self.fault("garbage:on=market,times=1")
        await self.submit(late := self.order("late", OrderSide.BUY, 0.1, FAR))
        await self.cancel(late)

    async def drop_sockets(self):
        """Drop the sockets of either client, and wait for others; say how many there were."""
        dropped = [(await self.ask("/loopback/drop", "POST", on="market"))["dropped"]]
        await self.has_market_data()
        before = (await self.ask("/loopback/statistics"))["connections_total"]
        dropped.append((await self.ask("/loopback/drop", "POST", on="user"))["dropped"])
        deadline = time.monotonic() + STEP_TIMEOUT_S
        while time.monotonic() < deadline:
            now = await self.ask("/loopback/statistics")
            if now["connections_total"] > before and now["user_sessions"]:
                return dropped
            await asyncio.sleep(0.02)
        raise TimeoutError("user data")

    async def again(self):
        trader = self.trader
        await until(lambda: trader.is_running, lambda: "running")
        (kept,) = trader.cache.orders_open(instrument_id=self.instrument_id)
        await self.cancel(self.called("kept", kept))
        self.found["open_at_start"] = trader.open_at_start
        self.found["positions_at_start"] = trader.positions_at_start

    # -- what is told of the node

    def active(self):
        if self.bus == "stock":
            return []
        return sorted(feature.value for feature in features(self.node).active)

    def balances(self):
        account = self.node.portfolio.account(Venue(self.venue))
        return sorted(str(currency) for currency in account.balances())

    def observed(self):
        """Return what the mixins tell of the clients, and findings: nothing on a stock bus."""
        if self.bus == "stock":
            return {}, []
        figures = {
            client.side: {
                "counts": {row.message_type: row.count for row in client.messages},
                "event_times": {row.message_type: row.event_time for row in client.messages},
                "errors": client.errors,
                "reports": client.reports.requests,
                "reconnects": client.connection.reconnects,
            }
            for client in statistics(self.node).adapters
        }
        return figures, [str(finding) for finding in health(self.node).findings]

    def outcome(self):
        """Return what was found; the node has stopped."""
        events = {self.names[order]: told for order, told in self.trader.events.items()}
        return self.found | {"events": events, "quotes": self.trader.quotes}


@contextlib.asynccontextmanager
async def running_node(bus, sessions):
    """Run one node for all sessions."""
    config = TradingNodeConfig(
        trader_id=TraderId("TESTER-001"),
        logging=LoggingConfig(
            log_level=os.environ.get("LOG", "WARNING"),
            log_colors=False,
            use_pyo3="LOG" in os.environ,
        ),
        message_bus=BUSES[bus](),
        data_clients={session.venue: session.data_client() for session in sessions},
        exec_clients={session.venue: session.exec_client() for session in sessions},
        exec_engine=LiveExecEngineConfig(reconciliation=True, reconciliation_startup_delay_secs=0),
        timeout_connection=30,
        timeout_reconciliation=20,
        timeout_portfolio=20,
        timeout_disconnection=10,
        timeout_post_stop=0.2,
    )
    node = TradingNode(config)
    for session in sessions:
        session.node = node
        data_factory, exec_factory = session.factories()
        node.add_data_client_factory(session.venue, data_factory)
        node.add_exec_client_factory(session.venue, exec_factory)
        node.trader.add_strategy(session.trader)
    node.build()
    task = asyncio.get_running_loop().create_task(node.run_async())
    try:
        yield
    finally:
        await node.stop_async()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def play(bus, name, sessions):
    """Have all sessions trade at once, in one node; return what each found."""
    async with running_node(bus, sessions):
        # The first that fails ends it; the others are waited for no longer.
        await asyncio.gather(*(getattr(session, name)() for session in sessions))
        for session in sessions:
            session.found |= {"active": session.active(), "balances": session.balances()}
    return [session.outcome() for session in sessions]


def run_program(session_class):
    name, product, bus, address, result = sys.argv[1:]

    async def main():
        (outcome,) = await play(bus, name, [session_class(product, bus, json.loads(address))])
        return outcome

    finish(asyncio.run(main()), result)


def finish(found, result):
    Path(result).write_text(json.dumps(found))
    sys.stdout.flush()
    # The host's threads may outlive the loop; the result is out, and nothing is left to save.
    os._exit(0)
