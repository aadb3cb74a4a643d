"""Figures about the clients of adapters, as frozen values."""

from __future__ import annotations

from nautilus_enhanced.infrastructure.messagebus.monitoring.statistics import Statistics


class SpreadStatistics(Statistics, frozen=True, kw_only=True):
    """
    How durations are spread, in milliseconds.

    Attributes
    ----------
    p50, p95, max : float
        The median, the 95th percentile and the longest.
    """

    p50: float
    p95: float
    max: float


class MessageStatistics(Statistics, frozen=True, kw_only=True):
    """
    Figures of the messages of one type that a client handed to the engines.

    Attributes
    ----------
    message_type : str
        The type, such as ``QuoteTick``.
    priority : str
        The name of its `MessagePriority`, as in the figures of the engines' queues.
    count : int
        Messages, every one of them.
    sampled : int
        Gauge: messages that the figures below are taken from: the last 1,024 that were looked at.
        Of market data every 16th is, of all else each.
    event_time : {'unknown', 'none', 'seconds', 'milliseconds', 'finer'}
        What the venue gives as the time of the event. ``'none'``: it is always the time at which
        the client made the message, so there is no latency to be told. ``'seconds'``: whole
        ones, and the latency is no better than that. ``'unknown'``: nothing was sampled.
    latency_ms : SpreadStatistics or None
        From ``ts_event`` to ``ts_init``: from the event at the venue to its message here, by two
        clocks. None without a time of the event.
    inside_ms : SpreadStatistics or None
        From ``ts_init`` to the hand-over to the engine: what the message spent in the client.
        None for what is no event, such as an instrument.
    ahead : int
        Gauge: messages among those sampled whose event, by the venue's clock, comes after its
        message by ours.
    """

    message_type: str
    priority: str
    count: int
    sampled: int
    event_time: str
    latency_ms: SpreadStatistics | None
    inside_ms: SpreadStatistics | None
    ahead: int


class ConnectionStatistics(Statistics, frozen=True, kw_only=True):
    """
    Figures of a client's connections.

    Attributes
    ----------
    connected : bool
        Gauge: whether the client says that it is connected.
    connects, disconnects : int
        Times that it began or ceased to say so.
    reconnects : int
        Times that a connection was lost and came back by itself.
    reconnects_10min : int
        Gauge: those of the last ten minutes, up to 100.
    down : tuple[str, ...]
        Gauge: the connections that are lost now, by the names of the client's attributes.
    down_s : float
        Gauge: seconds for which one has been lost; 0 if none is.
    """

    connected: bool
    connects: int
    disconnects: int
    reconnects: int
    reconnects_10min: int
    down: tuple[str, ...]
    down_s: float


class ReportStatistics(Statistics, frozen=True, kw_only=True):
    """
    Figures of the reports that a client was asked for, as reconciliation does.

    What it sends by itself is among its messages instead, and some of it here as well.

    Attributes
    ----------
    requests : int
        Times that it was asked.
    failures : int
        Requests that ended with an error, or were cancelled.
    reports : dict[str, int]
        Reports that it returned, by their types. An ``ExecutionMassStatus`` counts once, and what
        is in it where the client was asked for that, by itself.
    longest_ms : float
        The longest that a request took.
    """

    requests: int
    failures: int
    reports: dict[str, int]
    longest_ms: float


class AdapterStatistics(Statistics, frozen=True, kw_only=True):
    """
    Figures of one enhanced client.

    Attributes
    ----------
    client_id : str
        The client's ID.
    side : {'data', 'execution'}
        Which of its two sides a venue's adapter it is.
    client_type : str
        The name of the stock class.
    messages : tuple[MessageStatistics, ...]
        One for each type, most frequent first.
    messages_per_second : float
        Messages of all types, over the last 10 seconds or somewhat longer.
    waiting : int or None
        Gauge: messages of the venue that have been read and wait inside of the client; None where
        it has no queue of its own.
    connection : ConnectionStatistics
        Those of its connections.
    reports : ReportStatistics
        Those of the reports it was asked for.
    errors : int
        Errors inside of the mixin. None of them reached the adapter.
    last_error : str
        The last of them, or an empty string.
    """

    client_id: str
    side: str
    client_type: str
    messages: tuple[MessageStatistics, ...]
    messages_per_second: float
    waiting: int | None
    connection: ConnectionStatistics
    reports: ReportStatistics
    errors: int
    last_error: str

    @property
    def count(self) -> int:
        """Return the messages of all types."""
        return sum(row.count for row in self.messages)

    def count_of(self, message_type: str) -> int:
        """Return the messages of one type, by its name."""
        return next((row.count for row in self.messages if row.message_type == message_type), 0)
