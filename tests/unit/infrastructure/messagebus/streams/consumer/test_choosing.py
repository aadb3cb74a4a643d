from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import StreamNaming
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.choosing import MANY_TOPICS
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.choosing import KeySelection
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.choosing import TopicSelection


ALL = StreamNaming(trader_id="*")


@pytest.mark.parametrize(
    ("key", "place"),
    [
        (b"trader-T-1:stream:events.order.S-1", "events.order.S-1"),
        (b"trader-T-2:stream:events.order.S:1", "events.order.S:1"),
        (b"trader-T-1:stream", MANY_TOPICS),
        (b"trader-T-1:stream:data.quotes.X", None),
        (b"trader-T-1:streams", None),
        (b"trader-T-1:streams:events.order.S-1", None),
        (b"T-1:stream:events.order.S-1", None),
        (b"nt-enhanced:streams", None),
        (b"nt-enhanced:streams:new", None),
    ],
)
def test_streams_of_all_traders_are_chosen_by_topic(key, place) -> None:
    chooser = TopicSelection(ALL, ("events.order.*",)).chooser()
    assert chooser.place_of(key) == place


def test_a_naming_chooses_whose_streams() -> None:
    naming = StreamNaming(trader_id="T.1", use_trader_prefix=False, streams_prefix="out")
    chooser = TopicSelection(naming, ("*",)).chooser()
    assert chooser.place_of(b"T.1:out:data.X") == "data.X"
    assert chooser.place_of(b"T-1:out:data.X") is None
    assert chooser.place_of(b"trader-T.1:out:data.X") is None


def test_the_topic_may_have_in_it_what_ends_the_part_before() -> None:
    chooser = TopicSelection(ALL, ("a:stream:b",)).chooser()
    assert chooser.place_of(b"trader-T:stream:a:stream:b") == "a:stream:b"


def test_what_the_server_looks_for_is_what_is_meant() -> None:
    selection = TopicSelection(StreamNaming(trader_id="T[1]"), ("events.?",))
    assert selection.key_patterns() == [
        rb"trader-T\[1\]:stream",
        rb"trader-T\[1\]:stream:events.?",
    ]


@given(st.text("ab:.*", min_size=1, max_size=8), st.text("ab:.", min_size=1, max_size=8))
def test_whole_keys_are_chosen_by_pattern(pattern: str, key: str) -> None:
    chooser = KeySelection((pattern,)).chooser()
    expected = MANY_TOPICS if fnmatchcase(key, pattern) else None
    assert chooser.place_of(key.encode()) == expected


def test_streams_by_key_may_be_limited_to_topics() -> None:
    chooser = KeySelection(("one", "two:*"), ("events.*",)).chooser()
    assert [chooser.place_of(key) for key in (b"one", b"two:x", b"one:x")] == ["", "", None]
    assert chooser.accepts("events.order.S-1")
    assert not chooser.accepts("data.X")


@pytest.mark.parametrize("keys", [(), ("",), ("with space",)])
def test_keys_that_are_none_are_told(keys) -> None:
    with pytest.raises(ConfigurationError) as caught:
        KeySelection(keys)
    assert caught.value.field == "streams"


def test_patterns_that_match_nothing_are_told() -> None:
    with pytest.raises(ConfigurationError):
        TopicSelection(ALL, ("",))
