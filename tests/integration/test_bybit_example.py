"""The example of a node on Bybit, as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path

import nautilus_trader
import pytest


NODE = Path(__file__).resolve().parents[2] / "examples" / "live" / "bybit_sandbox.py"
IS_1221 = nautilus_trader.__version__.startswith("1.221.")


def run(*arguments):
    return subprocess.run(
        [sys.executable, str(NODE), *arguments],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env={k: v for k, v in os.environ.items() if "BYBIT" not in k},
    )


@pytest.mark.skipif(IS_1221, reason="Bybit's clients of 1.221 are others")
@pytest.mark.parametrize("product", ["linear", "spot"])
def test_the_node_trades_on_the_loopback_venue(product):
    done = run("--seconds", "6", "--product", product)
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    assert "features: dispatch: on; publisher: on" in done.stdout
    fills = int(done.stdout.rpartition("done: ")[2].split()[0])
    assert fills >= 2
    assert "BYBIT execution: " in done.stdout
    assert "messages delivered" in done.stdout
    assert "[ERROR]" not in done.stdout


@pytest.mark.skipif(not IS_1221, reason="Bybit's clients are those that the venue speaks with")
def test_another_version_gets_a_sentence():
    done = run()
    assert done.returncode == 1
    assert "use version 1.231.0" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("where", ["demo", "testnet"])
def test_the_real_venue_needs_keys(where):
    done = run(f"--{where}")
    assert done.returncode == 1
    name = f"BYBIT_{where.upper()}_API"
    assert f"{name}_KEY and {name}_SECRET" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--fault", "explode:on=market"), "allowed: delay, drop"),
        (("--demo", "--fault", "drop:on=market"), "nothing goes wrong on request elsewhere"),
        (("--demo", "--testnet"), "not allowed with"),
    ],
)
def test_what_cannot_be_gets_a_sentence(arguments, said):
    done = run(*arguments)
    assert done.returncode in {1, 2}
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_example_has_help():
    done = run("--help")
    assert done.returncode == 0
    assert "python examples/" in done.stdout
