"""Conflation: the latest quote survives, the rest is counted, nothing is lost to a race."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.live.conflation import QuoteConflator
from nautilus_enhanced.live.conflation import feeds_only_strategies


class Quote:
    """As much of a quote as conflation looks at."""

    __slots__ = ("instrument_id", "number", "ts_init")

    def __init__(self, instrument_id: str, number: int) -> None:
        self.instrument_id = instrument_id
        self.number = number
        self.ts_init = number


def test_a_newer_quote_takes_the_place_of_the_one_that_waits():
    posted = []
    conflator = QuoteConflator(posted.append)
    for number in range(5):
        conflator.offer(Quote("A", number))
    conflator.offer(Quote("B", 9))
    assert [slot.instrument_id for slot in posted] == ["A", "B"]
    assert posted[0].ts_init == 4
    assert [conflator.take(slot).number for slot in posted] == [4, 9]
    assert conflator.conflated == 4
    assert posted[0].ts_init == 0


def test_after_it_was_taken_the_next_quote_gets_a_new_place():
    posted = []
    conflator = QuoteConflator(posted.append)
    conflator.offer(Quote("A", 1))
    assert conflator.take(posted[0]).number == 1
    conflator.offer(Quote("A", 2))
    assert len(posted) == 2
    assert conflator.conflated == 0


@given(st.lists(st.one_of(st.sampled_from("ABC"), st.none()), max_size=60))
def test_every_quote_is_delivered_or_counted_and_the_last_of_each_instrument_is_delivered(steps):
    lane, delivered, offered = [], [], []
    conflator = QuoteConflator(lane.append)
    for number, step in enumerate(steps):
        if step is None:
            if lane:
                delivered.append(conflator.take(lane.pop(0)))
        else:
            offered.append(Quote(step, number))
            conflator.offer(offered[-1])
    delivered += [conflator.take(slot) for slot in lane]
    assert len(delivered) + conflator.conflated == len(offered)
    last = {quote.instrument_id: quote.number for quote in offered}
    for instrument_id, number in last.items():
        numbers = [quote.number for quote in delivered if quote.instrument_id == instrument_id]
        assert numbers == sorted(numbers)
        assert numbers[-1] == number


def test_no_quote_is_lost_or_doubled_between_offering_threads_and_the_one_that_takes():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    lane, delivered = [], []
    conflator = QuoteConflator(lane.append)
    per_thread, threads_count = 4_000, 3
    done = threading.Event()

    def offer(thread: int) -> None:
        for number in range(per_thread):
            conflator.offer(Quote(f"I{number % 2}", thread * per_thread + number))

    def take() -> None:
        while not done.is_set() or lane:
            if lane:
                quote = conflator.take(lane.pop(0))
                if quote is not None:
                    delivered.append(quote.number)

    taker = threading.Thread(target=take)
    threads = [threading.Thread(target=offer, args=(i,)) for i in range(threads_count)]
    try:
        for thread in (taker, *threads):
            thread.start()
        for thread in threads:
            thread.join(30)
        done.set()
        taker.join(30)
    finally:
        sys.setswitchinterval(interval)
    assert not taker.is_alive()
    assert max(Counter(delivered).values()) == 1
    assert len(delivered) + conflator.conflated == per_thread * threads_count


class Owner:
    def on_quote(self, quote) -> None:
        pass


@pytest.mark.parametrize(
    ("handlers", "allowed"),
    [
        ([], True),
        ([Owner().on_quote], True),
        ([Owner().on_quote, SimpleNamespace().__init__], False),
        ([lambda quote: None], False),
    ],
)
def test_one_subscriber_that_needs_every_quote_is_enough_to_refuse(handlers, allowed):
    subscriptions = [SimpleNamespace(handler=handler) for handler in handlers]
    assert feeds_only_strategies(subscriptions, lambda o: isinstance(o, Owner)) is allowed
