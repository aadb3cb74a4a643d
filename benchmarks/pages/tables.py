"""
Write the tables of the docs from what the benchmarks found.

A table stands in a page between ``<!-- table: NAME -->`` and ``<!-- end -->``; what is between
the two is replaced. A table of which a run has no row stays as it is. A ratio that is too noisy to
tell stands in parentheses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

from nautilus_enhanced.benchmarks.harness.table import number


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

    from nautilus_enhanced.benchmarks.harness.rows import Row


@dataclass(frozen=True)
class Key:
    """A column that says what was varied: its heading, the parameter, how it is written."""

    heading: str
    parameter: str
    write: Callable[[Any], str] = str


@dataclass(frozen=True)
class Figure:
    """A column of figures: its heading, the row's name, its field, how it is written."""

    heading: str
    row: str
    field: str
    write: Callable[[Any], str]


@dataclass(frozen=True)
class Table:
    """The columns of a table."""

    keys: tuple[Key, ...]
    figures: tuple[Figure, ...]

    def has_rows(self, rows: Sequence[Row]) -> bool:
        """Return whether there is anything to show."""
        wanted = {figure.row for figure in self.figures}
        return any(row.name in wanted for row in rows)

    def render(self, rows: Sequence[Row]) -> str:
        """Return the table of `rows`, in their order."""
        groups: dict[tuple[Any, ...], dict[str, Row]] = {}
        wanted = {figure.row for figure in self.figures}
        for row in rows:
            if row.name not in wanted:
                continue
            group = tuple(row.parameters.get(key.parameter) for key in self.keys)
            groups.setdefault(group, {})[row.name] = row
        headings = [key.heading for key in self.keys]
        headings += [figure.heading for figure in self.figures]
        lines = [headings, ["---"] * len(headings)]
        for group, named in groups.items():
            cells = [key.write(value) for key, value in zip(self.keys, group, strict=True)]
            cells += [self._cell(figure, named) for figure in self.figures]
            lines.append(cells)
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)

    @staticmethod
    def _cell(figure: Figure, named: dict[str, Row]) -> str:
        row = named.get(figure.row)
        if row is None:
            return "–"
        value = getattr(row, figure.field)
        if value is None:
            return "–"
        text = figure.write(value)
        return f"({text})" if figure.field == _RATIO and row.noisy else text


@dataclass(frozen=True)
class Listing:
    """
    A table of all figures of a benchmark, a line for each.

    Attributes
    ----------
    benchmark : str
        The benchmark.
    ceiling : str
        The heading of the column of ceilings; without one there is no such column.
    """

    benchmark: str
    ceiling: str = ""

    def has_rows(self, rows: Sequence[Row]) -> bool:
        """Return whether there is anything to show."""
        return any(row.benchmark == self.benchmark for row in rows)

    def render(self, rows: Sequence[Row]) -> str:
        """Return the table of `rows`, in their order."""
        lines = [["what", "where", "ours", "stock", "ratio", "unit"]]
        if self.ceiling:
            lines[0].insert(4, self.ceiling)
        lines.append(["---"] * len(lines[0]))
        for row in rows:
            if row.benchmark != self.benchmark:
                continue
            what = row.name.removeprefix(self.benchmark).strip()
            cells = [what, row.topology, number(row.enhanced), number(row.stock)]
            if self.ceiling:
                cells.append("–" if row.ceiling is None else number(row.ceiling))
            ratio = "–" if row.ratio_to_stock is None else times(row.ratio_to_stock)
            shown = f"({ratio})" if row.noisy and row.ratio_to_stock is not None else ratio
            lines.append([*cells, shown, row.unit])
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def times(value: float) -> str:
    """Write a ratio."""
    return f"{number(value)} ×"


def count(value: float) -> str:
    """Write a whole number."""
    return f"{value:,.0f}"


def microseconds(value: float) -> str:
    """Write the time that a handler takes."""
    return f"{value:.0f} µs"


def samples(value: dict[str, int]) -> str:
    """Write how many samples there were on each side."""
    return f"{value['enhanced']:,} / {value['stock']:,}"


def _percentiles(name: str, *labels: str) -> tuple[Figure, ...]:
    return tuple(Figure(f"ours {label}", f"{name} {label}", "enhanced", number) for label in labels)


def _stock(name: str, *labels: str) -> tuple[Figure, ...]:
    return tuple(Figure(f"stock {label}", f"{name} {label}", "stock", number) for label in labels)


_RATIO = "ratio_to_stock"
_MEMORY, _OUTAGE = "engine_memory_per_message", "outage_recovery"
_BURST = "order_event_behind_burst"
_TRIP = "order_round_trip_behind_burst"
_LOW = "order_event_at_low_load"
_SLICE = "order_event_against_slice"
_QUEUE, _ENGINE = "engine_queueing_overhead", "engine_throughput"
_THROUGHPUT, _FLOOD = "publish_throughput", "publish_latency_under_flood"
_CALL, _INTERFERENCE = "publish_call_cost", "trading_thread_interference"
_ADAPTER = "adapter_overhead"
_SERIALIZE = "serialize_cost"
_JOURNAL, _EVENT = "journal_throughput", "journal_order_event"
_REQUEST = "request_response"
_CONSUME, _HANDLED = "consume_throughput", "publish_to_handled"
_CONSUME_CALL = "consume_call_cost"
_VENUES = "venues_order_event"
_TAILS = ("p50", "p99", "p99.9")
_AGAINST = Key("against", "stock", lambda kind: f"{kind} ms" if " " in kind else "stock, default")
_HANDLER, _LOOP = Key("handler", "work_us", microseconds), Key("loop", "loop")

TABLES: dict[str, Table | Listing] = {
    _MEMORY: Listing(_MEMORY),
    _OUTAGE: Listing(_OUTAGE, ceiling="no publisher, or what a lane may hold"),
    _ADAPTER: Table(
        (Key("message", "message"), Key("looked at", "looks")),
        (
            Figure("enhanced µs", _ADAPTER, "enhanced", number),
            Figure("stock", _ADAPTER, "stock", number),
            Figure("the mixin", f"{_ADAPTER} excess", "enhanced", number),
            Figure("rounds", _ADAPTER, "rounds", count),
        ),
    ),
    _BURST: Table(
        (Key("quotes", "backlog", count), _HANDLER, _LOOP),
        (
            *_percentiles(_BURST, "p50", "p99", "p99 undisturbed"),
            *_stock(_BURST, "p50", "p99"),
            Figure("sooner (p50)", f"{_BURST} p50", _RATIO, times),
            Figure("n", f"{_BURST} p50", "samples", samples),
        ),
    ),
    _TRIP: Table(
        (_HANDLER, _LOOP),
        (
            *_percentiles(_TRIP, "p50", "p99", "p99 undisturbed"),
            *_stock(_TRIP, "p50", "p99"),
            Figure("sooner (p50)", f"{_TRIP} p50", _RATIO, times),
            Figure("n", f"{_TRIP} p50", "samples", samples),
        ),
    ),
    _LOW: Table(
        (_HANDLER, _LOOP),
        (
            Figure("ours p50", f"{_LOW} p50", "enhanced", number),
            Figure("stock p50", f"{_LOW} p50", "stock", number),
            Figure("ratio", f"{_LOW} p50", _RATIO, times),
            Figure("ours p99", f"{_LOW} p99", "enhanced", number),
            Figure("stock p99", f"{_LOW} p99", "stock", number),
            Figure("ratio", f"{_LOW} p99", _RATIO, times),
            Figure("n", f"{_LOW} p50", "samples", samples),
        ),
    ),
    _QUEUE: Table(
        (Key("quotes at a time", "burst", count), _LOOP),
        (
            Figure("ours µs/quote", _QUEUE, "enhanced", number),
            Figure("stock", _QUEUE, "stock", number),
            Figure("ratio", _QUEUE, _RATIO, times),
            Figure("ours quotes/s", _ENGINE, "enhanced", count),
            Figure("stock", _ENGINE, "stock", count),
            Figure("ratio", _ENGINE, _RATIO, times),
            Figure("ceiling", _ENGINE, "ceiling", count),
        ),
    ),
    _SLICE: Table(
        (Key("slice_us", "slice_us", count), _LOOP),
        (
            *_percentiles(_SLICE, "p50", "p99", "p99 undisturbed"),
            Figure("stock p50", f"{_SLICE} p50", "stock", number),
            Figure("ours quotes/s", f"{_SLICE} throughput", "enhanced", count),
            Figure("stock", f"{_SLICE} throughput", "stock", count),
            Figure("n", f"{_SLICE} p50", "samples", samples),
        ),
    ),
    _THROUGHPUT: Table(
        (_AGAINST, Key("ceiling", "ceiling")),
        (
            Figure("ours msg/s", _THROUGHPUT, "enhanced", count),
            Figure("stock", _THROUGHPUT, "stock", count),
            Figure("ratio", _THROUGHPUT, _RATIO, times),
            Figure("the ceiling", _THROUGHPUT, "ceiling", count),
            Figure("of it", _THROUGHPUT, "ratio_to_ceiling", times),
            Figure("rounds", _THROUGHPUT, "rounds", count),
        ),
    ),
    _FLOOD: Table(
        (
            Key("quotes/s", "quotes_per_s", count),
            Key("thread busy", "busy", lambda share: f"{share:.0%}"),
            _AGAINST,
        ),
        (
            *_percentiles(_FLOOD, "p50", "p99"),
            *_stock(_FLOOD, "p50", "p99"),
            Figure("sooner (p99)", f"{_FLOOD} p99", _RATIO, times),
            Figure("stock arrived %", f"{_FLOOD} arrived", "stock", number),
            Figure("n", f"{_FLOOD} p50", "samples", samples),
        ),
    ),
    _CALL: Table(
        (Key("call", "case"), Key("topics", "topics", count), _AGAINST),
        (
            *_percentiles(_CALL, "p50", "p99"),
            Figure("client alone p50", f"{_CALL} client p50", "enhanced", number),
            *_stock(_CALL, "p50", "p99"),
            Figure("empty call p50", f"{_CALL} p50", "ceiling", number),
            Figure("n", f"{_CALL} p50", "samples", samples),
        ),
    ),
    _INTERFERENCE: Table(
        (Key("the thread", "thread"), _AGAINST),
        (
            *_percentiles(_INTERFERENCE, "p50", "p99", "p99.9"),
            *_stock(_INTERFERENCE, "p50", "p99", "p99.9"),
            Figure("nothing p99.9", f"{_INTERFERENCE} p99.9", "ceiling", number),
            Figure("our excess", f"{_INTERFERENCE} p99.9 excess", "enhanced", number),
            Figure("stock's", f"{_INTERFERENCE} p99.9 excess", "stock", number),
            Figure("n", f"{_INTERFERENCE} p50", "samples", samples),
        ),
    ),
    _JOURNAL: Table(
        (Key("fsync", "fsync"),),
        (
            Figure("msg/s", _JOURNAL, "enhanced", count),
            Figure("the same rows in a loop", _JOURNAL, "stock", count),
            Figure("rounds", _JOURNAL, "rounds", count),
        ),
    ),
    _EVENT: Table(
        (Key("case", "case"), Key("fsync", "fsync")),
        (
            *(Figure(of, f"{_EVENT} {of}", "enhanced", number) for of in ("p50", "p99", "max")),
            *(
                Figure(f"one INSERT {of}", f"{_EVENT} {of}", "stock", number)
                for of in ("p50", "p99", "max")
            ),
            Figure("n", f"{_EVENT} p50", "samples", samples),
        ),
    ),
    _REQUEST: Table(
        (Key("between", "between"),),
        (
            *(Figure(f"{of} ms", f"{_REQUEST} {of}", "enhanced", number) for of in ("p50", "p99")),
            *(
                Figure(f"redis-py {of}", f"{_REQUEST} {of}", "stock", number)
                for of in ("p50", "p99")
            ),
            Figure("bare sockets p50", f"{_REQUEST} p50", "ceiling", number),
            Figure("n", f"{_REQUEST} p50", "samples", samples),
        ),
    ),
    _VENUES: Table(
        (Key("venues", "venues", count), Key("quotes/s of each", "quotes_per_s", count), _HANDLER),
        (
            *_percentiles(_VENUES, "p50", "p99"),
            *_stock(_VENUES, "p50", "p99"),
            Figure("sooner (p99)", f"{_VENUES} p99", _RATIO, times),
            Figure("ours in the engines p99", f"{_VENUES} in the engines p99", "enhanced", number),
            Figure("stock", f"{_VENUES} in the engines p99", "stock", number),
            Figure("sooner", f"{_VENUES} in the engines p99", _RATIO, times),
            Figure("n", f"{_VENUES} p50", "samples", samples),
        ),
    ),
    _CONSUME: Table(
        (Key("handler", "handler"), Key("decoded", "body"), Key("twin", "twin")),
        (
            Figure("ours msg/s", _CONSUME, "enhanced", count),
            Figure("twin", _CONSUME, "stock", count),
            Figure("ratio", _CONSUME, _RATIO, times),
            Figure("bare socket", _CONSUME, "ceiling", count),
            Figure("rounds", _CONSUME, "rounds", count),
        ),
    ),
    _HANDLED: Table(
        (Key("events/s", "per_s", count), Key("twin", "twin")),
        (
            *(Figure(f"ours {of} ms", f"{_HANDLED} {of}", "enhanced", number) for of in _TAILS),
            *(Figure(f"twin {of}", f"{_HANDLED} {of}", "stock", number) for of in _TAILS),
            Figure("n", f"{_HANDLED} p50", "samples", samples),
        ),
    ),
    _CONSUME_CALL: Table(
        (Key("streams", "streams", count),),
        (
            Figure("our call p50 µs", f"{_CONSUME_CALL} p50", "enhanced", number),
            Figure("p99", f"{_CONSUME_CALL} p99", "enhanced", number),
            Figure("XREAD p50", f"{_CONSUME_CALL} p50", "stock", number),
            Figure("p99", f"{_CONSUME_CALL} p99", "stock", number),
            Figure("n", f"{_CONSUME_CALL} p50", "samples", samples),
        ),
    ),
    _SERIALIZE: Table(
        (Key("message", "kind"),),
        tuple(
            Figure(f"{encoding}, {form}", f"{_SERIALIZE} {encoding}, {form}", _RATIO, times)
            for form in ("integers", "ISO 8601")
            for encoding in ("json", "msgpack")
        ),
    ),
}

_PLACE = re.compile(r"(<!-- table: (\w+) -->\n).*?(\n<!-- end -->)", re.DOTALL)


def fill(page: str, rows: Sequence[Row]) -> str:
    """
    Return a page with its tables written anew; a row that was not verified stands in none.

    Raises
    ------
    KeyError
        If the page asks for a table that is not known.
    """
    verified = [row for row in rows if row.verified]

    def table_of(place: re.Match[str]) -> str:
        table = TABLES[place[2]]
        if not table.has_rows(verified):
            return place[0]
        return f"{place[1]}\n{table.render(verified)}\n{place[3]}"

    return _PLACE.sub(table_of, page)
