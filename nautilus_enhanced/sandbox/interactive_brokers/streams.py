"""
The market data of TWS, by stream: pure, no I/O.

A client subscribes with a request, whose ID all messages carry. So a message is kept without it,
and each session adds its own (`TickFrame.messages`). With market data come changes: the price of a
side with its size, or the size alone. Tick by tick comes everything, to the second.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from typing import Final
from typing import TypeAlias

from ibapi.message import IN
from ibapi.protobuf.HistoricalDataBar_pb2 import HistoricalDataBar
from ibapi.protobuf.HistoricalDataUpdate_pb2 import HistoricalDataUpdate
from ibapi.protobuf.HistoricalTick_pb2 import HistoricalTick
from ibapi.protobuf.HistoricalTickBidAsk_pb2 import HistoricalTickBidAsk
from ibapi.protobuf.HistoricalTickLast_pb2 import HistoricalTickLast
from ibapi.protobuf.MarketDepthData_pb2 import MarketDepthData
from ibapi.protobuf.MarketDepthL2_pb2 import MarketDepthL2
from ibapi.protobuf.RealTimeBarTick_pb2 import RealTimeBarTick
from ibapi.protobuf.TickAttribBidAsk_pb2 import TickAttribBidAsk
from ibapi.protobuf.TickAttribLast_pb2 import TickAttribLast
from ibapi.protobuf.TickByTickData_pb2 import TickByTickData
from ibapi.protobuf.TickPrice_pb2 import TickPrice
from ibapi.protobuf.TickSize_pb2 import TickSize

from nautilus_enhanced.sandbox.book import levels_to_take
from nautilus_enhanced.sandbox.dialect import NS_PER_MS
from nautilus_enhanced.sandbox.dialect import MarketFrame
from nautilus_enhanced.sandbox.interactive_brokers.contracts import Listing
from nautilus_enhanced.sandbox.interactive_brokers.messages import plain
from nautilus_enhanced.sandbox.market import MarketEvent
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.market import Trade
from nautilus_enhanced.sandbox.orders import ZERO
from nautilus_enhanced.sandbox.orders import Side
from nautilus_enhanced.sandbox.tape import Candle
from nautilus_enhanced.sandbox.tape import CandleFeed
from nautilus_enhanced.sandbox.tape import Print
from nautilus_enhanced.sandbox.tape import Tape


# TWS's numbers of ticks.
BID_SIZE, BID, ASK, ASK_SIZE, LAST = 0, 1, 2, 3, 4
TICK_BY_TICK: Final = {"Last": 1, "AllLast": 2, "BidAsk": 3, "MidPoint": 4}
_SECOND_MS: Final = 1_000
_MINUTE_MS: Final = 60 * _SECOND_MS
_HOUR_MS: Final = 60 * _MINUTE_MS
DAY_MS: Final = 24 * _HOUR_MS
REAL_TIME_BAR_MS: Final = 5 * _SECOND_MS
BAR_SIZES_MS: Final = {
    **{f"{n} secs": n * _SECOND_MS for n in (1, 5, 10, 15, 30)},
    "1 min": _MINUTE_MS,
    **{f"{n} mins": n * _MINUTE_MS for n in (2, 3, 5, 10, 15, 20, 30)},
    "1 hour": _HOUR_MS,
    **{f"{n} hours": n * _HOUR_MS for n in (2, 3, 4, 8)},
    "1 day": DAY_MS,
}
_INSERT, _UPDATE, _DELETE = 0, 1, 2
_ASKS, _BIDS = 0, 1

# Number and fields of a message, without the ID of its request.
Tick: TypeAlias = tuple[int, bytes]


class TickFrame(MarketFrame):
    """
    Hold messages of one stream, to which each session adds the ID of its request.

    Parameters
    ----------
    stream : str
        The name of the stream.
    messages : Sequence[Tick]
        Its messages, at least one.
    """

    __slots__ = ("messages",)

    def __init__(self, stream: str, messages: Sequence[Tick]) -> None:
        super().__init__(stream, "")
        self.messages = messages


class MarketChannels:
    """
    Make the messages of all streams.

    Parameters
    ----------
    listing : Listing
        The contract.
    """

    def __init__(self, listing: Listing) -> None:
        self.tape = Tape()
        self._listing = listing
        self._symbol = listing.name
        self._wanted: frozenset[str] = frozenset()
        self._prepared: Quote | None = None
        self._quote: Quote | None = None
        self._bars = CandleFeed(REAL_TIME_BAR_MS)
        self._feeds: dict[str, CandleFeed] = {}
        self.quotes = self.name_of("mktData")
        self.lasts = self.name_of("last")
        self.depth = self.name_of("mktDepth")
        self.bars = self.name_of("realTimeBars")

    def name_of(self, kind: str) -> str:
        """Return the name of a stream: its kind, and what is traded."""
        return f"{kind}:{self._symbol}"

    @property
    def trade_streams(self) -> frozenset[str]:
        """Return the streams that carry each trade."""
        return frozenset({self.lasts, self.name_of("Last"), self.name_of("AllLast")})

    def updates(self, bar_size: str) -> str:
        """Return the name of the stream of bars that are kept up to date."""
        return self.name_of(f"bars {bar_size}")

    def carries(self, stream: str) -> bool:
        """Return whether a stream carries market data."""
        return stream.endswith(f":{self._symbol}")

    def select(self, streams: frozenset[str]) -> None:
        """Make only what somebody wants."""
        self._wanted = streams
        sizes = {self.updates(size): ms for size, ms in BAR_SIZES_MS.items()}
        self._feeds = {
            name: self._feeds.get(name) or CandleFeed(ms)
            for name, ms in sizes.items()
            if name in streams
        }

    def prepare(self, event: MarketEvent) -> TickFrame | None:
        """Return what a quote changes, or None for what holds the time of sending."""
        if not isinstance(event, Quote):
            return None
        old, self._prepared = self._prepared, event
        ticks = self._changes(old, event)
        return TickFrame(self.quotes, ticks) if ticks else None

    def frames(
        self, event: MarketEvent, prepared: MarketFrame | None, now_ns: int
    ) -> list[MarketFrame]:
        """Return the frames of an event that is due."""
        if isinstance(event, Trade):
            return self._trade_frames(event, now_ns)
        frames: list[MarketFrame] = [] if prepared is None else [prepared]
        old, self._quote = self._quote, event
        if self.depth in self._wanted:
            rows = self._rows(old, event)
            frames += [TickFrame(self.depth, rows)] if rows else []
        for kind in ("BidAsk", "MidPoint"):
            name = self.name_of(kind)
            if name in self._wanted:
                frames.append(TickFrame(name, [self._tick_by_tick(kind, event, now_ns)]))
        return frames

    def first_ticks(self, stream: str, now_ns: int) -> list[Tick]:
        """Return what a stream begins with: the market as it is now."""
        quote = self._quote
        if stream == self.quotes and quote is not None:
            return self._changes(None, quote)
        if stream == self.lasts and self.tape.prints:
            return [self._last(self.tape.prints[-1].trade)]
        if stream == self.depth and quote is not None:
            return self._rows(None, quote)
        for kind in ("BidAsk", "MidPoint"):
            if stream == self.name_of(kind) and quote is not None:
                return [self._tick_by_tick(kind, quote, now_ns)]
        return []

    def size(self, size: Decimal) -> str:
        """Return a size in whole shares or units."""
        return plain(size - size % self._listing.instrument.step_size)

    def _trade_frames(self, trade: Trade, now_ns: int) -> list[MarketFrame]:
        print_ = self.tape.on_trade(trade, now_ns)
        frames: list[MarketFrame] = []
        if self.lasts in self._wanted:
            frames.append(TickFrame(self.lasts, [self._last(trade)]))
        for kind in ("Last", "AllLast"):
            name = self.name_of(kind)
            if name in self._wanted:
                tick = last_tick(print_, self.size(trade.size), self._listing.traded_at)
                data = TickByTickData(tickType=TICK_BY_TICK[kind], historicalTickLast=tick)
                frames.append(TickFrame(name, [_tick(IN.TICK_BY_TICK, data)]))
        for candle, is_over in self._bars.on_print(print_):
            if is_over and self.bars in self._wanted:
                frames.append(TickFrame(self.bars, [self._real_time_bar(candle)]))
        for name, feed in self._feeds.items():
            bars = [
                HistoricalDataUpdate(historicalDataBar=bar(c)) for c, _ in feed.on_print(print_)
            ]
            ticks = [_tick(IN.HISTORICAL_DATA_UPDATE, update) for update in bars]
            frames.append(TickFrame(name, ticks))
        return frames

    def _changes(self, old: Quote | None, new: Quote) -> list[Tick]:
        sides = (
            (BID, BID_SIZE, new.bid, new.bid_size, (old.bid, old.bid_size) if old else None),
            (ASK, ASK_SIZE, new.ask, new.ask_size, (old.ask, old.ask_size) if old else None),
        )
        ticks = []
        for price_tick, size_tick, price, size, before in sides:
            text = self.size(size)
            if before is None or before[0] != price:
                ticks.append(_price(price_tick, price, text))
            elif self.size(before[1]) != text:
                ticks.append(_tick(IN.TICK_SIZE, TickSize(tickType=size_tick, size=text)))
        return ticks

    def _last(self, trade: Trade) -> Tick:
        return _price(LAST, trade.price, self.size(trade.size))

    def _tick_by_tick(self, kind: str, quote: Quote, now_ns: int) -> Tick:
        time_s = now_ns // NS_PER_MS // _SECOND_MS
        data = TickByTickData(tickType=TICK_BY_TICK[kind])
        if kind == "MidPoint":
            middle = float((quote.bid + quote.ask) / 2)
            tick = HistoricalTick(time=time_s, price=middle, size="0")
            data.historicalTickMidPoint.CopyFrom(tick)
        else:
            data.historicalTickBidAsk.CopyFrom(
                HistoricalTickBidAsk(
                    time=time_s,
                    tickAttribBidAsk=TickAttribBidAsk(bidPastLow=False, askPastHigh=False),
                    priceBid=float(quote.bid),
                    priceAsk=float(quote.ask),
                    sizeBid=self.size(quote.bid_size),
                    sizeAsk=self.size(quote.ask_size),
                )
            )
        return _tick(IN.TICK_BY_TICK, data)

    def _rows(self, old: Quote | None, new: Quote) -> list[Tick]:
        """Return the rows of the book that are others than before."""
        ticks = []
        tick_size = self._listing.instrument.tick_size
        sides = ((_ASKS, Side.BUY), (_BIDS, Side.SELL))
        # A row is a message: the side that makes room goes first, so that the book never crosses.
        falls = old is not None and new.ask < old.ask
        for number, side in reversed(sides) if falls else sides:
            before = [] if old is None else levels_to_take(old, side, tick_size)
            now = levels_to_take(new, side, tick_size)
            for place, level in enumerate(now):
                if place >= len(before):
                    ticks.append(self._row(place, number, _INSERT, *level))
                elif before[place] != level:
                    ticks.append(self._row(place, number, _UPDATE, *level))
            # The last row first: whether those behind it move up makes no difference then.
            for place in range(len(before) - 1, len(now) - 1, -1):
                ticks.append(self._row(place, number, _DELETE, ZERO, ZERO))
        return ticks

    def _row(self, place: int, side: int, operation: int, price: Decimal, size: Decimal) -> Tick:
        row = MarketDepthData(
            position=place,
            operation=operation,
            side=side,
            price=float(price),
            size=self.size(size),
            marketMaker=self._listing.traded_at,
            isSmartDepth=True,
        )
        return _tick(IN.MARKET_DEPTH_L2, MarketDepthL2(marketDepthData=row))

    def _real_time_bar(self, candle: Candle) -> Tick:
        whole = bar(candle)
        message = RealTimeBarTick(
            time=candle.open_ms // _SECOND_MS,
            open=whole.open,
            high=whole.high,
            low=whole.low,
            close=whole.close,
            volume=whole.volume,
            WAP=whole.WAP,
            count=whole.barCount,
        )
        return _tick(IN.REAL_TIME_BARS, message)


def bar(candle: Candle, date: str | None = None) -> Any:
    """Return a candle as TWS writes it, by default with its time in seconds."""
    mean = candle.quote_volume / candle.volume if candle.volume else candle.close
    return HistoricalDataBar(
        date=date or str(candle.open_ms // _SECOND_MS),
        open=float(candle.open),
        high=float(candle.high),
        low=float(candle.low),
        close=float(candle.close),
        volume=plain(candle.volume),
        WAP=plain(round(mean, 8)),
        barCount=candle.count,
    )


def last_tick(print_: Print, size: str, exchange: str) -> Any:
    """Return a trade as TWS writes it tick by tick."""
    return HistoricalTickLast(
        time=print_.time_ms // _SECOND_MS,
        tickAttribLast=TickAttribLast(pastLimit=False, unreported=False),
        price=float(print_.trade.price),
        size=size,
        exchange=exchange,
        specialConditions="",
    )


def _price(kind: int, price: Decimal, size: str) -> Tick:
    message = TickPrice(tickType=kind, price=float(price), size=size, attrMask=0)
    return _tick(IN.TICK_PRICE, message)


def _tick(number: int, message: Any) -> Tick:
    return number, message.SerializeToString()
