"""The client lives through whatever may happen to it: the first half of the seeds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import seeds as living
from world import World


SEEDS = range(5_000)
LONG_SEEDS = range(10_000, 55_000)


def test_seeds(seeds):
    living.check(World, seeds)


@pytest.mark.long
def test_many_more_seeds(long_seeds):
    living.check(World, long_seeds)


def traces(first, last):
    """Return what happens, line by line, with seeds that have much of it."""
    lines = []
    for seed in range(first, last):
        trace = []
        World(seed, trace).run()
        lines += trace
    return lines


def test_a_seed_decides_everything():
    assert traces(0, 20) == traces(0, 20)


def test_a_seed_decides_everything_in_another_process_too():
    code = "import test_client_seeds as t; print('\\n'.join(t.traces(0, 20)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        # Sets and dictionaries of text are in another order there.
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "7"},
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == traces(0, 20)
