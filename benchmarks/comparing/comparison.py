"""
Which ratios to stock changed from one run to another.

A ratio fell if the whole of its interval is below the whole of the earlier one, by more than a
margin: the upper end of the one, where it was best, against the lower end of the other, where it
was worst. So all rounds have to agree that it did, and what made one or two of them slow does not
count. It rose if the same holds the other way round. Where the ratios differ by more than the
margin but their intervals do not, it is too noisy to tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from nautilus_enhanced.benchmarks.harness.table import times


if TYPE_CHECKING:
    from collections.abc import Sequence

    from nautilus_enhanced.benchmarks.comparing.ratios import Ratio
    from nautilus_enhanced.benchmarks.comparing.ratios import Ratios


class Verdict(StrEnum):
    """What became of a ratio."""

    FELL = "fell"
    ROSE = "rose"
    SAME = "the same"
    NOISY = "too noisy to tell"
    NEW = "new"
    GONE = "gone"


@dataclass(frozen=True, kw_only=True)
class Change:
    """A ratio before and after, and what became of it."""

    key: str
    before: Ratio | None
    after: Ratio | None
    verdict: Verdict

    @property
    def benchmark(self) -> str:
        """Return the benchmark that it is of."""
        return self.key.partition(" ")[0]

    @property
    def is_regression(self) -> bool:
        """Return whether it fell, and is one that counts: a tail of a shared machine does not."""
        return self.verdict is Verdict.FELL and self.after is not None and self.after.is_held


def verdict_of(before: Ratio, after: Ratio, margin: float) -> Verdict:
    """
    Return what became of a ratio.

    Parameters
    ----------
    before, after : Ratio
        The ratio of either run, and where such ratios lie.
    margin : float
        The part of a ratio, below 1, by which it may be lower and still is the same.
    """
    keeps = 1.0 - margin
    if after.high < before.low * keeps:
        return Verdict.FELL
    if after.low * keeps > before.high:
        return Verdict.ROSE
    if before.value * keeps <= after.value and after.value * keeps <= before.value:
        return Verdict.SAME
    return Verdict.NOISY


def compare(before: Ratios, after: Ratios, margin: float) -> list[Change]:
    """
    Return what became of each ratio, in the order of the later run.

    Those of benchmarks that the later run did not measure at all are not spoken of.
    """
    measured = {key.partition(" ")[0] for key in after}
    changes = []
    for key in dict.fromkeys((*after, *before)):
        old, new = before.get(key), after.get(key)
        if old is not None and new is not None:
            verdict = verdict_of(old, new, margin)
        elif new is not None:
            verdict = Verdict.NEW
        elif key.partition(" ")[0] in measured:
            verdict = Verdict.GONE
        else:
            continue
        changes.append(Change(key=key, before=old, after=new, verdict=verdict))
    return changes


def confirmed(changes: Sequence[Change], again: Sequence[Change]) -> list[Change]:
    """Return the changes, of which only those fell that fell in a second run as well."""
    fell_twice = {change.key for change in again if change.verdict is Verdict.FELL}
    return [
        replace(change, verdict=Verdict.NOISY)
        if change.verdict is Verdict.FELL and change.key not in fell_twice
        else change
        for change in changes
    ]


def fallen(changes: Sequence[Change]) -> list[Change]:
    """Return the changes that are regressions."""
    return [change for change in changes if change.is_regression]


def render(changes: Sequence[Change], margin: float) -> str:
    """Return what changed, line by line, and how many did not."""
    lines = []
    for verdict in (Verdict.FELL, Verdict.ROSE, Verdict.GONE, Verdict.NEW):
        for change in changes:
            if change.verdict is verdict:
                values = [
                    "–" if ratio is None else times(ratio.value)
                    for ratio in (change.before, change.after)
                ]
                lines.append(f"{verdict:<5} {' -> '.join(values):>20}  {change.key}")
    counts = {verdict: sum(change.verdict is verdict for change in changes) for verdict in Verdict}
    lines.append(
        f"{len(changes)} ratios: {counts[Verdict.FELL]} fell and {counts[Verdict.ROSE]} rose by "
        f"more than {margin:.0%} in all rounds, {counts[Verdict.SAME]} are the same, of "
        f"{counts[Verdict.NOISY]} it is too noisy to tell, {counts[Verdict.NEW]} are new, "
        f"{counts[Verdict.GONE]} are gone."
    )
    return "\n".join(lines)
