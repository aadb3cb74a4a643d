"""
One websocket connection of a loopback venue, seen from the side that writes.

Frames are encoded here and handed to the transport in one piece, rather than awaited one by
one, because a burst has to leave as a real venue's does: separate messages, back to back.
Payloads are never compressed and never fragmented (RFC 6455, section 5.2).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final


_TEXT: Final = 0x81
_TWO_BYTE_LENGTH: Final = 126
_EIGHT_BYTE_LENGTH: Final = 127
_TWO_BYTE_LIMIT: Final = 1 << 16


def text_frame(payload: bytes) -> bytes:
    """Return `payload` as one unmasked text frame, as servers send it."""
    size = len(payload)
    if size < _TWO_BYTE_LENGTH:
        return bytes((_TEXT, size)) + payload
    if size < _TWO_BYTE_LIMIT:
        return bytes((_TEXT, _TWO_BYTE_LENGTH)) + size.to_bytes(2, "big") + payload
    return bytes((_TEXT, _EIGHT_BYTE_LENGTH)) + size.to_bytes(8, "big") + payload


class FrameSender:
    """
    Write frames to a transport whose buffer is bounded; a reader that is too slow is cut off.

    Parameters
    ----------
    transport : asyncio.WriteTransport
        Of a websocket whose handshake is done.
    limit_bytes : int
        What may wait in the transport. A write that finds more waiting aborts the connection.
    """

    __slots__ = ("_limit_bytes", "_transport", "overflowed")

    def __init__(self, transport: asyncio.WriteTransport, *, limit_bytes: int) -> None:
        self._transport = transport
        self._limit_bytes = limit_bytes
        self.overflowed = False

    @property
    def waiting_bytes(self) -> int:
        """Return what the peer's side of the socket has not taken yet."""
        return 0 if self._transport.is_closing() else self._transport.get_write_buffer_size()

    @property
    def is_over(self) -> bool:
        """Return whether nothing more will be written."""
        return self._transport.is_closing()

    def abort(self) -> None:
        """Cut the connection without a word, as a network does that fails."""
        self._transport.abort()

    def close(self) -> None:
        """Hang up when all that waits is written."""
        self._transport.close()

    def send(self, frames: Iterable[bytes]) -> bool:
        """Write whole frames; return False, with nothing written, when the connection is over."""
        if self._transport.is_closing():
            return False
        if self.waiting_bytes > self._limit_bytes:
            self.overflowed = True
            self._transport.abort()
            return False
        self._transport.write(b"".join(frames))
        return True
