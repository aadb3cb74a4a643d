"""Time that passes only when somebody waits, and the stand-ins for what a thread waits with."""

from __future__ import annotations

from heapq import heappop
from heapq import heappush
from queue import Empty
from typing import TYPE_CHECKING
from typing import Any


if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random


MS = 1_000_000
S = 1_000 * MS

# What reading a clock costs: code that loops without waiting takes time too.
_READ_NS = 1_000
# Far more than any script needs.
MAX_EVENTS = 200_000


class Found(BaseException):
    """
    The simulation found something wrong.

    Not an `Exception`: the code that is tried may catch those.
    """


class Timeline:
    """
    What will happen when, and the clock of the code that is tried.

    The code runs in the test's thread. Where it would wait it calls `wait`, and meanwhile happens
    what others do. Where it reads the clock it may lose the processor for a while, so that others
    come in between its steps too.

    Parameters
    ----------
    rng : random.Random
        Decides.
    preempted : float
        How often reading the clock costs the processor.
    """

    def __init__(self, rng: Random, preempted: float) -> None:
        self.now_ns = 1_000 * S
        self.wall_ns = 1_700_000_000 * S - self.now_ns
        self._rng = rng
        self._preempted = preempted
        self._events: list[tuple[int, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._count = 0
        self._is_acting = False

    # -- the clock, as the code knows it ---------------------------------------------------------

    def monotonic_ns(self) -> int:
        if not self._is_acting:
            if self._rng.random() < self._preempted:
                self.wait(int(self._rng.random() ** 3 * 50 * MS))
            else:
                self.now_ns += _READ_NS
                if self._events and self._events[0][0] <= self.now_ns:
                    self.wait(0)
        return self.now_ns

    def time_ns(self) -> int:
        return self.monotonic_ns() + self.wall_ns

    # -- events ----------------------------------------------------------------------------------

    def after(self, delay_ns: int, do: Callable[..., Any], *args: Any) -> int:
        """Have something done in a while; return when."""
        at_ns = self.now_ns + max(0, int(delay_ns))
        self._count += 1
        heappush(self._events, (at_ns, self._count, do, args))
        return at_ns

    def wait(self, timeout_ns: int, ready: Callable[[], Any] | None = None) -> bool:
        """Let time pass until `ready`, or for `timeout_ns`; return whether ready."""
        if self._is_acting:
            raise Found("somebody who acts in zero time waits")
        deadline_ns = self.now_ns + max(0, int(timeout_ns))
        events = self._events
        while ready is None or not ready():
            if not events or events[0][0] > deadline_ns:
                self.now_ns = max(self.now_ns, deadline_ns)
                return False
            at_ns, count, do, args = heappop(events)
            if count > MAX_EVENTS:
                raise Found("it goes on and on: a loop without a pause?")
            self.now_ns = max(self.now_ns, at_ns)
            self._is_acting = True
            try:
                do(*args)
            finally:
                self._is_acting = False
        return True


class Thread:
    """Stands in for a thread that is run by hand; who joins it comes back at once."""

    ident = 1

    def __init__(self) -> None:
        self.was_started = False
        self.has_ended = False
        # While somebody begins to close: `close` then stops before it would join.
        self.seems_ended = False

    def start(self) -> None:
        self.was_started = True

    def is_alive(self) -> bool:
        return self.was_started and not self.has_ended and not self.seems_ended

    def join(self, timeout: float | None = None) -> None:
        """Do nothing: the time that joining takes passes elsewhere."""


class Event:
    """Stands in for `threading.Event`."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._is_set = False

    def set(self) -> None:
        self._is_set = True

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, timeout: float) -> bool:
        return self._timeline.wait(round(timeout * S), self.is_set)


class Tokens:
    """Stands in for the `SimpleQueue` of the doorbell."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._count = 0

    def put(self, _: None) -> None:
        self._count += 1

    def empty(self) -> bool:
        return not self._count

    def get(self, timeout: float) -> None:
        if not self._timeline.wait(round(timeout * S), lambda: self._count):
            raise Empty
        self._count -= 1

    def get_nowait(self) -> None:
        self._count -= 1
