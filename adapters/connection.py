"""What becomes of the connections of one client, as far as the client lets on."""

from __future__ import annotations

import time
from collections import deque
from threading import Lock
from typing import TYPE_CHECKING
from typing import Final

from nautilus_enhanced.adapters.statistics import ConnectionStatistics


if TYPE_CHECKING:
    from collections.abc import Callable


RECENT_NS: Final = 600_000_000_000
_MAX_RECENT: Final = 100


class ConnectionTracker:
    """
    Note when a client's connections come and go.

    Any thread may note and read: reconnects are told from the network's threads.

    Parameters
    ----------
    monotonic_ns : Callable[[], int], optional
        The clock.
    """

    def __init__(self, monotonic_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._monotonic_ns = monotonic_ns
        self._lock = Lock()
        self._is_connected = False
        self._connects = 0
        self._disconnects = 0
        self._reconnects = 0
        self._recent: deque[int] = deque(maxlen=_MAX_RECENT)
        # The connections that are lost, and since when.
        self._down: dict[str, int] = {}

    def __repr__(self) -> str:
        state = "connected" if self._is_connected else "not connected"
        return f"{type(self).__name__}({state}, {self._reconnects} reconnects)"

    @property
    def is_connected(self) -> bool:
        """Return whether the client says that it is connected."""
        return self._is_connected

    def note_connected(self, *, connected: bool) -> None:
        """Note what the client says; some say the same twice."""
        with self._lock:
            if connected == self._is_connected:
                return
            self._is_connected = connected
            if connected:
                self._connects += 1
            else:
                self._disconnects += 1
                # What ends on purpose is not lost.
                self._down.clear()

    def note_lost(self, name: str) -> None:
        """Note that a connection of a connected client is gone."""
        with self._lock:
            if self._is_connected:
                self._down.setdefault(name, self._monotonic_ns())

    def note_regained(self, name: str) -> None:
        """Note that a connection is there; it counts if it was lost before."""
        with self._lock:
            if self._down.pop(name, None) is not None:
                self._count_reconnect()

    def note_reconnect(self) -> None:
        """Note that a connection was lost and is back."""
        with self._lock:
            self._count_reconnect()

    def _count_reconnect(self) -> None:
        self._reconnects += 1
        self._recent.append(self._monotonic_ns())

    def statistics(self) -> ConnectionStatistics:
        """Return every counter and gauge."""
        with self._lock:
            now_ns = self._monotonic_ns()
            down_ns = max((now_ns - since for since in self._down.values()), default=0)
            return ConnectionStatistics(
                connected=self._is_connected,
                connects=self._connects,
                disconnects=self._disconnects,
                reconnects=self._reconnects,
                reconnects_10min=sum(at > now_ns - RECENT_NS for at in self._recent),
                down=tuple(self._down),
                down_s=down_ns / 1e9,
            )
