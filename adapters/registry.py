"""The enhanced clients of one node, and where a bus has its own."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING
from typing import Any

from nautilus_enhanced.adapters.endpoints import EndpointTap
from nautilus_enhanced.adapters.findings import adapter_findings
from nautilus_enhanced.adapters.links import LinkPoll
from nautilus_enhanced.adapters.observer import ClientObserver


if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_enhanced.adapters.links import LinkWatch
    from nautilus_enhanced.adapters.statistics import AdapterStatistics
    from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthFinding


class AdapterRegistry:
    """
    Hold what is noted of the clients of one node.

    Parameters
    ----------
    kernel : NautilusKernel
        The node's kernel.
    report : Callable[[str], None]
        Says a sentence in the node's log, as a warning.
    """

    def __init__(self, kernel: Any, report: Callable[[str], None]) -> None:
        self._kernel = kernel
        self._report = report
        self._observers: list[ClientObserver] = []
        self._taps: dict[str, EndpointTap] = {}
        self._failures: list[str] = []
        self._links = LinkPoll(kernel.loop, lambda: kernel.trader.is_disposed)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._observers)} clients)"

    def make_observer(self, client: Any, side: str, stock: type) -> ClientObserver:
        """Return an observer for a client, not yet counted among the node's."""
        return ClientObserver(str(client.id), side, stock.__name__, self._report)

    def add(self, observer: ClientObserver, watch: LinkWatch) -> None:
        """Have an observer's figures among the node's, and its client watched."""
        self._observers.append(observer)
        self._links.add(watch)

    def fail(self, what: str, error: Exception) -> None:
        """Note that something could not be put in place; the client is as it was, or nearly."""
        sentence = f"{what}: {type(error).__name__}: {error}"
        self._failures.append(sentence)
        self._report(f"{sentence} - the client works as stock; report this as a bug")

    def tap(self, endpoint: str) -> EndpointTap:
        """
        Return the tap of an endpoint of the node's bus, put in place by the first who asks.

        Raises
        ------
        ValueError
            If the endpoint does not lead where a node's does.
        """
        found = self._taps.get(endpoint)
        if found is None:
            kernel = self._kernel
            handlers = {
                "DataEngine.process": kernel.data_engine.process,
                "ExecEngine.process": kernel.exec_engine.process,
                "Portfolio.update_account": kernel.portfolio.update_account,
            }
            found = EndpointTap(handlers[endpoint])
            found.install(kernel.msgbus, endpoint)
            self._taps[endpoint] = found
        return found

    def findings(self) -> tuple[HealthFinding, ...]:
        """Return what is not well with the node's clients."""
        conditions = (observer.condition() for observer in self._observers)
        return adapter_findings(conditions, self._failures)

    def statistics(self) -> tuple[AdapterStatistics, ...]:
        """Return the figures of each enhanced client, in the order they were built."""
        return tuple(observer.statistics() for observer in self._observers)


# A bus cannot be referred to weakly, so it is known by its identity; the kernel holds the
# registry, and takes the entry along when it goes.
_REGISTRIES: weakref.WeakValueDictionary[int, AdapterRegistry] = weakref.WeakValueDictionary()


def connect_adapters(kernel: Any, report: Callable[[str], None]) -> AdapterRegistry:
    """Give a kernel with an enhanced bus its registry, where factories will find it."""
    registry = AdapterRegistry(kernel, report)
    kernel._nt_enhanced_adapters = registry  # noqa: SLF001 (who holds it; the host has no such name)
    _REGISTRIES[id(kernel.msgbus)] = registry
    return registry


def registry_of(bus: Any) -> AdapterRegistry | None:
    """Return the registry of a bus, or None if it is a stock one."""
    return _REGISTRIES.get(id(bus))
