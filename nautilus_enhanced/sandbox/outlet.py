"""
Messages that wait until they are due, in order: how a loopback venue delays.

Pure: the time is passed in, and who calls does the sending.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final
from typing import Generic
from typing import TypeVar


MAX_WAITING: Final = 100_000

T = TypeVar("T")


class Outlet(Generic[T]):
    """
    Keep messages until they are due; none overtakes another.

    Parameters
    ----------
    limit : int
        How many may wait. When more do, the oldest is due at once and counted in `sent_early`.
    """

    def __init__(self, limit: int = MAX_WAITING) -> None:
        self.sent_early = 0
        self._limit = limit
        self._waiting: deque[tuple[int, T]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, items: Iterable[T], due_ns: int) -> None:
        """Add messages that are due then, or as soon as those before them are."""
        self._waiting.extend((due_ns, item) for item in items)

    def take(self, now_ns: int) -> list[T]:
        """Return what is due, in order, and keep it no longer."""
        taken = []
        while self._waiting:
            early = self._waiting[0][0] > now_ns
            if early and len(self._waiting) <= self._limit:
                break
            self.sent_early += early
            taken.append(self._waiting.popleft()[1])
        return taken

    def next_due_ns(self) -> int | None:
        """Return when the next message is due, or None if none waits."""
        return self._waiting[0][0] if self._waiting else None
