"""Whether two runs that measured the same say the same of it."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING

from nautilus_enhanced.benchmarks.harness.statistics import NOISE


if TYPE_CHECKING:
    from collections.abc import Sequence

    from nautilus_enhanced.benchmarks.harness.rows import Row


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """
    What became of the ratios that both runs have.

    Attributes
    ----------
    same : int
        How many differ by 15 % at most.
    noisy : int
        How many differ by more, and are too noisy to tell in one run or the other, as it said.
    apart : list[tuple[Row, Row]]
        Those that differ by more although neither run said so.
    """

    same: int = 0
    noisy: int = 0
    apart: list[tuple[Row, Row]] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Return how many ratios both runs have."""
        return self.same + self.noisy + len(self.apart)


def agreement(before: Sequence[Row], after: Sequence[Row]) -> Agreement:
    """Return what became of the ratios that both runs have and have verified."""
    earlier = {row.key: row for row in before if row.verified}
    same, noisy, apart = 0, 0, []
    for row in after:
        other = earlier.get(row.key)
        if other is None or not row.verified:
            continue
        if row.ratio_to_stock is None or other.ratio_to_stock is None:
            continue
        change = row.ratio_to_stock / other.ratio_to_stock
        if 1 / (1 + NOISE) <= change <= 1 + NOISE:
            same += 1
        elif row.noisy or other.noisy:
            noisy += 1
        else:
            apart.append((other, row))
    return Agreement(same=same, noisy=noisy, apart=apart)
