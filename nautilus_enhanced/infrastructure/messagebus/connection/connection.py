"""
One connection to the server: made by redis-py, used as a socket, errors translated.

redis-py knows TLS, login, Unix sockets and sentinels, so it makes the connection (`connector`)
and says hello. After that the writer owns the socket: whole batches go out in one write and
hiredis parses the answers, without a Python call for each command. Outside of this module and
`connector` nobody knows redis-py's and hiredis' exceptions.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING
from typing import Any

import hiredis
import redis

from nautilus_enhanced.infrastructure.messagebus.errors import LoginRefusedError
from nautilus_enhanced.infrastructure.messagebus.errors import ServerError
from nautilus_enhanced.infrastructure.messagebus.errors import ServerUnreachableError
from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import Fate
from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import first_error
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import command


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable

    from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import Batch


_READ_SIZE = 65_536
_LOGIN_CODES = ("WRONGPASS", "NOAUTH")
_PING = command(b"PING")

# Which connection to which server, as its class needs it to end the connection later.
Identity = tuple[Any, ...]


class ServerConnection:
    """
    A connection to the server; `open` it before anything else.

    Parameters
    ----------
    name : str
        The server's URL as it may be shown.
    connection : redis.Connection
        The connection as redis-py made it, not yet connected.
    """

    def __init__(self, name: str, connection: Any) -> None:
        self.name = name
        self.bytes_sent = 0
        self.client_id: int | None = None
        self.run_id = b""
        self._reader = hiredis.Reader()
        # redis-py types it as a Protocol that lacks most of what is used here.
        self._connection = connection

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}, client_id={self.client_id})"

    def open(self, *, replica_allowed: bool = False) -> None:
        """
        Connect, log in and find out who we are to which server.

        Parameters
        ----------
        replica_allowed : bool, default False
            If the server may be a replica: in a cluster it redirects to its master.

        Raises
        ------
        LoginRefusedError
            If the server refused user or password.
        ServerUnreachableError
            If there was no connection or no answer within the time limits, or the server is a
            replica, which takes no messages.
        """
        url = self.name
        try:
            self._connection.connect()
        except ServerError:
            # From a credential provider.
            raise
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
            self.run_id = self._read_info(b"server", b"run_id")
            role = self._read_info(b"replication", b"role")
        except LoginRefusedError as error:
            self.close()
            # Without a password redis-py does not log in, and only the first command tells.
            raise LoginRefusedError(f"{url} asks for a login: {error}") from error
        except ServerError:
            self.close()
            raise
        if role == b"slave" and not replica_allowed:
            # It may still get from its master what was sent there, so that it cannot tell what
            # is to be sent again.
            self.close()
            raise ServerUnreachableError(f"{url} is a replica (READONLY): it takes no messages")

    @property
    def identity(self) -> Identity:
        """Return which connection this is, to which server: for `end_previous`."""
        return self.run_id, self.client_id or 0

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
        self.send(commands)
        return self.receive(answers)

    def send(self, commands: bytes) -> None:
        """
        Write `commands`.

        Raises
        ------
        ServerUnreachableError
            If the connection broke or the time limit passed.
        """
        try:
            self._socket().sendall(commands)
        except OSError as error:
            raise _broken(error) from error
        self.bytes_sent += len(commands)

    def try_send(self, commands: bytes) -> int:
        """
        Write as much of `commands` as goes without waiting; return how many bytes that is.

        None of them go over TLS, whose sockets do not bear a writer beside a reader, and none
        where the connection is broken: who reads from it finds that out.
        """
        server = self._connection._sock  # noqa: SLF001 (as in `_socket`)
        if server is None or isinstance(server, ssl.SSLSocket):
            return 0
        try:
            sent: int = server.send(commands, socket.MSG_DONTWAIT)
        except OSError:
            return 0
        self.bytes_sent += sent
        return sent

    def receive(self, answers: int) -> list[Any]:
        """
        Read as many answers as were asked for.

        Raises
        ------
        ServerUnreachableError
            If the connection broke or the time limit passed.
        """
        reader = self._reader
        server = self._socket()
        received: list[Any] = []
        try:
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
            raise _broken(error) from error
        return received

    def make_ready(self, batch: Batch) -> None:
        """Encode a numbered batch, without I/O."""
        batch.encode()

    def deliver(self, batch: Batch, meanwhile: Callable[[], None]) -> tuple[list[Fate], str]:
        """
        Send a numbered batch.

        Parameters
        ----------
        batch : Batch
            The batch.
        meanwhile : Callable[[], None]
            Called when it is sent, before the answer is read.

        Returns
        -------
        tuple[list[Fate], str]
            The fate of each message, and the text of the first error.

        Raises
        ------
        ServerUnreachableError
            If the connection broke or the time limit passed; the commands may have run.
        """
        commands, answers = batch.encode()
        self.send(commands)
        meanwhile()
        received = self.receive(answers)
        fates = batch.fates(received)
        is_accepted = fates.count(Fate.ACCEPTED) == len(fates)
        return fates, "" if is_accepted else first_error(received)

    def ask(self, queries: Iterable[tuple[bytes, bytes]]) -> list[Any]:
        """
        Run one command for each key.

        Raises
        ------
        ServerUnreachableError
            If the connection broke.
        """
        commands = [query for _, query in queries]
        return self.exchange(b"".join(commands), len(commands))

    def each_master(self) -> list[ServerConnection]:
        """Return a connection to every server that has keys: here it is one."""
        return [self]

    def confirm(self, commands: bytes, answers: int) -> list[list[Any]]:
        """
        Ask every server that took part of the last batch: here it is one.

        Raises
        ------
        ServerUnreachableError
            If the connection broke.
        """
        return [self.exchange(commands, answers)]

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
        return read_last_ids(self.ask, keys)

    def ping(self) -> None:
        """
        Find out whether the server is there; any answer will do.

        Raises
        ------
        ServerUnreachableError
            If the connection broke.
        """
        self.exchange(_PING, 1)

    def end_previous(self, identity: Identity) -> bool:
        """
        Make sure that nothing sent on an earlier connection is run any more.

        Parameters
        ----------
        identity : tuple
            What `identity` of that connection was.

        Returns
        -------
        bool
            Whether it is sure.
        """
        run_id, client_id = identity
        if not run_id or not self.run_id:
            return False
        # A server that was restarted numbers its clients anew: killing by the old number would
        # hit somebody else. And if it was restarted, the old connection is gone.
        return self.run_id != run_id or self._kill_client(client_id)

    def _kill_client(self, client_id: int) -> bool:
        """Make the server drop another connection; return whether it is surely gone."""
        if not client_id:
            return False
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
                # Not the TLS socket's own: it goes back to plain text before it shuts down, and
                # another thread may be about to write.
                socket.socket.shutdown(server, socket.SHUT_RDWR)

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

    def _socket(self) -> socket.socket:
        # redis-py has no public way to the socket of a synchronous connection.
        server: socket.socket | None = self._connection._sock  # noqa: SLF001
        if server is None:
            raise ServerUnreachableError("the connection is closed")
        return server

    def _read_info(self, section: bytes, field: bytes) -> bytes:
        info = self._optional(b"INFO", section) or b""
        lines = (line.partition(b":") for line in info.splitlines())
        return next((value for name, _, value in lines if name == field), b"")


def read_last_ids(
    ask: Callable[[list[tuple[bytes, bytes]]], list[Any]], keys: list[bytes]
) -> list[bytes]:
    """
    Return the last entry ID of each stream, ``0-0`` for one that does not exist.

    Parameters
    ----------
    ask : Callable[[list[tuple[bytes, bytes]]], list]
        Runs one command for each key.
    keys : list[bytes]
        The streams.
    """
    answers = ask([(key, command(b"XINFO", b"STREAM", key)) for key in keys])
    last = dict(zip(keys, map(_last_id, answers), strict=True))
    forbidden = [key for key, answer in zip(keys, answers, strict=True) if _is_forbidden(answer)]
    if forbidden:
        # The ID of the newest entry is the last ID, unless that was deleted.
        newest = ask(
            [(key, command(b"XREVRANGE", key, b"+", b"-", b"COUNT", b"1")) for key in forbidden]
        )
        for key, entries in zip(forbidden, newest, strict=True):
            if isinstance(entries, list) and entries:
                last[key] = bytes(entries[0][0])
    return [last[key] for key in keys]


def _broken(error: Exception) -> ServerUnreachableError:
    return ServerUnreachableError(f"the connection broke: {error or type(error).__name__}")


def _is_forbidden(answer: Any) -> bool:
    return isinstance(answer, Exception) and str(answer).startswith("NOPERM")


def _last_id(answer: Any) -> bytes:
    """Return the last ID in an answer to XINFO STREAM: a flat list of names and values."""
    if isinstance(answer, list):
        return bytes(answer[answer.index(b"last-generated-id") + 1])
    return b"0-0"
