from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import assume
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.serialization.serializer import MsgSpecSerializer
from nautilus_trader.test_kit.stubs.data import TestDataStubs

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.streams.decoding import decoder_of
from nautilus_enhanced.infrastructure.messagebus.streams.decoding import is_json


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.text(max_size=5)
    | st.floats(-9, 9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=6,
)


@given(VALUES)
def test_either_encoding_is_told_from_the_other(value: Any) -> None:
    decode = decoder_of("plain")
    assert decode is not None
    assert decode(msgspec.msgpack.encode(value)) == value
    as_json = msgspec.json.encode(value)
    # A digit alone may be a number of msgpack.
    assume(len(as_json) > 1)
    assert is_json(as_json)
    assert decode(as_json) == value


@pytest.mark.parametrize("decode", [None, "raw"])
def test_bytes_may_stay_as_they_are(decode) -> None:
    assert decoder_of(decode) is None


@pytest.mark.parametrize("decode", [7, "yaml", object()])
def test_what_is_no_decoder_is_told(decode) -> None:
    with pytest.raises(ConfigurationError, match="'raw', 'plain', 'nautilus'"):
        decoder_of(decode)


def test_a_type_that_msgspec_does_not_know_is_told() -> None:
    class Unknown(msgspec.Struct):
        field: int | list[int] | set[int]

    with pytest.raises(ConfigurationError, match="a type that msgspec can decode"):
        decoder_of(Unknown)


@pytest.mark.parametrize("encoding", [msgspec.json, msgspec.msgpack])
@pytest.mark.parametrize(
    "times", [{"timestamps_as_str": True}, {"timestamps_as_iso8601": True}, {}], ids=str
)
def test_the_hosts_objects_are_made_whatever_wrote_them(encoding, times) -> None:
    decode = decoder_of("nautilus")
    assert decode is not None
    tick = TestDataStubs.quote_tick(ts_event=1_000_000_001, ts_init=2)
    payload = MsgSpecSerializer(encoding=encoding, **times).serialize(tick)
    decoded = decode(payload)
    assert isinstance(decoded, QuoteTick)
    assert decoded == tick
    assert (decoded.ts_event, decoded.ts_init) == (1_000_000_001, 2)


@pytest.mark.parametrize("payload", [b"", b"\xff", b"\x05", b"[1]", b"{", b"2026-11-25T12:00:00"])
def test_what_no_bus_published_raises(payload) -> None:
    decode = decoder_of("nautilus")
    assert decode is not None
    with pytest.raises((msgspec.DecodeError, TypeError, AttributeError)):
        decode(payload)


def test_a_type_that_is_not_registered_is_a_dict() -> None:
    decode = decoder_of("nautilus")
    assert decode is not None
    assert decode(b'{"type":"Nothing","price":1}') == {"type": "Nothing", "price": 1}
