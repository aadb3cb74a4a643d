from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.infrastructure.messagebus.journal.numbers import NumberSet


RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)), max_size=30)


@given(RANGES)
def test_it_holds_what_was_added_and_nothing_else(added):
    numbers, expected = NumberSet(), set()
    for first, length in added:
        numbers.add(first, first + length)
        expected |= set(range(first, first + length))
        assert {number for number in range(80) if number in numbers} == expected
        ends = [numbers.below, *(edge for pair in numbers.ranges for edge in pair)]
        # Disjoint, in order, and with a gap between any two.
        assert ends == sorted(set(ends))
        assert NumberSet(numbers.below, numbers.ranges).ranges == numbers.ranges


@given(RANGES, st.integers(0, 60), st.integers(0, 12))
def test_it_knows_whether_it_has_a_whole_range(added, first, length):
    numbers = NumberSet()
    for begin, count in added:
        numbers.add(begin, begin + count)
    has_all = all(number in numbers for number in range(first, first + length))
    assert numbers.has_all(first, first + length) is has_all
