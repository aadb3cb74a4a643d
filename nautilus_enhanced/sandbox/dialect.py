"""
The seam between what all loopback venues share and what each says in its own words.

A `Dialect` translates: requests to the matching engine, and what happens to messages. It does no
I/O and has no clock. Sockets, market data in time, faults and figures are shared (`venue.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Final
from typing import Protocol

from nautilus_enhanced.sandbox.connection import FrameSender
from nautilus_enhanced.sandbox.connection import text_frame
from nautilus_enhanced.sandbox.faults import FaultKind
from nautilus_enhanced.sandbox.market import MarketEvent
from nautilus_enhanced.sandbox.matching import MatchingEngine


NS_PER_MS = 1_000_000
GARBAGE: Final = b'{"e":"\x7f","s":17,"data":[[['


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """
    Hold a request of a client over HTTP.

    Attributes
    ----------
    params : Mapping[str, str]
        From the query, and from a form in the body.
    headers : Mapping[str, str]
        With names in lower case.
    now_ns : int
        Unix time in nanoseconds.
    """

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    now_ns: int = 0

    @property
    def now_ms(self) -> int:
        """Return the time in milliseconds."""
        return self.now_ns // NS_PER_MS

    @property
    def name(self) -> str:
        """Return method and path, by which a fault may choose it."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True, kw_only=True, slots=True)
class UserEvent:
    """
    Hold one message about the account.

    Attributes
    ----------
    name : str
        What the venue calls it.
    payload : Any
        The event as the venue writes it, without an envelope: an object for JSON, or bytes.
    client_order_id, execution_type : str
        Of an order's event, in the venue's words; empty for others.
    trade_id : int
        Of a fill, else -1.
    """

    name: str
    payload: Any
    client_order_id: str = ""
    execution_type: str = ""
    trade_id: int = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """Hold the answer to a request, and the messages about the account that it caused."""

    body: Any
    status: int = 200
    events: Sequence[UserEvent] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """
    Hold the frames that answer a message of a session, and what it caused.

    Attributes
    ----------
    is_last : bool
        Whether the venue hangs up behind them.
    """

    frames: Sequence[bytes] = ()
    events: Sequence[UserEvent] = ()
    is_last: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """
    Hold what a session's message asks for.

    Attributes
    ----------
    name : str
        By which a fault may choose it.
    is_order : bool
        Whether it places, changes or cancels orders.
    takes_ms : int
        How long the venue takes at least before it does anything.
    """

    name: str
    is_order: bool = False
    takes_ms: int = 0


@dataclass(kw_only=True, slots=True)
class OrderCounts:
    """Count what happened to orders since the venue was made."""

    received: int = 0
    accepted: int = 0
    rejected: int = 0
    fills: int = 0
    cancels: int = 0
    amends: int = 0
    expired: int = 0


class MarketFrame:
    """
    One market data message as a frame, encoded before it is due.

    Parameters
    ----------
    stream : str
        The name of its stream.
    text : str
        The message as most sessions get it.
    bare : str, optional
        The message without an envelope, where the venue has both.
    """

    __slots__ = ("_bare", "encoded", "stream")

    def __init__(self, stream: str, text: str, bare: str | None = None) -> None:
        self.stream = stream
        self.encoded = text_frame(text.encode())
        self._bare = bare

    @property
    def bare(self) -> bytes:
        """Return the frame without the envelope, which few ask for."""
        return self.encoded if self._bare is None else text_frame(self._bare.encode())


class Session:
    """
    One session at a socket: what it subscribed to, and how it is spoken to.

    A message of the client is the text of a websocket, or the bytes that a `Framing` of a plain
    socket cuts off.

    Parameters
    ----------
    sender : FrameSender
        Its socket.
    streams : Iterable[str]
        What it is subscribed to from the beginning.
    """

    def __init__(self, sender: FrameSender, streams: Iterable[str] = ()) -> None:
        self.sender = sender
        self.streams = set(streams)

    @property
    def has_user_data(self) -> bool:
        """Return whether messages about the account go to it."""
        return False

    @property
    def garbage(self) -> bytes:
        """Return a frame that is no message."""
        return text_frame(GARBAGE)

    def receive(self, text: Any, now_ns: int) -> Reply:
        """Return the answer to one message of the client."""
        raise NotImplementedError

    def call(self, text: Any) -> Call | None:
        """Return what a message of the client asks for, or None if faults leave it alone."""
        return None

    def refuse(self, text: Any, kind: FaultKind) -> Reply:
        """Return how the venue words a reject, or a rate limit, of a message."""
        raise NotImplementedError

    def encode(self, frames: Iterable[MarketFrame]) -> list[bytes]:
        """Return market data as the session wants it."""
        return [frame.encoded for frame in frames]

    def user_frame(self, event: UserEvent) -> bytes | None:
        """Return a message about the account as the session wants it, or None if it does not."""
        raise NotImplementedError


class Dialect(Protocol):
    """What a venue adds: its words."""

    @property
    def engine(self) -> MatchingEngine:
        """Return what matches."""
        ...

    @property
    def counts(self) -> OrderCounts:
        """Return what happened to orders."""
        ...

    @property
    def sockets(self) -> Mapping[str, str]:
        """Return the kind of session at each path; ``{streams:.+}`` stands for names in it."""
        ...

    @property
    def quote_streams(self) -> frozenset[str]:
        """Return the names of the streams that carry each quote."""
        ...

    @property
    def trade_streams(self) -> frozenset[str]:
        """Return the names of the streams that carry each trade."""
        ...

    def addresses(self, authority: str) -> dict[str, str]:
        """Return the URLs of a venue that listens there, by the names that clients know."""
        ...

    def handle(self, request: Request) -> Answer:
        """Answer a request."""
        ...

    def is_order(self, request: Request) -> bool:
        """Return whether a request places, changes or cancels orders."""
        ...

    def refusal(self, kind: FaultKind, *, is_order: bool) -> Answer:
        """Return how the venue words a reject, or a rate limit."""
        ...

    def session(self, kind: str, sender: FrameSender, names: Iterable[str]) -> Session:
        """Open a session of one of the kinds in `sockets`."""
        ...

    def carries(self, stream: str) -> bool:
        """Return whether a stream carries market data; any other stays silent."""
        ...

    def select(self, streams: frozenset[str]) -> None:
        """Take note of the streams that sessions are subscribed to now."""
        ...

    def prepare(self, event: MarketEvent) -> MarketFrame | None:
        """Return the frame of an event that is not due yet, if it holds no time of sending."""
        ...

    def on_event(
        self, event: MarketEvent, prepared: MarketFrame | None, now_ns: int
    ) -> tuple[list[MarketFrame], Sequence[UserEvent]]:
        """Take a market event; return its frames, and what it does to the account's orders."""
        ...
