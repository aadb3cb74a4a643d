import re

import pytest

from nautilus_enhanced.cli.demo.loopback import venue_arguments
from nautilus_enhanced.cli.demo.settings import DemoSettings
from nautilus_enhanced.cli.demo.strategy import trade_number
from nautilus_enhanced.cli.demo.venues import DEMO_VENUES
from nautilus_enhanced.cli.demo.venues import check_clients
from nautilus_enhanced.cli.demo.venues import selected
from nautilus_enhanced.infrastructure.messagebus.errors import MissingExtraError
from nautilus_enhanced.sandbox.venues import VENUES


@pytest.mark.parametrize("name", DEMO_VENUES)
def test_each_venue_of_the_demo_can_be_run_by_itself(name):
    arguments = venue_arguments(name, DemoSettings(seconds=1.0, venues=(name,)))
    assert arguments[0] == "venue"
    assert arguments[1] in VENUES


def test_all_are_all_and_any_other_is_itself():
    assert selected("all") == tuple(DEMO_VENUES)
    assert selected("okx") == ("okx",)


def test_no_two_share_a_name_in_a_node():
    clients = [venue.client for venue in DEMO_VENUES.values()]
    assert len(set(clients)) == len(clients)


@pytest.mark.parametrize(
    ("name", "symbol", "instrument_id"),
    [
        ("binance", "BTCUSDT", "BTCUSDT.BINANCE"),
        ("binance", "EUR/USD", "EURUSD.BINANCE"),
        ("bybit", "BTCUSDT", "BTCUSDT-LINEAR.BYBIT"),
        ("okx", "BTCUSDT", "BTC-USDT-SWAP.OKX"),
        ("okx", "BTC-USDT", "BTC-USDT-SWAP.OKX"),
        ("ib", "AAPLUSD", "AAPL.NASDAQ"),
    ],
)
def test_a_symbol_is_an_instrument_there(name, symbol, instrument_id):
    assert DEMO_VENUES[name].instrument_id(symbol) == instrument_id


def test_a_recording_is_replayed_instead_of_a_made_up_market():
    settings = DemoSettings(seconds=1.0, replay="q.csv", speed=5.0, symbol="EUR/USD", venue_port=7)
    arguments = venue_arguments("bybit", settings)
    assert arguments[1:4] == ["bybit", "--json", "--exit-with-stdin"]
    assert arguments[4:] == [
        "--port", "7", "--replay", "q.csv", "--speed", "5.0", "--symbol", "EUR/USD",
    ]  # fmt: skip


def push(word, trade_id=-1):
    return {"client_order_id": "O", "execution_type": word, "trade_id": trade_id, "monotonic_ns": 1}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("binance", ["NEW", "TRADE", "CANCELED", "EXPIRED"]),
        ("bybit", ["New", "Trade", "Cancelled", "PartiallyFilled"]),
        ("okx", ["live", "filled", "partially_filled", "canceled"]),
        ("ib", ["Submitted", "Fill", "Cancelled"]),
    ],
)
def test_words_of_a_venue_are_the_demo_s(name, words):
    found = [p["execution_type"] for p in DEMO_VENUES[name].measured_pushes(push(w) for w in words)]
    expected = {
        "binance": ["NEW", "TRADE", "CANCELED"],
        "bybit": ["NEW", "TRADE", "CANCELED"],
        # The answer to a request says first that an order was accepted: that is not measured.
        "okx": ["TRADE", "TRADE", "CANCELED"],
        "ib": ["TRADE"],
    }
    assert found == expected[name]


@pytest.mark.parametrize("trade_id", ["12", "fill-12", "0e7a1200.0000000c.01.01"])
def test_a_trade_has_a_number_whatever_the_venue_calls_it(trade_id):
    assert trade_number(trade_id) == 12


def test_without_the_library_of_interactive_brokers_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(
        "nautilus_enhanced.sandbox.interactive_brokers.clients.find_spec", lambda name: None
    )
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'nt-enhanced[ib]'")):
        check_clients(["ib"])
