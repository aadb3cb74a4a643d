from decimal import Decimal

import pytest

from nautilus_enhanced.sandbox.market import Instrument
from nautilus_enhanced.sandbox.market import split_symbol


@pytest.mark.parametrize(
    ("symbol", "assets"),
    [
        ("BTC/USDT", ("BTC", "USDT")),
        ("eth-btc", ("ETH", "BTC")),
        ("btcusdt", ("BTC", "USDT")),
        ("USDJPY", ("USD", "JPY")),
        ("quote", None),
        ("USDT", None),
        ("", None),
        ("/USD", None),
    ],
)
def test_symbols_are_split_where_that_is_certain(symbol, assets):
    assert split_symbol(symbol) == assets


def test_the_symbol_has_no_separator():
    instrument = Instrument(base="A", quote="B", tick_size=Decimal(1), step_size=Decimal(1))
    assert instrument.symbol == "AB"
