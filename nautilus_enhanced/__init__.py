"""
An enhanced message bus for unmodified NautilusTrader live nodes.

Importing this package changes nothing and imports NautilusTrader only when a name that needs it
is asked for. Making an `EnhancedMessageBusConfig` hooks the kernel.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING
from typing import Any


if TYPE_CHECKING:
    from nautilus_enhanced.common.features import Features
    from nautilus_enhanced.common.features import features
    from nautilus_enhanced.common.flow import data_age_ms
    from nautilus_enhanced.common.flow import data_backlog
    from nautilus_enhanced.config import EnhancedMessageBusConfig
    from nautilus_enhanced.infrastructure.messagebus import AllowRule
    from nautilus_enhanced.infrastructure.messagebus import BufferSettings
    from nautilus_enhanced.infrastructure.messagebus import ConnectionSettings
    from nautilus_enhanced.infrastructure.messagebus import DispatchSettings
    from nautilus_enhanced.infrastructure.messagebus import DurabilitySettings
    from nautilus_enhanced.infrastructure.messagebus import EnhancedBusError
    from nautilus_enhanced.infrastructure.messagebus import ExternalSettings
    from nautilus_enhanced.infrastructure.messagebus import FlowRule
    from nautilus_enhanced.infrastructure.messagebus import LaneSettings
    from nautilus_enhanced.infrastructure.messagebus import MessagePriority
    from nautilus_enhanced.infrastructure.messagebus import MonitoringSettings
    from nautilus_enhanced.infrastructure.messagebus import PrioritySettings
    from nautilus_enhanced.infrastructure.messagebus import PublishingSettings
    from nautilus_enhanced.infrastructure.messagebus import PublishRule
    from nautilus_enhanced.infrastructure.messagebus import StartRule
    from nautilus_enhanced.infrastructure.messagebus import StreamSettings
    from nautilus_enhanced.infrastructure.messagebus import TopicRule
    from nautilus_enhanced.infrastructure.messagebus import TrimmingSettings
    from nautilus_enhanced.infrastructure.messagebus import UrgentLaneSettings
    from nautilus_enhanced.infrastructure.messagebus import WorkerSettings
    from nautilus_enhanced.live.inspection import NodeStatistics
    from nautilus_enhanced.live.inspection import health
    from nautilus_enhanced.live.inspection import statistics
    from nautilus_enhanced.migration import migrate_messagebus_config
    from nautilus_enhanced.migration import migrate_trading_node_config
    from nautilus_enhanced.node_config import parse_node_config


__version__ = "0.1.0"

_HOMES = {
    "AllowRule": "nautilus_enhanced.infrastructure.messagebus",
    "BufferSettings": "nautilus_enhanced.infrastructure.messagebus",
    "ConnectionSettings": "nautilus_enhanced.infrastructure.messagebus",
    "DispatchSettings": "nautilus_enhanced.infrastructure.messagebus",
    "DurabilitySettings": "nautilus_enhanced.infrastructure.messagebus",
    "EnhancedBusError": "nautilus_enhanced.infrastructure.messagebus",
    "EnhancedMessageBusConfig": "nautilus_enhanced.config",
    "ExternalSettings": "nautilus_enhanced.infrastructure.messagebus",
    "Features": "nautilus_enhanced.common.features",
    "FlowRule": "nautilus_enhanced.infrastructure.messagebus",
    "LaneSettings": "nautilus_enhanced.infrastructure.messagebus",
    "MessagePriority": "nautilus_enhanced.infrastructure.messagebus",
    "MonitoringSettings": "nautilus_enhanced.infrastructure.messagebus",
    "NodeStatistics": "nautilus_enhanced.live.inspection",
    "PrioritySettings": "nautilus_enhanced.infrastructure.messagebus",
    "PublishRule": "nautilus_enhanced.infrastructure.messagebus",
    "PublishingSettings": "nautilus_enhanced.infrastructure.messagebus",
    "StartRule": "nautilus_enhanced.infrastructure.messagebus",
    "StreamSettings": "nautilus_enhanced.infrastructure.messagebus",
    "TopicRule": "nautilus_enhanced.infrastructure.messagebus",
    "TrimmingSettings": "nautilus_enhanced.infrastructure.messagebus",
    "UrgentLaneSettings": "nautilus_enhanced.infrastructure.messagebus",
    "WorkerSettings": "nautilus_enhanced.infrastructure.messagebus",
    "data_age_ms": "nautilus_enhanced.common.flow",
    "data_backlog": "nautilus_enhanced.common.flow",
    "features": "nautilus_enhanced.common.features",
    "health": "nautilus_enhanced.live.inspection",
    "migrate_messagebus_config": "nautilus_enhanced.migration",
    "migrate_trading_node_config": "nautilus_enhanced.migration",
    "parse_node_config": "nautilus_enhanced.node_config",
    "statistics": "nautilus_enhanced.live.inspection",
}

__all__ = [
    "AllowRule",
    "BufferSettings",
    "ConnectionSettings",
    "DispatchSettings",
    "DurabilitySettings",
    "EnhancedBusError",
    "EnhancedMessageBusConfig",
    "ExternalSettings",
    "Features",
    "FlowRule",
    "LaneSettings",
    "MessagePriority",
    "MonitoringSettings",
    "NodeStatistics",
    "PrioritySettings",
    "PublishRule",
    "PublishingSettings",
    "StartRule",
    "StreamSettings",
    "TopicRule",
    "TrimmingSettings",
    "UrgentLaneSettings",
    "WorkerSettings",
    "__version__",
    "data_age_ms",
    "data_backlog",
    "features",
    "health",
    "migrate_messagebus_config",
    "migrate_trading_node_config",
    "parse_node_config",
    "statistics",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
