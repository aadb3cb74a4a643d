"""Factories of enhanced Bybit clients."""

from __future__ import annotations

from typing import Any

from nautilus_trader.adapters.bybit.factories import BybitLiveDataClientFactory
from nautilus_trader.adapters.bybit.factories import BybitLiveExecClientFactory

from nautilus_enhanced.adapters.factories import enhance


__all__ = [
    "EnhancedBybitLiveDataClientFactory",
    "EnhancedBybitLiveExecClientFactory",
]

EnhancedBybitLiveDataClientFactory: Any = enhance(BybitLiveDataClientFactory)
EnhancedBybitLiveExecClientFactory: Any = enhance(BybitLiveExecClientFactory)
