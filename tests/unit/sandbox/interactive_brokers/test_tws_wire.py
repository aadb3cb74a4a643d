import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.sandbox.interactive_brokers.wire import GREETING
from nautilus_enhanced.sandbox.interactive_brokers.wire import MAX_MESSAGE_BYTES
from nautilus_enhanced.sandbox.interactive_brokers.wire import TwsFraming
from nautilus_enhanced.sandbox.interactive_brokers.wire import addressed
from nautilus_enhanced.sandbox.interactive_brokers.wire import client_versions
from nautilus_enhanced.sandbox.interactive_brokers.wire import frame
from nautilus_enhanced.sandbox.interactive_brokers.wire import request_id_of
from nautilus_enhanced.sandbox.interactive_brokers.wire import server_greeting
from nautilus_enhanced.sandbox.interactive_brokers.wire import split
from nautilus_enhanced.sandbox.listener import FramingError


def sized(message):
    return len(message).to_bytes(4, "big") + message


@given(messages=st.lists(st.binary(max_size=300), max_size=20), data=st.data())
def test_messages_are_the_same_however_their_bytes_come(messages, data):
    stream = GREETING + b"".join(sized(m) for m in messages)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=10).map(sorted))
    framing = TwsFraming()
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += framing.feed(stream[start:end])
    assert found == messages


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"APX",
        GREETING + (MAX_MESSAGE_BYTES + 1).to_bytes(4, "big"),
        GREETING + b"\xff\xff\xff\xff",
    ],
)
def test_what_is_no_message_is_refused_before_it_is_kept(data):
    with pytest.raises(FramingError):
        TwsFraming().feed(data)


@pytest.mark.parametrize(
    ("said", "versions"),
    [
        (b"v100..223", (100, 223)),
        (b"v187", (187, 187)),
        (b"v100..213 +PACEAPI", (100, 213)),
        (b"v100..", None),
        (b"100..223", None),
        (b"", None),
    ],
)
def test_a_client_names_its_versions(said, versions):
    assert client_versions(said) == versions


def test_the_server_names_its_version_and_the_time():
    assert server_greeting("20260101 00:00:00 UTC") == sized(b"213\x0020260101 00:00:00 UTC\0")


def test_a_message_has_its_number_and_200_for_protobuf():
    assert frame(5, b"ab") == b"\0\0\0\x06\0\0\0\xcdab"
    assert split(frame(5, b"ab")[4:]) == (5, b"ab")
    # Without 200 more it is text.
    assert split(b"\0\0\0\x05ab") is None
    assert split(b"\0\0") is None


@given(st.integers(-(2**31), 2**31 - 1), st.binary(max_size=20))
def test_the_id_of_a_request_is_found_again(request_id, rest):
    message = addressed(1, rest, request_id)
    number, fields = split(message[4:])
    assert number == 1
    assert request_id_of(fields) == request_id
    assert fields.endswith(rest)


@pytest.mark.parametrize("fields", [b"", b"\x12\x03abc", b"\x08" + b"\xff" * 11])
def test_a_request_without_an_id_has_none(fields):
    assert request_id_of(fields) == -1
