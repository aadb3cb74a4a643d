"""Play a benchmark: its arms in turns, a round to warm up first."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING

from nautilus_enhanced.benchmarks.harness.model import LeftOut
from nautilus_enhanced.benchmarks.harness.rows import rows_of


if TYPE_CHECKING:
    from collections.abc import Mapping

    from nautilus_enhanced.benchmarks.harness.model import Benchmark
    from nautilus_enhanced.benchmarks.harness.model import Observation
    from nautilus_enhanced.benchmarks.harness.model import Scenario
    from nautilus_enhanced.benchmarks.harness.model import Size
    from nautilus_enhanced.benchmarks.harness.rows import Row


@dataclass(frozen=True)
class Played:
    """The rows of a benchmark, and what was left out of it."""

    rows: list[Row] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def play(benchmark: Benchmark, size: Size, run: Mapping[str, str]) -> Played:
    """
    Play all scenarios of a benchmark.

    Parameters
    ----------
    benchmark : Benchmark
        The benchmark.
    size : Size
        How much is measured.
    run : Mapping[str, str]
        What the rows say about when and where that was.
    """
    played = Played()
    for scenario in benchmark.scenarios(size):
        if isinstance(scenario, LeftOut):
            played.left_out.append(scenario)
            continue
        played.rows.extend(rows_of(benchmark.name, scenario, interleave(scenario), run))
    return played


def interleave(scenario: Scenario) -> dict[str, list[Observation]]:
    """Run each arm once a round, in turns (A B A B ...), after the round that warms up."""
    found: dict[str, list[Observation]] = {name: [] for name in scenario.arms}
    for number in range(-1 if scenario.warm_up else 0, scenario.rounds):
        for name, arm in scenario.arms.items():
            if scenario.collect:
                gc.collect()
            observation = arm()
            if number >= 0:
                found[name].append(observation)
    return found
