"""
What the journal takes.

::

    publish x N, the server away ──> lanes ──> keeper ──> SQLite (rows of up to 256 messages)
    └────────────────────── measured: until all of it is on disk ──────────────┘

In messages a second, of 200 bytes, with all lanes at ``spill``. Stock has no journal: its column
is the same rows written in a loop, and nothing else.

Wanted: 50,000 messages a second.
"""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import Metric
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.rigs.publishing import NAMING
from nautilus_enhanced.benchmarks.rigs.publishing import TOPIC
from nautilus_enhanced.benchmarks.rigs.publishing import payload
from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus import BufferSettings
from nautilus_enhanced.infrastructure.messagebus import DurabilitySettings
from nautilus_enhanced.infrastructure.messagebus import LaneSettings
from nautilus_enhanced.infrastructure.messagebus.journal.file import JournalFile
from nautilus_enhanced.infrastructure.messagebus.journal.records import Row as JournalRow
from nautilus_enhanced.infrastructure.messagebus.journal.records import Stored


if TYPE_CHECKING:
    from collections.abc import Iterator


NOWHERE = "redis://127.0.0.1:1"
ROW = 256
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


def run_spill(messages: int, *, fsync: bool) -> Observation:
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
    return Observation(figures={"rate": messages / elapsed}, verified=journaled == messages)


def run_rows(messages: int, *, fsync: bool) -> Observation:
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
        rows: Any = file.rows()
        found = sum(len(row.stored[0].topics) for _, _, row in rows)
        file.close()
    return Observation(figures={"rate": messages / elapsed}, verified=found == messages)


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield both, with fsync and without."""
    messages = size.pick(100_000, 15_000, 1_000)
    for fsync in (False, True):
        yield Scenario(
            arms={
                "enhanced": partial(run_spill, messages, fsync=fsync),
                "rows": partial(run_rows, messages, fsync=fsync),
            },
            comparisons=[
                Comparison(
                    topology=f"200 bytes, fsync {fsync}, beside the same rows in a loop",
                    stock="rows",
                    parameters={"fsync": str(fsync)},
                )
            ],
            metrics=[Metric(figure="rate", unit="msg/s", better="higher")],
            rounds=size.pick(5, 3, 1),
        )


BENCHMARK = Benchmark(name="journal_throughput", about=__doc__, scenarios=scenarios)
