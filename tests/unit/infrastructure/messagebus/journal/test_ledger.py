"""The ledger against a plain model: which rows are needed, and what is settled."""

from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.infrastructure.messagebus import MessagePriority
from nautilus_enhanced.infrastructure.messagebus.journal.ledger import ROW_BYTES
from nautilus_enhanced.infrastructure.messagebus.journal.ledger import JournalLedger
from nautilus_enhanced.infrastructure.messagebus.journal.ledger import StoredRun
from nautilus_enhanced.infrastructure.messagebus.journal.planning import must_store


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("store"), st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)))),
        st.tuples(st.just("settle"), st.integers(0, 3), st.integers(0, 5), st.integers(1, 5)),
        st.tuples(st.just("state")),
    ),
    max_size=40,
)


@given(STEPS)
def test_a_row_is_needed_until_all_of_it_is_settled_or_a_newer_state_holds(steps):
    ledger = JournalLedger()
    rows, state_at, useless = {}, None, set()
    settled = [set() for _ in MessagePriority]
    position = 0
    for kind, *what in steps:
        if kind == "store":
            rows[position] = []
            for lane, count in dict(what[0]).items():
                first = ledger.lanes[lane].next_number
                numbers = range(first, first + count)
                rows[position].append((lane, numbers))
                ledger.note_run(lane, StoredRun(first, first + count, position, 10, 0))
            position += 1
        elif kind == "settle":
            lane, back, count = what
            begin = max(0, ledger.lanes[lane].next_number - back)
            numbers = range(begin, min(ledger.lanes[lane].next_number, begin + count))
            settled[lane] |= set(numbers)
            ledger.settle(lane, numbers)
        else:
            ledger.note_state(position)
            rows.setdefault(position, [])
            state_at = position
            position += 1
        needed = {
            at
            for at, runs in rows.items()
            if at == state_at
            or any(number not in settled[lane] for lane, numbers in runs for number in numbers)
        }
        found = ledger.take_useless()
        assert len(set(found)) == len(found)
        useless |= set(found)
        assert not useless & needed
        with_runs = {at for at, runs in rows.items() if runs} - needed
        assert with_runs <= useless
        for lane, of in enumerate(ledger.lanes):
            stored = {n for runs in rows.values() for on, r in runs if on == lane for n in r}
            assert of.unsettled == len(stored - settled[lane])
        open_runs = [
            numbers
            for runs in rows.values()
            for lane, numbers in runs
            if not set(numbers) <= settled[lane]
        ]
        assert ledger.size == len(open_runs) * (10 + ROW_BYTES)
        assert ledger.is_empty is (not open_runs)


@given(STEPS)
def test_what_is_settled_is_taken_over_by_the_next_process(steps):
    before, after = JournalLedger(), JournalLedger()
    for kind, *what in steps:
        if kind == "settle":
            lane, begin, count = what
            before.settle(lane, range(begin, begin + count))
    after.restore_settled(before.settled_state())
    assert after.settled_state() == before.settled_state()
    for lane, of in enumerate(after.lanes):
        assert all(number < of.next_number for _, end in of.settled.ranges for number in (end - 1,))
        assert of.next_number >= before.lanes[lane].settled.below


def test_low_is_given_up_before_normal_and_order_flow_never():
    ledger = JournalLedger()
    runs = [StoredRun(0, 1, lane, 10, 0) for lane in MessagePriority]
    assert ledger.shed_next(tuple(runs)) == (MessagePriority.LOW, runs[3])
    assert ledger.shed_next((*runs[:3], None)) == (MessagePriority.NORMAL, runs[2])
    assert ledger.shed_next((*runs[:2], None, None)) is None


@given(
    st.sampled_from(("memory", "spill", "always")),
    st.integers(0, 100),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_what_is_moved_to_disk(durability, waiting, is_connected, is_busy, is_ending):
    stores = must_store(
        durability,
        waiting,
        waiting / 100,
        is_connected=is_connected,
        is_busy=is_busy,
        is_ending=is_ending,
    )
    if durability == "memory" or not waiting:
        assert not stores
    elif is_ending or not is_connected:
        assert stores
    elif durability == "always":
        assert stores is is_busy
    else:
        assert stores is (waiting >= 50)
