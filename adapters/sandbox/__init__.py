"""
What the sandbox sends, which none of its client's methods sees.

Its orders go to a simulated exchange, whose matching engine sends events and account states to
the endpoints itself: so they are noted there, by the account that they name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any


if TYPE_CHECKING:
    from nautilus_enhanced.adapters.observer import ClientObserver
    from nautilus_enhanced.adapters.registry import AdapterRegistry


def attach(client: Any, observer: ClientObserver, registry: AdapterRegistry) -> None:
    """
    Note what the exchange of a sandbox client sends.

    Parameters
    ----------
    client : SandboxExecutionClient
        The client.
    observer : ClientObserver
        Its observer.
    registry : AdapterRegistry
        The node's registry.
    """
    # The inner client's, which sends: in 1.221 the outer one has none.
    account_id = client._client.account_id  # noqa: SLF001 (nothing else leads to it)

    def sender_of(message: Any) -> ClientObserver | None:
        return observer if getattr(message, "account_id", None) == account_id else None

    for endpoint in ("ExecEngine.process", "Portfolio.update_account"):
        registry.tap(endpoint).show(sender_of)
