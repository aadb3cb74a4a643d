from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from hypothesis.stateful import invariant
from hypothesis.stateful import precondition
from hypothesis.stateful import rule

from nautilus_enhanced.infrastructure.messagebus.streams.consumer.book import Delivery
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.book import DeliveryBook
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.read_stream import ReadStream


SOURCE = ReadStream(b"s", "", appeared=False)
MAX_ATTEMPTS = 3


def pause_s(attempts: int) -> float | None:
    return None if attempts >= MAX_ATTEMPTS else 0.001 * attempts


def delivery(topic: str, number: int = 0) -> Delivery:
    return Delivery(topic, b"%d" % number, SOURCE, b"%d-0" % number, [])


def test_a_topic_waits_for_its_first_message_and_others_do_not() -> None:
    book = DeliveryBook(pause_s)
    a1, a2, b1 = delivery("a", 1), delivery("a", 2), delivery("b", 1)
    book.add([a1, a2, b1])
    assert book.take(0) is a1
    assert book.take(0) is b1
    assert book.take(0) is None
    book.done(a1)
    assert book.take(0) is a2
    assert (book.in_hand, book.in_progress) == (2, 2)


def test_without_order_nothing_waits() -> None:
    book = DeliveryBook(pause_s, ordered=False)
    a1, a2 = delivery("a", 1), delivery("a", 2)
    book.add([a1, a2])
    assert [book.take(0), book.take(0), book.take(0)] == [a1, a2, None]


def test_what_failed_comes_after_its_pause_and_before_what_waited_for_it() -> None:
    book = DeliveryBook(pause_s)
    a1, a2 = delivery("a", 1), delivery("a", 2)
    book.add([a1, a2])
    book.take(0)
    a1.attempts = 1
    assert book.failed(a1, 0)
    assert book.next_due_ns() == 1_000_000
    assert book.take(999_999) is None
    assert book.take(1_000_000) is a1
    assert book.next_due_ns() is None
    book.done(a1)
    assert book.take(0) is a2


def test_what_failed_often_enough_stays_with_who_asked() -> None:
    book = DeliveryBook(pause_s)
    a1 = delivery("a", 1)
    book.add([a1])
    book.take(0)
    a1.attempts = MAX_ATTEMPTS
    assert not book.failed(a1, 0)
    assert book.in_progress == 1
    book.done(a1)
    assert (book.in_hand, book.in_progress) == (0, 0)


def test_what_is_taken_back_is_next() -> None:
    for ordered in (True, False):
        book = DeliveryBook(pause_s, ordered=ordered)
        a1, a2, b1 = delivery("a", 1), delivery("a", 2), delivery("b", 1)
        book.add([a1, a2, b1])
        assert book.take(0) is a1
        book.back(a1)
        assert (book.in_hand, book.in_progress) == (3, 0)
        assert book.take(0) is a1
        book.done(a1)
        assert book.take(0) is a2


class Book(RuleBasedStateMachine):
    """What goes in comes out in the order of its topic, one at a time, until it is done."""

    def __init__(self) -> None:
        super().__init__()
        self.book = DeliveryBook(pause_s)
        self.now_ns = 0
        self.number = 0
        self.expected: dict[str, list[Delivery]] = {"a": [], "b": [], "c": []}
        self.in_progress: list[Delivery] = []

    @rule(topics=st.lists(st.sampled_from("abc"), max_size=8))
    def read(self, topics: list[str]) -> None:
        new = []
        for topic in topics:
            self.number += 1
            new.append(delivery(topic, self.number))
            self.expected[topic].append(new[-1])
        self.book.add(new)

    @rule(step_ns=st.integers(0, 3_000_000))
    def time_passes(self, step_ns: int) -> None:
        self.now_ns += step_ns

    @rule()
    def take(self) -> None:
        taken = self.book.take(self.now_ns)
        if taken is None:
            return
        assert taken.topic not in {other.topic for other in self.in_progress}
        assert taken is self.expected[taken.topic][0]
        taken.attempts += 1
        self.in_progress.append(taken)

    @precondition(lambda self: self.in_progress)
    @rule(data=st.data(), outcome=st.sampled_from(("done", "failed", "back")))
    def end(self, data: st.DataObject, outcome: str) -> None:
        one = self.in_progress.pop(data.draw(st.integers(0, len(self.in_progress) - 1)))
        if outcome == "back":
            one.attempts -= 1
            self.book.back(one)
        elif outcome == "done" or not self.book.failed(one, self.now_ns):
            self.book.done(one)
            self.expected[one.topic].remove(one)

    @invariant()
    def counts_hold(self) -> None:
        assert self.book.in_hand == sum(map(len, self.expected.values()))
        assert self.book.in_progress == len(self.in_progress)

    def teardown(self) -> None:
        for one in self.in_progress:
            self.book.done(one)
            self.expected[one.topic].remove(one)
        while self.book.in_hand:
            self.now_ns += 10_000_000
            taken = self.book.take(self.now_ns)
            assert taken is not None, "something is stuck"
            assert taken is self.expected[taken.topic].pop(0)
            self.book.done(taken)


Book.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestBook = Book.TestCase
