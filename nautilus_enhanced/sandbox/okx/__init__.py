"""The OKX loopback venues: linear swaps and spot."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from nautilus_enhanced.sandbox.okx.clients import data_client_config
from nautilus_enhanced.sandbox.okx.clients import exec_client_config
from nautilus_enhanced.sandbox.okx.process import OKXSpotVenueProcess
from nautilus_enhanced.sandbox.okx.process import OKXSwapVenueProcess
from nautilus_enhanced.sandbox.venues import venue_class


if TYPE_CHECKING:
    from nautilus_enhanced.sandbox.okx.venue import OKXSpotVenue
    from nautilus_enhanced.sandbox.okx.venue import OKXSwapVenue

__all__ = [
    "OKXSpotVenue",
    "OKXSpotVenueProcess",
    "OKXSwapVenue",
    "OKXSwapVenueProcess",
    "data_client_config",
    "exec_client_config",
]

_LAZY: Final = frozenset({"OKXSpotVenue", "OKXSwapVenue"})


def __getattr__(name: str) -> Any:
    """Import a venue at its first use: it brings aiohttp, which is an extra."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return venue_class("nautilus_enhanced.sandbox.okx.venue", name)
