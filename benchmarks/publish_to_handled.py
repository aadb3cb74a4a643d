"""
How long messages take from a publisher in one process to a handler in another one.

::

    an order event every 50 µs ──> publish ──> server ──> reader ──> handler, acknowledged
       due │                                                            called │
           └───────────────────────────── measured ────────────────────────────┘
    our publisher and consumer, with a group; the same publisher and redis-py in a loop;
    stock's publisher, with and without buffering, and stock's reader of external streams

A message is late from when it was due, not from when the thread got round to publishing it, so
that what holds up the publisher, the server or the consumer counts for every message that it holds
up. The thread sleeps until something is due and publishes what is due then. Of a stock publisher
that is too slow, its queue grows as long as it lasts; what has not come within the time limit makes
the round unverified.
"""

from __future__ import annotations

import time
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.harness import percentiles
from nautilus_enhanced.benchmarks.rigs.handled_reader import BEFORE
from nautilus_enhanced.benchmarks.rigs.handled_reader import HandledReader
from nautilus_enhanced.benchmarks.rigs.publishing import ORDERS
from nautilus_enhanced.benchmarks.rigs.publishing import Publisher
from nautilus_enhanced.benchmarks.rigs.publishing import Server
from nautilus_enhanced.benchmarks.rigs.stream_consumer import quote


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator


RATES = (1_000, 20_000)
BEGIN_LIMIT_S = 10.0
BEFORE_INTERVAL_S = 0.01
# Publisher and reader of each side.
SIDES = {
    "enhanced": ("enhanced", "enhanced"),
    "redis-py loop": ("enhanced", "redis-py"),
    "stock": ("stock", "stock"),
    "stock 10": ("stock 10", "stock"),
}


def publish_on_schedule(
    publish: Callable[[str, bytes], object], per_s: int, messages: int
) -> list[int]:
    """Publish messages on schedule, from the first one on; return when each was due."""
    clock, sleep = time.perf_counter_ns, time.sleep
    payloads = [quote(number) for number in range(1, messages + 1)]
    begin = clock() + 1_000_000
    dues = [begin + number * 1_000_000_000 // per_s for number in range(messages)]
    at = 0
    while at < messages:
        wait_ns = dues[at] - clock()
        if wait_ns > 0:
            sleep(wait_ns / 1e9)
        now = clock()
        while at < messages and dues[at] <= now:
            publish(ORDERS, payloads[at])
            at += 1
    return dues


def run_round(server: Server, side: str, per_s: int, seconds: float) -> Observation:
    """Publish for some seconds and say how late each message was handled."""
    publisher_kind, reader_kind = SIDES[side]
    messages = round(per_s * seconds)
    publisher = Publisher(server, publisher_kind)
    try:
        with HandledReader(server, reader_kind, messages) as reader:
            # A reader that begins with what is new does not tell from when on it reads.
            until = time.monotonic() + BEGIN_LIMIT_S
            for _ in count():
                publisher.publish(ORDERS, quote(BEFORE))
                if reader.has_begun(BEFORE_INTERVAL_S) or time.monotonic() > until:
                    break
            dues = publish_on_schedule(publisher.publish, per_s, messages)
            came = reader.end()
    finally:
        publisher.give_up()
    in_order = [number for number, _ in came] == list(range(1, messages + 1))
    late_ms = [(seen - due) / 1e6 for (_, seen), due in zip(came, dues, strict=False)]
    return Observation(figures={"late_ms": late_ms}, verified=in_order)


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield all rates on one server."""
    seconds = size.pick(1.0, 0.4, 0.3)
    names = size.pick(list(SIDES), list(SIDES)[:3], list(SIDES))
    with Server() as server:
        for per_s in size.pick(RATES, RATES[:1], RATES[:1]):
            yield Scenario(
                arms={side: partial(run_round, server, side, per_s, seconds) for side in names},
                comparisons=[
                    Comparison(
                        topology=f"order events at {per_s:,}/s, {titled(twin)}",
                        stock=twin,
                        parameters={"per_s": per_s, "twin": titled(twin)},
                    )
                    for twin in names[1:]
                ],
                metrics=percentiles(
                    "late_ms",
                    "ms",
                    {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0},
                    is_driven=True,
                ),
                rounds=size.pick(3, 2, 1),
                warm_up=False,
            )


def titled(side: str) -> str:
    """Return what a side is called."""
    return f"{side} ms" if side == "stock 10" else side


BENCHMARK = Benchmark(name="publish_to_handled", about=__doc__, scenarios=scenarios)
