"""What the demo found, as figures and as a verdict: plain functions of what the children said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import Final

import msgspec

from nautilus_enhanced.cli.demo.chaos_report import ChaosReport
from nautilus_enhanced.cli.demo.chaos_report import chaos_problems
from nautilus_enhanced.cli.demo.latency import Latency
from nautilus_enhanced.cli.demo.latency import order_event_latency
from nautilus_enhanced.cli.demo.messages import BusName
from nautilus_enhanced.cli.demo.messages import Comparison
from nautilus_enhanced.cli.demo.messages import ConsumerResult
from nautilus_enhanced.cli.demo.messages import NodeResult


class BusReport(msgspec.Struct, frozen=True, kw_only=True):
    """
    What one run on one bus showed; the object under ``--json``.

    Attributes
    ----------
    ok : bool
        Whether nothing was lost or doubled and orders were filled.
    problems : list[str]
        Why not, a sentence each.
    bus : {'stock', 'enhanced'}
        The bus.
    venues : list[str]
        The venues that the node traded on; figures are of all together.
    server : str
        What the streams were in, without a password.
    features : list[str]
        The enhanced features that were active.
    seconds : float
        The time for which the strategy traded.
    quotes, trades : int
        Market data that reached the strategy.
    orders_submitted, orders_filled, orders_rejected, orders_canceled : int
        What became of the strategy's orders.
    published, acknowledged : dict[str, int]
        Messages that the node published and that the server confirmed, by priority. The stock
        bus gets no acknowledgements, so its are 0.
    consumed : int
        Messages that the consumer read and decoded.
    lost, duplicated, out_of_order, undecodable : int
        What the consumer missed, got twice, got in the wrong order, could not decode. With
        outages the first three are read from the streams themselves.
    order_event_latency_ms : Latency
        How long order events took to the strategy.
    order_event_latency_by_venue_ms : dict[str, Latency]
        The same for each venue.
    bursts : int
        Bursts of market data that the venue sent.
    chaos : ChaosReport or None
        What outages of the server did, if there were any.
    """

    ok: bool
    problems: list[str]
    bus: BusName
    venues: list[str]
    server: str
    features: list[str]
    seconds: float
    quotes: int
    trades: int
    orders_submitted: int
    orders_filled: int
    orders_rejected: int
    orders_canceled: int
    published: dict[str, int]
    acknowledged: dict[str, int]
    consumed: int
    lost: int
    duplicated: int
    out_of_order: int
    undecodable: int
    order_event_latency_ms: Latency
    order_event_latency_by_venue_ms: dict[str, Latency]
    bursts: int
    chaos: ChaosReport | None = None


def judge(
    *,
    bus: BusName,
    server: str,
    seconds: float,
    node: NodeResult,
    consumer: ConsumerResult,
    comparison: Comparison,
    pushes: dict[str, list[dict[str, Any]]],
    bursts: int,
    chaos: ChaosReport | None = None,
) -> BusReport:
    """Return the report of a run, with the verdict; pushes are by venue."""
    latency = order_event_latency([p for of in pushes.values() for p in of], node.order_events)
    by_venue = {name: order_event_latency(of, node.order_events) for name, of in pushes.items()}
    out_of_order = max(comparison.out_of_order, consumer.out_of_order)
    problems = []
    several = len(pushes) > 1
    for name, figures in by_venue.items():
        there = f" on {name}" if several else ""
        if not node.filled_by_venue.get(name):
            problems.append(f"no order was filled{there}")
        if not figures.events:
            problems.append(f"no order event{there} reached the strategy")
    if comparison.lost:
        problems.append(f"{comparison.lost:,} messages were lost")
    if comparison.duplicated:
        problems.append(f"{comparison.duplicated:,} messages were doubled")
    if out_of_order:
        problems.append(f"{out_of_order:,} messages were out of order")
    if consumer.undecodable:
        problems.append(f"{consumer.undecodable:,} messages could not be decoded")
    if bus == "enhanced":
        missing = {"adapters", "dispatch", "publisher"} - set(node.features)
        problems.extend(f"the feature {feature} was not active" for feature in sorted(missing))
        # The witness came after components had announced themselves, so this may be more.
        if sum(node.acknowledged.values()) < sum(node.published.values()):
            problems.append("the server did not acknowledge everything that was published")
    if chaos is not None:
        problems += chaos_problems(chaos, bus)
    return BusReport(
        ok=not problems,
        problems=problems,
        bus=bus,
        venues=list(pushes),
        server=server,
        features=node.features,
        seconds=seconds,
        quotes=node.quotes,
        trades=node.trades,
        orders_submitted=node.orders_submitted,
        orders_filled=node.orders_filled,
        orders_rejected=node.orders_rejected,
        orders_canceled=node.orders_canceled,
        published=node.published,
        acknowledged=node.acknowledged,
        consumed=consumer.consumed,
        lost=comparison.lost,
        duplicated=comparison.duplicated,
        out_of_order=out_of_order,
        undecodable=consumer.undecodable,
        order_event_latency_ms=latency,
        order_event_latency_by_venue_ms=by_venue,
        bursts=bursts,
        chaos=chaos,
    )


def judged(reports: list[BusReport]) -> list[BusReport]:
    """
    Return the reports that decide: all of them.

    With outages it is the enhanced bus's alone, if that ran: what they do to the stock bus is
    shown and is no failure of the demo.
    """
    ours = [report for report in reports if report.bus == "enhanced"]
    return ours if ours and ours[0].chaos is not None else reports


def verdict(reports: list[BusReport]) -> str:
    """Return the one sentence, or two, that sum up all runs."""
    bad = [
        f"{report.bus}: {', '.join(report.problems)}" for report in judged(reports) if not report.ok
    ]
    if bad:
        return f"Failed: {'; '.join(bad)}."
    last = reports[-1]
    published = sum(last.published.values())
    latency = last.order_event_latency_ms
    order_events = (
        f"order events reached the strategy in {latency.p50:,.1f} ms (median) and "
        f"{latency.p99:,.1f} ms (p99)"
    )
    if last.chaos is not None:
        return f"OK: {_outcome(last, last.chaos)}; {order_events}.{_stock_losses(reports)}"
    sentence = (
        f"OK: {last.orders_filled:,} orders filled and {published:,} messages "
        f"published, none lost, none doubled; {order_events}"
    )
    if len(reports) > 1:
        stock = reports[0].order_event_latency_ms
        sentence += f", on the stock bus in {stock.p50:,.1f} ms and {stock.p99:,.1f} ms"
    return f"{sentence}."


def _outcome(report: BusReport, chaos: ChaosReport) -> str:
    outages = f"{len(chaos.outages)} outage{'s' if len(chaos.outages) > 1 else ''}"
    resumed = (
        ""
        if chaos.resumed_ms_max is None
        else (f"; publishing resumed within {chaos.resumed_ms_max:,.0f} ms")
    )
    return (
        f"{report.lost:,} lost, {report.duplicated:,} doubled of "
        f"{sum(report.published.values()):,} messages in {outages} of the server "
        f"({chaos.down_s:,.1f} s){resumed}"
    )


def _stock_losses(reports: list[BusReport]) -> str:
    stock = [report for report in reports[:-1] if report.bus == "stock"]
    return "".join(
        f" The stock bus lost {report.lost:,} of {sum(report.published.values()):,}."
        for report in stock
    )


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f} ms"


def _acknowledged(report: BusReport) -> str:
    return f"{sum(report.acknowledged.values()):,}" if report.bus == "enhanced" else "never"


def _outages(chaos: ChaosReport) -> str:
    return f"{len(chaos.outages)} / {chaos.down_s:,.1f} s"


def _waiting(chaos: ChaosReport) -> str:
    return "not told" if chaos.waiting_max is None else f"{chaos.waiting_max:,}"


def _resumed(chaos: ChaosReport) -> str:
    if chaos.resumed_ms_max is not None:
        return f"{chaos.resumed_ms_max:,.0f} ms"
    times = sum(outage.resumed_ms is not None for outage in chaos.outages)
    return f"{times} times of {len(chaos.outages)}" if times else "never"


# A label and what to show beside it; the figures of outages only where there were some.
Row = tuple[str, Callable[[BusReport], str]]
ChaosRow = tuple[str, Callable[[ChaosReport], str]]

_BEFORE: Final[list[Row]] = [
    ("quotes / trades", lambda r: f"{r.quotes:,} / {r.trades:,}"),
    ("orders submitted / filled", lambda r: f"{r.orders_submitted:,} / {r.orders_filled:,}"),
    ("orders canceled / rejected", lambda r: f"{r.orders_canceled:,} / {r.orders_rejected:,}"),
]
_OUTAGES: Final[list[ChaosRow]] = [
    ("outages of the server / in all", _outages),
    ("messages waiting at most", _waiting),
    ("publishing resumed within", _resumed),
    ("messages in the streams", lambda c: f"{c.stored:,}"),
]
_AFTER: Final[list[Row]] = [
    ("published", lambda r: f"{sum(r.published.values()):,}"),
    ("acknowledged", _acknowledged),
    ("consumed and decoded", lambda r: f"{r.consumed:,}"),
    ("lost / doubled", lambda r: f"{r.lost:,} / {r.duplicated:,}"),
    ("order event to strategy, p50", lambda r: _ms(r.order_event_latency_ms.p50)),
    ("order event to strategy, p99", lambda r: _ms(r.order_event_latency_ms.p99)),
    ("order event to strategy, max", lambda r: _ms(r.order_event_latency_ms.max)),
]
_LATENCY_DOWN: Final[list[ChaosRow]] = [
    ("  while the server was away, p50", lambda c: _ms(c.order_event_latency_down_ms.p50)),
    ("  while the server was away, p99", lambda c: _ms(c.order_event_latency_down_ms.p99)),
]


def _by_venue(names: list[str]) -> list[Row]:
    """Return the rows of each venue's own latency."""

    def row(name: str) -> Row:
        return f"  on {name}, p99", lambda r: _ms(r.order_event_latency_by_venue_ms[name].p99)

    return [row(name) for name in names]


def table(reports: list[BusReport]) -> list[tuple[str, ...]]:
    """Return the summary as rows of text: a heading, then a row for each figure."""
    chaos = [report.chaos for report in reports if report.chaos is not None]

    def rows(figures: list[Row]) -> list[tuple[str, ...]]:
        return [(label, *(show(report) for report in reports)) for label, show in figures]

    def chaos_rows(figures: list[ChaosRow]) -> list[tuple[str, ...]]:
        return [(label, *(show(one) for one in chaos)) for label, show in figures if chaos]

    return [
        ("", *(report.bus for report in reports)),
        *rows(_BEFORE),
        *chaos_rows(_OUTAGES),
        *rows(_AFTER),
        *(rows(_by_venue(reports[0].venues)) if len(reports[0].venues) > 1 else []),
        *chaos_rows(_LATENCY_DOWN),
    ]
