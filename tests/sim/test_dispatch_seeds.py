"""The dispatcher lives through whatever is posted to it, by whomever and whenever."""

from __future__ import annotations

import pytest
import seeds as living
from dispatch_world import DispatchWorld
from planted_dispatch_bugs import PLANTED


SEEDS = range(10_000)
LONG_SEEDS = range(10_000, 100_000)
# So many find each of the planted mistakes.
MOST_SEEDS = 1_000


def test_seeds(seeds):
    living.check(DispatchWorld, seeds)


@pytest.mark.long
def test_many_more_seeds(long_seeds):
    living.check(DispatchWorld, long_seeds)


def test_a_seed_decides_everything():
    traces = [[], []]
    for trace in traces:
        for seed in range(20):
            DispatchWorld(seed, trace).run()
    assert traces[0] == traces[1]


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_planted_mistake_is_found(mistake):
    with PLANTED[mistake]():
        living.check_found(DispatchWorld, range(MOST_SEEDS))
