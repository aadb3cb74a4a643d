"""
Figures about the parts of the bus, as frozen values.

Every part that buffers, sends or dispatches has a ``statistics()`` that returns one of these.
Metrics, health and the command line only read them. All counters count from the start of the
part and never go down; gauges say so in their name or text.
"""

from __future__ import annotations

import msgspec


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """The base of all statistics: frozen, comparable, encodable as JSON by msgspec."""


class LaneStatistics(Statistics, frozen=True, kw_only=True):
    """
    Figures of one lane between the publishing threads and the writer.

    Attributes
    ----------
    priority : str
        The name of the lane's `MessagePriority`.
    published : int
        Messages taken in, dropped ones included.
    acknowledged : int
        Messages that the server confirmed.
    dropped : int
        Messages that were taken in and then dropped by the overflow policy.
    refused : int
        Messages that were not taken in because the lane was full.
    rejected : int
        Messages that the server refused for good.
    abandoned : int
        Messages still unsent when the client was closed.
    indeterminate : int
        Messages that were sent and may or may not be in their stream: nobody can know. They are
        neither sent again nor counted as anything else.
    queued : int
        Gauge: messages waiting now, those in flight not counted.
    queued_bytes : int
        Gauge: payload bytes waiting now.
    high_water_reached : bool
        Gauge: whether the lane is above its high-water mark and has not yet fallen below its
        low-water mark.
    high_water_count : int
        Times that the lane rose to its high-water mark after it had been below the low one.
    journaled : int
        Gauge: messages that wait in the journal on disk.
    restored : int
        Messages of an earlier process that were found in the journal; `published` has them too.
    expired : int
        Messages that waited in the journal for longer than the lane's ``max_age_ms``.
    shed : int
        Messages that were given up because the journal was full.
    """

    priority: str
    published: int
    acknowledged: int
    dropped: int
    refused: int
    rejected: int
    abandoned: int
    queued: int
    queued_bytes: int
    high_water_reached: bool
    high_water_count: int = 0
    indeterminate: int = 0
    journaled: int = 0
    restored: int = 0
    expired: int = 0
    shed: int = 0


class JournalStatistics(Statistics, frozen=True, kw_only=True):
    """
    Figures of the journal.

    Attributes
    ----------
    path : str
        The file.
    state : {'waiting', 'open', 'unavailable', 'closed'}
        Gauge: whether another process has it, it is in use, it cannot be used, or it was closed.
    fsync : bool
        Whether a write returns only when it is on disk.
    written : int
        Messages written to it.
    waiting : int
        Gauge: messages that wait in it.
    size_bytes : int
        Gauge: bytes of what is still needed.
    max_bytes : int
        Bytes that it may take.
    oldest_age_ms : int
        Gauge: age of the oldest message that waits in it, in milliseconds; 0 if none does.
    unwritten : int
        Messages that should have been written before they were sent and could not be.
    problem : str
        What stands in its way now, or an empty string.
    put_aside : str
        The file that was found in its place and is none, or a damaged one, and why.
    """

    path: str
    state: str
    fsync: bool
    written: int
    waiting: int
    size_bytes: int
    max_bytes: int
    oldest_age_ms: int
    unwritten: int
    problem: str = ""
    put_aside: str = ""


class ClientStatistics(Statistics, frozen=True, kw_only=True):
    """
    Figures of a client and its writer.

    Attributes
    ----------
    connected : bool
        Gauge: whether the writer has a connection that answered.
    lanes : tuple[LaneStatistics, ...]
        One for each priority, most urgent first.
    in_flight : int
        Gauge: messages sent and not yet confirmed, or about to be sent.
    batches : int
        Batches confirmed.
    bytes_sent : int
        Bytes written to the socket.
    connects : int
        Connections established, the first included.
    connect_failures : int
        Attempts to connect that failed.
    resent : int
        Messages sent again after a broken connection.
    found_after_reconnect : int
        Messages whose confirmation was lost and that turned out to be in their stream.
    renumbered : int
        Messages that the server refused once and that were sent again with a new entry ID.
    second_writer : int
        Times that an entry ID was refused because somebody else wrote to the stream.
    last_error : str
        The last error of the connection or the server, or an empty string.
    retrying_ms : int
        Gauge: milliseconds for which the server has refused the messages in flight, as it does
        when it is full or read-only; 0 when it takes them.
    crash : str
        The last unexpected error of the writer, a mistake of ours, or an empty string.
    last_rejection : str
        What the server said when it last refused messages for good, or an empty string.
    filtered : int
        Messages that a publishing rule kept back; no lane counts them.
    sampled_out : int
        Messages that a newer one superseded within the interval of a publishing rule; no lane
        counts them.
    held : int
        Gauge: messages that wait for the end of such an interval.
    journal : JournalStatistics or None
        Those of the journal on disk, if there is one.
    drain_estimate_s : float or None
        Gauge: seconds until nothing waits any more, at the rates of the last 10 seconds; None if
        the server does not answer, or as much comes as goes.
    """

    connected: bool
    lanes: tuple[LaneStatistics, ...]
    in_flight: int
    batches: int
    bytes_sent: int
    connects: int
    connect_failures: int
    resent: int
    found_after_reconnect: int
    renumbered: int
    second_writer: int
    last_error: str
    retrying_ms: int = 0
    crash: str = ""
    last_rejection: str = ""
    filtered: int = 0
    sampled_out: int = 0
    held: int = 0
    journal: JournalStatistics | None = None
    drain_estimate_s: float | None = None

    @property
    def published(self) -> int:
        """Return the messages taken in by all lanes."""
        return sum(lane.published for lane in self.lanes)

    @property
    def acknowledged(self) -> int:
        """Return the messages of all lanes that the server confirmed."""
        return sum(lane.acknowledged for lane in self.lanes)

    @property
    def indeterminate(self) -> int:
        """Return the messages of all lanes that may or may not be in their stream."""
        return sum(lane.indeterminate for lane in self.lanes)

    @property
    def lost(self) -> int:
        """Return the messages that will never reach the server."""
        return sum(
            lane.dropped + lane.refused + lane.rejected + lane.abandoned + lane.expired + lane.shed
            for lane in self.lanes
        )

    @property
    def journaled(self) -> int:
        """Return the messages of all lanes that wait in the journal on disk."""
        return sum(lane.journaled for lane in self.lanes)
