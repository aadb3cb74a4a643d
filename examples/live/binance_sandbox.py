#!/usr/bin/env python3
"""
Trade on Binance over the enhanced bus: on a loopback venue by default, or on the testnet.

    python examples/live/binance_sandbox.py
    python examples/live/binance_sandbox.py --product futures
    python examples/live/binance_sandbox.py --execution sandbox --seconds 60
    python examples/live/binance_sandbox.py --fault drop:on=market,after=500,times=1
    python examples/live/binance_sandbox.py --redis-url redis://localhost:6379/0
    python examples/live/binance_sandbox.py --testnet

With ``--testnet`` the keys come from the environment: BINANCE_TESTNET_API_KEY and
BINANCE_TESTNET_API_SECRET for spot (https://testnet.binance.vision), and
BINANCE_FUTURES_TESTNET_API_KEY and BINANCE_FUTURES_TESTNET_API_SECRET for USDT futures
(https://testnet.binancefuture.com). ``--execution sandbox`` simulates the execution in the node, on
the venue's market data.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_UP
from decimal import Decimal
from typing import Any

from nautilus_trader.adapters.binance.common.enums import BinanceAccountType
from nautilus_trader.adapters.binance.config import BinanceDataClientConfig
from nautilus_trader.adapters.binance.config import BinanceExecClientConfig
from nautilus_trader.adapters.binance.factories import BinanceLiveDataClientFactory
from nautilus_trader.adapters.binance.factories import BinanceLiveExecClientFactory
from nautilus_trader.adapters.sandbox.config import SandboxExecutionClientConfig
from nautilus_trader.adapters.sandbox.factory import SandboxLiveExecClientFactory
from nautilus_trader.config import InstrumentProviderConfig
from nautilus_trader.config import LiveExecEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.config import TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.trading.strategy import Strategy

from nautilus_enhanced import EnhancedBusError
from nautilus_enhanced import EnhancedMessageBusConfig
from nautilus_enhanced import features
from nautilus_enhanced.sandbox import VenueError
from nautilus_enhanced.sandbox.binance import BinanceFuturesVenueProcess
from nautilus_enhanced.sandbox.binance import BinanceSpotVenueProcess


VENUE = "BINANCE"


@dataclass(frozen=True, kw_only=True)
class Product:
    """What differs between spot and futures."""

    instrument_id: InstrumentId
    account_type: BinanceAccountType
    order_value: Decimal  # USDT, above the least that the venue takes
    keys: str  # how the names of the variables with the keys begin
    loopback: Any
    simulated_account: str
    simulated_balances: list[str]


PRODUCTS = {
    "spot": Product(
        instrument_id=InstrumentId.from_str("BTCUSDT.BINANCE"),
        account_type=BinanceAccountType.SPOT,
        order_value=Decimal(50),
        keys="BINANCE_TESTNET_API",
        loopback=BinanceSpotVenueProcess,
        simulated_account="CASH",
        simulated_balances=["10_000 USDT", "1 BTC"],
    ),
    "futures": Product(
        instrument_id=InstrumentId.from_str("BTCUSDT-PERP.BINANCE"),
        account_type=BinanceAccountType.USDT_FUTURES,
        order_value=Decimal(200),
        keys="BINANCE_FUTURES_TESTNET_API",
        loopback=BinanceFuturesVenueProcess,
        simulated_account="MARGIN",
        simulated_balances=["10_000 USDT"],
    ),
}


class BuyAndSell(Strategy):
    """Buy and sell a little at the market, in turns, once a second."""

    def __init__(self, product: Product) -> None:
        super().__init__()
        self.product = product
        self.instrument_id = product.instrument_id
        self.instrument: Any = None
        self.quote: QuoteTick | None = None
        self.side = OrderSide.BUY
        self.fills = 0

    def on_start(self) -> None:
        """Subscribe, and trade once a second."""
        self.instrument = self.cache.instrument(self.instrument_id)
        self.subscribe_quote_ticks(self.instrument_id)
        self.clock.set_timer("trade", timedelta(seconds=1), callback=self.trade)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        """Remember the market."""
        self.quote = tick

    def on_stop(self) -> None:
        """Leave nothing open."""
        self.cancel_all_orders(self.instrument_id)
        if self.product.account_type.is_futures:
            self.close_all_positions(self.instrument_id)

    def trade(self, _event: Any) -> None:
        """Submit a market order."""
        if self.quote is None:
            return
        step = self.instrument.size_increment.as_decimal()
        steps = self.product.order_value / self.quote.ask_price.as_decimal() / step
        quantity = steps.to_integral_value(rounding=ROUND_UP) * step
        self.submit_order(
            self.order_factory.market(
                self.instrument_id, self.side, self.instrument.make_qty(quantity)
            )
        )
        self.side = OrderSide.SELL if self.side == OrderSide.BUY else OrderSide.BUY

    def on_order_filled(self, event: Any) -> None:
        """Say what was filled."""
        self.fills += 1
        self.log.info(f"filled: {event.order_side.name} {event.last_qty} at {event.last_px}")


def testnet_clients(product: Product) -> tuple[Any, Any]:
    """Return the client configurations for Binance's testnet."""
    key, secret = f"{product.keys}_KEY", f"{product.keys}_SECRET"
    missing = [name for name in (key, secret) if not os.environ.get(name)]
    if missing:
        sys.exit(f"--testnet needs {' and '.join(missing)} in the environment.")
    fields: dict[str, Any] = {
        "api_key": os.environ[key],
        "api_secret": os.environ[secret],
        "account_type": product.account_type,
        "instrument_provider": InstrumentProviderConfig(
            load_ids=frozenset({product.instrument_id})
        ),
    }
    # NautilusTrader 1.221 has a flag where later versions have an environment.
    if "testnet" in BinanceDataClientConfig.__struct_fields__:
        fields["testnet"] = True
    else:
        from nautilus_trader.adapters.binance.common.enums import BinanceEnvironment  # noqa: PLC0415 (not in 1.221)

        fields["environment"] = BinanceEnvironment.TESTNET
    return BinanceDataClientConfig(**fields), BinanceExecClientConfig(**fields)


def main() -> None:
    """Run the node until the time is up, or until Ctrl-C."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--product", choices=tuple(PRODUCTS), default="spot")
    parser.add_argument("--testnet", action="store_true", help="trade on Binance's testnet")
    parser.add_argument("--execution", choices=("venue", "sandbox"), default="venue")
    parser.add_argument("--redis-url", default="embedded", help="default: an embedded server")
    parser.add_argument("--seconds", type=float, default=30.0, help="default: 30")
    parser.add_argument(
        "--fault", action="append", default=[], help="what the loopback venue gets wrong"
    )
    options = parser.parse_args()
    product = PRODUCTS[options.product]
    if options.testnet and options.fault:
        parser.error("--fault is for the loopback venue: nothing goes wrong on request elsewhere")

    with ExitStack() as stack:
        if options.testnet:
            data_client, exec_client = testnet_clients(product)
        else:
            try:
                venue = stack.enter_context(product.loopback(burst_size=500, faults=options.fault))
            except VenueError as error:
                sys.exit(str(error))
            data_client, exec_client = venue.data_client_config(), venue.exec_client_config()
        exec_factory = BinanceLiveExecClientFactory
        if options.execution == "sandbox":
            exec_factory = SandboxLiveExecClientFactory
            exec_client = SandboxExecutionClientConfig(
                venue=VENUE,
                account_type=product.simulated_account,
                base_currency=None,
                starting_balances=product.simulated_balances,
            )

        try:
            bus = EnhancedMessageBusConfig(connection=options.redis_url)
        except EnhancedBusError as error:
            sys.exit(str(error))
        config = TradingNodeConfig(
            trader_id=TraderId("EXAMPLE-001"),
            logging=LoggingConfig(log_level="INFO", log_colors=sys.stdout.isatty()),
            message_bus=bus,
            # A simulated account has no orders from before. And NautilusTrader 1.221 cannot
            # serialize its (empty) report of them for a bus with a server, the stock one neither.
            exec_engine=LiveExecEngineConfig(reconciliation=options.execution == "venue"),
            data_clients={VENUE: data_client},
            exec_clients={VENUE: exec_client},
            timeout_disconnection=2.0,
            timeout_post_stop=1.0,
        )
        try:
            node = TradingNode(config)
        except EnhancedBusError as error:
            sys.exit(str(error))
        node.add_data_client_factory(VENUE, BinanceLiveDataClientFactory)
        node.add_exec_client_factory(VENUE, exec_factory)
        strategy = BuyAndSell(product)
        node.trader.add_strategy(strategy)
        node.build()
        print(f"features: {features(node)}")
        node.kernel.loop.call_later(options.seconds, node.stop)
        try:
            node.run()
        finally:
            node.dispose()
        print(f"done: {strategy.fills} fills")


if __name__ == "__main__":
    main()
