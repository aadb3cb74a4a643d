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

import argparse
import asyncio
import json
import time
from functools import partial
from typing import Any

from nautilus_enhanced.benchmarks.harness import CollectorWatch
from nautilus_enhanced.benchmarks.harness import preemptions


def measure(bus: str, work_us: float, backlog: int, orders: int) -> dict[str, Any]:
    """Run a node, and in it one order behind each of some backlogs."""
    # The parent needs none of this, and a node is only built here.
    from nautilus_enhanced.benchmarks.rigs.venue import InstantVenue  # noqa: PLC0415
    from nautilus_enhanced.benchmarks.rigs.venue import Trader  # noqa: PLC0415
    from nautilus_enhanced.benchmarks.rigs.venue import make_node  # noqa: PLC0415

    venue = InstantVenue()
    node = make_node(bus, venue)
    trader = Trader(venue, work_us * 1e-6)
    node.trader.add_strategy(trader)
    node.build()
    loop = node.get_event_loop()
    found: dict[str, Any] = {
        "loop": type(loop).__module__.partition(".")[0],
        "waits_ms": [],
        "undisturbed_ms": [],
        "verified": True,
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


def main() -> None:
    """Run all combinations and print them."""
    made = parser(__doc__)
    made.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = made.parse_args()
    if options.child:
        bus, work_us, backlog, orders = options.child
        print(json.dumps(measure(bus, float(work_us), int(backlog), int(orders))))
        return
    rows: list[Row] = []
    backlog = sized(options, 10_000, 10_000, 2_000)
    for work_us in (0.0, 20.0):
        orders = sized(options, 25, 6, 2)
        sides = {
            bus: partial(run_child, __file__, "--child", bus, work_us, backlog, orders)
            for bus in ("enhanced", "stock")
        }
        results = interleave(sized(options, 8, 2, 1), sides)
        verified = all(result["verified"] for side in results.values() for result in side)
        (loop_name,) = {result["loop"] for side in results.values() for result in side}
        topology = f"{backlog:,} quotes, {work_us:.0f} µs handlers, {loop_name}"
        parameters = {"backlog": backlog, "work_us": work_us, "loop": loop_name}
        waits = {bus: [result["waits_ms"] for result in side] for bus, side in results.items()}
        undisturbed = waits | {"enhanced": [r["undisturbed_ms"] for r in results["enhanced"]]}
        for rounds, shares in (
            (waits, {"p50": 0.5, "p99": 0.99}),
            (undisturbed, {"p99 undisturbed": 0.99}),
        ):
            if any(rounds["enhanced"]):
                rows += latency_rows(
                    "order_round_trip_behind_burst",
                    topology,
                    rounds,
                    shares,
                    verified=verified,
                    parameters=parameters,
                )
    report(rows, options)
