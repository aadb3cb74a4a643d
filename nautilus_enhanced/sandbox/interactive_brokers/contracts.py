"""The contract that an Interactive Brokers venue trades: a stock, or a pair of currencies."""

from __future__ import annotations

import zlib
from dataclasses import replace
from decimal import Decimal
from typing import Any
from typing import Final

from ibapi.protobuf.Contract_pb2 import Contract
from ibapi.protobuf.ContractDetails_pb2 import ContractDetails

from nautilus_enhanced.sandbox.market import Instrument
from nautilus_enhanced.sandbox.orders import ZERO


ONE: Final = Decimal(1)
MAX_QUANTITY: Final = Decimal(10_000_000)
# The venue's own numbers of what it trades by default; others get one of this kind.
_KNOWN_IDS: Final = {"AAPL": 265598, "EUR.USD": 12087792}
_KNOWN_ISINS: Final = {"AAPL": "US0378331005"}
_ORDER_TYPES: Final = "LMT,MKT,STP,STP LMT"


def tradable(instrument: Instrument) -> Instrument:
    """Return the rules for orders: whole shares or units, and no least value."""
    step = max(ONE, instrument.step_size)
    return replace(instrument, step_size=step, min_notional=ZERO, max_quantity=MAX_QUANTITY)


class Listing:
    """
    Describe a contract as Interactive Brokers does, and recognise it.

    Parameters
    ----------
    instrument : Instrument
        What is traded.
    is_forex : bool
        Whether it is a pair of currencies; else it is a stock.
    """

    def __init__(self, instrument: Instrument, *, is_forex: bool) -> None:
        self.instrument = instrument
        self.is_forex = is_forex
        base = instrument.base
        self.name = f"{base}.{instrument.quote}" if is_forex else base
        self.exchange = "IDEALPRO" if is_forex else "SMART"
        self.primary = "" if is_forex else "NASDAQ"
        self.traded_at = "IDEALPRO" if is_forex else "NASDAQ"
        self.contract_id = (
            _KNOWN_IDS.get(self.name) or 500_000_000 + zlib.crc32(self.name.encode()) % 400_000_000
        )

    def contract(self) -> Any:
        """Return the contract."""
        contract = Contract(
            conId=self.contract_id,
            symbol=self.instrument.base,
            secType="CASH" if self.is_forex else "STK",
            strike=0.0,
            exchange=self.exchange,
            currency=self.instrument.quote,
            localSymbol=self.name,
            tradingClass=self.name if self.is_forex else "NMS",
        )
        if self.primary:
            contract.primaryExch = self.primary
        return contract

    def details(self) -> Any:
        """Return its details."""
        details = ContractDetails(
            marketName=self.name if self.is_forex else "NMS",
            minTick=format(self.instrument.tick_size, "f"),
            orderTypes=_ORDER_TYPES,
            validExchanges=self.exchange if self.is_forex else f"{self.exchange},{self.primary}",
            priceMagnifier=1,
            longName=f"{self.name} of the loopback venue",
            timeZoneId="US/Eastern",
            tradingHours="",
            liquidHours="",
            minSize=format(self.instrument.step_size, "f"),
            sizeIncrement=format(self.instrument.step_size, "f"),
            suggestedSizeIncrement=format(self.instrument.step_size, "f"),
        )
        if not self.is_forex:
            details.stockType = "COMMON"
            isin = _KNOWN_ISINS.get(self.name, f"ZZ{self.contract_id:010}")
            details.secIdList["ISIN"] = isin
        return details

    def matches(self, asked: Any) -> bool:
        """Return whether a client's description fits: what it leaves open fits anything."""
        own = self.contract()
        names = ("symbol", "secType", "currency", "localSymbol", "tradingClass")
        exchanges = {"", self.exchange, self.primary, self.traded_at}
        return (
            asked.conId in {0, self.contract_id}
            and all(getattr(asked, name) in {"", getattr(own, name)} for name in names)
            and asked.exchange in exchanges
            and asked.primaryExch in exchanges
            and bool(asked.conId or asked.symbol or asked.localSymbol)
        )
