"""
A node whose strategy ends the process: ``python journal_node.py JSON``.

It publishes to a server that is frozen or gone, sends orders, and then a handler of quotes raises:
by NautilusTrader's default policy the process ends at once, without closing anything. Its venue
is the one of the contract suite, whose folder has to be on the path.
"""

from __future__ import annotations

import asyncio
import json
import sys

from contract_parts import quote_at
from contract_parts import until
from contract_scenarios import INSTRUMENT_ID
from contract_scenarios import QTY
from contract_scenarios import DataFactory
from contract_scenarios import ExecFactory
from contract_scenarios import Market
from contract_scenarios import make_config
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.trading.strategy import Strategy

from nautilus_enhanced import EnhancedMessageBusConfig
from nautilus_enhanced.infrastructure.messagebus import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus import DurabilitySettings


class Failing(Strategy):
    """Sends an order with each quote; says how many events it saw, and fails at the last."""

    def __init__(self, orders: int) -> None:
        super().__init__()
        self._orders = orders
        self.filled = 0
        self.seen = 0

    def on_start(self) -> None:
        self.subscribe_quote_ticks(INSTRUMENT_ID)

    def on_quote_tick(self, tick) -> None:
        self.seen += 1
        if self.seen > self._orders:
            sys.stdout.write(f"FILLED {self.filled}\n")
            sys.stdout.flush()
            raise RuntimeError("a mistake of the strategy")
        self.submit_order(self.order_factory.market(INSTRUMENT_ID, OrderSide.BUY, QTY))

    def on_order_filled(self, event) -> None:
        self.filled += 1


async def play(node: TradingNode, strategy: Failing, orders: int) -> None:
    try:
        await until(lambda: node.trader.is_running, "the trader runs")
        for number in range(orders):
            Market.data.feed(quote_at(100.0 + number / 100))
        await until(lambda: strategy.filled == orders, "all orders are filled")
        Market.data.feed(quote_at(99.0))
        await asyncio.sleep(5.0)
    finally:
        # Only if nobody ended the process.
        node.stop()


def run(url: str, durability: dict, orders: int) -> None:
    config = make_config(
        "enhanced",
        EnhancedMessageBusConfig(
            connection=ConnectionSettings(url=url, connect_timeout_ms=200),
            durability=DurabilitySettings(**durability),
        ),
        log_level="ERROR",
    )
    node = TradingNode(config)
    node.add_data_client_factory("SIM", DataFactory)
    node.add_exec_client_factory("SIM", ExecFactory)
    strategy = Failing(orders)
    node.trader.add_strategy(strategy)
    node.build()
    loop = node.get_event_loop()
    playing = loop.create_task(play(node, strategy, orders))
    node.run()
    loop.run_until_complete(playing)


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
