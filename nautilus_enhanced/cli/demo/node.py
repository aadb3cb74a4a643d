"""The node's process: a real ``TradingNode`` with NautilusTrader's own clients for venues."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any
from typing import Final
from urllib.parse import urlsplit

import msgspec
from nautilus_trader.common.config import DatabaseConfig
from nautilus_trader.common.config import MessageBusConfig
from nautilus_trader.config import CacheConfig
from nautilus_trader.config import LiveExecEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.config import StrategyConfig
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
from nautilus_enhanced.cli.demo.venues import DEMO_VENUES
from nautilus_enhanced.cli.demo.venues import Clients
from nautilus_enhanced.infrastructure.messagebus import MessagePriority
from nautilus_enhanced.infrastructure.messagebus import PrioritySettings
from nautilus_enhanced.infrastructure.messagebus.patterns import TopicPriorities


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
            connection=request.server_url, fallback="raise", encoding="json", adapters="all"
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


def node_config(request: NodeRequest, clients: dict[str, Clients]) -> TradingNodeConfig:
    """Return the configuration of the node, with clients by their names in it."""
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
        data_clients={name: of.data_config for name, of in clients.items()},
        exec_clients={name: of.exec_config for name, of in clients.items()},
        timeout_connection=20.0,
        timeout_reconciliation=10.0,
        timeout_portfolio=10.0,
        timeout_disconnection=2.0,
        timeout_post_stop=0.2,
    )


def make_strategies(
    request: NodeRequest, on_started: Callable[[], None]
) -> dict[str, DemoStrategy]:
    """Return a strategy for each venue."""
    return {
        name: DemoStrategy(
            InstrumentId.from_str(DEMO_VENUES[name].instrument_id(at.symbol)),
            StrategyConfig(order_id_tag=f"{number:03}", **DEMO_VENUES[name].id_options),
            on_started,
        )
        for number, (name, at) in enumerate(request.venues.items(), 1)
    }


def tell(line: str) -> None:
    """Write a line to the parent."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run(request: NodeRequest) -> NodeResult:
    """Trade for the time asked for and return what happened."""
    clients = {
        DEMO_VENUES[name].client: DEMO_VENUES[name].clients(at)
        for name, at in request.venues.items()
    }
    node = TradingNode(node_config(request, clients))
    loop = node.get_event_loop()
    assert loop is not None  # noqa: S101 (a live node has one)
    witness = Witness()
    node.kernel.msgbus.add_listener(witness)
    started_at = 0.0
    waiting_for = len(request.venues)
    backing: Any = node.kernel.msgbus_database
    is_enhanced = request.bus == "enhanced"
    sampler: PublisherSampler | None = None
    if is_enhanced and request.samples_path is not None:
        sampler = PublisherSampler(backing.statistics)
        sampler.start()

    def total(figure: str) -> int:
        return sum(getattr(strategy, figure) for strategy in strategies.values())

    def progress() -> None:
        tell(
            to_line(
                NodeProgress(
                    elapsed_s=time.monotonic() - started_at,
                    quotes=total("quotes"),
                    trades=total("trades"),
                    orders_submitted=total("submitted"),
                    orders_filled=total("filled"),
                    published=witness.by_priority.total(),
                    waiting=waiting(backing.statistics()) if is_enhanced else None,
                )
            )
        )
        loop.call_later(PROGRESS_INTERVAL_S, progress)

    def trade() -> None:
        # The next one first: an order that cannot be made must not be the last.
        loop.call_later(ORDER_INTERVAL_S, trade)
        for strategy in strategies.values():
            strategy.trade()

    def stop_trading() -> None:
        for strategy in strategies.values():
            strategy.stop_trading()

    def on_started() -> None:
        nonlocal started_at, waiting_for
        waiting_for -= 1
        if waiting_for:
            return
        started_at = time.monotonic()
        progress()
        trade()
        loop.call_later(request.seconds, stop_trading)
        loop.call_later(request.seconds + SETTLE_S, node.stop)

    strategies = make_strategies(request, on_started)
    for client, of in clients.items():
        node.add_data_client_factory(client, of.data_factory)
        node.add_exec_client_factory(client, of.exec_factory)
    node.trader.add_strategies(list(strategies.values()))
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
        quotes=total("quotes"),
        trades=total("trades"),
        orders_submitted=total("submitted"),
        orders_filled=total("filled"),
        orders_rejected=total("rejected"),
        orders_canceled=total("canceled"),
        published={p.name: witness.by_priority[p.name] for p in MessagePriority},
        acknowledged=acknowledged,
        features=active,
        filled_by_venue={name: strategy.filled for name, strategy in strategies.items()},
        order_events=[event for strategy in strategies.values() for event in strategy.events],
    )


def _stop_with_parent(node: TradingNode, loop: Any) -> None:
    """Stop the node when standard input ends, which is when the parent is gone or says so."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    if not loop.is_closed():
        loop.call_soon_threadsafe(node.stop)


if __name__ == "__main__":
    tell(to_line(run(msgspec.json.decode(sys.argv[1], type=NodeRequest))))
