"""The form of messages in the server: read back by hiredis, numbered without end."""

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.infrastructure.messagebus.publishing import wire
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import RouteTable
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import Stream
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import StreamNaming


NAMING = StreamNaming(trader_id="T-1")


def read_back(raw):
    reader = hiredis.Reader()
    reader.feed(raw)
    command = reader.gets()
    assert reader.gets() is False
    return command


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=6))
def test_a_command_is_read_back_as_it_was(items):
    assert read_back(wire.command(*items)) == items


@given(st.binary(max_size=5_000))
def test_a_bulk_string_is_its_head_and_its_bytes(value):
    assert wire.bulk_head(len(value)) + value + b"\r\n" == wire.bulk(value)


@given(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)))
def test_an_entry_id_is_read_back_as_it_was(entry_id):
    assert wire.parse_entry_id(wire.format_entry_id(entry_id)) == entry_id


@given(
    start=st.tuples(st.integers(0, 2**50), st.integers(0, 2**50)),
    clock=st.lists(st.integers(0, 2**50) | st.sampled_from([0, 5, 5, 6]), max_size=50),
)
def test_entry_ids_rise_whatever_the_clock_does(start, clock):
    stream = Stream(b"key")
    stream.last_id = start
    previous = start
    for now_ms in clock:
        entry_id = stream.next_id(now_ms)
        assert entry_id > previous
        assert entry_id[0] == max(now_ms, previous[0])
        previous = entry_id


def test_a_stream_whose_last_id_is_unknown_gives_no_number():
    with pytest.raises(RuntimeError, match="not known"):
        Stream(b"key").next_id(1)


def test_an_id_without_a_sequence_is_the_first_of_its_millisecond():
    assert wire.parse_entry_id(b"5") == (5, 0)


def test_topics_share_a_stream_when_it_is_not_one_for_each():
    routes = RouteTable(StreamNaming(trader_id="T", stream_per_topic=False), "Json")
    assert routes.route("a").stream is routes.route("b").stream
    assert routes.route("a") is routes.route("a")
    assert routes.route("a").stream.key == b"trader-T:stream"


def test_topics_are_forgotten_between_batches_only(monkeypatch):
    monkeypatch.setattr(wire, "MAX_ROUTES", 3)
    routes = RouteTable(NAMING, "Json")
    first = routes.route("0")
    for number in range(5):
        routes.route(str(number))
    assert routes.route("0") is first
    routes.forget_if_full()
    assert routes.route("0").stream is not first.stream
    routes.forget_if_full()
    assert routes.route("0").stream.last_id is None
