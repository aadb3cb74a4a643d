"""The tables of docs/venues.md say what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nautilus_enhanced.adapters import ADAPTERS
from nautilus_enhanced.sandbox.venues import VENUES


TREE = Path(__file__).resolve().parents[3]
PAGE = (TREE / "docs" / "venues.md").read_text()
TESTS = TREE / "tests" / "integration"
MODULES = {"binance": "binance", "bybit": "bybit", "okx": "okx", "ib": "interactive_brokers"}


def rows_of(block):
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in block.splitlines()[2:]]


def by_venue():
    block = re.search(r"<!-- venue by venue -->\n(.*?)\n<!-- /venue", PAGE, re.DOTALL).group(1)
    return {row[0].strip("`"): row for row in rows_of(block)}


def adapter_of(venue):
    name = MODULES[venue.partition("-")[0]]
    return next(adapter for adapter in ADAPTERS if adapter.name == name)


def test_every_venue_is_in_both_tables():
    first = re.search(r"\| name \| what it speaks.*?\n\n", PAGE, re.DOTALL).group(0)
    named = [row[0].strip("`") for row in rows_of(first.strip())]
    assert named == list(by_venue()) == list(VENUES)


@pytest.mark.parametrize("venue", VENUES)
def test_what_passes_by_is_told_where_there_is_something(venue):
    passes_by = by_venue()[venue][2]
    assert (passes_by != "nothing") == bool(adapter_of(venue).passes_by)


@pytest.mark.parametrize("venue", VENUES)
def test_what_is_said_to_be_run_is_run(venue):
    _, _, _, current, older, _ = by_venue()[venue]
    assert current.startswith("run: ")
    name = re.search(r"`(test_\w+\.py)`", current).group(1)
    text = (TESTS / name).read_text()
    assert f'"{venue}"' in text
    # A module that skips 1.221 as a whole runs nothing there.
    skips = "1.221" in text and ("allow_module_level" in text or "pytestmark" in text)
    assert older.startswith("read") == skips


@pytest.mark.parametrize("venue", VENUES)
def test_the_factories_are_run_where_that_is_said(venue):
    current = by_venue()[venue][3]
    play = re.search(
        rf'name="{venue}",(.*?)\*\*_', (TESTS / "venue_play.py").read_text(), re.DOTALL
    ).group(1)
    assert ("with the factories, too" in current) == ("ALL_BUSES" in play)


def test_all_tests_that_are_named_are_there():
    for name in re.findall(r"`(?:tests/integration/)?(test_\w+\.py|venue_\w+\.py)`", PAGE):
        assert (TESTS / name).is_file(), name
