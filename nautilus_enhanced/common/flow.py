"""
What a strategy can know about the market data that has not reached it yet.

Under a backlog an order event reaches a strategy before older quotes do, so that its last quote
may be older than it looks. These two functions say by how much.
"""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING
from typing import Any


if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_enhanced.live.dispatcher import PriorityDispatcher


# A bus cannot be referred to weakly, so it is known by its identity. Its kernel holds it, and
# takes the entry along when it goes.
_DISPATCHERS: weakref.WeakValueDictionary[int, PriorityDispatcher] = weakref.WeakValueDictionary()


def connect_flow(kernel: Any, dispatcher: PriorityDispatcher) -> None:
    """Let the components on a kernel's bus ask about its dispatcher."""
    key = id(kernel.msgbus)
    _DISPATCHERS[key] = dispatcher
    weakref.finalize(kernel, _DISPATCHERS.pop, key, None)


def dispatcher_of(component: Any) -> PriorityDispatcher | None:
    """Return the dispatcher of a component's node, or None where the engines are stock."""
    return _DISPATCHERS.get(id(component.msgbus))


def data_backlog(component: Any) -> int | None:
    """
    Return how many messages of market data wait to be handled.

    Those that a rule demotes are among them, and so are requests and subscriptions; commands and
    events of orders are not, wherever they wait.

    Parameters
    ----------
    component : Actor, Strategy or any other component with a `msgbus`
        Who asks; usually ``self``.

    Returns
    -------
    int or None
        None on a node whose engines are stock.
    """
    dispatcher = dispatcher_of(component)
    return None if dispatcher is None else dispatcher.data_backlog


def data_age_ms(component: Any, time_ns: Callable[[], int] = time.time_ns) -> float | None:
    """
    Return how long ago the market data was received that is handled next.

    What a rule demotes counts if nothing else waits.

    Parameters
    ----------
    component : Actor, Strategy or any other component with a `msgbus`
        Who asks; usually ``self``.
    time_ns : Callable[[], int], optional
        The clock that the data's ``ts_init`` was taken from.

    Returns
    -------
    float or None
        Milliseconds since the oldest waiting message's ``ts_init``; 0.0 if nothing waits or it
        has no such time, None on a node whose engines are stock.
    """
    dispatcher = dispatcher_of(component)
    if dispatcher is None:
        return None
    received_ns = getattr(dispatcher.oldest_data, "ts_init", 0)
    return max(0.0, (time_ns() - received_ns) / 1e6) if received_ns else 0.0
