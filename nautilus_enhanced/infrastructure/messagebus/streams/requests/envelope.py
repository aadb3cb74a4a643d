"""
The envelope of requests and replies.

It is msgpack, in the payload of an entry, so that it goes over the streams as everything else does.
"""

from __future__ import annotations

from typing import Final
from typing import Literal

import msgspec

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.patterns import check_pattern
from nautilus_enhanced.infrastructure.messagebus.streams.keys import PREFIX


REQUESTS: Final = f"{PREFIX}requests:"
REPLIES: Final = f"{PREFIX}replies:"
ANSWERS: Final = f"{PREFIX}answers:"

_NS_OF_MS: Final = 1_000_000


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """
    A request or a reply, and what is needed to bring the two together.

    Attributes
    ----------
    message_id : str
        Its ID. A request that is sent again has the same one.
    kind : {'request', 'reply', 'failure'}
        What it is; a failure is the reply of a handler that raised.
    topic : str
        The topic of the request.
    source : str
        The name of who sent it.
    destinations : tuple[str, ...]
        The names of those that it is for; empty for whoever responds to the topic.
    correlation_id : str or None
        For a reply, the ID of the request.
    callback_topic : str or None
        For a request, where the reply is to go.
    priority : int
        As `MessagePriority`: 0 is the most urgent.
    retry_count : int
        How often the request was sent before.
    ttl_ms : int or None
        Milliseconds after `created_at` for which it is worth anything.
    created_at, sent_at : int
        When it was made, and sent this time, in UNIX nanoseconds by its sender's clock.
    body : bytes
        The message itself.
    error, error_type : str
        For a failure, what the handler raised.
    """

    message_id: str
    kind: Literal["request", "reply", "failure"]
    topic: str
    source: str
    created_at: int
    sent_at: int
    destinations: tuple[str, ...] = ()
    correlation_id: str | None = None
    callback_topic: str | None = None
    priority: int = 1
    retry_count: int = 0
    ttl_ms: int | None = None
    body: bytes = b""
    error: str = ""
    error_type: str = ""

    def is_expired(self, age_ms: int) -> bool:
        """
        Return whether it is worth nothing any more.

        Parameters
        ----------
        age_ms : int
            Milliseconds since it was sent, by the server's clock: the sender's may be another one.
        """
        if self.ttl_ms is None:
            return False
        return (self.sent_at - self.created_at) // _NS_OF_MS + age_ms > self.ttl_ms

    def is_for(self, name: str) -> bool:
        """Return whether it is for who has this name."""
        return not self.destinations or name in self.destinations


encode_envelope = msgspec.msgpack.Encoder().encode
decode_envelope = msgspec.msgpack.Decoder(Envelope).decode


def request_key(topic: str) -> str:
    """Return the key of the stream of requests on a topic, or the pattern of those of a pattern."""
    return f"{REQUESTS}{topic}"


def reply_key(name: str) -> str:
    """Return the key of the stream of replies to a requester."""
    return f"{REPLIES}{name}"


def answer_key(group: str, message_id: str) -> bytes:
    """Return the key under which an answer is kept for a request that comes again."""
    return f"{ANSWERS}{group}:{message_id}".encode()


def check_topic(topic: str) -> None:
    """
    Refuse a topic that is a pattern, or none.

    Raises
    ------
    ConfigurationError
        If it is.
    """
    check_pattern("topic", topic)
    if "*" in topic or "?" in topic:
        raise ConfigurationError("topic", topic, "a topic without `*` and `?`")
