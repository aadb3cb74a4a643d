"""
A consumer in a process of its own, of one of the kinds that the benchmarks compare.

Each reads a stream that is full from its beginning by a group that is new, notes the payload of
every message, and ends when the server has confirmed the last acknowledgement. It returns messages
a second, from the first step until then, and whether all came, in order. The kinds:

- ``loop``, ``async``, ``thread``, ``4 threads``: a subscription of ours;
- ``redis-py``: XREADGROUP and XACK in a loop;
- ``faststream``: a subscriber of FastStream to the same stream, if it is installed;
- ``streaq``: tasks of streaQ, which has its own streams, if it is installed;
- ``socket``: a socket and hiredis, which do nothing else.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import socket
import time
from typing import TYPE_CHECKING
from typing import Any
from urllib.parse import urlsplit

import hiredis
import msgspec
import redis
import uvloop

from nautilus_enhanced.benchmarks.harness import spare_imports
from nautilus_enhanced.benchmarks.rigs.publishing import NAMING
from nautilus_enhanced.benchmarks.rigs.publishing import TOPIC
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import command
from nautilus_enhanced.infrastructure.messagebus.streams import StreamClient
from nautilus_enhanced.infrastructure.messagebus.streams import SubscriptionSettings
from nautilus_enhanced.infrastructure.messagebus.streams.decoding import decoder_of


if TYPE_CHECKING:
    from collections.abc import Sequence


CONSUMER = "consumer"
# What a subscription of ours reads at once by default; its twins read as much.
BATCH = SubscriptionSettings().read_count
LIMIT_S = 100.0
POLL_S = 0.001
READ_SIZE = 65_536
THREADS = {"thread": 1, "4 threads": 4}
# Begun at once by streaQ, which writes several keys for each.
ENQUEUED_AT_ONCE = 500


class Quote(msgspec.Struct, gc=False):
    """What of a quote a consumer may want."""

    instrument_id: str
    bid_price: str
    ask_price: str
    bid_size: str
    ask_size: str
    ts_event: str
    ts_init: str


def topic_of(count: int) -> str:
    """Return the topic of the stream that has so many messages."""
    return f"{TOPIC}-{count}"


BODIES: dict[str, Any] = {"raw": None, "msgspec": Quote, "nautilus": "nautilus"}


def quote(number: int) -> bytes:
    """Return a quote of 200 bytes, as a node writes it, that carries a number."""
    return (
        b'{"type":"QuoteTick","instrument_id":"BTCUSDT.BINANCE","bid_price":"50000.01",'
        b'"ask_price":"50000.02","bid_size":"1.000000","ask_size":"2.000000",'
        b'"ts_event":"%d","ts_init":"17000000000"}' % number
    ).ljust(200)


def number_of(raw: bytes, field: str = "ts_event") -> int:
    """Return the number that a quote carries in a field: its digits, whatever they count."""
    text: str = getattr(msgspec.json.decode(raw, type=Quote), field)
    return int(text.replace(".", ""))


def is_in_order(payloads: Sequence[bytes]) -> bool:
    """Return whether these are quotes from the first one on, as they were published."""
    return all(raw == quote(number) for number, raw in enumerate(payloads))


class Consumption:
    """
    What was consumed, and until when.

    Parameters
    ----------
    count : int
        How many messages there are.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.topic = topic_of(count)
        self.key = NAMING.key(self.topic)
        self.payloads: list[bytes] = []
        self._begin = time.perf_counter()
        self._end = self._begin

    def begin(self) -> None:
        """Note that it begins now."""
        self._begin = time.perf_counter()

    def end(self) -> None:
        """Note that the last acknowledgement was confirmed now."""
        self._end = time.perf_counter()

    def summary(self, *, ordered: bool = True) -> dict[str, Any]:
        """Return the rate, and whether all came, once and, if that was promised, in order."""
        complete = len(self.payloads) == self.count
        payloads = self.payloads if ordered else sorted(self.payloads, key=number_of)
        return {
            "rate": self.count / (self._end - self._begin),
            "verified": complete and is_in_order(payloads),
        }


# -- a subscription of ours ----------------------------------------------------------------------


async def on_loop(url: str, group: str, body: Any, found: Consumption, *, is_async: bool) -> None:
    """Subscribe with a handler that is called on the event loop."""
    note = found.payloads.append

    def handle(message: Any) -> None:
        note(message.payload)

    async def handle_later(message: Any) -> None:
        note(message.payload)

    async with StreamClient(url, naming=NAMING) as client:
        found.begin()
        subscription = client.subscribe(
            found.topic,
            handle_later if is_async else handle,
            group=group,
            start="beginning",
            decode=body,
        )
        until = time.monotonic() + LIMIT_S
        while (  # noqa: ASYNC110 (only the figures tell)
            subscription.statistics().acknowledged < found.count and time.monotonic() < until
        ):
            await asyncio.sleep(POLL_S)
        found.end()


def in_threads(url: str, group: str, body: Any, found: Consumption, threads: int) -> None:
    """Subscribe with a handler that is called in threads."""
    note = found.payloads.append

    def handle(message: Any) -> None:
        note(message.payload)

    settings = SubscriptionSettings(run_in="threads", threads=threads)
    with StreamClient(url, naming=NAMING) as client:
        found.begin()
        subscription = client.subscribe(
            found.topic, handle, group=group, start="beginning", decode=body, settings=settings
        )
        until = time.monotonic() + LIMIT_S
        while subscription.statistics().acknowledged < found.count and time.monotonic() < until:
            time.sleep(POLL_S)
        found.end()


# -- its twins -----------------------------------------------------------------------------------


def with_redis_py(url: str, group: str, body: Any, found: Consumption) -> None:
    """Read, handle and acknowledge in a loop, one batch after the other."""
    decode = decoder_of(body)
    note = found.payloads.append

    def handle(topic: bytes, payload: bytes, content: Any) -> None:
        del topic, content
        note(payload)

    store = redis.Redis.from_url(url)
    found.begin()
    store.xgroup_create(found.key, group, "0")
    while len(found.payloads) < found.count:
        answer: Any = store.xreadgroup(group, CONSUMER, {found.key: ">"}, count=BATCH, block=1_000)
        for _, entries in answer:
            for _, fields in entries:
                payload = fields[b"payload"]
                handle(fields[b"topic"], payload, decode(payload) if decode else payload)
            store.xack(found.key, group, *[entry_id for entry_id, _ in entries])
    found.end()
    store.close()


async def with_faststream(url: str, group: str, found: Consumption) -> None:
    """Subscribe with FastStream, which acknowledges each message by itself."""
    faststream = importlib.import_module("faststream.redis")
    note = found.payloads.append
    done = asyncio.Event()
    # It reads entries that it has written itself as an envelope, and others as they are.
    broker = faststream.RedisBroker(url, logger=None)
    stream = faststream.StreamSub(found.key, group=group, consumer=CONSUMER, max_records=BATCH)

    async def handle(body: dict[str, Any]) -> None:
        note(body["payload"].encode())
        if len(found.payloads) == found.count:
            done.set()

    broker.subscriber(stream=stream)(handle)
    store = redis.Redis.from_url(url)
    store.xgroup_create(found.key, group, "0")
    found.begin()
    await broker.start()
    async with asyncio.timeout(LIMIT_S):
        await done.wait()
        while store.xpending(found.key, group)["pending"]:  # noqa: ASYNC110 (only the server tells)
            await asyncio.sleep(POLL_S)
    found.end()
    await broker.stop()
    store.close()


async def with_streaq(url: str, group: str, found: Consumption) -> None:
    """
    Run a task for each message: it reads its own streams only, which are filled before.

    It ends when the last task ran, whether or not that is acknowledged.
    """
    streaq = importlib.import_module("streaq")
    note = found.payloads.append
    done = asyncio.Event()

    async def handle(payload: bytes) -> None:
        note(payload)
        if len(found.payloads) == found.count:
            done.set()

    # One that runs cannot be entered for anything else.
    producer, consumer = (
        streaq.Worker(
            redis_url=url,
            queue_name=group,
            prefetch=BATCH,
            serializer=msgspec.msgpack.encode,
            deserializer=msgspec.msgpack.decode,
            handle_signals=False,
        )
        for _ in range(2)
    )
    task, _ = (worker.task(ttl=0, silent=True)(handle) for worker in (producer, consumer))
    async with producer:
        for at in range(0, found.count, ENQUEUED_AT_ONCE):
            numbers = range(at, min(found.count, at + ENQUEUED_AT_ONCE))
            await producer.enqueue_many([task.enqueue(quote(number)) for number in numbers])
    found.begin()
    running = asyncio.create_task(consumer.run_async())
    async with asyncio.timeout(LIMIT_S):
        await done.wait()
    found.end()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def with_socket(url: str, group: str, found: Consumption) -> None:
    """Read the next batch while the last one is acknowledged, and do nothing else."""
    note = found.payloads.append
    key, name = found.key.encode(), group.encode()
    read = command(
        b"XREADGROUP", b"GROUP", name, CONSUMER.encode(), b"COUNT", b"%d" % BATCH, b"STREAMS", key,
        b">",
    )  # fmt: skip
    where = urlsplit(url)
    reader = hiredis.Reader()
    with socket.create_connection((where.hostname, where.port)) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def next_answer() -> Any:
            while (answer := reader.gets()) is False:
                reader.feed(raw.recv(READ_SIZE))
            return answer

        found.begin()
        raw.sendall(command(b"XGROUP", b"CREATE", key, name, b"0") + read)
        next_answer()
        while len(found.payloads) < found.count:
            ((_, entries),) = next_answer()
            for _, fields in entries:
                note(fields[3])
            ids = [entry_id for entry_id, _ in entries]
            raw.sendall(command(b"XACK", key, name, *ids) + read)
            next_answer()
        next_answer()
        found.end()


def consume(url: str, group: str, kind: str, body: str, count: int) -> dict[str, Any]:
    """Consume `count` messages and say how fast that was."""
    spare_imports()
    logging.disable(logging.WARNING)
    found = Consumption(count)
    made = BODIES[body]
    ordered = True
    if kind in THREADS:
        in_threads(url, group, made, found, THREADS[kind])
    elif kind in {"loop", "async"}:
        uvloop.run(on_loop(url, group, made, found, is_async=kind == "async"))
    elif kind == "redis-py":
        with_redis_py(url, group, made, found)
    elif kind == "faststream":
        uvloop.run(with_faststream(url, group, found))
    elif kind == "streaq":
        uvloop.run(with_streaq(url, group, found))
        ordered = False
    else:
        with_socket(url, group, found)
    return found.summary(ordered=ordered)
