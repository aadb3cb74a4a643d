"""
Handle a message once although it comes twice: what was handled is remembered on the server.

A message that was handled and not yet acknowledged comes again when its consumer ends just then.
Remembering it is one more step behind the handler, so a process that is killed between the two
still handles it twice: only a handler whose effect and whose memory are one step, such as a
transaction of a database, is free of that.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.errors import ServerUnreachableError
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import command
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import encode_text
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import check_range
from nautilus_enhanced.infrastructure.messagebus.streams.commands import succeeded
from nautilus_enhanced.infrastructure.messagebus.streams.keys import check_name
from nautilus_enhanced.infrastructure.messagebus.streams.keys import seen_key


if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_enhanced.infrastructure.messagebus.connection.connector import BusConnection
    from nautilus_enhanced.infrastructure.messagebus.contracts import Clock
    from nautilus_enhanced.infrastructure.messagebus.streams.entries import StreamMessage


DEFAULT_MAX_IDS: Final = 100_000
_TRIES: Final = 2


class SeenIds:
    """
    Remember IDs on the server, up to a number of which the oldest are forgotten first.

    Every method blocks its caller while the server answers, within the connection's time limits,
    and may be called from any thread.

    Parameters
    ----------
    connect : Callable[[], BusConnection]
        Makes a connection, not yet opened.
    name : str
        Who remembers: all that use the same name share what they have seen.
    max_ids : int
        IDs that are remembered (1 to 10,000,000).
    clock : Clock
        The clock.

    Raises
    ------
    ConfigurationError
        If the name is none, or the number is outside of its range.
    """

    def __init__(
        self, connect: Callable[[], BusConnection], name: str, max_ids: int, clock: Clock
    ) -> None:
        check_name("name", name)
        check_range("max_ids", max_ids, 1, 10_000_000, " IDs")
        self._connect = connect
        self._key = seen_key(name)
        self._max_ids = max_ids
        self._clock = clock
        self._connection: BusConnection | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._key.decode()}, max_ids={self._max_ids})"

    def has(self, one: str) -> bool:
        """
        Return whether an ID is remembered.

        Raises
        ------
        ServerError
            If the server cannot be asked.
        """
        (answer,) = self._ask(command(b"ZSCORE", self._key, encode_text(one)))
        return answer is not None

    def add(self, one: str) -> None:
        """
        Remember an ID.

        Raises
        ------
        ServerError
            If the server cannot be told.
        """
        now_ms = b"%d" % (self._clock.time_ns() // 1_000_000)
        oldest = b"%d" % -(self._max_ids + 1)
        self._ask(
            command(b"ZADD", self._key, now_ms, encode_text(one)),
            command(b"ZREMRANGEBYRANK", self._key, b"0", oldest),
        )

    def close(self) -> None:
        """Close the connection; calling it twice is harmless."""
        with self._lock:
            self._drop()

    def _ask(self, *queries: bytes) -> list[Any]:
        with self._lock:
            for left in reversed(range(_TRIES)):
                try:
                    if self._connection is None:
                        self._connection = self._connect()
                        self._connection.open()
                    answers = self._connection.ask([(self._key, query) for query in queries])
                    return [succeeded(one, "IDs cannot be remembered") for one in answers]
                except ServerUnreachableError:
                    # One that was idle for long may be closed by now.
                    self._drop()
                    if not left:
                        raise
                except BaseException:
                    self._drop()
                    raise
        raise AssertionError

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def entry_of(message: StreamMessage) -> str:
    """Return what tells an entry from all others: its stream and its ID."""
    return f"{message.stream} {message.id}"


def once(
    handler: Callable[[StreamMessage], Any],
    seen: SeenIds,
    key: Callable[[StreamMessage], str],
    *,
    on_loop: bool,
) -> Callable[[StreamMessage], Any]:
    """
    Return a handler that calls another one unless it has seen the message.

    Parameters
    ----------
    handler : Callable[[StreamMessage], Any]
        The handler. What it raises is raised, and nothing remembered.
    seen : SeenIds
        What was handled.
    key : Callable[[StreamMessage], str]
        Tells one message from another.
    on_loop : bool
        If it is called on an event loop, which must not wait for the server.
    """
    is_async = inspect.iscoroutinefunction(handler)

    async def call_on_loop(message: StreamMessage) -> None:
        one = key(message)
        if await asyncio.to_thread(seen.has, one):
            return
        outcome = handler(message)
        if is_async:
            await outcome
        await asyncio.to_thread(seen.add, one)

    def call(message: StreamMessage) -> None:
        one = key(message)
        if not seen.has(one):
            handler(message)
            seen.add(one)

    return call_on_loop if on_loop or is_async else call
