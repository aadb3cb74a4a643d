"""The Binance loopback venues: spot and USDT futures."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from nautilus_enhanced.sandbox.binance.clients import data_client_config
from nautilus_enhanced.sandbox.binance.clients import exec_client_config
from nautilus_enhanced.sandbox.binance.process import BinanceFuturesVenueProcess
from nautilus_enhanced.sandbox.binance.process import BinanceSpotVenueProcess
from nautilus_enhanced.sandbox.process import VenueAddress
from nautilus_enhanced.sandbox.statistics import OrderPush
from nautilus_enhanced.sandbox.statistics import VenueStatistics
from nautilus_enhanced.sandbox.venues import venue_class


if TYPE_CHECKING:
    from nautilus_enhanced.sandbox.binance.venue import BinanceFuturesVenue
    from nautilus_enhanced.sandbox.binance.venue import BinanceSpotVenue

__all__ = [
    "BinanceFuturesVenue",
    "BinanceFuturesVenueProcess",
    "BinanceSpotVenue",
    "BinanceSpotVenueProcess",
    "OrderPush",
    "VenueAddress",
    "VenueStatistics",
    "data_client_config",
    "exec_client_config",
]

_LAZY: Final = frozenset({"BinanceFuturesVenue", "BinanceSpotVenue"})


def __getattr__(name: str) -> Any:
    """Import a venue at its first use: it brings aiohttp, which is an extra."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return venue_class("nautilus_enhanced.sandbox.binance.venue", name)
