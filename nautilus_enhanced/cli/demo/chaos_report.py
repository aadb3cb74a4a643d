"""What outages did to a run, as figures: plain functions of what was noted."""

from __future__ import annotations

from typing import Any

import msgspec

from nautilus_enhanced.cli.demo.latency import Latency
from nautilus_enhanced.cli.demo.latency import order_event_latency
from nautilus_enhanced.cli.demo.messages import BusName
from nautilus_enhanced.cli.demo.messages import ConsumerResult
from nautilus_enhanced.cli.demo.messages import NodeResult
from nautilus_enhanced.cli.demo.messages import compare
from nautilus_enhanced.cli.demo.outages import Outage
from nautilus_enhanced.cli.demo.outages import PublisherSample
from nautilus_enhanced.cli.demo.outages import growth_times
from nautilus_enhanced.cli.demo.outages import resumed_after_ms


class OutageReport(msgspec.Struct, frozen=True, kw_only=True):
    """
    One outage.

    Attributes
    ----------
    at_s, down_s : float
        When the server was killed, in seconds from the start of trading, and for how long it
        did not answer.
    killed_pid, started_pid : int
        The server's process before and after.
    entries_before, entries_after : int
        Entries in the run's streams just before the kill and just after the restart.
    resumed_ms : float or None
        Milliseconds from the server's first answer to the first message that it confirmed (on
        the stock bus: that is in a stream); None if there was none until the next outage.
    """

    at_s: float
    down_s: float
    killed_pid: int
    started_pid: int
    entries_before: int
    entries_after: int
    resumed_ms: float | None


class ChaosReport(msgspec.Struct, frozen=True, kw_only=True):
    """
    What outages did to a run.

    Attributes
    ----------
    outages : list[OutageReport]
        Each outage, in order.
    down_s : float
        Seconds for which the server did not answer, in all.
    stored : int
        Messages in the streams at the end.
    waiting_max : int or None
        The most messages that waited at a time; None on the stock bus, which does not tell.
    resumed_ms_max : float or None
        The longest that publishing took to resume; None if it did not after one of the outages.
    consumer_missed, consumer_doubled : int
        Messages in the streams that the consumer did not get, or got twice.
    consumer_reconnects : int
        Times that the consumer found the server again.
    order_event_latency_down_ms : Latency
        How long those order events took to the strategy that came while the server was away.
    """

    outages: list[OutageReport]
    down_s: float
    stored: int
    waiting_max: int | None
    resumed_ms_max: float | None
    consumer_missed: int
    consumer_doubled: int
    consumer_reconnects: int
    order_event_latency_down_ms: Latency


def report_chaos(
    *,
    outages: list[Outage],
    samples: list[PublisherSample],
    arrivals_ns: list[int],
    stored: dict[str, int],
    consumed: dict[str, int],
    node: NodeResult,
    consumer: ConsumerResult,
    pushes: list[dict[str, Any]],
) -> ChaosReport:
    """
    Return what the outages did.

    Parameters
    ----------
    outages : list[Outage]
        What happened.
    samples : list[PublisherSample]
        The enhanced publisher's figures; empty on the stock bus.
    arrivals_ns : list[int]
        Without samples: when the entries of the streams were made, by the monotonic clock.
    stored, consumed : dict[str, int]
        How often each message is in the streams, and was read by the consumer.
    node : NodeResult
        What the node did.
    consumer : ConsumerResult
        What the consumer read.
    pushes : list[dict]
        What the venue pushed.
    """
    resumed = resumed_after_ms(outages, growth_times(samples) if samples else arrivals_ns)
    known = [ms for ms in resumed if ms is not None]
    # What a publisher lost or doubled shows in both of these: the difference is the consumer's.
    read = compare(stored, consumed)
    return ChaosReport(
        outages=[
            OutageReport(
                at_s=round(outage.at_s, 3),
                down_s=round(outage.down_s, 3),
                killed_pid=outage.killed_pid,
                started_pid=outage.started_pid,
                entries_before=outage.entries_before,
                entries_after=outage.entries_after,
                resumed_ms=ms,
            )
            for outage, ms in zip(outages, resumed, strict=True)
        ],
        down_s=round(sum(outage.down_s for outage in outages), 3),
        stored=sum(stored.values()),
        waiting_max=max((sample.waiting for sample in samples), default=None),
        resumed_ms_max=max(known) if known and len(known) == len(resumed) else None,
        consumer_missed=read.lost,
        consumer_doubled=read.duplicated,
        consumer_reconnects=consumer.reconnects,
        order_event_latency_down_ms=order_event_latency(
            pushes,
            node.order_events,
            [(outage.killed_at_ns, outage.answered_at_ns) for outage in outages],
        ),
    )


def chaos_problems(report: ChaosReport, bus: BusName) -> list[str]:
    """Return what speaks against a run with outages, besides lost and doubled messages."""
    problems = []
    if not report.outages:
        problems.append("the server was not killed once")
    elif bus == "enhanced" and report.outages[-1].resumed_ms is None:
        # Between two outages it may have been too short; after the last one it never is.
        problems.append("publishing did not resume after the last outage")
    gone = sum(max(0, o.entries_before - o.entries_after) for o in report.outages)
    if gone:
        problems.append(f"the server itself lost {gone:,} messages that it had confirmed")
    if report.consumer_missed or report.consumer_doubled:
        problems.append(
            f"the consumer missed {report.consumer_missed:,} messages of the streams and got "
            f"{report.consumer_doubled:,} twice"
        )
    return problems
