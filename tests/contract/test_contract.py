"""What a node promises, on either bus: real nodes, each in a process of its own."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from contract_play import run_process


SCENARIOS = Path(__file__).with_name("contract_scenarios.py")


def play(
    name: str, bus: str, *, env: dict[str, str] | None = None, tidy: bool = True, **arguments
) -> dict:
    code, output, result = run_process(SCENARIOS.name, name, bus, arguments, env)
    assert code == 0, output[-6000:]
    assert result, output[-6000:]
    if tidy:
        assert "Task was destroyed" not in output
        assert "Traceback" not in output, output
    return json.loads(result)


ENGINES = ["LiveDataEngine", "LiveRiskEngine", "LiveExecutionEngine"]
FILLED = ["OrderInitialized", "OrderSubmitted", "OrderAccepted", "OrderFilled"]
DENIED = ["OrderInitialized", "OrderDenied"]


# -- on either bus -------------------------------------------------------------------------------


def test_a_node_starts_stops_and_disposes(bus):
    result = play("lifecycle", bus)
    assert not result["timed_out"]
    prefix = "Enhanced" if bus == "enhanced" else ""
    assert result["engines"] == [prefix + name for name in ENGINES]
    assert result["active"] == (["dispatch", "serializer"] if bus == "enhanced" else [])
    assert result["sizes"] == [0, 0]
    assert result["disposed"] == [True] * 3


@pytest.mark.parametrize("delay_ms", [0, 1, 50])
def test_reconciliation_finds_the_instruments_that_were_queued_before_it(bus, delay_ms):
    result = play("reconcile", bus, delay_ms=delay_ms)
    assert result == {"instruments": 3_000, "open_orders": 60, "timed_out": False}


def test_orders_from_handlers_timers_and_order_events_are_all_carried_out(bus):
    result = play("orders", bus)
    assert not result["timed_out"]
    assert result["sequences"] == [FILLED[:3]] + [FILLED] * 25
    assert result["net"] == 150.0


def test_a_close_command_behind_the_fill_that_closed_the_position_is_denied(bus):
    result = play("reduce_only", bus)
    assert not result["timed_out"]
    assert result["close"][-1] == "OrderDenied"
    assert result["net"] == 0.0


def test_an_order_list_and_its_contingencies(bus):
    result = play("order_list", bus)
    assert not result["timed_out"]
    assert [events[-1] for events in result["sequences"]] == [
        "OrderFilled",
        "OrderCanceled",
        "OrderFilled",
    ]
    assert result["net"] == 0.0


def test_time_bars_are_built_one_after_another(bus):
    result = play("time_bars", bus)
    assert not result["timed_out"]
    closes = [ts for _, ts in result["bars"]]
    steps = {later - earlier for earlier, later in pairwise(closes)}
    assert steps == {100_000_000}


def test_a_sandbox_order_fills_behind_the_backlog_that_was_there(bus):
    # The backlog ends with a bid of 102.99 and an ask one cent above.
    assert play("sandbox", bus) == {"fills": ["103.00"]}


@pytest.mark.parametrize("name", ["orders", "reduce_only", "order_list"])
def test_each_order_has_the_same_events_on_both_buses(name, both_buses):
    assert play(name, "stock") == play(name, "enhanced")


# -- falling back --------------------------------------------------------------------------------


def test_the_kill_switch_gives_stock_engines(enhanced_bus):
    result = play("lifecycle", enhanced_bus, env={"NT_ENHANCED_DISABLE": "1"})
    assert result["engines"] == ENGINES
    assert result["active"] == []


def test_kernels_built_at_once_from_two_threads_get_their_own_classes(enhanced_bus):
    result = play("two_threads", enhanced_bus)
    assert result["errors"] == []
    assert result["stock"] == [ENGINES] * 5
    assert (
        result["enhanced"]
        == [["Enhanced" + name for name in ENGINES] + ["dispatch", "serializer"]] * 5
    )


def test_external_streams_without_a_server_do_not_end_the_run(enhanced_bus):
    result = play("streams_without_server", enhanced_bus)
    assert not result["timed_out"]
    assert result["ran_s"] >= 0.3
