"""Where a curve bends: from which amount of work on a cost grows faster, or no longer so."""

from __future__ import annotations

import math
from dataclasses import dataclass
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

    That is the point at which the line to it from the first point and the line from it to the
    last one differ most: noise of neighbours makes little of that, and a bend that takes several
    points is one.

    Parameters
    ----------
    points : Sequence[tuple[float, float]]
        Amount of work and cost, both above zero; others are left out.
    """
    usable = sorted((work, cost) for work, cost in points if work > 0 and cost > 0)
    bends = [
        Bend(point[0], _slope(usable[0], point), _slope(point, usable[-1]))
        for point in usable[1:-1]
        if usable[0][0] < point[0] < usable[-1][0]
    ]
    sharpest = max(bends, key=lambda bend: abs(bend.after - bend.before), default=None)
    if sharpest is None or abs(sharpest.after - sharpest.before) < BEND:
        return None
    return sharpest


def _slope(left: tuple[float, float], right: tuple[float, float]) -> float:
    return math.log(right[1] / left[1]) / math.log(right[0] / left[0])
