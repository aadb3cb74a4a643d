"""
A consumer in a process of its own: notes when its handler was called with each message.

It prints ``ready`` when it reads, ``begun`` when the first message came, which tells who publishes
that none is missed any more, and at last a line of JSON: the number of each message after that one,
in the order in which they came, and when it came in nanoseconds of ``time.perf_counter_ns``, which
on Linux is the same clock in all processes. The kinds:

- ``enhanced``: a subscription with a group, its handler called on an event loop;
- ``redis-py``: XREADGROUP and XACK in a loop;
- ``stock``: NautilusTrader's own reader of external streams, which acknowledges nothing.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import redis
import uvloop

from nautilus_enhanced.benchmarks.rigs.publishing import NAMING
from nautilus_enhanced.benchmarks.rigs.publishing import ORDERS
from nautilus_enhanced.benchmarks.rigs.publishing import stock_publisher
from nautilus_enhanced.benchmarks.rigs.stream_consumer import number_of
from nautilus_enhanced.infrastructure.messagebus.streams import StreamClient


if TYPE_CHECKING:
    from types import TracebackType

    from nautilus_enhanced.benchmarks.rigs.publishing import Server


KEY = NAMING.key(ORDERS)
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
    """

    def __init__(self, server: Server, kind: str, count: int) -> None:
        self._child = subprocess.Popen(  # noqa: S603 (this file)
            [sys.executable, str(Path(__file__)), server.url, kind, str(count)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._child.stdout is not None  # noqa: S101 (a pipe was asked for)
        self._lines = self._child.stdout
        self._has_begun = threading.Event()
        self._result: list[tuple[int, int]] = []
        self._expect("ready")
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __enter__(self) -> HandledReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._child.kill()
        self._child.wait()
        self._listener.join()
        self._lines.close()

    def has_begun(self, timeout_s: float) -> bool:
        """Wait until it has got a first message; return whether it has."""
        return self._has_begun.wait(timeout_s)

    def end(self) -> list[tuple[int, int]]:
        """Return number and time of all messages that came."""
        self._listener.join(LIMIT_S)
        return self._result

    def _listen(self) -> None:
        for line in self._lines:
            if line.startswith("["):
                self._result = [(number, seen_ns) for number, seen_ns in json.loads(line)]
            elif line.strip() == "begun":
                self._has_begun.set()

    def _expect(self, word: str) -> None:
        if self._lines.readline().strip() != word:
            raise RuntimeError(f"the reader did not say {word!r}")


class Notes:
    """
    What came, and when.

    Parameters
    ----------
    count : int
        How much there will be.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.is_complete = threading.Event()
        self._seen: list[tuple[bytes, int]] = []
        self._has_begun = False

    def note(self, raw: bytes) -> None:
        """Note a message, unless it is one from before it begins."""
        now_ns = time.perf_counter_ns()
        if not self._has_begun:
            self._has_begun = True
            print("begun", flush=True)
        self._seen.append((raw, now_ns))
        # Those from before may be many, and are told apart at the end only.
        if len(self._seen) >= self.count and number_of(raw) == self.count:
            self.is_complete.set()

    def tell(self) -> None:
        """Print what came."""
        numbered = ((number_of(raw), seen_ns) for raw, seen_ns in self._seen)
        print(json.dumps([one for one in numbered if one[0] != BEFORE]), flush=True)


async def with_subscription(url: str, notes: Notes) -> None:
    """Read as a subscription with a group does."""
    async with StreamClient(url, naming=NAMING) as client:
        subscription = client.subscribe(
            ORDERS, lambda message: notes.note(message.payload), group=GROUP
        )
        await subscription.ready(LIMIT_S)
        print("ready", flush=True)
        await asyncio.to_thread(notes.is_complete.wait, LIMIT_S)


def with_redis_py(url: str, notes: Notes) -> None:
    """Read and acknowledge in a loop."""
    store = redis.Redis.from_url(url)
    store.xgroup_create(KEY, GROUP, "$", mkstream=True)
    print("ready", flush=True)
    until = time.monotonic() + LIMIT_S
    while not notes.is_complete.is_set() and time.monotonic() < until:
        answer: Any = store.xreadgroup(GROUP, CONSUMER, {KEY: ">"}, count=BATCH, block=1_000)
        for _, entries in answer or []:
            for _, fields in entries:
                notes.note(fields[b"payload"])
            store.xack(KEY, GROUP, *[entry_id for entry_id, _ in entries])


async def with_stock(url: str, notes: Notes) -> None:
    """Read as a stock node reads its external streams."""
    port = int(url.rpartition(":")[2].partition("/")[0])
    reader = stock_publisher(port, None, external_streams=[KEY])
    reading = asyncio.ensure_future(
        reader.stream(lambda message: notes.note(bytes(message.payload)))
    )
    print("ready", flush=True)
    await asyncio.to_thread(notes.is_complete.wait, LIMIT_S)
    reader.close()
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


def main() -> None:
    """Read as the command line says."""
    url, kind, count = sys.argv[1:]
    notes = Notes(int(count))
    if kind == "enhanced":
        uvloop.run(with_subscription(url, notes))
    elif kind == "redis-py":
        with_redis_py(url, notes)
    else:
        asyncio.run(with_stock(url, notes))
    notes.tell()


if __name__ == "__main__":
    main()
