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
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from urllib.parse import urlsplit

import hiredis
import redis

from nautilus_enhanced.benchmarks.rigs.publishing import Server
from nautilus_enhanced.infrastructure.messagebus import StreamClient
from nautilus_enhanced.infrastructure.messagebus.wire import command


if TYPE_CHECKING:
    from collections.abc import Callable


BODY = b"x" * 100
TOPIC = "benchmark.echo"
ASKED = "asked"
ANSWERED = "answered"
WARM_UP = 100
BLOCK_MS = 5_000
READ_SIZE = 65_536


# -- who responds, in a process of its own -------------------------------------------------------


async def respond_ours(url: str) -> None:
    """Respond until standard input ends."""
    async with StreamClient(url) as client:
        responding = client.respond(TOPIC, lambda request: request.body, group="benchmark")
        await responding.ready()
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)


def respond_redis_py(url: str) -> None:
    """Respond until it is asked to stop."""
    with redis.Redis.from_url(url) as client:
        client.xgroup_create(ASKED, "benchmark", "$", mkstream=True)
        print("ready", flush=True)
        while True:
            found: Any = client.xreadgroup("benchmark", "one", {ASKED: ">"}, block=BLOCK_MS)
            for entry_id, fields in found[0][1] if found else ():
                if fields[b"body"] == b"stop":
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
    print("ready", flush=True)
    while True:
        after, body = connection.read(ASKED.encode(), after)
        if body == b"stop":
            break
        connection.ask(b"XADD", ANSWERED.encode(), b"*", b"body", body)
    connection.close()


# -- who asks ------------------------------------------------------------------------------------


async def ask_ours(url: str, count: int) -> tuple[list[float], bool]:
    """Return milliseconds of each request, and whether each got its reply."""
    right = True
    async with StreamClient(url) as client:
        delays = []
        for number in range(WARM_UP + count):
            body = BODY + b"%d" % number
            begin = time.perf_counter()
            reply = await client.request(TOPIC, body)
            delays.append(1_000 * (time.perf_counter() - begin))
            right = right and reply == body
    return delays[WARM_UP:], right


def ask_redis_py(url: str, count: int) -> tuple[list[float], bool]:
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
        client.xadd(ASKED, {"body": "stop"})
    return delays[WARM_UP:], right


def ask_sockets(url: str, count: int) -> tuple[list[float], bool]:
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
    connection.ask(b"XADD", ASKED.encode(), b"*", b"body", b"stop")
    connection.close()
    return delays[WARM_UP:], right


def run(
    server: Server, kind: str, ask: Callable[[str], tuple[list[float], bool]]
) -> tuple[list[float], bool]:
    """Start who responds, ask, and end it."""
    server.store.flushall()
    with subprocess.Popen(  # noqa: S603 (this script)
        [sys.executable, Path(__file__), kind, server.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as responder:
        try:
            assert responder.stdout is not None  # noqa: S101 (a pipe, as asked for)
            assert responder.stdout.readline() == b"ready\n"  # noqa: S101 (it says so, or is dead)
            return ask(server.url)
        finally:
            responder.communicate(timeout=30.0)


def main() -> None:
    """Measure and report."""
    options = arguments(__doc__)
    count = sized(options, 5_000, 1_000, 20)
    rounds = sized(options, 5, 3, 1)
    asks: dict[str, tuple[str, Callable[[str], tuple[list[float], bool]]]] = {
        "enhanced": ("ours", lambda url: asyncio.run(ask_ours(url, count))),
        "stock": ("redis-py", partial(ask_redis_py, count=count)),
        "ceiling": ("sockets", partial(ask_sockets, count=count)),
    }
    with Server() as server:
        found = interleave(
            rounds,
            {side: partial(run, server, kind, ask) for side, (kind, ask) in asks.items()},
        )
    rows = latency_rows(
        "request_response",
        "two processes, one request at a time, beside redis-py and bare sockets",
        {side: [delays for delays, _ in of] for side, of in found.items()},
        {"p50": 0.5, "p99": 0.99},
        parameters={"between": "two processes"},
        verified=all(right for of in found.values() for _, right in of),
    )
    report(rows, options)


RESPOND: dict[str, Callable[[str], None]] = {
    "ours": lambda url: asyncio.run(respond_ours(url)),
    "redis-py": respond_redis_py,
    "sockets": respond_sockets,
}


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1] in RESPOND:
        RESPOND[sys.argv[1]](sys.argv[2])
    else:
        main()
