from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.sandbox.book import DEPTH_LEVELS
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


@given(st.lists(quotes, min_size=1, max_size=40), st.data())
def test_a_copy_that_follows_the_diffs_is_the_book(events, data):
    """As clients do it: diffs are kept from the first, and a snapshot is taken at any time."""
    feed, whole = BookFeed(TICK), BookFeed(TICK)
    diffs, snapshot = [], None
    for number, event in enumerate(events):
        feed.on_quote(event)
        whole.on_quote(event)
        if snapshot is None and data.draw(st.booleans()):
            snapshot = whole.snapshot()
        if data.draw(st.booleans()) or number == len(events) - 1:
            diffs.append(feed.diff())
    if snapshot is None:
        snapshot = whole.snapshot()
    bids, asks, last_id = dict(snapshot.bids), dict(snapshot.asks), snapshot.update_id
    for diff in diffs:
        if diff.last_id > last_id:
            assert diff.first_id <= last_id + 1
            bids, asks = applied(bids, diff.bids), applied(asks, diff.asks)
            last_id = diff.last_id
    now = whole.snapshot()
    assert (bids, asks) == (dict(now.bids), dict(now.asks))
    assert last_id == now.update_id


def test_a_book_has_levels_best_first_and_none_below_zero():
    feed = BookFeed(TICK)
    assert feed.snapshot().bids == []
    assert feed.diff() is None
    feed.on_quote(
        Quote(due_ns=0, bid=TICK * 3, ask=TICK * 4, bid_size=Decimal(1), ask_size=Decimal(2))
    )
    book = feed.snapshot()
    assert [price for price, _ in book.bids] == [TICK * 3, TICK * 2, TICK]
    assert len(book.asks) == DEPTH_LEVELS
    assert feed.diff().last_id == 1
    assert feed.diff() is None
