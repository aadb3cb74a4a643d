"""Each benchmark runs, gives rows of the same shape, and finds that its own result is right."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nautilus_enhanced import benchmarks
from nautilus_enhanced.benchmarks import publish_latency_under_flood
from nautilus_enhanced.benchmarks import publish_throughput
from nautilus_enhanced.benchmarks import registry
from nautilus_enhanced.benchmarks.harness.model import Size
from nautilus_enhanced.benchmarks.harness.runner import play
from nautilus_enhanced.benchmarks.harness.watching import CollectorWatch
from nautilus_enhanced.benchmarks.outage_recovery import is_rising
from nautilus_enhanced.benchmarks.outage_recovery import is_whole
from nautilus_enhanced.benchmarks.programme import Programme
from nautilus_enhanced.benchmarks.rigs import publishing


FOLDER = Path(benchmarks.__file__).parent
# The environment `bench` runs all of them, and fails if one finds its result wrong. One in this
# process, one with engines, one with a node in a process of its own and one with a server are
# enough of them here.
SHORT = {
    "pattern_match",
    "engine_throughput",
    "order_round_trip_behind_burst",
    "request_response",
}

FAKE_TOOL = """#!{python}
import sys
import redis

arguments = dict(zip(sys.argv[1:9:2], sys.argv[2:10:2]))
assert arguments["-c"] == "1" and arguments["-P"] == "256" and sys.argv[9] == "-q"
with redis.Redis(port=int(arguments["-p"])) as server:
    for _ in range(int(arguments["-n"])):
        server.execute_command(*sys.argv[10:])
title = " ".join(sys.argv[10:])
print(f"{{title}}: rps=99.0 (overall: 98.0)\\r{{title}}: 123456.78 requests per second, p50=0.1")
"""


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in SHORT else pytest.mark.long) for n in registry.NAMES],
)
def test_a_benchmark_gives_verified_rows(name):
    said = []
    programme = Programme(Size.TINY, said.append)
    programme.run([name])
    assert not programme.failures, said
    assert programme.rows
    assert len({row.key for row in programme.rows}) == len(programme.rows)
    for row in programme.rows:
        assert row.benchmark == name
        assert row.name.split()[0] == name
        assert row.verified, row
        assert row.rounds >= 1
        # What one measurement has over another can be below zero on a busy machine.
        is_difference = "overhead" in row.name or "excess" in row.name
        if not is_difference:
            assert row.enhanced >= 0
            assert row.stock >= 0
        if row.samples:
            assert set(row.samples) == {"enhanced", "stock"}
    for curve in registry.load(name).curves:
        assert any(row.name == curve.row for row in programme.rows), curve.row
        assert any(curve.parameter in row.parameters for row in programme.rows), curve.parameter


@pytest.mark.parametrize("name", registry.NAMES)
def test_a_benchmark_shows_what_it_measures(name):
    benchmark = registry.load(name)
    assert benchmark.name == name
    assert "::" in benchmark.about
    assert "──>" in benchmark.about
    assert benchmark.headline.endswith((".", "?"))


def test_every_benchmark_of_the_folder_is_in_the_list():
    found = {path.stem for path in FOLDER.glob("*.py") if "\nBENCHMARK = " in path.read_text()}
    assert found == set(registry.NAMES)


@pytest.mark.parametrize("bus", ["enhanced", "stock"])
def test_a_soak_handles_all_it_sends(bus, tmp_path):
    target = tmp_path / "rows.json"
    module = "nautilus_enhanced.benchmarks.soak_dispatcher"
    done = subprocess.run(
        [sys.executable, "-m", module, "--tiny", "--json", str(target), "--bus", bus],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = json.loads(target.read_text())
    assert found["verified"]
    assert found["bus"] == bus
    assert found["quotes"] > 1_000


def test_collections_are_counted_for_the_time_that_is_asked_about():
    watch = CollectorWatch()
    watch.pauses = [(1.0, 1.5), (2.0, 2.25), (4.0, 5.0)]
    assert watch.paused_ms(0.0, 0.5) == 0.0
    assert watch.paused_ms(1.25, 2.5) == 500.0
    assert watch.paused_ms(4.5, 4.75) == 250.0
    assert watch.longest_ms == 1_000.0
    assert watch.total_ms == 1_750.0


@pytest.mark.parametrize("tool", ["redis-benchmark", "valkey-benchmark"])
def test_the_benchmark_of_a_server_is_a_second_ceiling_where_it_is_installed(
    tool, tmp_path, monkeypatch
):
    # Publishes what it was asked for, and prints its progress and its result as the real one does.
    script = tmp_path / tool
    script.write_text(FAKE_TOOL.format(python=sys.executable))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    rows = play(publish_throughput.BENCHMARK, Size.TINY, {}).rows
    assert all(row.verified for row in rows)
    (rate,) = {row.ceiling for row in rows if row.parameters["ceiling"] == "redis-benchmark"}
    assert rate == 123456.78
    assert {row.parameters["ceiling"] for row in rows} == {"redis-benchmark", "bare socket"}


def test_a_benchmark_of_a_server_that_names_no_rate_is_an_error():
    with pytest.raises(ValueError, match="no rate in 'nothing'"):
        publish_throughput.rate_of_tool("nothing")


def test_a_stream_is_in_order_only_with_all_entries_once():
    with publishing.Server() as server:
        key = publishing.NAMING.key(publishing.TOPIC)

        def holds(*numbers):
            server.store.delete(key)
            for number in numbers:
                server.store.xadd(key, {"payload": publishing.payload(number)})
            return server.is_in_order(range(3))

        assert holds(0, 1, 2)
        assert server.wait_for(3)
        assert not server.wait_for(2)
        for wrong in ((), (0, 1), (0, 2, 1), (0, 1, 1, 2), (0, 1, 2, 3)):
            assert not holds(*wrong), wrong


def test_what_has_not_arrived_is_late_until_the_end():
    flood = publish_latency_under_flood
    ms = 1_000_000
    # Number and time of what was seen; the first of all was published before.
    seen = [(0, 1 * ms), (1, 12 * ms), (2, 25 * ms)]
    dues = [10 * ms, 20 * ms, 30 * ms]
    late = flood.lateness(seen, dues, 100 * ms)
    assert late.late_ms == [2.0, 5.0, 70.0]
    assert late.missing == 1
    assert late.in_order
    assert not flood.lateness([(0, ms), (2, 12 * ms)], dues, 100 * ms).in_order
    assert not flood.lateness([(0, ms), (-1, 12 * ms)], dues, 100 * ms).in_order


def test_many_streams_are_in_order_only_if_each_is():
    with publishing.Server() as server:
        streams = {
            f"data.quotes.X.S{number}": range(1) for number in range(publishing.MANY_STREAMS)
        }
        for topic in streams:
            server.store.xadd(publishing.NAMING.key(topic), {"payload": publishing.payload(0)})
        assert server.are_in_order(streams)
        assert not server.are_in_order(streams | {topic: range(2)})
        assert not server.are_in_order(streams | {topic: range(0)})
        assert not server.are_in_order({**streams, "data.quotes.X.absent": range(1)})


def test_what_arrived_after_an_outage_is_whole_only_with_all_of_it_once():
    assert is_rising([1, 3, 4])
    assert not is_rising([1, 3, 3])
    assert is_whole([2, 3], 3)
    for wrong in ([], [2], [2, 4], [2, 3, 3], [2, 3, 4]):
        assert not is_whole(wrong, 3)
