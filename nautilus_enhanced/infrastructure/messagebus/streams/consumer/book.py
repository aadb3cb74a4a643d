"""
What was read and is not yet handled: what may be handled next, what again, and what never.

Without I/O and without a clock. One thread, or one event loop, uses a book at a time.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop
from heapq import heappush
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Collection

    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.read_stream import ReadStream


class Delivery:
    """
    An entry on its way to the handler.

    Attributes
    ----------
    topic : str
        The topic.
    payload : bytes
        The payload.
    source : ReadStream
        The stream that it was read from.
    raw_id : bytes
        Its ID, as the server writes it.
    fields : list[bytes]
        All names and values.
    attempts : int
        How often it was given to a handler of the group, by this process or another one.
    """

    __slots__ = ("attempts", "fields", "payload", "raw_id", "source", "topic")

    def __init__(  # noqa: PLR0917 (one for each message: names would cost as much as the rest)
        self,
        topic: str,
        payload: bytes,
        source: ReadStream,
        raw_id: bytes,
        fields: list[bytes],
        attempts: int = 0,
    ) -> None:
        self.topic = topic
        self.payload = payload
        self.source = source
        self.raw_id = raw_id
        self.fields = fields
        self.attempts = attempts

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.topic!r}, {self.raw_id!r}, attempts={self.attempts})"

    @property
    def published_ms(self) -> int:
        """Return when it was published, in milliseconds since the UNIX epoch."""
        return int(self.raw_id.partition(b"-")[0])


class DeliveryBook:
    """
    Give out deliveries: of one topic one after the other, unless order is not asked for.

    A delivery is in hand from `add` until `done`. One that has failed
    waits until its pause is over, and its topic with it.

    Parameters
    ----------
    pause_s : Callable[[int], float or None]
        Seconds to pause after so many attempts; None to give up.
    ordered : bool, default True
        If a topic's deliveries wait for one another.
    """

    def __init__(self, pause_s: Callable[[int], float | None], *, ordered: bool = True) -> None:
        self._pause_s = pause_s
        self._ordered = ordered
        self._ready: deque[Delivery] = deque()
        # The topics of which one is with a handler, pauses or is next, and who waits for it. An
        # empty tuple stands for nobody: most often nobody does.
        self._busy: dict[str, deque[Delivery] | tuple[()]] = {}
        # Those that are next of their topics, which stay busy for them. The others stay where they
        # are: to move a long queue for each message costs more the longer it is.
        self._next: deque[Delivery] = deque()
        self._paused: list[tuple[int, int, Delivery]] = []
        self._pauses = 0
        self.in_hand = 0
        self.in_progress = 0

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.in_hand} in hand, {self.in_progress} in progress, "
            f"{len(self._paused)} paused)"
        )

    def add(self, deliveries: Collection[Delivery]) -> None:
        """Take over what was read, in its order."""
        self._ready.extend(deliveries)
        self.in_hand += len(deliveries)

    def take(self, now_ns: int) -> Delivery | None:
        """
        Return the delivery to be handled next, or None if none may be now.

        Parameters
        ----------
        now_ns : int
            The time by a monotonic clock.
        """
        if self._paused and self._paused[0][0] <= now_ns:
            self.in_progress += 1
            return heappop(self._paused)[2]
        if self._next:
            self.in_progress += 1
            return self._next.popleft()
        ready = self._ready
        if not self._ordered:
            if not ready:
                return None
            self.in_progress += 1
            return ready.popleft()
        busy = self._busy
        while ready:
            delivery = ready.popleft()
            waiting = busy.get(delivery.topic)
            if waiting is None:
                busy[delivery.topic] = ()
                self.in_progress += 1
                return delivery
            if not waiting:
                waiting = busy[delivery.topic] = deque()
            waiting.append(delivery)
        return None

    def next_due_ns(self) -> int | None:
        """Return when the next pause is over, by the clock of `take`; None if there is none."""
        return self._paused[0][0] if self._paused else None

    def done(self, delivery: Delivery) -> None:
        """Note that a delivery needs no handler any more: handled, expired or given up."""
        self.in_progress -= 1
        self.in_hand -= 1
        self._free(delivery.topic)

    def failed(self, delivery: Delivery, now_ns: int) -> bool:
        """
        Note that a handler failed: the delivery comes again after its pause.

        Returns
        -------
        bool
            False if it has come often enough. It is still in progress then: `done` ends that.
        """
        pause_s = self._pause_s(delivery.attempts)
        if pause_s is None:
            return False
        self.in_progress -= 1
        self._pauses += 1
        heappush(self._paused, (now_ns + int(pause_s * 1e9), self._pauses, delivery))
        return True

    def back(self, delivery: Delivery) -> None:
        """Take back a delivery that no handler has seen: it is the next one of its topic."""
        self.in_progress -= 1
        self._next.appendleft(delivery)

    def _free(self, topic: str) -> None:
        """Let the one that waited longest for a topic be next."""
        if self._ordered:
            waiting = self._busy[topic]
            if waiting:
                self._next.append(waiting.popleft())
            else:
                del self._busy[topic]
