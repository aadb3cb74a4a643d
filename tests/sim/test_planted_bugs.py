"""The simulation finds mistakes: each of those planted, within a bounded number of seeds."""

from __future__ import annotations

import pytest
import seeds as living
from planted_bugs import PLANTED
from planted_bugs import plant
from world import World


MOST_SEEDS = 2_000


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_planted_mistake_is_found(mistake):
    with plant(mistake):
        living.check_found(World, range(MOST_SEEDS))


def test_a_failure_says_how_to_see_it_again():
    mistake = plant("forget_the_batch_that_was_in_flight")
    with mistake, pytest.raises(pytest.fail.Exception) as failed:
        living.check(World, range(100))
    assert "--sim-seed" in str(failed.value)
    assert "connect" in str(failed.value)
