"""The program of a node with NautilusTrader's own IB clients (see `venue_session.py`)."""

from collections import Counter
from datetime import timedelta

from nautilus_trader.adapters.interactive_brokers.factories import IB_CLIENTS
from nautilus_trader.adapters.interactive_brokers.factories import (
    InteractiveBrokersLiveDataClientFactory,
)
from nautilus_trader.adapters.interactive_brokers.factories import (
    InteractiveBrokersLiveExecClientFactory,
)
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import BookType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import TimeInForce
from venue_session import CROSSING
from venue_session import FAR
from venue_session import Session
from venue_session import Trader
from venue_session import run_program
from venue_session import until

from nautilus_enhanced.adapters.interactive_brokers import (
    EnhancedInteractiveBrokersLiveDataClientFactory,
)
from nautilus_enhanced.adapters.interactive_brokers import (
    EnhancedInteractiveBrokersLiveExecClientFactory,
)
from nautilus_enhanced.sandbox.interactive_brokers import data_client_config
from nautilus_enhanced.sandbox.interactive_brokers import exec_client_config


STOCK, FOREX = "stock", "forex"


class IBTrader(Trader):
    tells_commissions = True

    def __init__(self, instrument_id, tag):
        super().__init__(instrument_id, tag)
        self.history = Counter()

    def on_historical_data(self, data):
        self.history[type(data).__name__] += 1

    def request_history(self):
        start = self.clock.utc_now() - timedelta(minutes=1)
        self.request_trade_ticks(self.instrument_id, start=start)
        bars = BarType.from_str(f"{self.instrument_id}-5-SECOND-LAST-EXTERNAL")
        self.request_bars(bars, start=start, end=self.clock.utc_now())

    def subscribe(self):
        super().subscribe()
        self.subscribe_bars(BarType.from_str(f"{self.instrument_id}-5-SECOND-LAST-EXTERNAL"))

    def on_order_book_deltas(self, deltas):
        """Note a book that is crossed: rows come one by one, so that first there is one side."""
        self.deltas += 1
        book = self.cache.order_book(self.instrument_id)
        bid, ask = book.best_bid_price(), book.best_ask_price()
        self.crossed += bid is not None and ask is not None and bid >= ask


class ForexTrader(IBTrader):
    """Subscribe to quotes tick by tick, as there are no trades of currencies."""

    def subscribe(self):
        self.subscribe_quote_ticks(self.instrument_id, params={"batch_quotes": False})
        self.subscribe_order_book_deltas(self.instrument_id, BookType.L2_MBP)

    def on_stop(self):
        self.unsubscribe_quote_ticks(self.instrument_id)


class IBSession(Session):
    venue = "IB"
    symbols = {STOCK: "AAPL", FOREX: "EUR/USD"}

    def __init__(self, product, bus, urls, tag="001"):
        self.is_forex = product == FOREX
        self.trader_class = ForexTrader if self.is_forex else IBTrader
        super().__init__(product, bus, urls, tag)

    def listed_at(self):
        return "IDEALPRO" if self.is_forex else "NASDAQ"

    def data_client(self):
        return data_client_config(**self.where())

    def exec_client(self):
        # With an ID of its own it has a socket of its own; else both clients share one.
        own = {"ibg_client_id": 2} if self.is_forex else {}
        return exec_client_config(account=self.urls["account"], **self.where(), **own)

    def where(self):
        symbol = "EUR/USD" if self.is_forex else "AAPL/USD"
        urls = {name: self.urls[name] for name in ("host", "port")}
        return {"product": self.product, "symbol": symbol, **urls}

    def factories(self):
        if self.bus == "factories":
            return (
                EnhancedInteractiveBrokersLiveDataClientFactory,
                EnhancedInteractiveBrokersLiveExecClientFactory,
            )
        return InteractiveBrokersLiveDataClientFactory, InteractiveBrokersLiveExecClientFactory

    def quantity(self, size):
        # One share for a tenth of a bitcoin.
        return super().quantity(size * 10)

    async def has_market_data(self):
        trader = self.trader
        quotes, trades, deltas = trader.quotes, trader.trades, trader.deltas
        await until(
            lambda: (
                trader.quotes >= quotes + 5
                and (self.is_forex or trader.trades >= trades + 1)
                and trader.deltas >= deltas + 3
            ),
            lambda: f"market data: {trader.quotes} {trader.trades} {trader.deltas}",
        )

    async def change_and_cancel(self):
        far = self.order("far", OrderSide.BUY, 0.1, FAR)
        await self.submit(far)
        changed = self.instrument.make_price(FAR + 1)
        self.trader.modify_order(far, price=changed)
        # The client tells of an update before the first acceptance, too.
        await until(
            lambda: far.price == changed and far.status_string() == "ACCEPTED",
            lambda: f"changed: {far} {self.trader.events}",
        )
        await self.cancel(far)

    async def ask_for_rejects(self):
        at_once = self.order("at once", OrderSide.BUY, 0.1, FAR, time_in_force=TimeInForce.IOC)
        self.trader.submit_order(at_once)
        await self.closed(at_once)
        # The client refuses it by itself.
        crossing = self.order("crossing", OrderSide.BUY, 0.1, CROSSING, post_only=True)
        self.trader.submit_order(crossing)
        await self.closed(crossing)
        await self.submit(self.order("too large", OrderSide.BUY, 200.0, FAR), "OrderRejected")
        await self.fault("reject:on=order,match=PLACE,times=1")
        await self.submit(self.order("reject", OrderSide.BUY, 0.1, FAR), "OrderRejected")

    async def trade_more(self):
        trader = self.trader
        stop = trader.order_factory.stop_market(
            self.instrument_id, OrderSide.SELL, self.quantity(0.1), self.instrument.make_price(FAR)
        )
        await self.submit(self.called("stop", stop))
        other = self.order("other", OrderSide.BUY, 0.1, FAR)
        await self.submit(other)
        trader.cancel_all_orders(self.instrument_id)
        for order in (stop, other):
            await self.closed(order)
        if not self.is_forex:
            await until(lambda: trader.bars, lambda: "bars")
            trader.request_history()
            await until(lambda: len(trader.history) > 1, lambda: f"history: {trader.history}")
            self.found["history"] = sorted(trader.history)

    async def drop_sockets(self):
        """Drop the socket of either client, which may be one, and wait for another."""
        dropped = (await self.ask("/loopback/drop", "POST", on="user"))["dropped"]
        await self.has_market_data()
        # The other one may take somewhat longer, and refuses orders until it is there.
        await until(lambda: all(c.is_ready for c in IB_CLIENTS.values()), lambda: "ready")
        return [dropped]


if __name__ == "__main__":
    run_program(IBSession)
