"""
How long an order event waits that arrives behind a backlog of quotes.

::

    burst of N quotes ──> LiveDataEngine ──> subscriber (0 or 20 µs each)
    order event, by call_soon_threadsafe ──> LiveExecutionEngine ──> handler
                                         └──────── measured ────────┘

An event is sent when the whole burst is queued; while at least half of it still waits, another
one follows as soon as the last one arrived. So a backlog gives stock one sample (its event comes
after the backlog) and the dispatcher up to `EVENTS`. They are sent between two slices, which is
the worst moment: a whole slice is still to come. Percentiles are of all samples of all rounds.

`undisturbed` are the samples in which neither the garbage collector ran nor the system gave the
processor to somebody else. Stock's are all its samples there: its waits are so long that hardly
any is undisturbed, and a disturbance is a small part of them.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from dataclasses import field
from functools import partial
from typing import Any

from nautilus_enhanced.benchmarks.harness import CollectorWatch
from nautilus_enhanced.benchmarks.harness import preemptions
from nautilus_enhanced.benchmarks.rigs.engines import Rig
from nautilus_enhanced.benchmarks.rigs.engines import on_a_loop


# Order events for each backlog, at most.
EVENTS = 25


@dataclass
class Sample:
    """What one round found: waits in milliseconds, and those that nothing else disturbed."""

    waits_ms: list[float] = field(default_factory=list)
    undisturbed_ms: list[float] = field(default_factory=list)
    verified: bool = True


async def run_round(
    bus: str,
    backlog: int,
    work_us: float,
    backlogs: int,
    loop: asyncio.AbstractEventLoop,
    *,
    slice_us: int | None = None,
) -> Sample:
    """Send order events behind each of some backlogs."""
    rig = Rig(bus, loop, slice_us).start()
    rig.work_s = work_us * 1e-6
    quotes = rig.make_quotes(backlog)
    sample = Sample()
    process = rig.data.process
    goal = 0
    with CollectorWatch() as collector:
        for _ in range(backlogs):
            for quote in quotes:
                process(quote)
            goal += backlog
            # The stock enqueuer puts what it gets on its queue in this turn of the loop.
            await asyncio.sleep(0)
            for number in range(EVENTS):
                waiting = goal - rig.handled
                if waiting < backlog / 2:
                    # Without a backlog in front of the first event nothing was measured.
                    sample.verified = sample.verified and number > 0
                    break
                preempted = preemptions()
                begin, end = await _send_event(rig, loop)
                wait_ms = (end - begin) * 1e3
                sample.waits_ms.append(wait_ms)
                if preemptions() == preempted and not collector.paused_ms(begin, end):
                    sample.undisturbed_ms.append(wait_ms)
            await rig.drained(goal)
            sample.verified = sample.verified and rig.handled == goal
    await rig.stop()
    return sample


async def _send_event(rig: Rig, loop: asyncio.AbstractEventLoop) -> tuple[float, float]:
    """Send an event as an adapter's thread does; return when, and when it was handled."""
    arrived: asyncio.Future[float] = loop.create_future()

    def handle(handled: Any) -> None:
        if handled is event:
            arrived.set_result(time.perf_counter())

    event = object()
    rig.on_order_event(handle)
    begin = time.perf_counter()
    # Not from a thread of its own: waiting for it would measure how soon a busy machine wakes
    # this one again.
    loop.call_soon_threadsafe(rig.execution.process, event)
    return begin, await arrived


def main() -> None:
    """Run all combinations and print them."""
    options = arguments(__doc__)
    rows: list[Row] = []
    # Quotes, microseconds of work in their handler, backlogs in a round.
    full = [
        (1_000, 0.0, 100),
        (1_000, 20.0, 20),
        (10_000, 0.0, 20),
        (10_000, 20.0, 8),
        (50_000, 0.0, 5),
        (50_000, 20.0, 2),
        (500_000, 0.0, 2),
        (500_000, 20.0, 1),
    ]
    quick = [(10_000, 0.0, 10), (10_000, 20.0, 4)]
    for loop_name in ("uvloop", "asyncio"):
        for backlog, work_us, backlogs in sized(options, full, quick, [(1_000, 0.0, 2)]):
            sides = {
                bus: partial(
                    on_a_loop, loop_name, partial(run_round, bus, backlog, work_us, backlogs)
                )
                for bus in ("enhanced", "stock")
            }
            results = interleave(sized(options, 3, 2, 1), sides)
            verified = all(sample.verified for side in results.values() for sample in side)
            topology = f"{backlog:,} quotes, {work_us:.0f} µs handlers, {loop_name}"
            parameters = {"backlog": backlog, "work_us": work_us, "loop": loop_name}
            rows += latency_rows(
                "order_event_behind_burst",
                topology,
                {bus: [s.waits_ms for s in samples] for bus, samples in results.items()},
                {"p50": 0.5, "p99": 0.99, "max": 1.0},
                verified=verified,
                parameters=parameters,
            )
            undisturbed = {
                "enhanced": [s.undisturbed_ms for s in results["enhanced"]],
                "stock": [s.waits_ms for s in results["stock"]],
            }
            if any(undisturbed["enhanced"]):  # on a busy machine there may be none
                rows += latency_rows(
                    "order_event_behind_burst",
                    topology,
                    undisturbed,
                    {"p99 undisturbed": 0.99},
                    verified=verified,
                    parameters=parameters,
                )
    report(rows, options)
