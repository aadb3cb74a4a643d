"""
How late a reader sees an order event, by how many quotes a second are published beside.

::

    trading thread ──┬─ quotes, 1,000/s to 200,000/s ──> publish ─┐
                     └─ an order event every 4.7 ms ──> publish ──┴─> server ──> XREAD in another
                     └ due                                                       process: seen ┘
                     └────────────────────────── measured ────────────────────────────────────┘

As in ``publish_latency_under_flood``, which see; beside stock with 10 ms of buffering, its best
setting there. `arrived` is the share of the events that came within a second after the end.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import Curve
from nautilus_enhanced.benchmarks.harness import Metric
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.harness import percentiles
from nautilus_enhanced.benchmarks.publish_latency_under_flood import Flood
from nautilus_enhanced.benchmarks.publish_latency_under_flood import run_round
from nautilus_enhanced.benchmarks.rigs.publishing import Server


if TYPE_CHECKING:
    from collections.abc import Iterator


RATES = (1_000, 5_000, 20_000, 50_000, 100_000, 200_000)
STOCK = "stock 10"
METRICS = (
    *percentiles("late_ms", "ms", {"p50": 0.5, "p99": 0.99}, is_driven=True),
    Metric(figure="arrived", unit="%", better="higher", label="arrived", is_driven=True),
)


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield all rates on one server."""
    seconds = size.pick(0.5, 0.2, 0.1)
    with Server() as server:
        for per_s in size.pick(RATES, (100_000,), (1_000, 20_000)):
            yield Scenario(
                arms={
                    kind: partial(run_round, server, kind, Flood(per_s), seconds)
                    for kind in ("enhanced", STOCK)
                },
                comparisons=[
                    Comparison(
                        topology=f"quotes at {per_s:,}/s, {STOCK} ms",
                        stock=STOCK,
                        parameters={"quotes_per_s": per_s},
                    )
                ],
                metrics=METRICS,
                rounds=size.pick(3, 2, 1),
                warm_up=False,
            )


BENCHMARK = Benchmark(
    name="load_rate",
    about=__doc__,
    scenarios=scenarios,
    processes=3,
    curves=(
        Curve(
            title="How late an order event is seen, by the rate of quotes",
            row="load_rate p50",
            parameter="quotes_per_s",
            axis="quotes a second",
            why="Order events have a lane of their own and wait for one batch at most: ours is "
            "level. Those of stock wait for its interval, and from about 100,000 quotes a second "
            "on for the quotes that were published before them.",
        ),
    ),
)
