"""
How TWS puts messages on its socket: pure, no I/O.

Each side begins with text: the client with the versions that it speaks, TWS with the one that is
used. From version 201 on a message is its length, its number (200 more if what follows is
protobuf), and its fields. Numbers and fields are those of Interactive Brokers' public TWS API
(https://ibkrcampus.com/campus/ibkr-api-page/twsapi-doc/), whose client library has them.
"""

from __future__ import annotations

import re
from typing import Any
from typing import Final

from nautilus_enhanced.sandbox.listener import FramingError


GREETING: Final = b"API\0"
# From 213 on all messages are protobuf; 214 is the first to write times in another way.
SERVER_VERSION: Final = 213
PROTOBUF_OFFSET: Final = 200
MAX_MESSAGE_BYTES: Final = 64 * 1024
_WORD: Final = 4
# The tag of field 1 as a whole number: in all messages about a request that is its ID.
_REQUEST_ID_TAG: Final = b"\x08"
_VARINT_BITS: Final = 7
_VARINT_MORE: Final = 0x80
_VARINT_MAX_BYTES: Final = 10
_MODULUS: Final = 1 << 64
_VERSIONS: Final = re.compile(rb"v([0-9]{1,6})(?:\.\.([0-9]{1,6}))?(?: .*)?")


class TwsFraming:
    """Cut what a client sends into messages, the first of which names its versions."""

    def __init__(self) -> None:
        self._buffer = b""
        self._greeted = False

    def feed(self, data: bytes) -> list[bytes]:
        """
        Return the messages that are whole with these bytes, without their lengths.

        Raises
        ------
        FramingError
            If the client begins with something else, or announces more than `MAX_MESSAGE_BYTES`.
        """
        self._buffer += data
        if not self._greeted:
            begun = self._buffer[: len(GREETING)]
            if not GREETING.startswith(begun):
                raise FramingError(f"a client began with {begun!r}, not with {GREETING!r}")
            if len(begun) < len(GREETING):
                return []
            self._buffer = self._buffer[len(GREETING) :]
            self._greeted = True
        messages = []
        while len(self._buffer) >= _WORD:
            size = int.from_bytes(self._buffer[:_WORD], "big")
            if size > MAX_MESSAGE_BYTES:
                raise FramingError(f"a message of {size} bytes, allowed: {MAX_MESSAGE_BYTES}")
            if len(self._buffer) < _WORD + size:
                break
            messages.append(self._buffer[_WORD : _WORD + size])
            self._buffer = self._buffer[_WORD + size :]
        return messages


def client_versions(message: bytes) -> tuple[int, int] | None:
    """Return the lowest and the highest version of a client's first message, or None."""
    found = _VERSIONS.fullmatch(message)
    if found is None:
        return None
    return int(found[1]), int(found[2] or found[1])


def server_greeting(time_text: str) -> bytes:
    """Return what TWS answers a client's versions with."""
    return _sized(f"{SERVER_VERSION}\0{time_text}\0".encode())


def split(message: bytes) -> tuple[int, bytes] | None:
    """Return number and fields of a protobuf message of the client, or None if it is none."""
    number = int.from_bytes(message[:_WORD], "big") - PROTOBUF_OFFSET
    return (number, message[_WORD:]) if len(message) >= _WORD and number > 0 else None


def encode(number: int, message: Any) -> bytes:
    """Return a message as TWS sends it."""
    return frame(number, message.SerializeToString())


def frame(number: int, fields: bytes) -> bytes:
    """Return a message whose fields are encoded already."""
    return _sized((number + PROTOBUF_OFFSET).to_bytes(_WORD, "big") + fields)


def addressed(number: int, fields: bytes, request_id: int) -> bytes:
    """
    Return a message about a request, whose other fields are encoded already.

    Parameters
    ----------
    number : int
        The number of a message whose field 1 is the ID of the request.
    fields : bytes
        The others; the order of fields is free.
    request_id : int
        The ID.
    """
    return frame(number, _REQUEST_ID_TAG + _varint(request_id) + fields)


def request_id_of(fields: bytes) -> int:
    """Return the first field of a request if it is a whole number, else -1."""
    if not fields.startswith(_REQUEST_ID_TAG):
        return -1
    value = 0
    for place, byte in enumerate(fields[1 : 1 + _VARINT_MAX_BYTES]):
        value |= (byte & (_VARINT_MORE - 1)) << (_VARINT_BITS * place)
        if not byte & _VARINT_MORE:
            value &= _MODULUS - 1
            return value if value < _MODULUS // 2 else value - _MODULUS
    return -1


def _varint(value: int) -> bytes:
    """Return a whole number as protobuf writes it: one below zero in 64 bits."""
    value %= _MODULUS
    encoded = bytearray()
    while value >= _VARINT_MORE:
        encoded.append(value & (_VARINT_MORE - 1) | _VARINT_MORE)
        value >>= _VARINT_BITS
    encoded.append(value)
    return bytes(encoded)


def _sized(payload: bytes) -> bytes:
    return len(payload).to_bytes(_WORD, "big") + payload
