"""Payloads and figures as a person reads them: whatever the bytes are."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.cli.streams.decoding import as_object
from nautilus_enhanced.cli.streams.decoding import as_text
from nautilus_enhanced.cli.streams.decoding import plain
from nautilus_enhanced.cli.streams.showing import printable
from nautilus_enhanced.cli.streams.showing import shown_duration
from nautilus_enhanced.cli.streams.showing import shown_size
from nautilus_enhanced.cli.streams.showing import shown_time
from nautilus_enhanced.cli.streams.showing import table
from nautilus_enhanced.cli.streams.tail import before_ms
from nautilus_enhanced.cli.streams.tail import parse_since
from nautilus_enhanced.infrastructure.messagebus import ConfigurationError


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
NAMES = st.text("ab", max_size=3)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.text("ab", min_size=1, max_size=3), DATA, min_size=1, max_size=4)
RECORDED = json.loads((Path(__file__).parents[2] / "contract/wire_entries.json").read_text())
ENTRIES = [
    (f"{version} {kind}", {name: base64.b64decode(value) for name, value in entry})
    for version, kinds in RECORDED.items()
    for kind, entries in kinds.items()
    for entry in entries
]


@given(OBJECTS, st.sampled_from(["", "json", "Json", "msgpack", "MsgPack", "other"]))
def test_messages_are_decoded_whatever_is_said_of_them(fields: dict, encoding: str) -> None:
    """NautilusTrader 1.221 says nothing, and 1.231 says Json of what is MessagePack."""
    assert plain(msgspec.json.encode(fields), encoding) == fields
    assert plain(msgspec.msgpack.encode(fields), encoding) == fields


@given(st.binary(max_size=200), st.sampled_from(["", "json", "msgpack"]))
def test_any_bytes_become_one_line_without_commands_to_the_terminal(
    payload: bytes, encoding: str
) -> None:
    line = printable(as_text(payload, encoding))
    assert line.isprintable()
    json.dumps(plain(payload, encoding))


def test_what_nests_without_end_or_is_huge_is_no_trouble() -> None:
    for payload in (b"[" * 200_000, b"\x91" * 200_000, b'{"a":' * 100_000):
        as_text(payload)
    assert plain(b"[" + b"1," * 3_000_000 + b"1]") == (b"[" + b"1," * 3_000_000 + b"1]").decode()
    assert plain(b"\xc1\xff") == {"base64": "wf8="}


@pytest.mark.parametrize(
    ("kind", "entry"), ENTRIES, ids=[f"{k} {n}" for n, (k, _) in enumerate(ENTRIES)]
)
def test_what_stock_and_enhanced_nodes_wrote_is_decoded(kind: str, entry: dict) -> None:
    encoding = entry.get("encoding", b"").decode()
    decoded = plain(entry["payload"], encoding)
    assert isinstance(decoded, dict)
    name = decoded["type"]
    assert entry["topic"].decode().startswith(kind.rpartition(" ")[0].replace(" ", "."))
    made = as_object(entry["payload"], encoding)
    assert made.startswith(name), made


@pytest.mark.parametrize(
    "payload",
    [b'{"type":"QuoteTick"}', b'{"type":"Nonsense","ts_init":"x"}', b'{"type":7}', b"[]", b"\xff",
     b'{"type":"QuoteTick","ts_init":[1]}'],
)  # fmt: skip
def test_what_only_claims_to_be_an_object_is_shown_as_it_is(payload: bytes) -> None:
    assert as_object(payload) == as_text(payload)


@given(st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), max_size=5))
def test_a_table_has_a_line_for_each_row_whatever_is_in_it(rows: list) -> None:
    lines = table(("a", "b"), rows)
    assert len(lines) == len(rows) + 1
    assert all(line.isprintable() for line in lines)


@given(st.integers(-(2**70), 2**70))
def test_any_number_is_a_time(milliseconds: int) -> None:
    assert shown_time(milliseconds)


def test_figures_are_short() -> None:
    assert [shown_duration(ms) for ms in (None, 5, 1_000, 90_000, 7_200_000, 10**9)] == [
        "–", "5 ms", "1 s", "2 min", "2 h", "12 d",
    ]  # fmt: skip
    assert [shown_size(size) for size in (None, 5, 2_048, 5 * 2**40, 5 * 2**50)] == [
        "–", "5 B", "2.0 KiB", "5.0 TiB", "5,120.0 TiB",
    ]  # fmt: skip
    assert shown_time(1_700_000_000_123) == "2023-11-14 22:13:20.123Z"


def test_since_is_a_duration_or_a_time() -> None:
    now = 1_700_000_000_000
    assert parse_since(None, now) == now
    assert parse_since("10m", now) == now - 600_000
    assert parse_since("999999999d", now) == 0
    assert parse_since("2023-11-14T22:13:20", now) == now
    assert parse_since("2023-11-14T23:13:20+01:00", now) == now
    for wrong in ("yesterday", "10", "-5m", ""):
        with pytest.raises(ConfigurationError, match="--since"):
            parse_since(wrong, now)
    assert before_ms(0) == (0, 0)
    assert before_ms(5) == (4, 2**64 - 1)
