"""Puts a mixin under a client that was built, by giving it a class that has both."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING
from typing import Any

from nautilus_trader.data.client import DataClient
from nautilus_trader.execution.client import ExecutionClient

from nautilus_enhanced.adapters.links import LinkWatch
from nautilus_enhanced.adapters.links import hook_reconnects
from nautilus_enhanced.adapters.mixins import DataClientMixin
from nautilus_enhanced.adapters.mixins import ExecutionClientMixin
from nautilus_enhanced.adapters.table import adapter_of


if TYPE_CHECKING:
    from nautilus_enhanced.adapters.observer import ClientObserver
    from nautilus_enhanced.adapters.registry import AdapterRegistry
    from nautilus_enhanced.adapters.table import Adapter


_SIDES = (
    ("data", DataClient, DataClientMixin),
    ("execution", ExecutionClient, ExecutionClientMixin),
)


@lru_cache(maxsize=256)
def mixed_class(stock: type) -> type:
    """
    Return the enhanced twin of a client's class.

    Parameters
    ----------
    stock : type
        A data client's class, or an execution client's.

    Raises
    ------
    TypeError
        If it is neither.
    """
    for _, kind, mixin in _SIDES:
        if issubclass(stock, kind):
            name = f"Enhanced{stock.__name__}"
            return type(name, (mixin, stock), {"__module__": stock.__module__})
    raise TypeError(f"{stock.__name__} is no data client and no execution client")


def mix(client: Any, registry: AdapterRegistry | None) -> Any:
    """
    Have a client observed, if its bus is an enhanced one.

    Parameters
    ----------
    client : DataClient or ExecutionClient
        The client as its factory made it. It keeps its identity and its state.
    registry : AdapterRegistry or None
        The registry of the client's bus; None leaves the client as it is.

    Returns
    -------
    DataClient or ExecutionClient
        The same client. What could not be put in place is noted in the registry, and never
        raised: a client that trades is worth more than its figures.
    """
    if registry is None or isinstance(client, DataClientMixin | ExecutionClientMixin):
        return client
    stock = type(client)
    try:
        observer = _observe(client, stock, registry)
    except Exception as error:  # noqa: BLE001 (the user's client may be of any make)
        registry.fail(f"{stock.__name__} could not be enhanced", error)
        return client
    adapter = adapter_of(stock)
    sockets = () if adapter is None else adapter.sockets
    registry.add(observer, LinkWatch(client, sockets, observer))
    if adapter is not None:
        try:
            _attach(client, adapter, observer, registry)
        except Exception as error:  # noqa: BLE001 (of any version)
            registry.fail(f"{stock.__name__} is enhanced only in part", error)
    return client


def _observe(client: Any, stock: type, registry: AdapterRegistry) -> ClientObserver:
    mixed = mixed_class(stock)
    side = "data" if issubclass(mixed, DataClientMixin) else "execution"
    observer = registry.make_observer(client, side, stock)
    client.__class__ = mixed
    client.observe_with(observer)
    return observer


def _attach(
    client: Any, adapter: Adapter, observer: ClientObserver, registry: AdapterRegistry
) -> None:
    """Watch the client's connections, and what goes past its methods."""
    hook_reconnects(client, adapter.hooks, observer)
    if adapter.attach:
        import_module(adapter.attach).attach(client, observer, registry)
