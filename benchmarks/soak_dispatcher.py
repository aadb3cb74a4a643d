"""
Whether the memory of a node's engines stays as it is: half an hour at 20,000 quotes a second.

::

    20 quotes every ms, 100,000 at once every 10 s ──> LiveDataEngine ──> subscriber that counts
    an order event every 100 ms ──> LiveExecutionEngine ──> handler that counts

Each quote is an object of its own. The resident memory is looked at every second; of what was
seen after the warm-up (a fifth of the time, at most a minute), the median of the last fifth may be
at most `BOUND_MIB` above that of the first fifth.

Run: python -m nautilus_enhanced.benchmarks.soak_dispatcher [--minutes 30] [--bus stock]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import time
from dataclasses import asdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from nautilus_enhanced.benchmarks.rigs.engines import Rig
from nautilus_enhanced.benchmarks.rigs.engines import on_a_loop


BOUND_MIB = 8.0
QUOTES_PER_S = 20_000
BURST_EVERY_S = 10.0
EVENT_EVERY_S = 0.1
LOOK_EVERY_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Soak:
    """
    What a soak found.

    Attributes
    ----------
    seconds : float
        How long it ran.
    quotes, order_events : int
        How many were handled.
    first_mib, last_mib, highest_mib : float
        Resident memory: median of the first and of the last fifth after the warm-up, and the most.
    growth_mib, bound_mib : float
        Last less first, and what is allowed.
    verified : bool
        Whether all that was sent was handled.
    """

    name: str = "soak_dispatcher"
    bus: str
    loop: str
    seconds: float
    quotes: int
    order_events: int
    first_mib: float
    last_mib: float
    highest_mib: float
    growth_mib: float
    bound_mib: float
    verified: bool


def resident_mib() -> float:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def soak(
    bus: str, loop_name: str, seconds: float, burst: int, loop: asyncio.AbstractEventLoop
) -> Soak:
    """Feed quotes and order events for some seconds."""
    rig = Rig(bus, loop).start()
    seen = 0

    def count(_event: object) -> None:
        nonlocal seen
        seen += 1

    rig.on_order_event(count)
    process, make = rig.data.process, rig.make_quotes
    sent = sent_steadily = events = bursts = 0
    looks: list[tuple[float, float]] = []
    start = time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        # By the clock and not by the turn: what was late is made up for.
        due = int(elapsed * QUOTES_PER_S) - sent_steadily
        sent_steadily += due
        if elapsed >= bursts * BURST_EVERY_S:
            bursts += 1
            due += burst
        sent += due
        for quote in make(due):
            process(quote)
        if elapsed >= events * EVENT_EVERY_S:
            events += 1
            rig.execution.process(object())
        if elapsed >= len(looks) * LOOK_EVERY_S:
            looks.append((elapsed, resident_mib()))
        await asyncio.sleep(0.001)
    await asyncio.wait_for(rig.drained(sent), 30.0)
    await rig.stop()
    warm_up = min(60.0, seconds / 5)
    steady = [mib for at, mib in looks if at >= warm_up] or [looks[-1][1]]
    fifth = max(1, len(steady) // 5)
    first, last = statistics.median(steady[:fifth]), statistics.median(steady[-fifth:])
    return Soak(
        bus=bus,
        loop=loop_name,
        seconds=seconds,
        quotes=sent,
        order_events=events,
        first_mib=first,
        last_mib=last,
        highest_mib=max(mib for _, mib in looks),
        growth_mib=last - first,
        bound_mib=BOUND_MIB,
        verified=rig.handled == sent and seen == events,
    )


def main() -> None:
    """Run it, print what was found, and fail if the memory grew beyond the bound."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--tiny", action="store_true", help="only to see that it runs")
    made.add_argument("--json", metavar="FILE", help="write what was found as JSON; - for stdout")
    made.add_argument("--minutes", type=float, default=None, help="how long (default: 30)")
    made.add_argument("--bus", choices=("enhanced", "stock"), default="enhanced")
    made.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop")
    options = made.parse_args()
    minutes = options.minutes or (0.02 if options.tiny else 30.0)
    burst = 1_000 if options.tiny else 100_000
    found = on_a_loop(options.loop, partial(soak, options.bus, options.loop, minutes * 60, burst))
    to_stderr = options.json == "-"
    click.echo(f"Python {platform.python_version()}, {found.bus} on {found.loop}", err=to_stderr)
    click.echo(
        f"{found.quotes:,} quotes and {found.order_events:,} order events in {found.seconds:,.0f} s"
        f"{'' if found.verified else ', NOT ALL OF THEM HANDLED'}",
        err=to_stderr,
    )
    click.echo(
        f"memory {found.first_mib:.1f} MiB at first, {found.last_mib:.1f} MiB at last, at most "
        f"{found.highest_mib:.1f} MiB: grown by {found.growth_mib:+.1f} MiB, "
        f"{found.bound_mib:.0f} MiB allowed",
        err=to_stderr,
    )
    rows = json.dumps([asdict(found)], indent=2)
    if options.json == "-":
        click.echo(rows)
    elif options.json:
        Path(options.json).write_text(rows + "\n")
    if not found.verified or found.growth_mib > found.bound_mib:
        sys.exit(1)


if __name__ == "__main__":
    main()
