"""The example of a node at Interactive Brokers, as a user runs it."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest


NODE = Path(__file__).resolve().parents[2] / "examples" / "live" / "ib_sandbox.py"
HAS_PROTOBUF = find_spec("ibapi") is not None and find_spec("ibapi.protobuf") is not None


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, str(NODE), *arguments],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env={k: v for k, v in os.environ.items() if not k.startswith("IB_")} | environment,
    )


@pytest.mark.skipif(not HAS_PROTOBUF, reason="an ibapi that knows no protobuf")
@pytest.mark.parametrize("product", ["stock", "forex"])
def test_the_node_trades_on_the_loopback_venue(product):
    done = run("--seconds", "6", "--product", product)
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    assert "features: dispatch: on; publisher: on" in done.stdout
    fills = int(done.stdout.rpartition("done: ")[2].split()[0])
    assert fills >= 2
    assert "IB execution: " in done.stdout
    assert "messages delivered" in done.stdout
    assert "[ERROR]" not in done.stdout


@pytest.mark.skipif(HAS_PROTOBUF, reason="the clients speak what the venue speaks")
def test_another_version_gets_a_sentence():
    done = run()
    assert done.returncode == 1
    assert "NautilusTrader 1.231" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "--paper needs IB_ACCOUNT"),
        ({"IB_ACCOUNT": "DU1", "IB_PORT": "http"}, "IB_PORT was 'http'"),
        ({"IB_ACCOUNT": "DU1", "IB_CLIENT_ID": "-1"}, "IB_CLIENT_ID was '-1'"),
    ],
)
def test_a_paper_account_has_to_be_named(environment, said):
    done = run("--paper", **environment)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--paper", "--fault", "drop:on=market"), "nothing goes wrong on request elsewhere"),
        (("--product", "futures"), "invalid choice"),
    ],
)
def test_what_cannot_be_gets_a_sentence(arguments, said):
    done = run(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not HAS_PROTOBUF, reason="an ibapi that knows no protobuf")
def test_a_fault_that_is_none_gets_a_sentence():
    done = run("--fault", "explode:on=market")
    assert done.returncode == 1
    assert "allowed: delay, drop" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_example_has_help():
    done = run("--help")
    assert done.returncode == 0
    assert "python examples/" in done.stdout
