"""Play a benchmark: its arms in turns, a round to warm up first."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Final

from nautilus_enhanced.benchmarks.harness.model import LeftOut
from nautilus_enhanced.benchmarks.harness.model import Observation
from nautilus_enhanced.benchmarks.harness.rows import rows_of


if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from nautilus_enhanced.benchmarks.harness.model import Benchmark
    from nautilus_enhanced.benchmarks.harness.model import Scenario
    from nautilus_enhanced.benchmarks.harness.model import Size
    from nautilus_enhanced.benchmarks.harness.rows import Row


Found = dict[str, list[Observation]]


@dataclass(frozen=True)
class Share:
    """Which of the processes that share the rounds this one is, counted from 0."""

    at: int = 0
    of: int = 1

    def of_rounds(self, rounds: int) -> int:
        """Return how many of the rounds are played here."""
        return rounds // self.of + (self.at < rounds % self.of)


ALL: Final = Share()


@dataclass(frozen=True)
class Played:
    """The rows of a benchmark, what was left out of it, and what each scenario found so far."""

    rows: list[Row] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)


def play(
    benchmark: Benchmark,
    size: Size,
    run: Mapping[str, str],
    share: Share = ALL,
    earlier: Sequence[Found] = (),
) -> Played:
    """
    Play all scenarios of a benchmark, or this process's share of their rounds.

    Parameters
    ----------
    benchmark : Benchmark
        The benchmark.
    size : Size
        How much is measured.
    run : Mapping[str, str]
        What the rows say about when and where that was.
    share : Share, optional
        Which part of the rounds is played; all of them by default.
    earlier : sequence of Found
        What the processes before this one found, by scenario.
    """
    played = Played()
    for scenario in benchmark.scenarios(size):
        if isinstance(scenario, LeftOut):
            played.left_out.append(scenario)
            continue
        before = earlier[len(played.found)] if earlier else {}
        here = interleave(scenario, share.of_rounds(scenario.rounds))
        found = {name: [*before.get(name, ()), *seen] for name, seen in here.items()}
        played.found.append(found)
        shares = [Share(at, share.of).of_rounds(scenario.rounds) for at in range(share.at + 1)]
        played.rows.extend(rows_of(benchmark.name, scenario, found, run, shares))
    return played


def interleave(scenario: Scenario, rounds: int) -> Found:
    """Run each arm once a round, in turns (A B A B ...), after the round that warms up."""
    found: Found = {name: [] for name in scenario.arms}
    for number in range(-1 if scenario.warm_up else 0, rounds):
        for name, arm in scenario.arms.items():
            if scenario.collect:
                gc.collect()
            observation = arm()
            if number >= 0:
                found[name].append(observation)
    return found
