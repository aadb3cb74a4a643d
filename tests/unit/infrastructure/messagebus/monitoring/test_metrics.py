"""Metrics: what the waiting messages are said to take is what they take."""

import sys
from statistics import mean

import pytest

from nautilus_enhanced.infrastructure.messagebus.monitoring.metrics import ENTRY_BYTES


# CPython's allocator gives multiples of this many bytes; a queue's place is a pointer.
STEP, PLACE = 16, 8


def test_a_message_takes_what_the_allocator_gives_for_it():
    sizes = range(10 * STEP, 20 * STEP)
    heads = [-(-sys.getsizeof(bytes(size)) // STEP) * STEP - size for size in sizes]
    taken = mean(heads) + sys.getsizeof(("topic", b"", None)) + PLACE
    assert pytest.approx(taken, abs=1.0) == ENTRY_BYTES
