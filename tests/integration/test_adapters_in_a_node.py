"""
Real nodes on the loopback venue: with mixins everything is as it is without, and is told.

The nodes are in a process of their own (`adapter_node.py`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


PROGRAM = Path(__file__).parent / "adapter_node.py"
TIMEOUT_S = 110
NODES = {
    "stock": {"bus": "stock"},
    "none": {"bus": "enhanced"},
    "data": {"bus": "enhanced", "fields": {"adapters": "data"}},
    "all": {"bus": "enhanced", "fields": {"adapters": "all"}, "drop": True},
    # What is left of the enhanced bus is its serializer.
    "stock engines": {"bus": "enhanced", "fields": {"adapters": "all", "dispatch": None}},
    "factories": {"bus": "enhanced", "factories": "enhanced"},
    "factories from a file": {"bus": "enhanced", "factories": "importable"},
    "factories on a stock bus": {"bus": "stock", "factories": "enhanced"},
    "sandbox": {"bus": "enhanced", "sandbox": True},
    "observed sandbox": {"bus": "enhanced", "fields": {"adapters": "all"}, "sandbox": True},
}
BOTH = ["data", "execution"]
EVENTS = {
    "far": ["OrderSubmitted", "OrderAccepted", "OrderPendingCancel", "OrderCanceled"],
    "market": ["OrderSubmitted", "OrderAccepted", "OrderFilled"],
    "crossing": ["OrderSubmitted", "OrderRejected"],
}


@pytest.fixture(scope="module")
def nodes():
    done = subprocess.run(
        [sys.executable, str(PROGRAM), json.dumps(NODES)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def stock(nodes):
    return nodes["stock"]


@pytest.fixture
def observed(nodes):
    return nodes["all"]


def count(figures, *names):
    return sum(row["count"] for row in figures["messages"] if row["message_type"] in names)


def row_of(figures, name):
    return next(row for row in figures["messages"] if row["message_type"] == name)


def test_a_stock_node_is_what_the_others_are_held_against(stock):
    assert stock["events"] == EVENTS
    assert stock["figures"] == {}
    assert stock["mixed"] == []
    assert stock["adapters_feature"] == "the configuration is a stock one"


@pytest.mark.parametrize(
    ("name", "mixed"),
    [
        ("none", []),
        ("data", ["data"]),
        ("all", BOTH),
        ("stock engines", BOTH),
        ("factories", BOTH),
        ("factories from a file", BOTH),
        ("factories on a stock bus", []),
    ],
)
def test_the_sequence_of_messages_is_stock_s(name, mixed, nodes, stock):
    node = nodes[name]
    assert node["events"] == stock["events"]
    assert node["quotes"] == stock["quotes"]
    # Which is the first depends on the moment of the subscription.
    trades = [{trade[2]: trade[:2] for trade in both["trades"]} for both in (node, stock)]
    common = trades[0].keys() & trades[1].keys()
    assert common
    assert all(trades[0][number] == trades[1][number] for number in common)
    for numbers in trades:
        assert [int(number) for number in numbers] == list(
            range(int(next(iter(numbers))), int(next(iter(numbers))) + len(numbers))
        )
    assert node["mixed"] == mixed == list(node["figures"])
    assert node["findings"] == []
    for figures in node["figures"].values():
        assert (figures["errors"], figures["last_error"]) == (0, "")


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("none", "switched off in the configuration"),
        ("factories", "switched off in the configuration"),
        ("data", "active"),
        ("stock engines", "active"),
        ("factories on a stock bus", "the configuration is a stock one"),
    ],
)
def test_features_tell_of_the_option(name, state, nodes):
    assert nodes[name]["adapters_feature"] == state


def test_every_message_is_counted(observed):
    data, execution = observed["figures"]["data"], observed["figures"]["execution"]
    # A few may have come after the strategy stopped to listen.
    assert 0 <= count(data, "QuoteTick") - observed["seen"]["quotes"] < 400
    assert 0 <= count(data, "TradeTick") - observed["seen"]["trades"] < 40
    assert count(data, "CurrencyPair") >= 1
    # One in sixteen is looked at.
    quotes = row_of(data, "QuoteTick")
    assert quotes["sampled"] == min(1_024, (quotes["count"] + 15) // 16)
    told = {row["message_type"]: row["count"] for row in execution["messages"]}
    assert told.pop("AccountState") >= 1
    assert told == {
        "OrderSubmitted": 3,
        "OrderAccepted": 2,
        "OrderCanceled": 1,
        "OrderFilled": 1,
        "OrderRejected": 1,
        # Binance's client reconciles by itself after a reconnect.
        **({"ExecutionMassStatus": 1} if told.get("ExecutionMassStatus") else {}),
    }
    assert {row["priority"] for row in data["messages"]} == {"NORMAL"}
    assert {row["priority"] for row in execution["messages"]} == {"HIGH"}


def test_latencies_are_told_where_the_venue_gives_a_time(observed):
    data, execution = observed["figures"]["data"], observed["figures"]["execution"]
    quotes, trades = row_of(data, "QuoteTick"), row_of(data, "TradeTick")
    # Binance's `bookTicker` of spot has none.
    assert (quotes["event_time"], quotes["latency_ms"]) == ("none", None)
    assert quotes["inside_ms"]["p50"] >= 0.0
    assert trades["event_time"] in ("milliseconds", "finer")
    assert 0.0 <= trades["latency_ms"]["p50"] < 60_000.0
    assert row_of(execution, "OrderFilled")["latency_ms"] is not None
    # That it was submitted is no event of the venue's.
    assert row_of(execution, "OrderSubmitted")["latency_ms"] is None


def test_reconciliation_is_told(observed):
    reports = observed["figures"]["execution"]["reports"]
    assert reports["requests"] >= 4
    assert reports["reports"]["ExecutionMassStatus"] >= 1
    assert reports["failures"] == 0
    assert reports["longest_ms"] > 0.0


def test_a_dropped_socket_is_a_reconnect_on_each_side(observed):
    for figures in observed["figures"].values():
        connection = figures["connection"]
        assert (connection["connects"], connection["disconnects"]) == (1, 1)
        assert 1 <= connection["reconnects"] == connection["reconnects_10min"]
        assert not connection["connected"]


def test_what_a_sandbox_sends_is_seen_at_the_endpoints(nodes):
    plain, node = nodes["sandbox"], nodes["observed sandbox"]
    assert node["events"] == plain["events"]
    assert plain["figures"] == {}
    told = {row["message_type"]: row["count"] for row in node["figures"]["execution"]["messages"]}
    # The account's first state is sent while the client is being made.
    told.pop("AccountState", None)
    flat = [name for names in node["events"].values() for name in names]
    # What the strategy itself sends is not the sandbox's.
    ours = {name: flat.count(name) for name in set(flat) - {"OrderPendingCancel"}}
    assert told == ours
