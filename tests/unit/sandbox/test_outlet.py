from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.sandbox.outlet import Outlet


steps = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50), st.integers(0, 30)), max_size=60)


@given(steps, st.integers(1, 10))
def test_all_leave_in_order_none_before_its_time_unless_too_many_wait(steps, limit):
    outlet = Outlet(limit)
    now = number = 0
    due = {}
    taken = []
    for count, delay, passed in steps:
        items = range(number, number + count)
        number += count
        outlet.add(items, now + delay)
        due |= dict.fromkeys(items, now + delay)
        before = outlet.sent_early
        left = outlet.take(now)
        early = sum(due[item] > now for item in left)
        assert early <= outlet.sent_early - before
        taken += left
        assert len(outlet) <= limit
        next_due = outlet.next_due_ns()
        assert next_due is None or next_due > now
        now += passed
    taken += outlet.take(now + 1_000)
    assert taken == list(range(number))
    assert len(outlet) == 0
