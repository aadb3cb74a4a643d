"""
How late a reader sees an order event while the same thread floods the bus with quotes.

::

    trading thread ──┬─ quotes, 1,000/s or 50,000/s ──> publish ─┐
                     └─ an order event every 4.7 ms ──> publish ─┴─> server ──> XREAD in another
                     │                                                          process
                     └ due                                                      seen ┘
                     └────────────────────────── measured ───────────────────────────┘

An event is late from when it was due, not from when the thread got round to publishing it, so
that a publisher that holds up the thread is not measured less often. `thread late` is the part of
it until `publish` has returned: what the thread itself waited for the processor, the interpreter
or the publisher. The thread sleeps between
the ticks of its quotes, or it works for half of its time (`busy`) as a strategy does, holding the
interpreter.

Stock without buffering is slower than 50,000/s: its queue grows as long as the flood lasts. What
has not arrived a second after the end counts as seen then, so its percentiles are lower bounds;
the row `arrived` says how much of it there was.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import Metric
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.harness import percentiles
from nautilus_enhanced.benchmarks.rigs.event_reader import OrderEventReader
from nautilus_enhanced.benchmarks.rigs.publishing import ORDERS
from nautilus_enhanced.benchmarks.rigs.publishing import TOPIC
from nautilus_enhanced.benchmarks.rigs.publishing import Publisher
from nautilus_enhanced.benchmarks.rigs.publishing import Server
from nautilus_enhanced.benchmarks.rigs.publishing import payload


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator
    from collections.abc import Sequence


# No divisor of the intervals in which quotes are gathered, so events come anywhere in them.
EVENT_INTERVAL_S = 0.0047
TICK_S = 0.0002
GRACE_S = 1.0
STOCK = ("stock", "stock 10", "stock 100")
UNBOUNDED = "stock"
METRICS = (
    *percentiles("late_ms", "ms", {"p50": 0.5, "p99": 0.99, "max": 1.0}, is_driven=True),
    *percentiles(
        "thread_late_ms", "ms", {"p50": 0.5, "p99": 0.99}, label="thread late", is_driven=True
    ),
    Metric(figure="arrived", unit="%", better="higher", label="arrived", is_driven=True),
)


@dataclass(frozen=True)
class Flood:
    """What is published beside the order events, and how much else the thread does."""

    quotes_per_s: int
    busy: float = 0.0

    def __str__(self) -> str:
        thread = f", thread {self.busy:.0%} busy" if self.busy else ""
        return f"quotes at {self.quotes_per_s:,}/s{thread}"


FLOODS = (Flood(1_000), Flood(50_000), Flood(50_000, busy=0.5))


def work_until(end: float) -> None:
    """Do what holds the interpreter."""
    while time.perf_counter() < end:
        pass


def publish_flood(
    publish: Callable[[str, bytes], object], flood: Flood, seconds: float
) -> tuple[list[int], list[float], int]:
    """
    Publish on schedule all but the first of each, which were published before.

    Returns
    -------
    tuple[list[int], list[float], int]
        When each order event was due, how many milliseconds later it was published, and the
        number of quotes.
    """
    clock, sleep = time.perf_counter, time.sleep
    tick_s = max(TICK_S, 1 / flood.quotes_per_s)
    quotes = [payload(number) for number in range(round(seconds * flood.quotes_per_s))]
    dues: list[int] = []
    thread_late_ms: list[float] = []
    sent = 1
    begin = clock() + tick_s
    next_tick, next_event = begin, begin
    while sent < len(quotes):
        due = min(next_tick, next_event)
        if (wait := due - clock()) > 0:
            sleep(wait)
        if next_event <= next_tick:
            dues.append(round(next_event * 1e9))
            publish(ORDERS, payload(len(dues)))
            thread_late_ms.append((clock() - next_event) * 1e3)
            next_event = begin + len(dues) * EVENT_INTERVAL_S
            continue
        next_tick += tick_s
        goal = min(len(quotes), round((next_tick - begin) * flood.quotes_per_s))
        for raw in quotes[sent:goal]:
            publish(TOPIC, raw)
        sent = goal
        if flood.busy:
            work_until(clock() + tick_s * flood.busy)
    return dues, thread_late_ms, sent


@dataclass(frozen=True)
class Lateness:
    """How late events were seen, how many were not, and whether they came as they were sent."""

    late_ms: list[float]
    missing: int
    in_order: bool


def lateness(events: Sequence[tuple[int, int]], dues: Sequence[int], ended_ns: int) -> Lateness:
    """
    Say how late events were seen, in milliseconds.

    Parameters
    ----------
    events : sequence of tuple[int, int]
        The number of each and when it was seen; the first of all was published before.
    dues : sequence of int
        When each of the others was due.
    ended_ns : int
        The time that counts for those that were not seen.
    """
    # What arrives is the beginning of what was sent, in order, and for most publishers all of it.
    in_order = [number for number, _ in events] == list(range(len(events)))
    seen = [seen_ns for _, seen_ns in events[1:]]
    missing = len(dues) - len(seen)
    seen += [ended_ns] * missing
    late_ms = [(seen_ns - due_ns) / 1e6 for seen_ns, due_ns in zip(seen, dues, strict=True)]
    return Lateness(late_ms, missing, in_order)


def run_round(server: Server, kind: str, flood: Flood, seconds: float) -> Observation:
    """Flood for some seconds and say how late each order event was."""
    publisher = Publisher(server, kind)
    try:
        with OrderEventReader(server) as reader:
            # Both streams are there before it begins: making them is another story.
            publisher.publish(TOPIC, payload(0))
            publisher.publish(ORDERS, payload(0))
            server.wait_for(1, TOPIC)
            server.wait_for(1, ORDERS)
            dues, thread_late_ms, quotes = publish_flood(publisher.publish, flood, seconds)
            server.wait_for(len(dues) + 1, ORDERS, GRACE_S)
            ended_ns = time.perf_counter_ns()
            events = reader.end()
        bounded = kind != UNBOUNDED
        flooded = not bounded or server.wait_for(quotes)
    finally:
        publisher.give_up()
    found = lateness(events, dues, ended_ns)
    arrived = 100 * (1 - found.missing / len(dues))
    verified = found.in_order and flooded and not (bounded and found.missing)
    figures: dict[str, float | list[float]] = {
        "late_ms": found.late_ms,
        "thread_late_ms": thread_late_ms,
        "arrived": arrived,
    }
    return Observation(figures=figures, verified=verified)


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield all floods on one server."""
    stocks = size.pick(STOCK, STOCK[1:2], STOCK)
    seconds = size.pick(0.8, 0.4, 0.2)
    with Server() as server:
        for flood in size.pick(FLOODS, FLOODS[1:2], FLOODS[1:2]):
            yield Scenario(
                arms={
                    kind: partial(run_round, server, kind, flood, seconds)
                    for kind in ("enhanced", *stocks)
                },
                comparisons=[
                    Comparison(
                        topology=f"{flood}, {f'{stock} ms' if ' ' in stock else 'stock default'}",
                        stock=stock,
                        parameters={
                            "quotes_per_s": flood.quotes_per_s,
                            "busy": flood.busy,
                            "stock": stock,
                        },
                    )
                    for stock in stocks
                ],
                metrics=METRICS,
                rounds=size.pick(3, 3, 1),
                warm_up=False,
            )


BENCHMARK = Benchmark(name="publish_latency_under_flood", about=__doc__, scenarios=scenarios)
