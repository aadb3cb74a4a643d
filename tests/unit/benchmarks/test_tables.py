"""Tables of the docs are written from what the benchmarks found."""

import json
import re
from pathlib import Path

import pytest


ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted((ROOT / "docs").glob("*.md"))


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return __import__("tables")


def row(name, **fields):
    return {
        "name": name,
        "enhanced": 0.25,
        "stock": 1_234.5,
        "ratio_to_stock": 4_938.0,
        "ceiling": None,
        "samples": {"enhanced": 1_000, "stock": 10},
        "parameters": {"burst": 10, "loop": "uvloop"},
    } | fields


def test_a_table_is_replaced_and_the_rest_of_the_page_is_not(tables, tmp_path):
    rows = [
        row("engine_queueing_overhead"),
        row("engine_throughput", enhanced=400_000.0, ratio_to_stock=1.5, ceiling=500_000.0),
    ]
    (tmp_path / "engine_queueing_overhead.json").write_text(json.dumps(rows))
    page = (
        "before\n<!-- table: engine_queueing_overhead -->\n\nold\n\n<!-- end -->\nafter\n"
        "<!-- table: order_event_at_low_load -->\n\nkept\n\n<!-- end -->\n"
    )
    written = tables.fill(page, tmp_path)
    assert "old" not in written
    assert written.startswith("before\n")
    assert "after" in written
    assert "kept" in written
    assert "| 10 | uvloop | 0.25 | 1,234 | 4,938 × | 400,000 |" in written
    assert "| 1.5 × | 500,000 |" in written
    assert tables.fill(written, tmp_path) == written


def test_a_figure_that_was_not_found_is_a_dash(tables):
    table = tables.TABLES["engine_queueing_overhead"]
    rendered = table.render([row("engine_queueing_overhead")])
    assert rendered.splitlines()[-1].count("–") == 4


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_pages_ask_for_known_tables_only(tables, page):
    text = page.read_text()
    names = re.findall(r"<!-- table: (\w+) -->", text)
    assert set(names) <= set(tables.TABLES)
    assert text.count("<!-- end -->") == len(names)


def test_every_table_is_on_a_page(tables):
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
def test_numbers_have_three_digits(tables, value, text):
    assert tables.number(value) == text
