"""Streams that are not read although a pattern matches them."""

from __future__ import annotations

import pytest

from nautilus_enhanced.infrastructure.messagebus.streams.consumer.choosing import MANY_TOPICS
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.choosing import KeySelection


@pytest.mark.parametrize(
    ("keys", "excluded", "chosen", "not_chosen"),
    [
        (("trader-*",), ("trader-A:stream",), [b"trader-A:stream:x", b"trader-B"], ["A:stream"]),
        (("trader-*",), ("trader-A:stream:*",), [b"trader-A:stream"], ["A:stream:events.order.S"]),
        (("trader-A:stream",), (), [b"trader-A:stream"], ["A:stream2"]),
        (("trader-A:stream", "trader-B"), ("trader-?",), [b"trader-A:stream"], ["B"]),
    ],
)
def test_what_is_excluded_is_not_chosen(keys, excluded, chosen, not_chosen):
    chooser = KeySelection(keys, excluded=excluded).chooser()
    assert [chooser.place_of(key) for key in chosen] == [MANY_TOPICS] * len(chosen)
    assert [chooser.place_of(f"trader-{key}".encode()) for key in not_chosen] == [None]
