"""
One connection to the server: made by redis-py, used as a socket, errors translated.

redis-py knows TLS, login and Unix sockets, so it makes the connection and says hello. After
that the writer owns the socket: whole batches go out in one write and hiredis parses the
answers, without a Python call for each command. This is the only module that knows redis-py's
and hiredis' exceptions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import Protocol
from urllib.parse import quote

import hiredis
import redis

from nautilus_enhanced.infrastructure.messagebus.errors import LoginRefusedError
from nautilus_enhanced.infrastructure.messagebus.errors import ServerError
from nautilus_enhanced.infrastructure.messagebus.errors import ServerUnreachableError
from nautilus_enhanced.infrastructure.messagebus.settings import redact_url
from nautilus_enhanced.infrastructure.messagebus.wire import command


if TYPE_CHECKING:
    from nautilus_enhanced.infrastructure.messagebus.settings import ConnectionSettings


_READ_SIZE = 65_536
_LOGIN_CODES = ("WRONGPASS", "NOAUTH", "NOPERM")


class DatabaseLike(Protocol):
    """The parts of NautilusTrader's ``DatabaseConfig`` that name a server."""

    host: str | None
    port: int | None
    username: str | None
    password: str | None
    ssl: bool


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
    A connection that was answered.

    Parameters
    ----------
    url : str
        The server's URL.
    settings : ConnectionSettings
        The time limits.

    Raises
    ------
    LoginRefusedError
        If the server refused user or password.
    ServerUnreachableError
        If there was no connection or no answer within the time limits.
    """

    def __init__(self, url: str, settings: ConnectionSettings) -> None:
        self.url = url
        self.bytes_sent = 0
        self._reader = hiredis.Reader()
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
            self._connection = pool.make_connection()
            self._connection.connect()
        except (redis.AuthenticationError, redis.exceptions.AuthorizationError) as error:
            raise LoginRefusedError(f"{redact_url(url)} refused the login: {error}") from error
        except redis.ResponseError as error:
            if str(error).startswith(_LOGIN_CODES):
                raise LoginRefusedError(f"{redact_url(url)} refused the login: {error}") from error
            raise ServerUnreachableError(f"{redact_url(url)} answered: {error}") from error
        except (redis.RedisError, OSError, ValueError) as error:
            raise ServerUnreachableError(f"{redact_url(url)} cannot be reached: {error}") from error
        # redis-py has no public way to the socket of a synchronous connection.
        self._socket = self._connection._sock  # noqa: SLF001
        try:
            self.client_id: int | None = self._optional(b"CLIENT", b"ID")
            self.run_id = self._read_run_id()
        except ServerError:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"{type(self).__name__}({redact_url(self.url)}, client_id={self.client_id})"

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
        try:
            self._socket.sendall(commands)
            self.bytes_sent += len(commands)
            while len(received) < answers:
                answer = reader.gets()
                if answer is not False:
                    received.append(answer)
                    continue
                data = self._socket.recv(_READ_SIZE)
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
        return [_last_id(answer) for answer in self.exchange(commands, len(keys))]

    def kill_client(self, client_id: int) -> bool:
        """Make the server drop another connection; return whether it is surely gone."""
        try:
            self.execute(b"CLIENT", b"KILL", b"ID", b"%d" % client_id)
        except ServerUnreachableError:
            raise
        except ServerError:
            return False
        return True

    def shutdown(self) -> None:
        """Wake a thread that waits in `exchange`; it gets a `ServerUnreachableError`."""
        try:
            self._socket.shutdown(2)
        except OSError:
            pass

    def close(self) -> None:
        """Close the connection; calling it twice is harmless."""
        try:
            self._connection.disconnect()
        except (redis.RedisError, OSError):
            pass

    def _optional(self, *items: bytes) -> Any:
        """Run a command that an ACL may forbid; None if it does."""
        try:
            return self.execute(*items)
        except ServerUnreachableError:
            raise
        except ServerError:
            return None

    def _read_run_id(self) -> bytes:
        info = self._optional(b"INFO", b"server") or b""
        lines = (line.partition(b":") for line in info.splitlines())
        return next((value for name, _, value in lines if name == b"run_id"), b"")


def _last_id(answer: Any) -> bytes:
    """Return the last ID in an answer to XINFO STREAM: a flat list of names and values."""
    if isinstance(answer, list):
        return bytes(answer[answer.index(b"last-generated-id") + 1])
    return b"0-0"
