"""
Connections to the model of the server, with latencies and all that may happen to bytes on the way.

`ServerConnection` and hiredis are real; redis-py's connection and its socket are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import hiredis
import redis
from virtual_time import MS

from nautilus_enhanced.infrastructure.messagebus.connection.connection import ServerConnection
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import command


if TYPE_CHECKING:
    from world import World


_AUTH = command(b"AUTH", b"secret")


class Link:
    """A TCP connection, and on the client's side the socket."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._inbox = bytearray()
        self.session = world.server.connect(self._on_server_closed)
        # How it ended for the client, once it knows.
        self._end: type[OSError] | bytes | None = None
        self._is_shut = False
        self.is_closed = False
        # Whether nothing more gets through to the client, without its knowing.
        self.is_mute = False
        self._answers_left: int | None = None
        self._arrives_ns = 0
        self._returns_ns = 0
        world.links.append(self)

    # -- the client's side -----------------------------------------------------------------------

    def sendall(self, data: bytes) -> None:
        world = self._world
        world.note_send()
        world.time.wait(world.rng.randint(2_000, 40_000))
        if self._is_shut:
            raise BrokenPipeError("it was shut down")
        if isinstance(self._end, type):
            raise self._end("the connection is gone")
        fault = world.next_trouble(data)
        if fault is None:
            self._carry(data)
        else:
            fault(self, data)

    def recv(self, most: int) -> bytes:
        timeout_ns = self._world.response_timeout_ns
        if not self._world.time.wait(timeout_ns, self._is_readable):
            raise TimeoutError("timed out")
        if self._is_shut:
            return b""
        if self._inbox:
            data = bytes(self._inbox[:most])
            del self._inbox[:most]
            return data
        if isinstance(self._end, bytes):
            return self._end
        raise self._end("the connection is gone")

    def _is_readable(self) -> bool:
        return bool(self._inbox or self._is_shut or self._end is not None)

    def shut(self) -> None:
        self._is_shut = True

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            # What is under way arrives before the end does.
            delay_ns = max(self._arrives_ns - self._world.time.now_ns, self._world.latency_ns())
            self._world.time.after(delay_ns, self._end_of_client)
            self._world.note_closed()

    def _end_of_client(self) -> None:
        if self._world.server.is_frozen:
            # It reads what it got before it sees that this was the end.
            self._world.on_thaw.append(self._end_of_client)
        else:
            self._world.server.disconnect(self.session)

    @property
    def is_in_trouble(self) -> bool:
        """Return whether the client waits for something that does not come, or comes late."""
        is_lost = self.is_mute and self._end is None
        return not self.is_closed and (is_lost or self._arrives_ns > self._world.time.now_ns)

    # -- the way ---------------------------------------------------------------------------------

    def _carry(self, data: bytes, delay_ns: int = 0) -> None:
        """Bring a request to the server, behind what was sent before."""
        time = self._world.time
        delay_ns = max(self._world.latency_ns() + delay_ns, self._arrives_ns - time.now_ns)
        self._arrives_ns = time.after(delay_ns, self._arrive, data)

    def _arrive(self, data: bytes) -> None:
        server = self._world.server
        if self.session.is_open:
            server.now_ms = (self._world.time.now_ns + self._world.time.wall_ns) // MS
            self.bring_back(server.receive(self.session, data))
            self._world.watch_blocked(self)

    def bring_back(self, answers: bytes) -> None:
        """Bring answers to the client."""
        if not answers or self.is_mute or self.is_closed:
            return
        if self._answers_left is not None:
            answers = answers[: self._answers_left]
            self._answers_left -= len(answers)
        world = self._world
        middle = world.rng.randint(0, len(answers)) if world.splits_answers else len(answers)
        for part in (answers[:middle], answers[middle:]):
            if part:
                self._after_answers(self._inbox.extend, part)
        if self._answers_left == 0:
            self.is_mute = True
            self._after_answers(self._break, ConnectionResetError)

    def _after_answers(self, do: Any, *args: Any) -> None:
        time = self._world.time
        delay_ns = max(self._world.latency_ns(), self._returns_ns - time.now_ns)
        self._returns_ns = time.after(delay_ns, do, *args)

    def _on_server_closed(self) -> None:
        if not self.is_mute:
            end = b"" if self._world.rng.random() < 0.5 else ConnectionResetError
            self._after_answers(self._break, end)

    def _break(self, end: type[OSError] | bytes) -> None:
        if self._end is None:
            self._end = end

    # -- troubles: what becomes of a request, instead of just arriving ---------------------------

    def cut_request(self, data: bytes) -> None:
        """Only the first bytes arrive, at once or long after the client has given up."""
        rng = self._world.rng
        self._carry(data[: rng.randint(0, len(data))], self._world.lateness_ns())
        self._lose_client(is_noticed=rng.random() < 0.7)

    def delay_request(self, data: bytes) -> None:
        """All of it arrives, late; meanwhile the connection breaks, or the client gives up."""
        self._carry(data, self._world.lateness_ns())
        if self._world.rng.random() < 0.5:
            self._lose_client(is_noticed=True)

    def cut_answers(self, data: bytes) -> None:
        """The server does what it is asked, and only the first bytes of its answers arrive."""
        self._answers_left = self._world.rng.randint(0, max(2, len(data) // 8))
        self._carry(data)
        if self._answers_left == 0:
            self._lose_client(is_noticed=True)

    def swallow_answers(self, data: bytes) -> None:
        """The server does what it is asked, and the client waits in vain."""
        self.is_mute = True
        self._carry(data)

    def crash_before(self, data: bytes) -> None:
        """The server ends before it gets the request."""
        self._world.crash()

    def crash_after(self, data: bytes) -> None:
        """The server does what it is asked and ends before it answers."""
        if self.session.is_open:
            self._world.server.receive(self.session, data)
        self._world.crash()

    def _lose_client(self, *, is_noticed: bool) -> None:
        self.is_mute = True
        if is_noticed:
            self._after_answers(self._break, ConnectionResetError)
        # What the server has of it lives on until what is under way has arrived.
        delay_ns = self._arrives_ns - self._world.time.now_ns
        self._world.time.after(delay_ns, self._end_of_client)


class RedisConnection:
    """Stands in for redis-py's connection, which connects and logs in."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sock: Link | None = None

    def connect(self) -> None:
        world = self._world
        world.note_attempt()
        world.time.wait(world.latency_ns())
        if world.drops_packets:
            world.time.wait(world.connect_timeout_ns)
            raise redis.TimeoutError("Timeout connecting to server")
        if world.refuses_connections or world.is_down:
            raise redis.ConnectionError("Error 111 connecting: Connection refused.")
        self._sock = Link(world)
        try:
            answer = self._log_in(self._sock)
        except TimeoutError as error:
            self.disconnect()
            raise redis.TimeoutError(str(error)) from error
        except OSError as error:
            self.disconnect()
            raise redis.ConnectionError(str(error)) from error
        if isinstance(answer, hiredis.ReplyError):
            self.disconnect()
            raise redis.AuthenticationError(str(answer))

    @staticmethod
    def _log_in(link: Link) -> Any:
        reader = hiredis.Reader()
        link.sendall(_AUTH)
        while (answer := reader.gets()) is False:
            data = link.recv(65_536)
            if not data:
                raise ConnectionResetError("Connection closed by server.")
            reader.feed(data)
        return answer

    def disconnect(self) -> None:
        link, self._sock = self._sock, None
        if link is not None:
            link.close()


class SimulatedConnection(ServerConnection):
    """The real connection on a simulated socket."""

    def shutdown(self) -> None:
        # The real one calls the operating system, past the socket's own method.
        link = self._connection._sock
        if link is not None:
            link.shut()


def connector(world: World) -> Any:
    """Return a class that stands in for `Connector`."""

    class SimulatedConnector:
        is_verified = True

        def __init__(self, *_: Any) -> None:
            pass

        @staticmethod
        def connect() -> ServerConnection:
            return SimulatedConnection("redis://simulated", RedisConnection(world))

    return SimulatedConnector
