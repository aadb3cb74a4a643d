"""NautilusTrader's own OKX clients on the loopback venues, on either bus."""

import pytest
from nautilus_trader.core import nautilus_pyo3
from venue_suite import ACCEPTED
from venue_suite import ENDING
from venue_suite import REJECTED
from venue_suite import VenueSuite


pytestmark = pytest.mark.skipif(
    not hasattr(nautilus_pyo3, "derive_okx_ws_url"),
    reason="the OKX clients of NautilusTrader 1.221 connect to the real venue's business socket",
)
TENTH = {"okx-swap": "10", "okx-spot": "0.1"}
MAKER_FEE = {"okx-swap": "0.99999020 USDT", "okx-spot": "0.00010000 BTC"}
TAKER_FEES = {
    "okx-swap": ("2.49997500 USDT", "2.49997450 USDT", "2.49997400 USDT"),
    "okx-spot": ("4.99995000 USDT", "4.99994900 USDT", "4.99994800 USDT"),
}


class TestOKX(VenueSuite):
    venues = ("okx-swap", "okx-spot")
    assets = {"okx-swap": ["USDT"], "okx-spot": ["BTC", "USDT"]}
    instruments = {
        "okx-swap": ["CryptoPerpetual", "0.01", "10", "0.01"],
        "okx-spot": ["CurrencyPair", "0.01", "0.1", "1"],
    }
    quote_time = {"okx-swap": "milliseconds", "okx-spot": "milliseconds"}
    # On spot there is no position that a venue could tell of.
    without_positions = ("okx-spot",)
    # The client adds the new book to the old one after a reconnect, on either bus: levels that
    # went meanwhile stay.
    rebuilds_books = False

    def settled(self, order, events):
        # The client makes an `OrderAccepted` of the answer to the request and another of the
        # message about the order, and leaves the second out only where the first was applied
        # before: on either bus.
        first = events.index("OrderAccepted") if "OrderAccepted" in events else len(events)
        return events[: first + 1] + [e for e in events[first + 1 :] if e != "OrderAccepted"]

    def tenth(self, outcome):
        return TENTH[outcome["name"]]

    def rests(self, outcome):
        return [f"OrderFilled {self.tenth(outcome)} MAKER {MAKER_FEE[outcome['name']]}"] * 2

    def takes(self, outcome):
        tenth = self.tenth(outcome)
        return [f"OrderFilled {tenth} TAKER {fee}" for fee in TAKER_FEES[outcome["name"]]]

    @pytest.mark.parametrize(
        ("order", "events"),
        [
            ("crossing", [*ACCEPTED, "OrderCanceled"]),
            (
                "not canceled",
                [*ACCEPTED, "OrderPendingCancel", "OrderCancelRejected", *ENDING],
            ),
            ("first", [*ACCEPTED, "OrderCanceled"]),
            ("second", [*ACCEPTED, "OrderCanceled"]),
        ],
    )
    def test_the_events_of_an_order(self, outcome, order, events):
        assert self.events(outcome, order) == events

    @pytest.mark.parametrize(
        ("order", "reason"),
        [
            ("cheap", "Your order should meet or exceed the minimum order amount."),
            ("reject", "Rejected: the venue was told to."),
            ("rate-limit", "Requests too frequent."),
            ("stop", "OKX error 51000: Algo orders are not served by the loopback venue."),
        ],
    )
    def test_rejects_have_okx_s_sentences(self, outcome, order, reason):
        assert outcome["trade"]["events"][order] == [*REJECTED, f"OrderRejected {reason}"]

    def test_the_sessions_were_dropped_and_came_back(self, outcome):
        assert outcome["trade"]["dropped"] == [2, 1]
        # Two websockets of each client and two nodes; three of the first came twice.
        assert outcome["venue"]["connections_total"] == 2 * 4 + 3

    def test_the_venue_counted_the_same(self, outcome):
        venue = outcome["venue"]
        taken = (venue["orders_received"], venue["orders_accepted"], venue["orders_rejected"])
        assert taken == (12, 10, 2)
        figures = ("amends", "fills", "cancels", "expired")
        assert [venue[name] for name in figures] == [1, 5, 7, 1]

    def test_reconnects_and_bars_are_counted(self, twin):
        data, execution = (twin[0]["trade"]["observed"][side] for side in ("data", "execution"))
        # Two sockets were dropped. They are asked four times a second: what comes back sooner is
        # missed.
        assert data["reconnects"] <= 2
        assert "Bar" in data["counts"]
        assert execution["event_times"]["OrderFilled"] == "milliseconds"
