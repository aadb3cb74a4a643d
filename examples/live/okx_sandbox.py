#!/usr/bin/env python3
"""
Trade on OKX over the enhanced bus: on a loopback venue by default, or on OKX's demo trading.

    python examples/live/okx_sandbox.py
    python examples/live/okx_sandbox.py --product spot
    python examples/live/okx_sandbox.py --fault drop:on=market,after=500,times=1
    python examples/live/okx_sandbox.py --redis-url redis://localhost:6379/0
    python examples/live/okx_sandbox.py --demo

With ``--demo`` the keys come from the environment: OKX_API_KEY, OKX_API_SECRET and
OKX_API_PASSPHRASE, made for demo trading (https://www.okx.com, "Demo Trading"); swaps need an
account in net mode. The example needs NautilusTrader 1.231: the clients of 1.221 cannot be pointed
at another venue.
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

from nautilus_trader.adapters.okx.config import OKXDataClientConfig
from nautilus_trader.adapters.okx.config import OKXExecClientConfig
from nautilus_trader.config import InstrumentProviderConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.config import StrategyConfig
from nautilus_trader.config import TradingNodeConfig
from nautilus_trader.core.nautilus_pyo3 import OKXContractType
from nautilus_trader.core.nautilus_pyo3 import OKXInstrumentType
from nautilus_trader.core.nautilus_pyo3 import OKXMarginMode
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.trading.strategy import Strategy

from nautilus_enhanced import EnhancedBusError
from nautilus_enhanced import EnhancedMessageBusConfig
from nautilus_enhanced import features
from nautilus_enhanced.adapters.okx import EnhancedOKXLiveDataClientFactory
from nautilus_enhanced.adapters.okx import EnhancedOKXLiveExecClientFactory
from nautilus_enhanced.sandbox import VenueError
from nautilus_enhanced.sandbox.okx import OKXSpotVenueProcess
from nautilus_enhanced.sandbox.okx import OKXSwapVenueProcess


VENUE = "OKX"
KEYS = ("OKX_API_KEY", "OKX_API_SECRET", "OKX_API_PASSPHRASE")


@dataclass(frozen=True, kw_only=True)
class Product:
    """What differs between swaps and spot."""

    instrument_id: InstrumentId
    order_value: Decimal  # USDT, above the least that the venue takes
    clients: dict[str, Any]  # fields of both client configurations
    loopback: Any


PRODUCTS = {
    "swap": Product(
        instrument_id=InstrumentId.from_str("BTC-USDT-SWAP.OKX"),
        order_value=Decimal(200),
        clients={
            "instrument_types": (OKXInstrumentType.SWAP,),
            "contract_types": (OKXContractType.LINEAR,),
        },
        loopback=OKXSwapVenueProcess,
    ),
    "spot": Product(
        instrument_id=InstrumentId.from_str("BTC-USDT.OKX"),
        order_value=Decimal(50),
        clients={"instrument_types": (OKXInstrumentType.SPOT,)},
        loopback=OKXSpotVenueProcess,
    ),
}


class BuyAndSell(Strategy):
    """Buy and sell a little at the market, in turns, once a second."""

    def __init__(self, product: Product) -> None:
        # OKX takes letters and digits in an order's ID, and nothing else.
        super().__init__(StrategyConfig(use_hyphens_in_client_order_ids=False))
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
        if self.instrument_id.symbol.value.endswith("-SWAP"):
            self.close_all_positions(self.instrument_id)

    def trade(self, _event: Any) -> None:
        """Submit a market order."""
        if self.quote is None:
            return
        # A contract is worth a part of a bitcoin, which is the instrument's multiplier.
        unit = self.quote.ask_price.as_decimal() * self.instrument.multiplier.as_decimal()
        step = self.instrument.size_increment.as_decimal()
        steps = (self.product.order_value / unit / step).to_integral_value(rounding=ROUND_UP)
        self.submit_order(
            self.order_factory.market(
                self.instrument_id, self.side, self.instrument.make_qty(steps * step)
            )
        )
        self.side = OrderSide.SELL if self.side == OrderSide.BUY else OrderSide.BUY

    def on_order_filled(self, event: Any) -> None:
        """Say what was filled."""
        self.fills += 1
        self.log.info(f"filled: {event.order_side.name} {event.last_qty} at {event.last_px}")


def demo_clients(product: Product) -> tuple[Any, Any]:
    """Return the client configurations for OKX's demo trading."""
    missing = [name for name in KEYS if not os.environ.get(name)]
    if missing:
        sys.exit(f"--demo needs {', '.join(missing)} in the environment.")
    from nautilus_trader.core.nautilus_pyo3 import OKXEnvironment  # noqa: PLC0415 (not in 1.221)

    key, secret, passphrase = (os.environ[name] for name in KEYS)
    fields: dict[str, Any] = {
        "api_key": key,
        "api_secret": secret,
        "api_passphrase": passphrase,
        "environment": OKXEnvironment.DEMO,
        "instrument_provider": InstrumentProviderConfig(
            load_ids=frozenset({product.instrument_id})
        ),
        **product.clients,
    }
    execution = OKXExecClientConfig(**fields, margin_mode=OKXMarginMode.CROSS)
    return OKXDataClientConfig(**fields), execution


def main() -> None:
    """Run the node until the time is up, or until Ctrl-C."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--product", choices=tuple(PRODUCTS), default="swap")
    parser.add_argument("--demo", action="store_true", help="trade on OKX's demo trading")
    parser.add_argument("--redis-url", default="embedded", help="default: an embedded server")
    parser.add_argument("--seconds", type=float, default=30.0, help="default: 30")
    parser.add_argument(
        "--fault", action="append", default=[], help="what the loopback venue gets wrong"
    )
    options = parser.parse_args()
    product = PRODUCTS[options.product]
    if options.demo and options.fault:
        parser.error("--fault is for the loopback venue: nothing goes wrong on request elsewhere")

    with ExitStack() as stack:
        if options.demo:
            data_client, exec_client = demo_clients(product)
        else:
            try:
                venue = stack.enter_context(product.loopback(burst_size=500, faults=options.fault))
                data_client = venue.data_client_config()
                exec_client = venue.exec_client_config(margin_mode=OKXMarginMode.CROSS)
            except VenueError as error:
                sys.exit(str(error))

        try:
            bus = EnhancedMessageBusConfig(connection=options.redis_url)
        except EnhancedBusError as error:
            sys.exit(str(error))
        config = TradingNodeConfig(
            trader_id=TraderId("EXAMPLE-001"),
            logging=LoggingConfig(log_level="INFO", log_colors=sys.stdout.isatty()),
            message_bus=bus,
            data_clients={VENUE: data_client},
            exec_clients={VENUE: exec_client},
            timeout_disconnection=5.0,
            timeout_post_stop=1.0,
        )
        try:
            node = TradingNode(config)
        except EnhancedBusError as error:
            sys.exit(str(error))
        node.add_data_client_factory(VENUE, EnhancedOKXLiveDataClientFactory)
        node.add_exec_client_factory(VENUE, EnhancedOKXLiveExecClientFactory)
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
