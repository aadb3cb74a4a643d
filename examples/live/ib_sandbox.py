#!/usr/bin/env python3
"""
Trade at Interactive Brokers over the enhanced bus: on a loopback venue by default.

    python examples/live/ib_sandbox.py
    python examples/live/ib_sandbox.py --product forex
    python examples/live/ib_sandbox.py --fault delay:on=user,ms=250
    python examples/live/ib_sandbox.py --redis-url redis://localhost:6379/0
    python examples/live/ib_sandbox.py --paper

With ``--paper`` a TWS or IB Gateway has to be running, logged in to a paper account, with its API
socket enabled and not read-only. Where it is comes from the environment: IB_ACCOUNT (such as
DU1234567), and if they are others IB_HOST (127.0.0.1), IB_PORT (4002, the Gateway's; TWS has 7497)
and IB_CLIENT_ID (1; orders have the next one). This is written by what the adapter's source says
and has not been run. The example needs NautilusTrader 1.231, and ``pip install 'nt-enhanced[ib]'``.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

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
from nautilus_enhanced import statistics
from nautilus_enhanced.adapters import interactive_brokers as factories
from nautilus_enhanced.sandbox.interactive_brokers import InteractiveBrokersForexVenueProcess
from nautilus_enhanced.sandbox.interactive_brokers import InteractiveBrokersStockVenueProcess
from nautilus_enhanced.sandbox.interactive_brokers import data_client_config
from nautilus_enhanced.sandbox.interactive_brokers import exec_client_config


VENUE = "IB"


@dataclass(frozen=True, kw_only=True)
class Product:
    """What differs between stocks and currencies."""

    instrument_id: InstrumentId
    quantity: int
    loopback: Any


PRODUCTS = {
    "stock": Product(
        instrument_id=InstrumentId.from_str("AAPL.NASDAQ"),
        quantity=10,
        loopback=InteractiveBrokersStockVenueProcess,
    ),
    "forex": Product(
        instrument_id=InstrumentId.from_str("EUR/USD.IDEALPRO"),
        quantity=25_000,
        loopback=InteractiveBrokersForexVenueProcess,
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
        self.close_all_positions(self.instrument_id)

    def trade(self, _event: Any) -> None:
        """Submit a market order."""
        if self.quote is None:
            return
        quantity = self.instrument.make_qty(self.product.quantity)
        self.submit_order(self.order_factory.market(self.instrument_id, self.side, quantity))
        self.side = OrderSide.SELL if self.side == OrderSide.BUY else OrderSide.BUY

    def on_order_filled(self, event: Any) -> None:
        """Say what was filled."""
        self.fills += 1
        self.log.info(f"filled: {event.order_side.name} {event.last_qty} at {event.last_px}")


def paper_clients(name: str) -> tuple[Any, Any]:
    """Return the client configurations for a paper account."""
    account = os.environ.get("IB_ACCOUNT")
    if not account:
        sys.exit("--paper needs IB_ACCOUNT in the environment: the paper account, as DU1234567.")
    numbers = {"IB_PORT": "4002", "IB_CLIENT_ID": "1"}
    for variable, usual in numbers.items():
        numbers[variable] = os.environ.get(variable, usual)
        if not numbers[variable].isdecimal():
            sys.exit(f"{variable} was {numbers[variable]!r}, allowed: a number such as {usual}.")
    where: dict[str, Any] = {
        "host": os.environ.get("IB_HOST", "127.0.0.1"),
        "port": int(numbers["IB_PORT"]),
        "product": name,
        "symbol": "EUR/USD" if name == "forex" else "AAPL/USD",
    }
    client_id = int(numbers["IB_CLIENT_ID"])
    return (
        data_client_config(**where, ibg_client_id=client_id),
        exec_client_config(**where, ibg_client_id=client_id + 1, account=account),
    )


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
    parser.add_argument("--product", choices=tuple(PRODUCTS), default="stock")
    parser.add_argument("--paper", action="store_true", help="trade on a paper account")
    parser.add_argument("--redis-url", default="embedded", help="default: an embedded server")
    parser.add_argument("--seconds", type=float, default=30.0, help="default: 30")
    parser.add_argument(
        "--fault", action="append", default=[], help="what the loopback venue gets wrong"
    )
    options = parser.parse_args()
    product = PRODUCTS[options.product]
    if options.paper and options.fault:
        parser.error("--fault is for the loopback venue: nothing goes wrong on request elsewhere")

    with ExitStack() as stack:
        try:
            if options.paper:
                data_client, exec_client = paper_clients(options.product)
            else:
                # The client takes some 1,000 messages a second, with two for each quote.
                venue = stack.enter_context(product.loopback(burst_size=100, faults=options.fault))
                data_client = venue.data_client_config(ibg_client_id=1)
                # With an ID of its own: orders do not wait behind market data in one queue.
                exec_client = venue.exec_client_config(ibg_client_id=2)
        except EnhancedBusError as error:
            sys.exit(str(error))
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
        node.add_data_client_factory(
            VENUE, factories.EnhancedInteractiveBrokersLiveDataClientFactory
        )
        node.add_exec_client_factory(
            VENUE, factories.EnhancedInteractiveBrokersLiveExecClientFactory
        )
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
