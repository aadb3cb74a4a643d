"""Which seeds the tests of this folder live through."""

from __future__ import annotations

import pytest


# Short enough for a time limit, long enough for a line of its own.
SHARD = 1_000


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--sim-seed", type=int, help="live through this seed only, and say how")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Share the seeds of a module (`SEEDS`, or `LONG_SEEDS` for `long_seeds`) among tests."""
    for name in {"seeds", "long_seeds"}.intersection(metafunc.fixturenames):
        # The option is unknown where this folder is only one of those that are collected.
        chosen = metafunc.config.getoption("--sim-seed", None)
        if chosen is not None:
            shards = [range(chosen, chosen + 1)]
        else:
            seeds = getattr(metafunc.module, name.upper())
            shards = [
                range(first, min(first + SHARD, seeds.stop))
                for first in range(seeds.start, seeds.stop, SHARD)
            ]
        metafunc.parametrize(name, shards, ids=[f"{one.start}-{one.stop - 1}" for one in shards])
