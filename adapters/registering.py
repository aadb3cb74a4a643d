"""
The seam of the option `adapters`: clients pass by here on their way from a factory to an engine.

The node's builder gives each client that a factory made to the engine's ``register_client``. On
the engine itself, and on no class, that method is replaced by one that has the client observed
first. So it does not matter whether the factory is a class, comes from a file, or is the user's
own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from nautilus_enhanced.adapters.mixing import mix


if TYPE_CHECKING:
    from nautilus_enhanced.adapters.registry import AdapterRegistry


def watch_registrations(engine: Any, registry: AdapterRegistry) -> None:
    """
    Have every client observed that is registered with an engine from now on.

    Parameters
    ----------
    engine : LiveDataEngine or LiveExecutionEngine
        The engine.
    registry : AdapterRegistry
        The registry of its node.
    """
    register = engine.register_client

    def register_client(client: Any) -> None:
        register(mix(client, registry))

    engine.register_client = register_client
