"""
A consumer in a process of its own: notes when its handler was called with each message.

It tells ``ready`` when it reads, ``begun`` when the first message came, which tells who publishes
that none is missed any more, and returns the number of each message after that one, in the order in
which they came, and when it came in nanoseconds of ``time.perf_counter_ns``, which on Linux is the
same clock in all processes. The kinds:

- ``enhanced``: a subscription with a group, its handler called on an event loop;
- ``redis-py``: XREADGROUP and XACK in a loop;
- ``stock``: NautilusTrader's own reader of external streams, which acknowledges nothing.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING
from typing import Any

import redis
import uvloop

from nautilus_enhanced.benchmarks.harness import Apart
from nautilus_enhanced.benchmarks.harness import spare_imports
from nautilus_enhanced.benchmarks.harness import tell
from nautilus_enhanced.benchmarks.rigs.publishing import NAMING
from nautilus_enhanced.benchmarks.rigs.publishing import ORDERS
from nautilus_enhanced.benchmarks.rigs.publishing import stock_publisher
from nautilus_enhanced.benchmarks.rigs.stream_consumer import number_of
from nautilus_enhanced.infrastructure.messagebus.streams import StreamClient


if TYPE_CHECKING:
    from types import TracebackType

    from nautilus_enhanced.benchmarks.rigs.publishing import Server


GROUP, CONSUMER = "handled", "consumer"
BATCH = 500
LIMIT_S = 60.0
GRACE_S = 2.0
POLL_S = 0.05
BEFORE = 0


class HandledReader:
    """
    Start a reader, and get what it saw.

    Parameters
    ----------
    server : Server
        The server.
    kind : str
        Which reader.
    count : int
        Messages after which it ends, those before it begins left out.
    topic : str
        Their topic.
    field : str
        The field of a payload that carries its number, in whatever unit.
    """

    def __init__(
        self, server: Server, kind: str, count: int, topic: str = ORDERS, field: str = "ts_event"
    ) -> None:
        self._child = Apart(read, server.url, kind, count, topic, field)

    def __enter__(self) -> HandledReader:
        self._child.__enter__()
        self._child.told(LIMIT_S)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._child.__exit__(kind, error, traceback)

    def has_begun(self, timeout_s: float) -> bool:
        """Wait until it has got a first message; return whether it has."""
        return self._child.has_told(timeout_s)

    def end(self) -> list[tuple[int, int]]:
        """Return number and time of all messages that came."""
        return [(number, seen_ns) for number, seen_ns in self._child.result(LIMIT_S)]


class Notes:
    """
    What came, and when.

    Parameters
    ----------
    count : int
        How much there will be.
    field : str
        The field that carries a number.
    """

    def __init__(self, count: int, field: str) -> None:
        self.count = count
        self._field = field
        self.is_complete = threading.Event()
        self._seen: list[tuple[bytes, int]] = []
        self._has_begun = False

    def note(self, raw: bytes) -> None:
        """Note a message, unless it is one from before it begins."""
        now_ns = time.perf_counter_ns()
        if not self._has_begun:
            self._has_begun = True
            tell("begun")
        self._seen.append((raw, now_ns))
        # Those from before may be many, and are told apart at the end only.
        if len(self._seen) >= self.count and number_of(raw, self._field) == self.count:
            self.is_complete.set()

    def numbered(self) -> list[tuple[int, int]]:
        """Return number and time of what came, without what is from before it begins."""
        numbered = ((number_of(raw, self._field), seen_ns) for raw, seen_ns in self._seen)
        return [one for one in numbered if one[0] != BEFORE]


async def with_subscription(url: str, topic: str, notes: Notes) -> None:
    """Read as a subscription with a group does."""
    async with StreamClient(url, naming=NAMING) as client:
        subscription = client.subscribe(
            topic, lambda message: notes.note(message.payload), group=GROUP
        )
        await subscription.ready(LIMIT_S)
        tell("ready")
        await asyncio.to_thread(notes.is_complete.wait, LIMIT_S)


def with_redis_py(url: str, topic: str, notes: Notes) -> None:
    """Read and acknowledge in a loop."""
    key = NAMING.key(topic)
    store = redis.Redis.from_url(url)
    store.xgroup_create(key, GROUP, "$", mkstream=True)
    tell("ready")
    until = time.monotonic() + LIMIT_S
    while not notes.is_complete.is_set() and time.monotonic() < until:
        answer: Any = store.xreadgroup(GROUP, CONSUMER, {key: ">"}, count=BATCH, block=1_000)
        for _, entries in answer or []:
            for _, fields in entries:
                notes.note(fields[b"payload"])
            store.xack(key, GROUP, *[entry_id for entry_id, _ in entries])


async def with_stock(url: str, topic: str, notes: Notes) -> None:
    """Read as a stock node reads its external streams."""
    port = int(url.rpartition(":")[2].partition("/")[0])
    reader = stock_publisher(port, None, external_streams=[NAMING.key(topic)])
    reading = asyncio.ensure_future(
        reader.stream(lambda message: notes.note(bytes(message.payload)))
    )
    tell("ready")
    await asyncio.to_thread(notes.is_complete.wait, LIMIT_S)
    reader.close()
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


def read(url: str, kind: str, count: int, topic: str, field: str) -> list[tuple[int, int]]:
    """Read as one of the kinds does; return number and time of all messages that came."""
    spare_imports()
    notes = Notes(count, field)
    if kind == "enhanced":
        uvloop.run(with_subscription(url, topic, notes))
    elif kind == "redis-py":
        with_redis_py(url, topic, notes)
    else:
        asyncio.run(with_stock(url, topic, notes))
    return notes.numbered()
