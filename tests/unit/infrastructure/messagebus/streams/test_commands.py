"""Commands are what the server's protocol says, however they are put together."""

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.infrastructure.messagebus.streams import commands


NAMES = st.binary(min_size=1, max_size=12)


def items_of(query):
    """Return what a server reads in a command: it has the form of an answer."""
    reader = hiredis.Reader()
    reader.feed(query)
    items = reader.gets()
    assert reader.gets() is False, "there is more than one command"
    return items


@given(NAMES, NAMES, st.lists(NAMES, min_size=1, max_size=20), st.data())
def test_a_reading_asks_for_its_streams_each_time(group, consumer, keys, data):
    reading = commands.GroupReading(group, consumer, keys)
    for _ in range(3):
        count = data.draw(st.integers(1, 10_000))
        block_ms = data.draw(st.none() | st.integers(1, 5_000))
        wait = [] if block_ms is None else [b"BLOCK", b"%d" % block_ms]
        head = [b"XREADGROUP", b"GROUP", group, consumer, b"COUNT", b"%d" % count]
        expected = [*head, *wait, b"STREAMS", *keys, *([b">"] * len(keys))]
        assert items_of(reading.query(count, block_ms)) == expected
        once = commands.read_group(group, consumer, keys, count, block_ms)
        assert items_of(once) == expected


def test_an_error_is_told_by_its_code():
    error = hiredis.ReplyError("NOGROUP No such key")
    assert commands.is_error(error, commands.NO_GROUP)
    assert commands.is_error(error)
    assert not commands.is_error(error, commands.GROUP_EXISTS)
    assert not commands.is_error(b"NOGROUP", commands.NO_GROUP)
    with pytest.raises(commands.ServerError, match="reading: NOGROUP"):
        commands.succeeded(error, "reading")
    assert commands.succeeded(7, "reading") == 7
