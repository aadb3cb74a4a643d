from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.infrastructure.messagebus.streams.commands import PendingEntry
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.recovery import PAGE
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.recovery import Bury
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.recovery import Claim
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.recovery import ListPending
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.recovery import PendingWork
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.recovery import Wait


MAX_DELIVERIES = 4


def entry(number: int, deliveries: int = 1, idle_ms: int = 1_000) -> PendingEntry:
    return PendingEntry((number, 0), "dead", idle_ms, deliveries)


@given(
    st.lists(st.integers(1, MAX_DELIVERIES + 1), max_size=3 * PAGE),
    st.sets(st.integers(0, 3 * PAGE)),
)
def test_everything_is_taken_once_in_order_and_the_often_read_alone(
    deliveries: list[int], mine: set[int]
) -> None:
    pending = [entry(number, count) for number, count in enumerate(deliveries)]
    work = PendingWork(MAX_DELIVERIES)
    in_hand = {b"%d-0" % number for number in mine}
    begun = set(in_hand)
    taken: list[PendingEntry] = []
    while (step := work.next(in_hand)) is not None:
        if isinstance(step, ListPending):
            page = [one for one in pending if one.entry_id >= step.after][:PAGE]
            work.listed(page, in_hand)
        elif isinstance(step, Claim):
            assert len({one.deliveries > 1 for one in step.entries}) == 1
            assert len(step.entries) == 1 or all(one.deliveries == 1 for one in step.entries)
            taken += step.entries
            in_hand |= {one.raw_id for one in step.entries}
        elif isinstance(step, Bury):
            assert step.entry.deliveries >= MAX_DELIVERIES
            taken.append(step.entry)
        else:
            assert isinstance(step, Wait)
            assert taken[-1].raw_id in in_hand
            in_hand.discard(taken[-1].raw_id)
    assert taken == [one for one in pending if one.raw_id not in begun]


def test_what_others_may_still_have_is_left_to_them() -> None:
    work = PendingWork(MAX_DELIVERIES, min_idle_ms=500)
    assert work.next(set()) == ListPending((0, 0))
    work.listed([entry(1, idle_ms=499), entry(2, idle_ms=500)], set())
    assert work.next(set()) == Claim((entry(2, idle_ms=500),))
    assert work.next(set()) is None


def test_what_comes_behind_one_that_was_read_often_waits_for_it() -> None:
    work = PendingWork(MAX_DELIVERIES)
    work.next(set())
    work.listed([entry(1, deliveries=2), entry(2)], set())
    assert work.next(set()) == Claim((entry(1, deliveries=2),))
    assert work.next({b"1-0"}) == Wait()
    assert work.next({b"1-0"}) == Wait()
    assert work.next(set()) == Claim((entry(2),))
