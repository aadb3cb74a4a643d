"""The tables of docs/adapters.md say what the code does."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from nautilus_enhanced.adapters import ADAPTERS
from nautilus_enhanced.adapters.meter import SAMPLE_MASK
from nautilus_enhanced.adapters.mixins import EXECUTION_SINKS
from nautilus_enhanced.config import _CHOICES


PAGE = (Path(__file__).resolve().parents[3] / "docs" / "adapters.md").read_text()


def cells_of(block):
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in block.splitlines()[2:]]


def rows_below(heading):
    block = re.search(rf"## {heading}\n.*?(\|.*?\n)\n", PAGE, re.DOTALL).group(1)
    return cells_of(block)


def is_ready_made(adapter):
    found = importlib.util.find_spec(f"nautilus_enhanced.adapters.{adapter.name}")
    # The sandbox's has only what its client passes by.
    return found is not None and adapter.name != "sandbox"


def reconnects_of(adapter):
    if adapter.hooks or adapter.name == "interactive_brokers":
        return "told"
    return "asked for" if adapter.sockets else "not seen"


def test_every_adapter_is_listed_as_it_is():
    block = re.search(r"<!-- venues -->\n(.*?)\n<!-- /venues -->", PAGE, re.DOTALL).group(1)
    rows = cells_of(block)
    assert [row[0] for row in rows] == [f"`{adapter.name}`" for adapter in ADAPTERS]
    for adapter, (_, factory, versions, tested, reconnects, without) in zip(
        ADAPTERS, rows, strict=True
    ):
        assert factory == ("ready made" if is_ready_made(adapter) else "`enhance`")
        assert versions == ", ".join(adapter.versions)
        assert reconnects == reconnects_of(adapter), adapter.name
        assert without == adapter.without_event_time
        assert re.search("made|run", tested)


def test_what_passes_by_is_listed_where_the_table_says_so():
    rows = rows_below("What passes by the clients' methods")
    listed = {row[0].strip("`") for row in rows} - {"all"}
    assert listed == {adapter.name for adapter in ADAPTERS if adapter.passes_by}
    for name in ("_handle_data", "_publish_margin_data"):
        assert name in EXECUTION_SINKS
        assert f"`{name}`" in PAGE


def test_the_option_and_the_sampling_are_as_they_are():
    assert [row[0] for row in rows_below("Switching it on")] == [
        '`"none"` (default)',
        *(f'`"{choice}"`' for choice in _CHOICES["adapters"][1:]),
    ]
    assert f"every {SAMPLE_MASK + 1}th" in PAGE
