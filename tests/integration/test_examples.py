"""The examples as a user runs them."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from example_runs import assert_has_help
from example_runs import assert_refused
from example_runs import assert_traded
from example_runs import run_example

from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus import StreamNaming


pytestmark = pytest.mark.usefixtures("unmeasured")


EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NODE = EXAMPLES / "live" / "binance_sandbox.py"
CONSUMER = EXAMPLES / "consumers" / "print_stream.py"
SUBSCRIBER = EXAMPLES / "consumers" / "subscribe.py"
MIRROR = EXAMPLES / "consumers" / "order_mirror.py"
QUOTE = (
    b'{"type":"QuoteTick","instrument_id":"BTCUSDT.BINANCE","bid_price":"1.00","ask_price":"1.01",'
    b'"bid_size":"1","ask_size":"2","ts_event":"1","ts_init":"2"}'
)


def run(script, *arguments, **environment):
    return run_example(script, *arguments, without="BINANCE", **environment)


@pytest.mark.parametrize("product", ["spot", "futures"])
@pytest.mark.parametrize("execution", ["venue", "sandbox"])
def test_the_node_trades_on_the_loopback_venue(product, execution):
    done = run(NODE, "--seconds", "6", "--product", product, "--execution", execution)
    assert_traded(done)


def test_the_node_runs_without_us_when_switched_off(server):
    done = run(
        NODE, "--seconds", "4", "--redis-url", server.connection_url, NT_ENHANCED_DISABLE="1"
    )
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    assert "features: dispatch: off (switched off by NT_ENHANCED_DISABLE)" in done.stdout
    assert "done: " in done.stdout


@pytest.mark.parametrize(
    ("product", "variables"),
    [
        ("spot", "BINANCE_TESTNET_API_KEY and BINANCE_TESTNET_API_SECRET"),
        ("futures", "BINANCE_FUTURES_TESTNET_API_KEY and BINANCE_FUTURES_TESTNET_API_SECRET"),
    ],
)
def test_the_testnet_needs_keys(product, variables):
    done = run(NODE, "--testnet", "--product", product)
    assert_refused(done, variables)


def test_a_fault_that_is_none_gets_a_sentence():
    done = run(NODE, "--fault", "explode:on=market")
    assert_refused(done, "allowed: delay, drop")


@pytest.mark.parametrize("script", [NODE, CONSUMER, SUBSCRIBER, MIRROR])
def test_each_example_has_help(script):
    done = run(script, "--help")
    assert_has_help(done)


def test_the_consumer_prints_what_a_client_publishes(server):
    client = BufferedMessageBusClient(
        server.connection_url, naming=StreamNaming(trader_id="PRINT-001")
    )
    client.start()
    for _ in range(3):
        client.publish_nowait("data.quotes.BINANCE.BTCUSDT", QUOTE)
    client.publish_nowait("health:heartbeat", b"now")
    client.stop()
    done = run(
        CONSUMER,
        "--redis-url", server.connection_url,
        "--trader", "PRINT-001",
        "--from-start", "--count", "4",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    quote = "data.quotes.BINANCE.BTCUSDT: BTCUSDT.BINANCE,1.00,1.01,1,2,1"
    assert sorted(lines) == [quote, quote, quote, "health:heartbeat: now"]


@pytest.mark.parametrize("script", [CONSUMER, MIRROR])
def test_a_consumer_says_when_there_is_no_server(script):
    done = run(script, "--redis-url", "redis://127.0.0.1:1/0")
    assert_refused(done, "does not answer")


def test_a_subscriber_handles_what_came_before_and_what_comes(server, store):
    client = BufferedMessageBusClient(server.connection_url, naming=StreamNaming(trader_id="SUB-1"))
    client.start()
    client.publish_nowait("events.order.S-001", b'{"number":1}')
    child = subprocess.Popen(
        [sys.executable, str(SUBSCRIBER), server.connection_url], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout.readline().endswith("{'number': 1}\n")
        client.publish_nowait("events.order.S-002", b'{"number":2}')
        assert child.stdout.readline().startswith("events.order.S-002 ")
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == 0
    finally:
        child.kill()
        child.communicate()
        client.stop()


@pytest.mark.parametrize("where", ["embedded", "a server"])
def test_the_mirror_proves_that_every_order_event_was_handled(where, server, store):
    named = ("--redis-url", server.connection_url) if where == "a server" else ()
    done = run(MIRROR, "--seconds", "6", *named)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "OK: every order event was handled" in done.stdout
    figures = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    assert int(figures["killed"].split()[0]) >= 2
    assert figures["missing"] == "0"
    assert not [key for key in store.scan_iter() if b"MIRROR" in key or b"order-mirror" in key]


def test_the_mirror_fails_if_an_event_is_missing_or_out_of_order(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(MIRROR.parent))
    mirror = __import__("order_mirror")
    topic = "events.order.S-001"
    published = {topic: ["a", "b", "c"]}
    handled = [("1", "a", topic), ("1", "b", topic), ("2", "b", topic), ("2", "c", topic)]
    assert mirror.verdict(published, handled, 1) == 0
    assert "handled again: 1," in capsys.readouterr().out
    assert mirror.verdict(published, handled[:3], 1) == 1
    assert mirror.verdict(published, [handled[1], handled[0], handled[3]], 1) == 1
    # Without any kill nothing is proved.
    assert mirror.verdict(published, handled, 0) == 1
