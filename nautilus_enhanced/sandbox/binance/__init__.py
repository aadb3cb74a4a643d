"""The Binance loopback venue."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.errors import MissingExtraError
from nautilus_enhanced.sandbox.binance.clients import data_client_config
from nautilus_enhanced.sandbox.binance.clients import exec_client_config
from nautilus_enhanced.sandbox.binance.process import BinanceSpotVenueProcess
from nautilus_enhanced.sandbox.binance.process import VenueAddress
from nautilus_enhanced.sandbox.binance.statistics import OrderPush
from nautilus_enhanced.sandbox.binance.statistics import VenueStatistics


if TYPE_CHECKING:
    from nautilus_enhanced.sandbox.binance.venue import BinanceSpotVenue

__all__ = [
    "BinanceSpotVenue",
    "BinanceSpotVenueProcess",
    "OrderPush",
    "VenueAddress",
    "VenueStatistics",
    "data_client_config",
    "exec_client_config",
]

_VENUE: Final = "nautilus_enhanced.sandbox.binance.venue"


def __getattr__(name: str) -> Any:
    """Import the venue at its first use: it brings aiohttp, which is an extra."""
    if name != "BinanceSpotVenue":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return importlib.import_module(_VENUE).BinanceSpotVenue
    except ModuleNotFoundError as e:
        if (e.name or "").partition(".")[0] != "aiohttp":
            raise
        raise MissingExtraError("sandbox", "the Binance loopback venue") from None
