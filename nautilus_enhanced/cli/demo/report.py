"""What the demo found, as figures and as a verdict: plain functions of what the children said."""

from __future__ import annotations

from typing import Any

import msgspec

from nautilus_enhanced.cli.demo.messages import BusName
from nautilus_enhanced.cli.demo.messages import Comparison
from nautilus_enhanced.cli.demo.messages import ConsumerResult
from nautilus_enhanced.cli.demo.messages import NodeResult
from nautilus_enhanced.cli.demo.messages import OrderEventSeen
from nautilus_enhanced.cli.demo.messages import percentile


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """
    How long order events took from the venue's push to the strategy's callback.

    Attributes
    ----------
    events : int
        Order events measured.
    p50, p99, max : float or None
        Milliseconds; None if nothing was measured.
    """

    events: int = 0
    p50: float | None = None
    p99: float | None = None
    max: float | None = None


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
        What the consumer missed, got twice, got in the wrong order, could not decode.
    order_event_latency_ms : Latency
        How long order events took to the strategy.
    bursts : int
        Bursts of market data that the venue sent.
    """

    ok: bool
    problems: list[str]
    bus: BusName
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
    bursts: int


def order_event_latency(pushes: list[dict[str, Any]], seen: list[OrderEventSeen]) -> Latency:
    """
    Match the venue's pushes with the strategy's callbacks.

    Parameters
    ----------
    pushes : list[dict]
        Each with client_order_id, execution_type, trade_id and monotonic_ns.
    seen : list[OrderEventSeen]
        What the strategy noted, by the same clock.
    """
    pushed = {
        (push["client_order_id"], push["execution_type"], push["trade_id"]): push["monotonic_ns"]
        for push in pushes
    }
    waits_ms = sorted(
        (event.monotonic_ns - pushed[key]) / 1e6
        for event in seen
        if (key := (event.client_order_id, event.execution_type, event.trade_id)) in pushed
    )
    if not waits_ms:
        return Latency()
    return Latency(
        events=len(waits_ms),
        p50=round(percentile(waits_ms, 0.50), 3),
        p99=round(percentile(waits_ms, 0.99), 3),
        max=round(waits_ms[-1], 3),
    )


def judge(
    *,
    bus: BusName,
    server: str,
    seconds: float,
    node: NodeResult,
    consumer: ConsumerResult,
    comparison: Comparison,
    pushes: list[dict[str, Any]],
    bursts: int,
) -> BusReport:
    """Return the report of a run, with the verdict."""
    latency = order_event_latency(pushes, node.order_events)
    problems = []
    if not node.orders_filled:
        problems.append("no order was filled")
    if comparison.lost:
        problems.append(f"{comparison.lost:,} messages were lost")
    if comparison.duplicated:
        problems.append(f"{comparison.duplicated:,} messages were doubled")
    if consumer.out_of_order:
        problems.append(f"{consumer.out_of_order:,} messages were out of order")
    if consumer.undecodable:
        problems.append(f"{consumer.undecodable:,} messages could not be decoded")
    if not latency.events:
        problems.append("no order event reached the strategy")
    if bus == "enhanced":
        missing = {"dispatch", "publisher"} - set(node.features)
        problems.extend(f"the feature {feature} was not active" for feature in sorted(missing))
        # The witness came after components had announced themselves, so this may be more.
        if sum(node.acknowledged.values()) < sum(node.published.values()):
            problems.append("the server did not acknowledge everything that was published")
    return BusReport(
        ok=not problems,
        problems=problems,
        bus=bus,
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
        out_of_order=consumer.out_of_order,
        undecodable=consumer.undecodable,
        order_event_latency_ms=latency,
        bursts=bursts,
    )


def verdict(reports: list[BusReport]) -> str:
    """Return the one sentence that sums up all runs."""
    bad = [f"{report.bus}: {', '.join(report.problems)}" for report in reports if not report.ok]
    if bad:
        return f"Failed: {'; '.join(bad)}."
    last = reports[-1]
    sentence = (
        f"OK: {last.orders_filled:,} orders filled and {sum(last.published.values()):,} messages "
        f"published, none lost, none doubled; order events reached the strategy in "
        f"{last.order_event_latency_ms.p50:,.1f} ms (median) and "
        f"{last.order_event_latency_ms.p99:,.1f} ms (p99)"
    )
    if len(reports) > 1:
        stock = reports[0].order_event_latency_ms
        sentence += f", on the stock bus in {stock.p50:,.1f} ms and {stock.p99:,.1f} ms"
    return f"{sentence}."


def table(reports: list[BusReport]) -> list[tuple[str, ...]]:
    """Return the summary as rows of text: a heading, then a row for each figure."""

    def row(label: str, *values: str) -> tuple[str, ...]:
        return (label, *values)

    def ms(value: float | None) -> str:
        return "-" if value is None else f"{value:,.2f} ms"

    rows = [row("", *(report.bus for report in reports))]
    rows.append(row("quotes / trades", *(f"{r.quotes:,} / {r.trades:,}" for r in reports)))
    rows.append(
        row(
            "orders submitted / filled",
            *(f"{r.orders_submitted:,} / {r.orders_filled:,}" for r in reports),
        )
    )
    rows.append(
        row(
            "orders canceled / rejected",
            *(f"{r.orders_canceled:,} / {r.orders_rejected:,}" for r in reports),
        )
    )
    rows.append(row("published", *(f"{sum(r.published.values()):,}" for r in reports)))
    rows.append(
        row(
            "acknowledged",
            *(
                f"{sum(r.acknowledged.values()):,}" if r.bus == "enhanced" else "never"
                for r in reports
            ),
        )
    )
    rows.append(row("consumed and decoded", *(f"{r.consumed:,}" for r in reports)))
    rows.append(row("lost / doubled", *(f"{r.lost:,} / {r.duplicated:,}" for r in reports)))
    for name in ("p50", "p99", "max"):
        rows.append(
            row(
                f"order event to strategy, {name}",
                *(ms(getattr(r.order_event_latency_ms, name)) for r in reports),
            )
        )
    return rows
