"""
NautilusTrader's own clients for Bybit on the loopback venues, on either bus.

NautilusTrader 1.221's are others, in Python throughout, and are not run here.
"""

import nautilus_trader
import pytest


if nautilus_trader.__version__.startswith("1.221."):
    pytest.skip("Bybit's clients of 1.221 are others: not run", allow_module_level=True)

from venue_suite import ACCEPTED
from venue_suite import VenueSuite


class TestBybit(VenueSuite):
    venues = ("bybit", "bybit-spot")
    assets = {"bybit": ["USDT"], "bybit-spot": ["BTC", "USDT"]}
    instruments = {
        "bybit": ["CryptoPerpetual", "0.01", "0.1", "1"],
        "bybit-spot": ["CurrencyPair", "0.01", "0.1", "1"],
    }
    quote_time = {"bybit": "milliseconds", "bybit-spot": "milliseconds"}

    def takes(self, outcome):
        return ["OrderFilled 0.1 TAKER"] * 2

    def test_an_order_that_waits_for_a_price_is_filled_there(self, outcome):
        assert self.events(outcome, "stop") == [*ACCEPTED, "OrderFilled 0.1 TAKER"]

    @pytest.mark.parametrize("order", ["first", "second"])
    def test_orders_of_a_list_are_accepted_and_canceled_at_once(self, outcome, order):
        assert self.events(outcome, order) == [*ACCEPTED, "OrderCanceled"]

    def test_the_sockets_that_were_cut_are_one_each(self, outcome):
        assert outcome["trade"]["dropped"] == [1, 1]

    @pytest.mark.parametrize(
        ("order", "linear", "spot"),
        [
            ("crossing", "EC_PostOnlyWillTakeLiquidity", "EC_PostOnlyWillTakeLiquidity"),
            ("too large", "ab not enough for new order", "Insufficient balance."),
            ("reject", "Rejected: the venue was told to.", "Rejected: the venue was told to."),
            ("rate-limit", "Too many visits.", "Too many visits."),
        ],
    )
    def test_rejects_have_bybit_s_sentences(self, outcome, order, linear, spot):
        *_, rejected = outcome["trade"]["events"][order]
        sentence = linear if outcome["name"] == "bybit" else spot
        assert rejected.startswith(f"OrderRejected {sentence}")

    def test_the_venue_counted_the_same(self, outcome):
        venue = outcome["venue"]
        # The two that a fault refused were not looked at.
        taken = (venue["orders_received"], venue["orders_accepted"], venue["orders_rejected"])
        assert taken == (12, 10, 2)
        assert venue["amends"] == 1
        assert (venue["fills"], venue["cancels"], venue["expired"]) == (5, 6, 1)

    def test_results_of_margin_commands_arrive_and_are_counted(self, outcome):
        borrowed = ["BybitMarginBorrowResult", "USDT", "25"]
        status = ["BybitMarginStatusResult", "USDT", "25"]
        assert outcome["trade"]["margin_results"] == [borrowed, status]
        if outcome["bus"] != "stock":
            counts = outcome["trade"]["observed"]["execution"]["counts"]
            assert (counts[borrowed[0]], counts[status[0]]) == (1, 1)
