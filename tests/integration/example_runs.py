"""Run an example as a user does, and look at what it said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LIMIT_S = 90.0


def run_example(
    name: str, *arguments: str, without: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run it; `without` is what stands in the names of variables that are left out."""
    kept = {k: v for k, v in os.environ.items() if not without or without not in k}
    return subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        env=kept | environment,
    )


def assert_traded(done: subprocess.CompletedProcess[str]) -> None:
    """Assert that a node traded on the enhanced bus, and nothing went wrong."""
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    assert "features: dispatch: on; publisher: on" in done.stdout
    fills = int(done.stdout.rpartition("done: ")[2].split()[0])
    assert fills >= 2
    assert "messages delivered" in done.stdout
    assert "[ERROR]" not in done.stdout


def assert_refused(done: subprocess.CompletedProcess[str], said: str, *codes: int) -> None:
    """Assert that it ended with one of the codes, 1 by default, and a sentence."""
    assert done.returncode in (codes or (1,)), done.stdout[-3_000:] + done.stderr[-3_000:]
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def assert_has_help(done: subprocess.CompletedProcess[str]) -> None:
    """Assert that it says how it is run."""
    assert done.returncode == 0
    assert "python examples/" in done.stdout
