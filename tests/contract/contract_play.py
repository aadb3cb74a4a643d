"""Play scenarios in processes of their own, and keep what they said for several tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from conftest import chosen_buses


HERE = Path(__file__).parent
# A slow machine that is busy with something else as well still gets there. Longer than what the
# programs themselves wait for, since they say what it was that did not come.
LIMIT_S = 120.0


def python_path() -> str:
    """Return where to look first: the tree under test, if there is one, and beside the programs."""
    # An interpreter that was told to be safe does not look beside its script.
    return os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(HERE))))


def run_process(
    program: str, name: str, bus: str, arguments: dict, env: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """Run a scenario; return the exit code, all output, and the result, if there is one."""
    with TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        done = subprocess.run(
            [sys.executable, str(HERE / program), name, bus, json.dumps(arguments)],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
            env=os.environ
            | {"CONTRACT_RESULT": str(result), "PYTHONPATH": python_path()}
            | (env or {}),
        )
        return done.returncode, done.stdout, result.read_text() if result.exists() else ""


@cache
def _run_on_chosen(program: str, name: str, arguments: str) -> dict:
    buses = chosen_buses()
    with ThreadPoolExecutor(len(buses)) as pool:
        runs = {
            bus: pool.submit(run_process, program, name, bus, json.loads(arguments))
            for bus in buses
        }
        return {bus: run.result() for bus, run in runs.items()}


def process_of(program: str, name: str, bus: str, **arguments) -> tuple[int, str, str]:
    """Return how a scenario's process ended; the chosen buses run once, at the same time."""
    return _run_on_chosen(program, name, json.dumps(arguments, sort_keys=True))[bus]


def outcome_of(program: str, name: str, bus: str, *, tidy: bool = True, **arguments) -> dict:
    """Return what a scenario said; unless not `tidy`, nothing may be logged as an exception."""
    code, output, result = process_of(program, name, bus, **arguments)
    assert code == 0, output[-4000:]
    assert result, output[-4000:]
    assert "Task was destroyed" not in output
    assert not tidy or "Traceback" not in output, output
    return json.loads(result)
