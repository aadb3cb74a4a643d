"""Factories of enhanced Binance clients."""

from __future__ import annotations

from typing import Any

from nautilus_trader.adapters.binance.factories import BinanceLiveDataClientFactory
from nautilus_trader.adapters.binance.factories import BinanceLiveExecClientFactory

from nautilus_enhanced.adapters.factories import enhance


__all__ = [
    "EnhancedBinanceLiveDataClientFactory",
    "EnhancedBinanceLiveExecClientFactory",
]

EnhancedBinanceLiveDataClientFactory: Any = enhance(BinanceLiveDataClientFactory)
EnhancedBinanceLiveExecClientFactory: Any = enhance(BinanceLiveExecClientFactory)
