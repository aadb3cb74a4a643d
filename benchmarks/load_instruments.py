"""
What a message costs until it is in its stream, by how many instruments there are.

::

    publish(topic of the instrument, 200 bytes) x N, in turns ──> lanes ──> writer ──> server
    └──────────── measured until the last stream has its last entry, a message ────────────┘

Each instrument has a topic, and a stream. There are as many messages for any number of
instruments (and one for each at least); all topics were used once before.
"""

from __future__ import annotations

import time
from functools import partial
from itertools import cycle
from itertools import islice
from typing import TYPE_CHECKING

from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import Curve
from nautilus_enhanced.benchmarks.harness import Metric
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.publish_call_cost import quote_topics
from nautilus_enhanced.benchmarks.rigs.publishing import Publisher
from nautilus_enhanced.benchmarks.rigs.publishing import Server
from nautilus_enhanced.benchmarks.rigs.publishing import payload


if TYPE_CHECKING:
    from collections.abc import Iterator


INSTRUMENTS = (10, 100, 1_000, 10_000, 100_000)
STOCK = "stock 100"
LIMIT_S = 120.0


def run_round(server: Server, kind: str, instruments: int, messages: int) -> Observation:
    """Publish to all instruments in turns; return microseconds a message."""
    topics = quote_topics(instruments)
    total = instruments + max(messages, instruments)
    numbered = [(topic, payload(n)) for n, topic in enumerate(islice(cycle(topics), total))]
    with Publisher(server, kind, total) as publisher:
        for topic, raw in numbered[:instruments]:
            publisher.publish(topic, raw)
        arrived = server.wait_for_last(numbered[instruments - 1], LIMIT_S)
        begin = time.perf_counter()
        for topic, raw in numbered[instruments:]:
            publisher.publish(topic, raw)
        arrived = server.wait_for_last(numbered[-1], LIMIT_S) and arrived
        took_us = (time.perf_counter() - begin) / (total - instruments) * 1e6
    streams = {topic: range(at, total, instruments) for at, topic in enumerate(topics)}
    return Observation(figures={"us": took_us}, verified=arrived and server.are_in_order(streams))


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield all numbers of instruments on one server."""
    messages = size.pick(30_000, 3_000, 1_000)
    with Server() as server:
        for instruments in size.pick(INSTRUMENTS, (1_000,), (10, 100)):
            yield Scenario(
                arms={
                    kind: partial(run_round, server, kind, instruments, messages)
                    for kind in ("enhanced", STOCK)
                },
                comparisons=[
                    Comparison(
                        topology=f"{instruments:,} instruments, 200 bytes, {STOCK} ms",
                        stock=STOCK,
                        parameters={"instruments": instruments},
                    )
                ],
                metrics=[Metric(figure="us", unit="µs/message")],
                rounds=size.pick(3, 2, 1),
                warm_up=False,
            )


BENCHMARK = Benchmark(
    name="load_instruments",
    about=__doc__,
    scenarios=scenarios,
    curves=(
        Curve(
            title="What a message costs, by instruments",
            row="load_instruments",
            parameter="instruments",
            axis="instruments",
            why="What is known of a stream is looked up in a table, here and in the server, so "
            "both are level. Ours remembers 262,144 topics; with more of them in turns each would "
            "cost what a new one does.",
        ),
    ),
)
