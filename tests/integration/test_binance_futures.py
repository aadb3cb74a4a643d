"""NautilusTrader's own clients for Binance's USDT futures on the loopback venue, on either bus."""

import importlib.util

import pytest
from binance_suite import BinanceSuite
from venue_suite import ACCEPTED
from venue_suite import CHANGE


# 1.221 sends stop orders where Binance takes them no longer.
HAS_STOPS = bool(importlib.util.find_spec("nautilus_trader.adapters.binance.websocket.user"))
TAKEN = "OrderFilled 0.1 TAKER"


class TestBinanceFutures(BinanceSuite):
    venues = ("binance-futures",)
    assets = {"binance-futures": ["USDT"]}
    instruments = {"binance-futures": ["CryptoPerpetual", "0.01", "0.1", "1"]}
    quote_time = {"binance-futures": "finer"}

    def changes(self, outcome):
        return CHANGE

    def takes(self, outcome):
        return [TAKEN] * (2 if HAS_STOPS else 3)

    def settled(self, order, events):
        # What the client makes of the two messages about one triggered order depends on whether
        # the event of the first has been applied when it reads the second: on either bus.
        if order == "stop":
            return [*events[:3], events[-1]]
        return super().settled(order, events)

    def test_a_stop_order_waits_and_is_filled_at_the_market(self, outcome):
        stop = self.events(outcome, "stop")
        if HAS_STOPS:
            assert stop == [*ACCEPTED, TAKEN]
        else:
            assert "-4120" in stop[-1]

    @pytest.mark.parametrize(
        ("order", "code"),
        [("crossing", "-5022"), ("reject", "-2010"), ("rate-limit", "-1003")],
    )
    def test_rejects_have_binance_s_codes(self, outcome, order, code):
        *_, rejected = outcome["trade"]["events"][order]
        assert rejected.startswith("OrderRejected")
        assert code in rejected

    def test_the_venue_counted_the_same(self, outcome):
        venue = outcome["venue"]
        taken = (venue["orders_accepted"], venue["orders_rejected"])
        assert taken == ((8, 1) if HAS_STOPS else (7, 2))
        figures = ("amends", "fills", "cancels", "expired")
        assert [venue[name] for name in figures] == [1, 5, 4, 1]
