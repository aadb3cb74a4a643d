r"""
What a message looks like in Redis.

Stream key: ``[trader-][{trader_id}:][{instance_id}:]{streams_prefix}[:{topic}]``, as the stock
bus writes it. Fields of an entry, in this order: ``topic``, ``payload``, ``type``, ``encoding``,
and where there is something to tell ``journaled_at`` and ``gap``.
NautilusTrader 1.221 reads the first two by position and 1.231 all of them by name, so that both
read this form. Commands are encoded here, once for each topic up to the payload, in RESP2:
``*<items>\r\n`` and then ``$<length>\r\n<bytes>\r\n`` for each item
(https://redis.io/docs/latest/develop/reference/protocol-spec/).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Final

import msgspec


if TYPE_CHECKING:
    from collections.abc import Iterable


FIELD_TOPIC: Final = b"topic"
FIELD_PAYLOAD: Final = b"payload"
FIELD_TYPE: Final = b"type"
FIELD_ENCODING: Final = b"encoding"
# Ours, behind those of the stock bus, and only where there is something to tell: nanoseconds
# since the UNIX epoch at which an entry was put into the journal that it comes from, and how
# many messages of its topic were dropped before it.
FIELD_JOURNALED_AT: Final = b"journaled_at"
FIELD_GAP: Final = b"gap"
HEARTBEAT_TOPIC: Final = "health:heartbeat"
# More than the instruments of all venues that a node can watch: beyond it everything is forgotten,
# and the server asked again. A topic takes some 550 bytes.
MAX_ROUTES: Final = 262_144

# XADD key id + four fields with their values.
_XADD_ITEMS: Final = 3 + 2 * 4

EntryId = tuple[int, int]


class StreamNaming(msgspec.Struct, frozen=True, kw_only=True):
    """
    Name the streams as the stock bus does.

    Attributes
    ----------
    trader_id, instance_id : str
        The identifiers of the node, used as the flags say.
    use_trader_prefix, use_trader_id, use_instance_id, stream_per_topic : bool
        Which parts the key has.
    streams_prefix : str
        The part that every key has.
    """

    trader_id: str
    instance_id: str = ""
    use_trader_prefix: bool = True
    use_trader_id: bool = True
    use_instance_id: bool = False
    streams_prefix: str = "stream"
    stream_per_topic: bool = True

    def key(self, topic: str) -> str:
        """Return the key of the stream that carries `topic`."""
        parts = []
        if self.use_trader_id:
            parts.append(f"{self.trader_id}:")
        if self.use_instance_id:
            parts.append(f"{self.instance_id}:")
        prefix = "trader-" if self.use_trader_prefix else ""
        suffix = f":{topic}" if self.stream_per_topic else ""
        return f"{prefix}{''.join(parts)}{self.streams_prefix}{suffix}"


def encode_text(text: str) -> bytes:
    r"""
    Return the UTF-8 form of `text`, which any reader can decode.

    A lone surrogate has no such form and becomes ``\udxxx`` in letters, rather than an error on
    the thread that publishes.
    """
    return text.encode("utf-8", "backslashreplace")


def bulk(value: bytes) -> bytes:
    """Return `value` as a RESP bulk string."""
    return b"$%d\r\n%b\r\n" % (len(value), value)


# Small numbers, which are most: a look-up is faster than writing them.
_DECIMALS: Final = tuple(b"%d" % number for number in range(2_048))
_BULK_HEADS: Final = tuple(b"$%b\r\n" % number for number in _DECIMALS)


def decimal(number: int) -> bytes:
    """Return the digits of a number that is not negative."""
    return _DECIMALS[number] if number < len(_DECIMALS) else b"%d" % number


def bulk_head(length: int) -> bytes:
    r"""Return what precedes the bytes of a RESP bulk string; ``\r\n`` follows them."""
    return _BULK_HEADS[length] if length < len(_BULK_HEADS) else b"$%d\r\n" % length


def command(*items: bytes) -> bytes:
    """Return a command as a RESP array of bulk strings."""
    return b"*%d\r\n%b" % (len(items), b"".join(map(bulk, items)))


def format_entry_id(entry_id: EntryId) -> bytes:
    """Return an entry ID as the server writes it."""
    return b"%d-%d" % entry_id


def parse_entry_id(raw: bytes) -> EntryId:
    """Return the two numbers of an entry ID."""
    milliseconds, _, sequence = raw.partition(b"-")
    return int(milliseconds), int(sequence or 0)


class Stream:
    """
    One stream of which this process is the writer: its key and its last entry ID.

    Attributes
    ----------
    key : bytes
        The key.
    last_id : tuple[int, int] or None
        The highest entry ID known to be used; None until the server was asked.
    trimmed_at_ns : int
        When the stream was last trimmed, by the monotonic clock.
    """

    __slots__ = ("key", "last_id", "trimmed_at_ns")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.last_id: EntryId | None = None
        self.trimmed_at_ns = 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.key!r}, last_id={self.last_id})"

    def next_id(self, now_ms: int) -> EntryId:
        """
        Return the next entry ID and remember it: never one that was used, whatever the clock.

        Raises
        ------
        RuntimeError
            If the server was not yet asked for the stream's last ID.
        """
        if self.last_id is None:
            raise RuntimeError(f"last ID of {self.key!r} is not known")
        last_ms, last_sequence = self.last_id
        self.last_id = (now_ms, 0) if now_ms > last_ms else (last_ms, last_sequence + 1)
        return self.last_id


class Route:
    r"""
    The stream of one topic and the parts of its XADD command that do not change.

    Attributes
    ----------
    head, middle, tail : bytes
        What precedes the entry ID, what stands between it and the payload, and what follows.
        ID and payload are bulk strings, whose closing ``\r\n`` is part of what follows them.
    """

    __slots__ = ("head", "middle", "stream", "tail")

    def __init__(
        self,
        stream: Stream,
        topic: str,
        encoding: str,
        more: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        more = tuple(more)
        items = _XADD_ITEMS + 2 * len(more)
        self.stream = stream
        self.head = b"*%d\r\n%b%b" % (items, bulk(b"XADD"), bulk(stream.key))
        raw_topic = encode_text(topic)
        self.middle = b"\r\n" + bulk(FIELD_TOPIC) + bulk(raw_topic) + bulk(FIELD_PAYLOAD)
        self.tail = b"\r\n" + b"".join(
            bulk(name) + bulk(value)
            for name, value in (
                (FIELD_TYPE, b""),
                (FIELD_ENCODING, encoding.encode()),
                *more,
            )
        )


class RouteTable:
    """
    Find the route of a topic; remembers 262,144 topics and those of one batch more.

    Parameters
    ----------
    naming : StreamNaming
        How streams are named.
    encoding : str
        What the entries' ``encoding`` field says.
    """

    def __init__(self, naming: StreamNaming, encoding: str) -> None:
        self._naming = naming
        self._encoding = encoding
        self._routes: dict[str, Route] = {}
        self._streams: dict[bytes, Stream] = {}
        self._others: dict[tuple[StreamNaming, str], RouteTable] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._routes)} topics, {len(self._streams)} streams)"

    @property
    def is_full(self) -> bool:
        """Return whether as many topics are remembered as may be."""
        tables = (self, *self._others.values())
        return any(len(table._routes) >= MAX_ROUTES for table in tables)  # noqa: SLF001 (ours)

    def forget_if_full(self) -> None:
        """
        Forget all topics when there are too many.

        A node that makes topics without end gets slower, not bigger: the server is asked for
        the last ID of each stream again. Never call it while a batch is made or in flight, since
        two streams with the same key would then give out the same IDs.
        """
        if self.is_full:
            self._routes.clear()
            self._streams.clear()
            for other in self._others.values():
                other._routes.clear()  # noqa: SLF001 (another one of this class)

    def routes(self, topics: Iterable[str]) -> list[Route]:
        """Return the route of each topic."""
        known = self._routes
        return [known.get(topic) or self.route(topic) for topic in topics]

    def named(self, naming: StreamNaming, encoding: str) -> RouteTable:
        """Return a table of the same streams for messages that were named in another way."""
        if (naming, encoding) == (self._naming, self._encoding):
            return self
        other = self._others.get((naming, encoding))
        if other is None:
            other = self._others[naming, encoding] = RouteTable(naming, encoding)
            other._streams = self._streams
        return other

    def marked(self, topic: str, more: Iterable[tuple[bytes, bytes]]) -> Route:
        """Return a route of `topic` whose entries have more fields; it is not remembered."""
        return Route(self.route(topic).stream, topic, self._encoding, more)

    def route(self, topic: str) -> Route:
        """Return the route of `topic`, the same stream for the same key."""
        route = self._routes.get(topic)
        if route is None:
            key = encode_text(self._naming.key(topic))
            stream = self._streams.setdefault(key, Stream(key))
            route = self._routes[topic] = Route(stream, topic, self._encoding)
        return route
