"""Reading of streams: subscriptions, groups, acknowledgement, dead letters, trimming."""

from nautilus_enhanced.infrastructure.messagebus.streams.client import StreamClient
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.subscription import Subscription
from nautilus_enhanced.infrastructure.messagebus.streams.entries import StreamMessage
from nautilus_enhanced.infrastructure.messagebus.streams.requests.envelope import Envelope
from nautilus_enhanced.infrastructure.messagebus.streams.requests.responding import Request
from nautilus_enhanced.infrastructure.messagebus.streams.settings import SubscriptionSettings
from nautilus_enhanced.infrastructure.messagebus.streams.statistics import RequestStatistics
from nautilus_enhanced.infrastructure.messagebus.streams.statistics import SubscriptionStatistics


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
