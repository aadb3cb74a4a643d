"""
What an account pays, gets and owes by trading: the part of matching in which markets differ.

The engine asks an account what an order locks and tells it of fills; what is held, and in which
assets, is the account's. `CashAccount` swaps one asset for another, as spot markets do;
`margin.py` holds the account of a perpetual contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN
from decimal import Decimal
from types import MappingProxyType
from typing import Final
from typing import Protocol
from typing import TypeAlias

from nautilus_enhanced.sandbox.market import Instrument
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.orders import ZERO
from nautilus_enhanced.sandbox.orders import Balance
from nautilus_enhanced.sandbox.orders import Order
from nautilus_enhanced.sandbox.orders import OrderRequest
from nautilus_enhanced.sandbox.orders import Side


COMMISSION_QUANTUM: Final = Decimal("0.00000001")

# What an account has at first where nobody says: plenty, and of bitcoin not a world's worth.
PLENTY: Final = Decimal(1_000_000)
_AT_FIRST: Final = MappingProxyType({"BTC": Decimal(10)})

# Price and quantity of what an order would take at once, best first.
Takes: TypeAlias = Sequence[tuple[Decimal, Decimal]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Settlement:
    """
    Hold what a fill did to the account.

    Attributes
    ----------
    commission : Decimal
        In `commission_asset`.
    unlocked : Decimal
        How much less the order keeps locked.
    realized : Decimal
        The profit, or loss, of what the fill closed, commissions apart; zero on a cash account.
    """

    commission: Decimal
    commission_asset: str
    unlocked: Decimal
    realized: Decimal = ZERO


def balances_at_first(instrument: Instrument) -> dict[str, Decimal]:
    """Return what a cash account has of both assets where nobody says."""
    return {a: _AT_FIRST.get(a, PLENTY) for a in (instrument.base, instrument.quote)}


class Account(Protocol):
    """What a matching engine asks of an account."""

    maker_fee: Decimal
    taker_fee: Decimal

    @property
    def balances(self) -> Mapping[str, Balance]:
        """Return what the account has now, by asset; read-only."""
        ...

    def on_quote(self, quote: Quote) -> None:
        """Take note of the market's price."""
        ...

    def needed(self, request: OrderRequest, takes: Takes) -> Decimal:
        """Return what an order has to lock."""
        ...

    def available(self, side: Side) -> Decimal:
        """Return what an order of that side may lock at most."""
        ...

    def reducible(self, side: Side) -> Decimal:
        """Return the quantity by which an order of that side may reduce a position."""
        ...

    def lock(self, side: Side, amount: Decimal) -> None:
        """Lock for an order; a negative amount is given back."""
        ...

    def settle(
        self, order: Order, quantity: Decimal, price: Decimal, *, is_maker: bool
    ) -> Settlement:
        """Take a fill of an order, as the order was before it."""
        ...


class CashAccount:
    """
    Swap base asset for quote asset, as on a spot market.

    A commission is paid in the asset that was received, cut off at `COMMISSION_QUANTUM`.

    Parameters
    ----------
    instrument : Instrument
        What is traded.
    balances : Mapping[str, Decimal]
        What the account has at first, by asset.
    maker_fee, taker_fee : Decimal
        As a fraction of what is received.
    """

    def __init__(
        self,
        instrument: Instrument,
        balances: Mapping[str, Decimal],
        *,
        maker_fee: Decimal = Decimal("0.001"),
        taker_fee: Decimal = Decimal("0.001"),
    ) -> None:
        self.maker_fee = maker_fee
        self.taker_fee = taker_fee
        self._assets = {Side.BUY: instrument.quote, Side.SELL: instrument.base}
        self._balances = {asset: Balance(free=amount) for asset, amount in balances.items()}
        for asset in self._assets.values():
            self._balances.setdefault(asset, Balance())

    @property
    def balances(self) -> Mapping[str, Balance]:
        """Return what the account has now, by asset; read-only."""
        return MappingProxyType(self._balances)

    def on_quote(self, quote: Quote) -> None:
        """Do nothing: what is held does not depend on prices."""

    def needed(self, request: OrderRequest, takes: Takes) -> Decimal:
        """Return the quantity for a sale; for a purchase its value at the limit, or as taken."""
        if request.side is Side.SELL:
            return request.quantity
        if request.price is not None:
            return request.quantity * request.price
        return sum((price * quantity for price, quantity in takes), ZERO)

    def available(self, side: Side) -> Decimal:
        """Return what is free of the asset that is paid with."""
        return self._balances[self._assets[side]].free

    def reducible(self, side: Side) -> Decimal:
        """Return what is free of the asset that is sold: nothing is ever owed here."""
        return self.available(side) if side is Side.SELL else ZERO

    def lock(self, side: Side, amount: Decimal) -> None:
        """Lock some of the asset that is paid with; a negative amount is given back."""
        self._move(self._assets[side], free=-amount, locked=amount)

    def settle(
        self, order: Order, quantity: Decimal, price: Decimal, *, is_maker: bool
    ) -> Settlement:
        """Swap the assets; what a price better than the limit saved becomes free again."""
        request, value = order.request, quantity * price
        buys = request.side is Side.BUY
        paid, received = (value, quantity) if buys else (quantity, value)
        unlocked = quantity * request.price if buys and request.price is not None else paid
        fee = self.maker_fee if is_maker else self.taker_fee
        commission = (received * fee).quantize(COMMISSION_QUANTUM, ROUND_DOWN)
        asset = self._assets[Side.SELL if buys else Side.BUY]
        self._move(self._assets[request.side], free=unlocked - paid, locked=-unlocked)
        self._move(asset, free=received - commission, locked=ZERO)
        return Settlement(commission=commission, commission_asset=asset, unlocked=unlocked)

    def _move(self, asset: str, *, free: Decimal, locked: Decimal) -> None:
        old = self._balances[asset]
        self._balances[asset] = Balance(free=old.free + free, locked=old.locked + locked)
