"""
The market data streams of Binance: which of them somebody wants, and what they carry.

Pure: events and the time are passed in. ``<symbol>@bookTicker`` and the trade streams carry each
event; the others come out of the same events, at most so often as their name says.
"""

from __future__ import annotations

import re
from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from typing import Final
from typing import Generic
from typing import TypeAlias
from typing import TypeVar

from nautilus_enhanced.sandbox.binance.futures_messages import FuturesMessages
from nautilus_enhanced.sandbox.binance.messages import MarketMessages
from nautilus_enhanced.sandbox.binance.messages import compact
from nautilus_enhanced.sandbox.binance.spot_messages import SpotMessages
from nautilus_enhanced.sandbox.book import Book
from nautilus_enhanced.sandbox.book import BookDiff
from nautilus_enhanced.sandbox.book import BookFeed
from nautilus_enhanced.sandbox.book import BookSnapshot
from nautilus_enhanced.sandbox.dialect import NS_PER_MS
from nautilus_enhanced.sandbox.dialect import MarketFrame
from nautilus_enhanced.sandbox.market import MarketEvent
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.tape import CandleFeed
from nautilus_enhanced.sandbox.tape import Print
from nautilus_enhanced.sandbox.tape import Tape


_S: Final = 1_000
_MIN: Final = 60 * _S
_H: Final = 60 * _MIN
INTERVALS_MS: Final = {
    "1s": _S, "1m": _MIN, "3m": 3 * _MIN, "5m": 5 * _MIN, "15m": 15 * _MIN, "30m": 30 * _MIN,
    "1h": _H, "2h": 2 * _H, "4h": 4 * _H, "6h": 6 * _H, "8h": 8 * _H, "12h": 12 * _H,
    "1d": 24 * _H,
}  # fmt: skip
TICKER_MS: Final = 1_000
_DIFF: Final = re.compile(r"depth(?:@(\d+)ms)?")
_PARTIAL: Final = re.compile(r"depth(5|10|20)(?:@(\d+)ms)?")
_KLINE: Final = re.compile(r"kline_(\w+)")
_MARK: Final = re.compile(r"markPrice(?:@(1|3)s)?|!markPrice@arr(?:@(1|3)s)?")

M = TypeVar("M", bound=MarketMessages)
# What a stream makes of an event at a time in milliseconds: payloads as JSON.
Maker: TypeAlias = Callable[[MarketEvent, int], list[str]]


class _Beat:
    """Let something happen at most once in an interval."""

    __slots__ = ("_interval_ms", "_last_ms")

    def __init__(self, interval_ms: int) -> None:
        self._interval_ms = interval_ms
        self._last_ms = 0

    def is_due(self, now_ms: int) -> bool:
        if now_ms - self._last_ms < self._interval_ms:
            return False
        self._last_ms = now_ms
        return True


class MarketStreams(ABC, Generic[M]):
    """
    Make the frames of the streams that somebody wants.

    Parameters
    ----------
    messages : MarketMessages
        Writes the payloads.
    speeds_ms : tuple[int, ...]
        The intervals in which the book can be had; the first one where a name says none.

    Attributes
    ----------
    book : Book
        The book as ``GET depth`` shows it.
    tape : Tape
        The last trades.
    """

    def __init__(self, messages: M, speeds_ms: tuple[int, ...]) -> None:
        self.messages = messages
        self.book = Book(messages.instrument.tick_size)
        self.tape = Tape()
        symbol = messages.symbol.lower()
        self._prefix = f"{symbol}@"
        self.quote_stream = f"{symbol}@bookTicker"
        self.trade_streams = frozenset({f"{symbol}@trade", f"{symbol}@aggTrade"})
        self._default_speed_ms = speeds_ms[0]
        self._speeds_ms = frozenset(speeds_ms)
        self._wanted: frozenset[str] = frozenset()
        self._makers: dict[str, Maker] = {}
        self._prepared_id = 0
        self._print: Print | None = None

    def carries(self, stream: str) -> bool:
        """Return whether a stream is one of these."""
        return stream == self.quote_stream or self._maker(stream) is not None

    def select(self, streams: frozenset[str]) -> None:
        """Make these streams from now on; those that went on before go on."""
        if streams == self._wanted:
            return
        self._wanted = streams
        makers = {}
        for name in streams:
            maker = self._makers.get(name) or self._maker(name)
            if maker is not None:
                makers[name] = maker
        self._makers = makers

    def on_quote(self, quote: Quote) -> None:
        """Follow the book."""
        self.book.on_quote(quote)

    def prepare(self, event: MarketEvent) -> MarketFrame | None:
        """Return the frame of an event that is not due yet, if it holds no time of sending."""
        return None

    def frames(
        self, event: MarketEvent, prepared: MarketFrame | None, now_ns: int
    ) -> list[MarketFrame]:
        """Return what the wanted streams make of an event; of a quote, after `on_quote`."""
        now_ms = now_ns // NS_PER_MS
        frames = []
        if isinstance(event, Quote):
            if self.quote_stream in self._wanted:
                frames.append(
                    prepared or self._frame(self.quote_stream, self._quote(event, now_ms))
                )
        else:
            self._print = self.tape.on_trade(event, now_ns)
        for name, maker in self._makers.items():
            frames += [self._frame(name, payload) for payload in maker(event, now_ms)]
        return frames

    @abstractmethod
    def _quote(self, quote: Quote, now_ms: int) -> str:
        """Return the payload of ``bookTicker``."""

    @abstractmethod
    def _diff(self, diff: BookDiff, now_ms: int) -> str:
        """Return the payload of ``depth``."""

    @abstractmethod
    def _partial(self, book: BookSnapshot, limit: int, now_ms: int) -> str:
        """Return the payload of ``depth<levels>``."""

    def _frame(self, stream: str, payload: str) -> MarketFrame:
        return MarketFrame(stream, f'{{"stream":"{stream}","data":{payload}}}', payload)

    def _maker(  # noqa: PLR0911 (one return for each kind of stream)
        self, stream: str
    ) -> Maker | None:
        """Return what makes a stream, or None if there is no such."""
        if not stream.startswith(self._prefix):
            return None
        name = stream.removeprefix(self._prefix)
        if name == "trade":
            return self._make_trades(self.messages.trade)
        if name == "aggTrade":
            return self._make_trades(self.messages.agg_trade)
        if name == "ticker":
            return self._make_ticker()
        if found := _KLINE.fullmatch(name):
            return self._make_klines(found[1])
        if found := _DIFF.fullmatch(name):
            return self._make_diffs(int(found[1] or self._default_speed_ms))
        if found := _PARTIAL.fullmatch(name):
            return self._make_partials(int(found[1]), int(found[2] or self._default_speed_ms))
        return None

    def _make_trades(self, write: Callable[..., str]) -> Maker:
        def make(event: MarketEvent, now_ms: int) -> list[str]:
            return [] if isinstance(event, Quote) else [write(event, now_ms)]

        return make

    def _make_ticker(self) -> Maker:
        beat = _Beat(TICKER_MS)

        def make(event: MarketEvent, now_ms: int) -> list[str]:
            session, last = self.tape.session, self._print
            if not isinstance(event, Quote) or session is None or last is None:
                return []
            if not beat.is_due(now_ms):
                return []
            return [self.messages.ticker(session, last, event, now_ms)]

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

    def _make_diffs(self, speed_ms: int) -> Maker | None:
        if speed_ms not in self._speeds_ms:
            return None
        feed, beat = BookFeed(self.book), _Beat(speed_ms)

        def make(event: MarketEvent, now_ms: int) -> list[str]:
            if not isinstance(event, Quote):
                return []
            feed.on_quote(event)
            diff = feed.diff() if beat.is_due(now_ms) else None
            return [] if diff is None else [self._diff(diff, now_ms)]

        return make

    def _make_partials(self, limit: int, speed_ms: int) -> Maker | None:
        if speed_ms not in self._speeds_ms:
            return None
        beat = _Beat(speed_ms)

        def make(event: MarketEvent, now_ms: int) -> list[str]:
            if not isinstance(event, Quote) or not beat.is_due(now_ms):
                return []
            return [self._partial(self.book.snapshot(), limit, now_ms)]

        return make


class SpotStreams(MarketStreams[SpotMessages]):
    """
    Make the streams of the spot market.

    Parameters
    ----------
    messages : SpotMessages
        Writes the payloads.
    """

    def __init__(self, messages: SpotMessages) -> None:
        super().__init__(messages, (1000, 100))

    def prepare(self, event: MarketEvent) -> MarketFrame | None:
        """Return the frame of a quote: on spot it holds no time."""
        if not isinstance(event, Quote):
            return None
        self._prepared_id += 1
        payload = self.messages.book_ticker(self._prepared_id, event)
        return self._frame(self.quote_stream, payload)

    def _quote(self, quote: Quote, now_ms: int) -> str:
        return self.messages.book_ticker(self.book.update_id, quote)

    def _diff(self, diff: BookDiff, now_ms: int) -> str:
        return compact(self.messages.book_diff(diff, now_ms))

    def _partial(self, book: BookSnapshot, limit: int, now_ms: int) -> str:
        return self.messages.partial_book(book, limit)


class FuturesStreams(MarketStreams[FuturesMessages]):
    """
    Make the streams of USDT futures.

    Parameters
    ----------
    messages : FuturesMessages
        Writes the payloads.
    """

    def __init__(self, messages: FuturesMessages) -> None:
        super().__init__(messages, (250, 500, 100, 0))

    def _quote(self, quote: Quote, now_ms: int) -> str:
        return self.messages.book_ticker(self.book.update_id, quote, now_ms)

    def _diff(self, diff: BookDiff, now_ms: int) -> str:
        return self.messages.depth(diff, now_ms)

    def _partial(self, book: BookSnapshot, limit: int, now_ms: int) -> str:
        return self.messages.partial_book(book, limit, now_ms)

    def _maker(self, stream: str) -> Maker | None:
        found = _MARK.fullmatch(stream.removeprefix(self._prefix))
        if found is None:
            return super()._maker(stream)
        return self._make_marks(int(found[1] or found[2] or 3), is_list=stream.startswith("!"))

    def _make_marks(self, interval_s: int, *, is_list: bool) -> Maker:
        beat = _Beat(interval_s * 1000)

        def make(event: MarketEvent, now_ms: int) -> list[str]:
            if not isinstance(event, Quote) or not beat.is_due(now_ms):
                return []
            mark = self.messages.mark_price((event.bid + event.ask) / 2, now_ms)
            return [compact([mark] if is_list else mark)]

        return make
