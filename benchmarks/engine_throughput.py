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

from nautilus_enhanced.benchmarks.engine_queueing_overhead import loops_and_bursts
from nautilus_enhanced.benchmarks.engine_queueing_overhead import run_bare_round
from nautilus_enhanced.benchmarks.engine_queueing_overhead import run_round
from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import Metric
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.rigs.engines import on_a_loop


if TYPE_CHECKING:
    from collections.abc import Iterator


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield both event loops, with a backlog and without one."""
    for loop_name, burst, quotes in loops_and_bursts(size):
        arms = {
            bus: partial(on_a_loop, loop_name, partial(run_round, bus, quotes, burst))
            for bus in ("enhanced", "stock")
        }
        yield Scenario(
            arms=arms
            | {"bare": partial(on_a_loop, loop_name, partial(run_bare_round, quotes, burst))},
            comparisons=[
                Comparison(
                    topology=f"bursts of {burst:,}, {loop_name}",
                    ceiling="bare",
                    parameters={"burst": burst, "loop": loop_name},
                )
            ],
            metrics=[Metric(figure="rate", unit="quotes/s", better="higher")],
            rounds=size.pick(5, 3, 1),
        )


BENCHMARK = Benchmark(name="engine_throughput", about=__doc__, scenarios=scenarios)
