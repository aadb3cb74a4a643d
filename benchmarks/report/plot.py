"""Lines on logarithmic axes, as SVG that stands in a page and needs nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING
from typing import Final


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence


WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 15, 15, 50
LEGEND_LINE: Final = 18
# Colour and dashes by who it is; further lines of the same have further dashes.
COLOURS: Final = {"enhanced": "#1f6fb2", "stock": "#c2541d", "ceiling": "#4a8f3c"}
DASHES: Final = ("", "6 4", "2 3", "10 3 2 3")
MARK_RADIUS: Final = 3


@dataclass(frozen=True)
class Line:
    """A line: whose, what it is called, and its points."""

    side: str
    label: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Scale:
    """A logarithmic axis from decade to decade."""

    low: int
    high: int
    begin: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], begin: float, end: float) -> Scale:
        """Return the axis of the decades that hold all values."""
        low = math.floor(math.log10(min(values)) + 1e-9)
        return cls(low, max(low + 1, math.ceil(math.log10(max(values)) - 1e-9)), begin, end)

    def place(self, value: float) -> float:
        """Return where a value is."""
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)

    @property
    def ticks(self) -> list[float]:
        """Return the decades."""
        return [10.0**power for power in range(self.low, self.high + 1)]


def tick_text(value: float) -> str:
    """Write a decade."""
    return f"{value:,.0f}" if value >= 1 else f"{value:.10f}".rstrip("0")


def draw(title: str, lines: Sequence[Line], across: str, up: str, *, is_file: bool = False) -> str:
    """
    Return an SVG of lines on logarithmic axes; nothing if no point is above zero.

    Parameters
    ----------
    title : str
        What it is called, for who cannot see it.
    lines : Sequence[Line]
        The lines; points that are not above zero are left out.
    across, up : str
        What the axes count.
    is_file : bool, default False
        Whether it is shown by itself, so that it needs a ground of its own.
    """
    shown = [(line, sorted((x, y) for x, y in line.points if x > 0 and y > 0)) for line in lines]
    shown = [(line, points) for line, points in shown if points]
    if not shown:
        return ""
    every = [point for _, points in shown for point in points]
    right = Scale.over([x for x, _ in every], LEFT, WIDTH - RIGHT)
    upward = Scale.over([y for _, y in every], HEIGHT - BOTTOM, TOP)
    height = HEIGHT + LEGEND_LINE * len(shown)
    ink = "black" if is_file else "currentColor"
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
        f'aria-label="{escape(title)}" xmlns="http://www.w3.org/2000/svg" '
        f'font-family="sans-serif" font-size="12" fill="{ink}" color="{ink}">',
        *([f'<rect width="{WIDTH}" height="{height}" fill="white"/>'] if is_file else []),
        *_axis(right, lambda at: (at, TOP, at, HEIGHT - BOTTOM), is_across=True),
        *_axis(upward, lambda at: (LEFT, at, WIDTH - RIGHT, at), is_across=False),
        f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 12}" text-anchor="middle">'
        f"{escape(across)}</text>",
        f'<text transform="translate(14 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" '
        f'text-anchor="middle">{escape(up)}</text>',
    ]
    seen: dict[str, int] = {}
    for at, (line, points) in enumerate(shown):
        number = seen.setdefault(line.side, 0)
        seen[line.side] += 1
        style = (
            f'stroke="{COLOURS.get(line.side, "#777777")}" '
            f'stroke-dasharray="{DASHES[number % len(DASHES)]}" stroke-width="2" fill="none"'
        )
        places = [(right.place(x), upward.place(y)) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" {style}/>')
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{MARK_RADIUS}" '
            f'fill="{COLOURS.get(line.side, "#777777")}"/>'
            for x, y in places
        ]
        y = HEIGHT + LEGEND_LINE * at
        parts.append(f'<line x1="{LEFT}" y1="{y}" x2="{LEFT + 40}" y2="{y}" {style}/>')
        parts.append(f'<text x="{LEFT + 50}" y="{y + 4}">{escape(line.label)}</text>')
    return "\n".join([*parts, "</svg>"])


def _axis(
    scale: Scale, ends: Callable[[float], tuple[float, float, float, float]], *, is_across: bool
) -> list[str]:
    parts = []
    for value in scale.ticks:
        x1, y1, x2, y2 = ends(scale.place(value))
        parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            'stroke="currentColor" stroke-opacity="0.2"/>'
        )
        place = (
            f'x="{x1:.1f}" y="{y2 + 16:.1f}" text-anchor="middle"'
            if is_across
            else f'x="{x1 - 6:.1f}" y="{y1 + 4:.1f}" text-anchor="end"'
        )
        parts.append(f"<text {place}>{tick_text(value)}</text>")
    return parts
