"""The writer's waiting: decisions that a race would need luck to show."""

import pytest

from nautilus_enhanced.infrastructure.messagebus.clock import SystemClock
from nautilus_enhanced.infrastructure.messagebus.connection.backoff import Backoff
from nautilus_enhanced.infrastructure.messagebus.errors import ServerUnreachableError
from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority
from nautilus_enhanced.infrastructure.messagebus.publishing.buffers import PriorityBuffers
from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import Fate
from nautilus_enhanced.infrastructure.messagebus.publishing.outbox import Outbox
from nautilus_enhanced.infrastructure.messagebus.publishing.trimming import TrimSettings
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import RouteTable
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import StreamNaming
from nautilus_enhanced.infrastructure.messagebus.publishing.writer import StreamWriter
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import BufferSettings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import PrioritySettings
from nautilus_enhanced.infrastructure.messagebus.settings.streams import StreamSettings


class BetweenDropAndAppend:
    """A lane that another thread empties to make room, after the writer's first look at it."""

    half_full = 1

    def __init__(self, interval_ms):
        self.flush_interval_ns = interval_ms * 1_000_000
        self.is_urgent = interval_ms == 0
        self._lengths = iter([1])

    def __len__(self):
        return next(self._lengths, 0)


class Buffers:
    def __init__(self, lane):
        self.lanes = (lane,)

    def __len__(self):
        return 1  # so that it does not look after the connection


class RecordingBell:
    def __init__(self):
        self.said_ns = self.slept_ns = 0

    def hang_up(self, sleeps_ns):
        self.said_ns = sleeps_ns

    def sleep(self, timeout_s):
        self.slept_ns = timeout_s * 1e9
        return True

    def take_down(self):
        pass


@pytest.mark.parametrize("interval_ms", [0, 1, 10, 1_000])
def test_the_writer_never_sleeps_longer_than_it_said(interval_ms):
    writer = StreamWriter(
        connect=lambda: pytest.fail("it is not to connect"),
        routes=RouteTable(StreamNaming(trader_id="T"), "Json"),
        settings=StreamSettings(),
        trim=TrimSettings(),
        backoff=Backoff(1.0, 1.0),
        clock=SystemClock(),
        on_settled=lambda: None,
    )
    bell = writer._bell = RecordingBell()
    buffers = Buffers(BetweenDropAndAppend(interval_ms))
    writer._wait(buffers, Outbox(writer._journal.attach(buffers), writer._routes, StreamSettings()))
    # What the bell was told is above the lane's interval or as long as the sleep: so a message
    # that does not ring waits no longer than it may.
    assert bell.said_ns > 0
    assert bell.slept_ns <= bell.said_ns + 1
    assert bell.slept_ns <= max(1, interval_ms * 1_000_000) + 1


FORBIDDEN = "NOPERM No permissions to access a key"


class Scripted:
    """A connection that does with a batch what it is told to, one thing after the other."""

    identity = (b"", 0)
    bytes_sent = 0
    hides = False

    def __init__(self, *deeds):
        self.deeds = list(deeds)
        self.stored = {}

    def open(self):
        pass

    def make_ready(self, batch):
        batch.encode()

    def deliver(self, batch, meanwhile):
        deed = self.deeds.pop(0) if self.deeds else "take"
        meanwhile()
        if deed == "refuse":
            return [Fate.LATER] * len(batch), "OOM no memory"
        if deed == "refuse for good":
            return [Fate.NEVER] * len(batch), FORBIDDEN
        rows = zip(batch.routes, batch.ids, batch.payloads, strict=True)
        for route, entry_id, payload in rows:
            self.stored.setdefault(route.stream.key, {})[entry_id] = payload
        if deed == "take and break":
            raise ServerUnreachableError("broken")
        return [Fate.ACCEPTED] * len(batch), ""

    def ask(self, queries):
        if self.hides:
            return [Exception(FORBIDDEN) for _ in queries]
        found = [self.stored.get(key, {}) for key, _ in queries]
        return [
            [[b"%d-%d" % i, [b"topic", b"", b"payload", p]] for i, p in of.items()] for of in found
        ]

    def last_ids(self, keys):
        return [b"0-0"] * len(keys)

    def end_previous(self, identity):
        return True

    def ping(self):
        pass

    shutdown = close = ping


@pytest.fixture
def start(eventually):
    made = []

    def make(server, *messages, batch=1):
        clock = SystemClock()
        writer = StreamWriter(
            connect=lambda: server,
            routes=RouteTable(StreamNaming(trader_id="T"), "Json"),
            settings=StreamSettings(batch_messages=batch),
            trim=TrimSettings(),
            backoff=Backoff(0.001, 0.001),
            clock=clock,
            on_settled=lambda: None,
        )
        buffers = PriorityBuffers(BufferSettings(), PrioritySettings().policy(), writer.on_put)
        for message in messages:
            buffers.publish("events.order.X", message)
        writer.start(buffers)
        made.append(writer)
        lane = buffers.lanes[MessagePriority.HIGH]
        eventually(lambda: lane.settled == lane.published)
        assert writer.in_flight == 0
        return writer, lane

    yield make
    for writer in made:
        writer.close(1.0)
        assert not writer.is_alive


def test_a_batch_that_cannot_be_made_costs_nothing_of_the_one_in_flight(start):
    server = Scripted()
    # The second is made while the first is under way, and cannot be encoded.
    writer, lane = start(server, b"1", "not bytes", b"3")
    assert (lane.acknowledged, lane.abandoned, lane.indeterminate) == (2, 1, 0)
    assert list(server.stored[b"trader-T:stream:events.order.X"].values()) == [b"1", b"3"]
    assert "bytes" in writer.crash


def test_a_refusal_that_ended_with_the_connection_is_not_shown_for_ever(start):
    writer, lane = start(Scripted("refuse", "take and break"), b"1")
    assert lane.acknowledged == 1
    assert writer.counts["found_after_reconnect"] == 1
    assert writer.retrying_ms == 0


def test_what_was_taken_and_has_no_fate_is_written_off_when_the_lanes_are_empty(start):
    server = Scripted()
    routes = RouteTable.routes
    failing = iter([ValueError("a mistake")])

    def fail_once(self, topics):
        for error in failing:
            raise error
        return routes(self, topics)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RouteTable, "routes", fail_once)
        writer, lane = start(server, b"1")
    assert lane.abandoned == 1
    assert "a mistake" in writer.crash


def test_what_was_sent_when_the_writer_fails_is_not_counted_as_unsent(start):
    class Fatal(Scripted):
        def deliver(self, batch, meanwhile):
            super().deliver(batch, meanwhile)
            raise ValueError("a mistake, after it was sent")

    _, lane = start(Fatal(), b"1", b"2")
    assert (lane.acknowledged, lane.abandoned, lane.indeterminate) == (0, 1, 1)


def test_what_was_sent_and_then_refused_for_good_is_not_counted_as_refused(start):
    # It is in its stream, which the login may neither read nor write any more.
    server = Scripted("take and break", "refuse for good")
    server.hides = True
    writer, lane = start(server, b"1")
    assert (lane.acknowledged, lane.rejected, lane.indeterminate) == (0, 0, 1)
    assert writer.last_rejection == FORBIDDEN
