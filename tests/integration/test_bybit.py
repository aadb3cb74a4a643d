"""
NautilusTrader's own clients for Bybit on the loopback venues, on either bus.

NautilusTrader 1.221's are others, in Python throughout, and are not run here.
"""

import nautilus_trader
import pytest


if nautilus_trader.__version__.startswith("1.221."):
    pytest.skip("Bybit's clients of 1.221 are others: not run", allow_module_level=True)

from bybit_play import BUSES
from bybit_play import outcomes


ACCEPTED = ["OrderInitialized", "OrderSubmitted", "OrderAccepted"]
ENDING = ["OrderPendingCancel", "OrderCanceled"]
TAKEN = "OrderFilled 0.1 TAKER"
PLAYS = [(product, bus) for product, buses in BUSES.items() for bus in buses]
FEATURES = {
    "stock": [],
    "enhanced": ["adapters", "dispatch", "serializer"],
    # The option is off: the factories alone have the clients observed.
    "factories": ["dispatch", "serializer"],
}


@pytest.fixture(params=PLAYS, ids="-".join)
def outcome(request):
    product, bus = request.param
    return outcomes(product)[bus] | {"product": product, "bus": bus}


def test_the_bus_is_the_one_that_was_asked_for(outcome):
    assert outcome["trade"]["active"] == outcome["again"]["active"] == FEATURES[outcome["bus"]]


def test_the_instrument_is_the_product_s(outcome):
    is_spot = outcome["product"] == "spot"
    kind = "CurrencyPair" if is_spot else "CryptoPerpetual"
    assert outcome["trade"]["instrument"] == [kind, "0.01", "0.1"]
    assert outcome["trade"]["balances"] == (["BTC", "USDT"] if is_spot else ["USDT"])


def test_the_book_that_is_built_from_deltas_is_never_crossed(outcome):
    trade = outcome["trade"]
    assert trade["crossed_books"] == trade["crossed_books_after"] == 0


def test_sockets_that_were_cut_come_back(outcome):
    # The order after it, and market data, are waited for by the node.
    assert outcome["trade"]["dropped"] == [1, 1]
    assert outcome["trade"]["events"]["10"] == [*ACCEPTED, *ENDING]


@pytest.mark.parametrize(
    ("order", "events"),
    [
        ("1", [*ACCEPTED, "OrderPendingUpdate", "OrderUpdated", *ENDING]),
        ("2", [*ACCEPTED, "OrderFilled 0.1 MAKER", "OrderFilled 0.1 MAKER"]),
        ("3", [*ACCEPTED, TAKEN, TAKEN, TAKEN]),
        ("5", [*ACCEPTED, "OrderCanceled"]),
        ("9", [*ACCEPTED, *ENDING]),
        ("11", ACCEPTED),
    ],
    ids=[
        "changed and canceled",
        "filled in parts",
        "at the market",
        "at once or not at all",
        "events come late",
        "left open",
    ],
)
def test_the_events_of_an_order(outcome, order, events):
    assert outcome["trade"]["events"][order] == events


@pytest.mark.parametrize(
    ("order", "linear", "spot"),
    [
        ("4", "EC_PostOnlyWillTakeLiquidity", "EC_PostOnlyWillTakeLiquidity"),
        ("6", "ab not enough for new order", "Insufficient balance."),
        ("7", "Rejected: the venue was told to.", "Rejected: the venue was told to."),
        ("8", "Too many visits.", "Too many visits."),
    ],
    ids=["crossing", "too large", "rejected on demand", "rate limit on demand"],
)
def test_rejects_have_bybit_s_sentences(outcome, order, linear, spot):
    *_, rejected = outcome["trade"]["events"][order]
    sentence = linear if outcome["product"] == "linear" else spot
    assert rejected.startswith(f"OrderRejected {sentence}")


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
    # The two that a fault refused were not looked at.
    taken = (venue["orders_received"], venue["orders_accepted"], venue["orders_rejected"])
    assert taken == (9, 7, 2)
    assert venue["amends"] == 1
    assert (venue["fills"], venue["cancels"], venue["expired"]) == (5, 4, 1)


def test_results_of_margin_commands_arrive_and_are_counted(outcome):
    borrowed = ["BybitMarginBorrowResult", "USDT", "25"]
    status = ["BybitMarginStatusResult", "USDT", "25"]
    assert outcome["trade"]["margin_results"] == [borrowed, status]
    if outcome["bus"] != "stock":
        counts = outcome["trade"]["observed"]["execution"]["counts"]
        assert (counts["BybitMarginBorrowResult"], counts["BybitMarginStatusResult"]) == (1, 1)


def test_what_the_clients_hand_over_is_counted(outcome):
    if outcome["bus"] == "stock":
        assert outcome["trade"]["observed"] == {}
        return
    data, execution = (outcome["trade"]["observed"][side] for side in ("data", "execution"))
    assert (data["errors"], execution["errors"]) == (0, 0)
    assert outcome["trade"]["findings"] == []
    told = execution["counts"]
    names = ["OrderSubmitted", "OrderAccepted", "OrderRejected", "OrderFilled", "OrderCanceled"]
    assert [told[name] for name in names] == [11, 7, 4, 5, 4]
    # The strategy began to listen later, and its last ones came after the figures were read.
    assert abs(data["counts"]["QuoteTick"] - outcome["trade"]["quotes"]) < 200
    assert data["event_times"]["QuoteTick"] == "milliseconds"
    assert execution["reports"] >= 1


@pytest.mark.parametrize(("product", "bus"), [play for play in PLAYS if play[1] != "stock"])
@pytest.mark.parametrize("session", ["trade", "again"])
def test_each_order_has_the_same_events_on_both_buses(product, bus, session):
    found = outcomes(product)
    assert found[bus][session]["events"] == found["stock"][session]["events"]
