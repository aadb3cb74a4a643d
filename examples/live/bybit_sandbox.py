#!/usr/bin/env python3
"""
Trade on Bybit over the enhanced bus: on a loopback venue by default.

    python examples/live/bybit_sandbox.py
    python examples/live/bybit_sandbox.py --product spot
    python examples/live/bybit_sandbox.py --fault drop:on=market,after=500,times=1
    python examples/live/bybit_sandbox.py --redis-url redis://localhost:6379/0
    python examples/live/bybit_sandbox.py --demo
    python examples/live/bybit_sandbox.py --testnet

With ``--demo`` (demo trading, https://www.bybit.com) and ``--testnet``
(https://testnet.bybit.com) the keys come from the environment: BYBIT_DEMO_API_KEY and
BYBIT_DEMO_API_SECRET, or BYBIT_TESTNET_API_KEY and BYBIT_TESTNET_API_SECRET. These two are written
by what the adapter's source says and have not been run. The example needs NautilusTrader 1.231.
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

from nautilus_trader.adapters.bybit.config import BybitDataClientConfig
from nautilus_trader.adapters.bybit.config import BybitExecClientConfig
from nautilus_trader.config import InstrumentProviderConfig
from nautilus_trader.config import LiveExecEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.config import TradingNodeConfig
from nautilus_trader.core import nautilus_pyo3
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.trading.strategy import Strategy

from nautilus_enhanced import EnhancedBusError
from nautilus_enhanced import EnhancedMessageBusConfig
from nautilus_enhanced import features
from nautilus_enhanced import statistics
from nautilus_enhanced.adapters.bybit import EnhancedBybitLiveDataClientFactory
from nautilus_enhanced.adapters.bybit import EnhancedBybitLiveExecClientFactory
from nautilus_enhanced.sandbox import VenueError
from nautilus_enhanced.sandbox.bybit import BybitLinearVenueProcess
from nautilus_enhanced.sandbox.bybit import BybitSpotVenueProcess


VENUE = "BYBIT"


@dataclass(frozen=True, kw_only=True)
class Product:
    """What differs between linear perpetuals and spot."""

    instrument_id: InstrumentId
    kind: str  # of NautilusTrader's product types
    order_value: Decimal  # USDT, above the least that the venue takes
    loopback: Any


PRODUCTS = {
    "linear": Product(
        instrument_id=InstrumentId.from_str("BTCUSDT-LINEAR.BYBIT"),
        kind="LINEAR",
        order_value=Decimal(200),
        loopback=BybitLinearVenueProcess,
    ),
    "spot": Product(
        instrument_id=InstrumentId.from_str("BTCUSDT-SPOT.BYBIT"),
        kind="SPOT",
        order_value=Decimal(50),
        loopback=BybitSpotVenueProcess,
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
        if self.product.kind == "LINEAR":
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


def real_clients(product: Product, environment: str) -> tuple[Any, Any]:
    """Return the client configurations for demo trading, or for the testnet."""
    key, secret = f"BYBIT_{environment}_API_KEY", f"BYBIT_{environment}_API_SECRET"
    missing = [name for name in (key, secret) if not os.environ.get(name)]
    if missing:
        sys.exit(f"--{environment.lower()} needs {' and '.join(missing)} in the environment.")
    if "environment" not in BybitDataClientConfig.__struct_fields__:
        sys.exit(f"--{environment.lower()} needs NautilusTrader 1.231.")
    fields: dict[str, Any] = {
        "api_key": os.environ[key],
        "api_secret": os.environ[secret],
        "product_types": (getattr(nautilus_pyo3.BybitProductType, product.kind),),
        "environment": getattr(nautilus_pyo3.BybitEnvironment, environment),
        "instrument_provider": InstrumentProviderConfig(
            load_ids=frozenset({product.instrument_id})
        ),
    }
    return BybitDataClientConfig(**fields), BybitExecClientConfig(**fields)


def print_clients(node: TradingNode) -> None:
    """Say what the clients handed over."""
    for client in statistics(node).adapters:
        counts = ", ".join(f"{row.count:,} {row.message_type}" for row in client.messages)
        print(f"{client.client_id} {client.side}: {counts}")


def main() -> None:
    """Run the node until the time is up, or until Ctrl-C."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--product", choices=tuple(PRODUCTS), default="linear")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--demo", action="store_true", help="trade in Bybit's demo trading")
    where.add_argument("--testnet", action="store_true", help="trade on Bybit's testnet")
    parser.add_argument("--redis-url", default="embedded", help="default: an embedded server")
    parser.add_argument("--seconds", type=float, default=30.0, help="default: 30")
    parser.add_argument(
        "--fault", action="append", default=[], help="what the loopback venue gets wrong"
    )
    options = parser.parse_args()
    product = PRODUCTS[options.product]
    if (options.demo or options.testnet) and options.fault:
        parser.error("--fault is for the loopback venue: nothing goes wrong on request elsewhere")

    with ExitStack() as stack:
        data_factory = EnhancedBybitLiveDataClientFactory
        if options.demo or options.testnet:
            environment = "DEMO" if options.demo else "TESTNET"
            data_client, exec_client = real_clients(product, environment)
        else:
            try:
                venue = stack.enter_context(product.loopback(burst_size=500, faults=options.fault))
                data_client, exec_client = venue.data_client_config(), venue.exec_client_config()
            except VenueError as error:
                sys.exit(str(error))
            # The config has no field for the URL of the public socket.
            data_factory = venue.data_client_factory(data_factory)

        try:
            bus = EnhancedMessageBusConfig(connection=options.redis_url)
        except EnhancedBusError as error:
            sys.exit(str(error))
        config = TradingNodeConfig(
            trader_id=TraderId("EXAMPLE-001"),
            logging=LoggingConfig(log_level="INFO", log_colors=sys.stdout.isatty()),
            message_bus=bus,
            exec_engine=LiveExecEngineConfig(reconciliation=True),
            data_clients={VENUE: data_client},
            exec_clients={VENUE: exec_client},
            timeout_disconnection=5.0,
            timeout_post_stop=1.0,
        )
        try:
            node = TradingNode(config)
        except EnhancedBusError as error:
            sys.exit(str(error))
        node.add_data_client_factory(VENUE, data_factory)
        node.add_exec_client_factory(VENUE, EnhancedBybitLiveExecClientFactory)
        strategy = BuyAndSell(product)
        node.trader.add_strategy(strategy)
        node.build()
        print(f"features: {features(node)}")
        node.kernel.loop.call_later(options.seconds, node.stop)
        try:
            node.run()
            print_clients(node)
        finally:
            node.dispose()
        print(f"done: {strategy.fills} fills")


if __name__ == "__main__":
    main()
