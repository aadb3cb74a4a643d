"""Dead letters are written and read alike, and a retry is a message."""

from __future__ import annotations

from typing import Any

import hiredis
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.infrastructure.messagebus.streams.entries import StreamMessage
from nautilus_enhanced.infrastructure.messagebus.streams.entries import topic_and_payload
from nautilus_enhanced.infrastructure.messagebus.streams.letters import MAX_ERROR_LENGTH
from nautilus_enhanced.infrastructure.messagebus.streams.letters import MAX_LETTERS
from nautilus_enhanced.infrastructure.messagebus.streams.letters import DeadLetter
from nautilus_enhanced.infrastructure.messagebus.streams.letters import encode_letter
from nautilus_enhanced.infrastructure.messagebus.streams.letters import encode_retry
from nautilus_enhanced.infrastructure.messagebus.streams.letters import parse_letter


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
NUMBERS = st.integers(0, 2**63)
LETTERS = st.builds(
    DeadLetter,
    topic=TEXTS,
    payload=st.binary(max_size=100),
    stream=TEXTS,
    entry_id=st.tuples(NUMBERS, NUMBERS),
    group=TEXTS,
    consumer=TEXTS,
    error=TEXTS,
    error_type=TEXTS,
    deliveries=NUMBERS,
    failed_at=NUMBERS,
    type=TEXTS,
    encoding=TEXTS,
    letter_id=st.just((7, 1)),
)


def items(query: tuple[bytes, bytes]) -> list[Any]:
    reader = hiredis.Reader()
    reader.feed(query[1])
    return list(reader.gets())


@given(LETTERS)
def test_a_letter_is_read_as_it_was_written(letter: DeadLetter) -> None:
    name, key, *bound, entry_id = items(encode_letter(letter))[:6]
    assert (name, key, entry_id) == (b"XADD", f"nt-enhanced:dlq:{letter.group}".encode(), b"*")
    assert bound == [b"MAXLEN", b"~", b"%d" % MAX_LETTERS]
    assert parse_letter(b"7-1", items(encode_letter(letter))[6:]) == letter


@given(LETTERS)
def test_a_retry_is_a_message_that_knows_where_it_comes_from(letter: DeadLetter) -> None:
    fields = items(encode_letter(letter))[6:]
    added = items(encode_retry(letter.group, fields))
    assert added[1] == f"nt-enhanced:retry:{letter.group}".encode()
    assert topic_and_payload(added[6:]) == (letter.topic.encode(), letter.payload)
    said = StreamMessage("", b"", "", b"0-0", added[6:])
    assert (said.type, said.encoding) == (letter.type, letter.encoding)
    assert added[6:][8:] == [b"stream", letter.stream.encode(), b"entry_id", fields[15]]


@given(st.lists(st.binary(max_size=20), max_size=30))
def test_what_somebody_else_wrote_is_no_error(fields: list[bytes]) -> None:
    parse_letter(b"1-0", fields)
    encode_retry("g", fields)


def test_a_number_without_end_is_none() -> None:
    letter = parse_letter(b"1-0", [b"deliveries", b"9" * 5_000, b"entry_id", b"9" * 5_000])
    assert (letter.deliveries, letter.entry_id) == (0, (0, 0))


def test_a_topic_that_is_no_text_stays_as_it_is() -> None:
    added = items(encode_retry("g", [b"topic", b"\xff", b"payload", b"x"]))
    assert topic_and_payload(added[6:]) == (b"\xff", b"x")


def test_a_long_error_is_cut() -> None:
    letter = DeadLetter(
        topic="t",
        payload=b"",
        stream="s",
        entry_id=(1, 0),
        group="g",
        consumer="c",
        error="é" * 9_999,
    )
    read = parse_letter(b"1-0", items(encode_letter(letter))[6:])
    assert len(read.error) == MAX_ERROR_LENGTH
