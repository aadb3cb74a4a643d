"""
How late a reader sees an order event while a thousand other connections wait at the server.

::

    1 to 1,000 connections ──XREAD, blocking, nothing comes──> server
    order event every 2 ms ──> publish ──> server ──> XREAD in another process
        due └────────────────────── measured ─────────────────────┘ seen

Every consumer is a connection that waits at the server, so this is what many of them cost those
who trade. The order events come without quotes beside them. That all connections still waited
afterwards, and nothing came over them, is looked at.
"""

from __future__ import annotations

import socket
import time
from functools import partial
from typing import TYPE_CHECKING

from nautilus_enhanced.benchmarks.harness import Apart
from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import Curve
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.harness import percentiles
from nautilus_enhanced.benchmarks.publish_latency_under_flood import lateness
from nautilus_enhanced.benchmarks.rigs.event_reader import OrderEventReader
from nautilus_enhanced.benchmarks.rigs.idle_connections import hold
from nautilus_enhanced.benchmarks.rigs.publishing import ORDERS
from nautilus_enhanced.benchmarks.rigs.publishing import Publisher
from nautilus_enhanced.benchmarks.rigs.publishing import Server
from nautilus_enhanced.benchmarks.rigs.publishing import payload


if TYPE_CHECKING:
    from collections.abc import Iterator


CONNECTIONS = (1, 10, 100, 1_000)
INTERVAL_S = 0.002
LIMIT_S = 60.0
STOCK = "stock"


def run_round(server: Server, kind: str, connections: int, events: int) -> Observation:
    """Hold connections, publish order events on schedule; return how late each was seen."""
    stop_port = free_port()
    publisher = Publisher(server, kind)
    try:
        with (
            Apart(hold, server.url, connections, stop_port) as holder,
            OrderEventReader(server) as reader,
        ):
            holder.told(LIMIT_S)
            publisher.publish(ORDERS, payload(0))
            server.wait_for(1, ORDERS)
            dues = publish_on_schedule(publisher, events)
            server.wait_for(events + 1, ORDERS)
            ended_ns = time.perf_counter_ns()
            seen = reader.end()
            socket.create_connection(("127.0.0.1", stop_port), 10.0).close()
            waiting = holder.result(LIMIT_S)
    finally:
        publisher.give_up()
    found = lateness(seen, dues, ended_ns)
    verified = found.in_order and not found.missing and waiting == connections
    return Observation(figures={"late_ms": found.late_ms}, verified=verified)


def publish_on_schedule(publisher: Publisher, events: int) -> list[int]:
    """Publish order events; return when each was due, in nanoseconds."""
    begin = time.perf_counter() + INTERVAL_S
    dues = []
    for number in range(1, events + 1):
        due = begin + number * INTERVAL_S
        if (wait := due - time.perf_counter()) > 0:
            time.sleep(wait)
        publisher.publish(ORDERS, payload(number))
        dues.append(round(due * 1e9))
    return dues


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield all numbers of connections on one server."""
    events = size.pick(250, 150, 20)
    with Server() as server:
        for connections in size.pick(CONNECTIONS, CONNECTIONS[-1:], CONNECTIONS[:2]):
            yield Scenario(
                arms={
                    kind: partial(run_round, server, kind, connections, events)
                    for kind in ("enhanced", STOCK)
                },
                comparisons=[
                    Comparison(
                        topology=f"{connections:,} connections, an order event every 2 ms",
                        parameters={"connections": connections},
                    )
                ],
                metrics=percentiles("late_ms", "ms", {"p50": 0.5, "p99": 0.99}, is_driven=True),
                rounds=size.pick(5, 2, 1),
                warm_up=False,
            )


BENCHMARK = Benchmark(
    name="connections_1000",
    about=__doc__,
    scenarios=scenarios,
    curves=(
        Curve(
            title="How late an order event is seen, by waiting connections",
            row="connections_1000 p50",
            parameter="connections",
            axis="connections that wait at the server",
            why="A connection that waits costs the server nothing until its stream gets an entry: "
            "the lines are level. What comes with more connections is memory, not delay.",
        ),
    ),
)
