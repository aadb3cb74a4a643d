"""
What a message costs in memory while it waits in an engine, and what that does to the collector.

::

    messages that exist already ──> engine.process ──> queue, which nothing serves
                                └── bytes that tracemalloc sees, a message ──┘

    500,000 quotes, made as they come ──> LiveDataEngine ──> subscriber that counts
                                      └── collections, until the last is handled ──┘

Bytes are those of the queues and of whatever stands for a message in them, not of the message
itself, which is there before. *At rest* is after the event loop had its turns; *while posted* is
the peak until then, when a burst comes in one turn of the loop: the stock enqueuer hands each
message to the loop, which keeps a handle and its arguments until it puts it on the queue. (What
a queue allocates at once in blocks or frees only later is in the figures as it is.)

Collections are those of Python's garbage collector, by their number, the longest and their sum.
A heap of live objects like a node's is there, since NautilusTrader is imported; a larger heap has
longer collections on either bus.
"""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from functools import partial
from typing import Any

from nautilus_enhanced.benchmarks.harness import CollectorWatch
from nautilus_enhanced.benchmarks.rigs.engines import Rig
from nautilus_enhanced.benchmarks.rigs.engines import on_a_loop


async def run_memory_round(
    bus: str, kind: str, messages: int, loop: asyncio.AbstractEventLoop
) -> tuple[float, float, bool]:
    """Return bytes a message at rest and while posted, and whether all wait in the queue."""
    # Not started: what is posted is queued and stays.
    rig = Rig(bus, loop)
    rig.on_order_event(lambda _event: None)
    waiting: list[Any] = (
        rig.make_quotes(messages) if kind == "quotes" else [object() for _ in range(messages)]
    )
    engine = rig.data if kind == "quotes" else rig.execution
    size = rig.data.data_qsize if kind == "quotes" else rig.execution.evt_qsize
    process = engine.process
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for message in waiting:
            process(message)
        for _ in range(3):
            await asyncio.sleep(0)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    verified = size() == messages
    rig.start()
    await rig.stop()
    return (after - before) / messages, (peak - before) / messages, verified


async def run_collector_round(
    bus: str, quotes: int, loop: asyncio.AbstractEventLoop
) -> tuple[float, float, float, bool]:
    """Return the number of collections, the longest, all, and whether all quotes were handled."""
    rig = Rig(bus, loop).start()
    await asyncio.sleep(0)
    process, make = rig.data.process, rig.make_quotes
    gc.collect()
    with CollectorWatch() as collector:
        for _ in range(quotes // 100):
            for quote in make(100):
                process(quote)
        await rig.drained(quotes)
    await rig.stop()
    figures = (float(len(collector.pauses)), collector.longest_ms, collector.total_ms)
    return *figures, rig.handled == quotes


def memory_rows(loop_name: str, messages: int, rounds: int) -> list[Row]:
    """Measure the bytes of quotes and of order events."""
    rows = []
    for kind in ("quotes", "order events"):
        sides = {
            bus: partial(on_a_loop, loop_name, partial(run_memory_round, bus, kind, messages))
            for bus in ("enhanced", "stock")
        }
        results = interleave(rounds, sides)
        verified = all(result[2] for side in results.values() for result in side)
        for index, state in enumerate(("at rest", "while posted")):
            values = {bus: [result[index] for result in side] for bus, side in results.items()}
            rows.append(
                make_row(
                    f"engine_memory_per_message {state}",
                    f"{messages:,} {kind}, {loop_name}",
                    "bytes",
                    "lower",
                    values["enhanced"],
                    values["stock"],
                    verified=verified,
                    parameters={"kind": kind, "loop": loop_name},
                )
            )
    return rows


def collector_rows(loop_name: str, quotes: int, rounds: int) -> list[Row]:
    """Measure the collections while quotes wait."""
    sides = {
        bus: partial(on_a_loop, loop_name, partial(run_collector_round, bus, quotes))
        for bus in ("enhanced", "stock")
    }
    results = interleave(rounds, sides)
    verified = all(result[3] for side in results.values() for result in side)
    rows = []
    for index, (name, unit) in enumerate(
        (("collections", "count"), ("longest collection", "ms"), ("all collections", "ms"))
    ):
        values = {bus: [result[index] for result in side] for bus, side in results.items()}
        rows.append(
            make_row(
                f"engine_memory_per_message {name}",
                f"{quotes:,} quotes, {loop_name}",
                unit,
                "lower",
                values["enhanced"],
                values["stock"],
                verified=verified,
                parameters={"loop": loop_name},
            )
        )
    return rows


def main() -> None:
    """Run both event loops and print the figures."""
    options = arguments(__doc__)
    rows: list[Row] = []
    for loop_name in ("uvloop", "asyncio"):
        rows += memory_rows(
            loop_name, sized(options, 200_000, 50_000, 2_000), sized(options, 3, 2, 1)
        )
        rows += collector_rows(
            loop_name, sized(options, 500_000, 100_000, 2_000), sized(options, 5, 2, 1)
        )
    report(rows, options)
