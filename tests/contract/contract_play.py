"""Play scenarios in processes of their own, and keep what they said for several tests."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from tempfile import TemporaryDirectory

import nautilus_trader
from conftest import chosen_buses
from node_programs import run_program


HERE = Path(__file__).parent
# A slow machine that is busy with something else as well still gets there. Longer than what the
# programs themselves wait for, since they say what it was that did not come.
LIMIT_S = 120.0


def run_process(
    program: str, name: str, bus: str, arguments: dict, env: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """Run a scenario; return the exit code, all output, and the result, if there is one."""
    with TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        done = run_program(
            HERE / program,
            name,
            bus,
            json.dumps(arguments),
            timeout_s=LIMIT_S,
            env={"CONTRACT_RESULT": str(result)} | (env or {}),
        )
        return done.code, done.output, result.read_text() if result.exists() else ""


@cache
def _sources() -> str:
    """Return what tells these programs, and what they run on, from others."""
    digest = hashlib.sha256(f"{sys.version} {nautilus_trader.__version__}".encode())
    for program in sorted(HERE.glob("*.py")):
        digest.update(program.read_bytes())
    return digest.hexdigest()


def play(program: str, name: str, bus: str, arguments: str) -> tuple[int, str, str]:
    """
    Run a scenario, or return what came of it before.

    Nothing of ours is in a play on the stock bus. So where ``NT_ENHANCED_TEST_PLAYS`` names a
    folder, one that went well is kept there, and the environments of an interpreter, of which the
    first has them all, do not play them a second time.
    """
    folder = os.environ.get("NT_ENHANCED_TEST_PLAYS")
    if bus != "stock" or not folder:
        return run_process(program, name, bus, json.loads(arguments))
    key = hashlib.sha256("\0".join((program, name, arguments, _sources())).encode()).hexdigest()
    kept = Path(folder) / f"{key}.json"
    if kept.exists():
        code, output, result = json.loads(kept.read_text())
        return code, output, result
    done = run_process(program, name, bus, json.loads(arguments))
    if done[0] == 0 and done[2]:
        kept.parent.mkdir(parents=True, exist_ok=True)
        # In one step: another process may be about to read it.
        with NamedTemporaryFile("w", dir=kept.parent, delete=False) as new:
            new.write(json.dumps(done))
        Path(new.name).replace(kept)
    return done


@cache
def _run_on_chosen(program: str, name: str, arguments: str) -> dict:
    buses = chosen_buses()
    with ThreadPoolExecutor(len(buses)) as pool:
        runs = {bus: pool.submit(play, program, name, bus, arguments) for bus in buses}
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
