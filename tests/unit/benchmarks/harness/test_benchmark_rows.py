"""What becomes of what rounds found."""

import msgspec
import pytest

from nautilus_enhanced.benchmarks.harness.model import Benchmark
from nautilus_enhanced.benchmarks.harness.model import Comparison
from nautilus_enhanced.benchmarks.harness.model import LeftOut
from nautilus_enhanced.benchmarks.harness.model import Metric
from nautilus_enhanced.benchmarks.harness.model import Observation
from nautilus_enhanced.benchmarks.harness.model import Scenario
from nautilus_enhanced.benchmarks.harness.model import Size
from nautilus_enhanced.benchmarks.harness.model import percentiles
from nautilus_enhanced.benchmarks.harness.rows import decode_rows
from nautilus_enhanced.benchmarks.harness.rows import encode_rows
from nautilus_enhanced.benchmarks.harness.rows import rows_of
from nautilus_enhanced.benchmarks.harness.runner import play
from nautilus_enhanced.benchmarks.harness.statistics import ratio_interval
from nautilus_enhanced.benchmarks.harness.table import render


def observed(values, name="f", *, verified=True):
    return [Observation(figures={name: value}, verified=verified) for value in values]


def rows(metric, found, **comparison):
    scenario = Scenario(
        arms={},
        comparisons=[Comparison(topology="a to b", **comparison)],
        metrics=[metric] if isinstance(metric, Metric) else metric,
        rounds=len(found["enhanced"]),
    )
    return rows_of("bench", scenario, found, {"size": "tiny"})


def test_a_row_is_of_medians_and_its_ratio_of_neighbours():
    ours, theirs = observed([1.0, 2.0, 4.0, 1.0, 8.0]), observed([3.0, 6.0, 16.0, 3.0, 24.0])
    (row,) = rows(
        Metric(figure="f", unit="ms"), {"enhanced": ours, "stock": theirs}, parameters={"n": 1}
    )
    assert (row.name, row.topology, row.unit, row.better) == ("bench", "a to b", "ms", "lower")
    assert (row.enhanced, row.stock, row.ratio_to_stock) == (2.0, 6.0, 3.0)
    assert (row.ratio_low, row.ratio_high, row.noisy) == (3.0, 4.0, True)
    assert (row.rounds, row.verified, row.parameters) == (5, True, {"n": 1})
    assert row.run == {"size": "tiny"}
    assert row.held


def test_rounds_of_one_process_count_as_one_for_how_sure_a_ratio_is():
    # Each process is sure of itself, and they do not agree.
    ratios = [2.0, 2.0, 2.0, 3.0, 3.0, 3.0, 2.5, 2.5, 2.5]
    found = {"enhanced": observed([1.0] * 9), "stock": observed(ratios)}
    scenario = Scenario(
        arms={},
        comparisons=[Comparison(topology="a to b")],
        metrics=[Metric(figure="f", unit="ms")],
        rounds=9,
    )
    (alone,) = rows_of("bench", scenario, found, {}, [9])
    (shared,) = rows_of("bench", scenario, found, {}, [3, 3, 3])
    of_three = ratio_interval([2.0, 3.0, 2.5])
    assert (alone.ratio_low, alone.ratio_high) == (2.0, 3.0)
    assert shared.interval == of_three
    assert shared.ratio_to_stock == alone.ratio_to_stock == 2.5
    # A round that found nothing belongs to nobody knows which process.
    (lost,) = rows_of("bench", scenario, found, {}, [3, 3, 4])
    assert lost.interval == alone.interval


def test_two_rounds_do_not_say_how_noisy_they_are():
    found = {"enhanced": observed([1.0, 1.0]), "stock": observed([2.0, 2.0])}
    (row,) = rows(Metric(figure="f", unit="ms"), found)
    assert row.noisy


def test_the_ceiling_stands_beside():
    found = {"enhanced": observed([4.0]), "stock": observed([2.0]), "best": observed([8.0])}
    (row,) = rows(Metric(figure="f", unit="1/s", better="higher"), found, ceiling="best")
    assert (row.ratio_to_stock, row.ceiling, row.ratio_to_ceiling) == (2.0, 8.0, 0.5)


def test_percentiles_have_their_samples_and_tails_are_not_held():
    found = {"enhanced": observed([[1.0], [3.0, 5.0]]), "stock": observed([[10.0], [10.0]])}
    middle, highest = rows(percentiles("f", "ms", {"p50": 0.5, "max": 1.0}), found)
    assert (middle.name, middle.enhanced, middle.ratio_to_stock) == ("bench p50", 3.0, 10 / 3)
    assert (highest.name, highest.enhanced, highest.ratio_to_stock) == ("bench max", 5.0, 2.0)
    assert middle.samples == {"enhanced": 3, "stock": 2}
    assert (middle.held, highest.held) == (True, False)


@pytest.mark.parametrize(("size", "is_held"), [("full", True), ("quick", False)])
def test_what_comes_at_a_rate_of_its_own_is_held_in_full_runs_only(size, is_held):
    scenario = Scenario(
        arms={},
        comparisons=[Comparison(topology="a to b")],
        metrics=percentiles("f", "ms", {"p50": 0.5}, is_driven=True),
        rounds=1,
    )
    found = {"enhanced": observed([[1.0]]), "stock": observed([[1.0]])}
    (row,) = rows_of("bench", scenario, found, {"size": size})
    assert row.held is is_held


def test_what_there_is_anyway_is_subtracted_and_nothing_goes_below_zero():
    found = {
        "enhanced": observed([5.0]),
        "stock": observed([2.0]),
        "control": observed([3.0], verified=False),
    }
    (row,) = rows(Metric(figure="f", unit="ms", beyond="control"), found)
    assert (row.enhanced, row.stock, row.ratio_to_stock) == (2.0, 0.0, None)
    assert not row.verified
    assert not row.held


def test_a_round_that_is_not_verified_is_told():
    found = {"enhanced": observed([1.0, 1.0]), "stock": observed([2.0], verified=False) * 2}
    (row,) = rows(Metric(figure="f", unit="ms"), found)
    assert not row.verified
    assert "NOT VERIFIED" in render([row])


def test_without_a_sample_there_is_no_row():
    found = {"enhanced": observed([[], []]), "stock": observed([[1.0], [1.0]])}
    assert rows(Metric(figure="f", unit="ms", share=0.5), found) == []


def test_the_others_may_have_another_figure():
    metric = Metric(figure="calm", others_figure="f", unit="ms", share=0.5)
    found = {"enhanced": observed([[1.0]], "calm"), "stock": observed([[2.0]])}
    (row,) = rows(metric, found)
    assert (row.enhanced, row.stock) == (1.0, 2.0)


def test_rows_survive_json():
    found = {"enhanced": observed([1.0]), "stock": observed([2.0])}
    made = rows(Metric(figure="f", unit="ms"), found)
    assert decode_rows(encode_rows(made)) == made
    with pytest.raises(msgspec.DecodeError):
        decode_rows(b'[{"name": "x"}]')


# -- playing -------------------------------------------------------------------------------------


def test_arms_take_turns_and_the_first_round_does_not_count():
    turns = []

    def arm(name):
        def run():
            turns.append(name)
            return Observation(figures={"f": float(len(turns))})

        return run

    def scenarios(size):
        assert size is Size.TINY
        yield LeftOut("something", "it is not there")
        yield Scenario(
            arms={"enhanced": arm("A"), "stock": arm("B")},
            comparisons=[Comparison(topology="a to b")],
            metrics=[Metric(figure="f", unit="ms")],
            rounds=2,
        )

    benchmark = Benchmark(name="bench", about="One.\n\nTwo.", scenarios=scenarios)
    played = play(benchmark, Size.TINY, {})
    assert turns == ["A", "B"] * 3
    assert (played.rows[0].enhanced, played.rows[0].stock) == (4.0, 5.0)
    assert [str(one) for one in played.left_out] == ["something is left out: it is not there"]
    assert benchmark.headline == "One."
