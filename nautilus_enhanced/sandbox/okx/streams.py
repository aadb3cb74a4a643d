"""
The market data channels of OKX: which of them somebody wants, and what they carry.

Pure: events and the time are passed in. A channel of an instrument is named
``<channel>:<instId>`` here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import Final
from typing import TypeAlias

from nautilus_enhanced.sandbox.book import Book
from nautilus_enhanced.sandbox.book import BookFeed
from nautilus_enhanced.sandbox.dialect import NS_PER_MS
from nautilus_enhanced.sandbox.dialect import MarketFrame
from nautilus_enhanced.sandbox.market import MarketEvent
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.okx.market_messages import MarketMessages
from nautilus_enhanced.sandbox.okx.market_messages import compact
from nautilus_enhanced.sandbox.tape import CandleFeed
from nautilus_enhanced.sandbox.tape import Print
from nautilus_enhanced.sandbox.tape import Tape


_S: Final = 1_000
_MIN: Final = 60 * _S
_H: Final = 60 * _MIN
INTERVALS_MS: Final = {
    "1s": _S, "1m": _MIN, "3m": 3 * _MIN, "5m": 5 * _MIN, "15m": 15 * _MIN, "30m": 30 * _MIN,
    "1H": _H, "2H": 2 * _H, "4H": 4 * _H,
}  # fmt: skip
BOOK_MS: Final = {"books": 100, "books50-l2-tbt": 10, "books-l2-tbt": 10}
MARK_MS: Final = 200

# What a channel makes of an event at a time in milliseconds: the frames' further fields.
Maker: TypeAlias = Callable[[MarketEvent, int], list[dict[str, Any]]]


def channel_name(channel: str, instrument: str) -> str:
    """Return the name of a channel of an instrument."""
    return f"{channel}:{instrument}"


class MarketChannels:
    """
    Make the frames of the channels that somebody wants.

    Parameters
    ----------
    messages : MarketMessages
        Writes the payloads.

    Attributes
    ----------
    book : Book
        The book as ``GET /api/v5/market/books`` shows it.
    tape : Tape
        The last trades.
    """

    def __init__(self, messages: MarketMessages) -> None:
        self.messages = messages
        self.book = Book(messages.units.instrument.tick_size)
        self.tape = Tape()
        self.quote_channel = channel_name("bbo-tbt", messages.units.name)
        self.trade_channels = frozenset(
            channel_name(name, messages.units.name) for name in ("trades", "trades-all")
        )
        self._wanted: frozenset[str] = frozenset()
        self._makers: dict[str, Maker] = {}
        self._print: Print | None = None

    def carries(self, name: str) -> bool:
        """Return whether a channel is one of these."""
        return self._maker(name) is not None

    def select(self, names: frozenset[str]) -> None:
        """Make these channels from now on; those that went on before go on."""
        if names == self._wanted:
            return
        self._wanted = names
        makers = {}
        for name in names:
            maker = self._makers.get(name) or self._maker(name)
            if maker is not None:
                makers[name] = maker
        self._makers = makers

    def begin_anew(self, name: str) -> None:
        """Let a channel that was subscribed to again begin with the whole book for all."""
        self._makers.pop(name, None)
        self._wanted -= {name}

    def on_quote(self, quote: Quote) -> None:
        """Follow the book."""
        self.book.on_quote(quote)

    def frames(self, event: MarketEvent, now_ns: int) -> list[MarketFrame]:
        """Return what the wanted channels make of an event; of a quote, after `on_quote`."""
        now_ms = now_ns // NS_PER_MS
        if not isinstance(event, Quote):
            self._print = self.tape.on_trade(event, now_ns)
        frames = []
        for name, maker in self._makers.items():
            for fields in maker(event, now_ms):
                channel, _, instrument = name.partition(":")
                arg = {"channel": channel, "instId": instrument}
                frames.append(MarketFrame(name, compact({"arg": arg, **fields})))
        return frames

    def _maker(  # noqa: PLR0911 (one return for each kind of channel)
        self, name: str
    ) -> Maker | None:
        """Return what makes a channel, or None if there is no such."""
        channel, _, instrument = name.partition(":")
        if instrument != self.messages.units.name:
            return None
        if channel == "bbo-tbt":
            return self._make_best
        if channel in {"trades", "trades-all"}:
            return self._make_trade
        if channel == "mark-price" and not self.messages.units.is_spot:
            return self._make_marks()
        if channel in BOOK_MS:
            return self._make_book(BOOK_MS[channel])
        interval_ms = INTERVALS_MS.get(channel.removeprefix("candle"))
        if channel.startswith("candle") and interval_ms is not None:
            return self._make_candles(interval_ms)
        return None

    def _make_best(self, event: MarketEvent, now_ms: int) -> list[dict[str, Any]]:
        if not isinstance(event, Quote):
            return []
        return [{"data": [self.messages.best(event, self.book.update_id, now_ms)]}]

    def _make_trade(self, event: MarketEvent, _: int) -> list[dict[str, Any]]:
        if isinstance(event, Quote) or self._print is None:
            return []
        return [{"data": [self.messages.trade(self._print)]}]

    def _make_marks(self) -> Maker:
        last_ms = 0

        def make(event: MarketEvent, now_ms: int) -> list[dict[str, Any]]:
            nonlocal last_ms
            if not isinstance(event, Quote) or now_ms - last_ms < MARK_MS:
                return []
            last_ms = now_ms
            return [{"data": [self.messages.mark_price((event.bid + event.ask) / 2, now_ms)]}]

        return make

    def _make_candles(self, interval_ms: int) -> Maker:
        feed = CandleFeed(interval_ms)

        def make(event: MarketEvent, _: int) -> list[dict[str, Any]]:
            if isinstance(event, Quote) or self._print is None:
                return []
            return [
                {"data": [self.messages.candle(candle, is_closed=is_closed)]}
                for candle, is_closed in feed.on_print(self._print)
            ]

        return make

    def _make_book(self, interval_ms: int) -> Maker:
        feed: BookFeed | None = None
        last_ms = 0

        def make(event: MarketEvent, now_ms: int) -> list[dict[str, Any]]:
            nonlocal feed, last_ms
            if not isinstance(event, Quote):
                return []
            if feed is None:
                feed, last_ms = BookFeed(self.book), now_ms
                whole = self.messages.book(self.book.snapshot(), now_ms)
                return [{"action": "snapshot", "data": [whole]}]
            feed.on_quote(event)
            if now_ms - last_ms < interval_ms:
                return []
            last_ms = now_ms
            diff = feed.diff()
            if diff is None:
                return []
            changed = self.messages.book(self.book.snapshot(), now_ms, diff)
            return [{"action": "update", "data": [changed]}]

        return make
