import itertools
from decimal import Decimal

import pytest

from nautilus_enhanced.sandbox import GeneratedMarket
from nautilus_enhanced.sandbox import MarketSource
from nautilus_enhanced.sandbox import Quote
from nautilus_enhanced.sandbox import Trade


def take(market, count):
    return list(itertools.islice(market, count))


def test_it_is_a_market_source():
    assert isinstance(GeneratedMarket(), MarketSource)


def test_the_same_seed_gives_the_same_events():
    first, second = GeneratedMarket(seed=7, burst_size=20), GeneratedMarket(seed=7, burst_size=20)
    assert take(first, 500) == take(second, 500) == take(first, 500)
    assert take(first, 500) != take(GeneratedMarket(seed=8, burst_size=20), 500)


def test_events_are_in_time_order_and_on_the_grid():
    market = GeneratedMarket(quotes_per_s=100, trades_per_s=50, burst_size=30, burst_interval_s=0.5)
    events = take(market, 3000)
    assert all(a.due_ns <= b.due_ns for a, b in itertools.pairwise(events))
    for event in events:
        prices = (event.bid, event.ask) if isinstance(event, Quote) else (event.price,)
        assert all(price % market.instrument.tick_size == 0 for price in prices)
        if isinstance(event, Quote):
            assert 0 < event.bid < event.ask


def test_rates_are_what_they_say():
    events = list(
        itertools.takewhile(
            lambda e: e.due_ns < 20e9, GeneratedMarket(quotes_per_s=100, trades_per_s=10)
        )
    )
    quotes = sum(isinstance(e, Quote) for e in events)
    trades = sum(isinstance(e, Trade) for e in events)
    assert 1700 < quotes < 2300
    assert 140 < trades < 260


def test_a_burst_is_due_at_once_and_crosses_both_sides():
    market = GeneratedMarket(quotes_per_s=0, trades_per_s=0, burst_size=200, burst_reach_ticks=20)
    burst = take(market, 200)
    assert {e.due_ns for e in burst} == {1_000_000_000}
    tick = market.instrument.tick_size
    assert min(e.ask for e in burst) <= market.start_price - 15 * tick
    assert max(e.bid for e in burst) >= market.start_price + 15 * tick
    assert burst[-1].bid == market.start_price


def test_the_walk_stays_within_its_bound():
    market = GeneratedMarket(quotes_per_s=1000, trades_per_s=0, bound_ticks=3)
    reach = 3 * market.instrument.tick_size
    assert all(abs(e.bid - market.start_price) <= reach for e in take(market, 5000))


def test_without_rates_there_are_no_events():
    assert take(GeneratedMarket(quotes_per_s=0, trades_per_s=0), 1) == []


@pytest.mark.parametrize(
    "setting",
    [
        {"quotes_per_s": -1},
        {"trades_per_s": float("nan")},
        {"burst_size": -1},
        {"burst_interval_s": 0},
        {"bound_ticks": 0},
        {"start_price": Decimal("0.001")},
        {"start_price": Decimal("1.00")},
    ],
)
def test_settings_out_of_range_are_named(setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        GeneratedMarket(**setting)
