"""Orders that wait for a price before they go to the book."""

from __future__ import annotations

from decimal import Decimal

from nautilus_enhanced.sandbox.market import Quote


def is_reached(quote: Quote, price: Decimal, *, rising: bool) -> bool:
    """
    Return whether the market has come to a trigger price.

    Parameters
    ----------
    rising : bool
        Whether the market has to rise to it, with both sides of the quote; else it has to fall.
    """
    return quote.bid >= price if rising else quote.ask <= price


class TriggerBook:
    """Keep which orders wait for which price."""

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[Decimal, bool]] = {}

    def __contains__(self, order_id: object) -> bool:
        return order_id in self._waiting

    def add(self, order_id: int, price: Decimal, *, rising: bool) -> None:
        """Let an order wait."""
        self._waiting[order_id] = (price, rising)

    def discard(self, order_id: int) -> bool:
        """Let an order wait no longer; return whether it did."""
        return self._waiting.pop(order_id, None) is not None

    def take(self, quote: Quote) -> list[int]:
        """Return the orders whose price has come, oldest first; they wait no longer."""
        if not self._waiting:
            return []
        found = [
            order_id
            for order_id, (price, rising) in self._waiting.items()
            if is_reached(quote, price, rising=rising)
        ]
        for order_id in found:
            del self._waiting[order_id]
        return found
