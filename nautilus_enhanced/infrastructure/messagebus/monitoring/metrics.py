"""The figures of a client in a form that dashboards and probes read: plain dictionaries."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Final
from typing import TypedDict


if TYPE_CHECKING:
    from nautilus_enhanced.infrastructure.messagebus.monitoring.statistics import ClientStatistics
    from nautilus_enhanced.infrastructure.messagebus.publishing.lanes import Lane


# What a message needs in its lane beside its payload: a tuple of three (64 bytes), the head of a
# bytes object (33), what the allocator rounds that up to (7 on average, to multiples of 16), and a
# place in the queue (8). The topic is shared.
ENTRY_BYTES: Final = 112


class ClientMetrics(TypedDict):
    """
    What a client does, as of now.

    Attributes
    ----------
    messages_per_second : float
        Messages that the server confirmed, over the last 10 seconds or since the client was
        made, if that is shorter, but at least over one second.
    bytes_per_second : float
        Bytes written to the socket, over the same time.
    avg_latency_ms, p95_latency_ms : float
        Mean and 95th percentile of the milliseconds from a message's put to its
        acknowledgement, over the last 10 seconds and at most 1,024 measured messages; 0 if there
        were none. What is dropped or refused, and what was asked to be acknowledged, is not
        measured.
    buffer_utilization : float
        How full the fullest lane is, 0 to 1, by messages or by bytes, whichever is more.
    memory_usage_mb : float
        Memory of the messages that wait in the lanes, in units of 1,000,000 bytes: their
        payloads, and 105 bytes for each. Not the memory of the process.
    error_rate : float
        Share, 0 to 1, of lost messages among those whose fate was decided, over the last
        10 seconds. Lost is what was refused or dropped by a full lane, rejected by the server,
        or abandoned when the client was closed.
    connected : bool
        Whether the writer has a connection that answered.
    journal_depth : int
        Messages that wait in the journal on disk.
    drain_estimate_seconds : float or None
        Seconds until nothing waits any more, at the rates of the last 10 seconds; 0 if nothing
        does, None if the server does not answer or as much comes as goes.
    """

    messages_per_second: float
    bytes_per_second: float
    avg_latency_ms: float
    p95_latency_ms: float
    buffer_utilization: float
    memory_usage_mb: float
    error_rate: float
    connected: bool
    journal_depth: int
    drain_estimate_seconds: float | None


class ClientHealth(TypedDict):
    """
    How a client is, as of now.

    Attributes
    ----------
    status : {'healthy', 'degraded', 'unhealthy'}
        The state that `BufferedMessageBusClient.health` gives, which also says why.
    connected : bool
        Whether the writer has a connection that answered.
    buffer_utilization : float
        How full the fullest lane is, 0 to 1.
    worker_count : int
        Threads that write: 1 while the client runs, 0 before and afterwards.
    error_rate : float
        Share, 0 to 1, of lost messages, as in `ClientMetrics`.
    uptime_seconds : float
        Seconds since the client was started, until it was closed; 0 before.
    """

    status: str
    connected: bool
    buffer_utilization: float
    worker_count: int
    error_rate: float
    uptime_seconds: float


def waiting_mb(figures: ClientStatistics) -> float:
    """Return the memory of the messages that wait, in units of 1,000,000 bytes."""
    return sum(lane.queued_bytes + lane.queued * ENTRY_BYTES for lane in figures.lanes) / 1e6


def fullest(lanes: tuple[Lane, ...]) -> float:
    """Return how full the fullest lane is, 0 to 1."""
    return max(lane.utilization for lane in lanes)
