"""The page of a run: what it was taken on, a table and plots of each benchmark, what changed."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING
from typing import Final

from nautilus_enhanced.benchmarks import registry
from nautilus_enhanced.benchmarks.harness import machine
from nautilus_enhanced.benchmarks.harness.table import number
from nautilus_enhanced.benchmarks.harness.table import ratio_text
from nautilus_enhanced.benchmarks.harness.table import times
from nautilus_enhanced.benchmarks.report import curves
from nautilus_enhanced.benchmarks.report import plot


if TYPE_CHECKING:
    from collections.abc import Sequence

    from nautilus_enhanced.benchmarks.comparing.comparison import Change
    from nautilus_enhanced.benchmarks.harness.model import Curve
    from nautilus_enhanced.benchmarks.harness.rows import Row
    from nautilus_enhanced.benchmarks.programme import Programme


STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
pre { overflow-x: auto; padding: .7rem; border: 1px solid #8885; }
table { border-collapse: collapse; display: block; overflow-x: auto; font-size: 13px; }
th, td { padding: .15rem .6rem; border-bottom: 1px solid #8885; }
th { text-align: left; } td.n { text-align: right; white-space: nowrap; }
.bad { color: #c22; } .good { color: #2a7f3f; }
"""
HEADINGS: Final = ("", "unit", "enhanced", "stock", "ratio to stock", "ceiling", "of it", "rounds")


def render(programme: Programme, changes: Sequence[Change] = ()) -> str:
    """Return a page of HTML that loads nothing from anywhere."""
    names = dict.fromkeys(row.benchmark for row in programme.rows)
    parts = [
        "<!doctype html>",
        '<html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>nt-enhanced bench</title><style>{STYLE}</style>",
        "<h1>The enhanced bus beside the stock one</h1>",
        f"<p>{escape(machine.sentence(programme.about))}.</p>",
        "<p>A ratio above 1 is in favour of the enhanced bus; behind it, between which values such "
        "ratios lie (90 % confidence, by the order of the rounds alone). <em>Noisy</em> is what "
        "reaches more than 15 % from the ratio: too noisy to tell.</p>",
        *(f'<p class="bad">{escape(str(one))}</p>' for one in programme.failures),
        *(f"<p>{escape(str(one))}.</p>" for one in programme.left_out),
        *_changes(changes),
        "<ul>",
        *(f'<li><a href="#{name}">{name}</a></li>' for name in names),
        "</ul>",
    ]
    for name in names:
        parts += _benchmark(name, [row for row in programme.rows if row.benchmark == name])
    return "\n".join([*parts, "</html>", ""])


def _benchmark(name: str, rows: Sequence[Row]) -> list[str]:
    benchmark = registry.load(name)
    parts = [
        f'<h2 id="{name}">{name}</h2>',
        f"<pre>{escape(benchmark.about.strip())}</pre>",
    ]
    for curve in benchmark.curves:
        parts += _curve(curve, rows)
    return [*parts, *_table(rows)]


def _curve(curve: Curve, rows: Sequence[Row]) -> list[str]:
    lines = curves.lines_of(curve, rows)
    if not lines:
        return []
    unit = next(row.unit for row in rows if row.name == curve.row)
    drawn = plot.draw(curve.title, lines, curve.axis, unit)
    bends = "; ".join(curves.bends_of(lines))
    return [
        f"<figure><figcaption><strong>{escape(curve.title)}.</strong> {escape(curve.why)}",
        f"<br><small>{escape(bends)}.</small></figcaption>",
        drawn,
        "</figure>",
    ]


def _table(rows: Sequence[Row]) -> list[str]:
    return [
        "<table>",
        f"<tr>{''.join(f'<th>{heading}</th>' for heading in HEADINGS)}</tr>",
        *map(_line, rows),
        "</table>",
    ]


def _line(row: Row) -> str:
    kind = ""
    if row.ratio_to_stock is not None and not row.noisy:
        kind = " good" if row.ratio_to_stock > 1 else " bad"
    label = escape(row.key) + ("" if row.verified else ' <strong class="bad">NOT VERIFIED</strong>')
    cells = [
        number(row.enhanced),
        number(row.stock),
        ratio_text(row),
        "" if row.ceiling is None else number(row.ceiling),
        "" if row.ratio_to_ceiling is None else times(row.ratio_to_ceiling),
        str(row.rounds),
    ]
    numbers = "".join(
        f'<td class="n{kind if at == 2 else ""}">{escape(cell)}</td>'  # noqa: PLR2004 (the ratio)
        for at, cell in enumerate(cells)
    )
    return f"<tr><td>{label}</td><td>{escape(row.unit)}</td>{numbers}</tr>"


def _changes(changes: Sequence[Change]) -> list[str]:
    if not changes:
        return []
    told = [
        f"<tr><td>{escape(change.key)}</td><td>{change.verdict}</td>"
        + "".join(
            f'<td class="n">{"–" if ratio is None else times(ratio.value)}</td>'
            for ratio in (change.before, change.after)
        )
        + "</tr>"
        for change in changes
    ]
    return ["<h2>What changed</h2>", "<table>", *told, "</table>"]
