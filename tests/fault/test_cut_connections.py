"""Connections cut at every byte, servers killed and frozen: everything arrives exactly once."""

import os
import random
import signal
import threading
import time
from typing import ClassVar

import msgspec
import pytest
import redis
from proxy import CuttingProxy

from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus import BufferSettings
from nautilus_enhanced.infrastructure.messagebus import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus import LaneSettings
from nautilus_enhanced.infrastructure.messagebus import MessagePriority
from nautilus_enhanced.infrastructure.messagebus import StreamNaming
from nautilus_enhanced.infrastructure.messagebus import StreamSettings


NAMING = StreamNaming(trader_id="T", use_trader_prefix=False, streams_prefix="s")
FAST = ConnectionSettings(
    connect_timeout_ms=500, response_timeout_ms=1_000, reconnect_min_ms=1, reconnect_max_ms=5
)
# Bytes of the answers to login and recovery.
SECOND_CUT = 2_200
TOPICS = ("events.order.A", "events.order.B", "events.account.C")


def make_client(port, **options):
    options: ClassVar = {"naming": NAMING, "connection": FAST} | options
    return BufferedMessageBusClient(f"redis://127.0.0.1:{port}", **options)


def offer_together(client, messages):
    """Put messages so that the writer, which sleeps, sees them all at once."""
    on_put, client._buffers._on_put = client._buffers._on_put, lambda _: None
    for topic, payload in messages:
        assert client.offer(topic, payload)
    client._buffers._on_put = on_put
    client._writer._bell.ring()


def publish_together(client, payload):
    """Put two messages on each topic so that they go in one batch."""
    offer_together(client, [(topic, payload + part) for part in (b"-1", b"-2") for topic in TOPICS])


class OneBatch:
    """Six messages of three streams in one batch."""

    options: ClassVar = {}
    batches = 1
    messages = 6
    publish = staticmethod(publish_together)

    def watch(self, client):
        """Note what is to be noted about a client."""

    def assert_all_once(self, store, rounds):
        expected = [b"%04d-%d" % (number, part) for number in range(rounds) for part in (1, 2)]
        for topic in TOPICS:
            assert contents(store, topic) == expected


class Prepared(OneBatch):
    """The same messages in two batches, the second of which is made while the first is sent."""

    options: ClassVar = {"streams": StreamSettings(batch_messages=3)}
    batches = 2
    prepared = 0

    def watch(self, client):
        prepare = client._writer._prepare

        def note(outbox, *arguments):
            before = len(outbox)
            prepare(outbox, *arguments)
            self.prepared += len(outbox) == 3 > before
            self.on_prepared(client)

        client._writer._prepare = note

    def on_prepared(self, client):
        """Do something while a batch is in flight and the next one is made."""

    def assert_all_once(self, store, rounds):
        super().assert_all_once(store, rounds)
        # Once a round, and not the first time, when the streams were not yet known.
        assert self.prepared >= rounds


class Preempted(Prepared):
    """Order flow that comes when a batch of quotes is in flight and the next one is made."""

    # All in one stream, so that what was numbered must be numbered again.
    naming = msgspec.structs.replace(NAMING, stream_per_topic=False)
    options: ClassVar = {
        "naming": naming,
        "streams": StreamSettings(batch_messages=3),
        "buffers": BufferSettings(normal=LaneSettings(flush_interval_ms=1)),
    }
    batches = 3
    messages = 8
    _urgent = ()

    def publish(self, client, payload):
        self._urgent = tuple(("events.order.A", payload + part) for part in (b"-4", b"-5"))
        order = (b"-1", b"-2", b"-3", b"-6", b"-7", b"-8")
        offer_together(client, [("data.quotes.Q", payload + part) for part in order])

    def on_prepared(self, client):
        urgent, self._urgent = self._urgent, ()
        for topic, payload in urgent:
            assert client.offer(topic, payload)

    def assert_all_once(self, store, rounds):
        expected = [b"%04d-%d" % (number, part) for number in range(rounds) for part in range(1, 9)]
        assert [fields[b"payload"] for _, fields in store.xrange(self.naming.key(""))] == expected
        assert self.prepared >= rounds


def contents(store, topic):
    return [fields[b"payload"] for _, fields in store.xrange(NAMING.key(topic))]


def settled(proxy):
    """Return what has passed once nothing passes any more: it is counted after it was sent."""
    passed = None
    while passed != proxy.passed:
        passed = dict(proxy.passed)
        time.sleep(0.05)
    return passed


@pytest.fixture(params=[OneBatch, Prepared, Preempted])
def shape(request):
    return request.param()


@pytest.fixture
def sizes(server, store, shape):
    """Measure the bytes of one round and of its answers."""
    with CuttingProxy(server.port) as proxy:
        client = make_client(proxy.port, **shape.options)
        shape.watch(client)
        client.start(5.0)
        for number in range(2):
            before = settled(proxy)
            shape.publish(client, b"%04d" % number)
            assert client.flush_blocking(20.0)
        after = settled(proxy)
        assert client.statistics().batches == 2 * shape.batches
        client.stop()
        measured = {name: after[name] - before[name] for name in before}
    store.flushall()
    return measured


def cut_everywhere(server, shape, direction, size, second_cut=None):
    with CuttingProxy(server.port) as proxy, redis.Redis(port=server.port) as store:
        client = make_client(proxy.port, **shape.options)
        shape.watch(client)
        client.start(5.0)
        # The first batch asks for the streams' last IDs; from then on all have one size.
        shape.publish(client, b"%04d" % 0)
        assert client.flush_blocking(20.0)
        offsets = range(size + 1)
        for number, offset in enumerate(offsets, 1):
            proxy.cut_after(direction, offset)
            shape.publish(client, b"%04d" % number)
            if second_cut is not None:
                cuts = proxy.cuts
                deadline = time.monotonic() + 5.0
                while proxy.cuts == cuts and time.monotonic() < deadline:
                    time.sleep(0.0002)
                proxy.cut_after("to_client", second_cut(offset))
            assert client.flush_blocking(10.0), f"cut after byte {offset}"
            proxy.forget_cut()
        figures = client.statistics()
        client.stop()
        shape.assert_all_once(store, len(offsets) + 1)
        assert figures.acknowledged == shape.messages * (len(offsets) + 1)
        assert (figures.second_writer, figures.indeterminate) == (0, 0)
        assert figures.in_flight == 0
        # A round is shorter than the measured one if its IDs have fewer digits.
        assert proxy.cuts >= len(offsets) - 2 * shape.messages
        return figures, proxy.cuts


def test_a_request_cut_at_every_byte_arrives_once(server, shape, sizes):
    figures, _ = cut_everywhere(server, shape, "to_server", sizes["to_server"])
    assert figures.resent > 0


def test_answers_cut_at_every_byte_leave_every_message_in_once(server, shape, sizes):
    figures, _ = cut_everywhere(server, shape, "to_client", sizes["to_client"])
    assert figures.found_after_reconnect > 0


def test_a_recovery_that_is_cut_itself_leaves_every_message_in_once(server, shape, sizes):
    # The second cut falls into login, CLIENT KILL and XRANGE of the new connection.
    rng = random.Random(7)
    _, cuts = cut_everywhere(
        server, shape, "to_client", sizes["to_client"], lambda _: rng.randrange(SECOND_CUT)
    )
    assert cuts > 1.5 * sizes["to_client"]


def test_a_key_of_another_type_does_not_block_a_recovery(server, store):
    with CuttingProxy(server.port) as proxy:
        client = make_client(proxy.port)
        client.start(5.0)
        publish_together(client, b"0")
        assert client.flush_blocking(20.0)
        store.delete(NAMING.key(TOPICS[1]))
        store.set(NAMING.key(TOPICS[1]), "a string")
        proxy.cut_after("to_client", 0)
        publish_together(client, b"1")
        assert client.flush_blocking(20.0)
        client.stop()
        assert contents(store, TOPICS[0]) == [b"0-1", b"0-2", b"1-1", b"1-2"]
        lane = client.statistics().lanes[MessagePriority.HIGH]
        # They were sent before, and may have been in the stream that somebody has replaced.
        assert (lane.rejected, lane.indeterminate) == (0, 2)


def test_an_entry_of_another_writer_is_not_taken_for_ours(server, store):
    with CuttingProxy(server.port) as proxy:
        client = make_client(proxy.port, clock=FrozenClock())
        client.start(5.0)
        client.offer(TOPICS[0], b"first")
        assert client.flush_blocking(20.0)
        # Nothing of the next batch arrives, and somebody takes the ID that it has.
        last_ms, last = store.xinfo_stream(NAMING.key(TOPICS[0]))["last-generated-id"].split(b"-")
        proxy.cut_after("to_server", 0)
        store.xadd(
            NAMING.key(TOPICS[0]),
            {"topic": "t", "payload": "other"},
            id=b"%b-%d" % (last_ms, int(last) + 1),
        )
        client.offer(TOPICS[0], b"second")
        assert client.flush_blocking(20.0)
        client.stop()
        assert contents(store, TOPICS[0]) == [b"first", b"other", b"second"]
        assert client.statistics().second_writer == 1


class FrozenClock:
    """A wall clock that stands still, so that the next entry ID is known."""

    monotonic_ns = staticmethod(time.monotonic_ns)

    def time_ns(self):
        return 1_700_000_000_000_000_000


def test_cuts_at_random_under_load_lose_and_double_nothing(server, store):
    rng = random.Random(11)
    with CuttingProxy(server.port) as proxy:
        client = make_client(proxy.port, streams=StreamSettings(batch_messages=16))
        client.start(5.0)

        def publish(topic):
            for number in range(2_000):
                client.offer(topic, b"%d" % number)
                if number % 50 == 0:
                    time.sleep(0.005)

        threads = [threading.Thread(target=publish, args=(topic,)) for topic in TOPICS]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            proxy.cut_after(rng.choice(("to_server", "to_client")), rng.randrange(20_000))
            time.sleep(0.005)
        for thread in threads:
            thread.join()
        proxy.forget_cut()
        assert client.flush_blocking(10.0)
        client.stop()
        for topic in TOPICS:
            assert contents(store, topic) == [b"%d" % number for number in range(2_000)]
        assert proxy.cuts > 5


class Publisher(threading.Thread):
    """Publish a running number until told to stop."""

    def __init__(self, client):
        super().__init__()
        self._client = client
        self._stop_now = threading.Event()
        self.published = 0

    def run(self):
        while not self._stop_now.is_set():
            assert self._client.offer(TOPICS[0], b"%d" % self.published)
            self.published += 1
            time.sleep(0.0005)

    def finish(self):
        self._stop_now.set()
        self.join()
        return [b"%d" % number for number in range(self.published)]


@pytest.mark.parametrize("round_", range(3))
def test_a_server_that_is_killed_and_comes_back_has_everything_once(
    make_server, tmp_path, eventually, round_
):
    options: ClassVar = {"data_dir": tmp_path, "appendonly": "yes", "appendfsync": "always"}
    first = make_server(**options)
    first.start()
    port = first.port
    client = make_client(port)
    client.start(5.0)
    publisher = Publisher(client)
    publisher.start()
    eventually(lambda: client.statistics().acknowledged > 100 * (round_ + 1))
    first.terminate()  # SIGKILL
    eventually(lambda: client.statistics().connect_failures > 2)
    second = make_server(port=port, **options)
    second.start()
    acknowledged = client.statistics().acknowledged
    # Within two seconds where nothing else is at work.
    eventually(lambda: client.statistics().acknowledged > acknowledged, 10.0)
    expected = publisher.finish()
    assert client.flush_blocking(10.0)
    client.stop()
    with redis.Redis(port=port) as store:
        assert contents(store, TOPICS[0]) == expected
    second.stop()


def test_a_server_that_freezes_for_two_seconds_has_everything_once(make_server, eventually):
    server = make_server()
    server.start()
    client = make_client(server.port)
    client.start(5.0)
    publisher = Publisher(client)
    publisher.start()
    eventually(lambda: client.statistics().acknowledged > 100)
    process = server._process
    os.kill(process.pid, signal.SIGSTOP)
    try:
        time.sleep(2.0)
        # The time limits are shorter than that, so it had to connect anew.
        eventually(lambda: client.statistics().connected is False)
    finally:
        os.kill(process.pid, signal.SIGCONT)
    acknowledged = client.statistics().acknowledged
    eventually(lambda: client.statistics().acknowledged > acknowledged + 100, 20.0)
    expected = publisher.finish()
    assert client.flush_blocking(10.0)
    client.stop()
    with redis.Redis(port=server.port) as store:
        assert contents(store, TOPICS[0]) == expected
    server.stop()


def test_closing_keeps_its_time_limit_while_the_server_is_frozen(make_server, eventually):
    server = make_server()
    server.start()
    slow = ConnectionSettings(response_timeout_ms=60_000)
    client = make_client(server.port, connection=slow)
    client.start(5.0)
    process = server._process
    os.kill(process.pid, signal.SIGSTOP)
    try:
        client.offer(TOPICS[0], b"in flight")
        eventually(lambda: client.statistics().in_flight == 1)
        client.offer(TOPICS[0], b"queued")
        began = time.monotonic()
        client.stop(0.3)
        # And not the minute that an answer may take.
        assert time.monotonic() - began < 10.0
        assert client.statistics().lanes[MessagePriority.HIGH].abandoned == 2
        assert not client._writer.is_alive
    finally:
        os.kill(process.pid, signal.SIGCONT)
    server.stop()
