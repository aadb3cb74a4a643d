"""
Translation to OKX's messages about the market: pure, no I/O.

Names and fields are those of the public OKX API documentation (https://www.okx.com/docs-v5).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from decimal import Decimal
from itertools import chain
from itertools import islice
from itertools import zip_longest
from typing import Any
from typing import Final

from nautilus_enhanced.sandbox.book import BookDiff
from nautilus_enhanced.sandbox.book import BookSnapshot
from nautilus_enhanced.sandbox.margin import MAX_LEVERAGE
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.okx.units import Units
from nautilus_enhanced.sandbox.okx.units import plain
from nautilus_enhanced.sandbox.tape import Candle
from nautilus_enhanced.sandbox.tape import Print


INSTRUMENT_CODE: Final = 10_459
LISTED_MS: Final = "1573557408000"
CHECKSUM_LEVELS: Final = 25


class MarketMessages:
    """
    Write the messages about one instrument.

    Parameters
    ----------
    units : Units
        The instrument, and how its sizes are written.
    """

    def __init__(self, units: Units) -> None:
        self.units = units

    def instrument(self) -> dict[str, Any]:
        """Return the instrument and its rules."""
        units, rules = self.units, self.units.instrument
        spot = units.is_spot
        pair = f"{rules.base}-{rules.quote}"
        most = units.size(rules.max_quantity)
        return {
            "alias": "",
            "auctionEndTime": "",
            "baseCcy": rules.base if spot else "",
            "category": "1",
            "contTdSwTime": "",
            "ctMult": "" if spot else "1",
            "ctType": "" if spot else "linear",
            "ctVal": "" if spot else plain(units.value),
            "ctValCcy": "" if spot else rules.base,
            "expTime": "",
            "futureSettlement": False,
            "instFamily": "" if spot else pair,
            "instId": units.name,
            "instIdCode": INSTRUMENT_CODE,
            "instType": units.kind,
            "lever": "" if spot else str(MAX_LEVERAGE),
            "listTime": LISTED_MS,
            "lotSz": units.size(rules.step_size),
            "maxIcebergSz": most,
            "maxLmtAmt": "20000000",
            "maxLmtSz": most,
            "maxMktAmt": "1000000" if spot else "",
            "maxMktSz": most,
            "maxStopSz": most,
            "maxTriggerSz": most,
            "maxTwapSz": most,
            "minSz": units.size(rules.step_size),
            "openType": "",
            "optType": "",
            "quoteCcy": rules.quote if spot else "",
            "ruleType": "normal",
            "settleCcy": "" if spot else rules.quote,
            "state": "live",
            "stk": "",
            "tickSz": plain(rules.tick_size),
            "tradeQuoteCcyList": [rules.quote] if spot else [],
            "uly": "" if spot else pair,
        }

    def best(self, quote: Quote, update_id: int, now_ms: int) -> dict[str, Any]:
        """Return the best bid and ask."""
        return {
            "asks": self._levels([(quote.ask, quote.ask_size)]),
            "bids": self._levels([(quote.bid, quote.bid_size)]),
            "ts": str(now_ms),
            "seqId": update_id,
        }

    def book(self, book: BookSnapshot, now_ms: int, diff: BookDiff | None = None) -> dict[str, Any]:
        """Return the whole book, or what changed in it, with the checksum of the whole."""
        part: BookSnapshot | BookDiff = diff or book
        return {
            "asks": self._levels(part.asks),
            "bids": self._levels(part.bids),
            "ts": str(now_ms),
            "checksum": self.checksum(book),
            "prevSeqId": diff.first_id - 1 if diff else -1,
            "seqId": book.update_id,
        }

    def checksum(self, book: BookSnapshot) -> int:
        """Return the signed CRC-32 of the first levels, bids and asks in turns."""
        sides = (islice(self._levels(side), CHECKSUM_LEVELS) for side in (book.bids, book.asks))
        turns = chain.from_iterable(zip_longest(*sides))
        text = ":".join(f"{level[0]}:{level[1]}" for level in turns if level)
        number = zlib.crc32(text.encode())
        return number - (1 << 32) if number >= 1 << 31 else number

    def trade(self, print_: Print) -> dict[str, Any]:
        """Return a trade between others."""
        trade = print_.trade
        return {
            "instId": self.units.name,
            "tradeId": str(trade.trade_id),
            "px": plain(trade.price),
            "sz": self.units.size(trade.size),
            "side": "sell" if trade.buyer_is_maker else "buy",
            "ts": str(print_.time_ms),
            "count": "1",
        }

    def candle(self, candle: Candle, *, is_closed: bool) -> list[str]:
        """Return a candle."""
        return [
            str(candle.open_ms),
            *(plain(p) for p in (candle.open, candle.high, candle.low, candle.close)),
            self.units.size(candle.volume),
            plain(candle.volume),
            plain(candle.quote_volume),
            "1" if is_closed else "0",
        ]

    def mark_price(self, price: Decimal, now_ms: int) -> dict[str, Any]:
        """Return the mark price."""
        return {
            "instId": self.units.name,
            "instType": self.units.kind,
            "markPx": plain(price),
            "ts": str(now_ms),
        }

    def _levels(self, levels: Iterable[tuple[Decimal, Decimal]]) -> list[list[str]]:
        return [[plain(price), self.units.size(size), "0", "1"] for price, size in levels]


def compact(message: Any) -> str:
    """Return a message as JSON without spaces."""
    return json.dumps(message, separators=(",", ":"))
