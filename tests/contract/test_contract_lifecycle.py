"""How a node's engines start, stop and fail, on either bus."""

from __future__ import annotations

import pytest
from conftest import BUSES
from contract_play import outcome_of
from contract_play import process_of


PROGRAM = "contract_lifecycle.py"
NOTHING_LEFT = [0] * 8
STOPPED = ["STOPPED"] * 3
PLACES = [
    "strategy",
    "order event",
    "exec command",
    "risk command",
    "risk event",
    "data",
    "data command",
    "request",
    "response",
]


def data_left(phase: dict) -> int:
    """Return what waits in the data queue, where nothing else waits."""
    left = phase["sizes"][3]
    assert sum(phase["sizes"]) == left
    return left


@pytest.fixture
def engines(bus):
    return outcome_of(PROGRAM, "engines", bus)


def test_a_node_that_is_stopped_handles_its_backlog(bus):
    result = outcome_of(PROGRAM, "drain", bus)
    assert result["handled"] == 4_000
    assert result["last_quote"] == "209.99"
    assert result["sizes"] == NOTHING_LEFT
    assert result["states"] == STOPPED
    # Fills that were queued, and orders that had not reached the venue yet.
    assert set(result["statuses"].values()) == {"FILLED"}
    assert len(result["statuses"]) == 21
    assert result["net"] == 210.0


def test_a_node_that_is_stopped_from_a_handler_handles_its_backlog(bus):
    result = outcome_of(PROGRAM, "stop_from_handler", bus)
    assert result["handled"] == 500
    assert result["sizes"] == NOTHING_LEFT
    assert result["states"] == STOPPED


def test_a_strategy_that_stops_the_node_gets_the_rest_of_the_backlog_only_on_stock(both_buses):
    # Stock's queue does not yield before it is empty, so that stopping begins after it. In
    # slices stopping begins between them: a stopped strategy gets no quotes, on either bus.
    stock, enhanced = (outcome_of(PROGRAM, "stop_from_handler", bus)["seen"] for bus in BUSES)
    assert stock == 500
    assert 1 <= enhanced <= 500


def test_a_stopped_engine_handles_what_came_before_and_keeps_what_comes_after(engines):
    assert engines["stopped"]["handled"] == 300
    assert data_left(engines["stopped"]) == 7
    assert engines["stopped"]["states"] == ["STOPPED", "RUNNING", "RUNNING"]


def test_an_engine_that_is_started_again_handles_what_was_kept(engines):
    assert engines["started again"]["handled"] == 307
    assert data_left(engines["started again"]) == 0


def test_an_engine_that_is_stopped_and_started_at_once_goes_on(engines):
    before = engines["started after a kill"]["handled"]
    assert engines["restarted at once"]["handled"] == before + 20
    assert data_left(engines["restarted at once"]) == 0


def test_a_killed_engine_handles_nothing_more(engines):
    before = engines["started again"]["handled"]
    assert engines["killed"]["handled"] == before
    assert data_left(engines["killed"]) == 100
    assert engines["fed when killed"]["handled"] == before
    assert data_left(engines["fed when killed"]) == 103


def test_a_reset_engine_keeps_its_queue_and_handles_it_when_started(engines):
    assert data_left(engines["reset"]) == 103
    assert engines["reset"]["states"] == ["READY", "RUNNING", "RUNNING"]
    assert engines["started after a kill"]["handled"] == engines["killed"]["handled"] + 103
    assert data_left(engines["started after a kill"]) == 0


def test_a_command_to_a_killed_risk_engine_waits_and_is_not_executed(engines):
    assert engines["order to killed engines"] == "INITIALIZED"
    assert engines["all killed"]["sizes"] == [0, 0, 0, 0, 1, 0, 0, 0]


def test_engines_are_reset_and_disposed_in_the_end(engines):
    assert engines["end"]["states"] == ["READY"] * 3
    assert engines["disposed"] == [True] * 3


@pytest.mark.parametrize("scenario", ["drain", "engines"])
def test_stopping_and_starting_is_the_same_on_both_buses(scenario, both_buses):
    stock, enhanced = (outcome_of(PROGRAM, scenario, bus) for bus in BUSES)
    assert enhanced == stock


# -- exceptions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("place", PLACES)
def test_an_exception_stops_the_node_gracefully_and_the_rest_is_handled(bus, place):
    result = outcome_of(PROGRAM, "exceptions", bus, tidy=False, place=place, graceful=True)
    assert result["raised"] == [place]
    # What raised is gone; what was queued behind it is not.
    assert result["handled"] == 20 - (place == "data")
    assert result["order"] == "FILLED"
    assert result["sizes"] == NOTHING_LEFT
    assert result["states"] == STOPPED


@pytest.mark.parametrize("place", PLACES)
def test_an_exception_ends_the_process_at_once_by_default(bus, place):
    code, output, result = process_of(PROGRAM, "exceptions", bus, place=place, graceful=False)
    assert code == 1, output[-4000:]
    # Not by an exception of the scenario, which would end it with 1 as well.
    assert "main(SCENARIOS)" not in output
    assert result == ""
