"""Subscriptions on a real server: what a handler gets, when it is acknowledged, who reads what."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING
from typing import Any

import msgspec
import pytest
import redis

from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus import StreamClient
from nautilus_enhanced.infrastructure.messagebus import StreamMessage
from nautilus_enhanced.infrastructure.messagebus import StreamNaming
from nautilus_enhanced.infrastructure.messagebus import SubscriptionSettings
from nautilus_enhanced.infrastructure.messagebus.streams.consumer import keeper


if TYPE_CHECKING:
    from collections.abc import Callable


pytestmark = pytest.mark.timeout(60)

NAMING = StreamNaming(trader_id="T-1")
QUICK = SubscriptionSettings(
    lease_ms=600, retry_min_ms=5, retry_max_ms=20, max_deliveries=3, scan_interval_ms=100
)
AT_EXIT = """
import atexit
import sys

from nautilus_enhanced.infrastructure.messagebus import StreamClient

client = StreamClient(sys.argv[1])
for group in ("a", "b"):
    assert client.subscribe("*", print, group=group).wait_until_ready()
atexit.register(lambda: print(client.stop()))
"""
ORDER = "trader-T-1:stream:events.order.S-1"


@pytest.fixture
def url(store: redis.Redis) -> str:
    return f"redis://127.0.0.1:{store.connection_pool.connection_kwargs['port']}"


@pytest.fixture
def add(store: redis.Redis):
    """Write a message as a stock bus of 1.221 does."""

    def write(topic: str, payload: bytes, trader: str = "T-1", **more: str) -> bytes:
        fields = {"topic": topic, "payload": payload, **more}
        return store.xadd(f"trader-{trader}:stream:{topic}", fields)

    return write


@pytest.fixture
def client(url: str):
    with StreamClient(url) as client:
        yield client


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (it may become true in another thread)
            await asyncio.sleep(0.001)


def pending(store: redis.Redis, key: str, group: str) -> int:
    return store.xpending(key, group)["pending"]


def test_a_handler_in_a_thread_gets_what_was_published_before_and_after(
    client, add, store, eventually
) -> None:
    add("events.order.S-1", b"1")
    got: list[StreamMessage] = []
    subscription = client.subscribe("events.order.*", got.append, group="g", settings=QUICK)
    assert subscription.wait_until_ready()
    add("events.order.S-1", b"2")
    add("events.position.S-1", b"not asked for")
    eventually(lambda: len(got) == 2)
    assert [m.payload for m in got] == [b"1", b"2"]
    assert [m.body for m in got] == [b"1", b"2"]
    assert {(m.topic, m.stream, m.deliveries) for m in got} == {("events.order.S-1", ORDER, 1)}
    assert [m.raw_id for m in got] == [entry_id for entry_id, _ in store.xrange(ORDER)]
    eventually(lambda: pending(store, ORDER, "g") == 0)
    eventually(lambda: subscription.statistics().acknowledged == 2)


async def test_an_asynchronous_handler_is_awaited_and_topics_do_not_wait_for_one_another(
    url, add, store
) -> None:
    got: list[bytes] = []
    gate = asyncio.Event()

    async def handle(message: StreamMessage) -> None:
        if message.topic.endswith("slow"):
            await gate.wait()
        got.append(message.payload)

    async with StreamClient(url) as client:
        subscription = client.subscribe("events.*", handle, group="g", settings=QUICK)
        assert await subscription.ready()
        add("events.slow", b"s1")
        add("events.slow", b"s2")
        add("events.fast", b"f1")
        await until(lambda: b"f1" in got)
        assert got == [b"f1"]
        # Not before its handler has returned.
        assert pending(store, "trader-T-1:stream:events.slow", "g") == 2
        gate.set()
        await until(lambda: len(got) == 3)
        assert got == [b"f1", b"s1", b"s2"]
    assert pending(store, "trader-T-1:stream:events.slow", "g") == 0


async def test_a_handler_on_the_loop_runs_on_its_thread(url, add) -> None:
    threads: list[int] = []
    async with StreamClient(url) as client:
        client.subscribe(
            "events.*", lambda _: threads.append(threading.get_ident()), group="g", settings=QUICK
        )
        add("events.a", b"1")
        await until(lambda: threads)
    assert threads == [threading.get_ident()]


def test_a_group_resumes_where_it_stopped(url, add, eventually) -> None:
    for number in range(3):
        got: list[bytes] = []
        with StreamClient(url) as client:
            # While nobody reads.
            add("events.order.S-1", b"%d" % number)
            client.subscribe("events.order.*", lambda m, got=got: got.append(m.payload), group="g")
            eventually(lambda got=got: got)
        assert got == [b"%d" % number]


def test_market_data_begins_now_and_what_comes_later_from_its_beginning(
    client, add, eventually
) -> None:
    add("data.quotes.A", b"old")
    add("events.order.S-1", b"kept")
    got: list[bytes] = []
    subscription = client.subscribe(
        ("data.*", "events.*"), lambda m: got.append(m.payload), group="g", settings=QUICK
    )
    assert subscription.wait_until_ready()
    add("data.quotes.A", b"new")
    add("data.quotes.B", b"of a new stream")
    eventually(lambda: len(got) == 3)
    assert sorted(got) == [b"kept", b"new", b"of a new stream"]


def test_a_start_is_chosen_by_pattern(client, add, eventually) -> None:
    ids = [add("data.quotes.A", b"a%d" % n) for n in range(3)]
    add("events.order.S-1", b"passed over")
    got: list[bytes] = []
    subscription = client.subscribe(
        "*",
        lambda m: got.append(m.payload),
        group="g",
        start={"data.*": ids[0].decode(), "events.*": "now"},
        settings=QUICK,
    )
    assert subscription.wait_until_ready()
    add("events.order.S-1", b"new")
    eventually(lambda: len(got) == 3)
    assert sorted(got) == [b"a1", b"a2", b"new"]


def test_without_a_group_every_subscription_gets_everything_from_now_on(
    client, add, store, eventually
) -> None:
    add("events.order.S-1", b"before")
    first: list[bytes] = []
    second: list[bytes] = []
    for got in (first, second):
        subscription = client.subscribe(
            "events.*", lambda m, got=got: got.append(m.payload), settings=QUICK
        )
        assert subscription.wait_until_ready()
    add("events.order.S-1", b"1")
    add("events.new", b"2")
    eventually(lambda: len(first) == len(second) == 2)
    assert sorted(first) == sorted(second) == [b"1", b"2"]
    assert store.xinfo_groups(ORDER) == []


def test_a_stream_of_many_topics_is_filtered_by_topic(client, store, eventually) -> None:
    key = "trader-T-1:stream"
    for topic in ("data.quotes.A", "events.order.S-1"):
        store.xadd(key, {"topic": topic, "payload": "old"})
    got: list[tuple[str, bytes]] = []
    subscription = client.subscribe(
        ("events.order.*", "data.quotes.*"),
        lambda m: got.append((m.topic, m.payload)),
        group="g",
        settings=QUICK,
    )
    assert subscription.wait_until_ready()
    for topic in ("data.quotes.A", "data.bars.A", "events.order.S-1"):
        # In the order of 1.231, which is another one.
        store.xadd(key, {"topic": topic, "type": "", "payload": "new", "encoding": "Json"})
    eventually(lambda: len(got) == 3)
    assert got == [
        ("events.order.S-1", b"old"),
        ("data.quotes.A", b"new"),
        ("events.order.S-1", b"new"),
    ]
    # What was not asked for is out of the way all the same.
    eventually(lambda: pending(store, key, "g") == 0)
    assert subscription.statistics().skipped == 1


def test_a_message_that_fails_comes_again_and_holds_back_only_its_topic(
    client, add, eventually
) -> None:
    got: list[bytes] = []
    failures = [1, 1]

    def handle(message: StreamMessage) -> None:
        if message.payload == b"a1" and failures:
            failures.pop()
            raise ValueError("not yet")
        got.append(message.payload)

    for payload in (b"a1", b"a2", b"b1"):
        add(f"events.{payload[:1].decode()}", payload)
    subscription = client.subscribe("events.*", handle, group="g", settings=QUICK)
    eventually(lambda: len(got) == 3)
    assert got.index(b"a1") < got.index(b"a2")
    figures = subscription.statistics()
    assert (figures.failed, figures.handled, figures.dead_lettered) == (2, 3, 0)
    assert "not yet" in figures.last_failure


def test_what_never_succeeds_is_a_dead_letter_with_the_reason(
    client, add, store, eventually
) -> None:
    got: list[bytes] = []

    def handle(message: StreamMessage) -> None:
        if message.payload == b"poison":
            raise ValueError(f"attempt {message.deliveries}")
        got.append(message.payload)

    entry_id = add("events.order.S-1", b"poison", type="T", encoding="Json")
    add("events.order.S-1", b"2")
    subscription = client.subscribe("events.*", handle, group="g", settings=QUICK)
    eventually(lambda: got == [b"2"])
    eventually(lambda: store.xlen("nt-enhanced:dlq:g") == 1)
    ((_, letter),) = store.xrange("nt-enhanced:dlq:g")
    assert letter[b"payload"] == b"poison"
    assert letter[b"topic"] == b"events.order.S-1"
    assert (letter[b"type"], letter[b"encoding"]) == (b"T", b"Json")
    assert (letter[b"error"], letter[b"error_type"]) == (b"attempt 3", b"ValueError")
    assert (letter[b"stream"], letter[b"entry_id"]) == (ORDER.encode(), entry_id)
    assert letter[b"deliveries"] == b"3"
    eventually(lambda: pending(store, ORDER, "g") == 0)
    assert subscription.statistics().dead_lettered == 1
    assert "dead letters" in subscription.health().findings[0].reason


def test_a_dead_letter_that_is_given_back_reaches_the_group(client, store, eventually) -> None:
    got: list[tuple[str, bytes]] = []
    subscription = client.subscribe(
        "events.order.*", lambda m: got.append((m.topic, m.payload)), group="g", settings=QUICK
    )
    assert subscription.wait_until_ready()
    store.xadd("nt-enhanced:retry:g", {"topic": "events.order.S-1", "payload": "again"})
    eventually(lambda: got == [("events.order.S-1", b"again")])


class Fill(msgspec.Struct):
    price: float


@pytest.mark.parametrize(
    "case",
    [
        (None, b"\x80", b"\x80"),
        ("plain", b'{"price":1.5}', {"price": 1.5}),
        ("plain", msgspec.msgpack.encode({"price": 1.5}), {"price": 1.5}),
        (Fill, b'{"price":1.5}', Fill(1.5)),
        (Fill, msgspec.msgpack.encode({"price": 1.5}), Fill(1.5)),
        (bytes.upper, b"abc", b"ABC"),
    ],
)
def test_a_body_is_decoded_as_asked(client, add, eventually, case) -> None:
    decode, payload, body = case
    got: list[Any] = []
    client.subscribe(
        "events.*", lambda m: got.append(m.body), group="g", decode=decode, settings=QUICK
    )
    add("events.a", payload)
    eventually(lambda: got)
    assert got == [body]


def test_what_cannot_be_decoded_is_a_dead_letter_at_once(client, add, store, eventually) -> None:
    got: list[Any] = []
    subscription = client.subscribe(
        "events.*", lambda m: got.append(m.body), group="g", decode=Fill, settings=QUICK
    )
    add("events.a", b'{"price":"high"}')
    add("events.a", b'{"price":2}')
    eventually(lambda: got == [Fill(2.0)])
    eventually(lambda: store.xlen("nt-enhanced:dlq:g") == 1)
    figures = subscription.statistics()
    assert (figures.undecodable, figures.failed) == (1, 0)


def test_what_is_too_old_is_acknowledged_counted_and_not_delivered(
    client, store, eventually
) -> None:
    key = "trader-T-1:stream:events.a"
    now_ms = int(time.time() * 1_000)
    store.xadd(key, {"topic": "events.a", "payload": "old"}, id=f"{now_ms - 60_000}-0")
    store.xadd(key, {"topic": "events.a", "payload": "new"})
    got: list[bytes] = []
    subscription = client.subscribe(
        "events.*", lambda m: got.append(m.payload), group="g", max_age_ms=30_000, settings=QUICK
    )
    eventually(lambda: got == [b"new"])
    eventually(lambda: pending(store, key, "g") == 0)
    assert subscription.statistics().expired == 1


def test_two_consumers_share_the_streams_and_keep_the_order_of_each_topic(
    url, add, eventually
) -> None:
    got: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
    lock = threading.Lock()

    def handler(consumer: int):
        def handle(message: StreamMessage) -> None:
            with lock:
                got[message.topic].append((consumer, message.payload))

        return handle

    with StreamClient(url) as one, StreamClient(url) as two:
        first = one.subscribe("events.*", handler(1), group="g", settings=QUICK)
        assert first.wait_until_ready()
        second = two.subscribe("events.*", handler(2), group="g", settings=QUICK)
        eventually(lambda: first.statistics().members == second.statistics().members == 2)
        eventually(lambda: first.is_ready and second.is_ready)
        for number in range(20):
            for topic in range(16):
                add(f"events.{topic}", b"%d" % number)
        eventually(lambda: sum(map(len, got.values())) == 320)
        # Each stream, and the one of dead letters that come back, is read by one of them.
        assert first.statistics().streams + second.statistics().streams == 17
        assert first.statistics().handled
        assert second.statistics().handled
    for of_topic in got.values():
        assert [payload for _, payload in of_topic] == [b"%d" % n for n in range(20)]
        assert len({consumer for consumer, _ in of_topic}) == 1


def test_without_order_a_stream_is_shared_too(url, add, eventually) -> None:
    settings = msgspec.structs.replace(QUICK, order="none", read_count=1)
    got: dict[int, list[bytes]] = {1: [], 2: []}
    with StreamClient(url) as one, StreamClient(url) as two:
        for number, client in ((1, one), (2, two)):
            subscription = client.subscribe(
                "events.*",
                lambda m, number=number: (got[number].append(m.payload), time.sleep(0.001)),
                group="g",
                settings=settings,
            )
            assert subscription.wait_until_ready()
        for number in range(200):
            add("events.a", b"%d" % number)
        eventually(lambda: len(got[1]) + len(got[2]) == 200)
    assert sorted(map(int, got[1] + got[2])) == list(range(200))
    assert got[1]
    assert got[2]


def test_what_a_consumer_has_in_hand_when_it_closes_goes_to_the_next_one_at_once(
    url, add, store, eventually
) -> None:
    begun = threading.Event()
    go_on = threading.Event()

    def handle(message: StreamMessage) -> None:
        begun.set()
        go_on.wait(10)

    for number in range(5):
        add("events.a", b"%d" % number)
    one = StreamClient(url)
    # A lease that nobody would wait for.
    settings = msgspec.structs.replace(QUICK, lease_ms=600_000)
    subscription = one.subscribe("events.*", handle, group="g", settings=settings)
    assert begun.wait(10)
    assert not subscription.stop(0.1)
    got: list[tuple[bytes, int]] = []
    with StreamClient(url) as two:
        two.subscribe(
            "events.*",
            lambda m: got.append((m.payload, m.deliveries)),
            group="g",
            settings=settings,
        )
        eventually(lambda: len(got) == 5)
    go_on.set()
    # The second delivery of each, in their order.
    assert got == [(b"%d" % number, 2) for number in range(5)]


def test_closing_finishes_what_is_in_hand(url, add, store) -> None:
    got: list[bytes] = []

    def handle(message: StreamMessage) -> None:
        time.sleep(0.002)
        got.append(message.payload)

    for number in range(100):
        add("events.a", b"%d" % number)
    client = StreamClient(url)
    subscription = client.subscribe("events.*", handle, group="g", settings=QUICK)
    while not got:
        time.sleep(0.001)
    assert client.stop(10.0)
    assert subscription.statistics().in_hand == 0
    handled = len(got)
    assert pending(store, "trader-T-1:stream:events.a", "g") == 0
    # What it had not read is still there for the next one.
    (group,) = store.xinfo_groups("trader-T-1:stream:events.a")
    ids = [entry_id for entry_id, _ in store.xrange("trader-T-1:stream:events.a")]
    assert ids.index(group["last-delivered-id"]) == handled - 1


def test_a_paused_subscription_calls_nobody_and_reads_a_bounded_number(
    client, add, store, eventually
) -> None:
    got: list[bytes] = []
    settings = msgspec.structs.replace(QUICK, max_in_hand=10)
    subscription = client.subscribe(
        "events.*", lambda m: got.append(m.payload), group="g", settings=settings
    )
    assert subscription.wait_until_ready()
    subscription.pause()
    assert subscription.is_paused
    for number in range(50):
        add("events.a", b"%d" % number)
    eventually(lambda: subscription.statistics().in_hand == 10)
    assert got == []
    eventually(lambda: any("wait" in f.reason for f in subscription.health().findings))
    assert subscription.statistics().in_hand == 10
    subscription.resume()
    eventually(lambda: len(got) == 50)
    assert got == [b"%d" % number for number in range(50)]


def test_every_pattern_is_looked_for_however_many_keys_there_are(
    client, add, eventually, monkeypatch
) -> None:
    # As if a look had no more steps than one pattern takes.
    monkeypatch.setattr(keeper, "MAX_SCAN_STEPS", 1)
    got: list[str] = []
    client.subscribe(
        ("events.a", "events.b"), lambda m: got.append(m.topic), group="g", settings=QUICK
    )
    for topic in ("events.a", "events.b"):
        add(topic, b"1")
    eventually(lambda: sorted(got) == ["events.a", "events.b"], 10.0)


def test_threads_work_side_by_side_and_keep_the_order_of_a_topic(client, add, eventually) -> None:
    settings = msgspec.structs.replace(QUICK, run_in="threads", threads=4)
    together = threading.Barrier(4, timeout=10)
    got: dict[str, list[int]] = defaultdict(list)

    def handle(message: StreamMessage) -> None:
        if message.payload == b"0":
            # Only if all four are in a handler at once does this go on.
            together.wait()
        got[message.topic].append(int(message.payload))

    for number in range(10):
        for topic in "abcd":
            add(f"events.{topic}", b"%d" % number)
    client.subscribe("events.*", handle, group="g", settings=settings)
    eventually(lambda: sum(map(len, got.values())) == 40)
    assert all(of_topic == list(range(10)) for of_topic in got.values())


async def test_a_stream_that_our_writer_begins_is_found_without_a_scan(url) -> None:
    settings = msgspec.structs.replace(QUICK, scan_interval_ms=3_600_000)
    got: list[bytes] = []
    async with StreamClient(url) as reader, BufferedMessageBusClient(url, naming=NAMING) as writer:
        subscription = reader.subscribe(
            "events.*", lambda m: got.append(m.payload), group="g", settings=settings
        )
        assert await subscription.ready()
        await writer.publish("events.order.S-9", b"1", ack="accepted")
        await until(lambda: got)
    assert got == [b"1"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"group": "with space"}, "group"),
        ({"group": "g", "consumer": ""}, "consumer"),
        ({"start": "resume"}, "start"),
        ({"start": "yesterday", "group": "g"}, "start"),
        ({"max_age_ms": 0}, "max_age_ms"),
        ({"decode": 7}, "decode"),
        ({"patterns": ()}, "patterns"),
        ({"patterns": "with space"}, "pattern"),
        ({"streams": ()}, "streams"),
        ({"handler": 7}, "handler"),
        ({"settings": SubscriptionSettings(run_in="loop")}, "run_in"),
    ],
)
def test_a_mistake_gets_a_sentence(client, wrong, field) -> None:
    given = {"patterns": "events.*", "handler": print, **wrong}
    with pytest.raises(ConfigurationError) as caught:
        client.subscribe(**given)
    assert caught.value.field == field
    assert client.subscriptions == ()


def test_a_coroutine_function_needs_a_loop(client) -> None:
    async def handle(message: StreamMessage) -> None:
        pass

    with pytest.raises(ConfigurationError, match="no event loop runs"):
        client.subscribe("events.*", handle)


def test_a_group_is_used_once_in_a_client_until_it_is_closed(client) -> None:
    subscription = client.subscribe("events.*", print, group="g", settings=QUICK)
    with pytest.raises(ConfigurationError, match="group"):
        client.subscribe("data.*", print, group="g")
    assert subscription.stop()
    assert subscription.is_closed
    assert subscription.stop()
    client.subscribe("data.*", print, group="g", settings=QUICK)


def test_nothing_is_left_running(url, add, eventually) -> None:
    before = set(threading.enumerate())
    with StreamClient(url) as client:
        client.subscribe("events.*", print, group="g", settings=QUICK)
        client.subscribe("events.*", print, settings=QUICK)
        assert len(set(threading.enumerate()) - before) >= 5
    eventually(lambda: not set(threading.enumerate()) - before)


def test_a_client_may_be_stopped_when_the_interpreter_ends(url) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_EXIT, url],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "True\n"
