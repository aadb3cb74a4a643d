"""
Factories of enhanced Interactive Brokers clients.

The adapter needs `ibapi`, so it is imported when one of them is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from nautilus_enhanced.adapters.factories import enhance
from nautilus_enhanced.adapters.table import adapter_called


if TYPE_CHECKING:
    EnhancedInteractiveBrokersLiveDataClientFactory: Any
    EnhancedInteractiveBrokersLiveExecClientFactory: Any

__all__ = [
    "EnhancedInteractiveBrokersLiveDataClientFactory",
    "EnhancedInteractiveBrokersLiveExecClientFactory",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    stock = adapter_called("interactive_brokers").load_factory(name.removeprefix("Enhanced"))
    return globals().setdefault(name, enhance(stock))
