"""
The public topics of Bybit: which of them somebody wants, and what they carry.

Pure: events and the time are passed in. Every quote and trade is sent; the book comes out of the
same quotes, at most so often as Bybit sends it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from typing import TypeAlias

from nautilus_enhanced.sandbox.book import Book
from nautilus_enhanced.sandbox.book import BookFeed
from nautilus_enhanced.sandbox.bybit.market_messages import Category
from nautilus_enhanced.sandbox.bybit.market_messages import MarketMessages
from nautilus_enhanced.sandbox.dialect import NS_PER_MS
from nautilus_enhanced.sandbox.dialect import MarketFrame
from nautilus_enhanced.sandbox.market import MarketEvent
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.tape import CandleFeed
from nautilus_enhanced.sandbox.tape import Print
from nautilus_enhanced.sandbox.tape import Tape


_MIN_MS: Final = 60_000
INTERVALS_MS: Final = {
    "1": _MIN_MS, "3": 3 * _MIN_MS, "5": 5 * _MIN_MS, "15": 15 * _MIN_MS, "30": 30 * _MIN_MS,
    "60": 60 * _MIN_MS, "120": 120 * _MIN_MS, "240": 240 * _MIN_MS, "360": 360 * _MIN_MS,
    "720": 720 * _MIN_MS, "D": 1440 * _MIN_MS,
}  # fmt: skip
# How often the book of so many levels is sent.
BOOK_MS: Final = {1: 0, 50: 20, 200: 100, 500: 100, 1000: 200}
SPOT_TICKER_MS: Final = 50
_BOOK: Final = re.compile(r"orderbook\.(\d+)")
_KLINE: Final = re.compile(r"kline\.(\w+)")

# What a topic makes of an event at a time in milliseconds: messages as JSON.
Maker: TypeAlias = Callable[[MarketEvent, int], list[str]]


class MarketStreams:
    """
    Make the frames of the topics that somebody wants.

    Parameters
    ----------
    messages : MarketMessages
        Writes the messages.

    Attributes
    ----------
    book : Book
        The book.
    tape : Tape
        The last trades.
    """

    def __init__(self, messages: MarketMessages) -> None:
        self.messages = messages
        self.book = Book(messages.instrument.tick_size)
        self.tape = Tape()
        symbol = messages.symbol
        is_spot = messages.category is Category.SPOT
        self.quote_stream = f"orderbook.1.{symbol}" if is_spot else f"tickers.{symbol}"
        self.trade_stream = f"publicTrade.{symbol}"
        self._wanted: frozenset[str] = frozenset()
        self._makers: dict[str, Maker] = {}
        self._print: Print | None = None

    def carries(self, topic: str) -> bool:
        """Return whether a topic is one of these."""
        return self._maker(topic) is not None

    def select(self, topics: frozenset[str]) -> None:
        """Make these topics from now on; those that went on before go on."""
        if topics == self._wanted:
            return
        self._wanted = topics
        made = ((name, self._makers.get(name) or self._maker(name)) for name in topics)
        self._makers = {name: maker for name, maker in made if maker is not None}

    def frames(self, event: MarketEvent, now_ns: int) -> list[MarketFrame]:
        """Return what the wanted topics make of an event; of a quote, after the book took it."""
        now_ms = now_ns // NS_PER_MS
        if not isinstance(event, Quote):
            self._print = self.tape.on_trade(event, now_ns)
        return [
            MarketFrame(name, text)
            for name, maker in self._makers.items()
            for text in maker(event, now_ms)
        ]

    def first(self, topic: str, now_ms: int) -> str | None:
        """Return the snapshot that a session gets as it subscribes, if the topic has one."""
        quote = self.book.quote
        if quote is None or not self.carries(topic):
            return None
        if topic.startswith("tickers."):
            return self._ticker(quote, now_ms)
        found = _BOOK.match(topic)
        return self._whole_book(int(found[1]), now_ms) if found else None

    def _ticker(self, quote: Quote, now_ms: int) -> str:
        return self.messages.ticker(quote, self._print, self.tape.session, now_ms)

    def _whole_book(self, depth: int, now_ms: int) -> str:
        return self.messages.book(depth, self.book.snapshot(), now_ms)

    def _maker(  # noqa: PLR0911 (one return for each kind of topic)
        self, topic: str
    ) -> Maker | None:
        """Return what makes a topic, or None if there is no such."""
        name, _, symbol = topic.rpartition(".")
        if symbol != self.messages.symbol:
            return None
        if name == "tickers":
            is_spot = self.messages.category is Category.SPOT
            return self._make_spot_tickers() if is_spot else self._make_tickers()
        if name == "publicTrade":
            return self._make_trades()
        if found := _KLINE.fullmatch(name):
            return self._make_klines(found[1])
        if found := _BOOK.fullmatch(name):
            depth = int(found[1])
            if depth == 1:
                return self._make_touches()
            return self._make_books(depth) if depth in BOOK_MS else None
        return None

    def _make_tickers(self) -> Maker:
        # Changes are nothing to a session that has no whole message: the first one is whole.
        whole = self.book.quote is None

        def make(event: MarketEvent, now_ms: int) -> list[str]:
            nonlocal whole
            if not isinstance(event, Quote):
                return []
            if whole:
                whole = False
                return [self._ticker(event, now_ms)]
            return [self.messages.ticker_change(event, now_ms)]

        return make

    def _make_spot_tickers(self) -> Maker:
        last_ms = 0

        def make(event: MarketEvent, now_ms: int) -> list[str]:
            nonlocal last_ms
            if not isinstance(event, Quote) or now_ms - last_ms < SPOT_TICKER_MS:
                return []
            last_ms = now_ms
            return [self._ticker(event, now_ms)]

        return make

    def _make_trades(self) -> Maker:
        def make(event: MarketEvent, now_ms: int) -> list[str]:
            return [] if isinstance(event, Quote) else [self.messages.trade(event, now_ms)]

        return make

    def _make_klines(self, interval: str) -> Maker | None:
        interval_ms = INTERVALS_MS.get(interval)
        if interval_ms is None:
            return None
        feed = CandleFeed(interval_ms)

        def make(event: MarketEvent, now_ms: int) -> list[str]:
            if isinstance(event, Quote) or self._print is None:
                return []
            return [
                self.messages.kline(candle, interval, now_ms, is_closed=is_closed)
                for candle, is_closed in feed.on_print(self._print)
            ]

        return make

    def _make_touches(self) -> Maker:
        def make(event: MarketEvent, now_ms: int) -> list[str]:
            return [self._whole_book(1, now_ms)] if isinstance(event, Quote) else []

        return make

    def _make_books(self, depth: int) -> Maker:
        feed = BookFeed(self.book)
        whole, last_ms = self.book.quote is None, 0

        def make(event: MarketEvent, now_ms: int) -> list[str]:
            nonlocal whole, last_ms
            if not isinstance(event, Quote):
                return []
            feed.on_quote(event)
            if now_ms - last_ms < BOOK_MS[depth]:
                return []
            diff = feed.diff()
            if diff is None:
                return []
            last_ms = now_ms
            if whole:
                whole = False
                return [self._whole_book(depth, now_ms)]
            return [self.messages.book_change(depth, diff, now_ms)]

        return make
