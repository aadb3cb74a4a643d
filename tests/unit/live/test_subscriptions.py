"""The mark of a bus's subscriptions is another one after each change, whatever the change."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.common.component import LiveClock
from nautilus_trader.common.component import MessageBus
from nautilus_trader.test_kit.stubs.identifiers import TestIdStubs

from nautilus_enhanced.live.subscriptions import RememberedAnswers
from nautilus_enhanced.live.subscriptions import SubscriptionWatch


TOPICS = ("data.quotes.SIM.A", "data.*", "events.order.*", "x")


def make_bus() -> MessageBus:
    return MessageBus(trader_id=TestIdStubs.trader_id(), clock=LiveClock())


@given(st.lists(st.lists(st.tuples(st.booleans(), st.sampled_from(TOPICS)), max_size=6)))
def test_the_mark_changes_with_the_subscriptions(turns):
    bus = make_bus()
    watch = SubscriptionWatch(bus)
    bus.subscribe("first", print)
    mark = watch.mark()
    for changes in turns:
        before = bus.subscriptions()
        for adds, topic in changes:
            if adds:
                bus.subscribe(topic, print)
            elif bus.is_subscribed(topic, print):
                bus.unsubscribe(topic, print)
        assert watch.mark() is not None
        if set(bus.subscriptions()) != set(before):
            assert watch.mark() != mark
        if not changes:
            assert watch.mark() == mark
        mark = watch.mark()


def test_on_a_bus_that_nobody_has_subscribed_to_yet_nothing_can_be_told():
    bus = make_bus()
    watch = SubscriptionWatch(bus)
    assert watch.mark() is None
    bus.subscribe("first", print)
    assert watch.mark() is watch.mark() is not None
    bus.unsubscribe("first", print)
    assert watch.mark() is watch.mark() is not None


def test_on_a_bus_that_keeps_its_subscriptions_in_another_way_nothing_can_be_told():
    bus = SimpleNamespace(subscriptions=lambda: ["a subscription"], held={"a subscription": []})
    assert SubscriptionWatch(bus).mark() is None


@pytest.mark.parametrize(("mark", "times"), [("the same", 1), (None, 3)])
def test_an_answer_is_remembered_as_long_as_it_is_known_that_nothing_changed(mark, times):
    asked = []
    answers = RememberedAnswers(lambda i: bool(asked.append(i)) or i == "A", lambda: mark)
    assert [answers.about("A") for _ in range(3)] == [True] * 3
    assert asked == ["A"] * times
    assert not answers.about("B")


def test_after_a_change_it_is_asked_again():
    one, other = object(), object()
    marks = iter([one, one, other])
    asked = []
    answers = RememberedAnswers(lambda i: bool(asked.append(i)), lambda: next(marks))
    for _ in range(3):
        answers.about("A")
    assert asked == ["A", "A"]
