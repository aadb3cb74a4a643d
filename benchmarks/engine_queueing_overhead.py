"""
What the queue of the data engine costs for each quote, on top of handling it.

::

    quote ──> LiveDataEngine.process ──> queue ──> _handle_data ──> subscriber that counts
              └─────────────────── measured, per quote ──────────────────────────────┘
    quote ──> _handle_data ──> subscriber that counts                        (the ceiling)

The queueing cost is the difference of the two. Quotes come in one burst (a backlog), or ten for
each turn of the event loop (a busy market, without a backlog). The time is that of the thread, so
that other work of the machine is not in it.
"""

from __future__ import annotations

import asyncio
import gc
import time
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import Metric
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.rigs.engines import Rig
from nautilus_enhanced.benchmarks.rigs.engines import on_a_loop


if TYPE_CHECKING:
    from collections.abc import Iterator


async def run_round(
    bus: str, quotes: int, burst: int, loop: asyncio.AbstractEventLoop
) -> Observation:
    """Return microseconds a quote through the queue and of the queue, and quotes a second."""
    rig = Rig(bus, loop).start()
    await asyncio.sleep(0)
    process = rig.data.process
    feed = rig.make_quotes(burst)
    gc.collect()
    goal = 0
    begin = time.thread_time()
    for _ in range(quotes // burst):
        for quote in feed:
            process(quote)
        goal += burst
        await rig.drained(goal)
    through_us = (time.thread_time() - begin) / quotes * 1e6
    verified = rig.handled == quotes
    handle = rig.data._handle_data  # noqa: SLF001 (the ceiling: no queue at all)
    begin = time.thread_time()
    for _ in range(quotes // burst):
        for quote in feed:
            handle(quote)
    bare_us = (time.thread_time() - begin) / quotes * 1e6
    await rig.stop()
    figures = {
        "queueing_us": through_us - bare_us,
        "rate": 1e6 / through_us,
        "bare_rate": 1e6 / bare_us,
    }
    return Observation(figures=figures, verified=verified)


def loops_and_bursts(quotes: int) -> Iterator[tuple[str, int]]:
    """Yield event loops and how many quotes come at once."""
    return product(("uvloop", "asyncio"), (quotes, 10))


def make_scenario(loop_name: str, burst: int, quotes: int, rounds: int, metric: Metric) -> Scenario:
    """Return both engines on a loop, fed in bursts."""
    return Scenario(
        arms={
            bus: partial(on_a_loop, loop_name, partial(run_round, bus, quotes, burst))
            for bus in ("enhanced", "stock")
        },
        comparisons=[
            Comparison(
                topology=f"bursts of {burst:,}, {loop_name}",
                parameters={"burst": burst, "loop": loop_name},
            )
        ],
        metrics=[metric],
        rounds=rounds,
    )


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield both event loops, with a backlog and without one."""
    quotes = size.pick(50_000, 10_000, 1_000)
    metric = Metric(figure="queueing_us", unit="µs/quote")
    for loop_name, burst in loops_and_bursts(quotes):
        yield make_scenario(loop_name, burst, quotes, size.pick(16, 5, 1), metric)


BENCHMARK = Benchmark(name="engine_queueing_overhead", about=__doc__, scenarios=scenarios)
