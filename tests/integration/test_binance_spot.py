"""NautilusTrader's own Binance spot clients on the loopback venue, on either bus."""

import pytest
from binance_suite import BinanceSuite
from venue_suite import ACCEPTED
from venue_suite import REJECTED


class TestBinanceSpot(BinanceSuite):
    venues = ("binance-spot",)
    assets = {"binance-spot": ["BTC", "USDT"]}
    instruments = {"binance-spot": ["CurrencyPair", "0.01", "0.1", "1"]}
    quote_time = {"binance-spot": "none"}
    without_positions = ("binance-spot",)

    def changes(self, outcome):
        # Binance changes no orders on spot.
        return []

    def takes(self, outcome):
        return ["OrderFilled 0.1 TAKER"] * 2

    def test_a_stop_order_waits_and_is_filled(self, outcome):
        assert self.events(outcome, "stop") == [*ACCEPTED, "OrderFilled 0.1 TAKER"]

    @pytest.mark.parametrize(
        ("order", "code", "said"),
        [
            ("crossing", "-2010", "would immediately match"),
            ("reject", "-2010", "told to"),
            ("rate-limit", "-1003", "Too many requests"),
        ],
    )
    def test_rejects_have_binance_s_codes(self, outcome, order, code, said):
        *before, rejected = outcome["trade"]["events"][order]
        assert before == REJECTED
        assert rejected.startswith("OrderRejected")
        assert code in rejected
        assert said in rejected

    def test_the_venue_counted_the_same(self, outcome):
        venue = outcome["venue"]
        assert (venue["orders_accepted"], venue["orders_rejected"]) == (8, 1)
        assert [venue[name] for name in ("fills", "cancels", "expired")] == [5, 4, 1]
