"""The program of a node with NautilusTrader's own Binance clients (see `venue_session.py`)."""

from nautilus_trader.adapters.binance.factories import BinanceLiveDataClientFactory
from nautilus_trader.adapters.binance.factories import BinanceLiveExecClientFactory
from nautilus_trader.model.enums import OrderSide
from venue_session import KEPT
from venue_session import Session
from venue_session import Trader
from venue_session import run_program
from venue_session import until

from nautilus_enhanced.adapters.binance import EnhancedBinanceLiveDataClientFactory
from nautilus_enhanced.adapters.binance import EnhancedBinanceLiveExecClientFactory
from nautilus_enhanced.sandbox.binance import data_client_config
from nautilus_enhanced.sandbox.binance import exec_client_config


class BinanceTrader(Trader):
    def on_start(self):
        super().on_start()
        if self.instrument_id.symbol.value.endswith("-PERP"):
            self.subscribe_mark_prices(self.instrument_id)


class BinanceSession(Session):
    venue = "BINANCE"
    symbols = {"spot": "BTCUSDT", "futures": "BTCUSDT-PERP"}
    trader_class = BinanceTrader

    @property
    def can_change_orders(self):
        return self.product == "futures"

    def data_client(self):
        urls = {name: self.urls[name] for name in ("http_url", "ws_url")}
        return data_client_config(product=self.product, **urls)

    def exec_client(self):
        urls = {name: self.urls[name] for name in ("http_url", "ws_url", "ws_api_url")}
        return exec_client_config(product=self.product, **urls)

    def factories(self):
        if self.bus == "factories":
            return EnhancedBinanceLiveDataClientFactory, EnhancedBinanceLiveExecClientFactory
        return BinanceLiveDataClientFactory, BinanceLiveExecClientFactory

    async def fill_orders(self):
        """Sell a third by an order that waits for the dip: with a limit on spot."""
        dip = self.urls["dip"]
        resting = self.order("resting", OrderSide.BUY, 0.2, dip)
        await self.submit(resting)
        await self.closed(resting)
        # With the most time until the next dip.
        await until(lambda: self.trader.bid < dip, lambda: "the dip")
        await until(lambda: self.trader.bid > dip, lambda: "the rise")
        common = (self.instrument_id, OrderSide.SELL, self.quantity(0.1))
        trigger = self.instrument.make_price(dip)
        make = self.trader.order_factory
        if self.product == "futures":
            stop = make.stop_market(*common, trigger)
        else:
            stop = make.stop_limit(*common, self.instrument.make_price(KEPT), trigger)
        self.trader.submit_order(self.called("stop", stop))
        await self.closed(stop)
        # In the end 0.3 is sold, also where the stop order was refused.
        market = self.order("market", OrderSide.SELL, 0.2 if stop.filled_qty.as_double() else 0.3)
        await self.submit(market)
        await self.closed(market)

    async def trade_more(self):
        if self.product == "futures":
            await until(lambda: self.trader.marks, lambda: "mark prices")


if __name__ == "__main__":
    run_program(BinanceSession)
