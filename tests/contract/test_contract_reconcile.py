"""What a node finds out from the venue: positions that differ, and what a killed node left."""

from __future__ import annotations

import pytest
from conftest import BUSES
from contract_play import outcome_of
from nautilus_trader.config import LiveExecEngineConfig


PROGRAM = "contract_reconcile.py"
ACCEPTED = ["OrderInitialized", "OrderSubmitted", "OrderAccepted"]
FILLED = [*ACCEPTED, "OrderFilled"]

has_position_check = pytest.mark.skipif(
    "position_check_interval_secs" not in LiveExecEngineConfig.__struct_fields__,
    reason="this NautilusTrader has no position check (1.221)",
)


# -- the position check --------------------------------------------------------------------------


@pytest.fixture(params=[False, True], ids=["idle", "backlog"])
def backlog(request):
    return request.param


def positions(bus: str, backlog: bool) -> dict:
    return outcome_of(PROGRAM, "positions", bus, backlog=backlog)


@has_position_check
def test_the_position_check_lets_positions_be_that_agree_or_changed_just_now(bus, backlog):
    result = positions(bus, backlog)
    if result["in_time"]:
        assert result["net_when_late"] == 10.0
        assert result["queries_when_equal"] == 0
    assert result["net_when_equal"] == 10.0


@has_position_check
def test_the_position_check_finds_a_fill_that_was_never_told(bus, backlog):
    result = positions(bus, backlog)
    assert result["names"] == {"told": FILLED, "untold": FILLED}
    assert "last_px=90.00" in result["events"]["untold"][-1]
    assert result["net_after_untold"] == 20.0


@has_position_check
def test_the_position_check_makes_up_an_order_where_no_fill_explains_the_venue(bus, backlog):
    result = positions(bus, backlog)
    assert result["made_up"] == [["SELL", 10.0, "FILLED"]]
    assert result["net_in_the_end"] == 10.0


@has_position_check
def test_the_position_check_is_the_same_on_both_buses(backlog, both_buses):
    stock, enhanced = (positions(bus, backlog) for bus in BUSES)
    if stock.pop("in_time") and enhanced.pop("in_time"):
        assert enhanced == stock


# -- a node that is killed, and the one after it -------------------------------------------------


@pytest.fixture
def killed(bus):
    return outcome_of(PROGRAM, "killed", bus)


def test_a_killed_node_handles_nothing_and_sends_nothing(killed):
    first = killed["first"]
    for moment in ("after the kill", "after the venue's answer", "end"):
        assert first[moment]["orders"] == {
            "resting": "PENDING_CANCEL",
            "filled": "ACCEPTED",
            "silent": "SUBMITTED",
            "unsent": "INITIALIZED",
        }
        assert first[moment]["names"]["filled"] == ACCEPTED
        assert first[moment]["net"] == 0.0
        assert first[moment]["states"] == ["STOPPED"] * 3
    assert killed["first"]["venue"] == ["resting", "filled", "silent"]


def test_what_a_killed_node_had_queued_stays_queued(killed):
    # Quotes; the order that was not sent; the command to cancel, and the fill.
    sizes = [0, 0, 0, 100, 1, 0, 1, 1]
    assert killed["first"]["after the kill"]["sizes"] == sizes
    sizes = [0, 0, 0, 101, 1, 0, 1, 2]
    assert killed["first"]["after the venue's answer"]["sizes"] == sizes
    assert killed["first"]["end"]["sizes"] == sizes


def test_the_next_node_finds_what_the_venue_knew(killed):
    start = killed["second"]["start"]
    assert start["orders"] == {"resting": "ACCEPTED", "filled": "FILLED", "silent": "ACCEPTED"}
    assert start["net"] == 10.0
    (position,) = killed["second"]["positions"]
    assert "avg_px_open=90.0" in position


def test_the_next_node_trades_on_what_it_found(killed):
    end = killed["second"]["end"]
    assert end["orders"]["resting"] == "CANCELED"
    assert end["names"]["resting"] == ["OrderPendingCancel", "OrderCanceled"]
    assert end["net"] == 0.0
    assert end["sizes"] == [0] * 8


def test_a_kill_and_what_follows_are_the_same_on_both_buses(both_buses):
    stock, enhanced = (outcome_of(PROGRAM, "killed", bus) for bus in BUSES)
    assert enhanced == stock
