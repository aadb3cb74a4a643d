"""
How long an order event waits that arrives behind a backlog of quotes.

::

    burst of N quotes ──> LiveDataEngine ──> subscriber (0 or 20 µs each)
    order event, from another thread ──> LiveExecutionEngine ──> handler
                                     └──────── measured ────────┘

Run: python benchmarks/order_event_behind_burst.py [--quick] [--json FILE]
"""

from __future__ import annotations

import asyncio
import threading
import time
from functools import partial
from typing import Any

from engines import Rig
from engines import on_a_loop
from harness import Row
from harness import arguments
from harness import interleave
from harness import make_row
from harness import percentile
from harness import report


class Sample:
    """What one round found."""

    def __init__(self) -> None:
        self.waits_ms: list[float] = []
        self.verified = True


async def run_round(
    bus: str, backlog: int, work_us: float, repeats: int, loop: asyncio.AbstractEventLoop
) -> Sample:
    """Measure `repeats` order events, each behind a backlog of its own."""
    rig = Rig(bus, loop)
    rig.work_s = work_us * 1e-6
    sample = Sample()
    goal = 0
    for _ in range(repeats):
        arrived: asyncio.Future[float] = loop.create_future()
        behind = 0

        def handle(_event: Any, arrived: asyncio.Future[float] = arrived) -> None:
            arrived.set_result(time.perf_counter())

        # Both buses look the handler up at each call.
        rig.execution._handle_event_with_tracking = handle  # noqa: SLF001 (the end of the measurement)
        rig.execution._record_local_activity = lambda _event: None  # noqa: SLF001 (no real order)
        for _ in range(backlog):
            rig.data.process(rig.quote)
        goal += backlog
        await asyncio.sleep(0)
        behind = goal - rig.handled
        sent = _post_from_a_thread(loop, rig.execution)
        sample.waits_ms.append((await arrived - sent()) * 1e3)
        await rig.drained(goal)
        sample.verified = sample.verified and rig.handled == goal and behind > backlog * 0.5
    await rig.stop()
    return sample


def _post_from_a_thread(loop: asyncio.AbstractEventLoop, execution: Any) -> Any:
    """Post an event as an adapter's thread does; return a function that says when."""
    times: list[float] = []

    def post() -> None:
        times.append(time.perf_counter())
        loop.call_soon_threadsafe(execution.process, object())

    thread = threading.Thread(target=post)
    thread.start()
    thread.join()
    return lambda: times[0]


def main() -> None:
    """Run all combinations and print them."""
    options = arguments(__doc__)
    rows: list[Row] = []
    cases = [(10_000, 0.0, 20), (10_000, 20.0, 10)]
    if not options.quick:
        cases += [(50_000, 0.0, 10), (50_000, 20.0, 4), (500_000, 0.0, 3)]
    for loop_name in ("uvloop", "asyncio"):
        for backlog, work_us, repeats in cases:
            sides = {
                bus: partial(
                    on_a_loop, loop_name, partial(run_round, bus, backlog, work_us, repeats)
                )
                for bus in ("enhanced", "stock")
            }
            results = interleave(2 if options.quick else 4, sides)
            verified = all(sample.verified for side in results.values() for sample in side)
            for share, name in ((0.5, "p50"), (0.99, "p99")):
                values = {
                    bus: [percentile(sample.waits_ms, share) for sample in samples]
                    for bus, samples in results.items()
                }
                rows.append(
                    make_row(
                        f"order_event_behind_burst {name}",
                        f"{backlog:,} quotes, {work_us:.0f} µs handlers, {loop_name}",
                        "ms",
                        "lower",
                        values["enhanced"],
                        values["stock"],
                        verified=verified,
                    )
                )
    report(rows, options)


if __name__ == "__main__":
    main()
