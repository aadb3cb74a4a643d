"""The curves of a run: which rows are the points of which line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nautilus_enhanced.benchmarks.report.bends import find_bend
from nautilus_enhanced.benchmarks.report.plot import Line


if TYPE_CHECKING:
    from collections.abc import Sequence

    from nautilus_enhanced.benchmarks.harness.model import Curve
    from nautilus_enhanced.benchmarks.harness.rows import Row


def lines_of(curve: Curve, rows: Sequence[Row]) -> list[Line]:
    """
    Return the lines of a curve, a pair of them for each combination of what tells lines apart.

    Of rows that differ in anything else, such as the stock twin, the first ones count for ours.
    """
    points: dict[tuple[str, str], dict[float, float]] = {}
    for row in rows:
        work = row.parameters.get(curve.parameter)
        if row.name != curve.row or not isinstance(work, int | float):
            continue
        apart = ", ".join(str(row.parameters.get(name, "")) for name in curve.split)
        for side, cost in (("enhanced", row.enhanced), ("stock", row.stock)):
            points.setdefault((side, apart), {}).setdefault(float(work), cost)
    return [
        Line(side, f"{side}, {apart}" if apart else side, tuple(sorted(by_work.items())))
        for (side, apart), by_work in points.items()
        if len(by_work) > 1
    ]


def bends_of(lines: Sequence[Line]) -> list[str]:
    """Return where each line bends, for people."""
    return [
        f"{line.label}: {'no bend' if (bend := find_bend(line.points)) is None else bend}"
        for line in lines
    ]
