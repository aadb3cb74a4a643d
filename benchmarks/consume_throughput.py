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
from functools import partial
from itertools import count
from typing import TYPE_CHECKING
from typing import NamedTuple

from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import LeftOut
from nautilus_enhanced.benchmarks.harness import Metric
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.harness import call_apart
from nautilus_enhanced.benchmarks.rigs.publishing import NAMING
from nautilus_enhanced.benchmarks.rigs.publishing import Server
from nautilus_enhanced.benchmarks.rigs.stream_consumer import consume
from nautilus_enhanced.benchmarks.rigs.stream_consumer import quote
from nautilus_enhanced.benchmarks.rigs.stream_consumer import topic_of


if TYPE_CHECKING:
    from collections.abc import Iterator


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
# The pairs of runs that are not full.
QUICKLY = (Case("loop"), Case("thread"))
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
            continue
    return found


def fill(server: Server, messages: int) -> None:
    """Put quotes into the stream of so many, as a node would."""
    topic = topic_of(messages)
    key = NAMING.key(topic)
    for at in range(0, messages, FILLED_AT_ONCE):
        with server.store.pipeline(transaction=False) as pipeline:
            for number in range(at, min(messages, at + FILLED_AT_ONCE)):
                fields = {"topic": topic, "payload": quote(number), "type": "", "encoding": "Json"}
                pipeline.xadd(key, fields)
            pipeline.execute()


def run_round(server: Server, case: Case, messages: int, names: count[int]) -> Observation:
    """Return what a consumer in a process of its own found."""
    group = f"round-{next(names)}"
    found = call_apart(consume, server.url, group, case.kind, case.body, messages)
    verified = found["verified"]
    if case.kind != "streaq":
        key = NAMING.key(topic_of(messages))
        verified &= not server.store.xpending(key, group)["pending"]
        server.store.xgroup_destroy(key, group)
    return Observation(figures={"rate": found["rate"]}, verified=verified)


def scenarios(size: Size) -> Iterator[Scenario | LeftOut]:
    """Yield all consumers on one server."""
    messages = size.pick(40_000, 15_000, 2_000)
    installed = versions()
    for kind in DISTRIBUTIONS.keys() - installed.keys():
        yield LeftOut(f"the twin {kind}", "it is not installed")
    pairs = [pair for pair in PAIRS if pair[1].kind in installed]
    if size is not Size.FULL:
        pairs = [pair for pair in pairs if pair[0] in QUICKLY]
    cases = dict.fromkeys([case for pair in pairs for case in pair] + [CEILING])
    sizes = {case: max(500, messages // PARTS.get(case.kind, 1)) for case in cases}
    names = count()
    with Server() as server:
        for one in sorted(set(sizes.values())):
            fill(server, one)
        yield Scenario(
            arms={
                str(case): partial(run_round, server, case, sizes[case], names) for case in cases
            },
            comparisons=[
                Comparison(
                    topology=(
                        f"one stream, 200 bytes, {ours}, {twin.kind} {installed[twin.kind]}, socket"
                    ),
                    enhanced=str(ours),
                    stock=str(twin),
                    ceiling=str(CEILING),
                    parameters={
                        "handler": ours.kind,
                        "body": ours.body,
                        "twin": f"{twin.kind} {installed[twin.kind]}",
                    },
                )
                for ours, twin in pairs
            ],
            metrics=[Metric(figure="rate", unit="msg/s", better="higher")],
            rounds=size.pick(3, 2, 1),
            warm_up=False,
        )


BENCHMARK = Benchmark(name="consume_throughput", about=__doc__, scenarios=scenarios)
