"""
What the queue of the data engine costs for each quote, on top of handling it.

::

    quote ──> LiveDataEngine.process ──> queue ──> _handle_data ──> subscriber that counts
              └─────────────────── measured, per quote ──────────────────────────────┘
    quote ──> _handle_data ──> subscriber that counts                        (the ceiling)

The queueing cost is the difference of the two.

Run: python benchmarks/engine_queueing_overhead.py [--quick] [--json FILE]
"""

from __future__ import annotations

import asyncio
import gc
import time
from functools import partial

from engines import Rig
from engines import on_a_loop
from harness import Row
from harness import arguments
from harness import interleave
from harness import make_row
from harness import report


async def run_round(
    bus: str, quotes: int, loop: asyncio.AbstractEventLoop
) -> tuple[float, float, bool]:
    """Return microseconds a quote through the queue, and without it, and whether all arrived."""
    rig = Rig(bus, loop)
    await asyncio.sleep(0)
    quote, process = rig.quote, rig.data.process
    gc.collect()
    begin = time.perf_counter()
    for _ in range(quotes):
        process(quote)
    await rig.drained(quotes)
    through_us = (time.perf_counter() - begin) / quotes * 1e6
    verified = rig.handled == quotes
    handle = rig.data._handle_data  # noqa: SLF001 (the ceiling: no queue at all)
    begin = time.perf_counter()
    for _ in range(quotes):
        handle(quote)
    bare_us = (time.perf_counter() - begin) / quotes * 1e6
    await rig.stop()
    return through_us, bare_us, verified


def main() -> None:
    """Run both event loops and print the figures."""
    options = arguments(__doc__)
    rows: list[Row] = []
    quotes = 20_000 if options.quick else 50_000
    for loop_name in ("uvloop", "asyncio"):
        sides = {
            bus: partial(on_a_loop, loop_name, partial(run_round, bus, quotes))
            for bus in ("enhanced", "stock")
        }
        results = interleave(4 if options.quick else 10, sides)
        verified = all(result[2] for side in results.values() for result in side)
        through = {bus: [r[0] for r in rs] for bus, rs in results.items()}
        queueing = {bus: [r[0] - r[1] for r in rs] for bus, rs in results.items()}
        bare = min(r[1] for rs in results.values() for r in rs)
        rows.append(
            make_row(
                "engine_queueing_overhead",
                loop_name,
                "µs/quote",
                "lower",
                queueing["enhanced"],
                queueing["stock"],
                verified=verified,
            )
        )
        rows.append(
            make_row(
                "engine_throughput",
                loop_name,
                "quotes/s",
                "higher",
                [1e6 / us for us in through["enhanced"]],
                [1e6 / us for us in through["stock"]],
                1e6 / bare,
                verified=verified,
            )
        )
    report(rows, options)


if __name__ == "__main__":
    main()
