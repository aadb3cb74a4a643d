"""
A reader in a process of its own: notes when it saw each order event.

It waits in XREAD for the next entry, as a consumer does. It returns the number of each event in the
order in which it came, and when it was seen in nanoseconds of ``time.perf_counter_ns``, which on
Linux is the same clock in all processes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from typing import Any

import redis

from nautilus_enhanced.benchmarks.harness import Apart
from nautilus_enhanced.benchmarks.harness import spare_imports
from nautilus_enhanced.benchmarks.harness import tell
from nautilus_enhanced.benchmarks.rigs.publishing import NAMING
from nautilus_enhanced.benchmarks.rigs.publishing import ORDERS
from nautilus_enhanced.benchmarks.rigs.publishing import payload


if TYPE_CHECKING:
    from types import TracebackType

    from nautilus_enhanced.benchmarks.rigs.publishing import Server


BLOCK_MS = 1_000
END = b"end"
LIMIT_S = 60.0


class OrderEventReader:
    """
    Start the reader, and tell it when to end.

    Parameters
    ----------
    server : Server
        The server, with no order events in it.
    """

    def __init__(self, server: Server) -> None:
        self._store = server.store
        self._child = Apart(read_until_end, server.url)

    def __enter__(self) -> OrderEventReader:
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

    def end(self) -> list[tuple[int, int]]:
        """
        Return number and time of all events that came until now.

        An event that differs from what was published has the number -1.
        """
        self._store.xadd(NAMING.key(ORDERS), {"payload": END})
        return [(number, seen_ns) for number, seen_ns in self._child.result(LIMIT_S)]


def read_until_end(url: str) -> list[tuple[int, int]]:
    """Read order events until the one that says that it is the last."""
    spare_imports()
    store: Any = redis.Redis.from_url(url)
    store.ping()
    tell("ready")
    key, last = NAMING.key(ORDERS), b"0"
    entries: list[tuple[bytes, int]] = []
    while True:
        for _, found in store.xread({key: last}, block=BLOCK_MS, count=1_000) or []:
            seen_ns = time.perf_counter_ns()
            for entry_id, fields in found:
                last, raw = entry_id, fields[b"payload"]
                if raw == END:
                    return [(number_of(raw), seen) for raw, seen in entries]
                entries.append((raw, seen_ns))


def number_of(raw: bytes) -> int:
    """Return the number that `payload` was called with, -1 if it gives something else."""
    digits = raw[11:20]
    return int(digits) if digits.isdigit() and payload(int(digits)) == raw else -1
