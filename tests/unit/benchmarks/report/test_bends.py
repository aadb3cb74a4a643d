"""Where curves bend, and how they are drawn."""

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.benchmarks.harness.model import Curve
from nautilus_enhanced.benchmarks.harness.rows import Row
from nautilus_enhanced.benchmarks.report.bends import find_bend
from nautilus_enhanced.benchmarks.report.curves import bends_of
from nautilus_enhanced.benchmarks.report.curves import lines_of
from nautilus_enhanced.benchmarks.report.plot import Line
from nautilus_enhanced.benchmarks.report.plot import draw
from nautilus_enhanced.benchmarks.report.plot import tick_text


WORK = (10, 100, 1_000, 10_000, 100_000)


@given(st.floats(min_value=-2, max_value=3), st.floats(min_value=0.001, max_value=1_000))
def test_a_straight_line_does_not_bend(slope, factor):
    assert find_bend([(work, factor * work**slope) for work in WORK]) is None


@given(st.sampled_from(WORK[1:-1]), st.floats(min_value=0.7, max_value=2.5))
def test_a_line_bends_where_it_begins_to_grow(at, slope):
    bend = find_bend([(work, max(1.0, (work / at) ** slope)) for work in WORK])
    assert bend.at == at
    assert bend.before == pytest.approx(0.0)
    assert bend.after == pytest.approx(slope)


@given(st.sampled_from(WORK[1:-1]), st.floats(min_value=0.7, max_value=2.5))
def test_a_line_bends_where_it_no_longer_grows(at, slope):
    bend = find_bend([(work, min(1.0, (work / at) ** slope)) for work in WORK])
    assert bend.at == at
    assert bend.before == pytest.approx(slope)
    assert bend.after == pytest.approx(0.0)


@pytest.mark.parametrize("points", [[], [(1, 1)], [(1, 1), (2, 2)], [(0, 1), (1, 0), (2, 2)]])
def test_few_points_do_not_bend(points):
    assert find_bend(points) is None


def row(streams, enhanced, stock, **parameters):
    return Row(
        benchmark="b",
        name="b p50",
        topology=f"{streams}{parameters}",
        unit="µs",
        better="lower",
        enhanced=enhanced,
        stock=stock,
        ceiling=None,
        ratio_to_stock=None,
        rounds=1,
        verified=True,
        parameters={"streams": streams, **parameters},
    )


CURVE = Curve(
    title="Cost & more",
    row="b p50",
    parameter="streams",
    axis="streams",
    why="Because.",
    split=("loop",),
)


def test_lines_are_told_apart_and_the_first_of_our_figures_counts():
    rows = [
        row(1, 1.0, 2.0, loop="a", twin="x"),
        row(10, 1.0, 20.0, loop="a", twin="x"),
        row(10, 1.5, 90.0, loop="a", twin="y"),
        row(1, 3.0, 4.0, loop="b", twin="x"),
    ]
    lines = lines_of(CURVE, rows)
    # One point is no line.
    assert [line.label for line in lines] == ["enhanced, a", "stock, a"]
    assert lines[0].points == ((1.0, 1.0), (10.0, 1.0))
    assert bends_of(lines) == ["enhanced, a: no bend", "stock, a: no bend"]


def test_a_drawing_is_an_image_that_loads_nothing():
    lines = [
        Line("enhanced", "ours <1>", ((1.0, 0.02), (10_000.0, 0.5))),
        Line("stock", "stock", ((1.0, 2.0), (10_000.0, 300.0))),
        Line("stock", "nothing", ((1.0, 0.0),)),
    ]
    drawn = draw("Cost & more", lines, "streams", "µs")
    image = ET.fromstring(drawn)
    texts = ["".join(each.itertext()) for each in image.iter("{http://www.w3.org/2000/svg}text")]
    assert {"ours <1>", "stock", "streams", "µs", "10,000", "0.01"} <= set(texts)
    assert "nothing" not in texts
    assert "href" not in drawn
    assert draw("x", lines[2:], "x", "y") == ""


@pytest.mark.parametrize(
    ("value", "text"), [(0.001, "0.001"), (0.1, "0.1"), (1.0, "1"), (1e6, "1,000,000")]
)
def test_ticks_have_no_exponents(value, text):
    assert tick_text(value) == text
