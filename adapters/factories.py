"""Gives the enhanced twin of a factory of clients."""

from __future__ import annotations

from typing import Any

from nautilus_trader.live.factories import LiveDataClientFactory
from nautilus_trader.live.factories import LiveExecClientFactory

from nautilus_enhanced.adapters.mixing import mix
from nautilus_enhanced.adapters.registry import registry_of
from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError


_MARK = "__nt_enhanced_factory__"


def enhance(factory: Any) -> Any:
    """
    Return the enhanced twin of a factory.

    It makes what the factory makes, and on an enhanced bus has it observed; on a stock bus it
    does nothing more. It is a subclass with the same ``__name__``, by which NautilusTrader
    tells some factories from others; its instances have the name, too, as it is asked of an
    execution client's factory that comes from a file.

    Parameters
    ----------
    factory : type[LiveDataClientFactory] or type[LiveExecClientFactory]
        NautilusTrader's or your own.

    Returns
    -------
    type[LiveDataClientFactory] or type[LiveExecClientFactory]
        For ``add_data_client_factory`` and ``add_exec_client_factory``.

    Raises
    ------
    ConfigurationError
        If it is no such class.
    """
    if not (
        isinstance(factory, type)
        and issubclass(factory, LiveDataClientFactory | LiveExecClientFactory)
    ):
        raise ConfigurationError(
            "factory",
            factory,
            "a subclass of LiveDataClientFactory or LiveExecClientFactory",
            "Give the class itself, not an instance or a client",
        )
    if _MARK in vars(factory):
        return factory

    def create(*args: Any, **kwargs: Any) -> Any:
        client = factory.create(*args, **kwargs)
        return mix(client, registry_of(getattr(client, "_msgbus", None)))

    name = factory.__name__
    return type(
        name,
        (factory,),
        {
            "__doc__": f"Make what `{name}` makes, observed where the bus is an enhanced one.",
            "__module__": __name__,
            # A class has its name apart from its attributes: this is the one of its instances.
            "__name__": name,
            "create": staticmethod(create),
            _MARK: True,
        },
    )
