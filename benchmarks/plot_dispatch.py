"""
Draw the plots of ``docs/dispatch.md`` from what the benchmarks found.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt


ENHANCED, STOCK = "#1f6fb2", "#c2541d"


def rows_of(path: Path, name: str, loop: str) -> list[dict[str, Any]]:
    """Return the rows of one figure on one event loop."""
    return [
        row
        for row in json.loads(path.read_text())
        if row["name"] == name and row["parameters"].get("loop") == loop
    ]


def plot_backlog(path: Path, target: Path, loop: str) -> None:
    """Draw the latency of an order event against the backlog in front of it."""
    figure, axes = plt.subplots(figsize=(7.2, 4.2))
    rows = rows_of(path, "order_event_behind_burst p50", loop)
    for bus, color in (("stock", STOCK), ("enhanced", ENHANCED)):
        for work_us, style in ((0.0, "o-"), (20.0, "s--")):
            points = sorted(
                (row["parameters"]["backlog"], row[bus])
                for row in rows
                if row["parameters"]["work_us"] == work_us
            )
            label = f"{bus}, {work_us:.0f} µs for each quote"
            axes.plot(*zip(*points, strict=True), style, color=color, label=label)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="quotes that wait",
        ylabel="order event, median (ms)",
        title=f"Latency of an order event behind a backlog ({loop})",
    )
    finish(figure, axes, target, "center right")


def plot_slice(path: Path, target: Path, loop: str) -> None:
    """Draw latency and throughput against the length of a slice."""
    figure, axes = plt.subplots(figsize=(7.2, 4.2))
    for share, style in (("p50", "o-"), ("p99 undisturbed", "s--")):
        points = sorted(
            (row["parameters"]["slice_us"], row["enhanced"])
            for row in rows_of(path, f"order_event_against_slice {share}", loop)
        )
        axes.plot(*zip(*points, strict=True), style, color=ENHANCED, label=f"latency, {share}")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="slice_us",
        ylabel="order event (ms)",
        title=f"What a slice buys and costs ({loop})",
    )
    rows = rows_of(path, "order_event_against_slice throughput", loop)
    points = sorted((row["parameters"]["slice_us"], row["enhanced"]) for row in rows)
    slices = [slice_us for slice_us, _ in points]
    axes.set_xticks(slices, [f"{slice_us:,}" for slice_us in slices])
    axes.minorticks_off()
    right = axes.twinx()
    right.plot(*zip(*points, strict=True), "^-", color="#4a8f3c", label="quotes/s, enhanced")
    right.axhline(rows[0]["stock"], color=STOCK, linestyle=":", label="quotes/s, stock")
    right.set(ylabel="quotes/s", ylim=(0, 1.25 * max(rate for _, rate in points)))
    right.yaxis.set_major_formatter(lambda rate, _: f"{rate:,.0f}")
    finish(figure, axes, target, "lower right", right)


def finish(figure: Any, axes: Any, target: Path, place: str, right: Any = None) -> None:
    """Add what both plots have and write the file."""
    axes.grid(visible=True, which="major", alpha=0.3)
    lines = axes.get_lines()
    if right is not None:
        lines = [*lines, *right.get_lines()]
    # On the axes that are drawn last, or their lines would run over it.
    (right or axes).legend(handles=lines, fontsize=8, framealpha=0.9, loc=place)
    figure.tight_layout()
    # Without a date, so that the same figures make the same file.
    figure.savefig(target, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Draw both plots."""
    made = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    made.add_argument("burst", type=Path, help="rows of order_event_behind_burst.py")
    made.add_argument("slice", type=Path, help="rows of order_event_against_slice.py")
    made.add_argument("folder", type=Path, help="where the plots go")
    made.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop")
    options = made.parse_args()
    # Text stays text, and names of parts do not change from run to run.
    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "nt-enhanced", "font.size": 10}
    options.folder.mkdir(parents=True, exist_ok=True)
    plot_backlog(options.burst, options.folder / "latency_against_backlog.svg", options.loop)
    plot_slice(options.slice, options.folder / "latency_against_slice.svg", options.loop)
