#!/usr/bin/env python3
"""
Trade on Binance, Bybit, OKX and Interactive Brokers in one node: on loopback venues.

    python examples/live/all_venues_sandbox.py
    python examples/live/all_venues_sandbox.py --venues binance,okx
    python examples/live/all_venues_sandbox.py --seconds 60 --redis-url redis://localhost:6379/0

Each venue is a process on this machine that speaks the real one's protocol, and each has a
strategy. Order events of all venues are served before the market data of any of them. The example
needs NautilusTrader 1.231, and for Interactive Brokers the extra `ib`. For the real venues' own
sandboxes see the examples of each.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from dataclasses import field
from datetime import timedelta
from decimal import ROUND_UP
from decimal import Decimal
from typing import Any

from nautilus_trader.config import LoggingConfig
from nautilus_trader.config import StrategyConfig
from nautilus_trader.config import TradingNodeConfig
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
from nautilus_enhanced import statistics


@dataclass(frozen=True, kw_only=True)
class VenueOfNode:
    """What a node needs to trade on a venue."""

    client: str
    instrument_id: str
    process: Any  # the loopback venue
    data_factory: Callable[[Any], Any]  # made of the running venue, as the other one is
    exec_factory: Callable[[Any], Any]
    exec_settings: dict[str, Any] = field(default_factory=dict)
    strategy_settings: dict[str, Any] = field(default_factory=dict)
    # Interactive Brokers thins its quotes out; the others send what there is.
    burst_size: int = 500


def binance() -> VenueOfNode:
    """Return Binance's USDT futures."""
    from nautilus_enhanced.adapters.binance import EnhancedBinanceLiveDataClientFactory  # noqa: PLC0415 (if asked for)
    from nautilus_enhanced.adapters.binance import EnhancedBinanceLiveExecClientFactory  # noqa: PLC0415 (if asked for)
    from nautilus_enhanced.sandbox.binance import BinanceFuturesVenueProcess  # noqa: PLC0415 (if asked for)

    return VenueOfNode(
        client="BINANCE",
        instrument_id="BTCUSDT-PERP.BINANCE",
        process=BinanceFuturesVenueProcess,
        data_factory=lambda _: EnhancedBinanceLiveDataClientFactory,
        exec_factory=lambda _: EnhancedBinanceLiveExecClientFactory,
    )


def bybit() -> VenueOfNode:
    """Return Bybit's linear perpetuals."""
    from nautilus_enhanced.adapters.bybit import EnhancedBybitLiveDataClientFactory  # noqa: PLC0415 (if asked for)
    from nautilus_enhanced.adapters.bybit import EnhancedBybitLiveExecClientFactory  # noqa: PLC0415 (if asked for)
    from nautilus_enhanced.sandbox.bybit import BybitLinearVenueProcess  # noqa: PLC0415 (if asked for)

    return VenueOfNode(
        client="BYBIT",
        instrument_id="BTCUSDT-LINEAR.BYBIT",
        process=BybitLinearVenueProcess,
        # The config has no field for the URL of the public socket.
        data_factory=lambda venue: venue.data_client_factory(EnhancedBybitLiveDataClientFactory),
        exec_factory=lambda _: EnhancedBybitLiveExecClientFactory,
    )


def okx() -> VenueOfNode:
    """Return OKX's swaps."""
    from nautilus_enhanced.adapters.okx import EnhancedOKXLiveDataClientFactory  # noqa: PLC0415 (if asked for)
    from nautilus_enhanced.adapters.okx import EnhancedOKXLiveExecClientFactory  # noqa: PLC0415 (if asked for)
    from nautilus_enhanced.sandbox.okx import OKXSwapVenueProcess  # noqa: PLC0415 (if asked for)

    return VenueOfNode(
        client="OKX",
        instrument_id="BTC-USDT-SWAP.OKX",
        process=OKXSwapVenueProcess,
        data_factory=lambda _: EnhancedOKXLiveDataClientFactory,
        exec_factory=lambda _: EnhancedOKXLiveExecClientFactory,
        exec_settings={"margin_mode": OKXMarginMode.CROSS},
        # OKX takes letters and digits in an order's ID, and nothing else.
        strategy_settings={"use_hyphens_in_client_order_ids": False},
    )


def interactive_brokers() -> VenueOfNode:
    """Return a stock at Interactive Brokers."""
    from nautilus_enhanced.adapters import interactive_brokers as adapter  # noqa: PLC0415 (an extra)
    from nautilus_enhanced.sandbox import interactive_brokers as sandbox  # noqa: PLC0415 (an extra)

    return VenueOfNode(
        client="IB",
        instrument_id="AAPL.NASDAQ",
        process=sandbox.InteractiveBrokersStockVenueProcess,
        data_factory=lambda _: adapter.EnhancedInteractiveBrokersLiveDataClientFactory,
        exec_factory=lambda _: adapter.EnhancedInteractiveBrokersLiveExecClientFactory,
        # With an ID of its own: orders do not wait behind market data in one queue.
        exec_settings={"ibg_client_id": 2},
        burst_size=20,
    )


VENUES = {"binance": binance, "bybit": bybit, "okx": okx, "ib": interactive_brokers}


class BuyAndSell(Strategy):
    """Buy and sell for about 200 at the market, in turns, once a second."""

    def __init__(self, instrument_id: str, config: StrategyConfig) -> None:
        super().__init__(config)
        self.instrument_id = InstrumentId.from_str(instrument_id)
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
        self.close_all_positions(self.instrument_id)

    def trade(self, _event: Any) -> None:
        """Submit a market order."""
        if self.quote is None:
            return
        # A contract may be worth a part of what it is about, which is the multiplier.
        unit = self.quote.ask_price.as_decimal() * self.instrument.multiplier.as_decimal()
        step = self.instrument.size_increment.as_decimal()
        steps = (Decimal(200) / unit / step).to_integral_value(rounding=ROUND_UP)
        self.submit_order(
            self.order_factory.market(
                self.instrument_id, self.side, self.instrument.make_qty(steps * step)
            )
        )
        self.side = OrderSide.SELL if self.side == OrderSide.BUY else OrderSide.BUY

    def on_order_filled(self, event: Any) -> None:
        """Count what was filled."""
        self.fills += 1


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
    parser.add_argument("--venues", default=",".join(VENUES), help=f"default: {','.join(VENUES)}")
    parser.add_argument("--redis-url", default="embedded", help="default: an embedded server")
    parser.add_argument("--seconds", type=float, default=30.0, help="default: 30")
    options = parser.parse_args()
    names = options.venues.split(",")
    for name in names:
        if name not in VENUES:
            parser.error(f"--venues was {name!r}, allowed: {', '.join(VENUES)}")

    with ExitStack() as stack:
        try:
            venues = [VENUES[name]() for name in names]
            running = [
                stack.enter_context(venue.process(burst_size=venue.burst_size)) for venue in venues
            ]
            config = TradingNodeConfig(
                trader_id=TraderId("EXAMPLE-001"),
                logging=LoggingConfig(log_level="WARNING", log_colors=sys.stdout.isatty()),
                message_bus=EnhancedMessageBusConfig(connection=options.redis_url),
                data_clients={
                    venue.client: process.data_client_config()
                    for venue, process in zip(venues, running, strict=True)
                },
                exec_clients={
                    venue.client: process.exec_client_config(**venue.exec_settings)
                    for venue, process in zip(venues, running, strict=True)
                },
                timeout_disconnection=5.0,
                timeout_post_stop=1.0,
            )
            node = TradingNode(config)
        except EnhancedBusError as error:
            sys.exit(str(error))
        strategies = {}
        for number, (venue, process) in enumerate(zip(venues, running, strict=True), 1):
            node.add_data_client_factory(venue.client, venue.data_factory(process))
            node.add_exec_client_factory(venue.client, venue.exec_factory(process))
            settings = StrategyConfig(order_id_tag=f"{number:03}", **venue.strategy_settings)
            strategies[venue.client] = BuyAndSell(venue.instrument_id, settings)
        node.trader.add_strategies(list(strategies.values()))
        node.build()
        print(f"features: {features(node)}")
        node.kernel.loop.call_later(options.seconds, node.stop)
        try:
            node.run()
            print_clients(node)
        finally:
            node.dispose()
        for client, strategy in strategies.items():
            print(f"done: {strategy.fills} fills at {client}")


if __name__ == "__main__":
    main()
