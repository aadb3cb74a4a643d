"""
Other libraries that send messages from one process to another, each as its own docs recommend.

A library that is not installed, or whose server is not, is left out by name. Each has a function
that sends messages on schedule or at once, and one that receives them in a process of its own.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING
from typing import Any

import redis

from nautilus_enhanced.benchmarks.harness import tell
from nautilus_enhanced.benchmarks.rigs.publishing import NAMING
from nautilus_enhanced.benchmarks.rigs.publishing import TOPIC


if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from collections.abc import Iterator
    from collections.abc import Sequence


KEY = NAMING.key(TOPIC)
SUBJECT = "quotes"
PIPELINE = 256
LIMIT_S = 60.0
START_LIMIT_S = 10.0
POLL_S = 0.01
# Sent at once before the event loop has a turn.
TURN_AFTER = 100

# What was received: each message's number, and when in nanoseconds of ``time.perf_counter_ns``.
Received = list[tuple[int, int]]


class Schedule:
    """
    When messages are due.

    Parameters
    ----------
    payloads : Sequence[bytes]
        What is sent.
    interval_s : float
        From one to the next; 0 for all at once.

    Attributes
    ----------
    dues : list[int]
        When each was due, in nanoseconds of ``time.perf_counter_ns``.
    """

    def __init__(self, payloads: Sequence[bytes], interval_s: float) -> None:
        self.dues: list[int] = []
        self._payloads = payloads
        self._interval_ns = round(interval_s * 1e9)

    def __iter__(self) -> Iterator[bytes]:
        """Iterate over the messages, each when it is due."""
        begin = time.perf_counter_ns()
        for number, raw in enumerate(self._payloads, 1):
            due = begin + number * self._interval_ns
            if (wait_ns := due - time.perf_counter_ns()) > 0:
                time.sleep(wait_ns / 1e9)
            self.dues.append(due)
            yield raw

    async def turns(self) -> AsyncIterator[bytes]:
        """Iterate over the messages, each when it is due, and give the event loop its turns."""
        begin = time.perf_counter_ns()
        for number, raw in enumerate(self._payloads, 1):
            due = begin + number * self._interval_ns
            if (wait_ns := due - time.perf_counter_ns()) > 0:
                await asyncio.sleep(wait_ns / 1e9)
            elif number % TURN_AFTER == 0:
                await asyncio.sleep(0)
            self.dues.append(due)
            yield raw


def number_in(raw: bytes) -> int:
    """Return the number that `publishing.payload` put into a message."""
    return int(raw[11:20])


# -- into the same stream ------------------------------------------------------------------------


def send_with_redis_py(url: str, schedule: Schedule) -> None:
    """Add messages to the stream in pipelines without transactions."""
    with redis.Redis.from_url(url) as store, store.pipeline(transaction=False) as pipeline:
        for raw in schedule:
            pipeline.xadd(KEY, {"topic": TOPIC, "payload": raw, "type": "", "encoding": "Json"})
            if len(pipeline) >= PIPELINE:
                pipeline.execute()
        pipeline.execute()


def send_with_coredis(url: str, schedule: Schedule) -> None:
    """Add messages to the stream in pipelines without transactions."""
    asyncio.run(_send_with_coredis(url, schedule))


async def _send_with_coredis(url: str, schedule: Schedule) -> None:
    coredis = import_module("coredis")
    batch: list[bytes] = []
    async with coredis.Redis.from_url(url) as store:

        async def send() -> None:
            async with store.pipeline(transaction=False) as pipeline:
                for each in batch:
                    fields = {"topic": TOPIC, "payload": each, "type": "", "encoding": "Json"}
                    pipeline.xadd(KEY, fields)
            batch.clear()

        for raw in schedule:
            batch.append(raw)
            if len(batch) >= PIPELINE:
                await send()
        if batch:
            await send()


def send_with_faststream(url: str, schedule: Schedule) -> None:
    """Publish messages to the stream; each waits for the server's answer."""
    asyncio.run(_send_with_faststream(url, schedule))


async def _send_with_faststream(url: str, schedule: Schedule) -> None:
    faststream = import_module("faststream.redis")
    broker = faststream.RedisBroker(url, logger=None)
    await broker.connect()
    for raw in schedule:
        await broker.publish(raw, stream=KEY)
    await broker.stop()


# -- past the server -----------------------------------------------------------------------------


def receive_from_zmq(count: int) -> Received:
    """Receive messages from a PULL socket; tell its address."""
    zmq = import_module("zmq")
    received: Received = []
    with zmq.Context() as context, context.socket(zmq.PULL) as pull:
        port = pull.bind_to_random_port("tcp://127.0.0.1")
        pull.setsockopt(zmq.RCVTIMEO, round(LIMIT_S * 1e3))
        tell(f"tcp://127.0.0.1:{port}")
        while len(received) < count:
            raw = pull.recv()
            received.append((number_in(raw), time.perf_counter_ns()))
    return received


def send_with_zmq(address: str, schedule: Schedule) -> None:
    """Send messages from a PUSH socket, which waits where 1,000 are on their way."""
    zmq = import_module("zmq")
    with zmq.Context() as context, context.socket(zmq.PUSH) as push:
        push.connect(address)
        for raw in schedule:
            push.send(raw)


@contextmanager
def nats_server() -> Iterator[str]:
    """
    Run a NATS server on a free port, and give its address.

    Raises
    ------
    FileNotFoundError
        If there is none on PATH.
    """
    program = shutil.which("nats-server")
    if program is None:
        raise FileNotFoundError("nats-server")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    child = subprocess.Popen(  # noqa: S603 (found on PATH, arguments of our own)
        [program, "-a", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for_port(port)
        yield f"nats://127.0.0.1:{port}"
    finally:
        child.terminate()
        child.wait(START_LIMIT_S)


def _wait_for_port(port: int) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_S)
        else:
            return


def receive_from_nats(address: str, count: int) -> Received:
    """Receive messages by a subscription that holds as many as there are."""
    return asyncio.run(_receive_from_nats(address, count))


async def _receive_from_nats(address: str, count: int) -> Received:
    nats = import_module("nats")
    received: Received = []
    done = asyncio.Event()

    async def note(message: Any) -> None:
        received.append((number_in(message.data), time.perf_counter_ns()))
        if len(received) == count:
            done.set()

    connection = await nats.connect(address)
    await connection.subscribe(SUBJECT, cb=note, pending_msgs_limit=-1, pending_bytes_limit=-1)
    await connection.flush()
    tell("ready")
    await asyncio.wait_for(done.wait(), LIMIT_S)
    await connection.close()
    return received


def send_with_nats(address: str, schedule: Schedule) -> None:
    """Publish messages to a subject, and wait until the server has all of them."""
    asyncio.run(_send_with_nats(address, schedule))


async def _send_with_nats(address: str, schedule: Schedule) -> None:
    nats = import_module("nats")
    connection = await nats.connect(address)
    async for raw in schedule.turns():
        await connection.publish(SUBJECT, raw)
    await connection.flush()
    await connection.close()
