"""The thread that writes single entries: requests, replies, and what is remembered of them."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.connection.connection import ServerConnection
from nautilus_enhanced.infrastructure.messagebus.errors import BufferFullError
from nautilus_enhanced.infrastructure.messagebus.streams.commands import succeeded
from nautilus_enhanced.infrastructure.messagebus.streams.worker import ConnectedThread


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

    from nautilus_enhanced.infrastructure.messagebus.connection.backoff import Backoff
    from nautilus_enhanced.infrastructure.messagebus.connection.connector import BusConnection
    from nautilus_enhanced.infrastructure.messagebus.contracts import Clock
    from nautilus_enhanced.infrastructure.messagebus.streams.registry import Query
    from nautilus_enhanced.infrastructure.messagebus.streams.statistics import SubscriptionFigures


MAX_QUEUED: Final = 10_000
_AT_ONCE: Final = 256
# How long an answer to what was sent at once may lie unread, which nobody waits for.
_LOOK_S: Final = 0.1
_IDLE_S: Final = 1.0


class Sender(ConnectedThread):
    """
    Send commands in order, each at least once, as long as they are worth sending.

    Where nothing else waits, the caller writes them itself, as far as that goes without waiting:
    to wake a thread for it takes as long as the server takes to answer. The thread reads the
    answers, sends what could not be written, and after a broken connection all that has no answer.

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
        self._unanswered: deque[tuple[int, Sequence[Query]]] = deque()
        # What is left of commands that were written in part.
        self._rest = b""
        # Held while something is written, or what was written changes its place.
        self._writing = threading.Lock()
        self._bell = threading.Event()

    def send(self, queries: Sequence[Query], until_ns: int) -> None:
        """
        Have commands sent, from any thread, which does not wait for anything.

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
        if len(self._queue) + len(self._unanswered) >= MAX_QUEUED:
            raise BufferFullError(
                f"{MAX_QUEUED:,} requests or replies wait to be sent: "
                f"{self.figures.last_error or 'send fewer'}"
            )
        one = (until_ns, queries)
        if not self._write(one):
            self._queue.append(one)
            if not self._bell.is_set():
                self._bell.set()

    def _write(self, one: tuple[int, Sequence[Query]]) -> bool:
        """Write commands now if that is possible; return whether they were begun."""
        if self._queue or not self._writing.acquire(False):  # by name it takes three times as long
            return False
        try:
            connection = self.connection
            if self._rest or not self.is_connected or not isinstance(connection, ServerConnection):
                return False
            commands = b"".join(query for _, query in one[1])
            sent = connection.try_send(commands)
            if not sent:
                return False
            self._unanswered.append(one)
            self._rest = commands[sent:]
        finally:
            self._writing.release()
        if self._rest or len(self._unanswered) >= _AT_ONCE:
            self._bell.set()
        return True

    def is_idle(self) -> bool:
        """Return whether everything was sent and answered."""
        return not self._queue and not self._unanswered

    def ask_to_stop(self) -> None:
        """Let the current step be the last one."""
        super().ask_to_stop()
        self._bell.set()

    def connected(self, connection: BusConnection) -> None:
        """Have what was not answered sent again, before anything newer."""
        del connection
        with self._writing:
            self._rest = b""
            self._queue.extendleft(reversed(self._unanswered))
            self._unanswered.clear()

    def step(self, connection: BusConnection) -> None:
        """Send what waits, and read the answers."""
        if not self._queue:
            self._bell.wait(_LOOK_S if self._unanswered else _IDLE_S)
        # Clear first and look second: what is put in between rings again.
        self._bell.clear()
        self._send(connection)

    def ended(self, connection: BusConnection) -> None:
        """Send what is left."""
        while not self.is_idle():
            self._send(connection)

    def _send(self, connection: BusConnection) -> None:
        with self._writing:
            batch = self._take()
            if not isinstance(connection, ServerConnection):
                _check(connection.ask(batch))
                self._unanswered.clear()
                return
            commands = self._rest + b"".join(query for _, query in batch)
            if commands:
                connection.send(commands)
                self._rest = b""
            count = len(self._unanswered)
            answers = sum(len(self._unanswered[index][1]) for index in range(count))
        if answers:
            _check(connection.receive(answers))
        # Only now: what was sent on a connection that breaks is sent again, under its ID.
        for _ in range(count):
            self._unanswered.popleft()
        self.succeeded()

    def _take(self) -> list[Query]:
        """Move what waits to what is sent; return the commands of it that are worth sending."""
        now_ns = self._clock.monotonic_ns()
        batch: list[Query] = []
        for _ in range(min(len(self._queue), _AT_ONCE)):
            one = self._queue.popleft()
            if one[0] <= now_ns:
                self.figures.counts["expired"] += 1
                continue
            self._unanswered.append(one)
            batch.extend(one[1])
        return batch


def _check(answers: list[Any]) -> None:
    for answer in answers:
        succeeded(answer, "a request or reply cannot be sent")
