"""How a node is: its figures and its health, from any thread, at any time."""

from __future__ import annotations

from typing import Any

from nautilus_enhanced.common.flow import dispatcher_of
from nautilus_enhanced.infrastructure.messagebus.client import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus.health import HealthFinding
from nautilus_enhanced.infrastructure.messagebus.health import HealthReport
from nautilus_enhanced.infrastructure.messagebus.health import HealthState
from nautilus_enhanced.infrastructure.messagebus.statistics import ClientStatistics
from nautilus_enhanced.infrastructure.messagebus.statistics import Statistics
from nautilus_enhanced.infrastructure.messagebus.streams.trimmer import StreamTrimmer
from nautilus_enhanced.infrastructure.messagebus.streams.trimmer import TrimmerStatistics
from nautilus_enhanced.live.dispatcher import PriorityDispatcher
from nautilus_enhanced.live.statistics import DispatcherStatistics


class NodeStatistics(Statistics, frozen=True, kw_only=True):
    """
    Figures of a node.

    Attributes
    ----------
    dispatcher : DispatcherStatistics or None
        Those of the lanes and of each engine's queues; None where the engines are stock.
    publisher : ClientStatistics or None
        Those of the lanes to the server and of the writer; None where the publisher is stock.
    trimming : TrimmerStatistics or None
        Those of what trims the node's streams; None without `streams.trimming`.
    """

    dispatcher: DispatcherStatistics | None
    publisher: ClientStatistics | None
    trimming: TrimmerStatistics | None = None


def statistics(node: Any) -> NodeStatistics:
    """
    Return the figures of a node.

    Parameters
    ----------
    node : TradingNode or NautilusKernel
        The node, or its kernel.
    """
    dispatcher, client, trimmer = _parts(node)
    return NodeStatistics(
        dispatcher=None if dispatcher is None else dispatcher.statistics(),
        publisher=None if client is None else client.statistics(),
        trimming=None if trimmer is None else trimmer.statistics(),
    )


def health(node: Any) -> HealthReport:
    """
    Return how a node's bus is, why, and what to do about it; the node logs changes of this.

    Parameters
    ----------
    node : TradingNode or NautilusKernel
        The node, or its kernel. One that is stock has no findings.
    """
    return report_health(*_parts(node))


def report_health(
    dispatcher: PriorityDispatcher | None,
    client: BufferedMessageBusClient | None,
    trimmer: StreamTrimmer | None = None,
) -> HealthReport:
    """Return how dispatcher, publisher and trimmer are, together."""
    report = HealthReport(component="bus")
    if client is not None:
        report = report.merged(client.health())
    if dispatcher is not None:
        findings = dispatcher_findings(dispatcher.statistics())
        report = report.merged(HealthReport(component="dispatcher", findings=findings))
    if trimmer is not None:
        report = report.merged(trimmer.health())
    return report


def dispatcher_findings(figures: DispatcherStatistics) -> tuple[HealthFinding, ...]:
    """Return what is not well with a dispatcher, given its figures."""
    findings = []
    for queue in figures.queues:
        name = f"{queue.engine}.{queue.queue}"
        if queue.refused:
            findings.append(
                HealthFinding(
                    state=HealthState.UNHEALTHY,
                    reason=f"{name} refused {queue.refused:,} messages at its hard limit",
                    remedy="make handlers faster, subscribe to less, or raise `qsize`",
                )
            )
        if queue.queued > queue.capacity:
            findings.append(
                HealthFinding(
                    state=HealthState.DEGRADED,
                    reason=f"{name} is over its capacity of {queue.capacity:,} messages",
                    remedy="make handlers faster, subscribe to less, or raise `qsize`",
                )
            )
    return tuple(findings)


def _parts(
    node: Any,
) -> tuple[PriorityDispatcher | None, BufferedMessageBusClient | None, StreamTrimmer | None]:
    kernel = getattr(node, "kernel", node)
    # The stock backing, and ours for streams without a server, have no client.
    backing = kernel.msgbus_database
    client, trimmer = getattr(backing, "client", None), getattr(backing, "trimmer", None)
    return dispatcher_of(kernel), client, trimmer
