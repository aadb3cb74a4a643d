"""Sees what is sent to an endpoint of the bus past the clients' own methods."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any


if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_enhanced.adapters.observer import ClientObserver


class EndpointTap:
    """
    Pass on what an endpoint gets, and show it to whoever may be concerned.

    Only where nothing else sees the messages: it costs every message of the endpoint a call.

    Parameters
    ----------
    handler : Callable[[Any], None]
        Where the endpoint leads.
    """

    def __init__(self, handler: Callable[[Any], None]) -> None:
        self._handler = handler
        # Each tells for a message who has sent it, if it knows.
        self._senders: list[Callable[[Any], ClientObserver | None]] = []

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._handler!r})"

    def install(self, bus: Any, endpoint: str) -> None:
        """
        Take the handler's place at the endpoint.

        Raises
        ------
        ValueError
            If the endpoint leads elsewhere.
        """
        bus.deregister(endpoint, self._handler)
        bus.register(endpoint, self)

    def show(self, sender_of: Callable[[Any], ClientObserver | None]) -> None:
        """Have messages noted by the observer that `sender_of` returns for them."""
        self._senders.append(sender_of)

    def __call__(self, message: Any) -> None:
        """Note the message, and pass it on as it came."""
        for sender_of in self._senders:
            observer = None
            try:
                observer = sender_of(message)
                if observer is not None:
                    observer.note(message)
            except Exception as error:  # noqa: BLE001 (never the adapter's)
                if observer is not None:
                    observer.fail(error)
        self._handler(message)
