"""Answer requests, each once, whoever asks and however often it is sent."""

from __future__ import annotations

import asyncio
import inspect
from collections import OrderedDict
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

import msgspec

from nautilus_enhanced.infrastructure.messagebus.publishing.wire import command
from nautilus_enhanced.infrastructure.messagebus.streams.commands import succeeded
from nautilus_enhanced.infrastructure.messagebus.streams.requests.envelope import Envelope
from nautilus_enhanced.infrastructure.messagebus.streams.requests.envelope import answer_key
from nautilus_enhanced.infrastructure.messagebus.streams.requests.envelope import encode_envelope
from nautilus_enhanced.infrastructure.messagebus.streams.requests.requesting import add
from nautilus_enhanced.infrastructure.messagebus.streams.requests.requesting import encode_body


if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_enhanced.infrastructure.messagebus.connection.connector import BusConnection
    from nautilus_enhanced.infrastructure.messagebus.contracts import Clock
    from nautilus_enhanced.infrastructure.messagebus.streams.entries import StreamMessage
    from nautilus_enhanced.infrastructure.messagebus.streams.requests.sender import Sender


# Answers that are remembered in this process.
MAX_ANSWERS: Final = 10_000
# Replies that a requester has not read; and how long its stream outlives the last of them.
MAX_REPLIES: Final = 10_000
REPLIES_LIVE_MS: Final = 3_600_000
# How long an answer is kept for a request that says no time to live.
DEFAULT_TTL_MS: Final = 60_000
_NS_OF_MS: Final = 1_000_000


class Request(msgspec.Struct, frozen=True):
    """
    A request, as its handler gets it.

    Attributes
    ----------
    topic : str
        The topic.
    body : Any
        What was asked, decoded as `respond` was told.
    envelope : Envelope
        Who asked, when, and how often.
    """

    topic: str
    body: Any
    envelope: Envelope


class AnswerStore:
    """
    Look up what was answered to a request that comes again.

    Blocks its caller for as long as the server takes, within the connection's time limits.

    Parameters
    ----------
    connect : Callable[[], BusConnection]
        Makes a connection, not yet opened.
    group : str
        The group that responds.
    """

    def __init__(self, connect: Callable[[], BusConnection], group: str) -> None:
        self._connect = connect
        self._group = group

    def __repr__(self) -> str:
        return f"{type(self).__name__}(group={self._group!r})"

    def find(self, message_id: str) -> bytes | None:
        """
        Return the reply, or None if there is none.

        Raises
        ------
        ServerError
            If the server cannot be asked: better ask again than answer twice.
        """
        # Rare, so that a connection is made for it.
        connection = self._connect()
        try:
            connection.open()
            key = answer_key(self._group, message_id)
            (answer,) = connection.ask([(key, command(b"GET", key))])
        finally:
            connection.close()
        found = succeeded(answer, "an earlier answer cannot be looked up")
        return None if found is None else bytes(found)


class Responder:
    """
    Call a handler for each request, and send what it returns.

    Parameters
    ----------
    handler : Callable[[Request], Any]
        Called with each request, and awaited if it is a coroutine function. What it raises is the
        reply then.
    group : str
        The group that responds, which requests may name as their destination.
    name : str
        The name of this responder.
    decode : Callable[[bytes], Any] or None
        Makes `Request.body`.
    sender : Sender
        Sends the replies, started.
    store : AnswerStore
        Looks up answers of earlier processes.
    clock : Clock
        The clock.
    """

    def __init__(
        self,
        handler: Callable[[Request], Any],
        *,
        group: str,
        name: str,
        decode: Callable[[bytes], Any] | None,
        sender: Sender,
        store: AnswerStore,
        clock: Clock,
    ) -> None:
        self._handler = handler
        self._is_async = inspect.iscoroutinefunction(handler)
        self._group = group
        self._name = name
        self._decode = decode
        self._sender = sender
        self._store = store
        self._clock = clock
        self._answers: OrderedDict[str, bytes] = OrderedDict()
        # Known once the subscription is: the server's time, in milliseconds.
        self.server_time_ms: Callable[[], int | None] = lambda: None
        self.answered = 0
        self.repeated = 0
        self.expired = 0
        self.not_ours = 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}(group={self._group!r}, {self.answered} answered)"

    def take(self, message: StreamMessage) -> None:
        """Answer a request, in a thread."""
        envelope: Envelope = message.body
        if not self._is_wanted(message, envelope):
            return
        reply = self._answers.get(envelope.message_id)
        if reply is None and may_be_known(message, envelope):
            reply = self._store.find(envelope.message_id)
        if reply is None:
            try:
                outcome = self._handler(self._request(envelope))
            except Exception as error:  # noqa: BLE001 (it is the reply)
                self._fail(envelope, error)
            else:
                self._succeed(envelope, outcome)
        else:
            self._repeat(envelope, reply)

    async def take_on_loop(self, message: StreamMessage) -> None:
        """Answer a request, on an event loop."""
        envelope: Envelope = message.body
        if not self._is_wanted(message, envelope):
            return
        reply = self._answers.get(envelope.message_id)
        if reply is None and may_be_known(message, envelope):
            reply = await asyncio.to_thread(self._store.find, envelope.message_id)
        if reply is None:
            try:
                outcome = self._handler(self._request(envelope))
                if self._is_async:
                    outcome = await outcome
            except Exception as error:  # noqa: BLE001 (it is the reply)
                self._fail(envelope, error)
            else:
                self._succeed(envelope, outcome)
        else:
            self._repeat(envelope, reply)

    def _is_wanted(self, message: StreamMessage, envelope: Envelope) -> bool:
        """Return whether a request is for this group and still worth an answer; count if not."""
        if envelope.kind != "request" or not envelope.is_for(self._group):
            self.not_ours += 1
            return False
        now_ms = self.server_time_ms()
        if now_ms is not None and envelope.is_expired(message.age_ms(now_ms)):
            self.expired += 1
            return False
        return True

    def _request(self, envelope: Envelope) -> Request:
        body = envelope.body if self._decode is None else self._decode(envelope.body)
        return Request(envelope.topic, body, envelope)

    def _succeed(self, envelope: Envelope, outcome: Any) -> None:
        try:
            body = encode_body(outcome)
        except TypeError as error:
            self._fail(envelope, error)
            return
        self._reply(envelope, kind="reply", body=body)

    def _fail(self, envelope: Envelope, error: Exception) -> None:
        self._reply(envelope, kind="failure", error=str(error), error_type=type(error).__name__)

    def _reply(self, request: Envelope, **outcome: Any) -> None:
        now_ns = self._clock.time_ns()
        reply = encode_envelope(
            Envelope(
                message_id=f"{self._name}:{request.message_id}",
                topic=request.topic,
                source=self._name,
                destinations=(request.source,),
                correlation_id=request.message_id,
                priority=request.priority,
                ttl_ms=request.ttl_ms,
                created_at=now_ns,
                sent_at=now_ns,
                **outcome,
            )
        )
        self.answered += 1
        self._answers[request.message_id] = reply
        if len(self._answers) > MAX_ANSWERS:
            self._answers.popitem(last=False)
        key = answer_key(self._group, request.message_id)
        ttl_ms = b"%d" % (request.ttl_ms or DEFAULT_TTL_MS)
        # Kept before it is sent: whoever takes over finds it, or nobody has seen it.
        kept = (key, command(b"SET", key, reply, b"PX", ttl_ms))
        self._send(request, reply, [kept])

    def _repeat(self, request: Envelope, reply: bytes) -> None:
        self.repeated += 1
        self._send(request, reply, [])

    def _send(self, request: Envelope, reply: bytes, queries: list[tuple[bytes, bytes]]) -> None:
        if request.callback_topic is not None:
            # Its own topic, which is the key of the stream.
            topic = request.callback_topic
            raw = topic.encode()
            queries.append(add(topic, topic, reply, MAX_REPLIES))
            queries.append((raw, command(b"PEXPIRE", raw, b"%d" % REPLIES_LIVE_MS)))
        ttl_ms = request.ttl_ms or DEFAULT_TTL_MS
        self._sender.send(queries, self._clock.monotonic_ns() + ttl_ms * _NS_OF_MS)


def may_be_known(message: StreamMessage, envelope: Envelope) -> bool:
    """Return whether a request may have been answered before, by this process or another one."""
    return envelope.retry_count > 0 or message.deliveries > 1
