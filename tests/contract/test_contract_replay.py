"""
A session replayed on both buses: the same per topic and per order, and without backlog all of it.

These tests compare the buses, so they run once, when both are under test.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from conftest import BUSES
from contract_play import outcome_of


PROGRAM = "contract_replay.py"
RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "market_data"
DATA = ("QuoteTick", "TradeTick", "Bar")
COUNT = {"generated": 400, "recorded": 600}


def replay(source: str, mode: str, **options: bool) -> tuple[dict, dict]:
    """Return what happened on the stock and on the enhanced bus."""
    folder = ""
    if source == "recorded":
        if not (RECORDINGS / "btcusdt-quotes.parquet").exists():
            pytest.skip("no recordings beside the checkout")
        folder = str(RECORDINGS)
    arguments = {"mode": mode, "count": COUNT[source], "folder": folder} | options
    stock, enhanced = (outcome_of(PROGRAM, "replay", bus, **arguments) for bus in BUSES)
    return stock, enhanced


def split(topics: dict) -> tuple[dict, dict]:
    """Return the topics of market data, and those of orders and positions."""
    data = {topic: msgs for topic, msgs in topics.items() if topic.startswith(DATA)}
    return data, {topic: msgs for topic, msgs in topics.items() if topic not in data}


def by_order(story: list[str]) -> dict[str, list[str]]:
    """Return the callbacks about each order, in their order."""
    orders: dict[str, list[str]] = {}
    for line in story:
        if " Order" in line:
            label = line.split("client_order_id=")[1].split(",")[0]
            orders.setdefault(label, []).append(line)
    return orders


def of_data(story: list[str]) -> list[str]:
    return [line for line in story if line.startswith(("on_quote", "on_trade"))]


def of_bars(story: list[str]) -> list[str]:
    return [line for line in story if line.startswith("on_bar")]


@pytest.fixture(params=["generated", "recorded"])
def source(request, both_buses):
    return request.param


@pytest.fixture(params=["paced", "burst"])
def mode(request):
    return request.param


def test_without_a_backlog_each_strategy_s_whole_log_is_the_same(source):
    stock, enhanced = replay(source, "paced")
    assert all(len(story) > 1_000 for story in stock["stories"])
    for ours, theirs in zip(enhanced["stories"], stock["stories"], strict=True):
        assert ours == theirs


def test_it_is_the_same_wherever_the_system_stalls_the_process(source):
    # Which ends a slice after any of the messages that a tick leads to.
    stock, enhanced = replay(source, "paced", stalls=True)
    assert enhanced["stories"] == stock["stories"]


def test_the_session_has_what_the_comparison_is_about(source, mode):
    stock, _ = replay(source, mode)
    assert stock["kinds"] == ["QuoteTick", "TradeTick"]
    for story in stock["stories"]:
        for callback in ("on_quote_tick", "on_trade_tick", "on_bar", "on_position_event"):
            assert any(line.startswith(callback) for line in story), callback
        for event in ("OrderSubmitted", "OrderAccepted", "OrderFilled", "OrderCanceled"):
            assert any(f" {event}(" in line for line in story), event


def test_each_topic_of_market_data_has_the_same_sequence(source, mode):
    stock, enhanced = replay(source, mode)
    ours, theirs = split(enhanced["topics"])[0], split(stock["topics"])[0]
    assert theirs
    assert ours == theirs


def test_each_order_and_position_has_the_same_sequence(source, mode):
    stock, enhanced = replay(source, mode)
    ours, theirs = split(enhanced["topics"])[1], split(stock["topics"])[1]
    assert theirs
    assert ours == theirs


def test_each_strategy_gets_the_same_callbacks_about_each_order(source, mode):
    stock, enhanced = replay(source, mode)
    for ours, theirs in zip(enhanced["stories"], stock["stories"], strict=True):
        assert by_order(ours) == by_order(theirs)


def test_each_strategy_gets_the_same_market_data_in_the_same_order(source, mode):
    stock, enhanced = replay(source, mode)
    for ours, theirs in zip(enhanced["stories"], stock["stories"], strict=True):
        assert of_data(ours) == of_data(theirs)


def test_tick_and_volume_bars_are_the_same_and_in_the_same_order(source, mode):
    stock, enhanced = replay(source, mode)
    for ours, theirs in zip(enhanced["stories"], stock["stories"], strict=True):
        assert of_bars(theirs)
        assert of_bars(ours) == of_bars(theirs)


def test_a_tick_s_bar_comes_after_the_tick_and_before_the_next_without_a_backlog(source):
    for result in replay(source, "paced"):
        for story in result["stories"]:
            data = [line for line in story if line.startswith(("on_quote", "on_trade", "on_bar"))]
            times = [int(line.removesuffix(")").rsplit(",", 1)[1]) for line in data]
            assert all(earlier <= later for earlier, later in pairwise(times))


def test_under_a_backlog_order_events_come_before_the_data_that_waits(source):
    """What changes, by intention: stock's first fill comes after the backlog, ours within it."""
    stock, enhanced = replay(source, "burst")

    def ticks_before_the_first_fill(story: list[str]) -> int:
        filled = next(n for n, line in enumerate(story) if line.startswith("on_order_filled"))
        return len(of_data(story[:filled]))

    for ours, theirs in zip(enhanced["stories"], stock["stories"], strict=True):
        assert ticks_before_the_first_fill(theirs) == COUNT[source]
        assert ticks_before_the_first_fill(ours) < COUNT[source]


# -- an order that is denied in the handler of a tick --------------------------------------------


def test_a_denial_comes_after_the_bar_that_the_same_tick_completed(both_buses):
    stock, enhanced = replay("generated", "paced", denies=True)
    assert enhanced["stories"] == stock["stories"]
