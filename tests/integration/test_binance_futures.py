"""NautilusTrader's own clients for Binance's USDT futures on the loopback venue, on either bus."""

import pytest
from binance_play import BUSES
from binance_play import outcomes


ACCEPTED = ["OrderInitialized", "OrderSubmitted", "OrderAccepted"]
ENDING = ["OrderPendingCancel", "OrderCanceled"]


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
        ("3", [*ACCEPTED, *["OrderFilled 0.1 TAKER"] * 3]),
        ("5", [*ACCEPTED, "OrderExpired"]),
        ("8", [*ACCEPTED, *ENDING]),
        ("9", [*ACCEPTED, *ENDING]),
        ("10", ACCEPTED),
    ],
    ids=[
        "changed and canceled",
        "partly filled",
        "at the market",
        "at once or not at all",
        "events come late",
        "after dropped sockets",
        "left open",
    ],
)
def test_the_events_of_an_order(outcome, order, events):
    assert outcome["trade"]["events"][order] == events


@pytest.mark.parametrize(
    ("order", "code"),
    [("4", "-5022"), ("6", "-2010"), ("7", "-1003")],
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
    assert again["events"] == {"10": ENDING}
    assert outcome["open"] == []


def test_the_venue_counted_the_same(outcome):
    venue = outcome["venue"]
    assert (venue["orders_accepted"], venue["orders_rejected"], venue["amends"]) == (7, 1, 1)
    assert (venue["fills"], venue["cancels"], venue["expired"]) == (5, 4, 1)


@pytest.mark.parametrize("session", ["trade", "again"])
def test_each_order_has_the_same_events_on_both_buses(session):
    stock, enhanced = (outcomes("futures")[bus][session]["events"] for bus in BUSES)
    assert enhanced == stock
