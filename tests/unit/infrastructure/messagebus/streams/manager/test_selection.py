"""Which streams, and which of their messages, a pattern means."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.infrastructure.messagebus import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus import StreamNaming
from nautilus_enhanced.infrastructure.messagebus.patterns import compile_pattern
from nautilus_enhanced.infrastructure.messagebus.streams.manager.selection import StreamSelector


TEXT = st.text("ab.*?[]\\-", min_size=1, max_size=8)
TOPICS = st.text("ab.:", min_size=1, max_size=8)
NAMINGS = st.builds(
    StreamNaming,
    trader_id=TEXT,
    instance_id=TEXT,
    use_trader_prefix=st.booleans(),
    use_trader_id=st.just(True),
    use_instance_id=st.booleans(),
    stream_per_topic=st.booleans(),
)


@given(NAMINGS, st.text("ab.*?", min_size=1, max_size=6), TOPICS)
def test_the_streams_of_a_matching_topic_are_meant_however_they_are_named(
    naming: StreamNaming, pattern: str, topic: str
) -> None:
    key = naming.key(topic).encode()
    matches = bool(compile_pattern(pattern).fullmatch(topic.encode()))
    selector = StreamSelector(pattern)
    assert selector.takes(key, topic.encode()) >= matches
    if matches or not naming.stream_per_topic:
        assert selector.matches(key)
        assert StreamSelector(pattern, trader_id=naming.trader_id).matches(key)
        assert not StreamSelector(pattern, trader_id=naming.trader_id + "x").matches(key)


@given(NAMINGS, TOPICS)
def test_the_server_is_asked_for_all_that_is_meant(naming: StreamNaming, topic: str) -> None:
    key = naming.key(topic)
    glob = StreamSelector("*", trader_id=naming.trader_id).key_glob.decode()
    assert matches_glob(glob, key)


def matches_glob(glob: str, key: str) -> bool:
    """Match as the server does: a backslash makes the next character one like any other."""
    parts = re.findall(r"\\.|.", glob, re.DOTALL)
    regex = "".join(".*" if part == "*" else re.escape(part[-1]) for part in parts)
    return bool(re.fullmatch(regex, key, re.DOTALL))


@pytest.mark.parametrize(
    ("pattern", "key", "topic", "matches", "takes"),
    [
        ("events.order.*", "trader-T-1:stream:events.order.S-1", "events.order.S-1", True, True),
        ("events.order.*", "trader-T-1:stream:events.pos.P", "events.pos.P", False, False),
        ("events.order.*", "trader-T-1:stream", "events.order.S-1", True, True),
        ("events.order.*", "trader-T-1:stream", "data.quotes", True, False),
        ("trader-T-1:*", "trader-T-1:stream:data.quotes", "data.quotes", True, True),
        ("health:heartbeat", "trader-T-1:stream:health:heartbeat", "health:heartbeat", True, True),
        ("*", "nt-enhanced:dlq:g", "events.order.S-1", False, True),
    ],
)  # fmt: skip
def test_what_a_pattern_means(
    pattern: str, key: str, topic: str, matches: bool, takes: bool
) -> None:
    selector = StreamSelector(pattern)
    assert selector.matches(key.encode()) is matches
    assert selector.takes(key.encode(), topic.encode()) is takes


@pytest.mark.parametrize("pattern", ["", "a b", "x" * 257])
def test_a_pattern_that_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match="`pattern`"):
        StreamSelector(pattern)


def test_a_trader_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="`trader_id`"):
        StreamSelector("*", trader_id="a b")


def test_a_pattern_of_keys_means_no_other_trader() -> None:
    """A node without a prefix and an ID in its keys trims no streams but its own."""
    by_topic, by_key = StreamSelector("stream:*"), StreamSelector("stream:*", keys_only=True)
    own, other = b"stream:data.quotes", b"trader-T-2:stream:data.quotes"
    assert [by_topic.matches(own), by_topic.matches(other)] == [True, True]
    assert [by_key.matches(own), by_key.matches(other)] == [True, False]


def test_streams_of_all_topics_are_left_out_where_the_messages_are_not_looked_at() -> None:
    combined = b"trader-T-1:stream"
    assert StreamSelector("events.*").matches(combined)
    assert not StreamSelector("events.*", streams_prefix=None).matches(combined)
    assert not StreamSelector("events.*", keys_only=True).matches(combined)
    assert StreamSelector("trader-T-1:*", streams_prefix=None).matches(combined)
