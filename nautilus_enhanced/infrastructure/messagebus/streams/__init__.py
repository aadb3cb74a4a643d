"""Reading of streams: subscriptions, groups, acknowledgement, dead letters, trimming."""

from nautilus_enhanced.infrastructure.messagebus.streams.client import StreamClient
from nautilus_enhanced.infrastructure.messagebus.streams.entries import StreamMessage
from nautilus_enhanced.infrastructure.messagebus.streams.envelope import Envelope
from nautilus_enhanced.infrastructure.messagebus.streams.responding import Request
from nautilus_enhanced.infrastructure.messagebus.streams.settings import SubscriptionSettings
from nautilus_enhanced.infrastructure.messagebus.streams.statistics import RequestStatistics
from nautilus_enhanced.infrastructure.messagebus.streams.statistics import SubscriptionStatistics
from nautilus_enhanced.infrastructure.messagebus.streams.subscription import Subscription


__all__ = [
    "Envelope",
    "Request",
    "RequestStatistics",
    "StreamClient",
    "StreamMessage",
    "Subscription",
    "SubscriptionSettings",
    "SubscriptionStatistics",
]
