"""Orders that the node itself holds back (the emulator) or cuts in pieces (algorithms)."""

from __future__ import annotations

import re

import pytest
from conftest import BUSES
from contract_play import outcome_of


PROGRAM = "contract_emulation.py"
MODES = ["paced", "burst"]
BACKLOGS = [0, 500]
HELD = ["OrderInitialized", "OrderEmulated"]
RELEASED = [*HELD, "OrderInitialized", "OrderReleased", "OrderSubmitted", "OrderAccepted"]
ACCEPTED = ["OrderInitialized", "OrderSubmitted", "OrderAccepted"]
FILLED = [*ACCEPTED, "OrderFilled"]

# What the market was at when the order was let go: the first price beyond its trigger.
RELEASE_PRICES = {
    "trails-bid": "100.90",
    "trails-last": "101.00",
    "trails-activated": "101.20",
    "trails-limit": "100.00",
    "stop-last": "102.00",
    "stop-limit-last": "103.00",
    "touched-last": "99.00",
    "limit-last": "97.00",
}
# A step for each bid or last price that was higher than all before it.
TRAILED = {
    "trails-bid": ["99.50", "99.90", "100.50", "101.10"],
    "trails-last": ["98.50", "99.00", "100.50", "101.50"],
    "trails-activated": ["101.40"],
    "trails-limit": ["99.00", "99.40", "100.00", "100.60"],
    "never": ["50.00", "50.40", "51.00", "51.60"],
}


def emulation(bus: str, mode: str) -> dict:
    return outcome_of(PROGRAM, "emulation", bus, mode=mode)


def algorithms(bus: str, backlog: int) -> dict:
    return outcome_of(PROGRAM, "algorithms", bus, backlog=backlog)


# -- the emulator --------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_the_emulator_moves_a_trailing_stop_with_each_better_price_and_never_back(bus, mode):
    trailed = emulation(bus, mode)["trailed"]
    assert {label: steps for label, steps in trailed.items() if steps} == TRAILED


@pytest.mark.parametrize("mode", MODES)
def test_the_emulator_lets_an_order_go_at_the_tick_that_triggers_it(bus, mode):
    result = emulation(bus, mode)
    prices = {
        label: re.findall(r"released_price=([\d.]+)", " ".join(events))
        for label, events in result["events"].items()
    }
    assert prices.pop("never") == []
    assert prices == {label: [at] for label, at in RELEASE_PRICES.items()}


@pytest.mark.parametrize("mode", MODES)
def test_emulated_orders_reach_the_venue_as_what_they_become(bus, mode):
    result = emulation(bus, mode)
    names = result["names"]
    rests = {"trails-limit", "stop-limit-last"}
    for label in RELEASE_PRICES:
        assert names[label] == (RELEASED if label in rests else [*RELEASED, "OrderFilled"]), label
    assert names["never"] == HELD
    # Each once, and in the order of the ticks that triggered them.
    assert result["venue"] == [
        "touched-last",
        "stop-last",
        "stop-limit-last",
        "trails-activated",
        "trails-bid",
        "trails-limit",
        "trails-last",
        "limit-last",
    ]
    assert result["net"] == [20.0, -20.0]


@pytest.mark.parametrize("mode", MODES)
def test_emulation_is_the_same_on_both_buses(mode, both_buses):
    stock, enhanced = (emulation(bus, mode) for bus in BUSES)
    assert enhanced == stock


def test_emulation_does_not_depend_on_the_backlog(bus):
    paced, burst = (emulation(bus, mode) for mode in MODES)
    assert burst == paced


# -- execution algorithms ------------------------------------------------------------------------


@pytest.mark.parametrize("backlog", BACKLOGS)
def test_an_algorithm_s_pieces_follow_from_one_another(bus, backlog):
    result = algorithms(bus, backlog)
    names = result["names"]
    for number in range(3):
        primary = f"sliced-{number}"
        assert names[primary] == FILLED
        assert names[f"{primary}-E1"] == FILLED
        assert names[f"{primary}-E2"] == [
            *ACCEPTED,
            "OrderPendingUpdate",
            "OrderUpdated",
            "OrderPendingCancel",
            "OrderCanceled",
        ]
        quantities = {f"{primary}-E1": 4.0, f"{primary}-E2": 0.0, primary: 3.0}
        assert {label: result["orders"][label][1] for label in quantities} == quantities


@pytest.mark.parametrize("backlog", BACKLOGS)
def test_twap_sends_its_pieces_from_its_timer_s_thread(bus, backlog):
    result = algorithms(bus, backlog)
    pieces = ["timed", *(f"timed-E{number}" for number in range(1, 5))]
    assert [result["orders"][label] for label in pieces] == [[2.0, 2.0]] * 5
    assert [result["names"][label] for label in pieces] == [FILLED] * 5
    assert result["timer_in_main"] == [False]
    assert result["net"] == 31.0


@pytest.mark.parametrize("backlog", BACKLOGS)
def test_every_event_of_every_piece_is_the_same_on_both_buses(backlog, both_buses):
    stock, enhanced = (algorithms(bus, backlog) for bus in BUSES)
    # Not the positions: the timer's pieces and the others are on one instrument.
    for key in ("names", "events", "of_slicer", "orders", "net"):
        assert enhanced[key] == stock[key]
