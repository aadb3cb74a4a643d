"""
How long a market order takes in a whole node while quotes are queued, from submit to filled.

::

    venue ── burst of N quotes ──> LiveDataEngine ──> cache, strategy (0 or 20 µs each)
    strategy ── submit ──> LiveRiskEngine ──> LiveExecutionEngine ──> venue
    strategy <── filled ── LiveExecutionEngine <── submitted, accepted, filled ──┘
    └───────────────────── measured ─────────────────────┘

A real `TradingNode` on its own event loop, in a process of its own for each round; the venue is
in the process and fills at once, at the price of its own market. The order is submitted when the
burst is queued and not yet handled. `undisturbed` is as in ``order_event_behind_burst.py``.
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
from nautilus_enhanced.benchmarks.harness import Metric
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.harness import call_apart
from nautilus_enhanced.benchmarks.harness import percentiles
from nautilus_enhanced.benchmarks.harness import preemptions
from nautilus_enhanced.benchmarks.rigs.venue import InstantVenue
from nautilus_enhanced.benchmarks.rigs.venue import Trader
from nautilus_enhanced.benchmarks.rigs.venue import make_node


if TYPE_CHECKING:
    from collections.abc import Iterator


# What a node runs on: it sets uvloop's policy itself.
LOOP = "uvloop"
METRICS = (
    *percentiles("ms", "ms", {"p50": 0.5, "p99": 0.99}),
    Metric(
        figure="undisturbed_ms",
        others_figure="ms",
        unit="ms",
        label="p99 undisturbed",
        share=0.99,
    ),
)


def measure(bus: str, work_us: float, backlog: int, orders: int) -> dict[str, Any]:
    """Run a node, and in it one order behind each of some backlogs."""
    venue = InstantVenue()
    node = make_node(bus, venue)
    trader = Trader(venue, work_us * 1e-6)
    node.trader.add_strategy(trader)
    node.build()
    loop: Any = node.get_event_loop()
    found: dict[str, Any] = {
        "waits_ms": [],
        "undisturbed_ms": [],
        "verified": type(loop).__module__.partition(".")[0] == LOOP,
    }

    async def play() -> None:
        with CollectorWatch() as collector:
            for _ in range(orders):
                quotes = venue.make_quotes(backlog)
                goal = trader.quotes + backlog
                for quote in quotes:
                    venue.feed(quote)
                # The stock enqueuer puts what it gets on its queue in this turn of the loop.
                await asyncio.sleep(0)
                behind = goal - trader.quotes
                preempted = preemptions()
                begin = time.perf_counter()
                end = await trader.submit_and_wait()
                found["waits_ms"].append((end - begin) * 1e3)
                if preemptions() == preempted and not collector.paused_ms(begin, end):
                    found["undisturbed_ms"].append((end - begin) * 1e3)
                while trader.quotes < goal:  # noqa: ASYNC110 (a strategy has no event to wait for)
                    await asyncio.sleep(0)
                found["verified"] &= behind > backlog / 2 and trader.quotes == goal

    async def play_and_stop() -> None:
        try:
            await asyncio.wait_for(play(), 60.0)
        except TimeoutError:
            found["verified"] = False
        finally:
            node.stop()

    def started() -> None:
        found["task"] = loop.create_task(play_and_stop())

    trader.at_start = started
    node.run()
    found.pop("task").result()
    found["verified"] &= len(found["waits_ms"]) == orders == trader.filled
    node.dispose()
    return found


def run_round(bus: str, work_us: float, backlog: int, orders: int) -> Observation:
    """Run a node in a process of its own."""
    found = call_apart(measure, bus, work_us, backlog, orders)
    figures = {"ms": found["waits_ms"], "undisturbed_ms": found["undisturbed_ms"]}
    return Observation(figures=figures, verified=found["verified"])


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield both kinds of handlers."""
    backlog, orders = size.pick(10_000, 10_000, 2_000), size.pick(8, 3, 2)
    for work_us in size.pick((0.0, 20.0), (20.0,), (0.0, 20.0)):
        yield Scenario(
            arms={
                bus: partial(run_round, bus, work_us, backlog, orders)
                for bus in ("enhanced", "stock")
            },
            comparisons=[
                Comparison(
                    topology=f"{backlog:,} quotes, {work_us:.0f} µs handlers, {LOOP}",
                    parameters={"backlog": backlog, "work_us": work_us, "loop": LOOP},
                )
            ],
            metrics=METRICS,
            rounds=size.pick(4, 2, 1),
            warm_up=False,
        )


BENCHMARK = Benchmark(name="order_round_trip_behind_burst", about=__doc__, scenarios=scenarios)
