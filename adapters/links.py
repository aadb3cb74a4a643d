"""
How a client's connections are watched: by being told, or by asking four times a second.

Some adapters have a method that runs whenever a socket has come back: a wrapper around it, on
that one object, misses none. Others reconnect in Rust without a word, and can only be asked
whether a socket is up: what is lost and regained between two questions is missed.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING
from typing import Any
from typing import Final


if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from collections.abc import Iterator

    from nautilus_enhanced.adapters.observer import ClientObserver


POLL_INTERVAL_S: Final = 0.25


def hook_reconnects(
    client: Any, hooks: tuple[tuple[str, str], ...], observer: ClientObserver
) -> int:
    """
    Have the observer told when one of a client's sockets has come back.

    Parameters
    ----------
    client : LiveDataClient or LiveExecutionClient
        The client.
    hooks : tuple[tuple[str, str], ...]
        The attribute that has the socket's owner, or an empty string for the client itself, and
        the name of the owner's method. One that is not there, as in other versions, is left out.
    observer : ClientObserver
        The client's observer.

    Returns
    -------
    int
        How many were there.
    """
    hooked = 0
    for attribute, method in hooks:
        owner = getattr(client, attribute, None) if attribute else client
        original = getattr(owner, method, None)
        if original is not None:
            # On the instance: it is looked up by name when the socket is made, or comes back.
            setattr(owner, method, _told(original, observer))
            hooked += 1
    return hooked


def _told(original: Callable[..., Any], observer: ClientObserver) -> Callable[..., Any]:
    @functools.wraps(original)
    def on_reconnect(*args: Any, **kwargs: Any) -> Any:
        try:
            observer.connection.note_reconnect()
        except Exception as error:  # noqa: BLE001 (never the adapter's)
            observer.fail(error)
        return original(*args, **kwargs)

    return on_reconnect


def sockets_of(client: Any, names: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """
    Yield the sockets that a client has now, by the names of its attributes.

    Parameters
    ----------
    client : LiveDataClient or LiveExecutionClient
        The client.
    names : tuple[str, ...]
        Attributes that hold a socket, a dictionary of them, or nothing yet.
    """
    for name in names:
        value = getattr(client, name, None)
        if isinstance(value, dict):
            yield from ((f"{name}[{key}]", socket) for key, socket in list(value.items()))
        elif value is not None:
            yield name, value


def is_up(socket: Any) -> bool | None:
    """Return whether a socket is up; None if it does not say."""
    is_active = getattr(socket, "is_active", None)
    if is_active is None:
        return None
    # The socket that Python adapters share is active while it reconnects; those that venues have
    # on the Rust side are not, and have no other question. dYdX's `is_connected` is always true.
    is_reconnecting = getattr(socket, "is_reconnecting", None)
    return bool(is_active()) and not (is_reconnecting is not None and is_reconnecting())


class LinkWatch:
    """
    Ask the sockets of one client whether they are up.

    Parameters
    ----------
    client : LiveDataClient or LiveExecutionClient
        The client.
    names : tuple[str, ...]
        The attributes that hold its sockets; none where it tells by itself.
    observer : ClientObserver
        The client's observer.
    """

    def __init__(self, client: Any, names: tuple[str, ...], observer: ClientObserver) -> None:
        self._client = client
        self._names = names
        self._observer = observer
        # One that has not been up yet is being connected, and not lost.
        self._seen: set[str] = set()

    def ask(self) -> None:
        """Ask all of them, and note what has changed, and how many messages there were."""
        tracker = self._observer.connection
        self._observer.meter.note()
        if not tracker.is_connected:
            self._seen.clear()
            return
        try:
            for name, socket in sockets_of(self._client, self._names):
                up = is_up(socket)
                if up:
                    self._seen.add(name)
                    tracker.note_regained(name)
                elif up is not None and name in self._seen:
                    tracker.note_lost(name)
        except Exception as error:  # noqa: BLE001 (never the adapter's)
            self._observer.fail(error)


class LinkPoll:
    """
    Ask the sockets of all clients of a node, four times a second while the node lives.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The node's event loop.
    is_over : Callable[[], bool]
        Tells that the node was disposed.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, is_over: Callable[[], bool]) -> None:
        self._loop = loop
        self._is_over = is_over
        self._watches: list[LinkWatch] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, watch: LinkWatch) -> None:
        """Ask these, too."""
        self._watches.append(watch)
        if self._timer is None and not self._loop.is_closed():
            self._timer = self._loop.call_later(POLL_INTERVAL_S, self._ask)

    def _ask(self) -> None:
        self._timer = None
        if self._is_over():
            self._watches.clear()
            return
        for watch in self._watches:
            watch.ask()
        self._timer = self._loop.call_later(POLL_INTERVAL_S, self._ask)
