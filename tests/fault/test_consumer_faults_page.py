"""The fault matrix of docs/consumer-faults.md names a test in each row, and each test has a row."""

import ast
import re
from pathlib import Path

import pytest


TESTS = Path(__file__).resolve().parent
PAGE = TESTS.parents[1] / "docs" / "consumer-faults.md"
COLUMNS = ("fault", "consumer", "lost", "again", "order", "test")
# How a test looks whether all of it was handled.
LOOKS = re.compile(r"\.has\(|check\(|by_topic|play\(|xlen\(LETTERS\)|xpending_range\(")
# What is about rates and longer forms, not about a fault of its own.
WITHOUT_A_ROW = {
    "test_a_consumer_that_is_idle_asks_little",
    "test_many_more_members_that_come_and_go",
}


def rows():
    """Return the rows of the matrix by their fault."""
    text = PAGE.read_text().partition("\n## The fault matrix")[2].partition("\n## ")[0]
    lines = [line.strip("| \n").split("|") for line in text.splitlines() if line.startswith("| ")]
    _, _, *cells = [[cell.strip() for cell in line] for line in lines]
    return {line[0]: dict(zip(COLUMNS, line, strict=True)) for line in cells}


def functions():
    """Return every test of consumers under a fault, with its module."""
    paths = [path for path in sorted(TESTS.glob("test_consumer_*.py")) if path != Path(__file__)]
    return {
        node.name: path
        for path in paths
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    }


ROWS = rows()
FUNCTIONS = functions()


def name_of(row):
    return re.fullmatch(r"`(\w+)`", row["test"])[1]


@pytest.mark.parametrize("fault", ROWS)
def test_a_row_of_consumers_names_a_test_and_every_cell_is_filled(fault):
    row = ROWS[fault]
    assert name_of(row) in FUNCTIONS
    assert all(row.values()), row


@pytest.mark.parametrize("fault", ROWS)
def test_a_row_says_that_nothing_is_lost_only_if_its_test_looks(fault):
    row = ROWS[fault]
    name = name_of(row)
    source = FUNCTIONS[name].read_text()
    body = source.partition(f"def {name}(")[2].partition("\n\n\n")[0]
    if row["lost"] == "nothing":
        assert re.search(
            r"\.has\(|check\(|by_topic|play\(|xlen\(LETTERS\)|xpending_range\(", body
        ), name


def test_every_test_of_a_consumer_has_a_row_of_its_own():
    named = [name_of(row) for row in ROWS.values()]
    assert len(set(named)) == len(named)
    assert set(FUNCTIONS) - WITHOUT_A_ROW == set(named)
