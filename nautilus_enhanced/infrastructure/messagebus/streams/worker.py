"""A thread with a connection of its own, which does one step after the other."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.errors import ServerError


if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_enhanced.infrastructure.messagebus.connection.backoff import Backoff
    from nautilus_enhanced.infrastructure.messagebus.connection.connector import BusConnection
    from nautilus_enhanced.infrastructure.messagebus.streams.statistics import SubscriptionFigures


logger = logging.getLogger(__name__)

# How long ending waits for the thread after its connection was cut.
_ABORT_S: Final = 1.0
# A connection that has lived so long was no part of the trouble before it.
_TRUST_S: Final = 1.0


class ConnectedThread:
    """
    Keep a connection and take steps on it, until stopped.

    An error of the server, or of ours, costs the connection: what is not known to have happened is
    looked at again on the next one, after a pause that grows.

    Parameters
    ----------
    name : str
        The name of the thread.
    connect : Callable[[], BusConnection]
        Makes a connection, not yet opened.
    backoff : Backoff
        The pauses.
    figures : SubscriptionFigures
        The figures.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], BusConnection],
        backoff: Backoff,
        figures: SubscriptionFigures,
    ) -> None:
        self._connect = connect
        self._backoff = backoff
        self.figures = figures
        self.connection: BusConnection | None = None
        self.is_connected = False
        self._trusted_at = 0.0
        self.stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __repr__(self) -> str:
        state = "connected" if self.is_connected else "not connected"
        return f"{type(self).__name__}({self._thread.name}, {state})"

    def connected(self, connection: BusConnection) -> None:
        """Do what a new connection asks for."""

    def step(self, connection: BusConnection) -> None:
        """Do one step, which may wait for the server for a while."""
        raise NotImplementedError

    def ended(self, connection: BusConnection) -> None:
        """Do what is to be done last, on a connection that works."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def client_id(self) -> int:
        """Return the number that the server knows the connection by; 0 if there is none."""
        connection = self.connection
        return getattr(connection, "client_id", None) or 0

    def ask_to_stop(self) -> None:
        """Let the current step be the last one."""
        self.stopping.set()

    def stop(self, timeout_s: float) -> None:
        """Stop within `timeout_s` seconds, cutting the connection when they are over."""
        self.ask_to_stop()
        if not self._thread.is_alive():
            return
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            connection = self.connection
            if connection is not None:
                connection.shutdown()
            self._thread.join(_ABORT_S)

    def succeeded(self) -> None:
        """Note that the server does what it is asked: after a while the next pause is short."""
        if time.monotonic() >= self._trusted_at:
            self._backoff.succeeded()

    def _run(self) -> None:
        connects = 0
        try:
            while not self.stopping.is_set():
                try:
                    if not self.is_connected:
                        self.connection = self._connect()
                        self.connection.open()
                        self.connected(self.connection)
                        self.is_connected = True
                        self._trusted_at = time.monotonic() + _TRUST_S
                        connects += 1
                        self.figures.counts["reconnects"] += connects > 1
                    assert self.connection is not None  # noqa: S101 (it was just made)
                    self.step(self.connection)
                except ServerError as error:
                    self._failed(str(error))
                except Exception as error:
                    # A mistake of ours: reading goes on, and whoever looks is told.
                    logger.exception("%s failed", self._thread.name)
                    self._failed(f"{type(error).__name__}: {error}")
            if self.is_connected and self.connection is not None:
                try:
                    self.ended(self.connection)
                except ServerError as error:
                    self.figures.last_error = str(error)
        finally:
            self._drop()

    def _failed(self, reason: str) -> None:
        self.figures.last_error = reason
        self._drop()
        self.stopping.wait(self._backoff.failed())

    def _drop(self) -> None:
        connection, self.connection = self.connection, None
        self.is_connected = False
        if connection is not None:
            connection.close()
