"""
Translation to what Binance's spot and futures markets have in common: pure, no I/O.

Names, fields and error codes are those of the public Binance API documentation
(https://developers.binance.com/docs/binance-spot-api-docs and
https://developers.binance.com/docs/derivatives/usds-margined-futures): "Market data endpoints"
and "WebSocket market streams".
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from collections.abc import Mapping
from decimal import Decimal
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


ASSET_DECIMALS: Final = 8


class MarketMessages:
    """
    Write the messages about one instrument that are the same, or nearly, on all of its markets.

    Parameters
    ----------
    instrument : Instrument
        Its tick and step size set the decimals of prices and quantities. NautilusTrader takes
        an instrument's precision from these, and a message's from the digits it holds.
    """

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.symbol = instrument.symbol
        self._price_decimals = _decimals(instrument.tick_size)
        self._size_decimals = _decimals(instrument.step_size)

    @property
    def price_decimals(self) -> int:
        """Return the digits of a price behind the point."""
        return self._price_decimals

    @property
    def size_decimals(self) -> int:
        """Return the digits of a quantity behind the point."""
        return self._size_decimals

    def price(self, value: Decimal) -> str:
        """Return a price with the digits of the tick size."""
        return f"{value:.{self._price_decimals}f}"

    def size(self, value: Decimal) -> str:
        """Return a quantity with the digits of the step size."""
        return f"{value:.{self._size_decimals}f}"

    def levels(self, levels: Levels) -> list[list[str]]:
        """Return levels of a book as pairs of text."""
        return [[self.price(price), self.size(size)] for price, size in levels]

    def filters(self) -> list[dict[str, Any]]:
        """Return the filters that all markets have."""
        rules = self.instrument
        step, tick = self.size(rules.step_size), self.price(rules.tick_size)
        return [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": tick,
                "maxPrice": self.price(rules.max_price),
                "tickSize": tick,
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": step,
                "maxQty": self.size(rules.max_quantity),
                "stepSize": step,
            },
        ]

    def exchange(self, symbol: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
        """Return the body of ``GET exchangeInfo`` around its one symbol."""
        return {
            "timezone": "UTC",
            "serverTime": now_ms,
            "rateLimits": [],
            "exchangeFilters": [],
            "symbols": [symbol],
        }

    def book_snapshot(self, book: BookSnapshot, limit: int) -> dict[str, Any]:
        """Return the body of ``GET depth``."""
        return {
            "lastUpdateId": book.update_id,
            "bids": self.levels(book.bids[:limit]),
            "asks": self.levels(book.asks[:limit]),
        }

    def book_diff(self, diff: BookDiff, now_ms: int) -> dict[str, Any]:
        """Return the payload of ``<symbol>@depth``."""
        return {
            "e": "depthUpdate",
            "E": now_ms,
            "s": self.symbol,
            "U": diff.first_id,
            "u": diff.last_id,
            "b": self.levels(diff.bids),
            "a": self.levels(diff.asks),
        }

    def book_ticker_fields(self, update_id: int, quote: Quote) -> str:
        """Return what every ``<symbol>@bookTicker`` holds, as the inside of a JSON object."""
        return (
            f'"u":{update_id},"s":"{self.symbol}",'
            f'"b":"{self.price(quote.bid)}","B":"{self.size(quote.bid_size)}",'
            f'"a":"{self.price(quote.ask)}","A":"{self.size(quote.ask_size)}"'
        )

    def best(self, quote: Quote) -> dict[str, Any]:
        """Return the body of ``GET ticker/bookTicker``."""
        return {
            "symbol": self.symbol,
            "bidPrice": self.price(quote.bid),
            "bidQty": self.size(quote.bid_size),
            "askPrice": self.price(quote.ask),
            "askQty": self.size(quote.ask_size),
        }

    def trade(self, trade: Trade, now_ms: int) -> str:
        """Return the payload of ``<symbol>@trade`` as JSON."""
        maker = "true" if trade.buyer_is_maker else "false"
        return (
            f'{{"e":"trade","E":{now_ms},"s":"{self.symbol}","t":{trade.trade_id},'
            f'"p":"{self.price(trade.price)}","q":"{self.size(trade.size)}",'
            f'"T":{now_ms},"m":{maker},"M":true}}'
        )

    def agg_trade(self, trade: Trade, now_ms: int) -> str:
        """Return the payload of ``<symbol>@aggTrade`` as JSON: each trade is one by itself."""
        maker = "true" if trade.buyer_is_maker else "false"
        number = trade.trade_id
        return (
            f'{{"e":"aggTrade","E":{now_ms},"s":"{self.symbol}","a":{number},'
            f'"p":"{self.price(trade.price)}","q":"{self.size(trade.size)}",'
            f'"f":{number},"l":{number},"T":{now_ms},"m":{maker},"M":true}}'
        )

    def trades(self, prints: Iterable[Print]) -> list[dict[str, Any]]:
        """Return the body of ``GET trades`` and ``GET historicalTrades``."""
        return [
            {
                "id": p.trade.trade_id,
                "price": self.price(p.trade.price),
                "qty": self.size(p.trade.size),
                "quoteQty": amount(p.trade.price * p.trade.size),
                "time": p.time_ms,
                "isBuyerMaker": p.trade.buyer_is_maker,
                "isBestMatch": True,
            }
            for p in prints
        ]

    def agg_trades(self, prints: Iterable[Print]) -> list[dict[str, Any]]:
        """Return the body of ``GET aggTrades``."""
        return [
            {
                "a": p.trade.trade_id,
                "p": self.price(p.trade.price),
                "q": self.size(p.trade.size),
                "f": p.trade.trade_id,
                "l": p.trade.trade_id,
                "T": p.time_ms,
                "m": p.trade.buyer_is_maker,
                "M": True,
            }
            for p in prints
        ]

    def klines(self, candles: Iterable[Candle]) -> list[list[Any]]:
        """Return the body of ``GET klines``."""
        return [
            [
                c.open_ms,
                self.price(c.open),
                self.price(c.high),
                self.price(c.low),
                self.price(c.close),
                self.size(c.volume),
                c.close_ms,
                amount(c.quote_volume),
                c.count,
                self.size(c.buy_volume),
                amount(c.buy_quote_volume),
                "0",
            ]
            for c in candles
        ]

    def kline(self, candle: Candle, interval: str, now_ms: int, *, is_closed: bool) -> str:
        """Return the payload of ``<symbol>@kline_<interval>`` as JSON."""
        kline = {
            "t": candle.open_ms,
            "T": candle.close_ms,
            "s": self.symbol,
            "i": interval,
            "f": candle.first_id,
            "L": candle.last_id,
            "o": self.price(candle.open),
            "c": self.price(candle.close),
            "h": self.price(candle.high),
            "l": self.price(candle.low),
            "v": self.size(candle.volume),
            "n": candle.count,
            "x": is_closed,
            "q": amount(candle.quote_volume),
            "V": self.size(candle.buy_volume),
            "Q": amount(candle.buy_quote_volume),
            "B": "0",
        }
        return compact({"e": "kline", "E": now_ms, "s": self.symbol, "k": kline})

    def ticker(self, session: Candle, last: Print, quote: Quote, now_ms: int) -> str:
        """Return the payload of ``<symbol>@ticker`` as JSON; the day begins with the venue."""
        change = session.close - session.open
        mean = session.quote_volume / session.volume
        body = {
            "e": "24hrTicker",
            "E": now_ms,
            "s": self.symbol,
            "p": self.price(change),
            "P": f"{change / session.open * 100:.3f}",
            "w": self.price(mean),
            "x": self.price(session.open),
            "c": self.price(session.close),
            "Q": self.size(last.trade.size),
            "b": self.price(quote.bid),
            "B": self.size(quote.bid_size),
            "a": self.price(quote.ask),
            "A": self.size(quote.ask_size),
            "o": self.price(session.open),
            "h": self.price(session.high),
            "l": self.price(session.low),
            "v": self.size(session.volume),
            "q": amount(session.quote_volume),
            "O": session.open_ms,
            "C": session.close_ms,
            "F": session.first_id,
            "L": session.last_id,
            "n": session.count,
        }
        return compact(body)


def compact(message: Any) -> str:
    """Return a message as compact JSON."""
    return json.dumps(message, separators=(",", ":"))


def amount(value: Decimal) -> str:
    """Return an amount of an asset, with eight decimals."""
    return f"{value:.{ASSET_DECIMALS}f}"


def _decimals(step: Decimal) -> int:
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
