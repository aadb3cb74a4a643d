"""Says in the node's log when the health of the bus changes."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthFinding
from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthReport
from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthState
from nautilus_enhanced.live.inspection import report_health


if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from nautilus_enhanced.adapters.registry import AdapterRegistry
    from nautilus_enhanced.infrastructure.messagebus.client import BufferedMessageBusClient
    from nautilus_enhanced.infrastructure.messagebus.streams.manager.trimmer import StreamTrimmer
    from nautilus_enhanced.live.dispatcher import PriorityDispatcher
    from nautilus_enhanced.live.ingress import NodeIngress


def worth_saying(before: HealthReport, now: HealthReport) -> tuple[HealthFinding, ...]:
    """
    Return the findings of `now` that should be logged, given the last report.

    Numbers in a reason change all the time; what counts is whether a finding of that remedy and
    state is new.
    """
    known = {(finding.state, finding.remedy) for finding in before.findings}
    return tuple(f for f in now.findings if (f.state, f.remedy) not in known)


class NodeMonitor:
    """
    Look at the bus's health in intervals and log its changes.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The node's event loop.
    log : Logger
        The node's logger.
    is_over : Callable[[], bool]
        Tells that the node was disposed: a loop that lives on must not keep it.
    client : BufferedMessageBusClient, optional
        The publisher, if there is one.
    dispatcher : PriorityDispatcher, optional
        The dispatcher, if there is one.
    ingress : NodeIngress, optional
        What reads the external streams, if ours do.
    registry : AdapterRegistry, optional
        That of the adapters' clients, if there is one.
    interval_s : float
        Seconds between looks.
    trimmer : StreamTrimmer, optional
        What trims the node's streams, if anything does.
    """

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        log: Any,
        is_over: Callable[[], bool],
        client: BufferedMessageBusClient | None,
        dispatcher: PriorityDispatcher | None,
        interval_s: float,
        ingress: NodeIngress | None = None,
        trimmer: StreamTrimmer | None = None,
        registry: AdapterRegistry | None = None,
    ) -> None:
        self._loop = loop
        self._log = log
        self._is_over = is_over
        self._client = client
        self._dispatcher = dispatcher
        self._ingress = ingress
        self._interval_s = interval_s
        self._trimmer = trimmer
        self._registry = registry
        self._last = HealthReport(component="bus")
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look from now on: at once, so that a server that is down is told at the start."""
        self._look_in(0.0)

    def stop(self) -> None:
        """Look no more; calling it twice is harmless."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def report(self) -> HealthReport:
        """Return how publisher, dispatcher, ingress, trimmer and adapters are, together."""
        return report_health(
            self._dispatcher, self._client, self._ingress, self._trimmer, self._registry
        )

    def _look(self) -> None:
        if self._is_over():
            self.stop()
            return
        report = self.report()
        for finding in worth_saying(self._last, report):
            message = f"{finding.state.value}: {finding.reason} - {finding.remedy}"
            if finding.state is HealthState.UNHEALTHY:
                self._log.error(message)
            else:
                self._log.warning(message)
        if self._last.findings and not report.findings:
            self._log.info("healthy again")
        self._last = report
        self._look_in(self._interval_s)

    def _look_in(self, delay_s: float) -> None:
        self._timer = self._loop.call_later(delay_s, self._look)
