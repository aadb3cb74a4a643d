"""What stands in the way of a demo."""

from __future__ import annotations

from nautilus_enhanced.infrastructure.messagebus.errors import EnhancedBusError


class DemoTroubleError(EnhancedBusError):
    """The demo could not be run: the sentence says what stood in the way."""
