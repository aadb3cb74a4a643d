"""Loopback venues that speak the real venues' protocols, and the embedded server."""

from __future__ import annotations

from nautilus_enhanced.sandbox.errors import FaultError
from nautilus_enhanced.sandbox.errors import VenueError
from nautilus_enhanced.sandbox.faults import FaultRule
from nautilus_enhanced.sandbox.generator import GeneratedMarket
from nautilus_enhanced.sandbox.market import Instrument
from nautilus_enhanced.sandbox.market import MarketSource
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.market import Trade
from nautilus_enhanced.sandbox.process import VenueProcess
from nautilus_enhanced.sandbox.recording import RecordedMarket
from nautilus_enhanced.sandbox.recording import RecordingError


__all__ = [
    "FaultError",
    "FaultRule",
    "GeneratedMarket",
    "Instrument",
    "MarketSource",
    "Quote",
    "RecordedMarket",
    "RecordingError",
    "Trade",
    "VenueError",
    "VenueProcess",
]
