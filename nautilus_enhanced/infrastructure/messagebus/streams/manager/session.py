"""
One connection for threads that take turns: made when it is needed, and again when it broke.

What may be done twice is repeated once on a new connection; what may not is an error that says
so. Attempts to connect are few, with growing pauses, so that a call ends in bounded time.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from typing import TypeVar

from nautilus_enhanced.infrastructure.messagebus.connection.backoff import Backoff
from nautilus_enhanced.infrastructure.messagebus.connection.connector import Connector
from nautilus_enhanced.infrastructure.messagebus.connection.urls import redact_url
from nautilus_enhanced.infrastructure.messagebus.errors import ClientClosedError
from nautilus_enhanced.infrastructure.messagebus.errors import ServerError
from nautilus_enhanced.infrastructure.messagebus.errors import ServerUnreachableError
from nautilus_enhanced.infrastructure.messagebus.settings.connection import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus.streams.commands import is_error


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator
    from collections.abc import Sequence

    import redis

    from nautilus_enhanced.infrastructure.messagebus.connection.connector import BusConnection
    from nautilus_enhanced.infrastructure.messagebus.streams.registry import Query


MAX_ATTEMPTS: Final = 3
MAX_WAIT_S: Final = 60.0
# Commands that are sent together at most: their answers are held at the same time.
MAX_TOGETHER: Final = 500
# The server is there and will do it later, or another one will: nothing was done.
_NOT_NOW: Final = ("READONLY", "LOADING", "MASTERDOWN")

T = TypeVar("T")


class Session:
    """
    Ask the server, one thread at a time.

    Parameters
    ----------
    url : str
        The server's URL.
    connection : ConnectionSettings, optional
        How to reach it.
    credential_provider : redis.CredentialProvider, optional
        Asked for user and password at every connect.

    Raises
    ------
    ConfigurationError
        If the URL is not one, or does not go with the settings.
    """

    def __init__(
        self,
        url: str,
        connection: ConnectionSettings | None = None,
        credential_provider: redis.CredentialProvider | None = None,
    ) -> None:
        self._settings = connection or ConnectionSettings()
        self._connector = Connector(url, self._settings, credential_provider)
        self._name = redact_url(url)
        self._turn = threading.Lock()
        self._connection: BusConnection | None = None
        self._closing = threading.Event()
        self.connects = 0

    def __repr__(self) -> str:
        state = "closed" if self._closing.is_set() else "open" if self._connection else "idle"
        return f"{type(self).__name__}({self._name}, {state})"

    @property
    def name(self) -> str:
        """Return the server's URL as it may be shown."""
        return self._name

    def ask(self, queries: Sequence[Query], *, repeatable: bool = True) -> list[Any]:
        """
        Run commands where their keys are served, at most 500 together.

        Parameters
        ----------
        queries : sequence of tuple[bytes, bytes]
            The key and the command of each.
        repeatable : bool, default True
            If running them twice is the same as once.

        Returns
        -------
        list
            The answers; an error answer is an exception instance.

        Raises
        ------
        ServerUnreachableError
            If the connection broke, or there is none to be had. What is not repeatable may have
            been done.
        LoginRefusedError
            If the server refused user or password.
        ClientClosedError
            If the session is closed.
        """
        answers: list[Any] = []
        for first in range(0, len(queries), MAX_TOGETHER):
            part = queries[first : first + MAX_TOGETHER]
            answers += self.use(lambda connection, part=part: connection.ask(part), repeatable)  # type: ignore[misc]  # of a lambda's default nobody knows the type
        return answers

    def one(self, key: bytes, query: bytes, *, repeatable: bool = True) -> Any:
        """Run one command; see `ask`."""
        return self.ask([(key, query)], repeatable=repeatable)[0]

    def use(self, work: Callable[[BusConnection], T], repeatable: bool = True) -> T:
        """
        Have a function ask the server, and have it do so once more if the connection broke.

        Raises
        ------
        ServerUnreachableError, LoginRefusedError, ClientClosedError
            As `ask` does.
        """
        with self._my_turn():
            try:
                done = self._try(work)
            except ServerUnreachableError as error:
                if not repeatable:
                    raise ServerUnreachableError(f"{error}; it may have been done") from error
            else:
                if not _is_put_off(done):
                    return done
                # Whoever takes nothing now may never again: the next call looks for another one.
                self._drop()
                if not repeatable:
                    return done
            return self._try(work)

    def interrupt(self) -> None:
        """Close for good from another thread: who waits for an answer gets an error."""
        self._closing.set()
        connection = self._connection
        if connection is not None:
            connection.shutdown()

    def close(self) -> None:
        """Close for good; calling it twice is harmless."""
        self.interrupt()
        if self._turn.acquire(timeout=MAX_WAIT_S):
            try:
                self._drop()
            finally:
                self._turn.release()

    def _try(self, work: Callable[[BusConnection], T]) -> T:
        connection = self._opened()
        try:
            return work(connection)
        except ServerUnreachableError:
            self._drop()
            raise
        except ServerError:
            raise
        except BaseException:
            # Answers may be left that the next call would take for its own.
            self._drop()
            raise

    def _opened(self) -> BusConnection:
        if self._connection is not None:
            return self._connection
        pause = Backoff(
            self._settings.reconnect_min_ms / 1_000, self._settings.reconnect_max_ms / 1_000
        )
        for attempt in range(MAX_ATTEMPTS):
            self._refuse_if_closed()
            connection = self._connection = self._connector.connect()
            try:
                connection.open()
            except ServerUnreachableError:
                self._drop()
                if attempt + 1 == MAX_ATTEMPTS:
                    raise
                self._closing.wait(pause.failed())
            except BaseException:
                self._drop()
                raise
            else:
                self.connects += 1
                return connection
        raise AssertionError  # pragma: no cover

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _refuse_if_closed(self) -> None:
        if self._closing.is_set():
            raise ClientClosedError(f"the connection to {self._name} was closed")

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        self._refuse_if_closed()
        begun = time.monotonic()
        if not self._turn.acquire(timeout=MAX_WAIT_S):
            waited = time.monotonic() - begun
            raise ServerUnreachableError(
                f"another thread has been asking {self._name} for {waited:.0f} s"
            )
        try:
            self._refuse_if_closed()
            yield
        finally:
            self._turn.release()


def _is_put_off(answers: Any) -> bool:
    return isinstance(answers, list) and any(
        is_error(answer) and str(answer).startswith(_NOT_NOW) for answer in answers
    )
