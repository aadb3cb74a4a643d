"""The example for OKX as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from nautilus_trader.core import nautilus_pyo3


EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "live" / "okx_sandbox.py"
CAN_BE_POINTED = hasattr(nautilus_pyo3, "derive_okx_ws_url")


def run(*arguments):
    return subprocess.run(
        [sys.executable, str(EXAMPLE), *arguments],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith("OKX")},
    )


@pytest.mark.skipif(not CAN_BE_POINTED, reason="1.221's clients connect to the real venue")
@pytest.mark.parametrize("product", ["swap", "spot"])
def test_the_node_trades_on_the_loopback_venue(product):
    done = run("--seconds", "5", "--product", product)
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    assert "features: dispatch: on; publisher: on" in done.stdout
    fills = int(done.stdout.rpartition("done: ")[2].split()[0])
    assert fills >= 2
    assert "messages delivered" in done.stdout
    assert "[ERROR]" not in done.stdout


@pytest.mark.skipif(CAN_BE_POINTED, reason="about a version whose clients cannot be pointed")
def test_a_version_whose_clients_cannot_be_pointed_gets_a_sentence():
    done = run("--seconds", "1")
    assert done.returncode == 1
    assert "needs version 1.231" in done.stderr
    assert "Traceback" not in done.stderr


def test_demo_trading_needs_keys():
    done = run("--demo")
    assert done.returncode == 1
    assert "OKX_API_KEY, OKX_API_SECRET, OKX_API_PASSPHRASE" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_fault_that_is_none_gets_a_sentence():
    done = run("--fault", "explode:on=market")
    assert done.returncode == 1
    assert "allowed: delay, drop" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_example_has_help():
    done = run("--help")
    assert done.returncode == 0
    assert "python examples/" in done.stdout
