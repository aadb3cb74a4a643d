"""The fault matrix of docs/outages.md says what its tests hold the bus to."""

import ast
import re
from pathlib import Path

import pytest


TESTS = Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "docs" / "outages.md"
LEVELS = ("buffered", "accepted", "replicated", "fsynced")
COLUMNS = ("fault", "bus", *LEVELS, "memory", "spill", "always", "test")
UNAVAILABLE = "–"


def rows():
    """Return the rows of the matrix by their fault."""
    text = PAGE.read_text().partition("\n## The fault matrix")[2].partition("\n## ")[0]
    lines = [line.strip("| \n").split("|") for line in text.splitlines() if line.startswith("| ")]
    heading, _, *cells = [[cell.strip() for cell in line] for line in lines]
    assert [cell.strip("`") for cell in heading][2:-1] == list(COLUMNS[2:-1])
    found = [dict(zip(COLUMNS, line, strict=True)) for line in cells]
    return {row["fault"]: row for row in found}


def functions():
    """Return every test of the folders that the matrix may name."""
    return {
        node.name: node
        for folder in ("fault", "integration")
        for path in sorted((TESTS / folder).glob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    }


def name_of(row):
    return re.match(r"`(\w+)`", row["test"])[1]


ROWS = rows()
FUNCTIONS = functions()


def rules_of(function):
    """Return the keywords of each rule by which a test lets something be lost."""
    return [
        {keyword.arg: keyword.value for keyword in node.keywords}
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "MayLose"
    ]


@pytest.mark.parametrize("fault", ROWS)
def test_a_row_names_a_test_and_every_cell_is_filled(fault):
    row = ROWS[fault]
    assert name_of(row) in FUNCTIONS
    assert all(row.values()), row


@pytest.mark.parametrize("fault", ROWS)
def test_a_row_says_of_each_level_what_its_test_lets_be_lost(fault):
    row = ROWS[fault]
    rules = rules_of(FUNCTIONS[name_of(row)])
    for level in LEVELS:
        may_lose = any(
            level not in ast.literal_eval(rule.get("protects", ast.Constant(()))) for rule in rules
        )
        if row[level] != UNAVAILABLE:
            assert row[level].startswith("nothing") != may_lose, level


def test_every_row_has_a_test_of_its_own_and_every_test_of_the_matrix_a_row():
    named = [name_of(row) for row in ROWS.values()]
    assert len(set(named)) == len(named)
    for name in ("test_outages.py", "test_outages_on_the_way.py"):
        source = (TESTS / "fault" / name).read_text()
        assert set(re.findall(r"^def (test_\w+)\(", source, re.MULTILINE)) <= set(named), name
