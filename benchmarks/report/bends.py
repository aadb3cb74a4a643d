"""Where a curve bends: from which amount of work on a cost grows faster, or no longer so."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING
from typing import Final


if TYPE_CHECKING:
    from collections.abc import Sequence


# Slopes on paper with logarithmic axes: 0 for what does not depend on the work, 1 for what grows as
# it does. A line bends where its slope changes by so much.
BEND: Final = 0.5


@dataclass(frozen=True)
class Bend:
    """At which amount of work a line changes its slope, and from which to which."""

    at: float
    before: float
    after: float

    def __str__(self) -> str:
        return f"at {self.at:,.0f} (slope {self.before:.1f} to {self.after:.1f})"


def find_bend(points: Sequence[tuple[float, float]]) -> Bend | None:
    """
    Return where a line bends most, if it does anywhere.

    Parameters
    ----------
    points : Sequence[tuple[float, float]]
        Amount of work and cost, both above zero; others are left out.
    """
    usable = sorted((work, cost) for work, cost in points if work > 0 and cost > 0)
    slopes = [
        (right[0], (math.log(right[1] / left[1])) / math.log(right[0] / left[0]))
        for left, right in pairwise(usable)
        if right[0] > left[0]
    ]
    bends = [
        Bend(usable[at][0], before, after)
        for at, ((_, before), (_, after)) in enumerate(pairwise(slopes), 1)
    ]
    sharpest = max(bends, key=lambda bend: abs(bend.after - bend.before), default=None)
    if sharpest is None or abs(sharpest.after - sharpest.before) < BEND:
        return None
    return sharpest
