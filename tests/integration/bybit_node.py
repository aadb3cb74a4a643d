"""The program of a node with NautilusTrader's own Bybit clients (see `venue_session.py`)."""

from nautilus_trader.adapters.bybit.factories import BybitLiveDataClientFactory
from nautilus_trader.adapters.bybit.factories import BybitLiveExecClientFactory
from nautilus_trader.core.nautilus_pyo3 import BybitMarginAction
from nautilus_trader.core.nautilus_pyo3 import BybitMarginBorrowResult
from nautilus_trader.core.nautilus_pyo3 import BybitMarginStatusResult
from nautilus_trader.model.data import DataType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import AccountId
from venue_session import FAR
from venue_session import Session
from venue_session import Trader
from venue_session import run_program
from venue_session import until

from nautilus_enhanced.adapters.bybit import EnhancedBybitLiveDataClientFactory
from nautilus_enhanced.adapters.bybit import EnhancedBybitLiveExecClientFactory
from nautilus_enhanced.sandbox.bybit import data_client_config
from nautilus_enhanced.sandbox.bybit import exec_client_config
from nautilus_enhanced.sandbox.bybit import public_socket_factory


class BybitTrader(Trader):
    def on_start(self):
        super().on_start()
        if self.instrument_id.symbol.value.endswith("-LINEAR"):
            self.subscribe_mark_prices(self.instrument_id)
        self.margin_results = []
        for kind in (BybitMarginBorrowResult, BybitMarginStatusResult):
            topic = f"data.{DataType(kind).topic}"
            self.msgbus.subscribe(topic=topic, handler=self.on_margin_result)

    def on_margin_result(self, result):
        said = getattr(result, "borrow_amount", None) or result.amount
        self.margin_results.append([type(result).__name__, result.coin, said])


class BybitSession(Session):
    venue = "BYBIT"
    symbols = {"linear": "BTCUSDT-LINEAR", "spot": "BTCUSDT-SPOT"}
    trader_class = BybitTrader
    order_request = "order.create"

    def data_client(self):
        return data_client_config(product=self.product, http_url=self.urls["http_url"])

    def exec_client(self):
        urls = {name: self.urls[name] for name in ("http_url", "ws_url", "ws_api_url")}
        return exec_client_config(product=self.product, **urls)

    def factories(self):
        data_factory, exec_factory = BybitLiveDataClientFactory, BybitLiveExecClientFactory
        if self.bus == "factories":
            data_factory = EnhancedBybitLiveDataClientFactory
            exec_factory = EnhancedBybitLiveExecClientFactory
        return public_socket_factory(data_factory, self.urls["ws_url"]), exec_factory

    def stop_order(self, side, quantity):
        trigger = self.instrument.make_price(self.urls["dip"])
        return self.trader.order_factory.stop_market(self.instrument_id, side, quantity, trigger)

    async def trade_more(self):
        both = [self.order(name, OrderSide.BUY, 0.1, FAR) for name in ("first", "second")]
        self.trader.submit_order_list(self.trader.order_factory.create_list(both))
        for order in both:
            await self.wait(order, "OrderAccepted")
        self.trader.cancel_all_orders(self.instrument_id)
        for order in both:
            await self.closed(order)
        too_large = self.order("too large", OrderSide.BUY, 8_000, FAR)
        await self.submit(too_large, "OrderRejected")
        if self.product == "linear":
            await until(lambda: self.trader.marks, lambda: "mark prices")
        await self.ask_for_margin(BybitMarginAction.BORROW, "BybitMarginBorrowResult", amount="25")
        await self.ask_for_margin(BybitMarginAction.GET_BORROW_AMOUNT, "BybitMarginStatusResult")
        self.found["margin_results"] = self.trader.margin_results

    async def ask_for_margin(self, action, expected, **params):
        self.trader.query_account(
            AccountId("BYBIT-UNIFIED"), params={"action": action, "coin": "USDT", **params}
        )
        await until(
            lambda: any(r[0] == expected for r in self.trader.margin_results),
            lambda: f"{expected}: {self.trader.margin_results}",
        )


if __name__ == "__main__":
    run_program(BybitSession)
