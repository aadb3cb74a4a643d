"""
What the bus's figures cost: a client whose statistics are read all the time, and one left alone.

::

    thread: publish(topic, 200 bytes) x N ──> lanes ──> writer ──> server
            └─ measured: processor time of the process, a message ─┘
    another thread: client.statistics() every 10 ms                  (the column of enhanced)
    nobody reads them                                                (the column of stock)

Stock has no figures that could be read, so the twin is the same bus without a reader. Counters are
counted either way: what reading them takes is measured here, a hundred times as often as a
dashboard reads them, and by itself (`one reading`, beside a call of a function that does nothing).
What adapters note of each message is measured by ``adapter_overhead``.
"""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import Metric
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.rigs.publishing import NAMING
from nautilus_enhanced.benchmarks.rigs.publishing import TOPIC
from nautilus_enhanced.benchmarks.rigs.publishing import Server
from nautilus_enhanced.benchmarks.rigs.publishing import payload
from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator


EVERY_S = 0.01
PAUSED_AFTER = 20
PAUSE_S = 0.001
FLUSH_LIMIT_S = 30.0


def do_nothing() -> None:
    """Take no time."""


def run_round(server: Server, messages: int, *, is_read: bool) -> Observation:
    """Publish at 20,000 a second; return microseconds of processor time a message."""
    server.store.flushall()
    stop = threading.Event()
    client = BufferedMessageBusClient(server.url, naming=NAMING)
    client.start(10.0)

    def read() -> None:
        while not stop.wait(EVERY_S):
            client.statistics()

    reader = threading.Thread(target=read, daemon=True)
    if is_read:
        reader.start()
    payloads = [payload(number) for number in range(messages)]
    begin = time.process_time()
    for at in range(0, messages, PAUSED_AFTER):
        for raw in payloads[at : at + PAUSED_AFTER]:
            client.offer(TOPIC, raw)
        time.sleep(PAUSE_S)
    client.flush_blocking(FLUSH_LIMIT_S)
    took_us = (time.process_time() - begin) / messages * 1e6
    stop.set()
    if is_read:
        reader.join()
    counted = client.statistics().published
    client.stop(5.0)
    verified = counted == messages and server.is_in_order(range(messages))
    return Observation(figures={"us": took_us}, verified=verified)


def run_calls(function: Callable[[], object], calls: int) -> Observation:
    """Return microseconds a call."""
    begin = time.thread_time()
    for _ in range(calls):
        function()
    return Observation(figures={"call_us": (time.thread_time() - begin) / calls * 1e6})


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield publishing with and without a reader, and reading alone."""
    messages = size.pick(20_000, 4_000, 1_000)
    with Server() as server:
        yield Scenario(
            arms={
                "enhanced": partial(run_round, server, messages, is_read=True),
                "stock": partial(run_round, server, messages, is_read=False),
            },
            comparisons=[Comparison(topology="one publisher at 20,000/s, read every 10 ms")],
            metrics=[Metric(figure="us", unit="µs/message")],
            rounds=size.pick(7, 3, 1),
        )
        client = BufferedMessageBusClient(server.url, naming=NAMING)
        client.start(10.0)
        calls = size.pick(1_000, 200, 20)
        yield Scenario(
            arms={
                "enhanced": partial(run_calls, client.statistics, calls),
                "stock": partial(run_calls, do_nothing, calls),
            },
            comparisons=[Comparison(topology="client.statistics() beside an empty call")],
            metrics=[Metric(figure="call_us", unit="µs/call", label="one reading")],
            rounds=size.pick(7, 3, 1),
        )
        client.stop(5.0)


BENCHMARK = Benchmark(name="monitoring_overhead", about=__doc__, scenarios=scenarios)
