"""
Mixins and factories that bring the enhanced bus to venue adapters.

Nothing of an adapter is imported here: the factories of a venue are in its own module, such as
`nautilus_enhanced.adapters.binance`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING
from typing import Any


if TYPE_CHECKING:
    from nautilus_enhanced.adapters.factories import enhance
    from nautilus_enhanced.adapters.mixins import DataClientMixin
    from nautilus_enhanced.adapters.mixins import ExecutionClientMixin
    from nautilus_enhanced.adapters.statistics import AdapterStatistics
    from nautilus_enhanced.adapters.statistics import ConnectionStatistics
    from nautilus_enhanced.adapters.statistics import MessageStatistics
    from nautilus_enhanced.adapters.statistics import ReportStatistics
    from nautilus_enhanced.adapters.statistics import SpreadStatistics
    from nautilus_enhanced.adapters.table import ADAPTERS
    from nautilus_enhanced.adapters.table import Adapter


_HOMES = {
    "ADAPTERS": "table",
    "Adapter": "table",
    "AdapterStatistics": "statistics",
    "ConnectionStatistics": "statistics",
    "DataClientMixin": "mixins",
    "ExecutionClientMixin": "mixins",
    "MessageStatistics": "statistics",
    "ReportStatistics": "statistics",
    "SpreadStatistics": "statistics",
    "enhance": "factories",
}

__all__ = [
    "ADAPTERS",
    "Adapter",
    "AdapterStatistics",
    "ConnectionStatistics",
    "DataClientMixin",
    "ExecutionClientMixin",
    "MessageStatistics",
    "ReportStatistics",
    "SpreadStatistics",
    "enhance",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
