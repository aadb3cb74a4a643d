"""The Bybit loopback venues: linear perpetuals and spot."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from nautilus_enhanced.sandbox.bybit.clients import data_client_config
from nautilus_enhanced.sandbox.bybit.clients import exec_client_config
from nautilus_enhanced.sandbox.bybit.clients import public_socket_factory
from nautilus_enhanced.sandbox.bybit.process import BybitLinearVenueProcess
from nautilus_enhanced.sandbox.bybit.process import BybitSpotVenueProcess
from nautilus_enhanced.sandbox.venues import venue_class


if TYPE_CHECKING:
    from nautilus_enhanced.sandbox.bybit.venue import BybitLinearVenue
    from nautilus_enhanced.sandbox.bybit.venue import BybitSpotVenue

__all__ = [
    "BybitLinearVenue",
    "BybitLinearVenueProcess",
    "BybitSpotVenue",
    "BybitSpotVenueProcess",
    "data_client_config",
    "exec_client_config",
    "public_socket_factory",
]

_LAZY: Final = frozenset({"BybitLinearVenue", "BybitSpotVenue"})


def __getattr__(name: str) -> Any:
    """Import a venue at its first use: it brings aiohttp, which is an extra."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return venue_class("nautilus_enhanced.sandbox.bybit.venue", name)
