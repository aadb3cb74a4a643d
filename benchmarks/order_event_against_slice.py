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

from order_event_behind_burst import Sample
from order_event_behind_burst import run_round as run_latency_round

from nautilus_enhanced.benchmarks.rigs.engines import Rig
from nautilus_enhanced.benchmarks.rigs.engines import on_a_loop


SLICES_US = (50, 100, 250, 500, 1_000, 2_000)


async def run_round(
    slice_us: int | None, backlog: int, backlogs: int, loop: asyncio.AbstractEventLoop
) -> tuple[Sample, float, bool]:
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
    return sample, backlog / spent_s, sample.verified and rig.handled == backlog


def main() -> None:
    """Run all slices and stock in turns, on both event loops."""
    options = arguments(__doc__)
    rows: list[Row] = []
    backlog = sized(options, 50_000, 20_000, 4_000)
    backlogs = sized(options, 3, 2, 1)
    slices = sized(options, SLICES_US, SLICES_US, SLICES_US[:2])
    for loop_name in ("uvloop", "asyncio"):
        sides = {
            str(slice_us or "stock"): partial(
                on_a_loop, loop_name, partial(run_round, slice_us, backlog, backlogs)
            )
            for slice_us in (None, *slices)
        }
        results = interleave(sized(options, 5, 2, 1), sides)
        for slice_us in slices:
            pair = {"enhanced": results[str(slice_us)], "stock": results["stock"]}
            verified = all(result[2] for side in pair.values() for result in side)
            topology = f"{backlog:,} quotes, slice of {slice_us:,} µs, {loop_name}"
            parameters = {"slice_us": slice_us, "backlog": backlog, "loop": loop_name}
            rows += latency_rows(
                "order_event_against_slice",
                topology,
                {bus: [r[0].waits_ms for r in rounds] for bus, rounds in pair.items()},
                {"p50": 0.5, "p99": 0.99},
                verified=verified,
                parameters=parameters,
            )
            undisturbed = {
                "enhanced": [r[0].undisturbed_ms for r in pair["enhanced"]],
                "stock": [r[0].waits_ms for r in pair["stock"]],
            }
            if any(undisturbed["enhanced"]):
                rows += latency_rows(
                    "order_event_against_slice",
                    topology,
                    undisturbed,
                    {"p99 undisturbed": 0.99},
                    verified=verified,
                    parameters=parameters,
                )
            rows.append(
                make_row(
                    "order_event_against_slice throughput",
                    topology,
                    "quotes/s",
                    "higher",
                    [r[1] for r in pair["enhanced"]],
                    [r[1] for r in pair["stock"]],
                    verified=verified,
                    parameters=parameters,
                )
            )
    report(rows, options)
