"""The program of a node with NautilusTrader's own Binance clients (see `venue_session.py`)."""

from nautilus_trader.adapters.binance.factories import BinanceLiveDataClientFactory
from nautilus_trader.adapters.binance.factories import BinanceLiveExecClientFactory
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

    def stop_order(self, side, quantity):
        """Return one with a limit on spot, and at the market on futures."""
        trigger = self.instrument.make_price(self.urls["dip"])
        make = self.trader.order_factory
        if self.product == "futures":
            return make.stop_market(self.instrument_id, side, quantity, trigger)
        limit = self.instrument.make_price(KEPT)
        return make.stop_limit(self.instrument_id, side, quantity, limit, trigger)

    async def trade_more(self):
        if self.product == "futures":
            await until(lambda: self.trader.marks, lambda: "mark prices")


if __name__ == "__main__":
    run_program(BinanceSession)
