"""NautilusTrader's own OKX clients on the loopback venues, on either bus."""

import pytest
from nautilus_trader.core import nautilus_pyo3
from okx_play import BUSES
from okx_play import outcomes


pytestmark = pytest.mark.skipif(
    not hasattr(nautilus_pyo3, "derive_okx_ws_url"),
    reason="the OKX clients of NautilusTrader 1.221 connect to the real venue's business socket",
)
ALL = [(product, bus) for product, buses in BUSES.items() for bus in buses]
ENHANCED = [(product, bus) for product, bus in ALL if bus != "stock"]
TENTH = {"swap": "10", "spot": "0.1"}
ACCEPTED = ["OrderInitialized", "OrderSubmitted", "OrderAccepted"]
ENDING = ["OrderPendingCancel", "OrderCanceled"]
MAKER_FEE = {"swap": "0.99999020 USDT", "spot": "0.00010000 BTC"}
TAKER_FEES = {
    "swap": ("2.49997500 USDT", "2.49997450 USDT", "2.49997400 USDT"),
    "spot": ("4.99995000 USDT", "4.99994900 USDT", "4.99994800 USDT"),
}


@pytest.fixture(params=ALL, ids="-".join)
def outcome(request):
    product, bus = request.param
    return outcomes(product)[bus] | {"product": product, "bus": bus}


def once(events):
    """
    Return events with the first `OrderAccepted` alone.

    The client makes one of the answer to the request and one of the message about the order, and
    leaves the second out only where the first was applied before: on either bus.
    """
    first = events.index("OrderAccepted") if "OrderAccepted" in events else len(events)
    return events[: first + 1] + [e for e in events[first + 1 :] if e != "OrderAccepted"]


def test_the_bus_is_the_one_that_was_asked_for(outcome):
    expected = {
        "stock": [],
        "enhanced": ["adapters", "dispatch", "serializer"],
        "factories": ["dispatch", "serializer"],
    }[outcome["bus"]]
    assert outcome["trade"]["active"] == outcome["again"]["active"] == expected


def test_the_instrument_has_the_venue_s_rules(outcome):
    kinds = {
        "swap": ["CryptoPerpetual", "0.01", "10", "0.01"],
        "spot": ["CurrencyPair", "0.01", "0.1", "1"],
    }
    assert outcome["trade"]["instrument"] == kinds[outcome["product"]]
    assets = {"swap": ["USDT"], "spot": ["BTC", "USDT"]}[outcome["product"]]
    assert outcome["trade"]["balances"] == outcome["again"]["balances"] == assets


def test_the_book_is_not_crossed(outcome):
    # After a reconnect the client leaves levels in its book that are gone, on either bus: it adds
    # the new snapshot to what it had.
    assert outcome["trade"]["crossed_books"] == 0


@pytest.mark.parametrize(
    ("order", "events"),
    [
        ("1", [*ACCEPTED, "OrderPendingUpdate", "OrderUpdated", *ENDING]),
        ("4", [*ACCEPTED, "OrderCanceled"]),
        ("5", [*ACCEPTED, "OrderCanceled"]),
        ("9", [*ACCEPTED, *ENDING]),
        ("10", [*ACCEPTED, "OrderPendingCancel", "OrderCancelRejected", *ENDING]),
        ("11", [*ACCEPTED, "OrderCanceled"]),
        ("12", [*ACCEPTED, "OrderCanceled"]),
        ("14", ACCEPTED),
    ],
    ids=[
        "changed and canceled",
        "post-only that would cross",
        "at once or not at all",
        "events come late",
        "cancel rejected, after dropped sockets",
        "canceled with another",
        "canceled with the one before",
        "left open",
    ],
)
def test_the_events_of_an_order(outcome, order, events):
    assert once(outcome["trade"]["events"][order]) == events


def test_a_resting_order_is_filled_in_parts(outcome):
    product = outcome["product"]
    fill = f"OrderFilled {TENTH[product]} MAKER {MAKER_FEE[product]}"
    assert once(outcome["trade"]["events"]["2"]) == [*ACCEPTED, fill, fill]


def test_a_market_order_walks_the_book(outcome):
    product = outcome["product"]
    fills = [f"OrderFilled {TENTH[product]} TAKER {fee}" for fee in TAKER_FEES[product]]
    assert once(outcome["trade"]["events"]["3"]) == [*ACCEPTED, *fills]


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ("6", "Your order should meet or exceed the minimum order amount."),
        ("7", "Rejected: the venue was told to."),
        ("8", "Requests too frequent."),
        ("13", "OKX error 51000: Algo orders are not served by the loopback venue."),
    ],
    ids=["too cheap", "rejected on demand", "rate limit on demand", "waits for a price"],
)
def test_rejects_have_okx_s_sentences(outcome, order, reason):
    expected = ["OrderInitialized", "OrderSubmitted", f"OrderRejected {reason}"]
    assert outcome["trade"]["events"][order] == expected


def test_both_nodes_have_the_position_of_the_fills(outcome):
    swap = outcome["product"] == "swap"
    assert outcome["trade"]["positions"] == ["-10" if swap else "-0.1"]
    # On spot there is no position that a venue could tell of.
    assert outcome["again"]["positions_at_start"] == (["-10"] if swap else [])


def test_the_sessions_were_dropped_and_came_back(outcome):
    assert outcome["trade"]["dropped"] == [2, 1]
    # Two websockets of each client and two nodes; three of the first came twice.
    assert outcome["venue"]["connections_total"] == 2 * 4 + 3
    assert outcome["venue"]["connections"] == 0


def test_a_node_that_starts_again_finds_the_open_order_and_can_cancel_it(outcome):
    again = outcome["again"]
    expected = ["LIMIT", TENTH[outcome["product"]], "41000.00", "ACCEPTED"]
    assert again["open_at_start"] == [expected]
    assert again["events"] == {"14": ENDING}
    assert outcome["open"] == []


def test_the_venue_counted_the_same(outcome):
    venue = outcome["venue"]
    taken = (venue["orders_received"], venue["orders_accepted"], venue["orders_rejected"])
    assert taken == (11, 9, 2)
    figures = ("amends", "fills", "cancels", "expired", "slow_readers")
    assert [venue[name] for name in figures] == [1, 5, 6, 1, 0]
    assert all(fault["happened"] == 1 for fault in outcome["faults"])


@pytest.mark.parametrize("session", ["trade", "again"])
@pytest.mark.parametrize(("product", "bus"), ENHANCED)
def test_each_order_has_the_same_events_as_on_the_stock_bus(product, bus, session):
    stock, other = (
        {order: once(events) for order, events in outcomes(product)[b][session]["events"].items()}
        for b in ("stock", bus)
    )
    assert other == stock


@pytest.mark.parametrize(("product", "bus"), ENHANCED)
def test_what_enhanced_clients_hand_on_is_counted(product, bus):
    trade = outcomes(product)[bus]["trade"]
    data, execution = trade["figures"]["data"], trade["figures"]["execution"]
    assert (data["errors"], execution["errors"]) == (0, 0)
    # Two sockets were dropped. They are asked four times a second: what comes back sooner is
    # missed.
    assert data["reconnects"] <= 2
    assert {"QuoteTick", "TradeTick", "OrderBookDeltas", "Bar"} < set(data["counts"])
    assert data["event_times"]["QuoteTick"] == "milliseconds"
    events = [event.split()[0] for events in trade["events"].values() for event in events]
    for name in ("OrderSubmitted", "OrderAccepted", "OrderFilled", "OrderCanceled"):
        assert execution["counts"][name] == events.count(name)
    assert execution["counts"]["OrderRejected"] == 4
    assert execution["event_times"]["OrderFilled"] == "milliseconds"
