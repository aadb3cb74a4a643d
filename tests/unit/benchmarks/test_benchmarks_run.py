"""Each benchmark runs, gives rows of the same shape, and finds that its own result is right."""

import json
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest


FOLDER = Path(__file__).resolve().parents[3] / "benchmarks"
COMPARISONS = sorted(
    path.stem
    for path in FOLDER.glob("*.py")
    if path.stem.startswith(
        (
            "adapter_",
            "consume_",
            "engine_",
            "journal_",
            "order_",
            "outage_",
            "pattern_",
            "publish_",
            "request_",
            "serialize_",
            "trading_",
            "venues_",
        )
    )
)
# Even when they measure as little as they can.
LONG = {
    "consume_throughput",
    "outage_recovery",
    "publish_call_cost",
    "publish_latency_under_flood",
    "publish_to_handled",
    "venues_order_event",
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


def run(name, tmp_path, *args):
    target = tmp_path / "rows.json"
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py"), "--tiny", "--json", str(target), *args],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        # tox keeps a script's folder off its path.
        env=os.environ | {"PYTHONPATH": str(FOLDER)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(target.read_text())


def load_from(folder, name, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    return __import__(name)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.long if name in LONG else ()) for name in COMPARISONS],
)
def test_a_benchmark_gives_verified_rows(name, tmp_path, monkeypatch):
    harness = load_from(FOLDER, "harness", monkeypatch)
    rows = run(name, tmp_path)
    assert rows
    for row in rows:
        assert set(row) == {field.name for field in fields(harness.Row)}
        assert row["verified"], row
        assert row["rounds"] >= 1
        assert row["better"] in ("lower", "higher")
        # What one measurement has over another can be below zero on a busy machine.
        is_difference = "overhead" in row["name"] or "excess" in row["name"]
        if not is_difference:
            assert row["enhanced"] >= 0
            assert row["stock"] >= 0
            if row["enhanced"] and row["stock"]:
                assert row["ratio_to_stock"] > 0
        if row["samples"]:
            assert set(row["samples"]) == {"enhanced", "stock"}


def test_every_combination_has_a_row_of_its_own(tmp_path):
    rows = run("order_event_against_slice", tmp_path)
    keys = {(row["name"], row["topology"]) for row in rows}
    assert len(keys) == len(rows)


@pytest.mark.parametrize("bus", ["enhanced", "stock"])
def test_a_soak_handles_all_it_sends(bus, tmp_path):
    (found,) = run("soak_dispatcher", tmp_path, "--bus", bus)
    assert found["verified"]
    assert found["bus"] == bus
    assert found["quotes"] > 1_000


def test_a_ratio_above_one_is_in_our_favour(monkeypatch):
    harness = load_from(FOLDER, "harness", monkeypatch)
    lower = harness.make_row("a", "b", "ms", "lower", [1.0, 3.0], [4.0, 4.0], 1.0, verified=True)
    assert (lower.enhanced, lower.stock, lower.ratio_to_stock) == (2.0, 4.0, 2.0)
    assert lower.ratio_to_ceiling == 0.5
    higher = harness.make_row("a", "b", "1/s", "higher", [4.0], [2.0], verified=True)
    assert higher.ratio_to_stock == 2.0
    nothing = harness.make_row("a", "b", "ms", "lower", [0.0], [2.0], verified=True)
    assert nothing.ratio_to_stock is None


def test_samples_of_a_ceiling_give_the_ceiling_of_each_percentile(monkeypatch):
    harness = load_from(FOLDER, "harness", monkeypatch)
    rounds = {"enhanced": [[2.0]], "stock": [[4.0, 6.0]], "ceiling": [[1.0], [1.0, 1.0]]}
    (row,) = harness.latency_rows("a", "b", rounds, {"max": 1.0}, verified=True, unit="µs")
    assert (row.enhanced, row.stock, row.ceiling, row.unit) == (2.0, 6.0, 1.0, "µs")
    assert (row.ratio_to_stock, row.ratio_to_ceiling) == (3.0, 0.5)
    assert row.samples == {"enhanced": 1, "stock": 2}


def test_percentiles_are_of_all_rounds_together(monkeypatch):
    harness = load_from(FOLDER, "harness", monkeypatch)
    rounds = {"enhanced": [[1.0] * 99, [1.0] * 99 + [9.0, 9.0]], "stock": [[5.0], [6.0]]}
    (row,) = harness.latency_rows("a", "b", rounds, {"p99": 0.99}, verified=True)
    assert (row.enhanced, row.stock) == (1.0, 6.0)
    assert row.samples == {"enhanced": 200, "stock": 2}


def test_collections_are_counted_for_the_time_that_is_asked_about(monkeypatch):
    harness = load_from(FOLDER, "harness", monkeypatch)
    watch = harness.CollectorWatch()
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
    rows = run("publish_throughput", tmp_path)
    assert all(row["verified"] for row in rows)
    (rate,) = {row["ceiling"] for row in rows if row["parameters"]["ceiling"] == "redis-benchmark"}
    assert rate == 123456.78
    assert {row["parameters"]["ceiling"] for row in rows} == {"redis-benchmark", "bare socket"}


def test_a_benchmark_of_a_server_that_names_no_rate_is_an_error(monkeypatch):
    throughput = load_from(FOLDER, "publish_throughput", monkeypatch)
    with pytest.raises(ValueError, match="no rate in 'nothing'"):
        throughput.rate_of_tool("nothing")


def test_a_stream_is_in_order_only_with_all_entries_once(monkeypatch):
    publishing = load_from(FOLDER, "publishing", monkeypatch)
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


def test_what_has_not_arrived_is_late_until_the_end(monkeypatch):
    flood = load_from(FOLDER, "publish_latency_under_flood", monkeypatch)
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


def test_the_excess_over_the_control_is_of_all_rounds_and_not_below_zero(monkeypatch):
    interference = load_from(FOLDER, "trading_thread_interference", monkeypatch)
    low, high = ([interference.Sample([delay], verified=True)] for delay in (40.0, 100.0))
    assert interference.excess(low + high, low, 1.0) == 60.0
    assert interference.excess(low, high, 1.0) == 0.0


def test_rows_of_an_outage_are_verified_by_what_arrived(monkeypatch):
    outage = load_from(FOLDER, "outage_recovery", monkeypatch)

    def side(delay_us, *, is_whole=True):
        calls = {"longest_us": 5.0, "longest_calm_us": 2.0}
        delays = calls | {"delays_us": [delay_us], "undisturbed_us": [1.0]}
        frozen = delays | {"growth_mb": -1.0, "verified": True}
        catch_up = {"rate": 9.0, "seconds": 1.0, "verified": True}
        recovery = {"waited_s": 1.0, "arrived": 100.0, "verified": is_whole}
        return {"frozen": frozen, "catch_up": catch_up, "recovery": recovery}

    rounds = {
        "enhanced": [side(80.0), side(80.0, is_whole=False)],
        "stock 10": [side(40.0)],
        "control": [{"frozen": side(50.0)["frozen"]}],
    }
    rows = {row.name.partition(" ")[2]: row for row in outage.rows_of(rounds, 1.0, 2.0)}
    assert (rows["p99 excess"].enhanced, rows["p99 excess"].stock) == (30.0, 0.0)
    assert rows["growth"].enhanced == 0.0
    assert {name for name, row in rows.items() if not row.verified} == {"first entry", "arrived"}
    assert outage.is_rising([1, 3, 4])
    assert not outage.is_rising([1, 3, 3])
    assert outage.is_whole([2, 3], 3)
    for wrong in ([], [2], [2, 4], [2, 3, 3], [2, 3, 4]):
        assert not outage.is_whole(wrong, 3)


def test_a_child_that_fails_says_why(monkeypatch):
    harness = load_from(FOLDER, "harness", monkeypatch)
    with pytest.raises(RuntimeError, match="unrecognized arguments: --nonsense"):
        harness.run_child("soak_dispatcher.py", "--nonsense")
