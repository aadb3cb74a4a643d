"""
A stock node that reads another node's stream, for as long as it is let.

``python rehearsal_consumer.py PORT STREAM NOTES`` appends each message that it receives to the
list NOTES on the server, and ends on SIGTERM. It does not know nautilus_enhanced.
"""
# A program of its own, which says on standard error what went wrong.

from __future__ import annotations

import sys

import msgspec
import redis
from nautilus_trader.config import DatabaseConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.config import MessageBusConfig
from nautilus_trader.config import TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.identifiers import TraderId


class Consumer(TradingNode):
    """Notes what the reader brings and what of it reaches who subscribed on the node's bus."""

    def __init__(self, config: TradingNodeConfig, server: redis.Redis, notes: str) -> None:
        super().__init__(config)
        self.server = server
        self.notes = notes
        self.kernel.msgbus.add_streaming_type(QuoteTick)
        self.kernel.msgbus.subscribe("data.quotes.*", self.note_quote)

    def publish_bus_message(self, bus_msg) -> None:
        note = msgspec.msgpack.encode((bus_msg.topic, bytes(bus_msg.payload)))
        self.server.rpush(self.notes, note)
        super().publish_bus_message(bus_msg)

    def note_quote(self, tick: QuoteTick) -> None:
        self.server.rpush(f"{self.notes}:quotes", str(tick.bid_price))


def main(port: int, stream: str, notes: str) -> None:
    config = TradingNodeConfig(
        trader_id=TraderId("CONSUMER-001"),
        logging=LoggingConfig(log_level="ERROR"),
        message_bus=MessageBusConfig(
            database=DatabaseConfig(host="127.0.0.1", port=port),
            encoding="json",
            external_streams=[stream],
        ),
        timeout_post_stop=0.05,
        timeout_disconnection=2.0,
    )
    node = Consumer(config, redis.Redis(port=port), notes)
    node.build()
    node.run()
    node.dispose()
    assert "nautilus_enhanced" not in sys.modules


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
