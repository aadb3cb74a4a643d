"""Playing a benchmark: its arms in turns, and the rounds of one that several processes share."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.benchmarks import registry
from nautilus_enhanced.benchmarks.harness.model import Benchmark
from nautilus_enhanced.benchmarks.harness.model import Comparison
from nautilus_enhanced.benchmarks.harness.model import LeftOut
from nautilus_enhanced.benchmarks.harness.model import Metric
from nautilus_enhanced.benchmarks.harness.model import Observation
from nautilus_enhanced.benchmarks.harness.model import Scenario
from nautilus_enhanced.benchmarks.harness.model import Size
from nautilus_enhanced.benchmarks.harness.runner import Share
from nautilus_enhanced.benchmarks.harness.runner import play


RUN = {"size": "full"}


class Counting:
    """A benchmark whose arms count their calls; the second scenario has samples."""

    def __init__(self, rounds, processes, *, warm_up) -> None:
        self.calls = []
        self.begun = 0
        self._rounds = rounds
        self._warm_up = warm_up
        self.benchmark = Benchmark(
            name="counting", about="Counts.", scenarios=self._scenarios, processes=processes
        )

    def _arm(self, name, samples):
        def run():
            self.calls.append(name)
            # Theirs takes twice as long as ours.
            value = float(len(self.calls)) * (2.0 if name == "stock" else 1.0)
            return Observation(
                figures={"f": [value, value] if samples else value},
                verified=len(self.calls) != self.begun,
            )

        return run

    def _scenarios(self, _size):
        yield self._scenario(False)
        yield LeftOut("another twin", "it is not there")
        yield self._scenario(True)

    def _scenario(self, samples):
        return Scenario(
            arms={name: self._arm(name, samples) for name in ("enhanced", "stock")},
            comparisons=[Comparison(topology="samples" if samples else "figures")],
            metrics=[Metric(figure="f", unit="ms", share=0.5 if samples else None)],
            rounds=self._rounds,
            warm_up=self._warm_up,
        )


@given(st.integers(0, 40), st.integers(1, 9))
def test_processes_share_all_rounds_as_evenly_as_can_be(rounds, of):
    shares = [Share(at, of).of_rounds(rounds) for at in range(of)]
    assert sum(shares) == rounds
    assert max(shares) - min(shares) <= 1


def test_arms_take_turns_behind_a_round_that_warms_up():
    counting = Counting(2, 1, warm_up=True)
    played = play(counting.benchmark, Size.FULL, RUN)
    assert counting.calls == ["enhanced", "stock"] * 3 * 2
    assert [row.rounds for row in played.rows] == [2, 2]
    # The first round of all, which took 1 and 4, does not count.
    assert played.rows[0].enhanced == (3.0 + 5.0) / 2
    assert [one.what for one in played.left_out] == ["another twin"]


@pytest.fixture
def counting(monkeypatch):
    def make(*args, **kwargs):
        made = Counting(*args, **kwargs)
        monkeypatch.setattr(registry, "load", lambda name: made.benchmark)
        return made

    return make


def measure(at, earlier):
    # What goes from process to process is JSON.
    return json.loads(json.dumps(registry.measure("counting", "full", RUN, at, earlier)))


def test_what_several_processes_find_is_one_row(counting):
    made = counting(5, 3, warm_up=False)
    made.begun = 1
    told = {"found": []}
    for at, of in ((0, 2), (1, 2), (2, 1)):
        begun = len(made.calls)
        told = measure(at, told["found"])
        assert len(made.calls) - begun == of * 2 * 2
        assert told["is_done"] is (at == 2)
        assert [row["rounds"] for row in told["rows"]] == [min(5, 2 * (at + 1))] * 2
    figures, samples = told["rows"]
    assert told["found"] == []
    # Ours was 1, 3, 9, 11 and 17.
    assert figures["enhanced"] == 9.0
    assert samples["samples"] == {"enhanced": 10, "stock": 10}
    # The very first call was wrong.
    assert (figures["verified"], samples["verified"]) == (False, True)
    assert len(told["left_out"]) == 1


@pytest.mark.parametrize("size", ["quick", "tiny"])
def test_only_full_runs_take_several_processes(counting, size):
    counting(5, 3, warm_up=False)
    told = registry.measure("counting", size, RUN)
    assert told["is_done"]
    assert [row["rounds"] for row in told["rows"]] == [5, 5]
