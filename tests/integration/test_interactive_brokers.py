"""
NautilusTrader's own Interactive Brokers clients on the loopback venues, on either bus.

What their one socket tells twice, or before its time, is so on the stock bus as well.
"""

from importlib.util import find_spec

import pytest


if find_spec("ibapi") is None or find_spec("ibapi.protobuf") is None:
    pytest.skip(
        "the Interactive Brokers clients of NautilusTrader 1.221 speak no protobuf",
        allow_module_level=True,
    )

from venue_suite import ACCEPTED
from venue_suite import REJECTED
from venue_suite import VenueSuite


COMMISSIONS = {
    # A least amount an order, which the first fill pays.
    "ib": (("1.00", "0.00"), ("1.00", "0.00", "0.00")),
    # And what goes beyond it, as a fraction of the value.
    "ib-forex": (("2.00", "0.00"), ("2.00", "0.00", "1.00")),
}
MARGIN = (
    "YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION YOUR EQUITY WITH LOAN "
    "VALUE MUST EXCEED THE INITIAL MARGIN."
)


def fills(outcome, which):
    name = outcome["name"]
    return [f"OrderFilled 1 NO_LIQUIDITY_SIDE {c} USD" for c in COMMISSIONS[name][which]]


class TestInteractiveBrokers(VenueSuite):
    venues = ("ib", "ib-forex")
    assets = {"ib": ["USD"], "ib-forex": ["USD"]}
    instruments = {
        "ib": ["Equity", "0.01", "1", "1"],
        "ib-forex": ["CurrencyPair", "0.01", "1", "1"],
    }
    # With market data come no times, tick by tick those of whole seconds.
    quote_time = {"ib": "none", "ib-forex": "seconds"}
    without_trades = ("ib-forex",)
    # After a reconnect the client puts the rows that come one by one beside those that it has.
    rebuilds_books = False

    def settled(self, order, events):
        # The client tells of an update with each message about a whole order, the first one
        # included, which it accepts only then; and accepts an order again that was changed.
        kept = []
        for event in events:
            unasked = event == "OrderUpdated" and kept[-1:] != ["OrderPendingUpdate"]
            if not unasked and not (event == "OrderAccepted" and event in kept):
                kept.append(event)
        return kept

    def tenth(self, outcome):
        return "1"

    def rests(self, outcome):
        return fills(outcome, 0)

    def takes(self, outcome):
        return fills(outcome, 1)

    @pytest.mark.parametrize("order", ["stop", "other"])
    def test_all_orders_are_canceled_at_once(self, outcome, order):
        assert self.events(outcome, order) == [*ACCEPTED, "OrderCanceled"]

    @pytest.mark.parametrize(
        ("order", "reason"),
        [("too large", MARGIN), ("reject", "The venue was told to.")],
    )
    def test_rejects_have_tws_s_sentences(self, outcome, order, reason):
        told = f"OrderRejected Order rejected - reason:{reason}"
        assert outcome["trade"]["events"][order] == [*REJECTED, told]

    def test_the_client_itself_refuses_post_only_orders(self, outcome):
        told = "OrderRejected `post_only` not supported by Interactive Brokers"
        assert outcome["trade"]["events"]["crossing"] == ["OrderInitialized", told]

    def test_what_the_client_tells_twice(self, outcome):
        told = outcome["trade"]["events"]
        first = ["OrderInitialized", "OrderSubmitted", "OrderUpdated", "OrderAccepted"]
        assert told["kept"] == first
        assert told["far"][4:7] == ["OrderPendingUpdate", "OrderUpdated", "OrderAccepted"]
        # An order at the market has no price that could be another.
        assert "OrderUpdated" not in told["market"]

    def test_and_it_tells_the_same_twice_on_both_buses(self, twin):
        for session in ("trade", "again"):
            ours, stock = (side[session]["events"] for side in twin)
            assert ours == stock

    def test_clients_have_a_socket_for_each_id(self, outcome):
        sockets = {"ib": 1, "ib-forex": 2}[outcome["name"]]
        assert outcome["trade"]["dropped"] == [sockets]
        # Of two nodes, and those of the first came twice.
        assert outcome["venue"]["connections_total"] == 3 * sockets

    def test_the_venue_counted_the_same(self, outcome):
        venue = outcome["venue"]
        taken = (venue["orders_received"], venue["orders_accepted"], venue["orders_rejected"])
        assert taken == (10, 9, 1)
        figures = ("amends", "fills", "cancels", "expired")
        assert [venue[name] for name in figures] == [1, 5, 6, 1]

    def test_what_passes_by_the_clients_is_counted(self, twin, played):
        data, execution = (twin[0]["trade"]["observed"][side] for side in ("data", "execution"))
        # The shared client has the socket, and hands on market data by itself.
        assert (data["reconnects"], execution["reconnects"]) == (1, 1)
        assert execution["event_times"]["OrderFilled"] == "seconds"
        if played[0] == "ib":
            assert twin[0]["trade"]["history"] == ["Bar", "TradeTick"]
            assert data["counts"]["DataResponse"] == 2
            assert data["event_times"]["TradeTick"] == "seconds"
            assert data["counts"]["Bar"] >= 1
