"""
What the queue of the data engine costs for each quote, on top of handling it.

::

    quote ──> LiveDataEngine.process ──> queue ──> _handle_data ──> subscriber that counts
              └─────────────────── measured, per quote ──────────────────────────────┘
    quote ──> _handle_data ──> subscriber that counts                    (without the queue)

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

    from nautilus_trader.model.data import QuoteTick


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
    bare_us = handle(rig, feed, quotes)
    await rig.stop()
    figures = {"queueing_us": through_us - bare_us, "rate": 1e6 / through_us}
    return Observation(figures=figures, verified=verified)


async def run_bare_round(quotes: int, burst: int, loop: asyncio.AbstractEventLoop) -> Observation:
    """Return quotes a second that are handled without a queue."""
    rig = Rig("stock", loop).start()
    feed = rig.make_quotes(burst)
    gc.collect()
    each_us = handle(rig, feed, quotes)
    verified = rig.handled == quotes
    await rig.stop()
    return Observation(figures={"rate": 1e6 / each_us}, verified=verified)


def handle(rig: Rig, feed: list[QuoteTick], quotes: int) -> float:
    """Return microseconds that a quote takes which is handled at once."""
    handle_data = rig.data._handle_data  # noqa: SLF001 (what a queue leads to)
    begin = time.thread_time()
    for _ in range(quotes // len(feed)):
        for quote in feed:
            handle_data(quote)
    return (time.thread_time() - begin) / quotes * 1e6


def loops_and_bursts(size: Size) -> Iterator[tuple[str, int, int]]:
    """Yield event loops, how many quotes come at once, and how many there are."""
    quotes = size.pick(20_000, 5_000, 1_000)
    for loop_name, burst in product(("uvloop", "asyncio"), (quotes, 10)):
        if size is not Size.QUICK or loop_name == "uvloop":
            yield loop_name, burst, quotes


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield both event loops, with a backlog and without one."""
    for loop_name, burst, quotes in loops_and_bursts(size):
        yield Scenario(
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
            metrics=[Metric(figure="queueing_us", unit="µs/quote")],
            rounds=size.pick(7, 3, 1),
        )


BENCHMARK = Benchmark(name="engine_queueing_overhead", about=__doc__, scenarios=scenarios)
