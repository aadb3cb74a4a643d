#!/usr/bin/env python3
"""
Trade on Binance spot over the enhanced bus: on a loopback venue by default, or on the testnet.

    python examples/live/binance_sandbox.py
    python examples/live/binance_sandbox.py --execution sandbox --seconds 60
    python examples/live/binance_sandbox.py --redis-url redis://localhost:6379/0
    python examples/live/binance_sandbox.py --testnet

With ``--testnet`` the keys come from the environment: BINANCE_TESTNET_API_KEY and
BINANCE_TESTNET_API_SECRET (https://testnet.binance.vision). ``--execution sandbox`` simulates the
execution in the node, on the venue's market data, and needs no keys for it.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
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
from nautilus_enhanced.sandbox.binance import BinanceSpotVenueProcess


VENUE = "BINANCE"
INSTRUMENT_ID = InstrumentId.from_str("BTCUSDT.BINANCE")
ORDER_VALUE = Decimal(50)  # USDT


class BuyAndSell(Strategy):
    """Buy and sell a little at the market, in turns, once a second."""

    def __init__(self) -> None:
        super().__init__()
        self.instrument: Any = None
        self.quote: QuoteTick | None = None
        self.side = OrderSide.BUY
        self.fills = 0

    def on_start(self) -> None:
        """Subscribe, and trade once a second."""
        self.instrument = self.cache.instrument(INSTRUMENT_ID)
        self.subscribe_quote_ticks(INSTRUMENT_ID)
        self.clock.set_timer("trade", timedelta(seconds=1), callback=self.trade)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        """Remember the market."""
        self.quote = tick

    def on_stop(self) -> None:
        """Leave nothing open."""
        self.cancel_all_orders(INSTRUMENT_ID)

    def trade(self, _event: Any) -> None:
        """Submit a market order."""
        if self.quote is None:
            return
        step = self.instrument.size_increment.as_decimal()
        steps = ORDER_VALUE / self.quote.ask_price.as_decimal() / step
        quantity = steps.to_integral_value(rounding=ROUND_UP) * step
        self.submit_order(
            self.order_factory.market(INSTRUMENT_ID, self.side, self.instrument.make_qty(quantity))
        )
        self.side = OrderSide.SELL if self.side == OrderSide.BUY else OrderSide.BUY

    def on_order_filled(self, event: Any) -> None:
        """Say what was filled."""
        self.fills += 1
        self.log.info(f"filled: {event.order_side.name} {event.last_qty} at {event.last_px}")


def testnet_clients() -> tuple[Any, Any]:
    """Return the client configurations for Binance's testnet."""
    missing = [
        name
        for name in ("BINANCE_TESTNET_API_KEY", "BINANCE_TESTNET_API_SECRET")
        if not os.environ.get(name)
    ]
    if missing:
        sys.exit(f"--testnet needs {' and '.join(missing)} in the environment.")
    fields: dict[str, Any] = {
        "api_key": os.environ["BINANCE_TESTNET_API_KEY"],
        "api_secret": os.environ["BINANCE_TESTNET_API_SECRET"],
        "account_type": BinanceAccountType.SPOT,
        "instrument_provider": InstrumentProviderConfig(load_ids=frozenset({INSTRUMENT_ID})),
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
    parser.add_argument("--testnet", action="store_true", help="trade on Binance's testnet")
    parser.add_argument("--execution", choices=("venue", "sandbox"), default="venue")
    parser.add_argument("--redis-url", default="embedded", help="default: an embedded server")
    parser.add_argument("--seconds", type=float, default=30.0, help="default: 30")
    options = parser.parse_args()

    with ExitStack() as stack:
        if options.testnet:
            data_client, exec_client = testnet_clients()
        else:
            try:
                venue = stack.enter_context(BinanceSpotVenueProcess(burst_size=500))
            except VenueError as error:
                sys.exit(str(error))
            data_client, exec_client = venue.data_client_config(), venue.exec_client_config()
        exec_factory = BinanceLiveExecClientFactory
        if options.execution == "sandbox":
            exec_factory = SandboxLiveExecClientFactory
            exec_client = SandboxExecutionClientConfig(
                venue=VENUE,
                account_type="CASH",
                base_currency=None,
                starting_balances=["10_000 USDT", "1 BTC"],
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
        strategy = BuyAndSell()
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
