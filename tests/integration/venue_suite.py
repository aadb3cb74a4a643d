"""What is tested on each venue: a subclass says which, and what is its own."""

from __future__ import annotations

from typing import Any

import pytest
from venue_play import PLAYS
from venue_play import outcomes


ACCEPTED = ["OrderInitialized", "OrderSubmitted", "OrderAccepted"]
ENDING = ["OrderPendingCancel", "OrderCanceled"]
CHANGE = ["OrderPendingUpdate", "OrderUpdated"]
REJECTED = ["OrderInitialized", "OrderSubmitted"]
FEATURES = {
    "stock": [],
    "enhanced": ["adapters", "dispatch", "serializer"],
    # The option is off: the factories alone have the clients observed.
    "factories": ["dispatch", "serializer"],
}


class VenueSuite:
    """
    Tests of the sessions on venues.

    Attributes
    ----------
    venues : tuple[str, ...]
        Names of `PLAYS`.
    assets : dict[str, list[str]]
        What the account has, by venue.
    instruments : dict[str, list[str]]
        Type, increments and multiplier of what is traded, by venue.
    quote_time : dict[str, str]
        What quotes have as the time of their event, by venue.
    without_positions : tuple[str, ...]
        Those of the venues that have no positions to tell of.
    without_trades : tuple[str, ...]
        Those that tell of no trades between others.
    at_once : str
        How an order at once or not at all ends.
    tells_once : bool
        Whether a client tells once what has come once.
    rebuilds_books : bool
        Whether a client takes a book as it is after a reconnect.
    """

    venues: tuple[str, ...] = ()
    assets: dict[str, list[str]] = {}
    instruments: dict[str, list[str]] = {}
    quote_time: dict[str, str] = {}
    without_positions: tuple[str, ...] = ()
    without_trades: tuple[str, ...] = ()
    at_once = "OrderCanceled"
    tells_once = True
    rebuilds_books = True

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        names = set(metafunc.fixturenames)
        if "outcome" not in names and "twin" not in names:
            return
        skipped = ("stock",) if "twin" in names else ()
        pairs = [(v, bus) for v in self.venues for bus in PLAYS[v].buses if bus not in skipped]
        metafunc.parametrize("played", pairs, ids="-".join, scope="class")

    @pytest.fixture
    def outcome(self, played: tuple[str, str]) -> dict[str, Any]:
        venue, bus = played
        return outcomes(venue)[bus] | {"bus": bus, "name": venue}

    @pytest.fixture
    def twin(self, played: tuple[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what came of it on an enhanced bus and on the stock one."""
        venue, bus = played
        return outcomes(venue)[bus], outcomes(venue)["stock"]

    # -- what a venue may have otherwise

    def settled(self, order: str, events: list[str]) -> list[str]:
        """Return an order's events without what may be so or otherwise on either bus."""
        return events

    def rests(self, outcome: dict[str, Any]) -> list[str]:
        """Return the fills of the resting order."""
        return ["OrderFilled 0.1 MAKER"] * 2

    def takes(self, outcome: dict[str, Any]) -> list[str]:
        """Return the fills of the order at the market."""
        return ["OrderFilled 0.1 TAKER"] * 3

    def changes(self, outcome: dict[str, Any]) -> list[str]:
        """Return what a change of an order's price brings."""
        return CHANGE

    def tenth(self, outcome: dict[str, Any]) -> str:
        """Return 0.1 of the base asset in the units of the venue."""
        return "0.1"

    # -- the tests

    def events(self, outcome: dict[str, Any], order: str) -> list[str]:
        return self.settled(order, outcome["trade"]["events"][order])

    def test_the_bus_is_the_one_that_was_asked_for(self, outcome):
        assert outcome["trade"]["active"] == outcome["again"]["active"] == FEATURES[outcome["bus"]]

    def test_the_instrument_and_the_account_are_the_venue_s(self, outcome):
        trade, again, name = outcome["trade"], outcome["again"], outcome["name"]
        assert trade["instrument"] == self.instruments[name]
        assert trade["balances"] == again["balances"] == self.assets[name]

    def test_the_book_that_is_built_from_deltas_is_never_crossed(self, outcome):
        trade = outcome["trade"]
        assert trade["crossed_books"] == 0
        if self.rebuilds_books:
            assert trade["crossed_books_after"] == 0

    def test_an_order_is_changed_and_canceled(self, outcome):
        assert self.events(outcome, "far") == [*ACCEPTED, *self.changes(outcome), *ENDING]

    def test_a_resting_order_is_filled_in_parts(self, outcome):
        assert self.events(outcome, "resting") == [*ACCEPTED, *self.rests(outcome)]

    def test_an_order_at_the_market_walks_the_book(self, outcome):
        assert self.events(outcome, "market") == [*ACCEPTED, *self.takes(outcome)]

    def test_an_order_at_once_or_not_at_all_ends(self, outcome):
        assert self.events(outcome, "at once") == [*ACCEPTED, self.at_once]

    def test_a_delayed_event_arrives_and_garbage_does_no_harm(self, outcome):
        assert self.events(outcome, "late") == [*ACCEPTED, *ENDING]
        assert {fault["happened"] for fault in outcome["faults"]} == {1}

    def test_dropped_sockets_come_back_and_orders_live_on(self, outcome):
        # Market data and user data are waited for by the node, after each drop.
        assert all(outcome["trade"]["dropped"])
        assert self.events(outcome, "after") == [*ACCEPTED, *ENDING]

    def test_both_nodes_have_the_position_of_the_fills(self, outcome):
        position = f"-{self.tenth(outcome)}"
        assert outcome["trade"]["positions"] == [position]
        restored = [] if outcome["name"] in self.without_positions else [position]
        assert outcome["again"]["positions_at_start"] == restored

    def test_a_node_that_starts_again_finds_the_open_order_and_can_cancel_it(self, outcome):
        assert self.events(outcome, "kept") == ACCEPTED
        again = outcome["again"]
        expected = ["LIMIT", self.tenth(outcome), "41000.00", "ACCEPTED"]
        assert again["open_at_start"] == [expected]
        assert again["events"] == {"kept": ENDING}
        assert outcome["open"] == []

    def test_the_venue_had_no_trouble_with_its_readers(self, outcome):
        venue = outcome["venue"]
        assert venue["slow_readers"] == venue["delayed"] == venue["connections"] == 0

    def test_each_order_has_the_same_events_as_on_the_stock_bus(self, twin):
        for session in ("trade", "again"):
            ours, stock = (
                {
                    order: self.settled(order, told)
                    for order, told in side[session]["events"].items()
                }
                for side in twin
            )
            assert ours == stock

    def test_what_enhanced_clients_hand_on_is_counted(self, twin, played):
        trade = twin[0]["trade"]
        data, execution = trade["observed"]["data"], trade["observed"]["execution"]
        assert (data["errors"], execution["errors"]) == (0, 0)
        assert trade["findings"] == []
        trades = set() if played[0] in self.without_trades else {"TradeTick"}
        assert {"QuoteTick", "OrderBookDeltas"} | trades < set(data["counts"])
        assert data["event_times"]["QuoteTick"] == self.quote_time[played[0]]
        # The strategy began to listen later, and its last ones came after the figures were read.
        assert abs(data["counts"]["QuoteTick"] - trade["quotes"]) < 200
        assert execution["reports"] >= 1
        seen = [event.split()[0] for told in trade["events"].values() for event in told]
        for name in ("Submitted", "Accepted", "Rejected", "Filled", "Canceled"):
            handed, got = execution["counts"][f"Order{name}"], seen.count(f"Order{name}")
            # What is told twice may come a second time after the figures were read.
            assert handed == got if self.tells_once else handed >= got - 1
