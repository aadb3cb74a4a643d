"""The last trades of a market, and the candles and day's figures that follow from them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from nautilus_enhanced.sandbox.dialect import NS_PER_MS
from nautilus_enhanced.sandbox.market import Trade
from nautilus_enhanced.sandbox.orders import ZERO


MAX_PRINTS: Final = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Print:
    """Hold a trade and when it was sent, in Unix milliseconds."""

    trade: Trade
    time_ms: int


@dataclass(kw_only=True, slots=True)
class Candle:
    """
    Sum up the trades of an interval.

    Attributes
    ----------
    open_ms, close_ms : int
        The first and the last millisecond of the interval, in Unix time.
    volume, quote_volume : Decimal
        In the base and the quote asset.
    buy_volume, buy_quote_volume : Decimal
        Of these, what was traded with the buyer as the taker.
    """

    open_ms: int
    close_ms: int
    first_id: int
    last_id: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = ZERO
    quote_volume: Decimal = ZERO
    buy_volume: Decimal = ZERO
    buy_quote_volume: Decimal = ZERO
    count: int = 0

    @classmethod
    def of(cls, first: Print, open_ms: int, close_ms: int) -> Candle:
        """Begin with a first trade."""
        price = first.trade.price
        candle = cls(
            open_ms=open_ms,
            close_ms=close_ms,
            first_id=first.trade.trade_id,
            last_id=first.trade.trade_id,
            open=price,
            high=price,
            low=price,
            close=price,
        )
        candle.add(first)
        return candle

    def add(self, print_: Print) -> None:
        """Add a trade."""
        trade = print_.trade
        value = trade.price * trade.size
        self.high = max(self.high, trade.price)
        self.low = min(self.low, trade.price)
        self.close = trade.price
        self.volume += trade.size
        self.quote_volume += value
        if not trade.buyer_is_maker:
            self.buy_volume += trade.size
            self.buy_quote_volume += value
        self.last_id = trade.trade_id
        self.count += 1


class CandleFeed:
    """
    Make candles of one interval as trades come.

    Parameters
    ----------
    interval_ms : int
        The interval, in milliseconds; intervals begin at multiples of it.
    """

    def __init__(self, interval_ms: int) -> None:
        self._interval_ms = interval_ms
        self._candle: Candle | None = None

    def on_print(self, print_: Print) -> list[tuple[Candle, bool]]:
        """Take a trade; return the candle that it closed, if any, and the one it is in."""
        candles = []
        open_ms = print_.time_ms - print_.time_ms % self._interval_ms
        candle = self._candle
        if candle is not None and candle.open_ms != open_ms:
            candles.append((candle, True))
            candle = None
        if candle is None:
            candle = Candle.of(print_, open_ms, open_ms + self._interval_ms - 1)
        else:
            candle.add(print_)
        self._candle = candle
        return [*candles, (candle, False)]


class Tape:
    """Remember the last `MAX_PRINTS` trades, and sum up all."""

    def __init__(self) -> None:
        self.prints: deque[Print] = deque(maxlen=MAX_PRINTS)
        self.session: Candle | None = None

    def on_trade(self, trade: Trade, now_ns: int) -> Print:
        """Take a trade."""
        print_ = Print(trade=trade, time_ms=now_ns // NS_PER_MS)
        self.prints.append(print_)
        if self.session is None:
            self.session = Candle.of(print_, print_.time_ms, print_.time_ms)
        else:
            self.session.add(print_)
            self.session.close_ms = print_.time_ms
        return print_


def candles(prints: Iterable[Print], interval_ms: int) -> list[Candle]:
    """Return the candles of some trades, oldest first, the last one perhaps not over."""
    feed = CandleFeed(interval_ms)
    made: dict[int, Candle] = {}
    for print_ in prints:
        for candle, _ in feed.on_print(print_):
            made[candle.open_ms] = candle
    return list(made.values())
