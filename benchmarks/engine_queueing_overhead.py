"""
What the queue of the data engine costs for each quote, on top of handling it.

::

    quote ──> LiveDataEngine.process ──> queue ──> _handle_data ──> subscriber that counts
              └─────────────────── measured, per quote ──────────────────────────────┘
    quote ──> _handle_data ──> subscriber that counts                        (the ceiling)

The queueing cost is the difference of the two. Quotes come in one burst (a backlog), or ten for
each turn of the event loop (a busy market, without a backlog).

Run: python benchmarks/engine_queueing_overhead.py [--quick] [--json FILE]
"""

from __future__ import annotations

import asyncio
import gc
import time
from functools import partial
from itertools import product

from engines import Rig
from engines import on_a_loop
from harness import Row
from harness import arguments
from harness import interleave
from harness import make_row
from harness import report
from harness import sized


async def run_round(
    bus: str, quotes: int, burst: int, loop: asyncio.AbstractEventLoop
) -> tuple[float, float, bool]:
    """Return microseconds a quote through the queue, and without it, and whether all arrived."""
    rig = Rig(bus, loop).start()
    await asyncio.sleep(0)
    process = rig.data.process
    feed = rig.make_quotes(burst)
    gc.collect()
    goal = 0
    begin = time.perf_counter()
    for _ in range(quotes // burst):
        for quote in feed:
            process(quote)
        goal += burst
        await rig.drained(goal)
    through_us = (time.perf_counter() - begin) / quotes * 1e6
    verified = rig.handled == quotes
    handle = rig.data._handle_data  # noqa: SLF001 (the ceiling: no queue at all)
    begin = time.perf_counter()
    for _ in range(quotes // burst):
        for quote in feed:
            handle(quote)
    bare_us = (time.perf_counter() - begin) / quotes * 1e6
    await rig.stop()
    return through_us, bare_us, verified


def main() -> None:
    """Run both event loops and print the figures."""
    options = arguments(__doc__)
    rows: list[Row] = []
    quotes = sized(options, 50_000, 20_000, 1_000)
    for loop_name, burst in product(("uvloop", "asyncio"), (quotes, 10)):
        sides = {
            bus: partial(on_a_loop, loop_name, partial(run_round, bus, quotes, burst))
            for bus in ("enhanced", "stock")
        }
        results = interleave(sized(options, 16, 6, 1), sides)
        verified = all(result[2] for side in results.values() for result in side)
        through = {bus: [r[0] for r in rs] for bus, rs in results.items()}
        queueing = {bus: [r[0] - r[1] for r in rs] for bus, rs in results.items()}
        bare = min(r[1] for rs in results.values() for r in rs)
        topology = f"bursts of {burst:,}, {loop_name}"
        parameters = {"burst": burst, "loop": loop_name}
        rows += [
            make_row(
                "engine_queueing_overhead",
                topology,
                "µs/quote",
                "lower",
                queueing["enhanced"],
                queueing["stock"],
                verified=verified,
                parameters=parameters,
            ),
            make_row(
                "engine_throughput",
                topology,
                "quotes/s",
                "higher",
                [1e6 / us for us in through["enhanced"]],
                [1e6 / us for us in through["stock"]],
                1e6 / bare,
                verified=verified,
                parameters=parameters,
            ),
        ]
    report(rows, options)


if __name__ == "__main__":
    main()
