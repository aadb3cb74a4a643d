"""
What the journal takes, and how soon an order event is on disk.

::

    publish x N, the server away ──> lanes ──> keeper ──> SQLite (rows of up to 256 messages)
    └────────────────────── measured: until all of it is on disk ──────────────┘

    publish(order event) ──> lane ──> keeper, or the writer that is about to send it ──> disk
    └───────────────────────────── measured ─────────────────────────────────────────────┘

The first is in messages a second, of 200 bytes, with all lanes at ``spill``; the ceiling is the
same rows written in a loop. The second is at ``always``, 200 events a second, in milliseconds
until ``ack="fsynced"`` would be given or the row is written, with the server away, answering, and
while 20,000 quotes a second are published beside. Stock has no journal: its column is the plain
``INSERT`` and commit of one row, by itself.

Wanted: 50,000 messages a second, and 5 ms for an order event.
"""

from __future__ import annotations

import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nautilus_enhanced.benchmarks.rigs.publishing import NAMING
from nautilus_enhanced.benchmarks.rigs.publishing import ORDERS
from nautilus_enhanced.benchmarks.rigs.publishing import TOPIC
from nautilus_enhanced.benchmarks.rigs.publishing import Server
from nautilus_enhanced.benchmarks.rigs.publishing import payload
from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus import BufferSettings
from nautilus_enhanced.infrastructure.messagebus import DurabilitySettings
from nautilus_enhanced.infrastructure.messagebus import LaneSettings
from nautilus_enhanced.infrastructure.messagebus.journal.file import JournalFile
from nautilus_enhanced.infrastructure.messagebus.journal.records import Row as JournalRow
from nautilus_enhanced.infrastructure.messagebus.journal.records import Stored


if TYPE_CHECKING:
    from collections.abc import Callable


NOWHERE = "redis://127.0.0.1:1"
ROW = 256
EVENT_PAUSE_S = 0.005
FLOOD_TICK_S = 0.001
FLOOD = 20
LIMIT_S = 60.0


def start_client(
    folder: str, url: str, *, fsync: bool, durability: str
) -> BufferedMessageBusClient:
    """Return a client with a journal in `folder`."""
    lane = LaneSettings(max_messages=10_000_000, max_bytes=2**33)
    client = BufferedMessageBusClient(
        url,
        naming=NAMING,
        buffers=BufferSettings(normal=lane),
        durability=DurabilitySettings(
            critical=durability,  # type: ignore[arg-type]  # one of the three
            high=durability,  # type: ignore[arg-type]
            normal="spill",
            directory=folder,
            fsync=fsync,
        ),
    )
    client.start(2.0)
    return client


def run_spill(messages: int, *, fsync: bool) -> tuple[float, bool]:
    """Return messages a second that the journal took, and whether it has all of them."""
    payloads = [payload(number) for number in range(messages)]
    with tempfile.TemporaryDirectory() as folder:
        client = start_client(folder, NOWHERE, fsync=fsync, durability="spill")
        begin = time.perf_counter()
        for raw in payloads:
            client.offer(TOPIC, raw)
        deadline = begin + LIMIT_S
        while client.statistics().journaled < messages and time.perf_counter() < deadline:
            time.sleep(0.002)
        elapsed = time.perf_counter() - begin
        journaled = client.statistics().journaled
        client.stop(0.0)
    return messages / elapsed, journaled == messages


def run_rows(messages: int, *, fsync: bool) -> tuple[float, bool]:
    """Return messages a second that SQLite takes in such rows, and nothing else."""
    payloads = [payload(number) for number in range(messages)]
    with tempfile.TemporaryDirectory() as folder:
        file = JournalFile(Path(folder) / "x.journal", fsync=fsync)
        file.lock()
        file.open()
        begin = time.perf_counter()
        for first in range(0, messages, ROW):
            some = payloads[first : first + ROW]
            file.append(JournalRow([Stored(2, first, 0, 1, [TOPIC] * len(some), some)]))
        elapsed = time.perf_counter() - begin
        found = sum(len(row.stored[0].topics) for _, _, row in file.rows())  # type: ignore[union-attr]
        file.close()
    return messages / elapsed, found == messages


def run_events(url: str, count: int, *, fsync: bool, flood: bool) -> tuple[list[float], bool]:
    """Return milliseconds until each order event was written, and whether all were."""
    stop = threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        client = start_client(folder, url, fsync=fsync, durability="always")
        journal, lane = client._writer.journal, client._buffers.lane_of(ORDERS)  # noqa: SLF001
        quotes = threading.Thread(target=_flood, args=(client, stop), daemon=True)
        if flood:
            quotes.start()
        delays = []
        for number in range(count):
            begin = time.perf_counter()
            client.offer(ORDERS, payload(number))
            target = lane.published
            while not journal.has_written(lane, target):
                # Short, and not a spin: that would keep the interpreter from who writes.
                time.sleep(0.00005)
            delays.append(1_000 * (time.perf_counter() - begin))
            time.sleep(EVENT_PAUSE_S)
        stop.set()
        figures = client.statistics().journal
        client.stop(0.0)
    written = figures is not None and figures.unwritten == 0 and figures.written >= count
    return delays, written


def _flood(client: BufferedMessageBusClient, stop: threading.Event) -> None:
    raw = payload(0)
    while not stop.wait(FLOOD_TICK_S):
        for _ in range(FLOOD):
            client.offer(TOPIC, raw)


def run_inserts(count: int, *, fsync: bool) -> tuple[list[float], bool]:
    """Return milliseconds for writing one row with one message."""
    delays = []
    with tempfile.TemporaryDirectory() as folder:
        file = JournalFile(Path(folder) / "x.journal", fsync=fsync)
        file.lock()
        file.open()
        for number in range(count):
            row = JournalRow([Stored(1, number, 0, 1, [ORDERS], [payload(number)])])
            begin = time.perf_counter()
            file.append(row)
            delays.append(1_000 * (time.perf_counter() - begin))
            time.sleep(EVENT_PAUSE_S)
        file.close()
    return delays, True


def main() -> None:
    """Run both and print the figures."""
    options = arguments(__doc__)
    messages = sized(options, 200_000, 50_000, 1_000)
    events = sized(options, 400, 100, 5)
    rounds = sized(options, 5, 3, 1)
    rows: list[Row] = []
    for fsync in (False, True):
        sides: dict[str, Callable[[], tuple[float, bool]]] = {
            "enhanced": partial(run_spill, messages, fsync=fsync),
            "rows": partial(run_rows, messages, fsync=fsync),
        }
        found = interleave(rounds, sides)
        rates = {side: [rate for rate, _ in results] for side, results in found.items()}
        rows.append(
            make_row(
                "journal_throughput",
                f"200 bytes, fsync {fsync}, beside the same rows in a loop",
                "msg/s",
                "higher",
                rates["enhanced"],
                rates["rows"],
                verified=all(ok for results in found.values() for _, ok in results),
                parameters={"fsync": str(fsync)},
            )
        )
    with Server() as server:
        for fsync in (False, True):
            for name, url, flood in (
                ("server away", NOWHERE, False),
                ("server there", server.url, False),
                ("server there, 20,000 quotes/s", server.url, True),
            ):
                delays = interleave(
                    rounds,
                    {
                        "enhanced": partial(run_events, url, events, fsync=fsync, flood=flood),
                        "stock": partial(run_inserts, events, fsync=fsync),
                    },
                )
                rows += latency_rows(
                    "journal_order_event",
                    f"{name}, fsync {fsync}, beside one INSERT",
                    {side: [samples for samples, _ in of] for side, of in delays.items()},
                    {"p50": 0.5, "p99": 0.99, "max": 1.0},
                    verified=all(ok for side in delays.values() for _, ok in side),
                    parameters={"fsync": str(fsync), "case": name},
                )
    report(rows, options)
