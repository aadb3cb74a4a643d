"""
One port for two kinds of clients: those that speak HTTP, and those of a plain socket.

A venue of the second kind has HTTP all the same, for figures and for faults on demand. What a
client begins with says which it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from typing import Final
from typing import Protocol
from typing import TypeAlias

from nautilus_enhanced.sandbox.errors import SandboxError


# What a client may take to say what it is: nobody else has to wait for it.
GREETING_TIMEOUT_S: Final = 10.0
READ_BYTES: Final = 64 * 1024

ProtocolFactory: TypeAlias = Callable[[], asyncio.BaseProtocol]


class FramingError(SandboxError, ValueError):
    """What a client sent over a plain socket is no message: its connection is cut."""


class Framing(Protocol):
    """Cuts what comes over one plain socket into messages: pure, and bounded."""

    def feed(self, data: bytes) -> Sequence[bytes]:
        """
        Return the messages that are whole with these bytes.

        Raises
        ------
        FramingError
            If they can be none.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class PlainSocket:
    """
    Describe the plain socket of a venue.

    Attributes
    ----------
    greeting : bytes
        What all its clients begin with, and no request over HTTP does.
    framing : Callable[[], Framing]
        Makes what cuts the bytes of one connection, greeting included.
    kind : str
        The kind of its sessions, as the dialect knows it.
    """

    greeting: bytes
    framing: Callable[[], Framing]
    kind: str


class Entrance(asyncio.Protocol):
    """
    Wait for the first bytes of a client, and hand it to the protocol that it speaks.

    Parameters
    ----------
    greeting : bytes
        What clients of the plain socket begin with.
    plain, other : ProtocolFactory
        Make the protocol of the plain socket, and that of all other clients.
    timeout_s : float
        Seconds after which a client that has said too little is cut off.
    """

    def __init__(
        self,
        greeting: bytes,
        plain: ProtocolFactory,
        other: ProtocolFactory,
        *,
        timeout_s: float = GREETING_TIMEOUT_S,
    ) -> None:
        self._greeting = greeting
        self._plain = plain
        self._other = other
        self._timeout_s = timeout_s
        self._said = b""
        self._transport: Any = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait."""
        self._transport = transport
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._timeout_s, self._transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_waiting()

    def data_received(self, data: bytes) -> None:
        """Hand the client on as soon as it is known what it speaks."""
        self._said += data
        begun = self._said[: len(self._greeting)]
        if begun == self._greeting:
            self._hand_to(self._plain())
        elif not self._greeting.startswith(begun):
            self._hand_to(self._other())

    def _hand_to(self, protocol: Any) -> None:
        self._stop_waiting()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(self._said)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def stream_protocol(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> asyncio.BaseProtocol:
    """Return a protocol that serves one connection as a stream."""
    return asyncio.StreamReaderProtocol(asyncio.StreamReader(limit=READ_BYTES), serve)
