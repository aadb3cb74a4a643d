"""Counting is exact from any thread; what is told of the samples is what they say."""

from __future__ import annotations

import threading
from itertools import count
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick

from nautilus_enhanced.adapters.meter import MAX_SAMPLES
from nautilus_enhanced.adapters.meter import MessageMeter
from nautilus_enhanced.adapters.meter import Sample
from nautilus_enhanced.adapters.meter import count_of
from nautilus_enhanced.adapters.meter import describe
from nautilus_enhanced.adapters.meter import event_time_of
from nautilus_enhanced.adapters.meter import is_mostly_ahead
from nautilus_enhanced.adapters.meter import spread_of


S = 1_000_000_000
times = st.integers(1, 2**63)
samples = st.lists(st.builds(Sample, times, times, times), max_size=50)


@given(st.integers(0, 300))
def test_looking_at_a_counter_does_not_step_it(steps):
    counter = count()
    for _ in range(steps):
        next(counter)
    assert count_of(counter) == count_of(counter) == steps
    assert next(counter) == steps


def test_no_step_of_several_threads_is_lost():
    meter = MessageMeter()

    def step():
        for _ in range(20_000):
            next(meter.counts[QuoteTick])

    threads = [threading.Thread(target=step) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert meter.total == 80_000


def test_amounts_are_added():
    meter = MessageMeter()
    meter.add(QuoteTick, 3)
    meter.add(TradeTick, 0)
    meter.add(QuoteTick, 2)
    assert count_of(meter.counts[QuoteTick]) == 5
    assert meter.total == 5


@given(samples)
def test_the_coarsest_time_that_fits_is_told(some):
    told = event_time_of(some)
    events = [s.ts_event for s in some if s.ts_event != s.ts_init]
    assert (told == "unknown") == (not some)
    if some:
        assert (told == "none") == (not events)
    if told in ("seconds", "milliseconds"):
        unit = {"seconds": S, "milliseconds": S // 1_000}[told]
        assert not any(at % unit for at in events)


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ([5 * S, 7 * S], "seconds"),
        ([5 * S, 7 * S + 3_000_000], "milliseconds"),
        ([5 * S + 1, 7 * S], "finer"),
        ([0, 0], "none"),
        ([], "unknown"),
    ],
)
def test_times_of_venues(events, told):
    assert event_time_of([Sample(at, 9 * S + 5, 9 * S + 6) for at in events]) == told


@given(st.lists(st.integers(-(10**12), 10**12), max_size=100))
def test_a_spread_is_of_what_was_measured(durations):
    spread = spread_of(durations)
    if not durations:
        assert spread is None
        return
    ms = sorted(d / 1e6 for d in durations)
    assert spread.p50 in ms
    assert spread.p95 in ms
    assert ms[0] <= spread.p50 <= spread.p95 <= spread.max == ms[-1]
    assert sum(d <= spread.p95 for d in ms) >= 0.95 * len(ms)


@given(samples)
def test_a_type_is_described_by_its_samples(some):
    told = describe(QuoteTick, "NORMAL", 99, some, is_event=True, has_venue_time=True)
    timed = [s for s in some if s.ts_event != s.ts_init]
    assert (told.message_type, told.priority, told.count) == ("QuoteTick", "NORMAL", 99)
    assert told.sampled == len(some)
    assert told.ahead == sum(s.ts_event > s.ts_init for s in timed)
    assert (told.latency_ms is None) == (not timed)
    assert (told.inside_ms is None) == (not some)


def test_what_is_no_event_and_what_is_the_client_s_own_have_no_latency():
    some = [Sample(1 * S, 2 * S, 3 * S)]
    instrument = describe(QuoteTick, "NORMAL", 1, some, is_event=False, has_venue_time=True)
    assert (instrument.count, instrument.sampled, instrument.inside_ms) == (1, 0, None)
    submitted = describe(QuoteTick, "HIGH", 1, some, is_event=True, has_venue_time=False)
    assert (submitted.event_time, submitted.latency_ms) == ("none", None)
    assert submitted.inside_ms.p50 == 1_000.0


def test_samples_are_bounded_and_the_latest():
    meter = MessageMeter(time_ns=lambda: 10 * S)
    for at in range(1, MAX_SAMPLES + 11):
        meter.sample(SimpleNamespace(ts_event=at, ts_init=at + 1))
    kept = meter.samples_of(SimpleNamespace)
    assert len(kept) == MAX_SAMPLES
    assert kept[-1] == Sample(MAX_SAMPLES + 10, MAX_SAMPLES + 11, 10 * S)
    assert meter.samples_of(QuoteTick) == ()


def test_a_message_without_times_is_passed_over():
    meter = MessageMeter()
    meter.sample(object())
    assert meter.samples_of(object) == ()


@given(st.lists(st.tuples(st.integers(0, 20 * S), st.integers(0, 50)), max_size=60))
def test_a_rate_is_that_of_the_last_ten_seconds_or_of_somewhat_longer(steps):
    now = [5 * S]
    meter = MessageMeter(monotonic_ns=lambda: now[0])
    begin, history = now[0], [(now[0], 0)]
    for wait, messages in steps:
        now[0] += wait
        meter.add(QuoteTick, messages)
        meter.note()
        history.append((now[0], meter.total))
    told = meter.rate()
    # It is the rate from one of the moments at which the total was known to now.
    possible = [
        (meter.total - total) * 1e9 / max(S, now[0] - at)
        for at, total in history
        if at <= max(begin, now[0] - 10 * S)
    ]
    assert any(told == pytest.approx(rate) for rate in possible)


@pytest.mark.parametrize(
    ("ahead", "behind", "told"),
    [(16, 0, True), (15, 0, False), (33, 31, True), (32, 32, False), (64, 900, False)],
)
def test_clocks_are_doubted_if_most_of_the_latest_messages_are_ahead(ahead, behind, told):
    meter = MessageMeter()
    for at in [*[(2, 1)] * ahead, *[(1, 2)] * behind]:
        meter.sample(SimpleNamespace(ts_event=at[0], ts_init=at[1]))
    assert meter.ahead() == (("SimpleNamespace",) if told else ())
    latest = [(2, 1, 3)] * ahead + [(1, 2, 3)] * behind
    assert is_mostly_ahead(reversed(latest)) == told
