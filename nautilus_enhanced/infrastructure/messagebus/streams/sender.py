"""The thread that writes single entries: requests, replies, and what is remembered of them."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.errors import BufferFullError
from nautilus_enhanced.infrastructure.messagebus.streams.commands import succeeded
from nautilus_enhanced.infrastructure.messagebus.streams.worker import ConnectedThread


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

    from nautilus_enhanced.infrastructure.messagebus.backoff import Backoff
    from nautilus_enhanced.infrastructure.messagebus.connector import BusConnection
    from nautilus_enhanced.infrastructure.messagebus.contracts import Clock
    from nautilus_enhanced.infrastructure.messagebus.streams.registry import Query
    from nautilus_enhanced.infrastructure.messagebus.streams.statistics import SubscriptionFigures


MAX_QUEUED: Final = 10_000
_AT_ONCE: Final = 256
_IDLE_S: Final = 1.0


class Sender(ConnectedThread):
    """
    Send commands in order, each at least once, as long as they are worth sending.

    Parameters
    ----------
    connect : Callable[[], BusConnection]
        Makes a connection, not yet opened.
    backoff : Backoff
        The pauses.
    figures : SubscriptionFigures
        The figures.
    clock : Clock
        The clock.
    """

    def __init__(
        self,
        connect: Callable[[], BusConnection],
        backoff: Backoff,
        figures: SubscriptionFigures,
        clock: Clock,
    ) -> None:
        super().__init__("nt-enhanced-sender", connect, backoff, figures)
        self._clock = clock
        self._queue: deque[tuple[int, Sequence[Query]]] = deque()
        self._bell = threading.Event()

    def send(self, queries: Sequence[Query], until_ns: int) -> None:
        """
        Have commands sent, from any thread.

        Parameters
        ----------
        queries : Sequence[tuple[bytes, bytes]]
            Commands, each with its key.
        until_ns : int
            When they are not worth sending any more, by the monotonic clock.

        Raises
        ------
        BufferFullError
            If 10,000 wait already.
        """
        if len(self._queue) >= MAX_QUEUED:
            raise BufferFullError(
                f"{MAX_QUEUED:,} requests or replies wait to be sent: "
                f"{self.figures.last_error or 'send fewer'}"
            )
        self._queue.append((until_ns, queries))
        if not self._bell.is_set():
            self._bell.set()

    def is_idle(self) -> bool:
        """Return whether nothing waits."""
        return not self._queue

    def ask_to_stop(self) -> None:
        """Let the current step be the last one."""
        super().ask_to_stop()
        self._bell.set()

    def step(self, connection: BusConnection) -> None:
        """Wait for something to send, and send it."""
        if not self._queue:
            self._bell.wait(_IDLE_S)
        # Clear first and look second: what is put in between rings again.
        self._bell.clear()
        self._send(connection)

    def ended(self, connection: BusConnection) -> None:
        """Send what is left."""
        while self._queue:
            self._send(connection)

    def _send(self, connection: BusConnection) -> None:
        queue = self._queue
        now_ns = self._clock.monotonic_ns()
        batch: list[Query] = []
        count = min(len(queue), _AT_ONCE)
        for index in range(count):
            until_ns, queries = queue[index]
            if until_ns > now_ns:
                batch.extend(queries)
            else:
                self.figures.counts["expired"] += 1
        if batch:
            for answer in connection.ask(batch):
                succeeded(answer, "a request or reply cannot be sent")
        # Only now: what was sent on a connection that breaks is sent again, under its ID.
        for _ in range(count):
            queue.popleft()
        self.succeeded()
