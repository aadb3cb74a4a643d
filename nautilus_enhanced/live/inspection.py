"""How a node is: its figures and its health, from any thread, at any time."""

from __future__ import annotations

from typing import Any
from typing import NamedTuple

from nautilus_enhanced.adapters.registry import AdapterRegistry
from nautilus_enhanced.adapters.registry import registry_of
from nautilus_enhanced.adapters.statistics import AdapterStatistics
from nautilus_enhanced.common.flow import dispatcher_of
from nautilus_enhanced.infrastructure.messagebus.client import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthFinding
from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthReport
from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthState
from nautilus_enhanced.infrastructure.messagebus.monitoring.statistics import ClientStatistics
from nautilus_enhanced.infrastructure.messagebus.monitoring.statistics import Statistics
from nautilus_enhanced.infrastructure.messagebus.streams.manager.trimmer import StreamTrimmer
from nautilus_enhanced.infrastructure.messagebus.streams.manager.trimmer import TrimmerStatistics
from nautilus_enhanced.live.dispatcher import PriorityDispatcher
from nautilus_enhanced.live.ingress import IngressStatistics
from nautilus_enhanced.live.ingress import NodeIngress
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
    ingress : IngressStatistics or None
        Those of the external streams; None where there are none, or the stock reader reads them.
    trimming : TrimmerStatistics or None
        Those of what trims the node's streams; None without `streams.trimming`.
    adapters : tuple[AdapterStatistics, ...]
        Those of each enhanced client of an adapter, in the order that they were built.
    """

    dispatcher: DispatcherStatistics | None
    publisher: ClientStatistics | None
    ingress: IngressStatistics | None
    trimming: TrimmerStatistics | None
    adapters: tuple[AdapterStatistics, ...] = ()


def statistics(node: Any) -> NodeStatistics:
    """
    Return the figures of a node.

    Parameters
    ----------
    node : TradingNode or NautilusKernel
        The node, or its kernel.
    """
    parts = _parts(node)
    return NodeStatistics(
        dispatcher=None if parts.dispatcher is None else parts.dispatcher.statistics(),
        publisher=None if parts.client is None else parts.client.statistics(),
        ingress=None if parts.ingress is None else parts.ingress.statistics(),
        trimming=None if parts.trimmer is None else parts.trimmer.statistics(),
        adapters=() if parts.registry is None else parts.registry.statistics(),
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
    ingress: NodeIngress | None = None,
    trimmer: StreamTrimmer | None = None,
    registry: AdapterRegistry | None = None,
) -> HealthReport:
    """Return how dispatcher, publisher, ingress, trimmer and adapters are, together."""
    report = HealthReport(component="bus")
    if client is not None:
        report = report.merged(client.health())
    if dispatcher is not None:
        findings = dispatcher_findings(dispatcher.statistics())
        report = report.merged(HealthReport(component="dispatcher", findings=findings))
    for part in (ingress, trimmer):
        if part is not None:
            report = report.merged(part.health())
    if registry is not None:
        report = report.merged(HealthReport(component="adapters", findings=registry.findings()))
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


class _Parts(NamedTuple):
    """What of a node says how it is."""

    dispatcher: PriorityDispatcher | None
    client: BufferedMessageBusClient | None
    ingress: NodeIngress | None
    trimmer: StreamTrimmer | None
    registry: AdapterRegistry | None


def _parts(node: Any) -> _Parts:
    kernel = getattr(node, "kernel", node)
    # The stock backing, and ours for streams without a server, have none of them.
    backing = kernel.msgbus_database
    return _Parts(
        dispatcher_of(kernel),
        getattr(backing, "client", None),
        getattr(backing, "ingress", None),
        getattr(backing, "trimmer", None),
        registry_of(kernel.msgbus),
    )
