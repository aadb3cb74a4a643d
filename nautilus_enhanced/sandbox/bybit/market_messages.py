"""
Translation to the market data of Bybit: pure, no I/O.

Names and fields are those of the public documentation of Bybit's API, version 5
(https://bybit-exchange.github.io/docs/v5/intro): "Market" and "WebSocket Stream, Public".
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from enum import Enum
from typing import Any
from typing import Final

from nautilus_enhanced.sandbox.book import BookDiff
from nautilus_enhanced.sandbox.book import BookSnapshot
from nautilus_enhanced.sandbox.book import Levels
from nautilus_enhanced.sandbox.market import Instrument
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.market import Trade
from nautilus_enhanced.sandbox.tape import Candle
from nautilus_enhanced.sandbox.tape import Print


FUNDING_RATE: Final = "0.0001"
FUNDING_HOURS: Final = 8
MAX_LEVERAGE: Final = 100
LAUNCH_MS: Final = "1577836800000"
NO_DELIVERY_MS: Final = "0"
_HOUR_MS: Final = 3_600_000


class Category(Enum):
    """The products that the venue has, by Bybit's word for them."""

    LINEAR = "linear"
    SPOT = "spot"


class MarketMessages:
    """
    Write what is said of one instrument's market.

    Parameters
    ----------
    instrument : Instrument
        Its tick and step size set the decimals of prices and quantities. NautilusTrader takes an
        instrument's precision from these.
    category : Category
        The product.
    """

    def __init__(self, instrument: Instrument, category: Category) -> None:
        self.instrument = instrument
        self.category = category
        self.symbol = instrument.symbol
        self._price_decimals = _decimals(instrument.tick_size)
        self._size_decimals = _decimals(instrument.step_size)

    def price(self, value: Decimal) -> str:
        """Return a price with the digits of the tick size."""
        return f"{value:.{self._price_decimals}f}"

    def size(self, value: Decimal) -> str:
        """Return a quantity with the digits of the step size."""
        return f"{value:.{self._size_decimals}f}"

    def levels(self, levels: Levels) -> list[list[str]]:
        """Return levels of a book as pairs of text."""
        return [[self.price(price), self.size(size)] for price, size in levels]

    def listing(self) -> dict[str, Any]:
        """Return the instrument as ``GET /v5/market/instruments-info`` lists it."""
        rules = self.instrument
        common = {
            "symbol": self.symbol,
            "status": "Trading",
            "baseCoin": rules.base,
            "quoteCoin": rules.quote,
        }
        tick, step = self.price(rules.tick_size), self.size(rules.step_size)
        largest, least = self.size(rules.max_quantity), str(rules.min_notional)
        if self.category is Category.SPOT:
            return common | {
                "innovation": "0",
                "marginTrading": "utaOnly",
                "lotSizeFilter": {
                    "basePrecision": step,
                    "quotePrecision": "0.00000001",
                    "minOrderQty": step,
                    "maxOrderQty": largest,
                    "minOrderAmt": least,
                    "maxOrderAmt": str(rules.max_price),
                },
                "priceFilter": {"tickSize": tick},
            }
        return common | {
            "contractType": "LinearPerpetual",
            "launchTime": LAUNCH_MS,
            "deliveryTime": NO_DELIVERY_MS,
            "deliveryFeeRate": "",
            "priceScale": str(self._price_decimals),
            "leverageFilter": {
                "minLeverage": "1",
                "maxLeverage": str(MAX_LEVERAGE),
                "leverageStep": "1",
            },
            "priceFilter": {
                "minPrice": tick,
                "maxPrice": self.price(rules.max_price),
                "tickSize": tick,
            },
            "lotSizeFilter": {
                "maxOrderQty": largest,
                "minOrderQty": step,
                "qtyStep": step,
                "postOnlyMaxOrderQty": largest,
                "maxMktOrderQty": largest,
                "minNotionalValue": least,
            },
            "unifiedMarginTrade": True,
            "fundingInterval": FUNDING_HOURS * 60,
            "settleCoin": rules.quote,
        }

    # -- websocket topics ------------------------------------------------------------------------

    def ticker(self, quote: Quote, last: Print | None, day: Candle | None, now_ms: int) -> str:
        """Return a whole ``tickers`` message."""
        price = last.trade.price if last else quote.bid
        mark = self.price((quote.bid + quote.ask) / 2)
        data = {
            "symbol": self.symbol,
            "lastPrice": self.price(price),
            "highPrice24h": self.price(day.high if day else price),
            "lowPrice24h": self.price(day.low if day else price),
            "prevPrice24h": self.price(day.open if day else price),
            "volume24h": str(day.volume if day else 0),
            "turnover24h": str(day.quote_volume if day else 0),
            "price24hPcnt": "0",
        }
        if self.category is Category.SPOT:
            data["usdIndexPrice"] = mark
        else:
            data |= {
                "tickDirection": "ZeroPlusTick",
                "prevPrice1h": self.price(day.open if day else price),
                "markPrice": mark,
                "indexPrice": mark,
                "openInterest": "0",
                "openInterestValue": "0",
                "nextFundingTime": str(next_funding_ms(now_ms)),
                "fundingRate": FUNDING_RATE,
                "fundingIntervalHour": str(FUNDING_HOURS),
                **self._touch(quote),
            }
        return _push(f"tickers.{self.symbol}", "snapshot", data, now_ms, cs=now_ms)

    def ticker_change(self, quote: Quote, now_ms: int) -> str:
        """Return the ``tickers`` message of a contract that says what a quote changed."""
        mark = self.price((quote.bid + quote.ask) / 2)
        data = {"symbol": self.symbol, "markPrice": mark, **self._touch(quote)}
        return _push(f"tickers.{self.symbol}", "delta", data, now_ms, cs=now_ms)

    def book(self, depth: int, book: BookSnapshot, now_ms: int) -> str:
        """Return an ``orderbook`` message with so many levels of the whole book."""
        kept = BookSnapshot(
            update_id=book.update_id, bids=book.bids[:depth], asks=book.asks[:depth]
        )
        return self._book(depth, "snapshot", kept, now_ms)

    def book_change(self, depth: int, diff: BookDiff, now_ms: int) -> str:
        """Return the ``orderbook`` message of a change."""
        changed = BookSnapshot(update_id=diff.last_id, bids=diff.bids, asks=diff.asks)
        return self._book(depth, "delta", changed, now_ms)

    def trade(self, trade: Trade, now_ms: int) -> str:
        """Return a ``publicTrade`` message."""
        data = {
            "T": now_ms,
            "s": self.symbol,
            "S": taker_side(trade),
            "v": self.size(trade.size),
            "p": self.price(trade.price),
            "L": "ZeroPlusTick",
            "i": trade_id(trade),
            "BT": False,
        }
        return _push(f"publicTrade.{self.symbol}", "snapshot", [data], now_ms)

    def kline(self, candle: Candle, interval: str, now_ms: int, *, is_closed: bool) -> str:
        """Return a ``kline`` message."""
        data = {
            "start": candle.open_ms,
            "end": candle.close_ms,
            "interval": interval,
            "open": self.price(candle.open),
            "close": self.price(candle.close),
            "high": self.price(candle.high),
            "low": self.price(candle.low),
            "volume": self.size(candle.volume),
            "turnover": str(candle.quote_volume),
            "confirm": is_closed,
            "timestamp": now_ms,
        }
        return _push(f"kline.{interval}.{self.symbol}", "snapshot", [data], now_ms)

    # -- answers of the REST API -----------------------------------------------------------------

    def book_snapshot(self, book: BookSnapshot, limit: int, now_ms: int) -> dict[str, Any]:
        """Return the result of ``GET /v5/market/orderbook``."""
        return {
            "s": self.symbol,
            "b": self.levels(book.bids[:limit]),
            "a": self.levels(book.asks[:limit]),
            "ts": now_ms,
            "u": book.update_id,
            "seq": book.update_id,
            "cts": now_ms,
        }

    def trades(self, prints: Iterable[Print]) -> list[dict[str, Any]]:
        """Return the list of ``GET /v5/market/recent-trade``."""
        return [
            {
                "execId": trade_id(print_.trade),
                "symbol": self.symbol,
                "price": self.price(print_.trade.price),
                "size": self.size(print_.trade.size),
                "side": taker_side(print_.trade),
                "time": str(print_.time_ms),
                "isBlockTrade": False,
            }
            for print_ in prints
        ]

    def klines(self, made: Iterable[Candle]) -> list[list[str]]:
        """Return the list of ``GET /v5/market/kline``."""
        return [
            [
                str(candle.open_ms),
                self.price(candle.open),
                self.price(candle.high),
                self.price(candle.low),
                self.price(candle.close),
                self.size(candle.volume),
                str(candle.quote_volume),
            ]
            for candle in made
        ]

    def _book(self, depth: int, kind: str, book: BookSnapshot, now_ms: int) -> str:
        data = {
            "s": self.symbol,
            "b": self.levels(book.bids),
            "a": self.levels(book.asks),
            "u": book.update_id,
            "seq": book.update_id,
        }
        return _push(f"orderbook.{depth}.{self.symbol}", kind, data, now_ms, cts=now_ms)

    def _touch(self, quote: Quote) -> dict[str, str]:
        return {
            "bid1Price": self.price(quote.bid),
            "bid1Size": self.size(quote.bid_size),
            "ask1Price": self.price(quote.ask),
            "ask1Size": self.size(quote.ask_size),
        }


def taker_side(trade: Trade) -> str:
    """Return the side of a trade's taker."""
    return "Sell" if trade.buyer_is_maker else "Buy"


def trade_id(trade: Trade) -> str:
    """Return the ID of a trade between others."""
    return f"loopback-{trade.trade_id}"


def next_funding_ms(now_ms: int) -> int:
    """Return when funding would be paid next, in Unix milliseconds."""
    interval_ms = FUNDING_HOURS * _HOUR_MS
    return now_ms - now_ms % interval_ms + interval_ms


def compact(message: Any) -> str:
    """Return a message as JSON without spaces."""
    return json.dumps(message, separators=(",", ":"))


def _push(topic: str, kind: str, data: Any, now_ms: int, **rest: Any) -> str:
    return compact({"topic": topic, "type": kind, "ts": now_ms, "data": data, **rest})


def _decimals(step: Decimal) -> int:
    exponent = step.normalize().as_tuple().exponent
    assert isinstance(exponent, int)  # noqa: S101 (a step is finite)
    return max(0, -exponent)
