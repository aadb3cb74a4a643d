"""The examples as a user runs them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus import StreamNaming


EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NODE = EXAMPLES / "live" / "binance_sandbox.py"
CONSUMER = EXAMPLES / "consumers" / "print_stream.py"
QUOTE = (
    b'{"type":"QuoteTick","instrument_id":"BTCUSDT.BINANCE","bid_price":"1.00","ask_price":"1.01",'
    b'"bid_size":"1","ask_size":"2","ts_event":"1","ts_init":"2"}'
)


def run(script, *arguments, **environment):
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env={k: v for k, v in os.environ.items() if "BINANCE" not in k} | environment,
    )


@pytest.mark.parametrize("execution", ["venue", "sandbox"])
def test_the_node_trades_on_the_loopback_venue(execution):
    done = run(NODE, "--seconds", "6", "--execution", execution)
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    assert "features: dispatch: on; publisher: on" in done.stdout
    fills = int(done.stdout.rpartition("done: ")[2].split()[0])
    assert fills >= 2
    assert "messages delivered" in done.stdout
    assert "[ERROR]" not in done.stdout


def test_the_node_runs_without_us_when_switched_off(server):
    done = run(
        NODE, "--seconds", "4", "--redis-url", server.connection_url, NT_ENHANCED_DISABLE="1"
    )
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    assert "features: dispatch: off (switched off by NT_ENHANCED_DISABLE)" in done.stdout
    assert "done: " in done.stdout


def test_the_testnet_needs_keys():
    done = run(NODE, "--testnet")
    assert done.returncode == 1
    assert "BINANCE_TESTNET_API_KEY and BINANCE_TESTNET_API_SECRET" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("script", [NODE, CONSUMER])
def test_each_example_has_help(script):
    done = run(script, "--help")
    assert done.returncode == 0
    assert "python examples/" in done.stdout


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
        "--match", "trader-PRINT-001:*",
        "--from-start", "--count", "4",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    quote = "data.quotes.BINANCE.BTCUSDT: BTCUSDT.BINANCE,1.00,1.01,1,2,1"
    assert sorted(lines) == [quote, quote, quote, "health:heartbeat: now"]


def test_the_consumer_says_when_there_is_no_server():
    done = run(CONSUMER, "--redis-url", "redis://127.0.0.1:1/0")
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert "Traceback" not in done.stderr
