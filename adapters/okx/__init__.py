"""Factories of enhanced OKX clients."""

from __future__ import annotations

from typing import Any

from nautilus_trader.adapters.okx.factories import OKXLiveDataClientFactory
from nautilus_trader.adapters.okx.factories import OKXLiveExecClientFactory

from nautilus_enhanced.adapters.factories import enhance


__all__ = [
    "EnhancedOKXLiveDataClientFactory",
    "EnhancedOKXLiveExecClientFactory",
]

EnhancedOKXLiveDataClientFactory: Any = enhance(OKXLiveDataClientFactory)
EnhancedOKXLiveExecClientFactory: Any = enhance(OKXLiveExecClientFactory)
