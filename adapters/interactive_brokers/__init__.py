"""Factories of enhanced Interactive Brokers clients."""

from __future__ import annotations

from typing import Any

from nautilus_trader.adapters.interactive_brokers.factories import (
    InteractiveBrokersLiveDataClientFactory,
)
from nautilus_trader.adapters.interactive_brokers.factories import (
    InteractiveBrokersLiveExecClientFactory,
)

from nautilus_enhanced.adapters.factories import enhance


__all__ = [
    "EnhancedInteractiveBrokersLiveDataClientFactory",
    "EnhancedInteractiveBrokersLiveExecClientFactory",
]

EnhancedInteractiveBrokersLiveDataClientFactory: Any = enhance(
    InteractiveBrokersLiveDataClientFactory
)
EnhancedInteractiveBrokersLiveExecClientFactory: Any = enhance(
    InteractiveBrokersLiveExecClientFactory
)
