"""
Quotes a second that the data engine takes, queues and handles.

::

    quote ──> LiveDataEngine.process ──> queue ──> _handle_data ──> subscriber that counts
              └─────────────────── measured, of all quotes ──────────────────────────┘
    quote ──> _handle_data ──> subscriber that counts                        (the ceiling)

Quotes come as in ``engine_queueing_overhead``, and the time is that of the thread.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from nautilus_enhanced.benchmarks.engine_queueing_overhead import feeds
from nautilus_enhanced.benchmarks.engine_queueing_overhead import loops_and_bursts
from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import Metric
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size


if TYPE_CHECKING:
    from collections.abc import Iterator


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield both event loops, with a backlog and without one."""
    for loop_name, burst, quotes in loops_and_bursts(size):
        with feeds(loop_name, burst, ("enhanced", "stock", "bare")) as made:
            arms = {bus: partial(made[bus].turn, quotes) for bus in ("enhanced", "stock")}
            yield Scenario(
                arms=arms | {"bare": partial(made["bare"].bare_turn, quotes)},
                comparisons=[
                    Comparison(
                        topology=f"bursts of {burst:,}, {loop_name}",
                        ceiling="bare",
                        parameters={"burst": burst, "loop": loop_name},
                    )
                ],
                metrics=[Metric(figure="rate", unit="quotes/s", better="higher")],
                rounds=size.pick(25, 15, 2),
                collect=False,
            )


BENCHMARK = Benchmark(name="engine_throughput", about=__doc__, scenarios=scenarios, processes=5)
