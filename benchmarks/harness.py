"""
What the benchmarks share: interleaved rounds, percentiles, a table, and rows of JSON.

A figure without its stock twin from the same run says nothing on a shared machine, so rounds
alternate (A B A B ...) and what is quoted is the ratio of the medians over rounds.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import sys
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Literal
from typing import TypeVar


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable


T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Row:
    """
    One figure of one benchmark.

    Attributes
    ----------
    name : str
        Benchmark and metric.
    topology : str
        What was between the two ends of the measurement.
    unit : str
        The unit of the figures.
    better : {'lower', 'higher'}
        Which direction is good.
    enhanced, stock : float
        The median over the rounds.
    ceiling : float or None
        The best that could be reached here, where there is such a figure.
    ratio_to_stock, ratio_to_ceiling : float or None
        Above 1 is in our favour.
    rounds : int
        Rounds on each side.
    verified : bool
        Whether every round found that what was measured did arrive, completely and in order.
    """

    name: str
    topology: str
    unit: str
    better: Literal["lower", "higher"]
    enhanced: float
    stock: float
    ceiling: float | None
    ratio_to_stock: float
    ratio_to_ceiling: float | None
    rounds: int
    verified: bool


def make_row(  # noqa: PLR0917 (one table row)
    name: str,
    topology: str,
    unit: str,
    better: Literal["lower", "higher"],
    enhanced: list[float],
    stock: list[float],
    ceiling: float | None = None,
    *,
    verified: bool,
) -> Row:
    """Return the row of the medians of both sides."""
    ours, theirs = statistics.median(enhanced), statistics.median(stock)
    ratio = theirs / ours if better == "lower" else ours / theirs
    to_ceiling = None
    if ceiling is not None:
        to_ceiling = ceiling / ours if better == "lower" else ours / ceiling
    return Row(
        name=name,
        topology=topology,
        unit=unit,
        better=better,
        enhanced=ours,
        stock=theirs,
        ceiling=ceiling,
        ratio_to_stock=ratio,
        ratio_to_ceiling=to_ceiling,
        rounds=len(enhanced),
        verified=verified,
    )


def interleave(rounds: int, sides: dict[str, Callable[[], T]]) -> dict[str, list[T]]:
    """Run each side once a round, in turns, after one round of warm-up that does not count."""
    results: dict[str, list[T]] = {name: [] for name in sides}
    for round_number in range(rounds + 1):
        for name, side in sides.items():
            gc.collect()
            result = side()
            if round_number:
                results[name].append(result)
    return results


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value at or below which `share` of the values lie (nearest rank)."""
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * share // 1))
    return ordered[min(len(ordered), int(rank)) - 1]


def arguments(description: str | None) -> argparse.Namespace:
    """Read the options that every benchmark has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller backlogs")
    parser.add_argument("--json", metavar="FILE", help="write the rows as JSON; - for stdout")
    return parser.parse_args()


def report(rows: list[Row], options: argparse.Namespace) -> None:
    """Print the rows as a table, and write them as JSON where asked for."""
    out = sys.stderr if options.json == "-" else sys.stdout
    print(f"Python {platform.python_version()}, {platform.machine()}", file=out)
    width = max(len(f"{row.name} ({row.topology})") for row in rows)
    heading = f"{'':<{width}}  {'enhanced':>12}  {'stock':>12}  {'ratio':>8}"
    print(heading, file=out)
    for row in rows:
        label = f"{row.name} ({row.topology})"
        checked = "" if row.verified else "  NOT VERIFIED"
        print(
            f"{label:<{width}}  {row.enhanced:>12,.3f}  {row.stock:>12,.3f}  "
            f"{row.ratio_to_stock:>7.2f}x  {row.unit}{checked}",
            file=out,
        )
    if options.json == "-":
        print(json.dumps([asdict(row) for row in rows], indent=2))
    elif options.json:
        Path(options.json).write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
