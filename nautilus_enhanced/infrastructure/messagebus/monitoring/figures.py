"""What a client can tell about itself: gathered from its lanes, its writer and its rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nautilus_enhanced.infrastructure.messagebus.monitoring.meters import NS_PER_S
from nautilus_enhanced.infrastructure.messagebus.monitoring.meters import RateMeter
from nautilus_enhanced.infrastructure.messagebus.monitoring.meters import Totals
from nautilus_enhanced.infrastructure.messagebus.monitoring.metrics import ClientHealth
from nautilus_enhanced.infrastructure.messagebus.monitoring.metrics import ClientMetrics
from nautilus_enhanced.infrastructure.messagebus.monitoring.metrics import fullest
from nautilus_enhanced.infrastructure.messagebus.monitoring.metrics import waiting_mb
from nautilus_enhanced.infrastructure.messagebus.monitoring.statistics import ClientStatistics
from nautilus_enhanced.infrastructure.messagebus.publishing.rules import PublishingFigures


if TYPE_CHECKING:
    from nautilus_enhanced.infrastructure.messagebus.contracts import Clock
    from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthState
    from nautilus_enhanced.infrastructure.messagebus.monitoring.meters import LatencyMeter
    from nautilus_enhanced.infrastructure.messagebus.publishing.buffers import PriorityBuffers
    from nautilus_enhanced.infrastructure.messagebus.publishing.rules import PublishRules
    from nautilus_enhanced.infrastructure.messagebus.publishing.writer import StreamWriter


class ClientFigures:
    """
    Gather the figures of one client, from any thread.

    Parameters
    ----------
    buffers : PriorityBuffers
        The client's lanes.
    writer : StreamWriter
        Its writer.
    rules : PublishRules or None
        Its publishing rules.
    latency : LatencyMeter
        What the lanes measure latencies with.
    clock : Clock
        The clock.
    """

    def __init__(
        self,
        buffers: PriorityBuffers,
        writer: StreamWriter,
        rules: PublishRules | None,
        latency: LatencyMeter,
        clock: Clock,
    ) -> None:
        self._buffers = buffers
        self._writer = writer
        self._rules = rules
        self._latency = latency
        self._clock = clock
        self._rates = RateMeter(clock.monotonic_ns())
        self._started_ns: int | None = None
        self._stopped_ns: int | None = None

    def note_start(self) -> None:
        """Note that the client was started."""
        self._started_ns = self._clock.monotonic_ns()

    def note_stop(self) -> None:
        """Note that the client has ended; the first time counts."""
        if self._stopped_ns is None:
            self._stopped_ns = self._clock.monotonic_ns()

    def note_settled(self) -> None:
        """Note that the fate of messages was decided; on the writer's thread."""
        self._rates.note(self._clock.monotonic_ns(), self._totals())

    def statistics(self) -> ClientStatistics:
        """Return every counter and gauge."""
        writer = self._writer
        counts = writer.counts
        rules = PublishingFigures() if self._rules is None else self._rules.figures()
        return ClientStatistics(
            connected=writer.is_connected,
            lanes=tuple(lane.statistics() for lane in self._buffers.lanes),
            in_flight=writer.in_flight,
            batches=counts["batches"],
            bytes_sent=writer.bytes_sent,
            connects=counts["connects"],
            connect_failures=counts["connect_failures"],
            resent=counts["resent"],
            found_after_reconnect=counts["found_after_reconnect"],
            renumbered=counts["renumbered"],
            second_writer=counts["second_writer"],
            last_error=writer.last_error,
            retrying_ms=writer.retrying_ms,
            crash=writer.crash,
            last_rejection=writer.last_rejection,
            filtered=rules.filtered,
            sampled_out=rules.sampled_out,
            held=rules.held,
            journal=writer.journal.statistics(),
            drain_estimate_s=self._drain_estimate_s(),
        )

    def _drain_estimate_s(self) -> float | None:
        """Return seconds until nothing waits any more, as things are; None if never."""
        if not self._writer.is_connected:
            return None
        waiting = sum(len(lane) + lane.journaled for lane in self._buffers.lanes)
        rates = self._rates.rates(self._clock.monotonic_ns(), self._totals())
        return rates.drain_estimate_s(waiting + self._writer.in_flight)

    def metrics(self) -> ClientMetrics:
        """Return rates, latencies and how full the lanes are."""
        rates = self._rates.rates(self._clock.monotonic_ns(), self._totals())
        average_ms, p95_ms = self._latency.latencies_ms()
        return ClientMetrics(
            messages_per_second=rates.messages_per_second,
            bytes_per_second=rates.bytes_per_second,
            avg_latency_ms=average_ms,
            p95_latency_ms=p95_ms,
            buffer_utilization=fullest(self._buffers.lanes),
            memory_usage_mb=waiting_mb(self.statistics()),
            error_rate=rates.error_rate,
            connected=self._writer.is_connected,
            journal_depth=sum(lane.journaled for lane in self._buffers.lanes),
            drain_estimate_seconds=self._drain_estimate_s(),
        )

    def health(self, status: HealthState) -> ClientHealth:
        """Return how the client is in a few figures, `status` among them."""
        now_ns = self._clock.monotonic_ns()
        until_ns = now_ns if self._stopped_ns is None else self._stopped_ns
        begin_ns = until_ns if self._started_ns is None else self._started_ns
        return ClientHealth(
            status=status.value,
            connected=self._writer.is_connected,
            buffer_utilization=fullest(self._buffers.lanes),
            worker_count=int(self._writer.is_alive),
            error_rate=self._rates.rates(now_ns, self._totals()).error_rate,
            uptime_seconds=(until_ns - begin_ns) / NS_PER_S,
        )

    def _totals(self) -> Totals:
        lanes = self._buffers.lanes
        return Totals(
            delivered=sum(lane.acknowledged for lane in lanes),
            lost=sum(lane.lost for lane in lanes),
            bytes_sent=self._writer.bytes_sent,
            published=sum(lane.published for lane in lanes),
        )
