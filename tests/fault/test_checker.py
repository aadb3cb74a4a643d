"""The checker finds every bug that is planted, and nothing where there is none."""

from collections import Counter as Tally
from collections import defaultdict
from collections import deque

import pytest
from checker import Account
from checker import Counters
from checker import MayDisorder
from checker import MayLose
from checker import Published
from checker import Stored
from checker import check
from checker import identities
from checker import read_streams
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st


LANES = {"events.order.A": "HIGH", "events.order.B": "HIGH", "data.quotes.Q": "NORMAL"}
TOPICS = tuple(LANES)
OUTCOMES = {True: "given", False: "not accepted", None: "indeterminate"}


def key_of(topic):
    return f"s:{topic}"


class Bus:
    """
    A publisher and its server, as simple as they can be; subclasses each have one bug.

    The bug strikes once, at the first chance from the `strikes_at`-th on.
    """

    finds: frozenset = frozenset()

    def __init__(self, room=10_000, strikes_at=0):
        self.room = room
        self.strikes_at = strikes_at
        self.struck = False
        self.calls = []
        self.outcomes = {}
        self.queues = defaultdict(deque)
        self.counts = defaultdict(Tally)
        self.streams = defaultdict(list)
        self.looks = []
        self.kept = []
        self.next_id = 0

    def strikes(self):
        """Return whether it is time; call it only where the bug would show."""
        self.strikes_at -= 1
        if self.struck or self.strikes_at >= 0:
            return False
        self.struck = True
        return True

    # -- a publisher that does what it should ---------------------------------------------------

    def publish(self, topic, ack="buffered"):
        lane = LANES[topic]
        payload = b"n%d and more" % len(self.calls)
        queue, counts = self.queues[lane], self.counts[lane]
        taken = True
        if len(queue) >= self.room:
            if lane == "HIGH":
                taken = False
            else:
                self.drop(lane, queue.popleft())
        message = Published(topic=topic, payload=payload, lane=lane, taken=taken, ack=ack)
        self.calls.append(message)
        counts["published" if taken else "refused"] += 1
        if taken:
            queue.append(message)
        else:
            self.refuse(message)

    def refuse(self, message):
        """Do nothing with what was not taken."""

    def drop(self, lane, message):
        self.counts[lane]["dropped"] += 1
        self.tell(message, False)

    def tell(self, message, accepted):
        if message.ack != "buffered":
            self.outcomes[message.identity] = OUTCOMES[accepted]

    def take(self, count):
        for lane in ("HIGH", "NORMAL"):
            queue = self.queues[lane]
            yield from (queue.popleft() for _ in range(min(count, len(queue))))

    def send(self, count):
        for message in self.take(count):
            self.deliver(message)

    def deliver(self, message):
        self.store(message)
        self.settle(message, "acknowledged", True)

    def settle(self, message, what, accepted):
        self.counts[message.lane][what] += 1
        self.tell(message, accepted)

    def store(self, message, payload=None, topic=None, key=None):
        self.next_id += 1
        entry = Stored(
            (self.next_id, 0),
            (topic or message.topic).encode(),
            message.payload if payload is None else payload,
        )
        self.streams[key or key_of(message.topic)].append(entry)

    def lose_an_answer(self, arrived):
        """Send messages of which nobody can tell whether they are there."""
        for message in self.take(1):
            if arrived:
                self.store(message)
            self.settle(message, "indeterminate", None)

    def look(self):
        self.looks.append({key: list(entries) for key, entries in self.streams.items()})

    def trim(self):
        """Remove the oldest entry of each stream, once it was seen."""
        self.look()
        lost = {}
        for key, entries in self.streams.items():
            lost[key] = [entry.identity for entry in entries[:1]]
            del entries[:1]
        return lost

    def close(self):
        for queue in self.queues.values():
            while queue:
                self.settle(queue.popleft(), "abandoned", False)

    # -- what the checker gets ------------------------------------------------------------------

    def account(self):
        names = set(Counters.__dataclass_fields__)
        return Account(
            lanes={
                lane: Counters(
                    queued=len(self.queues[lane]),
                    **{name: count for name, count in self.counts[lane].items() if name in names},
                )
                for lane in ("HIGH", "NORMAL")
            }
        )

    def report(self, allowed=()):
        published = [
            Published(
                topic=call.topic,
                payload=call.payload,
                lane=call.lane,
                taken=call.taken,
                ack=call.ack,
                outcome=self.outcomes.get(call.identity, ""),
            )
            for call in self.calls
        ]
        return check(
            published,
            self.streams,
            {"": self.account()},
            key_of=key_of,
            looks=self.looks,
            kept=self.kept,
            allowed=allowed,
        )


# -- bugs ----------------------------------------------------------------------------------------


class DropsOne(Bus):
    finds = frozenset({"lost", "acknowledged but absent"})

    def store(self, message, **options):
        if not self.strikes():
            super().store(message, **options)


class ForgetsOne(Bus):
    """Takes a batch from its lane and loses it at a reconnect: neither sent nor counted."""

    finds = frozenset({"lost", "miscounted"})

    def deliver(self, message):
        if not self.strikes():
            super().deliver(message)


class DoublesOne(Bus):
    finds = frozenset({"doubled"})

    def store(self, message, **options):
        super().store(message, **options)
        if self.strikes():
            super().store(message, **options)


class SwapsTwo(Bus):
    finds = frozenset({"out of order"})

    def store(self, message, **options):
        super().store(message, **options)
        entries = self.streams[key_of(message.topic)]
        if len(entries) > 1 and self.strikes():
            one, other = entries[-2:]
            entries[-2:] = [
                Stored(one.entry_id, other.topic, other.payload),
                Stored(other.entry_id, one.topic, one.payload),
            ]


class AcknowledgesBeforeSending(Bus):
    """Tells the caller, and ends before it has sent."""

    finds = frozenset({"acknowledged but absent"})

    def deliver(self, message):
        if message.ack != "buffered" and self.strikes():
            self.counts[message.lane]["abandoned"] += 1
            self.tell(message, True)
        else:
            super().deliver(message)


class CountsTwice(Bus):
    finds = frozenset({"miscounted", "acknowledged but absent"})

    def settle(self, message, what, accepted):
        super().settle(message, what, accepted)
        if what == "acknowledged" and self.strikes():
            self.counts[message.lane][what] += 1


class CountsNothing(Bus):
    finds = frozenset({"miscounted"})

    def settle(self, message, what, accepted):
        if self.strikes():
            self.tell(message, accepted)
        else:
            super().settle(message, what, accepted)


class CountsForAnotherLane(Bus):
    finds = frozenset({"miscounted", "acknowledged but absent"})

    def settle(self, message, what, accepted):
        if what == "acknowledged" and self.strikes():
            other = "NORMAL" if message.lane == "HIGH" else "HIGH"
            self.counts[other][what] += 1
            self.tell(message, accepted)
        else:
            super().settle(message, what, accepted)


class CallsItDropped(Bus):
    """Sends a message and counts it as dropped; the sum is right."""

    finds = frozenset({"miscounted"})

    def settle(self, message, what, accepted):
        wrong = what == "acknowledged" and message.ack == "buffered" and self.strikes()
        super().settle(message, "dropped" if wrong else what, accepted)


class WritesWhatNobodyPublished(Bus):
    finds = frozenset({"phantom"})

    def store(self, message, **options):
        super().store(message, **options)
        if self.strikes():
            super().store(message, payload=b"phantom of something")


class SendsAgainWhatWasTrimmed(Bus):
    finds = frozenset({"doubled"})

    def store(self, message, **options):
        super().store(message, **options)
        self.look()
        if self.strikes():
            self.streams[key_of(message.topic)].pop()
            super().store(message, **options)


class WritesToAnotherStream(Bus):
    finds = frozenset({"wrong stream"})

    def store(self, message, **options):
        other = TOPICS[(TOPICS.index(message.topic) + 1) % len(TOPICS)]
        super().store(message, key=key_of(other) if self.strikes() else None)


class SaysAnotherTopic(Bus):
    finds = frozenset({"altered"})

    def store(self, message, **options):
        super().store(message, topic="data.other" if self.strikes() else None)


class CutsAPayload(Bus):
    finds = frozenset({"altered"})

    def store(self, message, **options):
        super().store(message, payload=message.payload[:-1] if self.strikes() else None)


class CutsAnIdentity(Bus):
    finds = frozenset({"phantom", "lost"})

    def store(self, message, **options):
        super().store(message, payload=b"" if self.strikes() else None)


class DeniesWhatItSent(Bus):
    """Tells who waits that a message will never be there, and it is."""

    finds = frozenset({"there against its outcome"})

    def deliver(self, message):
        super().deliver(message)
        if message.ack != "buffered" and self.strikes():
            self.tell(message, False)


class SendsWhatItRefused(Bus):
    finds = frozenset({"refused but there"})

    def refuse(self, message):
        if self.strikes():
            self.store(message)


class KeepsWhatNobodyPublished(Bus):
    finds = frozenset({"phantom"})

    def close(self):
        super().close()
        if self.strikes():
            self.kept.append(b"phantom in the journal")


class KeepsOneTwice(Bus):
    finds = frozenset({"doubled"})

    def close(self):
        super().close()
        if self.calls and self.strikes():
            self.kept += [self.calls[0].payload] * 2


class KeepsAPart(Bus):
    finds = frozenset({"altered"})

    def close(self):
        super().close()
        if self.calls and self.strikes():
            self.kept.append(self.calls[0].payload[:-1])


BUGS = Bus.__subclasses__()

STEP = st.one_of(
    st.tuples(
        st.just("publish"), st.sampled_from(TOPICS), st.sampled_from(["buffered", "accepted"])
    ),
    st.tuples(st.just("send"), st.integers(1, 5)),
    st.tuples(st.just("look")),
)
LOST_ANSWER = st.tuples(st.just("lose_an_answer"), st.booleans())


def run(bus, steps):
    for name, *arguments in steps:
        getattr(bus, name)(*arguments)


def always(bus):
    """Do something of everything, so that any bug has its chance."""
    for _ in range(3):
        for topic in TOPICS:
            bus.publish(topic, "accepted")
        bus.send(10)
    for _ in range(bus.room + 1):
        bus.publish(TOPICS[0])
    bus.send(bus.room)
    bus.close()


@given(
    steps=st.lists(st.one_of(STEP, LOST_ANSWER), max_size=60),
    room=st.integers(1, 8),
    closes=st.booleans(),
)
def test_a_publisher_without_a_bug_gives_no_finding(steps, room, closes):
    bus = Bus(room)
    run(bus, steps)
    if closes:
        bus.close()
    report = bus.report()
    assert report.is_clean, str(report)
    assert report.indeterminate == sum(lane["indeterminate"] for lane in bus.counts.values())


def test_there_are_more_than_ten_bugs():
    assert len(BUGS) > 10


# Without lost answers: as many messages as are indeterminate may be lost without a trace, which
# is why a report says how many there are.
@pytest.mark.parametrize("bug", BUGS)
@settings(max_examples=25)
@given(steps=st.lists(STEP, max_size=40), room=st.integers(1, 8), strikes_at=st.integers(0, 6))
def test_a_planted_bug_is_found(bug, steps, room, strikes_at):
    bus = bug(room, strikes_at)
    run(bus, steps)
    always(bus)
    if not bus.struck:
        # Its last chance was too early for it.
        bus.strikes_at = 0
        always(bus)
    assert bus.struck
    report = bus.report()
    assert report.kinds & bug.finds, str(report)


# -- what a fault may do -------------------------------------------------------------------------


def published_bus(count=20, ack="buffered"):
    bus = Bus()
    for number in range(count):
        bus.publish(TOPICS[number % 2], ack)
    bus.send(count)
    return bus


def cut(bus, key, begin, end):
    del bus.streams[key][begin:end]


@given(kept=st.integers(0, 10), other=st.integers(0, 10))
def test_a_tail_may_be_lost_where_the_rule_says_so(kept, other):
    bus = published_bus()
    rule = MayLose(why="failover", of=identities(bus.streams), part="back")
    cut(bus, key_of(TOPICS[0]), kept, None)
    cut(bus, key_of(TOPICS[1]), other, None)
    report = bus.report([rule])
    assert report.is_clean, str(report)
    assert report.allowed_count("lost") == 20 - kept - other
    assert bool(bus.report().kinds & {"lost"}) == (kept + other < 20)


@pytest.mark.parametrize(
    ("part", "spared", "begin", "end", "admitted"),
    [
        ("back", 0, 5, 10, True),
        ("back", 0, 5, 9, False),  # the last is there
        ("back", 1, 5, 9, True),  # it was in flight
        ("back", 1, 5, 8, False),
        ("front", 0, 0, 4, True),
        ("front", 0, 1, 4, False),  # the first is there
        ("front", 9, 1, 4, False),
    ],
)
def test_a_loss_has_the_shape_that_the_rule_says(part, spared, begin, end, admitted):
    bus = published_bus()
    rule = MayLose(why="a fault", of=identities(bus.streams), part=part, spared=spared)
    cut(bus, key_of(TOPICS[0]), begin, end)
    assert bus.report([rule]).is_clean == admitted


def test_a_hole_in_a_tail_that_was_lost_is_found():
    bus = published_bus()
    rule = MayLose(why="failover", of=identities(bus.streams), part="back", spared=2)
    entries = bus.streams[key_of(TOPICS[0])]
    del entries[8]
    del entries[5:7]
    assert "lost" in bus.report([rule]).kinds


def test_what_the_old_server_never_had_is_lost_whatever_the_rule():
    bus = published_bus()
    had = identities(bus.streams)
    bus.publish(TOPICS[0])
    bus.send(1)
    cut(bus, key_of(TOPICS[0]), 8, None)
    rule = MayLose(why="failover", of=had, part="back")
    report = bus.report([rule])
    assert report.kinds == {"lost", "acknowledged but absent"}
    assert report.allowed_count("lost") == 2


@pytest.mark.parametrize("ack", ["buffered", "accepted", "replicated", "fsynced"])
@pytest.mark.parametrize("protects", [(), ("replicated",), ("accepted", "fsynced")])
def test_a_rule_does_not_cover_the_levels_that_protect(ack, protects):
    bus = published_bus(ack=ack)
    rule = MayLose(why="failover", of=identities(bus.streams), part="back", protects=protects)
    cut(bus, key_of(TOPICS[0]), 5, None)
    report = bus.report([rule])
    assert report.is_clean == (ack not in protects)
    if not report.is_clean:
        assert "acknowledged but absent" in report.kinds


def test_what_was_not_confirmed_is_no_more_than_accepted():
    bus = published_bus(ack="replicated")
    bus.outcomes = dict.fromkeys(bus.outcomes, "not confirmed")
    had = identities(bus.streams)
    cut(bus, key_of(TOPICS[0]), 5, None)
    for protects, clean in ((("replicated",), True), (("accepted",), False)):
        rule = MayLose(why="failover", of=had, part="back", protects=protects)
        assert bus.report([rule]).is_clean == clean


def test_what_was_trimmed_after_it_was_seen_is_not_doubled():
    bus = published_bus()
    had = bus.trim()
    report = bus.report([MayLose(why="trimmed", of=had, part="front")])
    assert report.is_clean, str(report)


def test_two_writers_may_change_the_order_and_nothing_else():
    bus = SwapsTwo(strikes_at=0)
    always(bus)
    report = bus.report([MayDisorder(why="two writers")])
    assert report.is_clean
    assert report.allowed_count("out of order") == 1
    bus = DoublesOne(strikes_at=0)
    always(bus)
    assert not bus.report([MayDisorder(why="two writers")]).is_clean


def test_what_a_journal_keeps_is_not_lost():
    bus = published_bus()
    victim = bus.streams[key_of(TOPICS[0])].pop()
    bus.counts["HIGH"]["acknowledged"] -= 1
    bus.counts["HIGH"]["published"] -= 1
    assert "lost" in bus.report().kinds
    bus.kept.append(victim.payload)
    assert "lost" not in bus.report().kinds


def test_a_publisher_that_gives_no_account_is_found():
    message = Published(topic=TOPICS[0], payload=b"1 ", lane="HIGH", publisher="other")
    held = {key_of(TOPICS[0]): [Stored((1, 0), TOPICS[0].encode(), b"1 ")]}
    assert check([message], held, {}, key_of=key_of).kinds == {"no account"}
    account = {"other": Account(lanes={})}
    assert "no account" in check([message], held, account, key_of=key_of).kinds


def test_of_one_that_was_killed_all_that_no_rule_covers_is_lost():
    messages = [Published(topic=TOPICS[0], payload=b"%d " % at, lane="HIGH") for at in range(3)]
    held = {key_of(TOPICS[0]): [Stored((1, 0), TOPICS[0].encode(), b"0 ")]}
    report = check(messages, held, {"": None}, key_of=key_of)
    assert [(finding.kind, finding.count) for finding in report.findings] == [("lost", 2)]
    rule = MayLose(why="killed", of={key_of(TOPICS[0]): [b"0", b"1", b"2"]}, part="back")
    assert check(messages, held, {"": None}, key_of=key_of, allowed=[rule]).is_clean
    kept = [b"1 ", b"2 "]
    assert check(messages, held, {"": None}, key_of=key_of, kept=kept).is_clean


def test_two_messages_that_cannot_be_told_apart_are_refused():
    message = Published(topic=TOPICS[0], payload=b"1 ", lane="HIGH")
    with pytest.raises(ValueError, match="same identity"):
        check([message, message], {}, {"": Account(lanes={})}, key_of=key_of)


def test_a_report_says_what_and_where():
    bus = DropsOne()
    always(bus)
    text = str(bus.report())
    assert "lost x 1 (HIGH): n0" in text
    assert "acknowledged but absent" in text


def test_the_streams_of_a_server_are_read_whole(store):
    pipe = store.pipeline()
    for number in range(5_001):
        pipe.xadd("s:t", {"topic": "t", "payload": b"%d \xff" % number}, id=f"7-{number + 1}")
    pipe.set("not a stream", "")
    pipe.execute()
    found = read_streams(store)
    assert list(found) == ["s:t"]
    assert len(found["s:t"]) == 5_001
    assert found["s:t"][5_000] == Stored((7, 5_001), b"t", b"5000 \xff")
