"""Lanes: first in first out, bounded, and every message accounted for."""

import sys
import threading
import time
from collections import deque

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from hypothesis.stateful import invariant
from hypothesis.stateful import precondition
from hypothesis.stateful import rule

from nautilus_enhanced.infrastructure.messagebus.patterns import DEFAULT_TOPIC_PRIORITIES
from nautilus_enhanced.infrastructure.messagebus.patterns import TopicPriorities
from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority
from nautilus_enhanced.infrastructure.messagebus.publishing.buffers import FlushGoal
from nautilus_enhanced.infrastructure.messagebus.publishing.buffers import PriorityBuffers
from nautilus_enhanced.infrastructure.messagebus.publishing.lanes import MAX_PROBE_STRIDE
from nautilus_enhanced.infrastructure.messagebus.publishing.lanes import Lane
from nautilus_enhanced.infrastructure.messagebus.publishing.tally import Tally
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import BufferSettings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import LaneSettings


MAX_MESSAGES = 5
MAX_BYTES = 1_024


def make_lane(overflow="refuse", **limits):
    return Lane(MessagePriority.NORMAL, LaneSettings(overflow=overflow, **limits))


def settle(lane, messages):
    lane.acknowledged += messages


def accounted(lane, in_flight=0):
    figures = lane.statistics()
    return figures.published == in_flight + (
        figures.acknowledged
        + figures.rejected
        + figures.dropped
        + figures.abandoned
        + figures.queued
    )


class LaneModel(RuleBasedStateMachine):
    """A lane beside a plain queue that does the same in the most obvious way."""

    overflow = "refuse"

    def __init__(self):
        super().__init__()
        self.lane = make_lane(self.overflow, max_messages=MAX_MESSAGES, max_bytes=MAX_BYTES)
        self.queue = deque()
        self.put = self.dropped = self.refused = self.in_flight = 0
        self.receipts = []

    def fits(self, payload):
        size = sum(map(len, self.queue))
        return len(self.queue) < MAX_MESSAGES and size + len(payload) <= MAX_BYTES

    @rule(size=st.sampled_from([0, 1, 300, 600, MAX_BYTES, MAX_BYTES + 1]))
    def publish(self, size):
        payload = b"%d" % self.put
        payload += b"." * max(0, size - len(payload))
        possible = len(payload) <= MAX_BYTES
        if self.overflow == "drop_oldest" and possible:
            while not self.fits(payload):
                self.queue.popleft()
                self.dropped += 1
        taken = self.fits(payload)
        assert self.lane.put("topic", payload, self.receipts.append) is taken
        if taken:
            self.queue.append(payload)
            self.put += 1
        else:
            self.refused += 1

    @rule(messages=st.integers(0, 7), size=st.sampled_from([1, 500, 10_000]))
    def take(self, messages, size):
        taken = [payload for _, payload, _ in self.lane.take(messages, size)]
        assert len(taken) <= messages
        assert sum(map(len, taken)) <= size or len(taken) == 1
        if messages and self.queue:
            assert taken
        assert taken == [self.queue.popleft() for _ in taken]
        # It took as many as it could.
        if self.queue and len(taken) < messages:
            assert sum(map(len, taken)) + len(self.queue[0]) > size
        self.in_flight += len(taken)

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data())
    def learn_a_fate(self, data):
        counter = data.draw(st.sampled_from(["acknowledged", "rejected", "abandoned"]))
        setattr(self.lane, counter, getattr(self.lane, counter) + 1)
        self.in_flight -= 1

    @rule()
    def abandon(self):
        assert self.lane.abandon() == len(self.queue)
        self.queue.clear()

    @invariant()
    def the_figures_are_those_of_the_queue(self):
        figures = self.lane.statistics()
        assert figures.published == self.put
        assert figures.refused == self.refused
        assert figures.dropped == self.dropped
        assert figures.queued == len(self.queue) <= MAX_MESSAGES
        assert figures.queued_bytes == sum(map(len, self.queue)) <= MAX_BYTES
        assert accounted(self.lane, self.in_flight)
        assert not any(self.receipts)


class DroppingLaneModel(LaneModel):
    """The same with the other policy."""

    overflow = "drop_oldest"


for _model in (LaneModel, DroppingLaneModel):
    _model.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestARefusingLane = LaneModel.TestCase
TestADroppingLane = DroppingLaneModel.TestCase


def test_a_message_that_never_fits_costs_the_lane_nothing():
    lane = make_lane("drop_oldest", max_bytes=MAX_BYTES)
    assert lane.put("topic", b"small")
    assert not lane.put("topic", b"x" * (MAX_BYTES + 1))
    assert len(lane) == 1


def test_what_is_dropped_tells_whoever_waits():
    told = []
    lane = make_lane("drop_oldest", max_messages=1)
    lane.put("topic", b"1", told.append)
    lane.put("topic", b"2", told.append)
    assert told == [False]
    lane.abandon()
    assert told == [False, False]


def test_the_high_water_mark_is_reported_until_the_lane_falls_below_the_low_one():
    lane = make_lane(max_messages=10, high_water=0.8, low_water=0.5)
    seen = []
    for _ in range(8):
        lane.put("topic", b"")
        seen.append(lane.statistics().high_water_reached)
    assert seen == [False] * 7 + [True]
    for reached in (True, True, True, False):
        lane.take(1, 1)
        assert lane.statistics().high_water_reached is reached


def test_each_rise_to_the_high_water_mark_is_counted_though_nobody_looks():
    lane = make_lane(max_messages=10, high_water=0.8, low_water=0.5)
    for _ in range(3):
        for _ in range(8):
            lane.put("topic", b"")
        lane.take(1, 1)  # still above the low one
        lane.put("topic", b"")
        lane.take(100, 1_000)
    assert lane.statistics().high_water_count == 3
    assert not lane.statistics().high_water_reached


def test_bytes_reach_the_high_water_mark_too():
    lane = make_lane(max_bytes=1_024)
    lane.put("topic", b"x" * 900)
    assert lane.utilization == 900 / 1_024
    assert lane.statistics().high_water_count == 1


class Latencies:
    """Records what a lane wants measured."""

    def __init__(self):
        self.weights = []

    def probe(self, weight):
        self.weights.append(weight)
        return lambda accepted: None


def make_measured_lane():
    latencies = Latencies()
    lane = Lane(MessagePriority.NORMAL, LaneSettings(), latency=latencies)
    return lane, latencies.weights


def test_messages_that_come_alone_are_all_measured():
    lane, weights = make_measured_lane()
    for _ in range(20):
        lane.put("topic", b"")
        lane.take(10, 10)
    assert weights == [1] * 20


@pytest.mark.parametrize("batch", [2, 100, 256, 1_000])
def test_about_one_message_of_each_batch_is_measured(batch):
    lane, weights = make_measured_lane()
    for _ in range(200):
        for _ in range(batch):
            lane.put("topic", b"")
        assert len(lane.take(batch, 1)) == batch
    assert 100 <= len(weights) <= 300
    # Each message is stood for once, but those since the last probe.
    assert sum(weights) <= 200 * batch < sum(weights) + 2 * MAX_PROBE_STRIDE


def test_few_messages_of_a_long_backlog_are_measured():
    lane, weights = make_measured_lane()
    for _ in range(50_000):
        lane.put("topic", b"")
    assert len(weights) < 70
    # And it is not over with the burst: what comes alone is measured again.
    while lane.take(256, 256):
        pass
    weights.clear()
    for _ in range(10):
        lane.put("topic", b"")
        lane.take(1, 1)
    assert len(weights) == 10


def test_a_receipt_that_somebody_asked_for_is_kept():
    lane, weights = make_measured_lane()
    told = []
    lane.put("topic", b"", told.append)
    ((_, _, receipt),) = lane.take(1, 1)
    receipt(True)
    assert (told, weights) == ([True], [])


@pytest.mark.parametrize("size", [600, 0])
def test_a_flush_is_over_once_all_before_it_is_settled_and_not_later(size):
    lane = make_lane(max_messages=100)
    for _ in range(4):
        lane.put("topic", b"x" * size)
    goal = FlushGoal(lane)
    lane.take(3, 10_000)
    settle(lane, 3)
    assert not goal.is_reached
    lane.put("topic", b"newer")
    lane.take(1, 10_000)
    assert not goal.is_reached
    settle(lane, 1)
    assert goal.is_reached
    assert FlushGoal(lane).is_reached is False


def test_newer_messages_that_are_dropped_do_not_end_a_flush():
    lane = make_lane("drop_oldest", max_messages=2)
    for _ in range(2):
        lane.put("topic", b"")
    lane.take(2, 10_000)
    goal = FlushGoal(lane)
    for _ in range(9):
        lane.put("topic", b"newer")
    assert lane.statistics().dropped == 7
    assert not goal.is_reached
    settle(lane, 2)
    assert goal.is_reached


def test_what_is_taken_and_lost_by_a_mistake_is_written_off():
    lane = make_lane()
    lane.put("topic", b"")
    lane.take(1, 1)
    lane.write_off()
    assert lane.abandoned == 1
    assert accounted(lane)


@given(st.sampled_from(["events.order.x", "data.x", "metrics.x", "events.risk"]))
def test_a_message_goes_to_the_lane_of_its_topic_or_of_the_priority_asked_for(topic):
    rung = []
    policy = TopicPriorities(DEFAULT_TOPIC_PRIORITIES)
    buffers = PriorityBuffers(BufferSettings(), policy, rung.append)
    buffers.publish(topic, b"1")
    buffers.publish(topic, b"2", MessagePriority.LOW)
    assert rung == [buffers.lanes[policy.priority_of(topic)], buffers.lanes[-1]]
    assert len(buffers) == 2


@pytest.fixture
def restless_interpreter():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def run_all(functions):
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_tally_of_many_threads_is_exact(restless_interpreter):
    tally = Tally()

    def count():
        for _ in range(5_000):
            tally.add(3)

    adopted = threading.Event()

    def count_at_home():
        tally.adopt()
        adopted.set()
        count()

    def count_elsewhere():
        adopted.wait()
        count()

    run_all([count_at_home, *[count_elsewhere] * 3])
    assert (tally.count, tally.value) == (20_000, 60_000)


@pytest.mark.parametrize("overflow", ["refuse", "drop_oldest"])
def test_many_threads_lose_nothing_and_keep_their_order(restless_interpreter, overflow):
    publishers, each, deadline = 3, 4_000, time.monotonic() + 60
    lane = make_lane(overflow, max_messages=50, max_bytes=2_000)
    done = threading.Event()
    taken, refused, told, depths = [], [0] * publishers, [], []

    def publish(name):
        for number in range(each):
            if not lane.put(name, b"%d" % number, told.append):
                refused[name] += 1

    def write():
        while (not done.is_set() or len(lane)) and time.monotonic() < deadline:
            batch = lane.take(7, 25)
            depths.append(len(lane))
            taken.extend(batch)
            settle(lane, len(batch))

    writer = threading.Thread(target=write)
    writer.start()
    run_all([lambda name=name: publish(name) for name in range(publishers)])
    done.set()
    writer.join()

    for name in range(publishers):
        numbers = [int(payload) for topic, payload, _ in taken if topic == name]
        assert numbers == sorted(set(numbers))
    figures = lane.statistics()
    assert figures.queued == figures.queued_bytes == 0
    assert figures.published == publishers * each - sum(refused)
    assert figures.refused == sum(refused)
    assert figures.acknowledged == len(taken)
    assert figures.dropped == len(told)
    assert accounted(lane)
    # Between its look and its append each thread may be overtaken by each other, and the
    # writer may put one back.
    assert max(depths) <= 50 + publishers
