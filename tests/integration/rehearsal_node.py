"""
The node of a user, in a process of its own: made from its JSON file, trading, publishing.

``python rehearsal_node.py FILE PARSER FIRST RESULT`` reads FILE with the ``stock`` or the
``enhanced`` parser, runs until a number of quotes and orders is through, and writes to RESULT
what it published. Its venue is the one of the contract suite, whose folder has to be on the path.
"""
# A program of its own, which imports nautilus_enhanced only where its parser is ours.
# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from contract_parts import quote_at
from contract_parts import until
from contract_scenarios import INSTRUMENT_ID
from contract_scenarios import QTY
from contract_scenarios import DataFactory
from contract_scenarios import ExecFactory
from contract_scenarios import Market
from nautilus_trader.config import StrategyConfig
from nautilus_trader.live.config import TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.trading.strategy import Strategy


QUOTES = 60
QUOTES_AN_ORDER = 6
# Published in the last moment, when nobody on the node's own bus listens any longer.
LAST_QUOTES = 20
QUOTE_TOPIC = f"data.quotes.SIM.{INSTRUMENT_ID.symbol}"
LIMIT_S = 30.0


class RehearsalStrategyConfig(StrategyConfig, frozen=True):
    """What the file says about the strategy."""

    quotes_an_order: int


class RehearsalStrategy(Strategy):
    """Sends a market order with every so many quotes, in turns to buy and to sell."""

    def __init__(self, config: RehearsalStrategyConfig) -> None:
        super().__init__(config)
        self.seen = 0
        self.sent = 0
        self.filled = 0

    def on_start(self) -> None:
        self.subscribe_quote_ticks(INSTRUMENT_ID)

    def on_quote_tick(self, tick) -> None:
        self.seen += 1
        if self.seen % self.config.quotes_an_order == 0:
            side = OrderSide.SELL if self.sent % 2 else OrderSide.BUY
            self.sent += 1
            self.submit_order(self.order_factory.market(INSTRUMENT_ID, side, QTY))

    def on_order_filled(self, event) -> None:
        self.filled += 1


class Listener:
    """Notes what the bus hands to its backing: the bus serializes once for both."""

    def __init__(self, backing) -> None:
        self.noted: list[tuple[str, str]] = []
        # What comes later is published to nobody, on either bus.
        self.is_closed = backing.is_closed

    def publish(self, topic: str, payload: bytes) -> None:
        self.noted.append((topic, payload.decode()))


def read_config(path: Path, parser: str) -> TradingNodeConfig:
    if parser == "stock":
        return TradingNodeConfig.parse(path.read_bytes())
    from nautilus_enhanced import parse_node_config

    return parse_node_config(path.read_bytes())


def active_features(node: TradingNode) -> list[str]:
    if "nautilus_enhanced" not in sys.modules:
        return []
    from nautilus_enhanced import features

    return sorted(feature.value for feature in features(node).active)


async def play(node: TradingNode, strategy: RehearsalStrategy, first: int) -> None:
    """Let the venue send quotes until all orders are filled, then stop the node."""
    try:
        await until(lambda: node.trader.is_running, "the trader runs", LIMIT_S)
        for number in range(first, first + QUOTES):
            Market.data.feed(quote_at(100.0 + number / 100))
            await asyncio.sleep(0)
        orders = QUOTES // QUOTES_AN_ORDER
        await until(
            lambda: strategy.seen == QUOTES and strategy.filled == orders,
            "all orders are filled",
            LIMIT_S,
        )
    finally:
        node.stop()


def run(path: Path, parser: str, first: int) -> dict:
    node = TradingNode(read_config(path, parser))
    listener = Listener(node.kernel.msgbus_database)
    node.kernel.msgbus.add_listener(listener)
    node.add_data_client_factory("SIM", DataFactory)
    node.add_exec_client_factory("SIM", ExecFactory)
    node.build()
    (strategy,) = node.trader.strategies()
    loop = node.get_event_loop()
    playing = loop.create_task(play(node, strategy, first))
    node.run()
    loop.run_until_complete(playing)
    active = active_features(node)
    # Still buffered when the node is disposed of, since the file says so: it has to send them.
    for number in range(first + QUOTES, first + QUOTES + LAST_QUOTES):
        node.kernel.msgbus.publish(QUOTE_TOPIC, quote_at(100.0 + number / 100))
    node.dispose()
    return {"active": active, "published": listener.noted}


if __name__ == "__main__":
    file, parser, first, result = sys.argv[1:]
    outcome = run(Path(file), parser, int(first))
    Path(result).write_text(json.dumps(outcome))
