"""What else happened while something was measured: collections, and other work of the machine."""

from __future__ import annotations

import gc
import resource
import time
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Mapping


class CollectorWatch:
    """
    Note when the garbage collector ran, from `with` until its end.

    Attributes
    ----------
    pauses : list[tuple[float, float]]
        Begin and end of each collection, in seconds of ``time.perf_counter``.
    """

    def __init__(self) -> None:
        self.pauses: list[tuple[float, float]] = []
        self._begin = 0.0

    def __enter__(self) -> CollectorWatch:
        gc.callbacks.append(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        gc.callbacks.remove(self._note)

    def _note(self, phase: str, _info: Mapping[str, int]) -> None:
        now = time.perf_counter()
        if phase == "start":
            self._begin = now
        else:
            self.pauses.append((self._begin, now))

    def paused_ms(self, begin: float, end: float) -> float:
        """Return for how long the collector ran between two times."""
        # Backwards: who asks has usually just seen the end.
        paused = 0.0
        for start, stop in reversed(self.pauses):
            if stop < begin:
                break
            paused += max(0.0, min(stop, end) - max(start, begin))
        return paused * 1e3

    @property
    def longest_ms(self) -> float:
        """Return the longest collection."""
        return max((stop - start for start, stop in self.pauses), default=0.0) * 1e3

    @property
    def total_ms(self) -> float:
        """Return what all collections took together."""
        return sum(stop - start for start, stop in self.pauses) * 1e3


def preemptions() -> int:
    """
    Return how often the system took the processor from a thread of this process so far.

    A sample in which that happened tells about the machine's other work, not about the bus.
    """
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
