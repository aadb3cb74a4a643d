"""
One connection to the server: made by redis-py, used as a socket, errors translated.

redis-py knows TLS, login and Unix sockets, so it makes the connection and says hello. After
that the writer owns the socket: whole batches go out in one write and hiredis parses the
answers, without a Python call for each command. This is the only module that knows redis-py's
and hiredis' exceptions.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING
from typing import Any
from typing import Protocol
from urllib.parse import quote

import hiredis
import redis

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.errors import LoginRefusedError
from nautilus_enhanced.infrastructure.messagebus.errors import ServerError
from nautilus_enhanced.infrastructure.messagebus.errors import ServerUnreachableError
from nautilus_enhanced.infrastructure.messagebus.urls import check_url
from nautilus_enhanced.infrastructure.messagebus.urls import redact_url
from nautilus_enhanced.infrastructure.messagebus.wire import command


if TYPE_CHECKING:
    from nautilus_enhanced.infrastructure.messagebus.settings import ConnectionSettings


_READ_SIZE = 65_536
_LOGIN_CODES = ("WRONGPASS", "NOAUTH")
_PING = command(b"PING")


class DatabaseLike(Protocol):
    """The parts of NautilusTrader's ``DatabaseConfig`` that name a server."""

    @property
    def host(self) -> str | None:
        """Return the host."""

    @property
    def port(self) -> int | None:
        """Return the port."""

    @property
    def username(self) -> str | None:
        """Return the user's name."""

    @property
    def password(self) -> str | None:
        """Return the password."""

    @property
    def ssl(self) -> bool:
        """Return whether to use TLS."""


def database_url(database: DatabaseLike) -> str:
    """Return the URL of the server that a stock database configuration names."""
    scheme = "rediss" if database.ssl else "redis"
    login = ""
    if database.username or database.password:
        login = f"{quote(database.username or '', '')}:{quote(database.password or '', '')}@"
    host = database.host or "127.0.0.1"
    return f"{scheme}://{login}{host}:{database.port or 6379}"


class ServerConnection:
    """
    A connection to the server; `open` it before anything else.

    Parameters
    ----------
    url : str
        The server's URL.
    settings : ConnectionSettings
        The time limits.

    Raises
    ------
    ConfigurationError
        If the URL is not one, or has an option that redis-py does not know.
    """

    def __init__(self, url: str, settings: ConnectionSettings) -> None:
        self.url = url
        self.bytes_sent = 0
        self.client_id: int | None = None
        self.run_id = b""
        self._reader = hiredis.Reader()
        check_url("connection.url", url)
        try:
            pool = redis.ConnectionPool.from_url(
                url,
                protocol=2,
                socket_connect_timeout=settings.connect_timeout_ms / 1_000,
                socket_timeout=settings.response_timeout_ms / 1_000,
                # A command that redis-py repeats on its own could be written twice.
                retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0),
                retry_on_timeout=False,
                health_check_interval=0,
            )
            # redis-py types it as a Protocol that lacks most of what is used here.
            self._connection: Any = pool.make_connection()
        except (redis.RedisError, TypeError, ValueError) as error:
            raise ConfigurationError(
                "connection.url", redact_url(url), "a URL that redis-py understands", f"{error}"
            ) from error

    def __repr__(self) -> str:
        return f"{type(self).__name__}({redact_url(self.url)}, client_id={self.client_id})"

    def open(self) -> None:
        """
        Connect, log in and find out who we are to which server.

        Raises
        ------
        LoginRefusedError
            If the server refused user or password.
        ServerUnreachableError
            If there was no connection or no answer within the time limits.
        """
        url = redact_url(self.url)
        try:
            self._connection.connect()
        except (redis.AuthenticationError, redis.exceptions.AuthorizationError) as error:
            raise LoginRefusedError(f"{url} refused the login: {error}") from error
        except redis.ResponseError as error:
            if str(error).startswith(_LOGIN_CODES):
                raise LoginRefusedError(f"{url} refused the login: {error}") from error
            raise ServerUnreachableError(f"{url} answered: {error}") from error
        except (redis.RedisError, OSError, ValueError) as error:
            raise ServerUnreachableError(f"{url} cannot be reached: {error}") from error
        try:
            self.client_id = self._optional(b"CLIENT", b"ID")
            self.run_id = self._read_run_id()
        except LoginRefusedError as error:
            self.close()
            # Without a password redis-py does not log in, and only the first command tells.
            raise LoginRefusedError(f"{url} asks for a login: {error}") from error
        except ServerError:
            self.close()
            raise

    def exchange(self, commands: bytes, answers: int) -> list[Any]:
        """
        Write `commands` and read as many answers as they get.

        Returns
        -------
        list
            The answers as hiredis parses them; an error answer is an exception instance.

        Raises
        ------
        ServerUnreachableError
            If the connection broke or the time limit passed; the commands may have run.
        """
        reader = self._reader
        received: list[Any] = []
        # redis-py has no public way to the socket of a synchronous connection.
        server = self._connection._sock  # noqa: SLF001
        if server is None:
            raise ServerUnreachableError("the connection is closed")
        try:
            server.sendall(commands)
            self.bytes_sent += len(commands)
            while len(received) < answers:
                answer = reader.gets()
                if answer is not False:
                    received.append(answer)
                    continue
                data = server.recv(_READ_SIZE)
                if not data:
                    raise ServerUnreachableError("the server closed the connection")
                reader.feed(data)
        except (OSError, hiredis.HiredisError) as error:
            raise ServerUnreachableError(
                f"the connection broke: {error or type(error).__name__}"
            ) from error
        return received

    def execute(self, *items: bytes) -> Any:
        """
        Run one command.

        Raises
        ------
        ServerUnreachableError
            If the connection broke.
        LoginRefusedError
            If the server answered that the login does not suffice.
        ServerError
            If the server answered with any other error.
        """
        (answer,) = self.exchange(command(*items), 1)
        if isinstance(answer, hiredis.ReplyError):
            message = f"{items[0].decode()}: {answer}"
            if str(answer).startswith(_LOGIN_CODES):
                raise LoginRefusedError(message)
            raise ServerError(message)
        return answer

    def last_ids(self, keys: list[bytes]) -> list[bytes]:
        """
        Return the last entry ID of each stream, ``0-0`` for one that does not exist.

        Raises
        ------
        ServerUnreachableError
            If the connection broke.
        """
        commands = b"".join(command(b"XINFO", b"STREAM", key) for key in keys)
        answers = self.exchange(commands, len(keys))
        return [
            self._newest_id(key) if _is_forbidden(answer) else _last_id(answer)
            for key, answer in zip(keys, answers, strict=True)
        ]

    def ping(self) -> None:
        """
        Find out whether the server is there; any answer will do.

        Raises
        ------
        ServerUnreachableError
            If the connection broke.
        """
        self.exchange(_PING, 1)

    def kill_client(self, client_id: int) -> bool:
        """Make the server drop another connection; return whether it is surely gone."""
        try:
            self.execute(b"CLIENT", b"KILL", b"ID", b"%d" % client_id)
        except (ServerUnreachableError, LoginRefusedError):
            raise
        except ServerError:
            return False
        return True

    def shutdown(self) -> None:
        """Wake a thread that waits for an answer; it gets a `ServerUnreachableError`."""
        server = self._connection._sock  # noqa: SLF001
        if server is not None:
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection; calling it twice is harmless."""
        with suppress(redis.RedisError, OSError):
            self._connection.disconnect()

    def _optional(self, *items: bytes) -> Any:
        """Run a command that an ACL may forbid; None if it does."""
        try:
            return self.execute(*items)
        except (ServerUnreachableError, LoginRefusedError):
            raise
        except ServerError:
            return None

    def _newest_id(self, key: bytes) -> bytes:
        """Return the ID of the newest entry, which is the last ID unless that was deleted."""
        newest = self._optional(b"XREVRANGE", key, b"+", b"-", b"COUNT", b"1")
        return bytes(newest[0][0]) if newest else b"0-0"

    def _read_run_id(self) -> bytes:
        info = self._optional(b"INFO", b"server") or b""
        lines = (line.partition(b":") for line in info.splitlines())
        return next((value for name, _, value in lines if name == b"run_id"), b"")


def _is_forbidden(answer: Any) -> bool:
    return isinstance(answer, Exception) and str(answer).startswith("NOPERM")


def _last_id(answer: Any) -> bytes:
    """Return the last ID in an answer to XINFO STREAM: a flat list of names and values."""
    if isinstance(answer, list):
        return bytes(answer[answer.index(b"last-generated-id") + 1])
    return b"0-0"
