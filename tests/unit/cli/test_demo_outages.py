import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.cli.demo.chaos import MAX_LAG_S
from nautilus_enhanced.cli.demo.chaos import Chaos
from nautilus_enhanced.cli.demo.outages import DOWN_S
from nautilus_enhanced.cli.demo.outages import EVERY_S
from nautilus_enhanced.cli.demo.outages import FIRST_AT_S
from nautilus_enhanced.cli.demo.outages import MIN_TRADING_S
from nautilus_enhanced.cli.demo.outages import MIN_UP_S
from nautilus_enhanced.cli.demo.outages import UP_AT_END_S
from nautilus_enhanced.cli.demo.outages import Outage
from nautilus_enhanced.cli.demo.outages import PlannedOutage
from nautilus_enhanced.cli.demo.outages import PublisherSample
from nautilus_enhanced.cli.demo.outages import growth_times
from nautilus_enhanced.cli.demo.outages import plan_outages
from nautilus_enhanced.cli.demo.outages import resumed_after_ms


SEEDS = st.integers(0, 10_000)
SECONDS = st.floats(MIN_TRADING_S, 120.0)


# -- the plan ------------------------------------------------------------------------------------


@given(SEEDS, SECONDS)
def test_a_plan_keeps_to_its_bounds(seed, seconds):
    planned = plan_outages(seed, seconds)
    assert planned
    assert FIRST_AT_S[0] - 0.001 <= planned[0].at_s <= FIRST_AT_S[1] + 0.001
    assert all(DOWN_S[0] - 0.001 <= outage.down_s <= DOWN_S[1] + 0.001 for outage in planned)
    assert planned[-1].ends_at_s <= seconds - UP_AT_END_S
    for before, after in itertools.pairwise(planned):
        assert after.at_s - before.ends_at_s >= MIN_UP_S - 0.002
        assert after.at_s - before.at_s >= EVERY_S[0] - 0.002


@given(SEEDS, SECONDS)
def test_a_seed_gives_the_same_outages_however_long_the_run(seed, seconds):
    planned = plan_outages(seed, seconds)
    assert planned == plan_outages(seed, seconds)
    assert planned == plan_outages(seed, seconds + 30.0)[: len(planned)]


def test_seeds_differ():
    assert plan_outages(1, 30.0) != plan_outages(2, 30.0)


def test_a_run_that_is_too_short_has_none():
    assert plan_outages(1, 2.0) == []


# -- when publishing resumed ---------------------------------------------------------------------


def outage(killed_at_ms, answered_at_ms):
    return Outage(
        at_s=killed_at_ms / 1e3,
        killed_at_ns=killed_at_ms * 1_000_000,
        answered_at_ns=answered_at_ms * 1_000_000,
        killed_pid=1,
        started_pid=2,
        entries_before=10,
        entries_after=10,
    )


def test_messages_were_acknowledged_where_there_are_more_than_before():
    samples = [PublisherSample(ns, n, 0) for ns, n in [(10, 5), (20, 5), (30, 6), (40, 9), (50, 9)]]
    assert growth_times(samples) == [30, 40]
    assert growth_times([]) == []


def test_publishing_resumed_with_the_first_arrival_after_the_answer():
    outages = [outage(1_000, 2_000), outage(4_000, 4_500)]
    arrivals_ns = [ms * 1_000_000 for ms in (900, 2_250, 2_300, 3_900, 4_600)]
    assert resumed_after_ms(outages, arrivals_ns) == [250.0, 100.0]


def test_publishing_did_not_resume_if_nothing_arrived_until_the_next_outage():
    outages = [outage(1_000, 2_000), outage(4_000, 4_500), outage(6_000, 7_000)]
    assert resumed_after_ms(outages, [900_000_000, 5_000_000_000]) == [None, 500.0, None]


@given(st.lists(st.integers(0, 10_000), max_size=20))
def test_no_outage_ends_before_the_server_answers(arrivals_ms):
    times = resumed_after_ms([outage(1_000, 2_000)], [ms * 1_000_000 for ms in arrivals_ms])
    expected = [ms - 2_000.0 for ms in sorted(arrivals_ms) if ms >= 2_000]
    assert times == (expected[:1] or [None])


def test_a_sample_is_short_on_disk():
    assert msgspec.json.encode(PublisherSample(1, 2, 3)) == b"[1,2,3]"


# -- carrying it out -----------------------------------------------------------------------------


class FakeServer:
    """A server by the book: restarting takes 50 ms of the test's clock."""

    def __init__(self):
        self.now_ns = 0
        self.pid = 100
        self.log = []

    def kill(self):
        self.log.append(("kill", self.now_ns / 1e9))

    def restart(self):
        self.now_ns += 50_000_000
        self.pid += 1
        self.log.append(("restart", self.now_ns / 1e9))
        return self.now_ns

    def advance(self, seconds):
        self.now_ns += int(seconds * 1e9)


PLAN = [PlannedOutage(1.5, 1.0), PlannedOutage(4.0, 0.5)]


def chaos_with(server, events=None, planned=PLAN):
    return Chaos(
        server,
        planned,
        lambda: len(server.log),
        (lambda event: None) if events is None else events.append,
        lambda: server.now_ns,
    )


def carry_out(server, chaos, seconds, step=0.01):
    for _ in range(round(seconds / step)):
        server.advance(step)
        chaos.act()


def test_nothing_is_due_before_trading_began():
    server = FakeServer()
    chaos = chaos_with(server)
    carry_out(server, chaos, 10.0)
    assert server.log == []
    assert chaos.due_in_s() > 60.0


def test_a_plan_is_carried_out_from_the_start_of_trading():
    server, events = FakeServer(), []
    chaos = chaos_with(server, events)
    server.advance(7.25)
    chaos.begin(0.25)
    chaos.begin(0.0)
    assert chaos.due_in_s() == pytest.approx(1.25)
    carry_out(server, chaos, 10.0)
    assert [name for name, _ in server.log] == ["kill", "restart"] * 2
    assert [at_s for _, at_s in server.log] == pytest.approx([8.5, 9.55, 11.0, 11.55], abs=0.05)
    assert [(o.killed_pid, o.started_pid) for o in chaos.outages] == [(100, 101), (101, 102)]
    assert [o.at_s for o in chaos.outages] == pytest.approx([1.5, 4.0], abs=0.02)
    assert [o.down_s for o in chaos.outages] == pytest.approx([1.05, 0.55], abs=0.02)
    assert [(o.entries_before, o.entries_after) for o in chaos.outages] == [(0, 2), (2, 4)]
    assert [(e.kind, e.number, e.of, e.pid) for e in events] == [
        ("killed", 1, 2, 100), ("answers", 1, 2, 101),
        ("killed", 2, 2, 101), ("answers", 2, 2, 102),
    ]  # fmt: skip
    assert chaos.due_in_s() > 60.0


def test_an_outage_that_begins_late_is_as_long_and_the_next_one_is_left_its_distance():
    server = FakeServer()
    chaos = chaos_with(server)
    chaos.begin(0.0)
    server.advance(2.4)
    carry_out(server, chaos, 10.0)
    (_, killed), (_, back), (_, killed_again), _ = server.log
    assert back - killed == pytest.approx(1.05, abs=0.02)
    assert killed_again - back == pytest.approx(MIN_UP_S, abs=0.02)


def test_an_outage_that_would_be_much_too_late_is_left_out_with_all_that_follow():
    server = FakeServer()
    chaos = chaos_with(server)
    chaos.begin(0.0)
    server.advance(PLAN[0].at_s + MAX_LAG_S + 0.1)
    carry_out(server, chaos, 10.0)
    assert server.log == []


def test_at_the_end_the_server_is_up_and_stays_so():
    server = FakeServer()
    chaos = chaos_with(server)
    chaos.begin(0.0)
    carry_out(server, chaos, 1.6)
    assert [name for name, _ in server.log] == ["kill"]
    chaos.end()
    carry_out(server, chaos, 10.0)
    assert [name for name, _ in server.log] == ["kill", "restart"]
    assert len(chaos.outages) == 1
