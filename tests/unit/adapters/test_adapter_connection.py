"""What a client lets on of its connections is counted once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.adapters.connection import RECENT_NS
from nautilus_enhanced.adapters.connection import ConnectionTracker


S = 1_000_000_000


class Clock:
    def __init__(self):
        self.now = 7 * S

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tracker(clock):
    return ConnectionTracker(clock)


def test_what_is_said_twice_counts_once(tracker):
    for connected in (True, True, False, False, True):
        tracker.note_connected(connected=connected)
    told = tracker.statistics()
    assert (told.connected, told.connects, told.disconnects) == (True, 2, 1)
    assert told.reconnects == 0


def test_what_is_lost_and_comes_back_is_a_reconnect(tracker, clock):
    tracker.note_connected(connected=True)
    tracker.note_regained("a")
    tracker.note_lost("a")
    clock.now += 2 * S
    tracker.note_lost("a")
    tracker.note_lost("b")
    clock.now += 3 * S
    assert tracker.statistics().down == ("a", "b")
    assert tracker.statistics().down_s == 5.0
    tracker.note_regained("a")
    told = tracker.statistics()
    assert (told.down, told.down_s, told.reconnects) == (("b",), 3.0, 1)


def test_what_ends_on_purpose_is_not_lost(tracker):
    tracker.note_lost("before")
    tracker.note_connected(connected=True)
    tracker.note_lost("a")
    tracker.note_connected(connected=False)
    tracker.note_lost("after")
    tracker.note_regained("a")
    told = tracker.statistics()
    assert (told.down, told.down_s, told.reconnects) == ((), 0.0, 0)


def test_reconnects_of_the_last_ten_minutes_are_told_apart(tracker, clock):
    for _ in range(3):
        tracker.note_reconnect()
    clock.now += RECENT_NS
    tracker.note_reconnect()
    told = tracker.statistics()
    assert (told.reconnects, told.reconnects_10min) == (4, 1)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("connected"), st.booleans()),
            st.tuples(st.sampled_from(("lost", "regained")), st.sampled_from("abc")),
            st.tuples(st.just("reconnect"), st.none()),
        )
    )
)
def test_the_counters_add_up(steps):
    tracker = ConnectionTracker(Clock())
    expected, down, connected = 0, set(), False
    for kind, value in steps:
        if kind == "connected":
            tracker.note_connected(connected=value)
            down = set() if connected and not value else down
            connected = value
        elif kind == "lost":
            tracker.note_lost(value)
            down |= {value} if connected else set()
        elif kind == "regained":
            tracker.note_regained(value)
            expected += value in down
            down -= {value}
        else:
            tracker.note_reconnect()
            expected += 1
    told = tracker.statistics()
    assert told.reconnects == expected
    assert set(told.down) == down
    assert told.connects - told.disconnects == int(connected) == int(told.connected)
