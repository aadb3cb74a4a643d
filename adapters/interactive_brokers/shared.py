"""
What Interactive Brokers' clients send, which none of their own methods sees.

Data and execution client share one ``InteractiveBrokersClient``, which has the socket: market data
goes from it to the data engine by itself, it alone knows when the connection is lost, and all
messages of TWS wait in its queue, order events behind market data. And the execution client sends
instruments that it has looked up to the data engine's endpoint.
"""

from __future__ import annotations

import functools
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING
from typing import Any
from typing import Protocol

from nautilus_trader.model.instruments import Instrument

from nautilus_enhanced.adapters.connection import ConnectionTracker
from nautilus_enhanced.adapters.findings import Inbox
from nautilus_enhanced.adapters.meter import SAMPLE_MASK


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping

    from nautilus_enhanced.adapters.observer import ClientObserver
    from nautilus_enhanced.adapters.registry import AdapterRegistry


# Who is at work when an instrument is sent: a task, and what it calls, has its own.
_SENDER: ContextVar[ClientObserver | None] = ContextVar("sender", default=None)
# The methods of the execution client that send instruments.
_SENDING = ("generate_position_status_reports", "_handle_position_update")
_SOCKET = "_client"
# Of the shared client: messages that were read, and what is to be done with them; who does it.
_QUEUES = ("_internal_msg_queue", "_msg_handler_task_queue")
_HANDLER = "_internal_msg_queue_processor_task"
_IS_CONNECTED = "_is_ib_connected"


class SharedClientHost(Protocol):
    """What `SharedClientMixin` needs of the client it is mixed into."""

    async def _handle_data(self, data: Any) -> None:
        """Hand live data to the data engine."""

    def _degrade(self) -> None:
        """Note that the connection is lost."""

    def _resume(self) -> None:
        """Subscribe again, after the connection has come back."""


class SharedClientMixin:
    """Note the market data of the shared client, and whether its connection is lost."""

    _nt_data: ClientObserver | None = None
    # By their sides: the shared client outlives a node, whose successor takes the places.
    _nt_sides: Mapping[str, ClientObserver] = MappingProxyType({})

    def observe_with(self, observer: ClientObserver) -> None:
        """Note from now on what concerns this client's side."""
        self._nt_sides = {**self._nt_sides, observer.side: observer}
        self._nt_data = self._nt_sides.get("data")

    async def _handle_data(self, data: Any) -> None:
        observer = self._nt_data
        if observer is not None:
            try:
                if not next(observer.meter.counts[type(data)]) & SAMPLE_MASK:
                    observer.meter.sample(data)
            except Exception as error:  # noqa: BLE001 (never the adapter's)
                observer.fail(error)
        await super()._handle_data(data)  # type: ignore[misc]  # SharedClientHost has it

    def _degrade(self) -> None:
        self._note(ConnectionTracker.note_lost)
        super()._degrade()  # type: ignore[misc]  # SharedClientHost has it

    def _resume(self) -> None:
        self._note(ConnectionTracker.note_regained)
        super()._resume()  # type: ignore[misc]  # SharedClientHost has it

    def _note(self, note: Callable[[ConnectionTracker, str], None]) -> None:
        for observer in self._nt_sides.values():
            try:
                note(observer.connection, _SOCKET)
            except Exception as error:  # noqa: BLE001 (never the adapter's)
                observer.fail(error)


def attach(client: Any, observer: ClientObserver, registry: AdapterRegistry) -> None:
    """
    Note what goes past the methods of one of the two clients.

    Parameters
    ----------
    client : InteractiveBrokersDataClient or InteractiveBrokersExecutionClient
        The client.
    observer : ClientObserver
        Its observer.
    registry : AdapterRegistry
        The node's registry.
    """
    share(client._client, observer)  # noqa: SLF001 (the shared client, which nothing else leads to)
    if observer.side == "execution":
        registry.tap("DataEngine.process").show(_sender_of)
        for name in _SENDING:
            method = getattr(client, name, None)
            if method is not None:
                setattr(client, name, _sending(method, observer))


def share(shared: Any, observer: ClientObserver) -> None:
    """Have a shared client tell an observer what concerns its side."""
    if not isinstance(shared, SharedClientMixin):
        stock = type(shared)
        mixed = type(f"Enhanced{stock.__name__}", (SharedClientMixin, stock), {})
        shared.__class__ = mixed
    shared.observe_with(observer)
    if all(hasattr(shared, name) for name in (*_QUEUES, _HANDLER, _IS_CONNECTED)):
        observer.inbox = functools.partial(inbox_of, shared)


def inbox_of(shared: Any) -> Inbox:
    """
    Return what waits inside of a shared client.

    Its messages are handled by one task, which an error ends while the socket stays open.
    """
    handler, connected = getattr(shared, _HANDLER), getattr(shared, _IS_CONNECTED).is_set()
    return Inbox(
        waiting=sum(getattr(shared, name).qsize() for name in _QUEUES),
        is_read=not (connected and handler is not None and handler.done()),
    )


def _sender_of(message: Any) -> ClientObserver | None:
    return _SENDER.get() if isinstance(message, Instrument) else None


def _sending(method: Callable[..., Any], observer: ClientObserver) -> Callable[..., Any]:
    @functools.wraps(method)
    async def send(*args: Any, **kwargs: Any) -> Any:
        token = _SENDER.set(observer)
        try:
            return await method(*args, **kwargs)
        finally:
            _SENDER.reset(token)

    return send
