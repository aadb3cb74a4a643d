"""
What a market is to a loopback venue: an instrument and its events in time order.

Nothing here belongs to one venue. A source says when an event is *due*, in nanoseconds since
the session began; the venue owns the clock and decides when that session begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from typing import Protocol
from typing import TypeAlias
from typing import runtime_checkable


QUOTE_ASSETS: Final = (
    "FDUSD", "USDT", "USDC", "TUSD", "BUSD", "BTC", "ETH", "BNB",
    "USD", "EUR", "GBP", "JPY", "CHF", "AUD", "CAD", "NZD", "TRY", "BRL",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Instrument:
    """
    Describe what is traded, and the rules that orders for it must obey.

    Attributes
    ----------
    base, quote : str
        The asset that is bought and sold, and the asset that pays for it.
    tick_size : Decimal
        The smallest step of a price, in the quote asset.
    step_size : Decimal
        The smallest step of an order's quantity, in the base asset.
    min_notional : Decimal
        The least value of an order, in the quote asset.
    max_quantity : Decimal
        The largest quantity of one order, in the base asset.
    max_price : Decimal
        The highest price of an order, in the quote asset.
    """

    base: str
    quote: str
    tick_size: Decimal
    step_size: Decimal
    min_notional: Decimal = Decimal(5)
    max_quantity: Decimal = Decimal(9000)
    max_price: Decimal = Decimal(10_000_000)

    @property
    def symbol(self) -> str:
        """Return base and quote without a separator."""
        return self.base + self.quote


@dataclass(frozen=True, kw_only=True, slots=True)
class Quote:
    """
    Hold the best bid and ask at one moment.

    Attributes
    ----------
    due_ns : int
        When it happens, in nanoseconds since the session began.
    bid, ask : Decimal
        The best prices, in the quote asset.
    bid_size, ask_size : Decimal
        What is shown at them, in the base asset.
    """

    due_ns: int
    bid: Decimal
    ask: Decimal
    bid_size: Decimal
    ask_size: Decimal


@dataclass(frozen=True, kw_only=True, slots=True)
class Trade:
    """
    Hold one trade between others.

    Attributes
    ----------
    due_ns : int
        When it happens, in nanoseconds since the session began.
    trade_id : int
        Identifies the trade, unique in the source and ascending.
    price, size : Decimal
        In the quote and the base asset.
    buyer_is_maker : bool
        Whether the seller took the liquidity.
    """

    due_ns: int
    trade_id: int
    price: Decimal
    size: Decimal
    buyer_is_maker: bool


MarketEvent: TypeAlias = Quote | Trade


@runtime_checkable
class MarketSource(Protocol):
    """An instrument and its market events; iterating twice gives the same events twice."""

    @property
    def instrument(self) -> Instrument:
        """Return what is traded."""
        ...

    def __iter__(self) -> Iterator[MarketEvent]:
        """Iterate over the events, `due_ns` never descending."""
        ...


def split_symbol(symbol: str) -> tuple[str, str] | None:
    """
    Split a symbol into base and quote asset, or return None when that cannot be known.

    Parameters
    ----------
    symbol : str
        Such as ``BTC/USDT``, ``btc-usdt`` or ``BTCUSDT``; without a separator the quote asset
        must be one of `QUOTE_ASSETS`.
    """
    text = symbol.strip().upper()
    for separator in "/-_":
        base, found, quote = text.partition(separator)
        if found:
            return (base, quote) if base.isalnum() and quote.isalnum() else None
    for asset in QUOTE_ASSETS:
        base = text.removesuffix(asset)
        if base != text and base.isalnum():
            return base, asset
    return None
