"""What the benchmarks of the publisher share: a server, and one publisher of either kind on it."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING
from typing import Any

import msgspec
import redis
from nautilus_trader.common.config import msgspec_encoding_hook
from nautilus_trader.config import DatabaseConfig
from nautilus_trader.config import MessageBusConfig
from nautilus_trader.core import nautilus_pyo3
from nautilus_trader.core.uuid import UUID4

from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus import BufferSettings
from nautilus_enhanced.infrastructure.messagebus import LaneSettings
from nautilus_enhanced.infrastructure.messagebus import StreamNaming
from nautilus_enhanced.live.backing import EnhancedMessageBusBacking
from nautilus_enhanced.sandbox.embedded import EmbeddedServer


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable
    from collections.abc import Iterator
    from collections.abc import Mapping
    from collections.abc import Sequence
    from types import TracebackType


TRADER_ID = "BENCH-001"
TOPIC = "data.quotes.BINANCE.BTCUSDT"
ORDERS = "events.order.S-001"
NAMING = StreamNaming(trader_id=TRADER_ID)
ARRIVAL_LIMIT_S = 60.0
# More than any publisher gets into a stream in a second.
FASTEST = 1_000_000
LONGEST_POLL_S = 0.02
READ_AT_ONCE = 10_000
MANY_STREAMS = 100


def payload(number: int) -> bytes:
    """Return 200 bytes that look like a quote and begin with a number."""
    return (
        b'{"number":"%09d","type":"QuoteTick","instrument_id":"BTCUSDT.BINANCE",'
        b'"bid_price":"50000.01","ask_price":"50000.02","bid_size":"1.000000",'
        b'"ask_size":"2.000000","ts_init":"17000000000"}' % number
    ).ljust(200)


def stock_publisher(
    port: int, buffer_interval_ms: int | None, external_streams: list[str] | None = None
) -> Any:
    """Return the installed version's own publisher, which reads external streams too."""
    config = MessageBusConfig(
        database=DatabaseConfig(port=port),
        buffer_interval_ms=buffer_interval_ms,
        external_streams=external_streams,
    )
    try:
        from nautilus_trader.common.config import pyo3_config_json  # noqa: PLC0415 (1.231 only)

        raw = pyo3_config_json(config)
    except ImportError:
        raw = msgspec.json.encode(config, enc_hook=msgspec_encoding_hook)
    names = ("RedisMessageBusBacking", "RedisMessageBusDatabase")
    kind = next(getattr(nautilus_pyo3, name) for name in names if hasattr(nautilus_pyo3, name))
    return kind(nautilus_pyo3.TraderId(TRADER_ID), nautilus_pyo3.UUID4.from_str(UUID4().value), raw)


def _read_nothing() -> None:
    """Stand in for the reader of external streams."""


def _do_nothing(_: object) -> None:
    """Take the figures of a publisher that was closed."""


class Publisher:
    """
    A publisher on a server that was emptied, enhanced or stock.

    Parameters
    ----------
    server : Server
        The server.
    kind : str
        ``enhanced``, or ``enhanced client`` for what a node's bus calls through that, or ``stock``
        and the milliseconds that it buffers (``stock 100``), or ``stock`` alone for its default.
    messages : int
        What its lanes must hold at least, where it has lanes.

    Attributes
    ----------
    publish : Callable[[str, bytes], Any]
        What a node's bus calls for each message; of a client alone what that calls.
    """

    def __init__(self, server: Server, kind: str, messages: int = 100_000) -> None:
        server.store.flushall()
        self._server = server
        self._client: BufferedMessageBusClient | None = None
        self._stock: Any = None
        self.publish: Callable[[str, bytes], Any]
        if kind.startswith("enhanced"):
            lane = LaneSettings(max_messages=max(messages, 100_000), max_bytes=2**30)
            self._client = BufferedMessageBusClient(
                server.url, naming=NAMING, buffers=BufferSettings(normal=lane)
            )
            self._client.start(10.0)
            # Not closed itself: that would only stop the client, with another time limit.
            backing = EnhancedMessageBusBacking(self._client, _read_nothing, _do_nothing)
            self.publish = self._client.offer if kind.endswith(" client") else backing.publish
        else:
            interval = kind.partition(" ")[2]
            self._stock = stock_publisher(server.port, int(interval) if interval else None)
            self.publish = self._stock.publish

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._client is not None:
            self._client.stop(5.0)
        if self._stock is not None:
            self._stock.close()

    def give_up(self) -> None:
        """Throw away what still waits: stock may hold so much that its close takes seconds."""
        if self._client is not None:
            self._client.stop(0.0)
        if self._stock is not None:
            # Stock's task ends with the first error.
            self._server.store.client_kill_filter(_type="normal", skipme=True)


class Server:
    """An embedded server and a connection to look at it."""

    def __init__(self) -> None:
        self._server = EmbeddedServer()
        self.url = self._server.start()
        # Its types allow for answers as text and for an asynchronous client: this is neither.
        self.store: Any = redis.Redis.from_url(self.url)
        self.port = int(self.store.connection_pool.connection_kwargs["port"])

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(redis.RedisError):
            self.store.close()
        self._server.stop()

    def length(self, topic: str = TOPIC) -> int:
        """Return how many entries a stream has."""
        return int(self.store.xlen(NAMING.key(topic)))

    def wait_for(self, count: int, topic: str = TOPIC, limit_s: float = ARRIVAL_LIMIT_S) -> bool:
        """
        Wait until a stream has `count` entries; return whether it has exactly as many.

        It asks seldom while many are missing: a writer in this process would wait for each
        question, and the interpreter lock that asking takes.
        """
        deadline = time.perf_counter() + limit_s
        while (length := self.length(topic)) < count and time.perf_counter() < deadline:
            time.sleep(min(LONGEST_POLL_S, max(0.0005, (count - length) / FASTEST)))
        return length == count

    def wait_for_last(self, message: tuple[str, bytes], limit_s: float = ARRIVAL_LIMIT_S) -> bool:
        """Wait until the last entry of a topic's stream is a message's; return whether it is."""
        topic, raw = message
        deadline = time.perf_counter() + limit_s
        while time.perf_counter() < deadline:
            found = self.store.xrevrange(NAMING.key(topic), count=1)
            if found and found[0][1][b"payload"] == raw:
                return True
            time.sleep(LONGEST_POLL_S / 10)
        return False

    def is_in_order(self, numbers: Iterable[int], topic: str = TOPIC) -> bool:
        """Return whether a stream has what `payload` gave for the numbers, in their order."""
        expected = iter(numbers)
        key, begin = NAMING.key(topic), b"-"
        while entries := self.store.xrange(key, begin, count=READ_AT_ONCE):
            if not _are(entries, expected):
                return False
            begin = b"(" + entries[-1][0]
        return next(expected, None) is None

    def are_in_order(self, streams: Mapping[str, Sequence[int]]) -> bool:
        """Return the same of some streams; of many, all that they have is asked for at once."""
        if len(streams) < MANY_STREAMS:
            return all(self.is_in_order(numbers, topic) for topic, numbers in streams.items())
        topics = list(streams)
        for at in range(0, len(topics), READ_AT_ONCE):
            some = topics[at : at + READ_AT_ONCE]
            with self.store.pipeline(transaction=False) as pipeline:
                for topic in some:
                    pipeline.xrange(NAMING.key(topic))
                answers = pipeline.execute()
            for topic, entries in zip(some, answers, strict=True):
                expected = iter(streams[topic])
                if not _are(entries, expected) or next(expected, None) is not None:
                    return False
        return True


def _are(entries: Sequence[tuple[bytes, Mapping[bytes, bytes]]], expected: Iterator[int]) -> bool:
    """Return whether entries are those of the next numbers."""
    for _, fields in entries:
        number = next(expected, None)
        if number is None or fields[b"payload"] != payload(number):
            return False
    return True
