"""
A rehearsal: one file goes from stock to enhanced and back, and a node trades at every stage.

One stock node stays up in a process of its own and reads what they publish, across the hand-overs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from nautilus_trader.model.objects import Price


pytestmark = pytest.mark.usefixtures("unmeasured")


HERE = Path(__file__).parent
STREAM = "trader-REHEARSAL-001:stream"
NOTES = "consumed"
# As in rehearsal_node.py: what is published in the last moment counts.
QUOTES, FILLS, QUOTES_AN_ORDER = 80, 10, 6
# A slow machine that is busy with something else as well still gets there.
LIMIT_S = 60.0
ALL = ["dispatch", "publisher", "ingress", "serializer"]


class Stage(NamedTuple):
    """What is done to the file, who reads it then, and what the node with it runs."""

    command: tuple[str, ...]
    parser: str
    active: list[str]


STAGES = (
    Stage((), "stock", []),
    Stage(("migrate", "--publisher-only"), "enhanced", ["publisher"]),
    Stage(("migrate",), "enhanced", ALL),
    Stage(("revert",), "stock", []),
)


def document(port: int) -> dict:
    def client(kind: str) -> dict:
        return {"SIM": {"path": f"nautilus_trader.config:{kind}", "config": {}}}

    return {
        "trader_id": "REHEARSAL-001",
        "logging": {"log_level": "ERROR"},
        "message_bus": {
            "database": {"host": "127.0.0.1", "port": port},
            "encoding": "json",
            "stream_per_topic": False,
            "buffer_interval_ms": 250,
        },
        "data_clients": client("LiveDataClientConfig"),
        "exec_clients": client("LiveExecClientConfig"),
        "strategies": [
            {
                "strategy_path": "rehearsal_node:RehearsalStrategy",
                "config_path": "rehearsal_node:RehearsalStrategyConfig",
                "config": {"quotes_an_order": QUOTES_AN_ORDER},
            }
        ],
        "timeout_post_stop": 0.05,
    }


def environment() -> dict:
    """Return one with the programs and the contract suite's venue on the path."""
    path = (os.environ.get("PYTHONPATH"), str(HERE), str(HERE.parent / "contract"))
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))}


def run(*command, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        env=environment(),
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def config(*arguments, code: int = 0) -> str:
    return run("-m", "nautilus_enhanced.cli", "config", *arguments, code=code)


def change(path: Path, name: str, *options: str) -> None:
    """Change the file as a user would: look first, then write."""
    before = path.read_bytes()
    config(name, path, *options, code=2)
    assert "+++" in config(name, path, *options, "--dry-run")
    assert path.read_bytes() == before
    config(name, path, *options, "--in-place")
    assert path.read_bytes() != before


def check(path: Path) -> list[str]:
    said = json.loads(config("check", path, "--json"))
    assert said["valid"]
    assert not said["problems"]
    return [state["feature"] for state in said["features"] if state["active"]]


class Ledger:
    """What is in the stream, and what the consumer has got of it."""

    def __init__(self, store) -> None:
        self._store = store
        self._begin = "-"

    def knock(self) -> bool:
        """Write into the stream, and return whether the consumer has got any of it."""
        # The stock reader begins at what comes next, at a moment that it does not tell.
        number = self._store.xlen(STREAM)
        self._store.xadd(STREAM, {"topic": "knock", "payload": b"%d" % number})
        return self._store.llen(NOTES) > 0

    def begin(self) -> None:
        """Count from the first entry that the consumer has got."""
        _, first = self.consumed()[0]
        self._begin = next(
            entry_id
            for entry_id, fields in self._store.xrange(STREAM)
            if fields[b"payload"] == first
        )

    def stream(self) -> list[tuple[str, bytes]]:
        return [
            (fields[b"topic"].decode(), fields[b"payload"])
            for _, fields in self._store.xrange(STREAM, self._begin)
        ]

    def consumed(self) -> list[tuple[str, bytes]]:
        raw = self._store.lrange(NOTES, 0, -1)
        return [msgspec.msgpack.decode(note, type=tuple[str, bytes]) for note in raw]


@pytest.fixture
def ledger(server, store, eventually):
    """Have a stock node read, and end it afterwards; it has to end well."""
    command = [sys.executable, HERE / "rehearsal_consumer.py", str(server.port), STREAM, NOTES]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment()
    ) as consumer:
        try:
            ledger = Ledger(store)
            eventually(lambda: ledger.knock() or consumer.poll() is not None, LIMIT_S)
            assert consumer.poll() is None, consumer.stdout.read()
            ledger.begin()
            yield ledger
            consumer.terminate()
            output, _ = consumer.communicate(timeout=LIMIT_S)
            assert consumer.returncode == 0, output
            assert "Traceback" not in output, output
        finally:
            consumer.kill()


def by_topic(entries) -> dict[str, list[bytes]]:
    topics = defaultdict(list)
    for topic, payload in entries:
        topics[topic].append(payload)
    return topics


def assert_all_arrived(said: list, entries: list) -> None:
    """Hold the entries of one stage against what its node said that it published."""
    published = by_topic((topic, payload.encode()) for topic, payload in said)
    arrived = by_topic(entries)
    assert arrived.keys() >= published.keys()
    for topic, payloads in arrived.items():
        made = 0
        if topic.startswith("events.system."):
            # Components tell of themselves while the node is made, when nobody can listen yet.
            made = len(payloads) - len(published[topic])
            assert len(set(payloads)) == len(payloads), topic
        assert payloads[made:] == published[topic], topic
    assert len(arrived["data.quotes.SIM.S0000"]) == QUOTES
    assert len(arrived["events.fills.S0000.SIM"]) == FILLS


@pytest.mark.timeout(300)
def test_stock_to_publisher_to_all_and_back(server, ledger, store, eventually, tmp_path):
    path, result = tmp_path / "node.json", tmp_path / "result.json"
    original = json.dumps(document(server.port), indent=4)
    path.write_text(original)
    assert check(path) == []
    for number, stage in enumerate(STAGES):
        if stage.command:
            change(path, *stage.command)
        assert check(path) == stage.active
        seen = len(ledger.stream())
        logged = run(HERE / "rehearsal_node.py", path, stage.parser, number * QUOTES, result)
        # The file asks for errors only.
        assert not logged
        outcome = json.loads(result.read_text())
        assert outcome["active"] == sorted(stage.active)
        entries = ledger.stream()
        assert_all_arrived(outcome["published"], entries[seen:])
        # Nothing lost, nothing doubled, and in the stream's order.
        eventually(lambda: len(ledger.consumed()) >= len(ledger.stream()), LIMIT_S)
        assert ledger.consumed() == entries
    assert path.read_text() == original
    # And what the consumer's node handed on to those who subscribed on its bus.
    quotes = [Price(100.0 + n / 100, 2) for n in range(len(STAGES) * QUOTES)]
    eventually(lambda: store.llen(f"{NOTES}:quotes") >= len(quotes), LIMIT_S)
    assert store.lrange(f"{NOTES}:quotes", 0, -1) == [str(q).encode() for q in quotes]
    fills = [json.loads(p) for topic, p in ledger.stream() if topic.startswith("events.fills.")]
    assert len({fill["event_id"] for fill in fills}) == len(STAGES) * FILLS
