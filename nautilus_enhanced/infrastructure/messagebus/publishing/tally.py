"""Counters that any thread may add to."""

from __future__ import annotations

from threading import Lock
from threading import get_ident


class Tally:
    """
    Count events and add up their amounts from any thread, without a lock on the home thread.

    ``x += n`` is several steps for the interpreter, so two threads must never do it to the same
    number: the home thread has its own, all others share theirs under a lock.

    Attributes
    ----------
    home_ident : int
        The home thread, as ``threading.get_ident`` names it.
    home, home_count : int
        The sum and the number of what the home thread added, which only it may change.
    foreign, foreign_count : int
        The same for all other threads.
    """

    __slots__ = ("_lock", "foreign", "foreign_count", "home", "home_count", "home_ident")

    def __init__(self) -> None:
        self.home_ident = get_ident()
        self.home = 0
        self.home_count = 0
        self.foreign = 0
        self.foreign_count = 0
        self._lock = Lock()

    def adopt(self) -> None:
        """Make the calling thread the home thread; call it before the first `add`."""
        self.home_ident = get_ident()

    def add(self, amount: int) -> None:
        """Count one event of `amount`."""
        if get_ident() == self.home_ident:
            self.home += amount
            self.home_count += 1
        else:
            with self._lock:
                self.foreign += amount
                self.foreign_count += 1

    @property
    def count(self) -> int:
        """Return how often `add` was called so far."""
        return self.home_count + self.foreign_count

    @property
    def value(self) -> int:
        """Return the sum of what was added so far."""
        return self.home + self.foreign
