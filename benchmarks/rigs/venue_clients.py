"""NautilusTrader's data clients of venues, with a frame each: built, and never connected."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING
from typing import Any

from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock
from nautilus_trader.common.component import MessageBus
from nautilus_trader.core import nautilus_pyo3
from nautilus_trader.model.identifiers import TraderId


if TYPE_CHECKING:
    from collections.abc import Callable


NOWHERE = {"http_url": "http://127.0.0.1:1", "ws_url": "ws://127.0.0.1:1"}
ENDPOINT = "DataEngine.process"
BID = "50000.01"
BOOK_TICKER = (
    b'{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":400900217,'
    b'"E":1700000000000,"T":1700000000000,"s":"BTCUSDT","b":"50000.01","B":"1.00000",'
    b'"a":"50000.02","A":"2.00000"}}'
)


@dataclass(frozen=True)
class VenueFeed:
    """
    A venue's data client, and what its socket hands to it.

    Attributes
    ----------
    venue : str
        What it is called.
    adapter, factory : str
        Where NautilusTrader has its factory.
    product : str
        What of the venue the config is for; empty where it has one only.
    method : str
        What the socket calls.
    is_raw : bool
        Whether with bytes; otherwise with what was parsed in Rust.
    """

    venue: str
    adapter: str
    factory: str
    product: str
    method: str
    is_raw: bool

    def make_client(self, handle: Callable[[Any], None]) -> Any:
        """
        Return the client, on a bus of its own whose data engine is a function.

        Raises
        ------
        ImportError, AttributeError, ValueError
            If this version of NautilusTrader has no such client, or none that can be pointed
            elsewhere.
        """
        clock = LiveClock()
        bus = MessageBus(TraderId("BENCH-001"), clock)
        bus.register(ENDPOINT, handle)
        loop = asyncio.new_event_loop()
        factory = getattr(
            import_module(f"nautilus_trader.adapters.{self.adapter}.factories"), self.factory
        )
        client = factory.create(
            loop=loop,
            name=self.adapter.upper(),
            config=self._config(),
            msgbus=bus,
            cache=Cache(),
            clock=clock,
        )
        loop.close()
        getattr(client, self.method)  # of another version it may be another one
        return client

    def make_frame(self) -> Any:
        """Return what the socket hands over: a quote."""
        if self.is_raw:
            return BOOK_TICKER
        one = nautilus_pyo3.Quantity.from_str("1.000")
        quote = nautilus_pyo3.QuoteTick(
            nautilus_pyo3.InstrumentId.from_str("BTCUSDT.VENUE"),
            nautilus_pyo3.Price.from_str(BID),
            nautilus_pyo3.Price.from_str("50000.02"),
            one,
            one,
            1_700_000_000_000_000_000,
            1_700_000_000_000_000_000,
        )
        return quote.as_pycapsule()

    def _config(self) -> Any:
        sandbox = import_module(f"nautilus_enhanced.sandbox.{self.adapter}")
        fields = dict(NOWHERE)
        if self.adapter == "bybit":  # it has no field for the socket
            del fields["ws_url"]
        return sandbox.data_client_config(product=self.product, **fields)


FEEDS = (
    VenueFeed(
        "Binance spot",
        "binance",
        "BinanceLiveDataClientFactory",
        "spot",
        "_handle_ws_message",
        is_raw=True,
    ),
    VenueFeed(
        "Binance futures",
        "binance",
        "BinanceLiveDataClientFactory",
        "futures",
        "_handle_ws_message",
        is_raw=True,
    ),
    VenueFeed(
        "Bybit", "bybit", "BybitLiveDataClientFactory", "linear", "_handle_msg", is_raw=False
    ),
    VenueFeed("OKX", "okx", "OKXLiveDataClientFactory", "swap", "_handle_msg", is_raw=False),
)


def are_quotes(messages: list[Any]) -> bool:
    """Return whether all are the quote of the frame."""
    return all(str(message.bid_price) == BID for message in messages)
