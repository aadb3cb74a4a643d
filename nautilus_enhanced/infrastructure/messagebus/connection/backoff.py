"""How long to pause before the next attempt."""

from __future__ import annotations

import random
from typing import Final


_MAX_DOUBLINGS: Final = 32


class Backoff:
    """
    Pause longer after each failure: capped exponential backoff with full jitter.

    The pause after failure *n* is random between 0 and ``min(max_s, min_s * 2 ** n)``. Source:
    M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

    Parameters
    ----------
    min_s : float
        Bound of the first pause, in seconds.
    max_s : float
        Bound of every pause, in seconds.
    rng : random.Random, optional
        The source of randomness.
    """

    def __init__(self, min_s: float, max_s: float, rng: random.Random | None = None) -> None:
        self._min_s = min_s
        self._max_s = max_s
        # Jitter spreads clients over time; it guards no secret.
        self._rng = rng or random.Random()  # noqa: S311
        self._failures = 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}(failures={self._failures})"

    def failed(self) -> float:
        """Record a failure and return the seconds to pause."""
        bound = min(self._max_s, self._min_s * 2 ** min(self._failures, _MAX_DOUBLINGS))
        self._failures += 1
        return self._rng.uniform(0.0, bound)

    def succeeded(self) -> None:
        """Record a success: the next failure starts from the shortest pause."""
        self._failures = 0
