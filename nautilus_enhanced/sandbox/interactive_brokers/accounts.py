"""The account at Interactive Brokers: margin, and commissions with a least amount an order."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from nautilus_enhanced.sandbox.margin import MarginAccount
from nautilus_enhanced.sandbox.market import Instrument
from nautilus_enhanced.sandbox.orders import ZERO
from nautilus_enhanced.sandbox.orders import Order


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """
    Hold what trading costs, and how much margin a position needs.

    Attributes
    ----------
    per_unit : Decimal
        Commission for each share, in the quote asset.
    per_value : Decimal
        Commission as a fraction of what is traded.
    minimum : Decimal
        The least commission of an order that is filled, in the quote asset.
    leverage : int
        How many times the margin a position may be worth.
    maintenance : Decimal
        The maintenance margin as a fraction of a position's value.
    """

    per_unit: Decimal = ZERO
    per_value: Decimal = ZERO
    minimum: Decimal
    leverage: int
    maintenance: Decimal


# Interactive Brokers' fixed prices and Regulation T.
STOCK_TERMS: Final = Terms(
    per_unit=Decimal("0.005"),
    minimum=Decimal("1.00"),
    leverage=2,
    maintenance=Decimal("0.25"),
)
FOREX_TERMS: Final = Terms(
    per_value=Decimal("0.00002"),
    minimum=Decimal("2.00"),
    leverage=40,
    maintenance=Decimal("0.02"),
)


class BrokerAccount(MarginAccount):
    """
    Keep cash and one position, as a margin account at Interactive Brokers does.

    Parameters
    ----------
    instrument : Instrument
        What is traded.
    cash : Decimal
        What the account has at first, in the quote asset.
    terms : Terms
        What trading costs, and how much margin a position needs.
    """

    def __init__(self, instrument: Instrument, cash: Decimal, terms: Terms) -> None:
        super().__init__(instrument, cash, leverage=terms.leverage)
        self.terms = terms

    @property
    def equity(self) -> Decimal:
        """Return what the account is worth at the mark price."""
        return self.wallet + self.unrealized

    @property
    def cash(self) -> Decimal:
        """Return what is not in the position."""
        return self.equity - self.notional

    @property
    def maintenance_margin(self) -> Decimal:
        """Return the margin below which positions would be closed."""
        return abs(self.notional) * self.terms.maintenance

    def commission(
        self, order: Order, quantity: Decimal, price: Decimal, *, is_maker: bool
    ) -> Decimal:
        """Return what a fill adds to the commission of its order."""
        before = self._due(order.filled, order.filled_quote)
        after = self._due(order.filled + quantity, order.filled_quote + quantity * price)
        return after - before

    def _due(self, quantity: Decimal, value: Decimal) -> Decimal:
        if not quantity:
            return ZERO
        terms = self.terms
        return max(terms.minimum, quantity * terms.per_unit + value * terms.per_value)
