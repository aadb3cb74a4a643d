"""NautilusTrader's data clients of venues, with a frame each: built, and never connected."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING
from typing import Any
from typing import Protocol

from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock
from nautilus_trader.common.component import MessageBus
from nautilus_trader.core import nautilus_pyo3
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.test_kit.providers import TestInstrumentProvider

from nautilus_enhanced.adapters.interactive_brokers.shared import share
from nautilus_enhanced.adapters.mixing import mixed_class
from nautilus_enhanced.sandbox.interactive_brokers.clients import check_library


if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_enhanced.adapters.observer import ClientObserver


NOWHERE = {"http_url": "http://127.0.0.1:1", "ws_url": "ws://127.0.0.1:1"}
ENDPOINT = "DataEngine.process"
BID = "50000.01"
# What the answer to a subscription of Interactive Brokers is told by.
REQUEST = 1
BOOK_TICKER = (
    b'{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":400900217,'
    b'"E":1700000000000,"T":1700000000000,"s":"BTCUSDT","b":"50000.01","B":"1.00000",'
    b'"a":"50000.02","A":"2.00000"}}'
)


class Feed(Protocol):
    """A client, and what is handed to it."""

    @property
    def title(self) -> str:
        """Return what is handed over, for people."""

    def make_client(self, handle: Callable[[Any], None]) -> Any:
        """Return a stock client, on a bus of its own where a function is the endpoint."""

    def make_message(self) -> Any:
        """Return what is handed over."""

    def entrance(self, client: Any) -> Callable[[Any], object]:
        """Return what it is handed to."""

    def observe(self, client: Any, observer: ClientObserver) -> None:
        """Put the mixin under the client."""

    def arrived(self, got: list[Any], message: Any) -> bool:
        """Return whether all that the endpoint got is what was handed over."""


class ByMethod:
    """What is handed to a method of the client itself."""

    method: str

    def entrance(self, client: Any) -> Callable[[Any], object]:
        """Return the method."""
        entrance: Callable[[Any], object] = getattr(client, self.method)
        return entrance

    def observe(self, client: Any, observer: ClientObserver) -> None:
        """Put the mixin under the client."""
        stock: Any = type(client)
        client.__class__ = mixed_class(stock)
        client.observe_with(observer)


class OfQuotes:
    """What is a quote, in whatever form the venue has it."""

    def arrived(self, got: list[Any], message: Any) -> bool:
        """Return whether all that the endpoint got is the quote."""
        del message
        return all(str(quote.bid_price) == BID for quote in got)


def make_bus(handle: Callable[[Any], None]) -> MessageBus:
    """Return a bus whose data engine is a function."""
    bus = MessageBus(TraderId("BENCH-001"), LiveClock())
    bus.register(ENDPOINT, handle)
    return bus


@dataclass(frozen=True)
class VenueFeed(ByMethod, OfQuotes):
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
        loop = asyncio.new_event_loop()
        factory = getattr(
            import_module(f"nautilus_trader.adapters.{self.adapter}.factories"), self.factory
        )
        client = factory.create(
            loop=loop,
            name=self.adapter.upper(),
            config=self._config(),
            msgbus=make_bus(handle),
            cache=Cache(),
            clock=LiveClock(),
        )
        loop.close()
        getattr(client, self.method)  # of another version it may be another one
        return client

    @property
    def title(self) -> str:
        """Return what is handed over, for people."""
        return f"a frame of {self.venue}"

    def make_message(self) -> Any:
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


@dataclass(frozen=True)
class SharedClientFeed(OfQuotes):
    """
    Interactive Brokers' shared client, which sends market data to the engine by itself.

    Attributes
    ----------
    venue : str
        What it is called.
    """

    venue: str = "Interactive Brokers"

    @property
    def title(self) -> str:
        """Return what is handed over, for people."""
        return f"a tick of {self.venue}"

    def make_client(self, handle: Callable[[Any], None]) -> Any:
        """
        Return the client, with one subscription, on a bus of its own.

        Raises
        ------
        MissingExtraError, VenueError
            If the library of Interactive Brokers is not there, or is another one.
        """
        check_library()
        shared = import_module("nautilus_trader.adapters.interactive_brokers.client")
        instrument, cache = TestInstrumentProvider.btcusdt_binance(), Cache()
        cache.add_instrument(instrument)
        loop = asyncio.new_event_loop()
        client = shared.InteractiveBrokersClient(
            loop=loop, msgbus=make_bus(handle), cache=cache, clock=LiveClock()
        )
        loop.close()
        client._subscriptions.add(  # noqa: SLF001 (as if it had been answered)
            REQUEST, (str(instrument.id), "BidAsk"), handle=lambda: None
        )
        return client

    def make_message(self) -> Any:
        """Return what the reader of the socket calls the client with: a quote."""
        one = Decimal(1)
        return {
            "req_id": REQUEST,
            "time": 1_700_000_000,
            "bid_price": float(BID),
            "ask_price": 50_000.02,
            "bid_size": one,
            "ask_size": one,
            "tick_attrib_bid_ask": None,
        }

    def entrance(self, client: Any) -> Callable[[Any], object]:
        """Return a function that runs the task of a tick: it ends without having to wait."""
        process = client.process_tick_by_tick_bid_ask

        def hand_over(arguments: dict[str, Any]) -> None:
            try:
                process(**arguments).send(None)
            except StopIteration:
                return
            raise RuntimeError("the task of a tick has not ended at once")

        return hand_over

    def observe(self, client: Any, observer: ClientObserver) -> None:
        """Put the mixin under the client."""
        share(client, observer)


FEEDS: tuple[Feed, ...] = (
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
    SharedClientFeed(),
)
