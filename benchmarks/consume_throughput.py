"""
Messages a second that one process reads from a stream, handles and acknowledges.

::

    a stream with N entries ──> server ──XREADGROUP──> reader ──> handler ──> XACK ──> server
                                        └────────── one process ───────────┘
    the same with a twin: redis-py in a loop, FastStream, streaQ (tasks in its own streams)
    a socket and hiredis, the next batch asked for with each acknowledgement     (a ceiling)

From the first step of a consumer until the server has confirmed the last acknowledgement, with
a handler that notes the payload; that all came, once and in order, is looked at afterwards. Each
round is a process of its own with a group of its own. As many entries are asked for at once as a
subscription asks for by default. Twins that are not installed are left out and named; those that
handle a few thousand messages a second get a part of the messages.
"""

from __future__ import annotations

import importlib.metadata
import statistics
import sys
from functools import partial
from itertools import count
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

from nautilus_enhanced.benchmarks.rigs.publishing import NAMING
from nautilus_enhanced.benchmarks.rigs.publishing import Server
from nautilus_enhanced.benchmarks.rigs.stream_consumer import quote
from nautilus_enhanced.benchmarks.rigs.stream_consumer import topic_of


if TYPE_CHECKING:
    from collections.abc import Callable


FILLED_AT_ONCE = 1_000


class Case(NamedTuple):
    """Who consumes, and what is made of a payload."""

    kind: str
    body: str = "raw"

    def __str__(self) -> str:
        return f"{self.kind}, {self.body}"


CEILING = Case("socket")
# What is compared with what: a handler called on a loop is what most have.
PAIRS = (
    (Case("loop"), Case("redis-py")),
    (Case("thread"), Case("redis-py")),
    (Case("4 threads"), Case("redis-py")),
    (Case("async"), Case("redis-py")),
    (Case("loop", "msgspec"), Case("redis-py", "msgspec")),
    (Case("loop", "nautilus"), Case("redis-py", "nautilus")),
    (Case("loop"), Case("faststream")),
    (Case("async"), Case("faststream")),
    (Case("async"), Case("streaq")),
)
# Of those that take a moment for each message.
PARTS = {"faststream": 20, "streaq": 50, "async": 4, "4 threads": 2}
DISTRIBUTIONS = {"redis-py": "redis", "faststream": "faststream", "streaq": "streaq"}


def versions() -> dict[str, str]:
    """Return the twins that are installed, with their versions."""
    found = {}
    for kind, distribution in DISTRIBUTIONS.items():
        try:
            found[kind] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            print(f"{kind} is left out: it is not installed", file=sys.stderr)
    return found


def fill(server: Server, messages: int) -> None:
    """Put quotes into the stream of so many, as a node would."""
    topic = topic_of(messages)
    key = NAMING.key(topic)
    for at in range(0, messages, FILLED_AT_ONCE):
        with server.store.pipeline(transaction=False) as pipeline:
            for number in range(at, min(messages, at + FILLED_AT_ONCE)):
                fields = {"topic": topic, "payload": quote(number), "type": "", "encoding": "Json"}
                pipeline.xadd(key, fields)  # type: ignore[arg-type]  # it wants what is less exact
            pipeline.execute()


def run_round(server: Server, case: Case, messages: int, names: count[int]) -> dict[str, Any]:
    """Return what a consumer in a process of its own found."""
    group = f"round-{next(names)}"
    found: dict[str, Any] = run_child(
        "stream_consumer.py", server.url, group, case.kind, case.body, messages
    )
    if case.kind != "streaq":
        key = NAMING.key(topic_of(messages))
        found["verified"] &= not server.store.xpending(key, group)["pending"]
        server.store.xgroup_destroy(key, group)
    return found


def main() -> None:
    """Run all consumers in turns and print the figures."""
    options = arguments(__doc__)
    messages = sized(options, 200_000, 50_000, 2_000)
    installed = versions()
    pairs = [pair for pair in PAIRS if pair[1].kind in installed]
    cases = dict.fromkeys([case for pair in pairs for case in pair] + [CEILING])
    sizes = {case: max(500, messages // PARTS.get(case.kind, 1)) for case in cases}
    names = count()
    with Server() as server:
        for size in sorted(set(sizes.values())):
            fill(server, size)
        sides: dict[str, Callable[[], dict[str, Any]]] = {
            str(case): partial(run_round, server, case, sizes[case], names) for case in cases
        }
        results = interleave(sized(options, 5, 2, 1), sides)
    rates = {name: [found["rate"] for found in rounds] for name, rounds in results.items()}
    verified = {name: all(f["verified"] for f in rounds) for name, rounds in results.items()}
    rows: list[Row] = [
        make_row(
            "consume_throughput",
            f"one stream, 200 bytes, {ours}, {twin.kind} {installed[twin.kind]}, socket",
            "msg/s",
            "higher",
            rates[str(ours)],
            rates[str(twin)],
            statistics.median(rates[str(CEILING)]),
            verified=verified[str(ours)] and verified[str(twin)] and verified[str(CEILING)],
            parameters={
                "handler": ours.kind,
                "body": ours.body,
                "twin": f"{twin.kind} {installed[twin.kind]}",
            },
        )
        for ours, twin in pairs
    ]
    report(rows, options)
