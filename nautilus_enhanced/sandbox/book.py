"""
The book that is made up from a quote: the touch, and further levels behind it.

What the quote shows is at the touch; behind it lie `DEPTH_LEVELS` - 1 more levels, one tick
apart, each of the size shown at the touch.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from typing import TypeAlias

from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.orders import Side


DEPTH_LEVELS: Final = 10

# Price and size, best first.
Levels: TypeAlias = list[tuple[Decimal, Decimal]]


def levels_to_take(quote: Quote, side: Side, tick: Decimal) -> Levels:
    """Return the levels that an order of `side` takes from: the asks for a buy."""
    first, size, step = (
        (quote.ask, quote.ask_size, tick)
        if side is Side.BUY
        else (quote.bid, quote.bid_size, -tick)
    )
    levels = ((first + i * step, size) for i in range(DEPTH_LEVELS))
    return [level for level in levels if level[0] > 0]


@dataclass(frozen=True, kw_only=True, slots=True)
class BookSnapshot:
    """
    Hold the whole book after a quote.

    Attributes
    ----------
    update_id : int
        How many quotes there were, this one included.
    """

    update_id: int
    bids: Levels
    asks: Levels


@dataclass(frozen=True, kw_only=True, slots=True)
class BookDiff:
    """
    Hold what changed in the book since the diff before.

    Attributes
    ----------
    first_id, last_id : int
        The updates that it covers.
    bids, asks : Levels
        Price and new size; zero for a level that is gone.
    """

    first_id: int
    last_id: int
    bids: Levels
    asks: Levels


class BookFeed:
    """
    Follow a book's changes, for those who keep a copy of it.

    Parameters
    ----------
    tick : Decimal
        The distance of the levels.

    Notes
    -----
    `on_quote` is cheap: levels are worked out only for a snapshot or a diff. What is remembered
    in between are the best prices that there were, and a quote of which neither price is new
    adds nothing.
    """

    def __init__(self, tick: Decimal) -> None:
        self.update_id = 0
        self._tick = tick
        self._quote: Quote | None = None
        self._published_id = 0
        self._touches: dict[Side, set[Decimal]] = {Side.BUY: set(), Side.SELL: set()}

    def on_quote(self, quote: Quote) -> None:
        """Take a quote."""
        self.update_id += 1
        self._quote = quote
        self._touches[Side.BUY].add(quote.ask)
        self._touches[Side.SELL].add(quote.bid)

    def snapshot(self) -> BookSnapshot:
        """Return the book as it is now; empty before the first quote."""
        return BookSnapshot(
            update_id=self.update_id,
            bids=self._levels(Side.SELL),
            asks=self._levels(Side.BUY),
        )

    def skip(self) -> None:
        """Forget what changed: nobody wants to know."""
        self._published_id = self.update_id
        if self._quote is not None:
            self._touches = {Side.BUY: {self._quote.ask}, Side.SELL: {self._quote.bid}}

    def diff(self) -> BookDiff | None:
        """Return what changed since the last diff, or None if nothing did."""
        if self._published_id == self.update_id:
            return None
        diff = BookDiff(
            first_id=self._published_id + 1,
            last_id=self.update_id,
            bids=self._changes(Side.SELL),
            asks=self._changes(Side.BUY),
        )
        self.skip()
        return diff

    def _levels(self, side: Side) -> Levels:
        return levels_to_take(self._quote, side, self._tick) if self._quote else []

    def _changes(self, side: Side) -> Levels:
        """Return the new size of each level that there was at any time since."""
        now = dict(self._levels(side))
        step = self._tick if side is Side.BUY else -self._tick
        prices = {
            touch + i * step for touch in self._touches[side] for i in range(DEPTH_LEVELS)
        } | set(now)
        best_first = sorted((p for p in prices if p > 0), reverse=side is Side.SELL)
        return [(price, now.get(price, Decimal(0))) for price in best_first]
