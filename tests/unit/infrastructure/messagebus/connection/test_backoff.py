"""The pauses between attempts."""

import random

from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.infrastructure.messagebus.connection.backoff import Backoff


@given(low=st.floats(0.001, 60.0), factor=st.floats(1.0, 1e6), failures=st.integers(1, 2_000))
def test_no_pause_is_below_zero_or_above_the_cap(low, factor, failures):
    backoff = Backoff(low, low * factor, random.Random(0))
    for _ in range(failures):
        assert 0.0 <= backoff.failed() <= low * factor


def test_the_bound_doubles_with_each_failure_up_to_the_cap():
    class Highest(random.Random):
        def uniform(self, a, b):
            return b

    backoff = Backoff(0.05, 1.0, Highest())
    assert [backoff.failed() for _ in range(7)] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    backoff.succeeded()
    assert backoff.failed() == 0.05


def test_pauses_spread_over_the_whole_range():
    backoff = Backoff(1.0, 1.0, random.Random(0))
    pauses = [backoff.failed() for _ in range(1_000)]
    assert min(pauses) < 0.05
    assert max(pauses) > 0.95
