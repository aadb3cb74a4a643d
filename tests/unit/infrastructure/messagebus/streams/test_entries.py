from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.infrastructure.messagebus.streams.entries import StreamMessage
from nautilus_enhanced.infrastructure.messagebus.streams.entries import number_of
from nautilus_enhanced.infrastructure.messagebus.streams.entries import topic_and_payload


@pytest.mark.parametrize(
    "fields",
    [
        # 1.221, 1.231 and ours, and something that nobody writes yet.
        [b"topic", b"t", b"payload", b"p"],
        [b"topic", b"t", b"type", b"", b"payload", b"p", b"encoding", b"Json"],
        [b"topic", b"t", b"payload", b"p", b"type", b"", b"encoding", b"Json", b"gap", b"2"],
        [b"payload", b"p", b"topic", b"t"],
    ],
)
def test_topic_and_payload_are_found_by_name(fields) -> None:
    assert topic_and_payload(fields) == (b"t", b"p")


@pytest.mark.parametrize("fields", [[], [b"topic", b"t"], [b"payload", b"p"], [b"topic"]])
def test_what_is_no_message_of_a_bus_is_none(fields) -> None:
    assert topic_and_payload(fields) is None


@given(st.lists(st.binary(max_size=8), max_size=12))
def test_whatever_another_writes_is_read_without_an_error(fields) -> None:
    topic_and_payload(fields)
    message = StreamMessage("", b"", "", b"1-0", fields)
    assert message.gap >= 0
    assert isinstance(message.type + message.encoding, str)
    assert message.journaled_at is None or message.journaled_at >= 0


@pytest.mark.parametrize("said", [b"", b"-1", b"1.5", b"many", b"9" * 5_000, "²".encode()])
def test_what_is_no_number_counts_as_not_said(said) -> None:
    assert number_of([b"gap", said], b"gap") is None
