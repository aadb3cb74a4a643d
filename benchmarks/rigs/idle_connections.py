"""Connections that wait for streams in which nothing comes: what consumers of others are."""

from __future__ import annotations

import resource
import socket
import sys
from contextlib import ExitStack
from urllib.parse import urlsplit

from nautilus_enhanced.benchmarks.harness import tell
from nautilus_enhanced.benchmarks.rigs.publishing import NAMING
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import command


# For standard streams, pipes and what an interpreter has open besides.
SPARE_FILES = 100
# Never within a round.
BLOCK_MS = b"600000"


def hold(url: str, count: int, stop_port: int) -> int:
    """
    Open connections, each of which waits in a blocking XREAD, until somebody connects to a port.

    Returns
    -------
    int
        How many still waited then.
    """
    allow_files(count + SPARE_FILES)
    address = urlsplit(url)
    with ExitStack() as stack:
        gate = stack.enter_context(socket.create_server(("127.0.0.1", stop_port)))
        waiting = []
        for number in range(count):
            made = stack.enter_context(
                socket.create_connection((address.hostname, address.port or 0), 10.0)
            )
            key = NAMING.key(f"data.quotes.IDLE.S{number:05d}").encode()
            made.sendall(command(b"XREAD", b"BLOCK", BLOCK_MS, b"STREAMS", key, b"$"))
            waiting.append(made)
        tell("ready")
        gate.settimeout(600.0)
        gate.accept()[0].close()
        return sum(_is_quiet(made) for made in waiting)


def allow_files(count: int) -> None:
    """
    Have this process open so many files.

    Raises
    ------
    ValueError
        If the system does not allow it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= count:
        return
    if hard != resource.RLIM_INFINITY and hard < count:
        raise ValueError(f"{count:,} open files are needed, and {hard:,} allowed: see `ulimit -n`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def _is_quiet(made: socket.socket) -> bool:
    """Return whether a connection is there and nothing has come over it."""
    made.setblocking(False)
    try:
        made.recv(1)
    except BlockingIOError:
        return True
    except OSError as error:
        sys.stderr.write(f"{error}\n")
    return False
