"""Which ratios changed, and the file that keeps them."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_rows import row

from nautilus_enhanced.benchmarks.comparing import comparison
from nautilus_enhanced.benchmarks.comparing import ratios
from nautilus_enhanced.benchmarks.comparing.comparison import Verdict
from nautilus_enhanced.benchmarks.comparing.ratios import Ratio
from nautilus_enhanced.benchmarks.harness.model import Size
from nautilus_enhanced.benchmarks.harness.rows import encode_rows


@st.composite
def a_ratio(draw):
    low, value, high = sorted(
        draw(st.lists(st.floats(min_value=0.01, max_value=1_000), min_size=3, max_size=3))
    )
    return Ratio(value, low, high)


MARGIN = st.floats(min_value=0.01, max_value=0.95)


@given(a_ratio(), MARGIN)
def test_what_did_not_change_is_the_same(ratio, margin):
    assert comparison.verdict_of(ratio, ratio, margin) is Verdict.SAME


@given(a_ratio(), a_ratio(), MARGIN)
def test_what_fell_one_way_rose_the_other_way(before, after, margin):
    forth = comparison.verdict_of(before, after, margin)
    back = comparison.verdict_of(after, before, margin)
    assert (forth is Verdict.FELL) == (back is Verdict.ROSE)
    assert (forth is Verdict.SAME) == (back is Verdict.SAME)


@given(a_ratio(), a_ratio(), MARGIN)
def test_a_fall_is_one_in_all_rounds_beyond_the_margin(before, after, margin):
    if comparison.verdict_of(before, after, margin) is Verdict.FELL:
        assert after.high < before.low
        assert after.value < before.value * (1 - margin)


@given(a_ratio(), a_ratio(), MARGIN)
def test_a_wider_margin_finds_no_further_fall(before, after, margin):
    if comparison.verdict_of(before, after, margin) is not Verdict.FELL:
        assert comparison.verdict_of(before, after, min(0.99, margin * 1.5)) is not Verdict.FELL


@pytest.mark.parametrize(
    ("after", "verdict"),
    [
        (Ratio(2.0, 1.9, 2.1), Verdict.SAME),
        (Ratio(1.0, 0.9, 1.1), Verdict.FELL),
        (Ratio(4.0, 3.9, 4.1), Verdict.ROSE),
        (Ratio(1.0, 0.9, 2.0), Verdict.NOISY),
    ],
)
def test_verdicts(after, verdict):
    assert comparison.verdict_of(Ratio(2.0, 1.8, 2.2), after, 0.15) is verdict


def of(name, *values, is_held=True):
    return {name: Ratio(*values, is_held)}


def test_ratios_that_came_or_went_are_told_and_other_benchmarks_are_not_missed():
    before = of("a p50 (x)", 2.0, 2.0, 2.0) | of("b p50 (x)", 2.0, 2.0, 2.0)
    after = of("a p99 (x)", 2.0, 2.0, 2.0)
    found = {change.key: change.verdict for change in comparison.compare(before, after, 0.15)}
    assert found == {"a p99 (x)": Verdict.NEW, "a p50 (x)": Verdict.GONE}


def test_a_fall_of_a_tail_is_no_regression():
    before = of("a (x)", 2.0, 2.0, 2.0) | of("a max (x)", 2.0, 2.0, 2.0)
    after = of("a (x)", 1.0, 1.0, 1.0) | of("a max (x)", 1.0, 1.0, 1.0, is_held=False)
    changes = comparison.compare(before, after, 0.15)
    assert [change.key for change in comparison.fallen(changes)] == ["a (x)"]
    text = comparison.render(changes, 0.15)
    assert text.count("fell ") == 3
    assert "2×" in text


def test_what_falls_once_and_not_again_is_too_noisy_to_tell():
    before = of("a (x)", 2.0, 2.0, 2.0) | of("b (x)", 2.0, 2.0, 2.0)
    once = of("a (x)", 1.0, 1.0, 1.0) | of("b (x)", 1.0, 1.0, 1.0)
    changes = comparison.compare(before, once, 0.15)
    again = comparison.compare(before, once | of("b (x)", 2.0, 2.0, 2.0), 0.15)
    found = {c.key: c.verdict for c in comparison.confirmed(changes, again)}
    assert found == {"a (x)": Verdict.FELL, "b (x)": Verdict.NOISY}


# -- the file ------------------------------------------------------------------------------------


def test_only_verified_ratios_are_compared():
    assert ratios.of([row()]) == {"a (x)": Ratio(2.0, 1.5, 2.5)}
    assert ratios.of([row(verified=False)]) == {}
    assert ratios.of([row(ratio_to_stock=None)]) == {}


def test_rows_are_compared_with_as_well(tmp_path):
    path = tmp_path / "rows.json"
    path.write_bytes(encode_rows([row(), row("b", size="quick")]))
    assert set(ratios.read(str(path), Size.FULL)) == {"a (x)"}
    assert set(ratios.read(str(path), Size.QUICK)) == {"b (x)"}


def test_a_release_keeps_what_was_measured_last_and_the_latest_release_counts(tmp_path):
    path = str(tmp_path / "ratios.json")
    ratios.keep(path, [row(), row("b")])
    ratios.keep(path, [row("b", ratio_to_stock=2.2)])
    assert ratios.read(path, Size.FULL)["a (x)"].value == 2.0
    assert ratios.read(path, Size.FULL)["b (x)"].value == 2.2
    ratios.keep(path, [row(run={"size": "full", "release": "1.1"}, ratio_to_stock=2.4)])
    assert ratios.read(path, Size.FULL) == {"a (x)": Ratio(2.4, 1.5, 2.5)}


def test_a_benchmark_that_is_measured_again_loses_rows_that_it_no_longer_has(tmp_path):
    path = str(tmp_path / "ratios.json")
    ratios.keep(path, [row(name="a"), row(topology="old")])
    ratios.keep(path, [row(name="a")])
    assert set(ratios.read(path, Size.FULL)) == {"a (x)"}


@pytest.mark.parametrize("text", ["", "{}", "[1]", "[]", '{"releases": {}}'])
def test_a_file_that_is_no_such_file_is_named(text, tmp_path):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"^--compare was '.*x\.json', "):
        ratios.read(str(path), Size.FULL)


def test_a_file_of_something_else_is_not_overwritten(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"mine": 1}')
    with pytest.raises(ValueError, match="is not such a file"):
        ratios.keep(str(path), [row()])
    assert msgspec.json.decode(path.read_bytes()) == {"mine": 1}
