"""Meters: what they say of a window, held against all that happened."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.infrastructure.messagebus.monitoring.meters import MAX_SAMPLES
from nautilus_enhanced.infrastructure.messagebus.monitoring.meters import NS_PER_S
from nautilus_enhanced.infrastructure.messagebus.monitoring.meters import LatencyMeter
from nautilus_enhanced.infrastructure.messagebus.monitoring.meters import RateMeter
from nautilus_enhanced.infrastructure.messagebus.monitoring.meters import Totals


MS = 1_000_000


class ManualClock:
    def __init__(self):
        self.now_ns = 0

    def monotonic_ns(self):
        return self.now_ns

    def time_ns(self):
        return self.now_ns


# -- rates ---------------------------------------------------------------------------------------


@given(
    events=st.lists(st.tuples(st.integers(0, 4_000), st.integers(0, 50)), max_size=80),
    quiet_ms=st.integers(0, 30_000),
)
def test_a_rate_is_that_of_the_last_ten_seconds_to_within_half_a_second(events, quiet_ms):
    meter = RateMeter(0)
    now_ns = total = 0
    happened = []
    for pause_ms, count in events:
        now_ns += pause_ms * MS
        total += count
        happened.append((now_ns, count))
        meter.note(now_ns, Totals(delivered=total, lost=2 * total, bytes_sent=200 * total))
    now_ns += quiet_ms * MS
    span_ns = max(NS_PER_S, min(10 * NS_PER_S, now_ns))
    rates = meter.rates(now_ns, Totals(delivered=total, lost=2 * total, bytes_sent=200 * total))

    def since(begin_ns):
        return sum(count for at_ns, count in happened if at_ns > begin_ns)

    begin_ns = now_ns - span_ns
    fewest, most = since(begin_ns), since(begin_ns - NS_PER_S // 2)
    if begin_ns <= 0:
        most = total
    counted = rates.messages_per_second * span_ns / NS_PER_S
    assert fewest - 1e-6 <= counted <= most + 1e-6
    assert rates.bytes_per_second == pytest.approx(200 * rates.messages_per_second)
    assert rates.error_rate == (pytest.approx(2 / 3) if counted > 0.5 else 0.0)


def test_the_memory_of_a_rate_is_bounded():
    meter = RateMeter(0)
    for number in range(100_000):
        meter.note(number * MS, Totals(delivered=number))
    assert len(meter._notes) < 30
    now_ns = 99_999 * MS
    assert meter.rates(now_ns, Totals(delivered=99_999)).messages_per_second == pytest.approx(
        1_000, rel=0.05
    )


def test_a_client_that_has_just_begun_is_rated_over_a_second():
    meter = RateMeter(5 * NS_PER_S)
    assert meter.rates(5 * NS_PER_S, Totals(delivered=7)).messages_per_second == 7.0
    assert meter.rates(9 * NS_PER_S, Totals(delivered=8)).messages_per_second == 2.0


# -- latencies -----------------------------------------------------------------------------------


def measured(samples):
    clock = ManualClock()
    meter = LatencyMeter(clock)
    for took_ns, weight in samples:
        receipt = meter.probe(weight)
        clock.now_ns += took_ns
        receipt(True)
    return clock, meter


@given(st.lists(st.tuples(st.integers(1, MS), st.integers(1, 20)), min_size=1, max_size=50))
def test_mean_and_percentile_are_those_of_the_messages_stood_for(samples):
    _, meter = measured(samples)
    each = sorted(took for took, weight in samples for _ in range(weight))
    average_ms, p95_ms = meter.latencies_ms()
    assert average_ms * MS == pytest.approx(sum(each) / len(each))
    assert p95_ms * MS == pytest.approx(each[-(-len(each) * 95 // 100) - 1])


def test_only_the_last_ten_seconds_count():
    clock, meter = measured([(3 * MS, 1)])
    clock.now_ns += 9 * NS_PER_S
    assert meter.latencies_ms() == (3.0, 3.0)
    clock.now_ns += 1 * NS_PER_S
    assert meter.latencies_ms() == (0.0, 0.0)


def test_what_was_not_accepted_is_not_measured():
    meter = LatencyMeter(ManualClock())
    meter.probe(1)(False)
    assert meter.latencies_ms() == (0.0, 0.0)


def test_the_memory_of_latencies_is_bounded():
    _, meter = measured([(1, 1)] * (MAX_SAMPLES + 100))
    assert len(meter._samples) == MAX_SAMPLES


@pytest.mark.parametrize(
    ("confirmed", "published", "waiting", "expected_s"),
    [(60_000, 20_000, 400_000, 10.0), (20_000, 20_000, 1, None), (0, 5, 7, None), (0, 5, 0, 0.0)],
)
def test_what_waits_is_gone_when_more_goes_than_comes(confirmed, published, waiting, expected_s):
    meter = RateMeter(0)
    rates = meter.rates(NS_PER_S, Totals(delivered=confirmed, published=published))
    assert rates.drain_estimate_s(waiting) == expected_s
