"""
The account of a linear perpetual contract: one wallet, one net position, cross margin.

The contract is worth one unit of the base asset and settles in the quote asset. Marks are the
middle of the last quote. Nobody is liquidated and no funding is paid.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN
from decimal import Decimal
from typing import Final

from nautilus_enhanced.sandbox.accounts import COMMISSION_QUANTUM
from nautilus_enhanced.sandbox.accounts import Settlement
from nautilus_enhanced.sandbox.accounts import Takes
from nautilus_enhanced.sandbox.market import Instrument
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.orders import ZERO
from nautilus_enhanced.sandbox.orders import Balance
from nautilus_enhanced.sandbox.orders import Order
from nautilus_enhanced.sandbox.orders import OrderRequest
from nautilus_enhanced.sandbox.orders import Side


MAX_LEVERAGE: Final = 125
DEFAULT_LEVERAGE: Final = 20
MAINTENANCE_RATE: Final = Decimal("0.004")


class MarginAccount:
    """
    Keep a wallet and a net position.

    Parameters
    ----------
    instrument : Instrument
        The contract.
    wallet : Decimal
        What the account has at first, in the quote asset.
    leverage : int
        How many times the margin a position may be worth.
    maker_fee, taker_fee : Decimal
        As a fraction of a fill's value, paid in the quote asset.

    Attributes
    ----------
    wallet : Decimal
        What was paid in, with realized profits and without commissions.
    position : Decimal
        The net quantity: below zero for a short one.
    entry_price : Decimal
        The mean price of the position, zero without one.
    mark_price : Decimal
        The middle of the last quote, zero before the first.
    order_margin : Decimal
        What open orders keep locked.
    """

    def __init__(
        self,
        instrument: Instrument,
        wallet: Decimal,
        *,
        leverage: int = DEFAULT_LEVERAGE,
        maker_fee: Decimal = Decimal("0.0002"),
        taker_fee: Decimal = Decimal("0.0005"),
    ) -> None:
        self.asset = instrument.quote
        self.wallet = wallet
        self.leverage = leverage
        self.maker_fee = maker_fee
        self.taker_fee = taker_fee
        self.position = ZERO
        self.entry_price = ZERO
        self.mark_price = ZERO
        self.order_margin = ZERO

    @property
    def unrealized(self) -> Decimal:
        """Return the profit, or loss, of the position at the mark price."""
        return self.position * (self.mark_price - self.entry_price) if self.position else ZERO

    @property
    def notional(self) -> Decimal:
        """Return what the position is worth at the mark price; below zero for a short one."""
        return self.position * self.mark_price

    @property
    def position_margin(self) -> Decimal:
        """Return the margin that the position needs at the mark price."""
        return abs(self.notional) / self.leverage

    @property
    def maintenance_margin(self) -> Decimal:
        """Return the margin below which a real venue would liquidate."""
        return abs(self.notional) * MAINTENANCE_RATE

    @property
    def free(self) -> Decimal:
        """Return what new orders may lock."""
        equity = self.wallet + self.unrealized
        return max(ZERO, equity - self.position_margin - self.order_margin)

    @property
    def balances(self) -> Mapping[str, Balance]:
        """Return the wallet as one balance."""
        free = min(self.free, self.wallet)
        return {self.asset: Balance(free=free, locked=self.wallet - free)}

    def on_quote(self, quote: Quote) -> None:
        """Mark at the middle of the quote."""
        self.mark_price = (quote.bid + quote.ask) / 2

    def needed(self, request: OrderRequest, takes: Takes) -> Decimal:
        """Return the margin of what the order opens; what it closes needs none."""
        opens = request.quantity - min(request.quantity, self.reducible(request.side))
        if not opens:
            return ZERO
        price = request.price
        if price is None:
            quantity = sum((q for _, q in takes), ZERO)
            value = sum((p * q for p, q in takes), ZERO)
            price = value / quantity if quantity else self.mark_price
        return opens * price / self.leverage

    def available(self, side: Side) -> Decimal:
        """Return what is free."""
        return self.free

    def reducible(self, side: Side) -> Decimal:
        """Return how much of the position an order of that side may close."""
        held = -self.position if side is Side.BUY else self.position
        return max(ZERO, held)

    def lock(self, side: Side, amount: Decimal) -> None:
        """Lock margin for an order; a negative amount is given back."""
        self.order_margin += amount

    def commission(
        self, order: Order, quantity: Decimal, price: Decimal, *, is_maker: bool
    ) -> Decimal:
        """Return what a fill costs; the order is as it was before."""
        return quantity * price * (self.maker_fee if is_maker else self.taker_fee)

    def settle(
        self, order: Order, quantity: Decimal, price: Decimal, *, is_maker: bool
    ) -> Settlement:
        """Move the position, and the wallet by the commission and by what was realized."""
        side = order.request.side
        signed = quantity if side is Side.BUY else -quantity
        closed = min(quantity, self.reducible(side))
        realized = closed * (price - self.entry_price)
        if side is Side.BUY:
            realized = -realized
        opened = quantity - closed
        position = self.position + signed
        if opened:
            # What is left of a position that was turned round was opened by this fill.
            kept = abs(self.position) if not closed else ZERO
            self.entry_price = (kept * self.entry_price + opened * price) / (kept + opened)
        elif not position:
            self.entry_price = ZERO
        self.position = position
        commission = self.commission(order, quantity, price, is_maker=is_maker).quantize(
            COMMISSION_QUANTUM, ROUND_DOWN
        )
        self.wallet += realized - commission
        whole = quantity == order.remaining
        unlocked = order.locked if whole else order.locked * quantity / order.remaining
        self.order_margin -= unlocked
        return Settlement(
            commission=commission,
            commission_asset=self.asset,
            unlocked=unlocked,
            realized=realized,
        )
