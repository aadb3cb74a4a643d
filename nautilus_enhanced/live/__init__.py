"""The dispatcher and the engines of an enhanced live node."""

from nautilus_enhanced.live.dispatcher import PriorityDispatcher
from nautilus_enhanced.live.engines import EnhancedLiveDataEngine
from nautilus_enhanced.live.engines import EnhancedLiveExecutionEngine
from nautilus_enhanced.live.engines import EnhancedLiveRiskEngine
from nautilus_enhanced.live.queues import QueueOverflowError
from nautilus_enhanced.live.scheduling import DispatchLane
from nautilus_enhanced.live.statistics import DispatcherStatistics
from nautilus_enhanced.live.statistics import HandlerStatistics
from nautilus_enhanced.live.statistics import QueueStatistics


__all__ = [
    "DispatchLane",
    "DispatcherStatistics",
    "EnhancedLiveDataEngine",
    "EnhancedLiveExecutionEngine",
    "EnhancedLiveRiskEngine",
    "HandlerStatistics",
    "PriorityDispatcher",
    "QueueOverflowError",
    "QueueStatistics",
]
