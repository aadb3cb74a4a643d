"""The program of a node with NautilusTrader's own OKX clients (see `venue_session.py`)."""

from nautilus_trader.adapters.okx.factories import OKXLiveDataClientFactory
from nautilus_trader.adapters.okx.factories import OKXLiveExecClientFactory
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import OrderSide
from venue_session import FAR
from venue_session import Session
from venue_session import Trader
from venue_session import run_program
from venue_session import until

from nautilus_enhanced.adapters.okx import EnhancedOKXLiveDataClientFactory
from nautilus_enhanced.adapters.okx import EnhancedOKXLiveExecClientFactory
from nautilus_enhanced.sandbox.okx import data_client_config
from nautilus_enhanced.sandbox.okx import exec_client_config


CHEAP = 40.0


class OKXTrader(Trader):
    has_hyphens = False
    tells_commissions = True

    def on_start(self):
        super().on_start()
        self.subscribe_bars(BarType.from_str(f"{self.instrument_id}-1-SECOND-LAST-EXTERNAL"))
        if self.instrument_id.symbol.value.endswith("-SWAP"):
            self.subscribe_mark_prices(self.instrument_id)


class OKXSession(Session):
    venue = "OKX"
    symbols = {"swap": "BTC-USDT-SWAP", "spot": "BTC-USDT"}
    trader_class = OKXTrader
    order_request = "WS"

    def data_client(self):
        urls = {name: self.urls[name] for name in ("http_url", "ws_url")}
        return data_client_config(product=self.product, **urls)

    def exec_client(self):
        urls = {name: self.urls[name] for name in ("http_url", "ws_api_url")}
        return exec_client_config(product=self.product, **urls)

    def factories(self):
        if self.bus == "factories":
            return EnhancedOKXLiveDataClientFactory, EnhancedOKXLiveExecClientFactory
        return OKXLiveDataClientFactory, OKXLiveExecClientFactory

    def quantity(self, size):
        # One tenth of a bitcoin: ten contracts of a hundredth.
        return super().quantity(size * 100 if self.product == "swap" else size)

    async def trade_more(self):
        trader = self.trader
        await self.submit(self.order("cheap", OrderSide.BUY, 0.1, CHEAP), "OrderRejected")
        await self.submit(kept_on := self.order("not canceled", OrderSide.BUY, 0.1, FAR))
        await self.fault("reject:on=order,match=cancel,times=1")
        trader.cancel_order(kept_on)
        await self.wait(kept_on, "OrderCancelRejected")
        await self.cancel(kept_on)
        both = [self.order(name, OrderSide.BUY, 0.1, FAR) for name in ("first", "second")]
        for order in both:
            await self.submit(order)
        trader.cancel_all_orders(self.instrument_id)
        for order in both:
            await self.closed(order)
        stop = trader.order_factory.stop_market(
            self.instrument_id, OrderSide.SELL, both[0].quantity, both[0].price
        )
        await self.submit(self.called("stop", stop), "OrderRejected")
        await until(lambda: trader.bars, lambda: "bars")
        if self.product == "swap":
            await until(lambda: trader.marks, lambda: "mark prices")


if __name__ == "__main__":
    run_program(OKXSession)
