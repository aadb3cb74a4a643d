from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.sandbox.book import DEPTH_LEVELS
from nautilus_enhanced.sandbox.book import Book
from nautilus_enhanced.sandbox.book import BookFeed
from nautilus_enhanced.sandbox.market import Quote


TICK = Decimal("0.5")
quotes = st.builds(
    lambda bid, spread, bid_size, ask_size: Quote(
        due_ns=0,
        bid=bid * TICK,
        ask=(bid + spread) * TICK,
        bid_size=Decimal(bid_size),
        ask_size=Decimal(ask_size),
    ),
    st.integers(1, 60),
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(1, 5),
)


def applied(levels, changes):
    kept = dict(levels) | dict(changes)
    return {price: size for price, size in kept.items() if size}


@pytest.mark.parametrize("max_quotes", [2, 1024])
@given(events=st.lists(quotes, min_size=1, max_size=40), data=st.data())
def test_a_copy_that_follows_the_diffs_is_the_book(max_quotes, events, data):
    """As clients do it: they subscribe first, and take a snapshot at any time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nautilus_enhanced.sandbox.book.MAX_QUOTES", max_quotes)
        follow(events, data)


def follow(events, data):
    book = Book(TICK)
    late = data.draw(st.integers(0, len(events) - 1))
    for event in events[:late]:
        book.on_quote(event)
    feed = BookFeed(book)
    diffs, snapshot = [], None
    for number, event in enumerate(events[late:], start=late):
        if snapshot is None and data.draw(st.booleans()):
            snapshot = book.snapshot()
        book.on_quote(event)
        feed.on_quote(event)
        if data.draw(st.booleans()) or number == len(events) - 1:
            diffs.append(feed.diff())
    if snapshot is None:
        snapshot = book.snapshot()
    bids, asks, last_id = dict(snapshot.bids), dict(snapshot.asks), snapshot.update_id
    for diff in diffs:
        if diff.last_id > last_id:
            assert diff.first_id <= last_id + 1
            bids, asks = applied(bids, diff.bids), applied(asks, diff.asks)
            last_id = diff.last_id
    now = book.snapshot()
    assert (bids, asks) == (dict(now.bids), dict(now.asks))
    assert last_id == now.update_id


def test_a_book_has_levels_best_first_and_none_below_zero():
    book = Book(TICK)
    feed = BookFeed(book)
    assert book.snapshot().bids == []
    assert feed.diff() is None
    first = Quote(due_ns=0, bid=TICK * 3, ask=TICK * 4, bid_size=Decimal(1), ask_size=Decimal(2))
    book.on_quote(first)
    feed.on_quote(first)
    levels = book.snapshot()
    assert [price for price, _ in levels.bids] == [TICK * 3, TICK * 2, TICK]
    assert len(levels.asks) == DEPTH_LEVELS
    assert feed.diff().last_id == 1
    assert feed.diff() is None
