"""NautilusTrader's own clients for Binance's USDT futures on the loopback venue, on either bus."""

import importlib.util

import pytest
from binance_play import BUSES
from binance_play import once
from binance_play import outcomes


ACCEPTED = ["OrderInitialized", "OrderSubmitted", "OrderAccepted"]
ENDING = ["OrderPendingCancel", "OrderCanceled"]
TAKEN = "OrderFilled 0.1 TAKER"
# 1.221 sends stop orders where Binance takes them no longer.
HAS_STOPS = bool(importlib.util.find_spec("nautilus_trader.adapters.binance.websocket.user"))


@pytest.fixture(params=BUSES)
def outcome(request):
    return outcomes("futures")[request.param] | {"bus": request.param}


def test_the_bus_is_the_one_that_was_asked_for(outcome):
    expected = [] if outcome["bus"] == "stock" else ["dispatch", "serializer"]
    assert outcome["trade"]["active"] == outcome["again"]["active"] == expected


def test_the_instrument_is_a_perpetual_contract(outcome):
    assert outcome["trade"]["instrument"] == ["CryptoPerpetual", "0.01", "0.1"]
    assert outcome["trade"]["balances"] == ["USDT"]


def test_the_book_that_is_built_from_deltas_is_never_crossed(outcome):
    trade = outcome["trade"]
    assert trade["crossed_books"] == trade["crossed_books_after"] == 0


@pytest.mark.parametrize(
    ("order", "events"),
    [
        ("1", [*ACCEPTED, "OrderPendingUpdate", "OrderUpdated", *ENDING]),
        ("2", [*ACCEPTED, "OrderFilled 0.1 MAKER", "OrderFilled 0.1 MAKER"]),
        ("6", [*ACCEPTED, "OrderExpired"]),
        ("9", [*ACCEPTED, *ENDING]),
        ("10", [*ACCEPTED, *ENDING]),
        ("11", ACCEPTED),
    ],
    ids=[
        "changed and canceled",
        "partly filled",
        "at once or not at all",
        "events come late",
        "after dropped sockets",
        "left open",
    ],
)
def test_the_events_of_an_order(outcome, order, events):
    found = outcome["trade"]["events"][order]
    assert (once(found) if order == "10" else found) == events


def test_a_stop_order_waits_and_is_filled_at_the_market(outcome):
    stop, market = (outcome["trade"]["events"][order] for order in ("3", "4"))
    if HAS_STOPS:
        assert (stop[:3], stop[-1]) == (ACCEPTED, TAKEN)
        assert market == [*ACCEPTED, TAKEN, TAKEN]
    else:
        assert "-4120" in stop[-1]
        assert market == [*ACCEPTED, TAKEN, TAKEN, TAKEN]


@pytest.mark.parametrize(
    ("order", "code"),
    [("5", "-5022"), ("7", "-2010"), ("8", "-1003")],
    ids=["crossing", "rejected on demand", "rate limit on demand"],
)
def test_rejects_have_binance_s_codes(outcome, order, code):
    *_, rejected = outcome["trade"]["events"][order]
    assert rejected.startswith("OrderRejected")
    assert code in rejected


def test_both_nodes_have_the_position_of_the_fills(outcome):
    assert outcome["trade"]["positions"] == ["-0.1"]
    assert outcome["again"]["positions_at_start"] == ["-0.1"]


def test_a_node_that_starts_again_finds_the_open_order_and_can_cancel_it(outcome):
    again = outcome["again"]
    assert again["open_at_start"] == [["LIMIT", "0.1", "41000.00", "ACCEPTED"]]
    assert again["events"] == {"11": ENDING}
    assert outcome["open"] == []


def test_the_venue_counted_the_same(outcome):
    venue = outcome["venue"]
    taken = (venue["orders_accepted"], venue["orders_rejected"])
    assert taken == ((8, 1) if HAS_STOPS else (7, 2))
    assert venue["amends"] == 1
    assert (venue["fills"], venue["cancels"], venue["expired"]) == (5, 4, 1)


@pytest.mark.parametrize("session", ["trade", "again"])
def test_each_order_has_the_same_events_on_both_buses(session):
    stock, enhanced = (dict(outcomes("futures")[bus][session]["events"]) for bus in BUSES)
    for events in (stock, enhanced):
        # What the client makes of the two messages about one triggered order depends on whether
        # the event of the first has been applied when it reads the second: on either bus.
        if "3" in events:
            events["3"] = [events["3"][:3], events["3"][-1]]
        if "10" in events:
            events["10"] = once(events["10"])
    assert enhanced == stock
