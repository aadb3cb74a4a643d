"""What is in the journal is sent by the next process: once, and in order."""

import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
import redis
from journal_producer import TOPICS
from proxy import CuttingProxy

from nautilus_enhanced.infrastructure.messagebus import AckUnavailableError
from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus import BufferFullError
from nautilus_enhanced.infrastructure.messagebus import BufferSettings
from nautilus_enhanced.infrastructure.messagebus import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus import DurabilitySettings
from nautilus_enhanced.infrastructure.messagebus import HealthState
from nautilus_enhanced.infrastructure.messagebus import IndeterminateError
from nautilus_enhanced.infrastructure.messagebus import LaneSettings
from nautilus_enhanced.infrastructure.messagebus import MessagePriority
from nautilus_enhanced.infrastructure.messagebus import NotConfirmedError
from nautilus_enhanced.infrastructure.messagebus import StreamNaming
from nautilus_enhanced.infrastructure.messagebus import UrgentLaneSettings
from nautilus_enhanced.infrastructure.messagebus.journal.journal import Journal


NAMING = StreamNaming(trader_id="T")
FAST = ConnectionSettings(
    connect_timeout_ms=500, response_timeout_ms=1_000, reconnect_min_ms=1, reconnect_max_ms=20
)
ORDERS, QUOTES = "events.order.A", "data.quotes.Q"
HIGH, NORMAL, LOW = MessagePriority.HIGH, MessagePriority.NORMAL, MessagePriority.LOW
# How long a message may be in memory only, by the promise 5 ms: a machine that is busy is slower.
EXPOSED_NS = 250_000_000


@pytest.fixture
def durability(tmp_path):
    return DurabilitySettings(
        critical="always", high="always", normal="spill", directory=str(tmp_path / "journal")
    )


@pytest.fixture
def nowhere(free_port):
    return f"redis://127.0.0.1:{free_port()}"


def make_client(url, durability, **options):
    return BufferedMessageBusClient(
        url, **({"naming": NAMING, "connection": FAST, "durability": durability} | options)
    )


def contents(store, topic):
    key = NAMING.key(topic)
    return [int(fields[b"payload"]) for _, fields in store.xrange(key)]


def journaled(client, priority=HIGH):
    return client.statistics().lanes[priority].journaled


class Producer:
    """The process of `journal_producer`, and what it said."""

    def __init__(self, url, durability, **options):
        options |= {"url": url, "durability": msgspec.to_builtins(durability)}
        program = Path(__file__).with_name("journal_producer.py")
        self._process = subprocess.Popen(
            [sys.executable, str(program), json.dumps(options)],
            stdout=subprocess.PIPE,
            text=True,
        )

    def kill_after(self, number):
        """Kill it once it has put `number`; return what it had put by then, with the times."""
        lines = []
        for line in self._process.stdout:
            lines.append(line)
            if line.startswith(f"put {number} "):
                break
        self._process.send_signal(signal.SIGKILL)
        lines += self._process.stdout
        self._process.wait(10.0)
        killed_ns = time.monotonic_ns()
        put = [line.split()[1:] for line in lines if line.startswith("put ") and line[-1] == "\n"]
        return [(int(number), int(at)) for number, at in put], killed_ns

    def read_until(self, *, number=0, at_ns=0):
        """Read what it says until it has put `number` or more, not before `at_ns`."""
        for line in self._process.stdout:
            put, put_ns = map(int, line.split()[1:])
            if put >= number and put_ns >= at_ns:
                return
        raise AssertionError(f"it ended before {number}")

    def kill(self):
        """Kill it at once, and forget what it said."""
        self._process.kill()
        self._process.wait(10.0)
        self._process.stdout.close()

    def finish(self):
        """Let it end by itself; return its figures."""
        out, _ = self._process.communicate(timeout=60.0)
        assert "flushed True" in out
        return json.loads(out.rpartition("figures ")[2])


def assert_nothing_is_doubled_or_out_of_order(store):
    for topic in TOPICS:
        found = contents(store, topic)
        assert found == sorted(set(found)), topic


def kill_in_turns(store, durability, rounds, rng, url):
    """Kill one producer after the other; return what must not be missing of order flow."""
    first, required = 0, set()
    for _ in range(rounds):
        producer = Producer(url, durability, first=first, count=100_000)
        put, killed_ns = producer.kill_after(first + rng.randrange(20, 150))
        required |= {number for number, at_ns in put if at_ns < killed_ns - EXPOSED_NS}
        first = put[-1][0] + 2
    figures = Producer(url, durability, first=first, count=50).finish()
    assert_nothing_is_doubled_or_out_of_order(store)
    for topic in TOPICS[:2]:
        missing = (required | set(range(first, first + 50))) - set(contents(store, topic))
        assert not missing
    return figures


def test_a_process_that_is_killed_again_and_again_loses_no_order_event(server, store, durability):
    rng = random.Random(3)
    kill_in_turns(store, durability, 4, rng, f"redis://127.0.0.1:{server.port}")


@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("fsync", [False, True])
def test_a_process_that_is_killed_two_hundred_times_loses_no_order_event(
    server, store, durability, fsync
):
    durability = msgspec.structs.replace(durability, fsync=fsync)
    kill_in_turns(store, durability, 200, random.Random(5), f"redis://127.0.0.1:{server.port}")


def test_killed_while_the_server_is_away_it_loses_nothing_of_lanes_that_spill(
    server, store, durability, nowhere, eventually
):
    producer = Producer(nowhere, durability, first=0, count=100, wait_s=0.1, then="wait")
    put, _ = producer.kill_after(99)
    assert len(put) == 100
    # The kill came right behind the last: of the quotes some may not have spilled.
    again = Producer(nowhere, durability, first=100, count=100, wait_s=0.1, then="wait")
    lines = iter(again._process.stdout.readline, "waiting\n")
    assert len(list(lines)) == 100
    time.sleep(1.0)
    again.kill()
    figures = Producer(f"redis://127.0.0.1:{server.port}", durability, first=200, count=10).finish()
    assert_nothing_is_doubled_or_out_of_order(store)
    for topic in TOPICS:
        assert set(range(100, 210)) <= set(contents(store, topic)), topic
    assert figures["lanes"][HIGH]["restored"] >= 300
    assert figures["lanes"][NORMAL]["restored"] >= 100
    late = [f for _, f in store.xrange(NAMING.key(ORDERS)) if int(f[b"payload"]) in range(100, 200)]
    assert all(list(fields)[:4] == [b"topic", b"payload", b"type", b"encoding"] for fields in late)
    assert all(0 < time.time_ns() - int(fields[b"journaled_at"]) < 120e9 for fields in late)


def test_killed_between_sending_and_the_answer_nothing_is_doubled(
    server, store, durability, eventually
):
    """
    The answers never come, so that only the entry IDs in the journal can tell.

    No quotes: a batch of nothing else would be on its way, of which the journal knows nothing.
    """
    orders = TOPICS[:2]
    with CuttingProxy(server.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}"
        producer = Producer(url, durability, first=0, count=100_000, topics=orders)
        producer.read_until(number=50)
        proxy.swallow("to_client")
        # It may be far ahead of what was read: only an answer tells that something is on the way.
        eventually(lambda: proxy.swallowed["to_client"] > 0)
        producer.read_until(at_ns=time.monotonic_ns() + EXPOSED_NS)
        producer.kill()
    arrived = set(contents(store, ORDERS))
    figures = Producer(
        f"redis://127.0.0.1:{server.port}", durability, first=1_000_000, count=10
    ).finish()
    assert_nothing_is_doubled_or_out_of_order(store)
    assert figures["found_after_reconnect"] > 0
    assert {number for number in contents(store, ORDERS) if number < 1_000_000} > arrived


def test_streams_of_one_key_keep_their_order_too(server, store, durability):
    url = f"redis://127.0.0.1:{server.port}"
    producer = Producer(url, durability, first=0, count=100_000, per_topic=False)
    producer.kill_after(80)
    Producer(url, durability, first=200_000, count=20, per_topic=False).finish()
    entries = [f for _, f in store.xrange("trader-T:stream")]
    for topic in TOPICS:
        numbers = [int(f[b"payload"]) for f in entries if f[b"topic"] == topic.encode()]
        assert numbers == sorted(set(numbers))
        assert set(range(200_000, 200_020)) <= set(numbers)


def test_what_is_left_at_closing_is_sent_by_the_next_client(
    server, store, durability, nowhere, eventually
):
    client = make_client(nowhere, durability)
    client.start(0.1)
    for number in range(300):
        client.offer(ORDERS, b"%d" % number)
        client.offer(QUOTES, b"%d" % number)
    client.stop(0.2)
    figures = client.statistics()
    assert figures.journaled == 600
    assert figures.lost == figures.in_flight == 0
    with make_started(server, durability) as second:
        assert second.statistics().journal.state == "open"
        assert second.flush_blocking(10.0)
        assert contents(store, ORDERS) == contents(store, QUOTES) == list(range(300))
        assert second.statistics().acknowledged == 600
        assert second.statistics().journaled == 0


class make_started:  # noqa: N801 (read as a function)
    """Start a client of the session's server, and stop it in the end."""

    def __init__(self, server, durability, **options):
        self._client = make_client(f"redis://127.0.0.1:{server.port}", durability, **options)

    def __enter__(self):
        self._client.start(5.0)
        return self._client

    def __exit__(self, *_):
        self._client.stop()


def test_memory_stays_within_its_bound_while_the_disk_takes_the_rest(
    durability, free_port, make_server, eventually
):
    port = free_port()
    buffers = BufferSettings(normal=LaneSettings(max_messages=1_000))
    client = make_client(f"redis://127.0.0.1:{port}", durability, buffers=buffers)
    client.start(0.1)
    published = 0
    while published < 20_000:
        assert client.offer(QUOTES, b"%d" % published)
        published += 1
        if published % 200 == 0:
            eventually(lambda: client.statistics().lanes[NORMAL].queued < 500)
    eventually(lambda: journaled(client, NORMAL) == published)
    figures = client.statistics()
    assert figures.lost == 0
    assert figures.journal.waiting == published
    assert 0 < figures.journal.oldest_age_ms < 60_000
    assert any("wait" in reason for reason in client.health().reasons)
    late = make_server(port=port)
    late.start()
    assert client.flush_blocking(20.0)
    client.stop()
    with redis.Redis(port=port) as there:
        assert contents(there, QUOTES) == list(range(published))
    late.stop()


def test_a_full_journal_gives_up_low_then_normal_and_then_refuses_order_flow(
    durability, free_port, make_server, eventually
):
    port = free_port()
    durability = msgspec.structs.replace(durability, low="spill", max_bytes=1024**2)
    small = {"max_messages": 200}
    buffers = BufferSettings(
        high=UrgentLaneSettings(**small), normal=LaneSettings(**small), low=LaneSettings(**small)
    )
    client = make_client(f"redis://127.0.0.1:{port}", durability, buffers=buffers)
    client.start(0.1)
    text = b" " * 1_000
    topics = {HIGH: ORDERS, NORMAL: QUOTES, LOW: "health:status"}
    put = dict.fromkeys(topics, 0)

    def offer(priority, count):
        for _ in range(count):
            client.offer(topics[priority], b"%d" % put[priority] + text)
            put[priority] += 1
            if put[priority] % 50 == 0:
                eventually(lambda: not has_room_on_disk(client) or not queued(client, priority))

    offer(LOW, 600)
    offer(NORMAL, 600)
    figures = client.statistics()
    assert figures.lanes[LOW].shed > 0
    assert figures.lanes[NORMAL].shed == 0
    offer(HIGH, 600)
    figures = client.statistics()
    assert figures.lanes[LOW].journaled <= 3_000
    assert figures.lanes[NORMAL].shed > 0
    assert figures.lanes[HIGH].refused == figures.lanes[HIGH].shed == 0
    for _ in range(1_500):
        client.offer(ORDERS, b"%d" % put[HIGH] + text)
        put[HIGH] += 1
        time.sleep(0.0005)
    eventually(lambda: client.statistics().lanes[HIGH].refused > 0)
    figures = client.statistics()
    assert figures.lanes[HIGH].shed == 0
    assert client.health().state is HealthState.UNHEALTHY
    assert any("it may take" in reason for reason in client.health().reasons)
    server = make_server(port=port)
    server.start()
    assert client.flush_blocking(20.0)
    eventually(lambda: not client.statistics().journal.problem)
    client.stop()
    with redis.Redis(port=port) as there:
        assert_gaps_are_told(there, topics, put, client.statistics())
    server.stop()


def assert_gaps_are_told(store, topics, put, figures):
    entries = store.xrange(NAMING.key(topics[HIGH]))
    numbers = [int(fields[b"payload"]) for _, fields in entries]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == put[HIGH] - figures.lanes[HIGH].refused
    for priority in (NORMAL, LOW):
        # Each gap is told by the entry behind it, to the message.
        entries = store.xrange(NAMING.key(topics[priority]))
        before = -1
        for _, fields in entries:
            number = int(fields[b"payload"])
            assert number - before - 1 == int(fields.get(b"gap", 0))
            before = number
        lane = figures.lanes[priority]
        assert len(entries) == put[priority] - lane.shed - lane.dropped


def has_room_on_disk(client):
    return not client.statistics().journal.problem


def queued(client, priority):
    return client.statistics().lanes[priority].queued


def test_what_is_too_old_is_counted_and_not_sent(server, store, durability, nowhere, eventually):
    client = make_client(nowhere, durability)
    client.start(0.1)
    for number in range(10):
        client.offer(ORDERS, b"%d" % number)
        client.offer(QUOTES, b"%d" % number)
    client.stop(0.1)
    time.sleep(0.3)
    buffers = BufferSettings(normal=LaneSettings(max_age_ms=200))
    with make_started(server, durability, buffers=buffers) as second:
        second.offer(QUOTES, b"10")
        assert second.flush_blocking(10.0)
        figures = second.statistics()
    assert contents(store, ORDERS) == list(range(10))
    assert contents(store, QUOTES) == [10]
    assert figures.lanes[NORMAL].expired == 10
    (entry,) = store.xrange(NAMING.key(QUOTES))
    assert entry[1][b"gap"] == b"10"
    assert any("max_age_ms" in reason for reason in second.health().reasons)


def test_a_second_process_of_the_trader_waits_for_the_first(server, store, durability, eventually):
    with make_started(server, durability) as first:
        second = make_client(f"redis://127.0.0.1:{server.port}", durability)
        assert not second.start(0.2)
        for number in range(10):
            first.offer(ORDERS, b"%d" % number)
            second.offer(ORDERS, b"%d" % (100 + number))
        assert first.flush_blocking(5.0)
        time.sleep(0.2)
        assert second.statistics().acknowledged == 0
        assert second.statistics().journal.state == "waiting"
        assert any(f"process {os.getpid()}" in reason for reason in second.health().reasons)
    assert second.flush_blocking(10.0)
    second.stop()
    assert contents(store, ORDERS) == [*range(10), *range(100, 110)]
    assert second.statistics().second_writer == 0


def test_it_goes_on_without_the_journal_when_the_first_does_not_end(server, store, durability):
    with make_started(server, durability):
        hasty = msgspec.structs.replace(durability, handover_timeout_ms=100)
        with make_started(server, hasty) as second:
            second.offer(ORDERS, b"1")
            assert second.flush_blocking(5.0)
            assert second.statistics().journal.state == "unavailable"
            assert second.health().state is HealthState.UNHEALTHY
    assert contents(store, ORDERS) == [1]


def test_a_journal_that_cannot_be_read_is_put_aside_and_said(server, store, durability):
    folder = Path(durability.directory)
    folder.mkdir()
    (folder / "T-stream.journal").write_bytes(b"not a journal at all" * 50)
    with make_started(server, durability) as client:
        client.offer(ORDERS, b"1")
        assert client.flush_blocking(5.0)
        aside = client.statistics().journal.put_aside
        assert "not a database" in aside
        assert Path(aside.partition(": ")[0]).read_bytes().startswith(b"not a journal at all")
        assert client.health().state is HealthState.DEGRADED


def test_damaged_rows_are_left_out_and_the_others_are_sent(server, store, durability, nowhere):
    client = make_client(nowhere, durability)
    client.start(0.1)
    for number in range(600):
        client.offer(QUOTES, b"%d" % number)
    client.stop(0.1)
    (path,) = Path(durability.directory).glob("*.journal")
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT position, length(body) FROM log ORDER BY 2 DESC").fetchall()
        damaged = rows[0][0]
        database.execute("UPDATE log SET body = zeroblob(99) WHERE position = ?", (damaged,))
    database.close()
    with make_started(server, durability) as second:
        assert second.flush_blocking(10.0)
        assert "damaged" in second.statistics().journal.put_aside
    found = contents(store, QUOTES)
    assert found == sorted(set(found))
    assert 300 <= len(found) < 600


def test_a_folder_that_cannot_be_made_is_refused_where_the_client_is_made(tmp_path):
    (tmp_path / "file").write_text("")
    durability = DurabilitySettings(high="always", directory=str(tmp_path / "file" / "x"))
    with pytest.raises(ValueError, match=r"durability\.directory"):
        make_client("redis://localhost", durability)


def test_saving_writes_what_is_buffered(durability, nowhere, eventually):
    client = make_client(nowhere, durability)
    assert client.save() is False
    client.start(0.1)
    for number in range(5_000):
        client.offer(QUOTES, b"%d" % number)
    client.offer(ORDERS, b"1")
    assert client.save(10.0)
    figures = client.statistics()
    assert figures.journal.waiting == 5_001
    client.stop(0.0)


async def test_waiting_publishers_are_told_when_their_message_is_sent(
    server, store, durability, free_port, make_server
):
    port = free_port()
    client = make_client(f"redis://127.0.0.1:{port}", durability)
    await client.connect(0.1)
    task = asyncio.create_task(client.publish(ORDERS, b"1", ack="accepted"))
    await asyncio.sleep(0.3)
    assert not task.done()
    assert journaled(client) == 1
    late = make_server(port=port)
    late.start()
    await asyncio.wait_for(task, 10.0)
    await client.close()
    late.stop()


async def test_who_waits_for_a_message_that_is_left_in_the_journal_is_told(durability, nowhere):
    client = make_client(nowhere, durability)
    await client.connect(0.1)
    waiting = [
        asyncio.create_task(client.publish(topic, b"1", ack="accepted"))
        for topic in (ORDERS, QUOTES)
    ]
    await asyncio.sleep(0.3)
    assert client.statistics().journaled == 2
    # Put and not yet on disk when the client is closed.
    waiting.append(asyncio.create_task(client.publish(ORDERS, b"2", ack="accepted")))
    await asyncio.sleep(0)
    await client.close(0.1)
    for task in waiting:
        with pytest.raises(IndeterminateError):
            await asyncio.wait_for(task, 5.0)
    assert client.statistics().journaled == 3


def test_a_refused_message_is_still_refused(durability, nowhere):
    buffers = BufferSettings(high=UrgentLaneSettings(max_messages=1))
    client = make_client(nowhere, durability, buffers=buffers)
    # Not started, so that nobody takes anything to disk.
    client.publish_nowait(ORDERS, b"1")
    with pytest.raises(BufferFullError):
        client.publish_nowait(ORDERS, b"2")


@pytest.fixture
def small_disk(tmp_path):
    """Mount a file system of 4 MiB, for a disk that is really full."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=10.0, check=False)
    except FileNotFoundError:
        pytest.skip("no mount command here")
    if done.returncode:
        pytest.skip("this user may not mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], timeout=10.0, check=True)


def test_a_full_disk_sheds_quotes_and_then_refuses_order_flow_and_recovers(
    durability, small_disk, free_port, make_server, eventually
):
    port = free_port()
    durability = msgspec.structs.replace(durability, directory=str(small_disk / "journal"))
    buffers = BufferSettings(
        high=UrgentLaneSettings(max_messages=500), normal=LaneSettings(max_messages=500)
    )
    client = make_client(f"redis://127.0.0.1:{port}", durability, buffers=buffers)
    client.start(0.1)
    text = b" " * 1_000
    put = {HIGH: 0, NORMAL: 0, LOW: 0}
    longest_s = 0.0
    while put[HIGH] < 8_000:
        for priority, topic in ((HIGH, ORDERS), (NORMAL, QUOTES)):
            began = time.perf_counter()
            client.offer(topic, b"%d" % put[priority] + text)
            longest_s = max(longest_s, time.perf_counter() - began)
            put[priority] += 1
        time.sleep(0.0002)
    figures = client.statistics()
    assert "full" in figures.journal.problem
    assert figures.journal.waiting > 0
    assert figures.lanes[NORMAL].dropped > 0
    assert figures.lanes[HIGH].refused > 0
    assert figures.lanes[HIGH].dropped == figures.lanes[HIGH].shed == 0
    assert client.health().state is HealthState.UNHEALTHY
    assert any("make room on its disk" in remedy for remedy in client.health().remedies)
    server = make_server(port=port)
    server.start()
    assert client.flush_blocking(30.0)
    eventually(lambda: not client.statistics().journal.problem, 5.0)
    client.stop()
    topics = {HIGH: ORDERS, NORMAL: QUOTES, LOW: "health:status"}
    with redis.Redis(port=port) as there:
        assert_gaps_are_told(there, topics, put, client.statistics())
        # What was sent is known to the next process, though the disk was full meanwhile.
        sent = there.xlen(NAMING.key(ORDERS))
        second = make_client(f"redis://127.0.0.1:{port}", durability)
        second.start(5.0)
        assert second.flush_blocking(10.0)
        assert second.statistics().lanes[HIGH].restored == 0
        second.stop()
        assert there.xlen(NAMING.key(ORDERS)) == sent
    server.stop()
    # Publishing never waits for a disk, full or not; a busy machine may put the thread to sleep.
    assert longest_s < 0.5


async def test_an_acknowledgement_of_the_disk_needs_no_server(nowhere, durability):
    fast = msgspec.structs.replace(durability, fsync=True)
    client = make_client(nowhere, fast)
    await client.connect(0.1)
    await client.publish(ORDERS, b"1", ack="fsynced")
    assert client.statistics().journal.written == 1
    # A lane that is not always written has no such promise to give.
    with pytest.raises(AckUnavailableError):
        await client.publish(QUOTES, b"1", ack="fsynced")
    await client.close(0.1)
    client = make_client(nowhere, durability)
    await client.connect(0.1)
    with pytest.raises(AckUnavailableError):
        await client.publish(ORDERS, b"1", ack="fsynced")
    await client.close(0.1)


async def test_an_acknowledgement_that_the_disk_cannot_give_is_refused(
    server, store, durability, small_disk
):
    durability = msgspec.structs.replace(
        durability, directory=str(small_disk / "journal"), fsync=True
    )
    client = make_client(f"redis://127.0.0.1:{server.port}", durability)
    await client.connect(5.0)
    await client.publish(ORDERS, b"1", ack="fsynced")
    (small_disk / "ballast").write_bytes(b"")
    with (small_disk / "ballast").open("ab", buffering=0) as ballast, contextlib.suppress(OSError):
        while True:
            ballast.write(b"x" * 4096)

    async def publish_until_the_disk_is_full():
        for _ in range(100):
            await client.publish(ORDERS, b"2" * 100_000, ack="fsynced")

    with pytest.raises(NotConfirmedError, match="not surely on the disk"):
        await publish_until_the_disk_is_full()
    # It is sent all the same.
    assert await client.flush(5.0)
    assert client.statistics().lost == 0
    assert client.statistics().journal.unwritten > 0
    await client.close()


@pytest.mark.parametrize("place", ["note", "settled", "fill", "tend", "recovered", "_load"])
@pytest.mark.usefixtures("store")
def test_a_mistake_in_the_journal_does_not_end_publishing(
    server, durability, eventually, monkeypatch, place
):
    real = getattr(Journal, place)
    calls = []

    def fail(self, *arguments):
        calls.append(place)
        if len(calls) == (1 if place in ("recovered", "_load") else 3):
            raise RuntimeError("a mistake of ours")
        return real(self, *arguments)

    monkeypatch.setattr(Journal, place, fail)
    with make_started(server, durability) as client:
        for number in range(200):
            client.offer(ORDERS, b"%d" % number)
            if number % 20 == 0:
                time.sleep(0.01)
        eventually(lambda: client.statistics().journal.state == "unavailable")
        assert client.flush_blocking(10.0)
        client.offer(ORDERS, b"200")
        assert client.flush_blocking(10.0)
        assert client.health().state is HealthState.UNHEALTHY
        assert any("a mistake of ours" in reason for reason in client.health().reasons)
    with redis.Redis(port=server.port) as there:
        found = contents(there, ORDERS)
    # What the mistake fell upon may be lost, or wait on disk for the next process.
    assert found == sorted(set(found))
    assert found[-1] == 200
    assert len(found) > 150
