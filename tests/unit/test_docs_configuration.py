"""The tables of docs/configuration.md and docs/migration.md say what the code does."""

from __future__ import annotations

import json
import re
import typing
from pathlib import Path

import msgspec
import pytest

from nautilus_enhanced import EnhancedMessageBusConfig
from nautilus_enhanced.config import PRESETS
from nautilus_enhanced.infrastructure.messagebus import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus import LaneSettings
from nautilus_enhanced.migration.flat_names import FLAT_NAMES
from nautilus_enhanced.migration.plan import changed_fields
from nautilus_enhanced.node_config import OUR_FIELDS
from nautilus_enhanced.node_config import parse_message_bus


DOCS = Path(__file__).resolve().parents[2] / "docs"
LANES = ("critical", "high", "normal", "low")
RANGE = re.compile(r"^([\d.,]+) to ([\d.,]+)(?:;|$)")
# What a rule must have beside the field in question, and what a field needs from others.
RULES = {
    "priorities.topics[]": {"pattern": "a", "priority": "low"},
    "publishing.rules[]": {"pattern": "a"},
    "dispatch.rules[]": {"flow": "data"},
    "external.start[]": {"pattern": "a", "start": "now"},
}
NEEDS = {
    "reconnect_min_ms": {"reconnect_max_ms": 60_000},
    "min_workers": {"max_workers": 50},
    "retry_min_ms": {"retry_max_ms": 600_000},
}


def shown(value):
    return f"`{json.dumps(msgspec.to_builtins(value))}`"


def defaults_of(kind, prefix):
    """Return the default of each field, as the page shows it, by its path."""
    hints, rows = typing.get_type_hints(kind), {}
    for field in msgspec.structs.fields(kind):
        name = f"{prefix}{field.name}"
        if field.required:
            rows[name] = "required"
            continue
        value = (
            field.default
            if field.default is not msgspec.NODEFAULT
            else field.default_factory()
        )  # fmt: skip
        elements = [
            inner
            for inner in typing.get_args(hints[field.name])
            if isinstance(inner, type) and issubclass(inner, msgspec.Struct)
        ]
        if field.name == "connection":
            rows |= defaults_of(ConnectionSettings, f"{name}.")
        elif field.name == "trimming":
            rows |= {name: shown(value)} | defaults_of(elements[0], f"{name}.")
        elif isinstance(value, msgspec.Struct):
            rows |= {name: "on"} if field.name == "dispatch" else {}
            rows |= defaults_of(type(value), f"{name}.")
        elif isinstance(value, tuple) and elements:
            rows |= defaults_of(elements[0], f"{name}[].")
        else:
            rows[name] = shown(value)
    return rows


def settings_of_the_code():
    rows = {}
    for name, default in defaults_of(EnhancedMessageBusConfig, "").items():
        if name.partition(".")[0].partition("[")[0] not in OUR_FIELDS:
            continue
        if name == "buffers":
            settings = EnhancedMessageBusConfig().buffer_settings()
            for field in LaneSettings.__struct_fields__:
                values = [shown(getattr(getattr(settings, lane), field)) for lane in LANES]
                rows[f"buffers.*.{field}"] = (
                    values[0] if len(set(values)) == 1 else " ".join(values)
                )
        else:
            rows[name] = default
    return rows


def flat(fields, prefix=""):
    rows = {}
    for name, value in fields.items():
        rows |= (
            flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
        )
    return rows


def presets_of_the_code():
    return {
        preset: {
            name: shown(value)
            for name, value in flat({k: changed_fields(v) for k, v in fields.items()}).items()
        }
        for preset, fields in PRESETS.items()
    }


def table(page, mark):
    text = (DOCS / page).read_text()
    block = re.search(rf"<!-- {mark} -->\n(.*?)\n<!-- /{mark} -->", text, re.DOTALL).group(1)
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in block.splitlines()]


def rows_of(page, mark):
    return {row[0].strip("`"): row[1:] for row in table(page, mark)[2:]}


SETTINGS = rows_of("configuration.md", "settings")


def config_with(name, value):
    """Return the fields of a message bus in which one setting has a value."""
    *path, last = name.replace("*", "normal").split(".")
    fields = {**RULES.get(".".join(path), {}), **NEEDS.get(last, {}), last: value}
    for step in reversed(path):
        fields = {step.removesuffix("[]"): [fields] if step.endswith("[]") else fields}
    return fields


def test_every_setting_is_listed_with_its_default():
    assert {name: cells[0] for name, cells in SETTINGS.items()} == settings_of_the_code()


@pytest.mark.parametrize("name", [n for n, cells in SETTINGS.items() if RANGE.match(cells[1])])
def test_a_range_is_the_one_that_is_kept(name):
    low, high = (json.loads(n.replace(",", "")) for n in RANGE.match(SETTINGS[name][1]).groups())
    step = 0.0001 if isinstance(low, float) else 1
    for value in (low, high):
        parse_message_bus(config_with(name, value))
    for value in (low - step, high + step):
        with pytest.raises(ConfigurationError) as caught:
            parse_message_bus(config_with(name, value))
        sentence = str(caught.value)
        last = name.rpartition(".")[2]
        assert last in caught.value.field
        assert caught.value.field.startswith("message_bus.")
        assert f"{value!r}" in sentence
        assert "allowed: " in sentence


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, default in settings_of_the_code().items()
        if re.fullmatch(r"(`[\d.]+` ?)+", default) and not re.search(r"_water$|scale_", name)
    ],
)
def test_every_number_has_a_range(name):
    allowed = SETTINGS[name][1]
    assert RANGE.match(allowed) or re.search(
        r"^`(min_workers|reconnect_min_ms|retry_min_ms|resume_below)` to |to `pause_above`$",
        allowed,
    )


@pytest.mark.parametrize(
    "name",
    [n for n, cells in SETTINGS.items() if re.fullmatch(r'(`"\w+"`(, )?)+', cells[1])],
)
def test_a_choice_is_the_one_that_is_kept(name):
    choices = json.loads(f"[{SETTINGS[name][1].replace('`', '')}]")
    for value in choices:
        parse_message_bus(config_with(name, value))
    with pytest.raises(ConfigurationError) as caught:
        parse_message_bus(config_with(name, "nonsense"))
    field = name.replace("*", "normal").replace("[]", "[0]")
    assert caught.value.field == f"message_bus.{field}"
    allowed = caught.value.allowed
    assert f"`message_bus.{field}` was 'nonsense', allowed: {allowed}" in str(caught.value)
    assert sorted(re.findall(r"'(\w+)'", allowed)) == sorted(choices)


@pytest.mark.parametrize("pattern", ["", "a b", "a\n", "x" * 257])
@pytest.mark.parametrize("name", [n for n in SETTINGS if n.endswith(("pattern", "instrument"))])
def test_a_pattern_is_well_formed(name, pattern):
    with pytest.raises(ConfigurationError, match="1 to 256"):
        parse_message_bus(config_with(name, pattern))


def test_the_presets_are_those_of_the_code():
    head, _, *rows = table("configuration.md", "presets")
    names = [cell.strip("`") for cell in head[2:]]
    listed = {
        name: {row[0].strip("`"): row[2 + i] for row in rows if row[2 + i]}
        for i, name in enumerate(names)
    }
    assert listed == presets_of_the_code()


def test_every_flat_name_is_listed_with_what_becomes_of_it():
    listed = {name: cells[0] for name, cells in rows_of("migration.md", "flat names").items()}
    assert listed == FLAT_NAMES
