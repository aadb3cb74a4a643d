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
MAX_QUOTES: Final = 1024

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


class Book:
    """
    Hold the book as it is.

    Parameters
    ----------
    tick : Decimal
        The distance of the levels.

    Attributes
    ----------
    update_id : int
        How many quotes there were.
    """

    def __init__(self, tick: Decimal) -> None:
        self.update_id = 0
        self.quote: Quote | None = None
        self._tick = tick

    @property
    def tick(self) -> Decimal:
        """Return the distance of the levels."""
        return self._tick

    def on_quote(self, quote: Quote) -> None:
        """Take a quote."""
        self.update_id += 1
        self.quote = quote

    def levels(self, side: Side) -> Levels:
        """Return what an order of `side` would take from; nothing before the first quote."""
        return levels_to_take(self.quote, side, self._tick) if self.quote else []

    def snapshot(self) -> BookSnapshot:
        """Return the whole book; empty before the first quote."""
        return BookSnapshot(
            update_id=self.update_id,
            bids=self.levels(Side.SELL),
            asks=self.levels(Side.BUY),
        )


class BookFeed:
    """
    Follow a book's changes from now on, for those who keep a copy of it.

    A copy is right if its snapshot was taken after the feed began: so a client subscribes first.

    Parameters
    ----------
    book : Book
        The book; it takes each quote before the feed does.

    Notes
    -----
    `on_quote` is cheap: levels are worked out only for a diff. What is remembered in between are
    the quotes, and when there are more than `MAX_QUOTES` of them, their prices.
    """

    def __init__(self, book: Book) -> None:
        self._book = book
        self._quotes: list[Quote] = []
        self._touches: dict[Side, set[Decimal]] = {Side.BUY: set(), Side.SELL: set()}
        self._begin()

    def on_quote(self, quote: Quote) -> None:
        """Take a quote."""
        self._quotes.append(quote)
        if len(self._quotes) > MAX_QUOTES:
            self._fold()

    def diff(self) -> BookDiff | None:
        """Return what changed since the last diff, or None if nothing did."""
        if self._published_id == self._book.update_id:
            return None
        self._fold()
        diff = BookDiff(
            first_id=self._published_id + 1,
            last_id=self._book.update_id,
            bids=self._changes(Side.SELL),
            asks=self._changes(Side.BUY),
        )
        self._begin()
        return diff

    def _begin(self) -> None:
        self._published_id = self._book.update_id
        for touches in self._touches.values():
            touches.clear()
        # The levels of this quote may go without another one at their prices.
        self._quotes = [self._book.quote] if self._book.quote else []

    def _fold(self) -> None:
        """Keep the best prices that there were, in place of the quotes."""
        self._touches[Side.BUY].update(quote.ask for quote in self._quotes)
        self._touches[Side.SELL].update(quote.bid for quote in self._quotes)
        self._quotes.clear()

    def _changes(self, side: Side) -> Levels:
        """Return the new size of each level that there was at any time since."""
        now = dict(self._book.levels(side))
        step = self._book.tick if side is Side.BUY else -self._book.tick
        prices = {
            touch + i * step for touch in self._touches[side] for i in range(DEPTH_LEVELS)
        } | set(now)
        best_first = sorted((p for p in prices if p > 0), reverse=side is Side.SELL)
        return [(price, now.get(price, Decimal(0))) for price in best_first]
