"""When a stream is trimmed, and to what age."""

from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority
from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import Batch
from nautilus_enhanced.infrastructure.messagebus.publishing.lanes import Lane
from nautilus_enhanced.infrastructure.messagebus.publishing.trimming import TrimSettings
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import RouteTable
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import StreamNaming
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import LaneSettings


def make_batch():
    routes = RouteTable(StreamNaming(trader_id="T"), "Json")
    topics = ("a", "b", "a")
    batch = Batch()
    batch.add(
        Lane(MessagePriority.HIGH, LaneSettings()),
        [(topic, b"", None) for topic in topics],
        routes.routes(topics),
    )
    return batch


def test_each_stream_is_trimmed_at_most_once_an_interval():
    trim = TrimSettings(max_age_ms=60_000, interval_ns=100)
    batch = make_batch()
    assert trim.due(batch, 1, 100_000) == []
    assert trim.due(batch, 100, 100_000) == []
    commands = trim.due(batch, 101, 100_000)
    assert len(commands) == 2
    assert b"MINID\r\n$1\r\n~\r\n$5\r\n40000" in commands[0][1]
    assert trim.due(batch, 102, 100_000) == []
    assert TrimSettings().due(batch, 10**12, 100_000) == []
