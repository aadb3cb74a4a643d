"""Publishing rules: what goes out, when, and that order flow is not touched by accident."""

import sys
import threading
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority
from nautilus_enhanced.infrastructure.messagebus.publishing import rules
from nautilus_enhanced.infrastructure.messagebus.publishing.rules import PublishRules
from nautilus_enhanced.infrastructure.messagebus.publishing.wakeup import IDLE
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import PrioritySettings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import PublishingSettings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import PublishRule
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import TopicRule


MS = 1_000_000
QUOTES = "data.quotes.X"


class ManualClock:
    def __init__(self):
        self.now_ns = 0

    def monotonic_ns(self):
        return self.now_ns


class Outgoing:
    """Rules with all around them recorded."""

    def __init__(self, *rules, priorities=None, clock=None):
        self.clock = clock or ManualClock()
        self.sent = []
        self.waits_ns = []
        self.rules = PublishRules(
            PublishingSettings(rules=rules),
            (priorities or PrioritySettings()).policy(),
            self.put,
            self.waits_ns.append,
            self.clock,
        )

    def put(self, topic, payload, priority=None, receipt=None):
        self.sent.append((self.clock.monotonic_ns(), topic, payload))
        return True

    def publish(self, topic, payload=b"", priority=None, receipt=None):
        before = len(self.sent)
        assert self.rules.publish(topic, payload, priority, receipt)
        return len(self.sent) > before

    def payloads(self, topic=QUOTES):
        return [payload for _, sent, payload in self.sent if sent == topic]


def sampling(per_second=10.0, pattern="data.*"):
    return PublishRule(pattern=pattern, max_per_second=per_second)


# -- sampling ------------------------------------------------------------------------------------


def test_the_first_goes_out_at_once_and_the_latest_when_the_interval_ends():
    out = Outgoing(sampling(10.0))
    assert out.publish(QUOTES, b"0")
    for number in range(1, 5):
        out.clock.now_ns += 10 * MS
        assert not out.publish(QUOTES, b"%d" % number)
    # The writer was told once, and looks when the interval ends.
    assert out.waits_ns == [90 * MS]
    assert out.rules.release() == 60 * MS
    assert out.payloads() == [b"0"]
    out.clock.now_ns = 100 * MS
    assert out.rules.release() == IDLE
    assert out.payloads() == [b"0", b"4"]
    # What is sent at the end of an interval begins the next one.
    assert not out.publish(QUOTES, b"5")
    assert out.rules.release() == 100 * MS
    assert out.rules.figures() == (0, 3, 1)


def test_each_topic_has_intervals_of_its_own():
    out = Outgoing(sampling())
    assert out.publish("data.a")
    assert out.publish("data.b")
    assert not out.publish("data.a")


def test_while_nobody_releases_each_interval_still_gets_its_first():
    # As in an outage, when the writer does not look: a lane gets the samples all the same.
    out = Outgoing(sampling(10.0))
    for number in range(100):
        out.publish(QUOTES, b"%d" % number)
        out.clock.now_ns += 25 * MS
    assert out.payloads() == [b"%d" % number for number in range(0, 100, 4)]


@given(
    steps=st.lists(st.tuples(st.integers(0, 150), st.sampled_from("aabr")), max_size=120),
    per_second=st.sampled_from([5.0, 10.0, 40.0]),
)
def test_at_most_one_goes_out_in_an_interval_and_never_one_older_than_the_last(steps, per_second):
    out = Outgoing(sampling(per_second))
    interval_ns = round(1e9 / per_second)
    count = {"a": 0, "b": 0}
    for pause_ms, step in steps:
        out.clock.now_ns += pause_ms * MS
        if step == "r":
            wait_ns = out.rules.release()
            # Nothing that is held is forgotten.
            assert (wait_ns != IDLE) or out.rules.figures().held == 0
            assert wait_ns > 0
        else:
            out.publish(f"data.{step}", b"%d" % count[step])
            count[step] += 1
    out.clock.now_ns += interval_ns
    assert out.rules.release() == IDLE
    for name, published in count.items():
        times = [at for at, topic, _ in out.sent if topic == f"data.{name}"]
        numbers = [int(payload) for payload in out.payloads(f"data.{name}")]
        assert all(later - at >= interval_ns for at, later in pairwise(times))
        assert numbers == sorted(set(numbers))
        if published:
            assert (numbers[0], numbers[-1]) == (0, published - 1)
    assert out.rules.figures() == (0, sum(count.values()) - len(out.sent), 0)


def test_closing_lets_out_what_is_held():
    out = Outgoing(sampling(0.001))
    for number in range(3):
        out.publish(QUOTES, b"%d" % number)
    out.rules.release_all()
    out.rules.release_all()
    assert out.payloads() == [b"0", b"2"]
    assert out.rules.figures() == (0, 1, 0)


def test_a_message_that_somebody_waits_for_is_not_sampled():
    out = Outgoing(sampling())
    assert out.publish(QUOTES)
    assert out.publish(QUOTES, receipt=pytest.fail)


def test_what_is_held_does_not_come_behind_a_message_that_somebody_waits_for():
    out = Outgoing(sampling(10.0))
    out.publish(QUOTES, b"0")
    assert not out.publish(QUOTES, b"held")
    assert out.publish(QUOTES, b"newer", receipt=pytest.fail)
    out.clock.now_ns += 100 * MS
    out.rules.release()
    assert out.payloads() == [b"0", b"newer"]
    assert out.rules.figures() == (0, 1, 0)


def test_many_threads_keep_the_order_and_lose_no_last_message():
    class RealClock:
        monotonic_ns = staticmethod(time.monotonic_ns)

    out = Outgoing(sampling(1_000.0), clock=RealClock())
    topics = [f"data.{number}" for number in range(3)]
    done = threading.Event()

    def publish(topic):
        for number in range(20_000):
            out.rules.publish(topic, b"%d" % number)

    def release():
        while not done.is_set():
            out.rules.release()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        publishers = [threading.Thread(target=publish, args=(topic,)) for topic in topics]
        releaser = threading.Thread(target=release)
        for thread in (*publishers, releaser):
            thread.start()
        for thread in publishers:
            thread.join()
        deadline = time.monotonic() + 10
        while out.rules.figures().held and time.monotonic() < deadline:
            pass
        done.set()
        releaser.join()
    finally:
        sys.setswitchinterval(before)
    for topic in topics:
        numbers = [int(payload) for payload in out.payloads(topic)]
        assert numbers == sorted(set(numbers))
        assert (numbers[0], numbers[-1]) == (0, 19_999)
    assert out.rules.figures().held == 0
    assert out.rules.figures().sampled_out == 60_000 - len(out.sent)


def test_a_message_that_meets_another_thread_is_held_and_looked_after():
    out = Outgoing(sampling())
    out.publish(QUOTES, b"0")
    topic = out.rules._known[QUOTES]
    out.clock.now_ns += 200 * MS
    with topic._turn:  # as if another thread was about to put
        assert not out.publish(QUOTES, b"1")
        assert out.rules.release() > 0
    out.clock.now_ns += 200 * MS
    out.rules.release()
    assert out.payloads() == [b"0", b"1"]


def test_memory_for_topics_is_bounded(monkeypatch):
    monkeypatch.setattr(rules, "MAX_CACHED_TOPICS", 10)
    out = Outgoing(sampling(), PublishRule(pattern="x.*", publish=False))
    for number in range(30):
        out.publish(f"data.{number}")
        out.publish(f"data.{number}")
    assert len(out.rules._known) == len(out.rules._sampled) == 10
    # The first of each, and of those beyond the bound the second too.
    assert len(out.sent) == 30 + 20
    assert not out.publish("x.beyond")


# -- keeping back --------------------------------------------------------------------------------


def test_the_first_rule_decides_and_what_none_matches_goes_out():
    out = Outgoing(
        PublishRule(pattern="data.quotes.*"),
        PublishRule(pattern="data.*", publish=False),
    )
    assert out.publish("data.quotes.X")
    assert not out.publish("data.trades.X")
    assert out.publish("anything.else")
    assert out.rules.figures() == (1, 0, 0)


ORDER_FLOW = [
    "events.order.S-1",
    "events.position.S-1",
    "events.account.BINANCE-001",
    "events.fills.X",
    "events.risk",
    "commands.trading.S-1",
]


@pytest.mark.parametrize("topic", ORDER_FLOW)
@pytest.mark.parametrize(
    "rule",
    [
        PublishRule(pattern="*", publish=False),
        PublishRule(pattern="*", max_per_second=0.001),
        PublishRule(pattern="?*", publish=False),
    ],
)
def test_no_wildcard_reaches_order_flow(topic, rule):
    out = Outgoing(rule)
    assert all(out.publish(topic) for _ in range(5))
    assert out.rules.figures() == (0, 0, 0)


def test_a_message_that_is_made_urgent_goes_out():
    out = Outgoing(PublishRule(pattern="*", publish=False))
    assert not out.publish("alerts.x")
    assert out.publish("alerts.x", priority=MessagePriority.HIGH)
    assert not out.publish("alerts.x", priority=MessagePriority.LOW)


@pytest.mark.parametrize("topic", ORDER_FLOW)
def test_order_flow_is_kept_back_by_a_rule_that_says_so(topic):
    out = Outgoing(
        PublishRule(pattern="events.order.S-2"),
        PublishRule(pattern="*", publish=False, order_flow=True),
    )
    assert not out.publish(topic)
    assert out.publish("events.order.S-2")
    told = []
    out.publish(topic, receipt=told.append)
    assert told == [False]
    assert out.rules.keeps_back(topic)


@pytest.mark.parametrize(
    "pattern", ["events.order.*", "events.risk", "commands.*", "events.fills.B?C"]
)
@pytest.mark.parametrize("what", [{"publish": False}, {"max_per_second": 1.0}])
def test_a_rule_that_names_order_flow_without_saying_so_is_refused(pattern, what):
    rule = PublishRule(pattern=pattern, **what)
    with pytest.raises(ConfigurationError, match=r"publishing\.rules\.pattern.*never sampled"):
        Outgoing(rule)


def test_what_the_user_calls_order_flow_is_order_flow():
    table = PrioritySettings(topics=(TopicRule(pattern="data.quotes.*", priority="high"),))
    out = Outgoing(sampling(0.001), priorities=table)
    assert all(out.publish(QUOTES) for _ in range(3))
    with pytest.raises(ConfigurationError):
        Outgoing(sampling(pattern="data.quotes.*"), priorities=table)
