"""A set of message numbers that is full up to some point: what of a lane is settled."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Iterable


class NumberSet:
    """
    Hold whole numbers as all those below a bound and a few ranges above it.

    Messages of a lane are settled nearly in order, so that there is hardly ever a range.

    Parameters
    ----------
    below : int, default 0
        All numbers below are in it.
    ranges : Iterable[tuple[int, int]], default ()
        Ranges of numbers that are in it too: the first, and the first that is not.
    """

    __slots__ = ("_ranges", "below")

    def __init__(self, below: int = 0, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self.below = below
        self._ranges: list[tuple[int, int]] = []
        for first, end in ranges:
            self.add(first, end)

    def __contains__(self, number: int) -> bool:
        if number < self.below:
            return True
        index = bisect_left(self._ranges, (number + 1,)) - 1
        return index >= 0 and self._ranges[index][1] > number

    def __repr__(self) -> str:
        return f"{type(self).__name__}(below={self.below}, {len(self._ranges)} ranges)"

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """Return the ranges above `below`, in order: disjoint, with gaps between them."""
        return list(self._ranges)

    def add(self, first: int, end: int) -> None:
        """Add the numbers from `first` to before `end`."""
        if end <= max(first, self.below):
            return
        ranges = self._ranges
        if first <= self.below:
            self.below = end
        else:
            index = bisect_left(ranges, (first,))
            if index and ranges[index - 1][1] >= first:
                index -= 1
                first = ranges[index][0]
            after = index
            while after < len(ranges) and ranges[after][0] <= end:
                end = max(end, ranges[after][1])
                after += 1
            ranges[index:after] = [(first, end)]
        while ranges and ranges[0][0] <= self.below:
            self.below = max(self.below, ranges.pop(0)[1])

    def has_all(self, first: int, end: int) -> bool:
        """Return whether all numbers from `first` to before `end` are in it."""
        if end <= max(first, self.below):
            return True
        index = bisect_left(self._ranges, (max(first, self.below) + 1,)) - 1
        return index >= 0 and self._ranges[index][1] >= end
