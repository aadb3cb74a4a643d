"""Rows for people, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Sequence

    from nautilus_enhanced.benchmarks.harness.rows import Row


# From here on digits come in groups of three.
_GROUPED_FROM = 999.5


def number(value: float) -> str:
    """Write a number with three significant digits, without an exponent."""
    return f"{value:.3g}" if abs(value) < _GROUPED_FROM else f"{value:,.0f}"


def times(value: float | None) -> str:
    """Write a ratio; a dash where there is none."""
    return "–" if value is None else f"{number(value)}×"


def ratio_text(row: Row) -> str:
    """Write the ratio to stock and how sure it is."""
    if row.interval is None:
        return times(row.ratio_to_stock)
    told = f"{times(row.ratio_to_stock)} [{number(row.interval.low)}–{number(row.interval.high)}]"
    return f"{told} noisy" if row.noisy else told


def render(rows: Sequence[Row]) -> str:
    """Return the rows as lines of aligned columns."""
    cells = [("", "enhanced", "stock", "ratio to stock", "ceiling", "of it", "")]
    cells += [
        (
            row.key,
            number(row.enhanced),
            number(row.stock),
            ratio_text(row),
            "" if row.ceiling is None else number(row.ceiling),
            "" if row.ratio_to_ceiling is None else times(row.ratio_to_ceiling),
            f"{row.unit}{_samples(row)}{'' if row.verified else '  NOT VERIFIED'}",
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    first, last = 0, len(widths) - 1
    return "\n".join(
        "  ".join(
            f"{cell:<{width}}" if at in {first, last} else f"{cell:>{width}}"
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )


def _samples(row: Row) -> str:
    return f"  n={row.samples['enhanced']:,}/{row.samples['stock']:,}" if row.samples else ""
