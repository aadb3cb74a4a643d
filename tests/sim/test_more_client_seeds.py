"""The client lives through whatever may happen to it: the second half of the seeds."""

from __future__ import annotations

import pytest
import seeds as living
from world import World


SEEDS = range(5_000, 10_000)
LONG_SEEDS = range(55_000, 100_000)


def test_seeds(seeds):
    living.check(World, seeds)


@pytest.mark.long
def test_many_more_seeds(long_seeds):
    living.check(World, long_seeds)
