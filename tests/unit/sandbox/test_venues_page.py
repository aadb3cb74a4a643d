"""What docs/venues.md lists is what there is."""

import re
from pathlib import Path

from nautilus_enhanced.cli.bench import command as bench
from nautilus_enhanced.cli.demo.command import command as demo
from nautilus_enhanced.cli.venue import command
from nautilus_enhanced.sandbox.faults import _READERS
from nautilus_enhanced.sandbox.faults import TARGETS
from nautilus_enhanced.sandbox.faults import FaultRule
from nautilus_enhanced.sandbox.faults import Target
from nautilus_enhanced.sandbox.venues import VENUES


HERE = Path(__file__).resolve().parents[3]
PAGE = (HERE / "docs" / "venues.md").read_text()


def rows(head):
    """The cells of the table that begins so, without the two rows of its head."""
    lines = PAGE[PAGE.index(head) :].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_venue_is_listed():
    assert [row[0].strip("`") for row in rows("| name |")] == list(VENUES)


def test_every_fault_is_listed_with_what_it_happens_to():
    listed, kind = {}, ""
    for name, targets, _ in rows("| kind |"):
        kind = name.strip("`") or kind
        found = {Target(target) for target in re.findall(r"`([\w-]+)`", targets)}
        listed[kind] = listed.get(kind, set()) | found
    assert listed == {kind.value: set(targets) for kind, targets in TARGETS.items()}


def test_every_setting_is_listed_with_its_default():
    listed = {row[0].strip("`"): row[1] for row in rows("| setting |")}
    assert set(listed) == set(_READERS) - {"on"}
    rule = FaultRule.parse("delay:on=user")
    defaults = {name: getattr(rule, name) for name in listed}
    assert {n: float(d) for n, d in listed.items() if d != "all"} == {
        n: float(d) for n, d in defaults.items() if d != ""
    }


def test_every_option_that_the_page_names_is_there():
    commands = (command, demo, bench)
    options = {name for one in commands for param in one.params for name in param.opts}
    for example in (HERE / "examples" / "live").glob("*.py"):
        options |= set(re.findall(r'"(--[a-z-]+)"', example.read_text()))
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", PAGE))
    assert named <= options
