"""
How soon an order event is in the journal.

::

    publish(order event) ──> lane ──> keeper, or the writer that is about to send it ──> disk
    └───────────────────────────── measured ─────────────────────────────────────────────┘

All lanes of order flow at ``always``, 200 events a second, in milliseconds until ``ack="fsynced"``
would be given or the row is written, with the server away, answering, and while 20,000 quotes a
second are published beside. Stock has no journal: its column is the plain ``INSERT`` and commit of
one row, by itself.

Wanted: 5 ms.
"""

from __future__ import annotations

import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.harness import percentiles
from nautilus_enhanced.benchmarks.journal_throughput import NOWHERE
from nautilus_enhanced.benchmarks.journal_throughput import start_client
from nautilus_enhanced.benchmarks.rigs.publishing import ORDERS
from nautilus_enhanced.benchmarks.rigs.publishing import TOPIC
from nautilus_enhanced.benchmarks.rigs.publishing import Server
from nautilus_enhanced.benchmarks.rigs.publishing import payload
from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus.journal.file import JournalFile
from nautilus_enhanced.infrastructure.messagebus.journal.records import Row as JournalRow
from nautilus_enhanced.infrastructure.messagebus.journal.records import Stored


if TYPE_CHECKING:
    from collections.abc import Iterator


EVENT_PAUSE_S = 0.005
FLOOD_TICK_S = 0.001
FLOOD = 20


def run_events(url: str, count: int, *, fsync: bool, flood: bool) -> Observation:
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
    return Observation(figures={"ms": delays}, verified=written)


def _flood(client: BufferedMessageBusClient, stop: threading.Event) -> None:
    raw = payload(0)
    while not stop.wait(FLOOD_TICK_S):
        for _ in range(FLOOD):
            client.offer(TOPIC, raw)


def run_inserts(count: int, *, fsync: bool) -> Observation:
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
    return Observation(figures={"ms": delays})


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield the three cases, with fsync and without."""
    events = size.pick(100, 20, 5)
    with Server() as server:
        for fsync in size.pick((False, True), (False,), (False, True)):
            for name, url, flood in (
                ("server away", NOWHERE, False),
                ("server there", server.url, False),
                ("server there, 20,000 quotes/s", server.url, True),
            ):
                yield Scenario(
                    arms={
                        "enhanced": partial(run_events, url, events, fsync=fsync, flood=flood),
                        "stock": partial(run_inserts, events, fsync=fsync),
                    },
                    comparisons=[
                        Comparison(
                            topology=f"{name}, fsync {fsync}, beside one INSERT",
                            parameters={"fsync": str(fsync), "case": name},
                        )
                    ],
                    metrics=percentiles("ms", "ms", {"p50": 0.5, "p99": 0.99, "max": 1.0}),
                    rounds=size.pick(5, 3, 1),
                    warm_up=False,
                )


BENCHMARK = Benchmark(name="journal_order_event", about=__doc__, scenarios=scenarios)
