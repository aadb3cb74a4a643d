"""What becomes of a message inside of a node, by its outcome and its figures."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import pytest
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.serialization.serializer import MsgSpecSerializer
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.data import TestDataStubs

from nautilus_enhanced import AllowRule
from nautilus_enhanced.infrastructure.messagebus import RejectedMessageError
from nautilus_enhanced.infrastructure.messagebus import StreamMessage
from nautilus_enhanced.live.admission import AllowList
from nautilus_enhanced.live.publication import ForeignPublication
from nautilus_enhanced.live.publication import Publication


QUOTE = TestDataStubs.quote_tick(TestInstrumentProvider.default_fx_ccy("AUD/USD"))
TOPIC = "data.quotes.SIM.AUD/USD"
ENCODINGS = {"json": msgspec.json, "msgpack": msgspec.msgpack}


def payload_of(message, encoding="json", **options):
    return MsgSpecSerializer(ENCODINGS[encoding], **options).serialize(message)


class World:
    """A publication, and a note of everything that it does."""

    def __init__(self, *rules, intake=None, kind=Publication, callback=(), encoding="json") -> None:
        self.published = []
        self.processed = []
        self.log = []
        self.trouble: Exception | None = None
        self.streaming = {QuoteTick}
        self.now_ns = 0
        self.node = SimpleNamespace(_stream_processors=[self.processed.append])
        kernel = SimpleNamespace(
            msgbus=SimpleNamespace(
                publish=self.publish, is_streaming_type=lambda kind: kind in self.streaming
            ),
            msgbus_serializer=MsgSpecSerializer(ENCODINGS[encoding], timestamps_as_str=True),
        )
        self.publication = kind(
            *callback,
            node=self.node,
            kernel=kernel,
            is_json=encoding == "json",
            allowed=AllowList(rules),
            intake=intake,
            log=SimpleNamespace(error=self.log.append, warning=self.log.append),
            max_deliveries=3,
            clock_ns=lambda: self.now_ns,
        )

    def publish(self, topic, message, external_pub=True) -> None:
        assert not external_pub
        if self.trouble is not None:
            raise self.trouble
        self.published.append((topic, message))

    def come(self, payload, topic=TOPIC, deliveries=1) -> None:
        self.publication(StreamMessage(topic, payload, "s", b"1-0", [], payload, deliveries))

    @property
    def counts(self) -> dict[str, int]:
        return dict(self.publication.counts)


@pytest.mark.parametrize("own", ["json", "msgpack"])
@pytest.mark.parametrize("written", ["json", "msgpack"])
@pytest.mark.parametrize(
    "options", [{"timestamps_as_str": True}, {"timestamps_as_iso8601": True}, {}], ids=str
)
def test_a_message_is_published_inside_however_it_is_written(own, written, options):
    world = World(encoding=own)
    world.come(payload_of(QUOTE, written, **options))
    assert world.published == [(TOPIC, QUOTE)]
    assert world.processed == [QUOTE]
    assert world.counts == {"published": 1}


def test_a_type_that_nobody_streams_reaches_stream_processors_only():
    world = World()
    world.streaming = set()
    world.come(payload_of(QUOTE))
    world.come(b'{"type": "Unheard"}')
    assert world.processed == [QUOTE, {"type": "Unheard"}]
    assert world.published == []
    assert world.counts == {"not_streaming": 2}


@pytest.mark.parametrize("payload", [b"", b"text", b"\xc1", b"[]", b'{"type": "QuoteTick"}', b"1"])
def test_what_cannot_be_decoded_is_rejected_and_said(payload):
    world = World()
    with pytest.raises(RejectedMessageError, match="cannot be decoded"):
        world.come(payload)
    assert world.processed == world.published == []
    assert world.counts == {"undecodable": 1}
    assert len(world.log) == 1


def test_what_a_subscriber_raises_is_raised_and_said_now_and_then():
    world = World()
    world.trouble = ValueError("broken")
    for deliveries in (1, 2, 3):
        with pytest.raises(ValueError, match="broken"):
            world.come(payload_of(QUOTE), deliveries=deliveries)
    first, last = world.log
    assert "will be tried again" in first
    assert "delivery 1 of 3" in first
    assert "went to the dead letters" in last
    assert "delivery 3 of 3" in last
    assert world.counts == {"failed": 3}
    world.now_ns += 10_000_000_000
    with pytest.raises(ValueError, match="broken"):
        world.come(payload_of(QUOTE))
    assert world.log[-1].startswith("2 messages could not be published")


def test_what_a_stream_processor_raises_is_raised():
    world = World()
    world.node._stream_processors.append(lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        world.come(payload_of(QUOTE))
    assert world.published == []


def test_what_is_not_let_in_is_counted_and_said_once_for_each_topic():
    world = World(AllowRule(topic="events.*"))
    for topic in (TOPIC, TOPIC, "data.x"):
        world.now_ns += 10**15
        world.come(b"not even a message", topic)
    assert world.counts == {"not_allowed": 3}
    assert len(world.log) == 2
    assert TOPIC in world.log[0]


def test_heartbeats_of_other_nodes_are_no_trouble():
    world = World()
    world.come(b"2026-11-25T12:00:00Z", "health:heartbeat")
    assert world.counts == {"heartbeats": 1}
    assert world.log == []


def test_data_that_the_engine_is_subscribed_to_goes_there_and_nowhere_else():
    taken = []

    def offer(topic, body):
        taken.append((topic, body))
        return topic == TOPIC

    world = World(intake=SimpleNamespace(offer=offer))
    world.come(payload_of(QUOTE))
    world.come(payload_of(QUOTE), "data.other")
    assert taken == [(TOPIC, QUOTE), ("data.other", QUOTE)]
    assert world.published == [("data.other", QUOTE)]
    assert world.counts == {"to_data_engine": 1, "published": 1}


def test_a_method_in_the_place_of_the_node_s_own_gets_topic_and_payload():
    came = []

    def callback(message):
        came.append((message.topic, message.payload))
        if message.payload == b"2":
            raise ValueError(message.payload)

    world = World(AllowRule(topic="data.*"), kind=ForeignPublication, callback=(callback,))
    world.come(b"1")
    world.come(b"1", "events.x")
    with pytest.raises(ValueError, match="2"):
        world.come(b"2")
    assert came == [(TOPIC, b"1"), (TOPIC, b"2")]
    assert world.counts == {"published": 1, "not_allowed": 1, "failed": 1}
