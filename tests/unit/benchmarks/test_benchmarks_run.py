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
    path.stem for path in FOLDER.glob("*.py") if path.stem.startswith(("engine_", "order_"))
)


def run(name, tmp_path, *args):
    target = tmp_path / "rows.json"
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py"), "--tiny", "--json", str(target), *args],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        # tox keeps a script's folder off its path.
        env=os.environ | {"PYTHONPATH": str(FOLDER)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(target.read_text())


def load_from(folder, name, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    return __import__(name)


@pytest.mark.parametrize("name", COMPARISONS)
def test_a_benchmark_gives_verified_rows(name, tmp_path, monkeypatch):
    harness = load_from(FOLDER, "harness", monkeypatch)
    rows = run(name, tmp_path)
    assert rows
    for row in rows:
        assert set(row) == {field.name for field in fields(harness.Row)}
        assert row["verified"], row
        assert row["rounds"] >= 1
        assert row["enhanced"] >= 0
        assert row["stock"] >= 0
        assert row["better"] in ("lower", "higher")
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


def test_a_child_that_fails_says_why(monkeypatch):
    harness = load_from(FOLDER, "harness", monkeypatch)
    with pytest.raises(RuntimeError, match="unrecognized arguments: --nonsense"):
        harness.run_child("soak_dispatcher.py", "--nonsense")
