"""
Messages a second that one publisher gets into one stream, from first call to last entry.

::

    publish(topic, 200 bytes) x N, in a loop ──> lanes ──> writer ──> server ──> N entries there
    XADD commands made beforehand, 256 at a time ──> socket ──> server          (a ceiling)
    redis-benchmark -c 1 -P 256 -n N XADD ... ──> server                        (a ceiling)

The second ceiling is there where ``redis-benchmark`` or ``valkey-benchmark`` is installed.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from functools import partial
from typing import TYPE_CHECKING

import hiredis

from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import LeftOut
from nautilus_enhanced.benchmarks.harness import Metric
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.rigs.publishing import NAMING
from nautilus_enhanced.benchmarks.rigs.publishing import TOPIC
from nautilus_enhanced.benchmarks.rigs.publishing import Publisher
from nautilus_enhanced.benchmarks.rigs.publishing import Server
from nautilus_enhanced.benchmarks.rigs.publishing import payload
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import command


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator


PIPELINE = 256
STOCK = ("stock 100", "stock 10", "stock")
# The default of stock makes a round trip for each message.
SLOWER = {"stock": 20}
# What comes with a server, whichever is installed.
TOOLS = ("valkey-benchmark", "redis-benchmark")
TOOL_LIMIT_S = 120.0
# It ends now and then without having measured anything.
TOOL_ATTEMPTS = 3


def run_round(server: Server, kind: str, messages: int) -> Observation:
    """Return messages a second, and whether all arrived, once and in order."""
    payloads = [payload(number) for number in range(messages)]
    with Publisher(server, kind, messages) as publisher:
        publish = publisher.publish
        begin = time.perf_counter()
        for raw in payloads:
            publish(TOPIC, raw)
        arrived = server.wait_for(messages)
        elapsed = time.perf_counter() - begin
    verified = arrived and server.is_in_order(range(messages))
    return Observation(figures={"rate": messages / elapsed}, verified=verified)


def run_socket(server: Server, messages: int) -> Observation:
    """Return how many XADD a second a socket gets through that has nothing else to do."""
    server.store.flushall()
    key = NAMING.key(TOPIC).encode()
    fields = (b"topic", TOPIC.encode(), b"payload")
    rest = (b"type", b"", b"encoding", b"Json")
    commands = [
        command(b"XADD", key, b"1-%d" % (number + 1), *fields, payload(number), *rest)
        for number in range(messages)
    ]
    batches = [b"".join(commands[at : at + PIPELINE]) for at in range(0, messages, PIPELINE)]
    reader = hiredis.Reader()
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answered = 0
        begin = time.perf_counter()
        for number, batch in enumerate(batches, 1):
            raw.sendall(batch)
            while answered < min(number * PIPELINE, messages):
                reader.feed(raw.recv(65_536))
                while reader.gets() is not False:
                    answered += 1
        elapsed = time.perf_counter() - begin
    verified = server.is_in_order(range(messages))
    return Observation(figures={"rate": messages / elapsed}, verified=verified)


def run_tool(server: Server, tool: str, messages: int) -> Observation:
    """Return how many of the same XADD a second a benchmark says that it got through."""
    fields = ("topic", TOPIC, "payload", payload(0).decode(), "type", "", "encoding", "Json")
    size = ("-p", str(server.port), "-c", "1", "-P", str(PIPELINE), "-n", str(messages))
    command = [tool, *size, "-q", "XADD", NAMING.key(TOPIC), "*", *fields]
    for attempt in range(TOOL_ATTEMPTS):
        server.store.flushall()
        done = subprocess.run(  # noqa: S603 (found on PATH, arguments of our own)
            command, capture_output=True, text=True, timeout=TOOL_LIMIT_S, check=False
        )
        if done.returncode == 0:
            break
        if attempt + 1 == TOOL_ATTEMPTS:
            raise RuntimeError(f"{tool} ended with {done.returncode}: {done.stderr[-500:]}")
    # Whole pipelines are sent, so there may be a few more.
    verified = messages <= server.length() < messages + PIPELINE
    return Observation(figures={"rate": rate_of_tool(done.stdout)}, verified=verified)


def rate_of_tool(output: str) -> float:
    """
    Return the rate at the end of what a benchmark printed.

    Raises
    ------
    ValueError
        If there is none.
    """
    rates = re.findall(r"([\d.]+) requests per second", output)
    if not rates:
        raise ValueError(f"no rate in {output[-500:]!r}")
    return float(rates[-1])


def ceilings(server: Server, messages: int) -> dict[str, Callable[[], Observation]]:
    """Return what is to be had of the best that could be reached."""
    found: dict[str, Callable[[], Observation]] = {
        "bare socket": partial(run_socket, server, messages)
    }
    tool = next(filter(None, map(shutil.which, TOOLS)), None)
    if tool is not None:
        found["redis-benchmark"] = partial(run_tool, server, tool, messages)
    return found


def scenarios(size: Size) -> Iterator[Scenario | LeftOut]:
    """Yield the publishers and the ceilings, all on one server."""
    messages = size.pick(100_000, 15_000, 2_000)
    with Server() as server:
        best = ceilings(server, messages)
        publishers = {
            kind: partial(run_round, server, kind, messages // SLOWER.get(kind, 1))
            for kind in ("enhanced", *STOCK)
        }
        yield Scenario(
            arms=publishers | best,
            comparisons=[
                Comparison(
                    topology=(
                        f"one stream, 200 bytes, {kind if ' ' in kind else 'stock default'}, "
                        f"{ceiling}"
                    ),
                    stock=kind,
                    ceiling=ceiling,
                    parameters={"stock": kind, "ceiling": ceiling},
                )
                for ceiling in best
                for kind in STOCK
            ],
            metrics=[Metric(figure="rate", unit="msg/s", better="higher")],
            rounds=size.pick(9, 3, 1),
        )
    if len(best) == 1:
        yield LeftOut("redis-benchmark", "neither it nor valkey-benchmark is on PATH")


BENCHMARK = Benchmark(name="publish_throughput", about=__doc__, scenarios=scenarios)
