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
from functools import partial
from typing import TYPE_CHECKING
from typing import Any

from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import CollectorWatch
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import Curve
from nautilus_enhanced.benchmarks.harness import Metric
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.harness import percentiles
from nautilus_enhanced.benchmarks.harness import preemptions
from nautilus_enhanced.benchmarks.rigs.engines import Rig
from nautilus_enhanced.benchmarks.rigs.engines import on_a_loop


if TYPE_CHECKING:
    from collections.abc import Iterator


# Order events for each backlog, at most.
EVENTS = 25
LOOP_NAMES = ("uvloop", "asyncio")

TAILS = {"p50": 0.5, "p99": 0.99, "max": 1.0}
METRICS = (
    *percentiles("ms", "ms", TAILS),
    Metric(
        figure="undisturbed_ms",
        others_figure="ms",
        unit="ms",
        label="p99 undisturbed",
        share=0.99,
    ),
)
# Quotes, microseconds of work in their handler, backlogs in a round.
FULL = (
    # Without work a hundred quotes are over before anything else could come.
    (100, 20.0, 50),
    (1_000, 0.0, 40),
    (1_000, 20.0, 10),
    (10_000, 0.0, 10),
    (10_000, 20.0, 3),
    (50_000, 0.0, 3),
    (50_000, 20.0, 1),
    (500_000, 0.0, 1),
)
# On the other event loop: the dispatcher is the same.
FEWER = ((1_000, 0.0, 40), (10_000, 20.0, 3))
QUICK = ((1_000, 0.0, 10), (10_000, 20.0, 1))
TINY = ((1_000, 0.0, 2),)


async def run_round(
    bus: str,
    backlog: int,
    work_us: float,
    backlogs: int,
    loop: asyncio.AbstractEventLoop,
    *,
    slice_us: int | None = None,
) -> Observation:
    """Send order events behind each of some backlogs."""
    rig = Rig(bus, loop, slice_us).start()
    rig.work_s = work_us * 1e-6
    quotes = rig.make_quotes(backlog)
    waits_ms: list[float] = []
    undisturbed_ms: list[float] = []
    verified = True
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
                    verified = verified and number > 0
                    break
                preempted = preemptions()
                begin, end = await _send_event(rig, loop)
                wait_ms = (end - begin) * 1e3
                waits_ms.append(wait_ms)
                if preemptions() == preempted and not collector.paused_ms(begin, end):
                    undisturbed_ms.append(wait_ms)
            await rig.drained(goal)
            verified = verified and rig.handled == goal
    await rig.stop()
    figures = {"ms": waits_ms, "undisturbed_ms": undisturbed_ms}
    return Observation(figures=figures, verified=verified)


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


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield backlogs of all lengths, with both kinds of handlers, on both event loops."""
    for loop_name in size.pick(LOOP_NAMES, LOOP_NAMES[:1], LOOP_NAMES):
        full = FULL if loop_name == LOOP_NAMES[0] else FEWER
        for backlog, work_us, backlogs in size.pick(full, QUICK, TINY):
            yield Scenario(
                arms={
                    bus: partial(
                        on_a_loop, loop_name, partial(run_round, bus, backlog, work_us, backlogs)
                    )
                    for bus in ("enhanced", "stock")
                },
                comparisons=[
                    Comparison(
                        topology=f"{backlog:,} quotes, {work_us:.0f} µs handlers, {loop_name}",
                        parameters={"backlog": backlog, "work_us": work_us, "loop": loop_name},
                    )
                ],
                metrics=METRICS,
                rounds=3,
            )


BENCHMARK = Benchmark(
    name="order_event_behind_burst",
    about=__doc__,
    scenarios=scenarios,
    curves=(
        Curve(
            title="How long an order event waits behind a backlog",
            row="order_event_behind_burst p50",
            parameter="backlog",
            axis="quotes that wait",
            why="Stock serves every quote of the backlog first: its line has slope 1. Ours waits "
            "for one slice of the dispatcher (250 µs) and is level: even the shortest backlog "
            "here takes longer than a slice.",
            split=("work_us", "loop"),
        ),
    ),
)
