"""How orders live on a node, on either bus: one node for all of it, and one for lost events."""

from __future__ import annotations

import pytest
from conftest import BUSES
from contract_play import outcome_of


PROGRAM = "contract_trading.py"
ACCEPTED = ["OrderInitialized", "OrderSubmitted", "OrderAccepted"]
FILLED = [*ACCEPTED, "OrderFilled"]
CANCELED = [*ACCEPTED, "OrderPendingCancel", "OrderCanceled"]


@pytest.fixture
def trading(bus):
    return outcome_of(PROGRAM, "trading", bus)


@pytest.fixture
def checks(bus):
    return outcome_of(PROGRAM, "checks", bus)


def test_orders_are_modified_canceled_rejected_and_denied(trading):
    names = trading["modify_and_cancel"]["names"]
    assert names["changed"] == [
        *ACCEPTED,
        "OrderPendingUpdate",
        "OrderUpdated",
        "OrderPendingCancel",
        "OrderCanceled",
    ]
    assert names["stubborn"] == [
        *ACCEPTED,
        "OrderPendingUpdate",
        "OrderModifyRejected",
        "OrderPendingCancel",
        "OrderCancelRejected",
        "OrderFilled",
    ]
    assert names["refused"] == ["OrderInitialized", "OrderSubmitted", "OrderRejected"]
    assert names["denied"] == ["OrderInitialized", "OrderDenied"]
    assert [names[f"several-{n}"][-1] for n in range(4)] == ["OrderCanceled"] * 4


def test_the_emulator_releases_stop_and_limit_orders_when_their_price_comes(trading):
    part = trading["emulated"]
    released = ["OrderInitialized", "OrderReleased", "OrderSubmitted", "OrderAccepted"]
    begin = ["OrderInitialized", "OrderEmulated"]
    assert part["emulated"] == ["canceled", "limit", "stop"]
    assert part["names"]["stop"] == [*begin, *released, "OrderFilled"]
    assert part["names"]["limit"] == [*begin, "OrderUpdated", *released, "OrderFilled"]
    assert part["names"]["canceled"] == [*begin, "OrderCanceled"]


@pytest.mark.parametrize("contingency", ["oco", "ouo"])
def test_the_fill_of_one_exit_cancels_its_sibling(trading, contingency):
    names = trading["contingent"]["names"]
    assert names[f"{contingency}-entry"] == FILLED
    assert names[f"{contingency}-profit"] == FILLED
    assert names[f"{contingency}-loss"][: len(ACCEPTED)] == ACCEPTED
    assert names[f"{contingency}-loss"][-1] == "OrderCanceled"


def test_the_exits_of_an_emulated_bracket_are_emulated_once_its_entry_is_filled(trading):
    names = trading["emulated_bracket"]["names"]
    assert names["emulated-entry"][-1] == "OrderFilled"
    assert names["emulated-loss"][-1] == "OrderFilled"
    assert names["emulated-profit"][-1] == "OrderCanceled"
    # Never at the venue.
    assert "OrderSubmitted" not in names["emulated-profit"]
    assert "emulated-profit" not in trading["venue"]


def test_commands_for_an_external_client_are_published_and_not_executed(trading):
    part = trading["external"]
    assert part["published"] == ["SubmitOrder", "QueryOrder"]
    assert part["status"] == "INITIALIZED"
    assert "external" not in trading["venue"]


def test_orders_from_a_timer_s_thread_are_carried_out(trading):
    names = trading["from_timers"]["names"]
    assert [names[f"timer-{n:02}"] for n in range(20)] == [FILLED] * 20
    assert trading["from_timers"]["in_main"] == [False]


def test_a_managed_order_is_canceled_by_its_timer_when_it_expires(trading):
    assert trading["from_timers"]["names"]["expiring"] == CANCELED


def test_orders_from_the_handlers_of_quotes_and_order_events_are_carried_out(trading):
    names = trading["from_handlers"]["names"]
    assert [names[f"quote-{n:02}"] for n in range(20)] == [FILLED] * 20
    assert [names[f"after-quote-{n:02}"] for n in range(20)] == [CANCELED] * 20


def test_strategies_on_one_instrument_get_their_own_events_and_positions(trading):
    for number, told in enumerate(trading["crowd"]):
        own = [f"O-001-{100 + number}-{n}" for n in range(1, 7 + number)]
        assert sorted(told["names"]) == sorted(own)
        assert all(names == FILLED for names in told["names"].values())
        assert len(told["open"]) == 1
    assert trading["net"] == 270.0


def test_all_queues_are_empty_in_the_end(trading):
    assert trading["sizes"] == [0] * 8


def test_orders_whose_events_never_came_are_resolved(checks):
    names = checks["names"]
    # Submitted, and never heard of again: rejected after the last query.
    assert names["lost-all"] == ["OrderInitialized", "OrderSubmitted", "OrderRejected"]
    assert "reason=UNKNOWN" in checks["events"]["lost-all"][-1]
    # The venue had accepted, filled or canceled it: found by a query or an open check.
    assert names["lost-accept"] == ACCEPTED
    assert names["lost-fill"] == FILLED
    assert names["lost-cancel"] == CANCELED
    # Open here, and not known to the venue.
    assert names["gone"] == [*ACCEPTED, "OrderRejected"]
    assert checks["net"] == 10.0


def test_a_resolved_order_is_not_queried_again(checks):
    assert "lost-all" in checks["queried"]
    assert checks["queries_after"] == 0


# Open, high, low and close of each interval, whose quotes are around 100, 101 and so on.
OHLC = [[100.005, 100.055, 99.975, 100.025], [101.005, 101.055, 100.975, 101.025]]


def test_time_bars_close_on_the_boundary_with_the_quotes_of_their_interval(bus):
    result = outcome_of(PROGRAM, "bars", bus)
    closes = [close for close, *_ in result["time"]]
    assert closes == [float(number) for number in range(1, len(closes) + 1)]
    assert len(closes) >= 3
    on_time = {n for n in range(len(closes)) if {n, n - 1} & set(result["late"]) == set()}
    for number, expected in enumerate(OHLC):
        if number in on_time:
            assert result["time"][number][1:] == [pytest.approx(expected), 40.0]


def test_tick_bars_are_built_from_the_same_quotes(bus):
    result = outcome_of(PROGRAM, "bars", bus)
    assert len(result["tick"]) == 4
    for expected, (prices, volume) in zip(OHLC, result["tick"], strict=False):
        assert prices == pytest.approx(expected)
        assert volume == 40.0


# -- one bus against the other -------------------------------------------------------------------


@pytest.mark.parametrize(
    "part",
    [
        "modify_and_cancel",
        "emulated",
        "contingent",
        "emulated_bracket",
        "external",
        "from_timers",
        "from_handlers",
        "crowd",
        "venue",
    ],
)
def test_every_event_of_every_order_and_position_is_the_same_on_both_buses(part, both_buses):
    stock, enhanced = (outcome_of(PROGRAM, "trading", bus)[part] for bus in BUSES)
    assert enhanced == stock


def test_lost_events_are_made_up_for_in_the_same_way_on_both_buses(both_buses):
    stock, enhanced = (outcome_of(PROGRAM, "checks", bus) for bus in BUSES)
    for key in ("names", "events", "net"):
        assert enhanced[key] == stock[key]


def test_bars_of_time_and_of_ticks_are_the_same_on_both_buses(both_buses):
    stock, enhanced = (outcome_of(PROGRAM, "bars", bus) for bus in BUSES)
    assert enhanced["tick"] == stock["tick"]
    if not stock["late"] and not enhanced["late"]:
        assert enhanced["time"][:3] == stock["time"][:3]
