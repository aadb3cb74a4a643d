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
from typing import TYPE_CHECKING
from typing import Any

from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import CollectorWatch
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import Metric
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.rigs.engines import Rig
from nautilus_enhanced.benchmarks.rigs.engines import on_a_loop


if TYPE_CHECKING:
    from collections.abc import Iterator


LOOPS = ("uvloop", "asyncio")


async def run_memory_round(
    bus: str, kind: str, messages: int, loop: asyncio.AbstractEventLoop
) -> Observation:
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
    figures = {"at rest": (after - before) / messages, "while posted": (peak - before) / messages}
    return Observation(figures=figures, verified=verified)


async def run_collector_round(
    bus: str, quotes: int, loop: asyncio.AbstractEventLoop
) -> Observation:
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
    figures = {
        "collections": float(len(collector.pauses)),
        "longest": collector.longest_ms,
        "all": collector.total_ms,
    }
    return Observation(figures=figures, verified=rig.handled == quotes)


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield, on both event loops, what waiting messages weigh, and what that makes collected."""
    messages, quotes = size.pick(100_000, 10_000, 2_000), size.pick(200_000, 30_000, 2_000)
    for loop_name in size.pick(LOOPS, LOOPS[:1], LOOPS):
        for kind in ("quotes", "order events"):
            yield Scenario(
                arms={
                    bus: partial(
                        on_a_loop, loop_name, partial(run_memory_round, bus, kind, messages)
                    )
                    for bus in ("enhanced", "stock")
                },
                comparisons=[
                    Comparison(
                        topology=f"{messages:,} {kind}, {loop_name}",
                        parameters={"kind": kind, "loop": loop_name},
                    )
                ],
                metrics=[
                    Metric(figure=state, unit="bytes", label=state)
                    for state in ("at rest", "while posted")
                ],
                rounds=size.pick(3, 3, 1),
                # Bytes are bytes from the first time on.
                warm_up=False,
            )
        yield Scenario(
            arms={
                bus: partial(on_a_loop, loop_name, partial(run_collector_round, bus, quotes))
                for bus in ("enhanced", "stock")
            },
            comparisons=[
                Comparison(
                    topology=f"{quotes:,} quotes, {loop_name}", parameters={"loop": loop_name}
                )
            ],
            metrics=[
                Metric(figure="collections", unit="count", label="collections"),
                Metric(figure="longest", unit="ms", label="longest collection"),
                Metric(figure="all", unit="ms", label="all collections"),
            ],
            rounds=size.pick(3, 3, 1),
            warm_up=False,
        )


BENCHMARK = Benchmark(name="engine_memory_per_message", about=__doc__, scenarios=scenarios)
