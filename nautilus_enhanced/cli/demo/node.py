"""The node's process: a real ``TradingNode`` with NautilusTrader's own Binance clients."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from collections import defaultdict
from pathlib import Path
from typing import Any
from typing import Final
from urllib.parse import urlsplit

import msgspec
from nautilus_trader.adapters.binance.factories import BinanceLiveDataClientFactory
from nautilus_trader.adapters.binance.factories import BinanceLiveExecClientFactory
from nautilus_trader.common.config import DatabaseConfig
from nautilus_trader.common.config import MessageBusConfig
from nautilus_trader.config import CacheConfig
from nautilus_trader.config import LiveExecEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.config import TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import TraderId

from nautilus_enhanced import EnhancedMessageBusConfig
from nautilus_enhanced import features
from nautilus_enhanced.cli.demo.messages import NodeProgress
from nautilus_enhanced.cli.demo.messages import NodeRequest
from nautilus_enhanced.cli.demo.messages import NodeResult
from nautilus_enhanced.cli.demo.messages import fingerprint
from nautilus_enhanced.cli.demo.messages import to_line
from nautilus_enhanced.cli.demo.messages import write_sequences
from nautilus_enhanced.cli.demo.sampling import PublisherSampler
from nautilus_enhanced.cli.demo.sampling import waiting
from nautilus_enhanced.cli.demo.strategy import DemoStrategy
from nautilus_enhanced.infrastructure.messagebus import MessagePriority
from nautilus_enhanced.infrastructure.messagebus import PrioritySettings
from nautilus_enhanced.infrastructure.messagebus.patterns import TopicPriorities
from nautilus_enhanced.sandbox.binance import data_client_config
from nautilus_enhanced.sandbox.binance import exec_client_config


VENUE: Final = "BINANCE"
PROGRESS_INTERVAL_S: Final = 0.25
ORDER_INTERVAL_S: Final = 0.1
# After the last order: time for what was canceled to be confirmed.
SETTLE_S: Final = 0.7
FLUSH_TIMEOUT_S: Final = 15.0


class Witness:
    """
    Note every message that the node's bus publishes externally, on either bus.

    The bus hands a listener topic and serialized form right after the backing got them, so
    this knows nothing of either publisher.
    """

    def __init__(self) -> None:
        self.by_topic: defaultdict[str, list[str]] = defaultdict(list)
        self.by_priority: Counter[str] = Counter()
        self._closed = False
        self._priorities = TopicPriorities(PrioritySettings().table())

    def is_closed(self) -> bool:
        """Return whether it watches no more."""
        return self._closed

    def close(self) -> None:
        """Watch no more."""
        self._closed = True

    def publish(self, topic: str, payload: bytes) -> None:
        """Note a message."""
        self.by_topic[topic].append(fingerprint(topic, payload))
        self.by_priority[self._priorities.priority_of(topic).name] += 1


def bus_config(request: NodeRequest) -> MessageBusConfig:
    """Return the configuration of the bus under test, the same server in either case."""
    if request.bus == "enhanced":
        return EnhancedMessageBusConfig(
            connection=request.server_url, fallback="raise", encoding="json"
        )
    url = urlsplit(request.server_url)
    database = DatabaseConfig(
        host=url.hostname,
        port=url.port,
        username=url.username,
        password=url.password,
        ssl=url.scheme == "rediss",
    )
    return MessageBusConfig(database=database, encoding="json")


def node_config(request: NodeRequest) -> TradingNodeConfig:
    """Return the configuration of the node."""
    venue = request.venue
    return TradingNodeConfig(
        trader_id=TraderId(request.trader_id),
        logging=LoggingConfig(
            log_level="ERROR",
            log_level_file="INFO",
            log_directory=request.log_dir,
            log_file_name=f"node-{request.bus}",
            log_colors=False,
        ),
        message_bus=bus_config(request),
        cache=CacheConfig(tick_capacity=1_000),
        exec_engine=LiveExecEngineConfig(reconciliation=True),
        data_clients={VENUE: data_client_config(http_url=venue.http_url, ws_url=venue.ws_url)},
        exec_clients={
            VENUE: exec_client_config(
                http_url=venue.http_url, ws_url=venue.ws_url, ws_api_url=venue.ws_api_url
            )
        },
        timeout_connection=20.0,
        timeout_reconciliation=10.0,
        timeout_portfolio=10.0,
        timeout_disconnection=2.0,
        timeout_post_stop=0.2,
    )


def tell(line: str) -> None:
    """Write a line to the parent."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run(request: NodeRequest) -> NodeResult:
    """Trade for the time asked for and return what happened."""
    node = TradingNode(node_config(request))
    loop = node.get_event_loop()
    assert loop is not None  # noqa: S101 (a live node has one)
    witness = Witness()
    node.kernel.msgbus.add_listener(witness)
    started_at = 0.0
    backing: Any = node.kernel.msgbus_database
    is_enhanced = request.bus == "enhanced"
    sampler: PublisherSampler | None = None
    if is_enhanced and request.samples_path is not None:
        sampler = PublisherSampler(backing.statistics)
        sampler.start()

    def progress() -> None:
        tell(
            to_line(
                NodeProgress(
                    elapsed_s=time.monotonic() - started_at,
                    quotes=strategy.quotes,
                    trades=strategy.trades,
                    orders_submitted=strategy.submitted,
                    orders_filled=strategy.filled,
                    published=witness.by_priority.total(),
                    waiting=waiting(backing.statistics()) if is_enhanced else None,
                )
            )
        )
        loop.call_later(PROGRESS_INTERVAL_S, progress)

    def trade() -> None:
        # The next one first: an order that cannot be made must not be the last.
        loop.call_later(ORDER_INTERVAL_S, trade)
        strategy.trade()

    def on_started() -> None:
        nonlocal started_at
        started_at = time.monotonic()
        progress()
        trade()
        loop.call_later(request.seconds, strategy.stop_trading)
        loop.call_later(request.seconds + SETTLE_S, node.stop)

    symbol = request.venue.symbol.replace("/", "")
    strategy = DemoStrategy(InstrumentId.from_str(f"{symbol}.{VENUE}"), on_started)
    node.add_data_client_factory(VENUE, BinanceLiveDataClientFactory)
    node.add_exec_client_factory(VENUE, BinanceLiveExecClientFactory)
    node.trader.add_strategy(strategy)
    node.build()
    threading.Thread(target=_stop_with_parent, args=(node, loop), daemon=True).start()
    node.run()

    active = [str(feature) for feature in features(node).active]
    acknowledged = {priority.name: 0 for priority in MessagePriority}
    # Disposing closes the bus in the middle: what components say of themselves after that goes
    # nowhere on either bus, and is no loss.
    witness.close()
    node.dispose()
    if is_enhanced:
        acknowledged = {lane.priority: lane.acknowledged for lane in backing.statistics().lanes}
    if sampler is not None and request.samples_path is not None:
        sampler.stop()
        Path(request.samples_path).write_bytes(msgspec.json.encode(sampler.samples))
    write_sequences(Path(request.witness_path), dict(witness.by_topic))
    return NodeResult(
        quotes=strategy.quotes,
        trades=strategy.trades,
        orders_submitted=strategy.submitted,
        orders_filled=strategy.filled,
        orders_rejected=strategy.rejected,
        orders_canceled=strategy.canceled,
        published={p.name: witness.by_priority[p.name] for p in MessagePriority},
        acknowledged=acknowledged,
        features=active,
        order_events=strategy.events,
    )


def _stop_with_parent(node: TradingNode, loop: Any) -> None:
    """Stop the node when standard input ends, which is when the parent is gone or says so."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    if not loop.is_closed():
        loop.call_soon_threadsafe(node.stop)


if __name__ == "__main__":
    tell(to_line(run(msgspec.json.decode(sys.argv[1], type=NodeRequest))))
