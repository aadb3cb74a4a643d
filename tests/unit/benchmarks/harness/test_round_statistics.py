"""What is said of rounds: percentiles, ratios, and how sure they are."""

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.benchmarks.harness.statistics import CONFIDENCE
from nautilus_enhanced.benchmarks.harness.statistics import Interval
from nautilus_enhanced.benchmarks.harness.statistics import coverage
from nautilus_enhanced.benchmarks.harness.statistics import estimate
from nautilus_enhanced.benchmarks.harness.statistics import is_noisy
from nautilus_enhanced.benchmarks.harness.statistics import median_interval
from nautilus_enhanced.benchmarks.harness.statistics import of_each_round
from nautilus_enhanced.benchmarks.harness.statistics import percentile
from nautilus_enhanced.benchmarks.harness.statistics import ratio
from nautilus_enhanced.benchmarks.harness.statistics import ratio_interval
from nautilus_enhanced.benchmarks.harness.statistics import ratios_of_rounds


POSITIVE = st.floats(min_value=1e-6, max_value=1e6)
MANY = st.lists(POSITIVE, min_size=1, max_size=40)


@given(MANY, st.floats(min_value=0.001, max_value=1.0))
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(values, share):
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= math.ceil(share * len(values)) - 1e-9
    assert sum(value < found for value in values) < math.ceil(share * len(values))


def test_no_values_have_no_percentile():
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


@given(POSITIVE, POSITIVE)
def test_a_ratio_above_one_is_in_our_favour(ours, theirs):
    lower, higher = ratio("lower", ours, theirs), ratio("higher", ours, theirs)
    assert (lower > 1) == (ours < theirs) or lower == 1
    assert (higher > 1) == (ours > theirs) or higher == 1
    assert lower * higher == pytest.approx(1)


@pytest.mark.parametrize("pair", [(0.0, 1.0), (1.0, 0.0), (-1.0, 2.0)])
def test_what_is_not_above_zero_has_no_ratio(pair):
    assert ratio("lower", *pair) is None


def test_ratios_are_those_of_neighbours_in_time():
    # The machine was half as fast in the second round: no ratio tells.
    assert ratios_of_rounds("lower", [1.0, 2.0], [3.0, 6.0]) == [3.0, 3.0]
    assert ratios_of_rounds("lower", [1.0, 2.0], [3.0]) == []


@given(MANY)
def test_an_interval_is_around_the_median_and_of_the_values(values):
    interval = median_interval(values)
    assert interval.low in values
    assert interval.high in values
    assert interval.low <= statistics.median(values) <= interval.high


@given(st.integers(min_value=5, max_value=60))
def test_an_interval_is_as_sure_as_it_says_and_no_wider(count):
    interval = median_interval(range(count))
    depth = int(interval.low)
    assert int(interval.high) == count - 1 - depth
    assert coverage(count, depth) >= CONFIDENCE
    assert coverage(count, depth + 1) < CONFIDENCE or depth + 1 >= count / 2


def test_few_values_are_between_the_lowest_and_the_highest():
    assert median_interval([3.0, 1.0, 2.0]) == Interval(1.0, 3.0)
    assert median_interval([]) is None


def test_an_interval_holds_the_median_as_often_as_it_says():
    draw = random.Random(7)
    held = 0
    for _ in range(2_000):
        interval = median_interval([draw.lognormvariate(0.0, 1.0) for _ in range(7)])
        held += interval.low <= 1.0 <= interval.high
    assert held / 2_000 >= CONFIDENCE - 0.03


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_what_is_said_of_a_ratio_holds_as_often_as_it_says_of_few_rounds_too(count):
    draw = random.Random(count)
    held = sum(
        (found := ratio_interval([draw.lognormvariate(0.0, 0.2) for _ in range(count)])).low
        <= 1.0
        <= found.high
        for _ in range(4_000)
    )
    # Of five the lowest and the highest are surer than they have to be.
    assert CONFIDENCE - 0.02 <= held / 4_000 <= CONFIDENCE + 0.05


@given(st.lists(st.floats(min_value=1e-3, max_value=1e3), min_size=1, max_size=12))
def test_the_interval_of_ratios_is_never_narrower_and_the_same_either_way_round(ratios):
    by_order, found = median_interval(ratios), ratio_interval(ratios)
    assert 0.0 < found.low <= by_order.low * (1 + 1e-9)
    assert found.high >= by_order.high * (1 - 1e-9)
    other = ratio_interval([1 / one for one in ratios])
    assert (1 / other.high, 1 / other.low) == pytest.approx((found.low, found.high))


def test_without_ratios_nothing_is_said_of_them():
    assert ratio_interval([]) is None


def test_what_reaches_further_than_the_noise_is_noisy():
    assert not is_noisy(1.0, Interval(0.9, 1.1))
    assert is_noisy(1.0, Interval(0.8, 1.1))
    assert is_noisy(1.0, Interval(0.95, 1.2))


def test_percentiles_are_of_all_rounds_together():
    rounds = [[1.0] * 99, [1.0] * 99 + [9.0, 9.0]]
    assert estimate(rounds, 0.99) == 1.0
    assert of_each_round([*rounds, []], 0.99) == [1.0, 9.0]


def test_figures_are_those_of_the_round_in_the_middle():
    assert estimate([3.0, 1.0, 2.0], None) == 2.0


@pytest.mark.parametrize("count", [4, 5, 21, 1_500])
def test_the_interval_of_any_number_of_rounds_is_the_narrowest_that_is_sure(count):
    found = median_interval(range(count))
    depth = int(found.low)
    assert found.high == count - 1 - depth
    assert depth == 0 or coverage(count, depth) >= CONFIDENCE
    assert coverage(count, depth + 1) < CONFIDENCE
