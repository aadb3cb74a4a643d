"""Ask for something over the streams, and wait for the reply."""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

import msgspec

from nautilus_enhanced.infrastructure.messagebus.errors import BufferFullError
from nautilus_enhanced.infrastructure.messagebus.errors import ClientClosedError
from nautilus_enhanced.infrastructure.messagebus.errors import RequestFailedError
from nautilus_enhanced.infrastructure.messagebus.errors import RequestTimeoutError
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import FIELD_PAYLOAD
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import FIELD_TOPIC
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import command
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import check_range
from nautilus_enhanced.infrastructure.messagebus.streams import registry
from nautilus_enhanced.infrastructure.messagebus.streams.requests.envelope import Envelope
from nautilus_enhanced.infrastructure.messagebus.streams.requests.envelope import check_topic
from nautilus_enhanced.infrastructure.messagebus.streams.requests.envelope import decode_envelope
from nautilus_enhanced.infrastructure.messagebus.streams.requests.envelope import encode_envelope
from nautilus_enhanced.infrastructure.messagebus.streams.requests.envelope import reply_key
from nautilus_enhanced.infrastructure.messagebus.streams.requests.envelope import request_key


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable

    from nautilus_enhanced.infrastructure.messagebus.contracts import Clock
    from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority
    from nautilus_enhanced.infrastructure.messagebus.streams.entries import StreamMessage
    from nautilus_enhanced.infrastructure.messagebus.streams.requests.sender import Sender


MAX_WAITING: Final = 10_000
# Beyond these a stream of requests loses its oldest: nobody waits for them any more.
MAX_REQUESTS: Final = 100_000
_MAX_TOPICS: Final = 65_536
_NS: Final = 1_000_000_000


def add(key: str, topic: str, payload: bytes, max_entries: int) -> tuple[bytes, bytes]:
    """Return the command that adds a message to a stream of bounded length, with its key."""
    raw = key.encode()
    return raw, command(
        b"XADD", raw, b"MAXLEN", b"~", b"%d" % max_entries, b"*",
        FIELD_TOPIC, topic.encode(), FIELD_PAYLOAD, payload,
    )  # fmt: skip


def encode_body(message: Any) -> bytes:
    """Return bytes as they are, and anything else as msgpack."""
    if isinstance(message, bytes | bytearray | memoryview):
        return bytes(message)
    return msgspec.msgpack.encode(message)


class Requester:
    """
    Send requests and give each its reply.

    Parameters
    ----------
    name : str
        The name of this requester, which no other has.
    sender : Sender
        Sends the requests, started.
    clock : Clock
        The clock.
    """

    def __init__(self, name: str, sender: Sender, clock: Clock) -> None:
        self.name = name
        self.reply_key = reply_key(name)
        self._sender = sender
        self._clock = clock
        self._waiting: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Future[Envelope]]] = {}
        self._told: set[str] = set()
        self._lock = threading.Lock()
        self._numbers = 0
        self._closed = False
        self.replies = 0
        self.late_replies = 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}, {len(self._waiting)} waiting)"

    @property
    def waiting(self) -> int:
        """Return how many requests wait for a reply."""
        return len(self._waiting)

    async def request(
        self,
        topic: str,
        message: Any,
        *,
        timeout_s: float,
        retries: int,
        priority: MessagePriority,
        destinations: Iterable[str],
        decode: Callable[[bytes], Any] | None,
    ) -> Any:
        """
        Send a request and return the body of the reply.

        Raises
        ------
        RequestTimeoutError
            If there was no reply in time, to any of the tries.
        RequestFailedError
            If the handler raised, or the reply cannot be decoded.
        BufferFullError
            If 10,000 requests wait already.
        ClientClosedError
            If the client was closed.
        """
        check_topic(topic)
        check_range("timeout", timeout_s, 0.001, 86_400.0, " s")
        check_range("retries", retries, 0, 100, " retries")
        now_ns = self._clock.time_ns()
        envelope = Envelope(
            message_id=self._next_id(),
            kind="request",
            topic=topic,
            source=self.name,
            destinations=tuple(destinations),
            callback_topic=self.reply_key,
            priority=int(priority),
            # Whole milliseconds, and not less than was asked for.
            ttl_ms=int(timeout_s * (retries + 1) * 1_000) + 1,
            created_at=now_ns,
            sent_at=now_ns,
            body=encode_body(message),
        )
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[Envelope] = loop.create_future()
        with self._lock:
            if self._closed:
                raise ClientClosedError("the client is closed: make a new one")
            if len(self._waiting) >= MAX_WAITING:
                raise BufferFullError(f"{MAX_WAITING:,} requests wait for a reply: send fewer")
            self._waiting[envelope.message_id] = (loop, reply)
        try:
            for attempt in range(retries + 1):
                sent_at = self._clock.time_ns()
                self._send(
                    msgspec.structs.replace(envelope, retry_count=attempt, sent_at=sent_at),
                    timeout_s,
                )
                # Not `wait_for`, which would cancel the future that the next try waits for too.
                await asyncio.wait((reply,), timeout=timeout_s)
                if reply.done():
                    return self._body(reply.result(), decode)
        finally:
            with self._lock:
                self._waiting.pop(envelope.message_id, None)
        tries = f"{retries + 1} tries of {timeout_s:g} s" if retries else f"{timeout_s:g} s"
        raise RequestTimeoutError(f"no reply on {topic!r} after {tries}: is somebody responding?")

    def take(self, message: StreamMessage) -> None:
        """Give a reply to who waits for it; on the reader's thread."""
        envelope = decode_envelope(message.payload)
        with self._lock:
            waiting = self._waiting.pop(envelope.correlation_id or "", None)
            if waiting is None:
                # Who waited for it has given up, or had one already.
                self.late_replies += 1
                return
            self.replies += 1
        loop, reply = waiting
        try:
            loop.call_soon_threadsafe(_settle, reply, envelope)
        except RuntimeError:
            # The event loop of a requester that went away is closed.
            self.late_replies += 1

    def close(self) -> None:
        """End all requests with an error."""
        with self._lock:
            self._closed = True
            waiting, self._waiting = self._waiting, {}
        for loop, reply in waiting.values():
            error = ClientClosedError("the client was closed before the reply came")
            try:
                loop.call_soon_threadsafe(_fail, reply, error)
            except RuntimeError:
                continue

    def _send(self, envelope: Envelope, timeout_s: float) -> None:
        key = request_key(envelope.topic)
        queries = [add(key, envelope.topic, encode_envelope(envelope), MAX_REQUESTS)]
        if envelope.topic not in self._told or envelope.retry_count:
            # Whoever responds may not know the stream yet, or again.
            if len(self._told) < _MAX_TOPICS:
                self._told.add(envelope.topic)
            now_ms = envelope.sent_at // 1_000_000
            queries = registry.announcement([key.encode()], now_ms) + queries
        self._sender.send(queries, self._clock.monotonic_ns() + int(timeout_s * _NS))

    def _next_id(self) -> str:
        with self._lock:
            self._numbers += 1
            return f"{self.name}-{self._numbers}"

    @staticmethod
    def _body(reply: Envelope, decode: Callable[[bytes], Any] | None) -> Any:
        if reply.kind == "failure":
            raise RequestFailedError(
                f"{reply.source} answered on {reply.topic!r}: {reply.error_type}: {reply.error}",
                error_type=reply.error_type,
            )
        if decode is None:
            return reply.body
        try:
            return decode(reply.body)
        except Exception as error:
            raise RequestFailedError(
                f"the reply of {reply.source} on {reply.topic!r} cannot be decoded: {error}",
                error_type=type(error).__name__,
            ) from error


def make_requester_name() -> str:
    """Return a name that no other requester has."""
    return f"{os.getpid()}-{secrets.token_hex(8)}"


def _settle(reply: asyncio.Future[Envelope], envelope: Envelope) -> None:
    if not reply.done():
        reply.set_result(envelope)


def _fail(reply: asyncio.Future[Envelope], error: Exception) -> None:
    if not reply.done():
        reply.set_exception(error)
