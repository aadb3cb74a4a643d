"""
What stands in a row of the journal, and how it is written.

A row is a checksum (CRC-32, four bytes, big-endian) and a msgpack array. It has messages of one
or more lanes, or the state of the journal, or both. The newest state is the one that holds: it
says what is settled, and under which entry IDs the messages in flight may have been sent.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

import msgspec

from nautilus_enhanced.infrastructure.messagebus.errors import JournalError


_CHECKSUM_BYTES: Final = 4


class Stored(msgspec.Struct, array_like=True, frozen=True):
    """
    Messages of one lane, in order.

    Attributes
    ----------
    lane : int
        The lane's `MessagePriority`.
    first : int
        The number of the first message in its lane; the others follow without a gap.
    at_ns : int
        When they were stored, in nanoseconds since the UNIX epoch.
    session : int
        The run of a process that they come from, as the journal numbers them.
    topics : list[str]
        Their topics.
    payloads : list[bytes]
        The serialized messages.
    gaps : dict[int, int]
        For a message, by its place here, how many of its topic were dropped before it.
    """

    lane: int
    first: int
    at_ns: int
    session: int
    topics: list[str]
    payloads: list[bytes]
    gaps: dict[int, int] = {}

    @property
    def end(self) -> int:
        """Return the number behind the last message."""
        return self.first + len(self.topics)


class SentId(msgspec.Struct, array_like=True, frozen=True):
    """
    The entry ID of a message that was, or will be, sent.

    Attributes
    ----------
    lane, number : int
        Which message.
    milliseconds, sequence : int
        The two parts of its entry ID.
    """

    lane: int
    number: int
    milliseconds: int
    sequence: int


class State(msgspec.Struct, array_like=True, frozen=True):
    """
    Where the writer stands.

    Attributes
    ----------
    settled : list[tuple[int, list[tuple[int, int]]]]
        For each lane: all numbers below are settled, and these ranges.
    sent : list[SentId]
        What is in flight, or next.
    connection : bytes
        Which connection to which server it is, as msgpack; empty if that is not known.
    gaps : list[dict[str, int]]
        For each lane, the messages of a topic that were shed and not yet told of.
    """

    settled: list[tuple[int, list[tuple[int, int]]]]
    sent: list[SentId] = []
    connection: bytes = b""
    gaps: list[dict[str, int]] = []


class Row(msgspec.Struct, array_like=True, frozen=True):
    """
    A row of the journal.

    Attributes
    ----------
    stored : list[Stored]
        Messages.
    state : State or None
        The state that holds from here on.
    """

    stored: list[Stored] = []
    state: State | None = None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Row)


def encode_row(row: Row) -> bytes:
    """Return a row as it is written."""
    body = _encoder.encode(row)
    return crc32(body).to_bytes(_CHECKSUM_BYTES) + body


def decode_row(raw: bytes) -> Row:
    """
    Return a row that was written.

    Raises
    ------
    JournalError
        If it is not as it was written.
    """
    checksum, body = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
    if crc32(body).to_bytes(_CHECKSUM_BYTES) != checksum:
        raise JournalError("a row of the journal is damaged: its checksum does not match")
    try:
        return _decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise JournalError(f"a row of the journal cannot be read: {error}") from error
