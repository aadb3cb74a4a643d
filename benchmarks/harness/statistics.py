"""
The statistics of rounds: percentiles, ratios, and how sure they are.

Rounds of both sides alternate, so the ratio of each round compares two neighbours in time, and a
machine that slows down for a while slows down both. What is said of a ratio is said by the order
of these ratios alone (a sign test turned round): it assumes nothing about how noise is
distributed, and needs no seed. Of fewer than five that would say too little: then noise is
taken to multiply, and to be normal on a logarithmic scale.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING
from typing import Final


if TYPE_CHECKING:
    from nautilus_enhanced.benchmarks.harness.model import Better


# What an interval is to hold of the ratios that further rounds would have in the middle.
CONFIDENCE: Final = 0.9
# A ratio whose interval reaches further than this from it is too noisy to tell.
NOISE: Final = 0.15

# With fewer ratios nobody can say how far they spread.
FEWEST: Final = 3

# For 2, 3 and 4 values: Student's t that leaves 5 % beyond it, and how many standard deviations lie
# between the lowest and the highest on average (W. A. Shewhart's d2).
_STUDENT: Final = {2: 6.314, 3: 2.920, 4: 2.353}
_SPREAD: Final = {2: 1.128, 3: 1.693, 4: 2.059}

# What a round found: one figure, or samples.
Found = float | Sequence[float]


@dataclass(frozen=True)
class Interval:
    """A lower and an upper end."""

    low: float
    high: float

    def is_within(self, share: float, value: float) -> bool:
        """Return whether both ends are at most `share` away from a value, either way."""
        return self.high <= value * (1 + share) and self.low * (1 + share) >= value


def percentile(values: Iterable[float], share: float) -> float:
    """
    Return the value at or below which `share` of the values lie (nearest rank).

    Raises
    ------
    ValueError
        If there are no values.
    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("there are no values to take a percentile of")
    rank = max(1, math.ceil(len(ordered) * share))
    return ordered[min(len(ordered), rank) - 1]


def estimate(rounds: Sequence[Found], share: float | None) -> float:
    """
    Return the median of the rounds' figures, or a percentile of the samples of all rounds.

    A percentile of a round with few samples is its maximum, and the median of those is no
    percentile of anything; so all rounds are one sample.
    """
    if share is None:
        return statistics.median(float(value) for value in rounds if isinstance(value, int | float))
    return percentile(_pooled(rounds), share)


def of_each_round(rounds: Sequence[Found], share: float | None) -> list[float]:
    """Return the figure or percentile of each round; a round without samples has none."""
    if share is None:
        return [float(value) for value in rounds if isinstance(value, int | float)]
    return [percentile(value, share) for value in rounds if isinstance(value, Sequence) and value]


def count_samples(rounds: Sequence[Found]) -> int:
    """Return how many samples there are in all rounds."""
    return len(_pooled(rounds))


def _pooled(rounds: Sequence[Found]) -> list[float]:
    return [one for value in rounds if isinstance(value, Sequence) for one in value]


def ratio(better: Better, ours: float, theirs: float) -> float | None:
    """Return by how much ours is better, above 1 if it is; None where a figure is not above 0."""
    over, under = (theirs, ours) if better == "lower" else (ours, theirs)
    return over / under if over > 0 and under > 0 else None


def ratios_of_rounds(better: Better, ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return the ratio of each round, of those in which both sides have a figure."""
    # Sides of different length have lost a round, and no longer are neighbours.
    if len(ours) != len(theirs):
        return []
    found = (ratio(better, one, other) for one, other in zip(ours, theirs, strict=True))
    return [value for value in found if value is not None]


def median_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval | None:
    """
    Return the narrowest pair of values around the middle that holds the median so surely.

    Of values that are drawn independently, the k-th lowest and the k-th highest enclose the
    median with a probability that is the binomial's alone. Too few values (four, for 0.9) never
    are sure enough: then it is the lowest and the highest. Without values there is none.
    """
    ordered = sorted(values)
    if not ordered:
        return None
    count, depth = len(ordered), 0
    # What leaves out so many at an end, and that much or less, of 2 ** count.
    ways = tail = 1
    while depth + 1 < count / 2:
        ways = ways * (count - depth) // (depth + 1)
        tail += ways
        if _holding(tail, count) < confidence:
            break
        depth += 1
    return Interval(ordered[depth], ordered[-1 - depth])


def ratio_interval(ratios: Sequence[float]) -> Interval | None:
    """
    Return what holds the median of such ratios with 90 % confidence; without ratios, None.

    The lowest and the highest of three hold it with 75 % only, and two runs of three rounds each
    would contradict each other: the interval of fewer than five is as wide as Student's t makes it
    that knows the spread by their range, on a logarithmic scale.

    Parameters
    ----------
    ratios : sequence of float
        The ratios of rounds, above 0.
    """
    found = median_interval(ratios)
    count = len(ratios)
    if found is None or count not in _STUDENT:
        return found
    times_wider = 2 * _STUDENT[count] / (math.sqrt(count) * _SPREAD[count])
    middle = math.sqrt(found.low * found.high)
    reach = (found.high / found.low) ** (times_wider / 2)
    return Interval(middle / reach, middle * reach)


def medians_of(ratios: Sequence[float], shares: Sequence[int]) -> Sequence[float]:
    """
    Return the median ratio of each process, in whose rounds they are more alike than in others'.

    Parameters
    ----------
    ratios : sequence of float
        The ratios of rounds, in order.
    shares : sequence of int
        How many rounds each process had. Where one had all, or a round has no ratio, all ratios are
        returned as they are.
    """
    if len(shares) <= 1 or sum(shares) != len(ratios):
        return ratios
    left = iter(ratios)
    return [statistics.median(islice(left, share)) for share in shares if share]


def coverage(count: int, depth: int) -> float:
    """Return how surely a median lies between the values that leave `depth` out at each end."""
    return _holding(sum(math.comb(count, beyond) for beyond in range(depth + 1)), count)


def _holding(tail: int, count: int) -> float:
    # Whole numbers divided by one another: as floats they would be too large.
    outside: float = 2 * tail / 2**count
    return max(0.0, 1.0 - outside)


def is_noisy(value: float, interval: Interval, noise: float = NOISE) -> bool:
    """Return whether a ratio is too noisy to tell."""
    return not interval.is_within(noise, value)
