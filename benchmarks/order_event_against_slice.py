"""
What the length of a slice buys and costs: latency of order events, throughput of quotes.

::

    burst of N quotes ──> LiveDataEngine ──> slices of 50 to 2,000 µs ──> subscriber (0 µs)
    order event, by call_soon_threadsafe ──> LiveExecutionEngine ──> handler
                                         └──────── latency ─────────┘
    quotes of the burst ÷ (queueing and handling all of them)            throughput

Latency is measured as in ``order_event_behind_burst.py``, which see. Stock has no slices: its
figures are those of the same run, and the same in every row.
"""

from __future__ import annotations

import asyncio
import gc
import time
from functools import partial
from typing import TYPE_CHECKING

from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import Curve
from nautilus_enhanced.benchmarks.harness import Metric
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.harness import percentiles
from nautilus_enhanced.benchmarks.order_event_behind_burst import LOOP_NAMES
from nautilus_enhanced.benchmarks.order_event_behind_burst import run_round as run_latency_round
from nautilus_enhanced.benchmarks.rigs.engines import Rig
from nautilus_enhanced.benchmarks.rigs.engines import on_a_loop


if TYPE_CHECKING:
    from collections.abc import Iterator


SLICES_US = (50, 100, 250, 500, 1_000, 2_000)
METRICS = (
    *percentiles("ms", "ms", {"p50": 0.5, "p99": 0.99}),
    Metric(
        figure="undisturbed_ms",
        others_figure="ms",
        unit="ms",
        label="p99 undisturbed",
        share=0.99,
    ),
    Metric(figure="rate", unit="quotes/s", better="higher", label="throughput"),
)


async def run_round(
    slice_us: int | None, backlog: int, backlogs: int, loop: asyncio.AbstractEventLoop
) -> Observation:
    """Return the latencies, quotes a second, and whether all quotes arrived; None is stock."""
    bus = "stock" if slice_us is None else "enhanced"
    sample = await run_latency_round(bus, backlog, 0.0, backlogs, loop, slice_us=slice_us)
    rig = Rig(bus, loop, slice_us).start()
    await asyncio.sleep(0)
    quotes = rig.make_quotes(backlog)
    process = rig.data.process
    gc.collect()
    begin = time.perf_counter()
    for quote in quotes:
        process(quote)
    await rig.drained(backlog)
    spent_s = time.perf_counter() - begin
    await rig.stop()
    figures = {**sample.figures, "rate": backlog / spent_s}
    return Observation(figures=figures, verified=sample.verified and rig.handled == backlog)


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield all slices and stock, on both event loops."""
    backlog, backlogs = size.pick(20_000, 10_000, 4_000), size.pick(3, 1, 1)
    slices = size.pick(SLICES_US, (100, 1_000), SLICES_US[:2])
    for loop_name in size.pick(LOOP_NAMES, LOOP_NAMES[:1], LOOP_NAMES):
        yield Scenario(
            arms={
                str(slice_us or "stock"): partial(
                    on_a_loop, loop_name, partial(run_round, slice_us, backlog, backlogs)
                )
                for slice_us in (None, *slices)
            },
            comparisons=[
                Comparison(
                    topology=f"{backlog:,} quotes, slice of {slice_us:,} µs, {loop_name}",
                    enhanced=str(slice_us),
                    parameters={"slice_us": slice_us, "backlog": backlog, "loop": loop_name},
                )
                for slice_us in slices
            ],
            metrics=METRICS,
            rounds=size.pick(3, 3, 1),
        )


BENCHMARK = Benchmark(
    name="order_event_against_slice",
    about=__doc__,
    scenarios=scenarios,
    curves=(
        Curve(
            title="How long an order event waits, by the length of a slice",
            row="order_event_against_slice p50",
            parameter="slice_us",
            axis="slice_us",
            why="An event waits for one slice, so it is as late as a slice is long; stock has "
            "none.",
            split=("loop",),
        ),
        Curve(
            title="Quotes a second, by the length of a slice",
            row="order_event_against_slice throughput",
            parameter="slice_us",
            axis="slice_us",
            why="Between two slices the loop looks at its sockets and timers: what that takes is "
            "shared by fewer quotes the shorter a slice is.",
            split=("loop",),
        ),
    ),
)
