"""
How long a request takes until its reply is there, between two processes.

::

    requester ──> stream of requests ──> responder, which gives back what it got
        ^                                    │
        └───────── stream of replies <───────┘
    └──────────────── measured ────────────────┘

One request at a time, of 100 bytes. Ours is `StreamClient.request` and `respond`, with an
acknowledging group that would go on after a crash, and answers that are kept for repeated requests.
The twin, in the column of stock, is redis-py on both sides: XADD and a blocking XREADGROUP, XACK,
a blocking XREAD for the reply, and nothing else. The ceiling is the same with bare sockets and no
group.

Wanted: 0.6 ms at p50.
"""

from __future__ import annotations

import asyncio
import socket
import time
from functools import partial
from typing import TYPE_CHECKING
from typing import Any
from urllib.parse import urlsplit

import hiredis
import redis

from nautilus_enhanced.benchmarks.harness import Apart
from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.harness import percentiles
from nautilus_enhanced.benchmarks.harness import tell
from nautilus_enhanced.benchmarks.rigs.publishing import Server
from nautilus_enhanced.infrastructure.messagebus import Request
from nautilus_enhanced.infrastructure.messagebus import StreamClient
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import command


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator


BODY = b"x" * 100
STOP = b"stop"
LIMIT_S = 60.0
TOPIC = "benchmark.echo"
ASKED = "asked"
ANSWERED = "answered"
WARM_UP = 100
BLOCK_MS = 5_000
READ_SIZE = 65_536


# -- who responds, in a process of its own -------------------------------------------------------


def respond_ours(url: str) -> None:
    """Respond until it is asked to stop."""
    asyncio.run(_respond_ours(url))


async def _respond_ours(url: str) -> None:
    stop = asyncio.Event()

    def respond(request: Request) -> bytes:
        if request.body == STOP:
            stop.set()
        body: bytes = request.body
        return body

    async with StreamClient(url) as client:
        responding = client.respond(TOPIC, respond, group="benchmark")
        await responding.ready()
        tell("ready")
        await asyncio.wait_for(stop.wait(), LIMIT_S)


def respond_redis_py(url: str) -> None:
    """Respond until it is asked to stop."""
    with redis.Redis.from_url(url) as client:
        client.xgroup_create(ASKED, "benchmark", "$", mkstream=True)
        tell("ready")
        while True:
            found: Any = client.xreadgroup("benchmark", "one", {ASKED: ">"}, block=BLOCK_MS)
            for entry_id, fields in found[0][1] if found else ():
                if fields[b"body"] == STOP:
                    return
                client.xadd(ANSWERED, fields)
                client.xack(ASKED, "benchmark", entry_id)


class Socket:
    """A socket and a parser."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname, address.port), 10.0)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader()

    def ask(self, *items: bytes) -> Any:
        """Run a command."""
        self._socket.sendall(command(*items))
        while (answer := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(READ_SIZE))
        return answer

    def read(self, key: bytes, after: bytes) -> tuple[bytes, bytes]:
        """Wait for the next entry; return its ID and body."""
        answer = self.ask(b"XREAD", b"BLOCK", b"%d" % BLOCK_MS, b"STREAMS", key, after)
        entry_id, fields = answer[0][1][0]
        return entry_id, fields[1]

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def respond_sockets(url: str) -> None:
    """Respond until it is asked to stop."""
    connection = Socket(url)
    after = b"0-0"
    tell("ready")
    while True:
        after, body = connection.read(ASKED.encode(), after)
        if body == STOP:
            break
        connection.ask(b"XADD", ANSWERED.encode(), b"*", b"body", body)
    connection.close()


# -- who asks ------------------------------------------------------------------------------------


def ask_ours(url: str, count: int) -> Observation:
    """Return milliseconds of each request, and whether each got its reply."""
    return asyncio.run(_ask_ours(url, count))


async def _ask_ours(url: str, count: int) -> Observation:
    right = True
    async with StreamClient(url) as client:
        delays = []
        for number in range(WARM_UP + count):
            body = BODY + b"%d" % number
            begin = time.perf_counter()
            reply = await client.request(TOPIC, body)
            delays.append(1_000 * (time.perf_counter() - begin))
            right = right and reply == body
        await client.request(TOPIC, STOP)
    return Observation(figures={"ms": delays[WARM_UP:]}, verified=right)


def ask_redis_py(url: str, count: int) -> Observation:
    """Return milliseconds of each request, and whether each got its reply."""
    right, after = True, "0-0"
    with redis.Redis.from_url(url) as client:
        delays = []
        for number in range(WARM_UP + count):
            body = BODY + b"%d" % number
            begin = time.perf_counter()
            client.xadd(ASKED, {"body": body})
            found: Any = client.xread({ANSWERED: after}, block=BLOCK_MS)
            delays.append(1_000 * (time.perf_counter() - begin))
            after, fields = found[0][1][0]
            right = right and fields[b"body"] == body
        client.xadd(ASKED, {"body": STOP})
    return Observation(figures={"ms": delays[WARM_UP:]}, verified=right)


def ask_sockets(url: str, count: int) -> Observation:
    """Return milliseconds of each request, and whether each got its reply."""
    connection = Socket(url)
    right, after, delays = True, b"0-0", []
    for number in range(WARM_UP + count):
        body = BODY + b"%d" % number
        begin = time.perf_counter()
        connection.ask(b"XADD", ASKED.encode(), b"*", b"body", body)
        after, reply = connection.read(ANSWERED.encode(), after)
        delays.append(1_000 * (time.perf_counter() - begin))
        right = right and reply == body
    connection.ask(b"XADD", ASKED.encode(), b"*", b"body", STOP)
    connection.close()
    return Observation(figures={"ms": delays[WARM_UP:]}, verified=right)


def run(
    server: Server,
    respond: Callable[[str], None],
    ask: Callable[[str, int], Observation],
    count: int,
) -> Observation:
    """Start who responds, ask, and have it end."""
    server.store.flushall()
    with Apart(respond, server.url) as responder:
        responder.told(LIMIT_S)
        found = ask(server.url, count)
        responder.result(LIMIT_S)
    return found


SIDES = {
    "enhanced": (respond_ours, ask_ours),
    "stock": (respond_redis_py, ask_redis_py),
    "ceiling": (respond_sockets, ask_sockets),
}


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield all three on one server."""
    count = size.pick(1_500, 200, 20)
    with Server() as server:
        yield Scenario(
            arms={side: partial(run, server, *both, count) for side, both in SIDES.items()},
            comparisons=[
                Comparison(
                    topology=(
                        "two processes, one request at a time, beside redis-py and bare sockets"
                    ),
                    ceiling="ceiling",
                    parameters={"between": "two processes"},
                )
            ],
            metrics=percentiles("ms", "ms", {"p50": 0.5, "p99": 0.99}),
            rounds=size.pick(8, 2, 1),
        )


BENCHMARK = Benchmark(name="request_response", about=__doc__, scenarios=scenarios)
