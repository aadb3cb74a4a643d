"""The Interactive Brokers loopback venues: a stock, and a pair of currencies."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from nautilus_enhanced.sandbox.interactive_brokers.clients import data_client_config
from nautilus_enhanced.sandbox.interactive_brokers.clients import exec_client_config
from nautilus_enhanced.sandbox.interactive_brokers.process import (
    InteractiveBrokersForexVenueProcess,
)
from nautilus_enhanced.sandbox.interactive_brokers.process import (
    InteractiveBrokersStockVenueProcess,
)
from nautilus_enhanced.sandbox.venues import venue_class


if TYPE_CHECKING:
    from nautilus_enhanced.sandbox.interactive_brokers.venue import InteractiveBrokersForexVenue
    from nautilus_enhanced.sandbox.interactive_brokers.venue import InteractiveBrokersStockVenue

__all__ = [
    "InteractiveBrokersForexVenue",
    "InteractiveBrokersForexVenueProcess",
    "InteractiveBrokersStockVenue",
    "InteractiveBrokersStockVenueProcess",
    "data_client_config",
    "exec_client_config",
]

_LAZY: Final = frozenset({"InteractiveBrokersForexVenue", "InteractiveBrokersStockVenue"})


def __getattr__(name: str) -> Any:
    """Import a venue at its first use: it brings libraries that are extras."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return venue_class("nautilus_enhanced.sandbox.interactive_brokers.venue", name)
