"""
The bus, for a trading node and for any other Python process.

Nothing here imports NautilusTrader.
"""

from nautilus_enhanced.infrastructure.messagebus.client import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus.contracts import Backing
from nautilus_enhanced.infrastructure.messagebus.contracts import BoundedLane
from nautilus_enhanced.infrastructure.messagebus.contracts import Clock
from nautilus_enhanced.infrastructure.messagebus.contracts import OverflowPolicy
from nautilus_enhanced.infrastructure.messagebus.contracts import PriorityPolicy
from nautilus_enhanced.infrastructure.messagebus.errors import AckUnavailableError
from nautilus_enhanced.infrastructure.messagebus.errors import BufferFullError
from nautilus_enhanced.infrastructure.messagebus.errors import ClientClosedError
from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.errors import EnhancedBusError
from nautilus_enhanced.infrastructure.messagebus.errors import GroupInUseError
from nautilus_enhanced.infrastructure.messagebus.errors import IndeterminateError
from nautilus_enhanced.infrastructure.messagebus.errors import JournalBusyError
from nautilus_enhanced.infrastructure.messagebus.errors import JournalError
from nautilus_enhanced.infrastructure.messagebus.errors import LoginRefusedError
from nautilus_enhanced.infrastructure.messagebus.errors import NotAcceptedError
from nautilus_enhanced.infrastructure.messagebus.errors import NotConfirmedError
from nautilus_enhanced.infrastructure.messagebus.errors import RejectedMessageError
from nautilus_enhanced.infrastructure.messagebus.errors import RequestError
from nautilus_enhanced.infrastructure.messagebus.errors import RequestFailedError
from nautilus_enhanced.infrastructure.messagebus.errors import RequestTimeoutError
from nautilus_enhanced.infrastructure.messagebus.errors import ServerError
from nautilus_enhanced.infrastructure.messagebus.errors import ServerUnreachableError
from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthFinding
from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthReport
from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthState
from nautilus_enhanced.infrastructure.messagebus.monitoring.metrics import ClientHealth
from nautilus_enhanced.infrastructure.messagebus.monitoring.metrics import ClientMetrics
from nautilus_enhanced.infrastructure.messagebus.monitoring.statistics import ClientStatistics
from nautilus_enhanced.infrastructure.messagebus.monitoring.statistics import JournalStatistics
from nautilus_enhanced.infrastructure.messagebus.monitoring.statistics import LaneStatistics
from nautilus_enhanced.infrastructure.messagebus.monitoring.statistics import Statistics
from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import StreamNaming
from nautilus_enhanced.infrastructure.messagebus.settings.connection import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus.settings.dispatch import DispatchSettings
from nautilus_enhanced.infrastructure.messagebus.settings.dispatch import FlowRule
from nautilus_enhanced.infrastructure.messagebus.settings.durability import DurabilitySettings
from nautilus_enhanced.infrastructure.messagebus.settings.external import AllowRule
from nautilus_enhanced.infrastructure.messagebus.settings.external import ExternalSettings
from nautilus_enhanced.infrastructure.messagebus.settings.external import StartRule
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import BufferSettings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import LaneSettings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import MonitoringSettings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import PrioritySettings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import PublishingSettings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import PublishRule
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import TopicRule
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import UrgentLaneSettings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import WorkerSettings
from nautilus_enhanced.infrastructure.messagebus.settings.streams import StreamSettings
from nautilus_enhanced.infrastructure.messagebus.streams import Envelope
from nautilus_enhanced.infrastructure.messagebus.streams import Request
from nautilus_enhanced.infrastructure.messagebus.streams import RequestStatistics
from nautilus_enhanced.infrastructure.messagebus.streams import StreamClient
from nautilus_enhanced.infrastructure.messagebus.streams import StreamMessage
from nautilus_enhanced.infrastructure.messagebus.streams import Subscription
from nautilus_enhanced.infrastructure.messagebus.streams import SubscriptionSettings
from nautilus_enhanced.infrastructure.messagebus.streams import SubscriptionStatistics
from nautilus_enhanced.infrastructure.messagebus.streams.commands import PendingEntry
from nautilus_enhanced.infrastructure.messagebus.streams.letters import DeadLetter
from nautilus_enhanced.infrastructure.messagebus.streams.manager.administration import (
    DeletedConsumer,
)
from nautilus_enhanced.infrastructure.messagebus.streams.manager.batches import ClaimedMessages
from nautilus_enhanced.infrastructure.messagebus.streams.manager.finding import FoundStreams
from nautilus_enhanced.infrastructure.messagebus.streams.manager.inspecting import GroupStatus
from nautilus_enhanced.infrastructure.messagebus.streams.manager.inspecting import StreamStatus
from nautilus_enhanced.infrastructure.messagebus.streams.manager.letterbox import LetterboxStatus
from nautilus_enhanced.infrastructure.messagebus.streams.manager.letterbox import RequeuedLetters
from nautilus_enhanced.infrastructure.messagebus.streams.manager.manager import RedisStreamManager
from nautilus_enhanced.infrastructure.messagebus.streams.manager.trim_plan import TrimOutcome
from nautilus_enhanced.infrastructure.messagebus.streams.manager.trim_plan import TrimPlan
from nautilus_enhanced.infrastructure.messagebus.streams.manager.trimmer import StreamTrimmer
from nautilus_enhanced.infrastructure.messagebus.streams.manager.trimmer import TrimmerStatistics
from nautilus_enhanced.infrastructure.messagebus.streams.manager.trimming_settings import (
    TrimmingSettings,
)
from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import ConsumerFacts
from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import PendingSummary


__all__ = [
    "AckUnavailableError",
    "AllowRule",
    "Backing",
    "BoundedLane",
    "BufferFullError",
    "BufferSettings",
    "BufferedMessageBusClient",
    "ClaimedMessages",
    "ClientClosedError",
    "ClientHealth",
    "ClientMetrics",
    "ClientStatistics",
    "Clock",
    "ConfigurationError",
    "ConnectionSettings",
    "ConsumerFacts",
    "DeadLetter",
    "DeletedConsumer",
    "DispatchSettings",
    "DurabilitySettings",
    "EnhancedBusError",
    "Envelope",
    "ExternalSettings",
    "FlowRule",
    "FoundStreams",
    "GroupInUseError",
    "GroupStatus",
    "HealthFinding",
    "HealthReport",
    "HealthState",
    "IndeterminateError",
    "JournalBusyError",
    "JournalError",
    "JournalStatistics",
    "LaneSettings",
    "LaneStatistics",
    "LetterboxStatus",
    "LoginRefusedError",
    "MessagePriority",
    "MonitoringSettings",
    "NotAcceptedError",
    "NotConfirmedError",
    "OverflowPolicy",
    "PendingEntry",
    "PendingSummary",
    "PriorityPolicy",
    "PrioritySettings",
    "PublishRule",
    "PublishingSettings",
    "RedisStreamManager",
    "RejectedMessageError",
    "Request",
    "RequestError",
    "RequestFailedError",
    "RequestStatistics",
    "RequestTimeoutError",
    "RequeuedLetters",
    "ServerError",
    "ServerUnreachableError",
    "StartRule",
    "Statistics",
    "StreamClient",
    "StreamMessage",
    "StreamNaming",
    "StreamSettings",
    "StreamStatus",
    "StreamTrimmer",
    "Subscription",
    "SubscriptionSettings",
    "SubscriptionStatistics",
    "TopicRule",
    "TrimOutcome",
    "TrimPlan",
    "TrimmerStatistics",
    "TrimmingSettings",
    "UrgentLaneSettings",
    "WorkerSettings",
]
