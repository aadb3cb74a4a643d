"""NautilusTrader's own Binance spot clients on the loopback venue, on either bus."""

import pytest
from binance_play import BUSES
from binance_play import once
from binance_play import outcomes


ACCEPTED = ["OrderInitialized", "OrderSubmitted", "OrderAccepted"]
CANCELED = [*ACCEPTED, "OrderPendingCancel", "OrderCanceled"]
REJECTED = ["OrderInitialized", "OrderSubmitted"]


@pytest.fixture(params=BUSES)
def outcome(request):
    return outcomes("spot")[request.param] | {"bus": request.param}


def test_the_bus_is_the_one_that_was_asked_for(outcome):
    expected = [] if outcome["bus"] == "stock" else ["dispatch", "serializer"]
    assert outcome["trade"]["active"] == outcome["again"]["active"] == expected


def test_the_instrument_is_the_venue_s(outcome):
    assert outcome["trade"]["instrument"] == ["CurrencyPair", "0.01", "0.1"]
    assert outcome["trade"]["balances"] == ["BTC", "USDT"]


def test_the_book_that_is_built_from_deltas_is_never_crossed(outcome):
    trade = outcome["trade"]
    assert trade["crossed_books"] == trade["crossed_books_after"] == 0


@pytest.mark.parametrize(
    ("order", "events"),
    [
        ("1", CANCELED),
        ("2", [*ACCEPTED, "OrderFilled 0.1 MAKER", "OrderFilled 0.1 MAKER"]),
        ("3", [*ACCEPTED, "OrderFilled 0.1 TAKER"]),
        ("4", [*ACCEPTED, *["OrderFilled 0.1 TAKER"] * 2]),
        ("6", [*ACCEPTED, "OrderExpired"]),
        ("11", ACCEPTED),
    ],
    ids=["canceled", "partly filled", "stop", "at the market", "at once or not", "left open"],
)
def test_the_events_of_an_order(outcome, order, events):
    assert outcome["trade"]["events"][order] == events


@pytest.mark.parametrize(
    ("order", "code", "said"),
    [
        ("5", "-2010", "would immediately match"),
        ("7", "-2010", "told to"),
        ("8", "-1003", "Too many requests"),
    ],
    ids=["crossing", "rejected on demand", "rate limit on demand"],
)
def test_rejects_have_binance_s_codes(outcome, order, code, said):
    *before, rejected = outcome["trade"]["events"][order]
    assert before == REJECTED
    assert rejected.startswith("OrderRejected")
    assert code in rejected
    assert said in rejected


def test_a_delayed_event_arrives_and_garbage_does_no_harm(outcome):
    assert outcome["trade"]["events"]["9"] == CANCELED
    assert [fault["happened"] for fault in outcome["faults"]] == [1] * 4


def test_dropped_sockets_come_back_and_orders_live_on(outcome):
    # `binance_node.py` waits for market data and for user data after each drop.
    assert all(outcome["trade"]["dropped"])
    assert once(outcome["trade"]["events"]["10"]) == CANCELED


def test_a_node_that_starts_again_finds_the_open_order_and_can_cancel_it(outcome):
    again = outcome["again"]
    assert again["open_at_start"] == [["LIMIT", "0.1", "41000.00", "ACCEPTED"]]
    assert again["events"] == {"11": ["OrderPendingCancel", "OrderCanceled"]}
    assert outcome["open"] == []


def test_the_venue_counted_the_same(outcome):
    venue = outcome["venue"]
    assert venue["orders_accepted"] == 8
    assert venue["orders_rejected"] == 1
    assert (venue["fills"], venue["cancels"], venue["expired"]) == (5, 4, 1)
    assert venue["slow_readers"] == venue["delayed"] == 0


@pytest.mark.parametrize("session", ["trade", "again"])
def test_each_order_has_the_same_events_on_both_buses(session):
    stock, enhanced = (dict(outcomes("spot")[bus][session]["events"]) for bus in BUSES)
    for events in (stock, enhanced) if session == "trade" else ():
        events["10"] = once(events["10"])
    assert enhanced == stock
