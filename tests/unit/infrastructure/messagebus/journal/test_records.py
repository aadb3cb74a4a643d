from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.infrastructure.messagebus import JournalError
from nautilus_enhanced.infrastructure.messagebus.journal.records import Row
from nautilus_enhanced.infrastructure.messagebus.journal.records import SentId
from nautilus_enhanced.infrastructure.messagebus.journal.records import State
from nautilus_enhanced.infrastructure.messagebus.journal.records import Stored
from nautilus_enhanced.infrastructure.messagebus.journal.records import decode_row
from nautilus_enhanced.infrastructure.messagebus.journal.records import encode_row


ROW = Row(
    stored=[
        Stored(
            lane=1,
            first=7,
            at_ns=1_700_000_000_000_000_000,
            session=3,
            topics=["events.order.A", "ü"],
            payloads=[b"\x00\xff", b""],
            gaps={1: 4},
        )
    ],
    state=State(
        settled=[(7, [(9, 11)]), (0, [])],
        sent=[SentId(1, 7, 1_700_000_000_000, 0)],
        connection=b"x",
        gaps=[{"events.order.A": 2}],
    ),
)


def test_a_row_is_read_as_it_was_written():
    assert decode_row(encode_row(ROW)) == ROW
    assert decode_row(encode_row(Row())) == Row()
    assert ROW.stored[0].end == 9


@given(st.integers(0, 8 * len(encode_row(ROW)) - 1))
def test_a_row_with_a_flipped_bit_is_refused(bit):
    raw = bytearray(encode_row(ROW))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(JournalError, match="damaged"):
        decode_row(bytes(raw))


@given(st.binary(max_size=40))
def test_what_is_no_row_is_refused(raw):
    with pytest.raises(JournalError):
        decode_row(raw)


def test_a_body_of_another_layout_is_refused():
    body = b"\xa5hello"
    with pytest.raises(JournalError, match="cannot be read"):
        decode_row(crc32(body).to_bytes(4) + body)
