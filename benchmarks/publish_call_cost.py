"""
What one call of `publish` costs the thread that publishes.

::

    trading thread: backing.publish(topic, 200 bytes) ──> client.offer ──> lanes ──> writer ──> ...
                    └──────── measured, and the client's part alone ──────────┘
    a function that does nothing, called the same                      (the ceiling)

Twice: in a tight loop, where a sample is the mean of 100 calls (and the writer wants the
interpreter while they run), and cold, where a sample is one call after a sleep of 1 ms. The loop
around the calls and the look at the clock are included, as they are in the ceiling. Topics of
quotes are taken in turns, each of them used once before; `new topics` are the first calls on each
of 5,000. An order event wakes the writer each time, a quote only after a rest.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from itertools import islice
from typing import TYPE_CHECKING

from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.harness import percentiles
from nautilus_enhanced.benchmarks.rigs.publishing import ORDERS
from nautilus_enhanced.benchmarks.rigs.publishing import Publisher
from nautilus_enhanced.benchmarks.rigs.publishing import Server
from nautilus_enhanced.benchmarks.rigs.publishing import payload


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator
    from collections.abc import Sequence


CHUNK = 100
COLD_S = 0.001
STOCK = ("stock 100", "stock")
# What the enhanced bus's own function calls at once.
CLIENT = "enhanced client"
# The default of stock makes a round trip for each message, and all of them are waited for.
SLOWER = {"stock": 10}


@dataclass(frozen=True)
class Case:
    """What is called: on which topics, in a tight loop or cold, on topics used before or not."""

    name: str
    topics: tuple[str, ...]
    is_cold: bool = False
    is_new: bool = False
    is_quick: bool = False


def quote_topics(count: int) -> tuple[str, ...]:
    """Return topics of quotes."""
    return tuple(f"data.quotes.BINANCE.SYMBOL{number}" for number in range(count))


CASES = (
    *(Case("in a loop", quote_topics(n), is_quick=n == 50) for n in (1, 50, 5_000)),  # noqa: PLR2004
    Case("in a loop, new topics", quote_topics(5_000), is_new=True),
    *(Case("cold", quote_topics(n), is_cold=True, is_quick=n == 1) for n in (1, 5_000)),
    Case("cold, order events", (ORDERS,), is_cold=True),
)


def do_nothing(topic: str, payload: bytes) -> None:
    """Take what `publish` takes."""


def time_chunks(
    publish: Callable[[str, bytes], object], messages: Sequence[tuple[str, bytes]]
) -> list[float]:
    """Return microseconds a call, of each 100 calls."""
    clock = time.perf_counter_ns
    costs = []
    for at in range(0, len(messages), CHUNK):
        chunk = messages[at : at + CHUNK]
        begin = clock()
        for topic, raw in chunk:
            publish(topic, raw)
        costs.append((clock() - begin) / len(chunk) / 1e3)
    return costs


def time_cold(
    publish: Callable[[str, bytes], object], messages: Sequence[tuple[str, bytes]]
) -> list[float]:
    """Return microseconds of each call, one a millisecond."""
    clock = time.perf_counter_ns
    costs = []
    for topic, raw in messages:
        time.sleep(COLD_S)
        begin = clock()
        publish(topic, raw)
        costs.append((clock() - begin) / 1e3)
    return costs


def make_messages(topics: Sequence[str], count: int) -> list[tuple[str, bytes]]:
    """Return messages on the topics in turns."""
    return [(topic, payload(number)) for number, topic in enumerate(islice(cycle(topics), count))]


def run_round(server: Server, kind: str, case: Case, count: int) -> Observation:
    """Return what calls cost in microseconds, and whether all messages arrived in order."""
    measure = time_cold if case.is_cold else time_chunks
    topics = case.topics
    first = 0 if case.is_new else len(topics)
    messages = make_messages(topics, first + count)
    if kind == "ceiling":
        return Observation(figures={"us": measure(do_nothing, messages[first:])})
    with Publisher(server, kind, len(messages)) as publisher:
        for topic, raw in messages[:first]:
            publisher.publish(topic, raw)
        settled = not first or server.wait_for(1, topics[-1])
        costs = measure(publisher.publish, messages[first:])
    # Leaving has sent all of it.
    streams = {
        topic: range(at, len(messages), len(topics))
        for at, topic in enumerate(topics[: len(messages)])
    }
    verified = settled and server.are_in_order(streams)
    return Observation(figures={"us": costs}, verified=verified)


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield all cases on one server."""
    loop_calls, cold_calls = size.pick(10_000, 3_000, 1_000), size.pick(250, 100, 50)
    stocks = size.pick(STOCK, STOCK[:1], STOCK)
    cases = size.pick(CASES, tuple(case for case in CASES if case.is_quick), CASES)
    with Server() as server:
        for case in cases:
            calls = cold_calls if case.is_cold else loop_calls
            if case.is_new:
                calls = min(calls, len(case.topics))
            slower = {} if case.is_cold or case.is_new else SLOWER
            kinds = ("enhanced", CLIENT, *stocks, "ceiling")
            yield Scenario(
                arms={
                    kind: partial(run_round, server, kind, case, calls // slower.get(kind, 1))
                    for kind in kinds
                },
                comparisons=[
                    Comparison(
                        topology=(
                            f"{case.name}, {len(case.topics):,} topics, "
                            f"{stock if ' ' in stock else 'stock default'}"
                        ),
                        label=label,
                        enhanced=ours,
                        stock=stock,
                        ceiling="ceiling",
                        parameters={
                            "case": case.name,
                            "topics": len(case.topics),
                            "stock": stock,
                        },
                    )
                    for stock in stocks
                    for label, ours in (("", "enhanced"), ("client", CLIENT))
                ],
                metrics=percentiles("us", "µs/call", {"p50": 0.5, "p99": 0.99}),
                # A call that is cold costs one time or another, by where the threads are.
                rounds=size.pick(9 if case.is_cold else 5, 3, 1),
                warm_up=size is Size.QUICK,
            )


BENCHMARK = Benchmark(name="publish_call_cost", about=__doc__, scenarios=scenarios)
