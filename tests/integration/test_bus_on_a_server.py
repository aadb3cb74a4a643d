"""The client against a real server: what arrives, in which form, and what happens in trouble."""

import asyncio
import itertools
import os
import socket
import subprocess
import sys
import threading
import time

import msgspec
import pytest
import redis
from nautilus_trader.common.config import msgspec_encoding_hook
from nautilus_trader.config import DatabaseConfig
from nautilus_trader.config import MessageBusConfig
from nautilus_trader.core import nautilus_pyo3
from nautilus_trader.core.uuid import UUID4

from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus import BufferSettings
from nautilus_enhanced.infrastructure.messagebus import ClientClosedError
from nautilus_enhanced.infrastructure.messagebus import ClientHealth
from nautilus_enhanced.infrastructure.messagebus import ClientMetrics
from nautilus_enhanced.infrastructure.messagebus import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus import HealthState
from nautilus_enhanced.infrastructure.messagebus import LaneSettings
from nautilus_enhanced.infrastructure.messagebus import LoginRefusedError
from nautilus_enhanced.infrastructure.messagebus import MessagePriority
from nautilus_enhanced.infrastructure.messagebus import NotAcceptedError
from nautilus_enhanced.infrastructure.messagebus import PublishingSettings
from nautilus_enhanced.infrastructure.messagebus import PublishRule
from nautilus_enhanced.infrastructure.messagebus import StreamNaming
from nautilus_enhanced.infrastructure.messagebus import UrgentLaneSettings


STOCK = getattr(nautilus_pyo3, "RedisMessageBusBacking", None) or getattr(
    nautilus_pyo3, "RedisMessageBusDatabase", None
)
NAMING = StreamNaming(trader_id="T-1")
PREFIX = b"trader-T-1:stream:"
FAST = ConnectionSettings(
    connect_timeout_ms=300, response_timeout_ms=500, reconnect_min_ms=1, reconnect_max_ms=50
)
ORDERS = "events.order.S-1"


@pytest.fixture
def make_client(server):
    made = []

    def make(url=None, start=True, **options):
        options = {"naming": NAMING, "connection": FAST} | options
        client = BufferedMessageBusClient(url or server.connection_url, **options)
        made.append(client)
        if start:
            client.start(5.0)
        return client

    yield make
    for client in made:
        client.stop(0.0)


def payloads(store, topic, naming=NAMING):
    return [fields[b"payload"] for _, fields in store.xrange(naming.key(topic))]


def numbered(count):
    return [b"%d" % number for number in range(count)]


def accounts_add_up(client):
    figures = client.statistics()
    return figures.published == figures.in_flight + sum(
        lane.acknowledged
        + lane.rejected
        + lane.dropped
        + lane.abandoned
        + lane.queued
        + lane.indeterminate
        for lane in figures.lanes
    )


# -- publishing ----------------------------------------------------------------------------------


def test_all_that_is_published_arrives_in_the_order_of_its_stream(make_client, store):
    client = make_client()
    for number in numbered(2_000):
        assert client.offer(ORDERS, number)
        assert client.offer("data.quotes.X", number)
    assert client.flush_blocking(10.0)
    assert payloads(store, ORDERS) == numbered(2_000)
    assert payloads(store, "data.quotes.X") == numbered(2_000)
    assert client.statistics().acknowledged == 4_000
    assert accounts_add_up(client)
    assert client.health().state is HealthState.HEALTHY


def written_keys(store):
    """Return all keys but those by which readers are told of streams."""
    return [key for key in store.scan_iter() if not key.startswith(b"nt-enhanced:")]


def test_an_entry_has_the_stock_fields_first_and_ours_behind(make_client, store):
    client = make_client(encoding="msgpack")
    client.offer(ORDERS, b"\x00\xff")
    assert client.flush_blocking(20.0)
    raw = store.execute_command("XRANGE", NAMING.key(ORDERS), "-", "+", NEVER_DECODE=True)
    assert written_keys(store) == [NAMING.key(ORDERS).encode()]
    fields = list(raw[0][1].items()) if isinstance(raw[0][1], dict) else raw[0][1]
    assert fields == [
        (b"topic", ORDERS.encode()),
        (b"payload", b"\x00\xff"),
        (b"type", b""),
        (b"encoding", b"MsgPack"),
    ]


async def test_an_accepted_message_is_in_its_stream_when_publish_returns(make_client, store):
    client = make_client()
    await client.publish(ORDERS, {"price": 1.5}, ack="accepted")
    assert payloads(store, ORDERS) == [b'{"price":1.5}']
    await client.publish(ORDERS, bytearray(b"as it is"), ack="accepted")
    assert payloads(store, ORDERS)[1] == b"as it is"


async def test_a_context_manager_connects_and_sends_everything_before_it_ends(server, store):
    async with BufferedMessageBusClient(server.connection_url, naming=NAMING) as client:
        for number in numbered(500):
            client.publish_nowait("metrics.x", number)
    assert payloads(store, "metrics.x") == numbered(500)
    with pytest.raises(ClientClosedError):
        client.publish_nowait("metrics.x", b"")
    assert client.offer("metrics.x", b"") is False


async def test_the_thread_that_connects_is_the_one_that_takes_no_lock(make_client, store):
    client = make_client(start=False)
    await client.connect()
    tally = client._buffers.lanes[0]._put
    assert tally.home_ident == threading.get_ident()


def test_all_fills_and_a_sample_of_the_quotes_go_out(make_client, store, eventually):
    rules = (
        PublishRule(pattern="data.quotes.*", max_per_second=2.0),
        PublishRule(pattern="data.*", publish=False),
    )
    client = make_client(publishing=PublishingSettings(rules=rules))
    for number in numbered(100):
        assert client.offer("data.quotes.X", number)
        assert client.offer("events.fills.X", number)
        assert client.offer("data.trades.X", number)
    # The last of the burst comes when its interval ends, without another message.
    eventually(lambda: len(payloads(store, "data.quotes.X")) == 2)
    assert payloads(store, "data.quotes.X") == [b"0", b"99"]
    assert payloads(store, "events.fills.X") == numbered(100)
    assert payloads(store, "data.trades.X") == []
    figures = client.statistics()
    assert (figures.filtered, figures.sampled_out, figures.held) == (100, 98, 0)
    assert "100 filtered, 98 sampled out, 0 held" in repr(client)


def test_stopping_sends_what_is_held(make_client, store):
    rules = (PublishRule(pattern="data.*", max_per_second=0.001),)
    client = make_client(publishing=PublishingSettings(rules=rules))
    for number in numbered(10):
        client.offer("data.x", number)
    assert client.statistics().held == 1
    client.stop()
    assert payloads(store, "data.x") == [b"0", b"9"]


async def test_whoever_waits_for_a_message_gets_it_or_is_told(make_client, store):
    rules = (
        PublishRule(pattern="data.quotes.*", max_per_second=0.001),
        PublishRule(pattern="data.*", publish=False),
    )
    client = make_client(publishing=PublishingSettings(rules=rules))
    for number in numbered(3):
        await client.publish("data.quotes.X", number, ack="accepted")
    assert payloads(store, "data.quotes.X") == numbered(3)
    with pytest.raises(NotAcceptedError, match="a publishing rule keeps back"):
        await client.publish("data.trades.X", b"", ack="accepted")


async def test_a_flood_of_order_flow_starves_no_lane(make_client, store):
    lane = UrgentLaneSettings(max_messages=1_000_000)
    client = make_client(buffers=BufferSettings(critical=lane, high=lane, normal=lane, low=lane))
    topics = {
        "CRITICAL": "events.risk.X", "HIGH": ORDERS, "NORMAL": "data.x", "LOW": "metrics.x"
    }  # fmt: skip
    done = threading.Event()

    def flood():
        while not done.is_set():
            for topic in ("CRITICAL", "HIGH"):
                client.offer(topics[topic], b"x")

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        for name in ("NORMAL", "LOW"):
            for _ in range(20):
                await asyncio.wait_for(client.publish(topics[name], b"x", ack="accepted"), 10.0)
    finally:
        done.set()
        flooding.join()
    assert client.flush_blocking(30.0)
    assert [lane.acknowledged == lane.published for lane in client.statistics().lanes] == [True] * 4


def test_the_figures_tell_what_was_done(make_client, store, eventually):
    client = make_client(start=False)
    assert client.health_check()["worker_count"] == 0
    assert client.health_check()["uptime_seconds"] == 0.0
    client.offer(ORDERS, b"x" * 888)
    before = client.get_metrics()
    assert before["memory_usage_mb"] == pytest.approx(0.001, rel=0.01)
    assert before["buffer_utilization"] > 0.0
    assert before["connected"] is False
    client.start(5.0)
    for _ in range(500):
        client.offer("data.quotes.X", b"x" * 200)
    assert client.flush_blocking(20.0)
    figures = client.get_metrics()
    assert list(figures) == list(ClientMetrics.__annotations__)
    assert figures["messages_per_second"] > 0.0
    assert figures["bytes_per_second"] > 200 * figures["messages_per_second"]
    assert 0.0 < figures["avg_latency_ms"] <= 5_000.0
    assert figures["p95_latency_ms"] > 0.0
    assert figures["buffer_utilization"] == figures["memory_usage_mb"] == 0.0
    assert figures["error_rate"] == 0.0
    assert figures["connected"] is True
    check = client.health_check()
    assert list(check) == list(ClientHealth.__annotations__)
    assert (check["status"], check["connected"], check["worker_count"]) == ("healthy", True, 1)
    assert check["uptime_seconds"] > 0.0
    client.stop()
    check = client.health_check()
    assert check["worker_count"] == 0
    assert client.health_check() == check


def test_what_is_lost_shows_as_an_error_rate(make_client, free_port):
    tiny = LaneSettings(max_messages=1, overflow="refuse")
    client = make_client(
        f"redis://127.0.0.1:{free_port()}", start=False, buffers=BufferSettings(normal=tiny)
    )
    assert [client.offer("data.x", b"") for _ in range(4)] == [True, False, False, False]
    assert client.get_metrics()["error_rate"] == 1.0
    assert client.get_metrics()["buffer_utilization"] == 1.0
    assert client.health_check()["status"] == "unhealthy"


def test_stopping_sends_what_waits_for_its_interval(make_client, store):
    buffers = BufferSettings(low=LaneSettings(flush_interval_ms=1_000))
    client = make_client(buffers=buffers)
    client.offer("metrics.x", b"first")
    assert client.flush_blocking(20.0)
    client.offer("metrics.x", b"second")
    client.stop()
    assert payloads(store, "metrics.x") == [b"first", b"second"]


def test_a_long_interval_of_one_lane_does_not_delay_another(make_client, store, eventually):
    buffers = BufferSettings(
        normal=LaneSettings(flush_interval_ms=1), low=LaneSettings(flush_interval_ms=1_000)
    )
    client = make_client(buffers=buffers)
    client.offer("metrics.x", b"")
    assert client.flush_blocking(20.0)

    def is_first(number: int) -> bool:
        """Return whether a quote got there before what waits for a second."""
        client.offer("metrics.x", b"waits for a second")
        time.sleep(0.05)  # until the writer sleeps for it
        client.offer("data.quotes.X", b"")
        eventually(lambda: len(payloads(store, "data.quotes.X")) > number)
        was_first = len(payloads(store, "metrics.x")) == 1 + number
        assert client.flush_blocking(20.0)
        return was_first

    # Once is enough: the system may have the process wait for the second.
    assert any(is_first(number) for number in range(5))
    client.stop()


def test_a_topic_that_has_no_utf8_form_is_published_all_the_same(make_client, store):
    client = make_client()
    assert client.offer("data.\ud800\udcff", b"x")
    assert client.flush_blocking(20.0)
    (key,) = written_keys(store)
    assert key.decode() == "trader-T-1:stream:data.\\ud800\\udcff"


def test_heartbeats_go_to_their_own_topic(make_client, store, eventually):
    make_client(heartbeat_interval_secs=1)
    eventually(lambda: len(payloads(store, "health:heartbeat")) >= 2)


def test_old_entries_are_trimmed(make_client, store, eventually):
    key = NAMING.key(ORDERS)
    for number in range(300):
        store.xadd(key, {"topic": "t", "payload": str(number)}, id=f"{1_000 + number}-0")
    client = make_client(autotrim_mins=1, start=False)
    client._writer._trim = msgspec.structs.replace(client._writer._trim, interval_ns=1)
    client.start(5.0)

    def trimmed():
        client.offer(ORDERS, b"new")
        client.flush_blocking(20.0)
        return store.xinfo_stream(key)["first-entry"][0] > b"1000-0"

    eventually(trimmed)
    assert b"new" in payloads(store, ORDERS)


# -- login, URL, start ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def locked_server(make_server):
    server = make_server()
    server.start()
    with redis.Redis(port=server.port) as store:
        store.config_set("requirepass", "s3cret-word")
    return server


@pytest.mark.parametrize("login", ["", ":wrong@", "nobody:wrong@"])
def test_a_refused_login_is_an_error_at_start(make_client, locked_server, login):
    client = make_client(f"redis://{login}127.0.0.1:{locked_server.port}", start=False)
    with pytest.raises(LoginRefusedError) as caught:
        client.start(5.0)
    assert client.is_closed
    assert "wrong" not in str(caught.value)


def test_the_right_password_is_let_in(make_client, locked_server):
    client = make_client(f"redis://:s3cret-word@127.0.0.1:{locked_server.port}")
    client.offer(ORDERS, b"x")
    assert client.flush_blocking(20.0)
    assert "s3cret" not in repr(client)


@pytest.mark.parametrize("url", ["http://host", "redis://host/zero", "redis://host?what=1", ""])
def test_a_wrong_url_is_an_error_where_the_client_is_made(url):
    with pytest.raises(ConfigurationError):
        BufferedMessageBusClient(url, naming=NAMING)


def test_a_server_that_starts_later_gets_everything_soon(make_client, make_server, eventually):
    late = make_server()
    url = f"redis://127.0.0.1:{late._desired_port}"
    client = make_client(url, start=False, connection=ConnectionSettings())
    assert client.start(1.0) is False
    for number in numbered(1_000):
        client.offer(ORDERS, number)
    eventually(lambda: client.statistics().connect_failures > 3)
    report = client.health()
    assert report.state is HealthState.DEGRADED
    assert "1,000 messages wait" in report.reasons[0]
    late.start()
    # Within two seconds where nothing else is at work.
    assert client.flush_blocking(10.0)
    with redis.Redis(port=late.port) as store:
        assert payloads(store, ORDERS) == numbered(1_000)
    assert client.health().state is HealthState.HEALTHY


# -- stock readers and stock keys ----------------------------------------------------------------


def stock_backing(port, instance_id=None, **options):
    config = MessageBusConfig(database=DatabaseConfig(port=port), **options)
    try:
        from nautilus_trader.common.config import pyo3_config_json  # noqa: PLC0415 (1.231 only)

        raw = pyo3_config_json(config)
    except ImportError:
        raw = msgspec.json.encode(config, enc_hook=msgspec_encoding_hook)
    instance = nautilus_pyo3.UUID4.from_str(instance_id or UUID4().value)
    return STOCK(nautilus_pyo3.TraderId("T-1"), instance, raw)


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
async def test_the_stock_reader_reads_our_entries(make_client, server, store, encoding):
    client = make_client(encoding=encoding)
    client.offer(ORDERS, b"before")
    assert client.flush_blocking(20.0)
    key = NAMING.key(ORDERS)
    reader = stock_backing(server.port, external_streams=[key], encoding=encoding)
    received = []
    reading = asyncio.ensure_future(reader.stream(received.append))
    try:
        async with asyncio.timeout(10):
            for number in itertools.takewhile(lambda _: len(received) < 20, itertools.count()):
                await client.publish(ORDERS, b"%d" % number, ack="accepted")
                await asyncio.sleep(0.01)
    finally:
        reader.close()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    assert {message.topic for message in received} == {ORDERS}
    got = [bytes(message.payload) for message in received]
    sent = payloads(store, ORDERS)
    begin = sent.index(got[0])
    assert got == sent[begin : begin + len(got)]
    # 1.221 does not know the field.
    if hasattr(received[0], "encoding"):
        name = str(received[0].encoding).lower().replace("_", "")
        assert name == f"serializationencoding.{encoding}"


FLAGS = ("use_trader_prefix", "use_trader_id", "use_instance_id", "stream_per_topic")


@pytest.mark.parametrize("values", list(itertools.product([True, False], repeat=len(FLAGS))))
def test_stream_keys_are_those_of_stock(server, store, eventually, values):
    flags = dict(zip(FLAGS, values, strict=True)) | {"streams_prefix": "flow"}
    instance = UUID4().value
    stock = stock_backing(server.port, instance, **flags)
    try:
        stock.publish("data.quotes.X", b"{}")
        eventually(store.dbsize)
    finally:
        stock.close()
    naming = StreamNaming(trader_id="T-1", instance_id=instance, **flags)
    assert store.keys() == [naming.key("data.quotes.X").encode()]


# -- a server in trouble -------------------------------------------------------------------------


def test_a_key_of_another_type_blocks_no_other_stream(make_client, store):
    store.set(NAMING.key("events.order.BAD"), "a string")
    client = make_client()
    for number in numbered(100):
        client.offer("events.order.BAD", number)
        client.offer(ORDERS, number)
    assert client.flush_blocking(10.0)
    assert payloads(store, ORDERS) == numbered(100)
    high = client.statistics().lanes[MessagePriority.HIGH]
    assert (high.acknowledged, high.rejected) == (100, 100)
    assert client.health().state is HealthState.UNHEALTHY
    assert "WRONGTYPE" in client.statistics().last_error


async def test_a_stream_that_the_login_may_not_write_silences_no_other(make_client, store):
    store.execute_command(
        "ACL", "SETUSER", "some", "reset", "on", ">pw", f"~{NAMING.key('events.*')}", "+@all"
    )
    port = store.connection_pool.connection_kwargs["port"]
    client = make_client(f"redis://some:pw@127.0.0.1:{port}")
    for number in numbered(100):
        client.offer("risk.X", number)  # as urgent as orders, so in one batch with them
        client.offer(ORDERS, number)
    with pytest.raises(NotAcceptedError, match="NOPERM"):
        await client.publish("risk.X", b"alone", ack="accepted")
    assert client.flush_blocking(10.0)
    assert payloads(store, ORDERS) == numbered(100)
    figures = client.statistics()
    assert sum(lane.rejected for lane in figures.lanes) == 101
    assert figures.acknowledged == 100
    assert figures.retrying_ms == 0
    (reason,) = [reason for reason in client.health().reasons if "rejected" in reason]
    assert "access" in reason
    assert any("let the login write the stream" in remedy for remedy in client.health().remedies)
    # Once it may, its messages go out.
    store.execute_command("ACL", "SETUSER", "some", "~*")
    await client.publish("risk.X", b"allowed", ack="accepted")
    assert payloads(store, "risk.X") == [b"allowed"]
    client.stop()
    store.execute_command("ACL", "DELUSER", "some")


async def test_a_login_that_may_not_write_at_all_is_waited_for(make_client, store, eventually):
    store.execute_command("ACL", "SETUSER", "none", "reset", "on", ">pw", "~*", "+@all", "-xadd")
    port = store.connection_pool.connection_kwargs["port"]
    client = make_client(f"redis://none:pw@127.0.0.1:{port}")
    for number in numbered(10):
        client.offer(ORDERS, number)
    eventually(lambda: client.statistics().retrying_ms > 0)
    assert any("NOPERM" in reason for reason in client.health().reasons)
    store.execute_command("ACL", "SETUSER", "none", "+xadd")
    assert client.flush_blocking(20.0)
    assert payloads(store, ORDERS) == numbered(10)
    client.stop()
    store.execute_command("ACL", "DELUSER", "none")


async def test_a_message_that_is_refused_for_good_is_reported_to_who_waits(make_client, store):
    store.set(NAMING.key(ORDERS), "a string")
    client = make_client()
    with pytest.raises(NotAcceptedError, match="WRONGTYPE"):
        await client.publish(ORDERS, b"x", ack="accepted")


def test_a_second_writer_is_detected_and_nothing_is_lost(make_client, store, eventually):
    clients = [make_client(), make_client()]
    for round_ in range(200):
        for name, client in enumerate(clients):
            client.offer(ORDERS, b"%d-%d" % (name, round_))
        if round_ % 20 == 0:
            for client in clients:
                assert client.flush_blocking(20.0)
    for client in clients:
        assert client.flush_blocking(10.0)
    sent = [b"%d-%d" % (name, round_) for name in range(2) for round_ in range(200)]
    assert sorted(payloads(store, ORDERS)) == sorted(sent)
    for client in clients:
        figures = client.statistics()
        assert (figures.acknowledged, figures.lost, figures.indeterminate) == (200, 0, 0)
        assert accounts_add_up(client)
    (warned, *_) = [client for client in clients if client.statistics().second_writer]
    (finding,) = [f for f in warned.health().findings if "another process" in f.reason]
    assert finding.state is HealthState.DEGRADED
    assert "its own trader ID" in finding.remedy


@pytest.mark.parametrize("naming", [NAMING, StreamNaming(trader_id="T-1", stream_per_topic=False)])
def test_a_rolling_restart_loses_and_doubles_nothing(make_client, store, naming):
    key = naming.key(ORDERS)
    for round_ in range(5):
        old = make_client(naming=naming)
        for number in range(3_000):
            old.offer(ORDERS, b"old-%d-%d" % (round_, number))
        closing = threading.Thread(target=old.stop)
        closing.start()
        # The next one begins while the tail of the last one is still on its way.
        new = make_client(naming=naming)
        for number in range(3_000):
            new.offer(ORDERS, b"new-%d-%d" % (round_, number))
        closing.join()
        new.stop()
        for client in (old, new):
            figures = client.statistics()
            assert (figures.acknowledged, figures.lost, figures.indeterminate) == (3_000, 0, 0)
        sent = [
            b"%b-%d-%d" % (name, round_, number)
            for name in (b"old", b"new")
            for number in range(3_000)
        ]
        got = [fields[b"payload"] for _, fields in store.xrange(key)]
        assert sorted(got) == sorted(sent)
        store.delete(key)


def test_one_that_is_killed_is_followed_by_one_that_goes_on_behind_it(server, store, make_client):
    # What it had sent is there, in order and once; the next one's IDs are above, even if the
    # clock of its machine is behind.
    script = PROGRAM.replace("sys.argv[2]", "'kill'") + (
        "import time\nclient.flush_blocking(20.0)\nprint('ready', flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, server.connection_url], stdout=subprocess.PIPE
    ) as old:
        assert old.stdout.readline() == b"ready\n"
        old.kill()

    class Behind:
        monotonic_ns = staticmethod(time.monotonic_ns)

        def time_ns(self):
            return time.time_ns() - 3_600 * 1_000_000_000

    new = make_client(clock=Behind())
    new.offer("metrics.x", b"1000")
    assert new.flush_blocking(20.0)
    assert payloads(store, "metrics.x") == numbered(1_001)
    assert new.statistics().second_writer == 0


@pytest.mark.parametrize(
    "forbidden", ["-xinfo", "-info", "-client", "-multi", "-xrange", "-ping", "-@all +xadd"]
)
def test_a_forbidden_command_is_survived(make_client, make_server, store, forbidden, eventually):
    # A user of its own, on the shared server: writes, and not much else.
    store.execute_command(
        "ACL", "SETUSER", "writer", "reset", "on", ">pw", "~*", "+@all", *forbidden.split()
    )
    port = store.connection_pool.connection_kwargs["port"]
    # The newest ID is ahead of the clock: without the last ID every new one would be refused.
    ahead = int(time.time() * 1_000) + (0 if forbidden.endswith("+xadd") else 3_600_000)
    store.xadd(NAMING.key(ORDERS), {"topic": "t", "payload": "first"}, id=f"{ahead}-0")
    client = make_client(f"redis://writer:pw@127.0.0.1:{port}")
    for number in numbered(50):
        client.offer(ORDERS, number)
        client.offer("events.account.A", number)
    assert client.flush_blocking(20.0)
    store.client_kill_filter(user="writer")
    for number in numbered(50):
        client.offer(ORDERS, number)
    assert client.flush_blocking(10.0)
    assert payloads(store, ORDERS) == [b"first", *numbered(50), *numbered(50)]
    assert payloads(store, "events.account.A") == numbered(50)
    client.stop()
    store.execute_command("ACL", "DELUSER", "writer")


@pytest.mark.parametrize("batched", [True, False])
def test_a_server_out_of_memory_loses_and_doubles_nothing(
    make_client, make_server, eventually, batched
):
    with make_server() as full, redis.Redis(port=full.port) as store:
        client = make_client(full.connection_url)
        client.offer(ORDERS, b"0")
        assert client.flush_blocking(20.0)
        store.config_set("maxmemory", 1)
        for number in range(1, 301 if batched else 2):
            client.offer(ORDERS, b"%d" % number)
        eventually(lambda: client.statistics().renumbered > 0)
        report = client.health()
        assert report.state is HealthState.DEGRADED
        assert "OOM" in report.reasons[0]
        assert payloads(store, ORDERS) == [b"0"]
        assert accounts_add_up(client)
        store.config_set("maxmemory", 0)
        assert client.flush_blocking(20.0)
        assert payloads(store, ORDERS) == numbered(301 if batched else 2)
        assert client.health().state is HealthState.HEALTHY


def test_memory_that_runs_out_in_the_middle_leaves_no_hole(make_client, make_server, eventually):
    with make_server() as small, redis.Redis(port=small.port) as store:
        client = make_client(small.connection_url)
        limit = store.info("memory")["used_memory"] + 2_000_000
        store.config_set("maxmemory", limit)
        topics = [f"events.order.S-{number}" for number in range(7)]
        filler = b"x" * 2_000
        for number in range(3_000):
            client.offer(topics[number % 7], b"%d:%b" % (number, filler))
        eventually(lambda: client.statistics().renumbered > 0)
        store.config_set("maxmemory", 0)
        assert client.flush_blocking(10.0)
        for index, topic in enumerate(topics):
            got = [int(payload.partition(b":")[0]) for payload in payloads(store, topic)]
            assert got == list(range(index, 3_000, 7))


def test_a_read_only_replica_is_waited_for(make_client, make_server, eventually):
    with make_server() as other, redis.Redis(port=other.port) as store:
        client = make_client(other.connection_url)
        store.replicaof("127.0.0.1", 1)
        for number in numbered(20):
            client.offer(ORDERS, number)
        eventually(lambda: client.statistics().renumbered > 0)
        # The name or the sentinels may lead to another server by now: it is left and asked anew.
        eventually(lambda: client.statistics().connect_failures > 0)
        assert any("READONLY" in reason for reason in client.health().reasons)
        store.replicaof("NO", "ONE")
        assert client.flush_blocking(20.0)
        assert payloads(store, ORDERS) == numbered(20)


def test_a_flushed_server_is_written_to_as_before(make_client, store):
    client = make_client()
    client.offer(ORDERS, b"before")
    assert client.flush_blocking(20.0)
    store.flushall()
    client.offer(ORDERS, b"after")
    assert client.flush_blocking(20.0)
    assert payloads(store, ORDERS) == [b"after"]


# -- ends ----------------------------------------------------------------------------------------


def test_an_unexpected_error_is_shown_and_counted_and_publishing_goes_on(
    make_client, store, eventually, caplog
):
    client = make_client()
    client.offer(ORDERS, "not bytes")
    eventually(lambda: client.statistics().crash)
    assert client.flush_blocking(20.0)
    client.offer(ORDERS, b"good")
    assert client.flush_blocking(20.0)
    assert payloads(store, ORDERS) == [b"good"]
    report = client.health()
    assert report.state is HealthState.UNHEALTHY
    assert "TypeError" in report.reasons[0]
    assert "abandoned" in caplog.text
    assert client.statistics().lanes[MessagePriority.HIGH].abandoned == 1
    assert accounts_add_up(client)


async def test_nobody_waits_for_a_message_that_comes_too_late(make_client, store):
    client = make_client(start=False)
    waiting = asyncio.ensure_future(client.publish(ORDERS, b"x", ack="accepted"))
    await asyncio.sleep(0)
    client.stop()
    with pytest.raises(NotAcceptedError):
        await asyncio.wait_for(waiting, 5.0)
    assert accounts_add_up(client)


def test_messages_put_while_closing_are_all_accounted_for(make_client, store):
    for _ in range(20):
        client = make_client()
        go = threading.Event()

        def publish(client=client, go=go):
            go.wait()
            while client.offer(ORDERS, b"x"):
                pass

        threads = [threading.Thread(target=publish) for _ in range(3)]
        for thread in threads:
            thread.start()
        go.set()
        time.sleep(0.002)
        client.stop()
        for thread in threads:
            thread.join()
        assert accounts_add_up(client)
        assert len(client._buffers) == 0


@pytest.mark.parametrize("case", ["down", "blackhole"])
def test_closing_keeps_its_time_limit_without_a_server(make_client, free_port, case):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if case == "blackhole":
            listener.listen()  # the kernel accepts, nobody answers
        port = listener.getsockname()[1]
        slow = ConnectionSettings(
            connect_timeout_ms=20_000, response_timeout_ms=20_000, reconnect_max_ms=20_000
        )
        client = make_client(f"redis://127.0.0.1:{port}", start=False, connection=slow)
        client.start(0.05)
        client.offer(ORDERS, b"x")
        began = time.monotonic()
        client.stop(0.2)
        # And not the twenty seconds that connecting or an answer may take.
        assert time.monotonic() - began < 10.0
        assert client.statistics().lanes[MessagePriority.HIGH].abandoned == 1
        assert not client._writer.is_alive


PROGRAM = """
import os, sys
from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient, StreamNaming
client = BufferedMessageBusClient(sys.argv[1], naming=StreamNaming(trader_id="T-1"))
client.start(5.0)
for number in range(1000):
    client.offer("metrics.x", b"%d" % number)
if sys.argv[2] == "fork":
    child = os.fork()
    if not child:
        assert client.health().state == "unhealthy"
        client.offer("metrics.x", b"from the child")
        sys.exit(0)  # runs the exit handlers, other than os._exit
    assert os.waitpid(child, 0)[1] == 0
    client.offer("metrics.x", b"1000")
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("how", "count"), [("exit", 1_000), ("fork", 1_001)])
def test_a_program_that_just_ends_sends_everything_once(server, store, how, count):
    # Not measured: what measures has a lock that a fork may find taken for ever.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    subprocess.run(
        [sys.executable, "-c", PROGRAM, server.connection_url, how],
        check=True,
        timeout=30,
        env=env | {"PYTHONWARNINGS": "ignore"},
    )
    assert payloads(store, "metrics.x") == numbered(count)
