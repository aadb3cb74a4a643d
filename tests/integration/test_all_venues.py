"""One node on Binance, Bybit, OKX and Interactive Brokers at once, on either bus."""

import json
import os
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import nautilus_trader
import pytest
from venue_play import PLAYS
from venue_play import address_of
from venue_play import run_program
from venue_play import venue_of


if nautilus_trader.__version__.startswith("1.221."):
    pytest.skip("of 1.221 only Binance's clients can be pointed", allow_module_level=True)

VENUES = ("binance-futures", "bybit", "okx-swap", "ib")
BUSES = ("stock", "enhanced")
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "live" / "all_venues_sandbox.py"


def settled(events):
    """
    Return an order's events without what may be so or otherwise on either bus.

    Clients tell twice that an order was accepted, or of an update nobody asked for (see the tests
    of each venue); Binance's everything, after its socket was dropped. Fills come once.
    """
    kept = []
    for event in events:
        again = event == "OrderAccepted" and event in kept
        unasked = event == "OrderUpdated" and kept[-1:] != ["OrderPendingUpdate"]
        twice = kept[-1:] == [event] and not event.startswith("OrderFilled")
        if not (again or unasked or twice):
            kept.append(event)
    return kept


def fetch(venue, what):
    with urllib.request.urlopen(f"{venue.address.http_url}/loopback/{what}", timeout=30) as answer:
        return json.load(answer)


def play_on_all(bus, folder):
    with ExitStack() as stack:
        venues = {}
        for name in VENUES:
            venues[name] = stack.enter_context(venue_of(PLAYS[name], folder))
        addresses = json.dumps(
            {name: [PLAYS[name].product, address_of(venue)] for name, venue in venues.items()}
        )
        found = run_program("all_venues_node.py", folder, "trade", "all", bus, addresses)
        return {
            name: found[name] | {"venue": fetch(venue, "statistics")}
            for name, venue in venues.items()
        }


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folders = [tmp_path_factory.mktemp(bus) for bus in BUSES]
    with ThreadPoolExecutor(len(BUSES)) as pool:
        return dict(zip(BUSES, pool.map(play_on_all, BUSES, folders), strict=True))


@pytest.mark.parametrize("venue", VENUES)
def test_each_order_has_the_same_events_on_both_buses(outcomes, venue):
    stock, enhanced = (
        {order: settled(told) for order, told in outcomes[bus][venue]["events"].items()}
        for bus in BUSES
    )
    assert enhanced == stock
    assert len(stock) >= 9


@pytest.mark.parametrize("bus", BUSES)
@pytest.mark.parametrize("venue", VENUES)
def test_what_a_venue_filled_and_canceled_is_what_its_strategy_saw(outcomes, bus, venue):
    found = outcomes[bus][venue]
    events = [event.split()[0] for told in found["events"].values() for event in settled(told)]
    figures = found["venue"]
    assert figures["fills"] == events.count("OrderFilled") == 5
    ended = events.count("OrderCanceled") + events.count("OrderExpired")
    # A post-only order that would trade OKX accepts and cancels, which nobody asked for.
    assert ended == figures["cancels"] + figures["expired"] + (venue == "okx-swap")
    assert figures["slow_readers"] == 0
    assert found["crossed_books"] == 0


@pytest.mark.parametrize("venue", VENUES)
def test_the_clients_of_each_venue_are_observed(outcomes, venue):
    found = outcomes["enhanced"][venue]
    assert found["active"] == ["adapters", "dispatch", "serializer"]
    assert outcomes["stock"][venue]["active"] == []
    assert found["quotes"] > 50


def run_example(*arguments):
    return subprocess.run(
        [sys.executable, str(EXAMPLE), *arguments],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env=os.environ | {"COLUMNS": "120"},
    )


def test_the_example_trades_on_all_of_them():
    done = run_example("--seconds", "6")
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    assert "features: dispatch: on; publisher: on" in done.stdout
    for client in ("BINANCE", "BYBIT", "OKX", "IB"):
        (line,) = (line for line in done.stdout.splitlines() if line.endswith(f"fills at {client}"))
        assert int(line.split()[1]) >= 2
        assert f"{client} execution: " in done.stdout
    assert "[ERROR]" not in done.stdout


def test_a_venue_that_is_none_gets_a_sentence():
    done = run_example("--venues", "binance,kraken")
    assert done.returncode == 2
    assert "--venues was 'kraken', allowed: binance, bybit, okx, ib" in done.stderr
