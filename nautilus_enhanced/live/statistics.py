"""Figures about the dispatcher and the queues of the engines, as frozen values."""

from __future__ import annotations

from nautilus_enhanced.infrastructure.messagebus.monitoring.statistics import Statistics


class QueueStatistics(Statistics, frozen=True, kw_only=True):
    """
    Figures of one queue of an engine.

    Attributes
    ----------
    engine, queue : str
        The engine's class and the queue's name, such as ``data_queue``.
    posted : int
        Messages put on the queue.
    handled : int
        Messages handled.
    refused : int
        Messages refused at the hard limit.
    queued : int
        Gauge: messages that wait.
    queued_max : int
        The most that ever waited.
    capacity : int
        The engine's `qsize`.
    over_capacity : int
        Messages that were put on the queue while it held more than its capacity.
    conflated : int
        Quotes that were superseded by a newer one before they were handled.
    handled_by_priority : dict[str, int]
        Messages handled, by their label.
    """

    engine: str
    queue: str
    posted: int
    handled: int
    refused: int
    queued: int
    queued_max: int
    capacity: int
    over_capacity: int
    conflated: int
    handled_by_priority: dict[str, int]


class HandlerStatistics(Statistics, frozen=True, kw_only=True):
    """
    Figures of one call of an engine's handler, with all that it led to at once.

    Attributes
    ----------
    engine, queue : str
        Where the message waited: the engine's class and the queue's name.
    message_type : str
        The message's type, such as ``QuoteTick``.
    took_us : float
        Microseconds.
    """

    engine: str
    queue: str
    message_type: str
    took_us: float


class DispatcherStatistics(Statistics, frozen=True, kw_only=True):
    """
    Figures of a dispatcher.

    Attributes
    ----------
    in_startup : bool
        Gauge: whether everything is still served in order of arrival.
    slices : int
        Turns of the event loop in which messages were handled.
    served : dict[str, int]
        Messages handled, for each lane.
    queued : dict[str, int]
        Gauge: messages that wait, for each lane.
    longest_slice_us : float
        The longest slice in microseconds; what it has over ``slice_us`` is a single handler.
    longest_handler : HandlerStatistics or None
        The handler that took longest since the trader has started: what an order event may have
        to wait for besides a slice. None before anything was handled.
    queues : tuple[QueueStatistics, ...]
        One for each queue.
    """

    in_startup: bool
    slices: int
    served: dict[str, int]
    queued: dict[str, int]
    longest_slice_us: float
    longest_handler: HandlerStatistics | None
    queues: tuple[QueueStatistics, ...]
