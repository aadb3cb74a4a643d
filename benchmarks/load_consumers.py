"""
Messages a second that a group handles and acknowledges, by how many processes are in it.

::

    a stream with N entries ──> server ──┬─XREADGROUP──> consumer 1 ──> handler ──> XACK
                                         ├─XREADGROUP──> consumer 2 ──> handler ──> XACK
                                         └─ ...          └─ 1 to 8 processes, measured ─┘
    the twin: redis-py in as many processes

``order="none"``: any consumer may have any message, which is what shares one stream. All of them
are ready and stopped (SIGSTOP) while the stream is filled; it begins when they go on, and ends when
the group has acknowledged the last message. That each message was handled once is looked at.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING
from typing import Any

import redis
import uvloop

from nautilus_enhanced.benchmarks.consume_throughput import fill
from nautilus_enhanced.benchmarks.harness import Apart
from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import Curve
from nautilus_enhanced.benchmarks.harness import Metric
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.harness import frozen
from nautilus_enhanced.benchmarks.harness import spare_imports
from nautilus_enhanced.benchmarks.harness import tell
from nautilus_enhanced.benchmarks.rigs.publishing import NAMING
from nautilus_enhanced.benchmarks.rigs.publishing import Server
from nautilus_enhanced.benchmarks.rigs.stream_consumer import number_of
from nautilus_enhanced.benchmarks.rigs.stream_consumer import topic_of
from nautilus_enhanced.infrastructure.messagebus.streams import StreamClient
from nautilus_enhanced.infrastructure.messagebus.streams import SubscriptionSettings


if TYPE_CHECKING:
    from collections.abc import Iterator


CONSUMERS = (1, 2, 4, 8)
BATCH = SubscriptionSettings().read_count
GROUP, OVER = "readers", "over"
LIMIT_S = 60.0
POLL_S = 0.002
# How often a consumer looks whether it is over.
LOOK_S = 0.02


def consume(url: str, kind: str, topic: str, name: str) -> list[int]:
    """Read until there is the key that says that it is over; return what was handled."""
    spare_imports()
    payloads: list[bytes] = []
    if kind == "enhanced":
        uvloop.run(_subscribe(url, payloads, topic))
    else:
        _loop(url, payloads, topic, name)
    return [number_of(raw) for raw in payloads]


async def _subscribe(url: str, payloads: list[bytes], topic: str) -> None:
    with redis.Redis.from_url(url) as store:
        async with StreamClient(url, naming=NAMING) as client:
            subscription = client.subscribe(
                topic,
                lambda message: payloads.append(message.payload),
                group=GROUP,
                start="beginning",
                settings=SubscriptionSettings(order="none"),
            )
            await subscription.ready(LIMIT_S)
            tell("ready")
            until = time.monotonic() + LIMIT_S
            while (  # noqa: ASYNC110 (only the server tells)
                not store.exists(OVER) and time.monotonic() < until
            ):
                await asyncio.sleep(LOOK_S)


def _loop(url: str, payloads: list[bytes], topic: str, name: str) -> None:
    key = NAMING.key(topic)
    with redis.Redis.from_url(url) as store:
        tell("ready")
        until = time.monotonic() + LIMIT_S
        while not store.exists(OVER) and time.monotonic() < until:
            answer: Any = store.xreadgroup(GROUP, name, {key: ">"}, count=BATCH, block=100)
            for _, entries in answer:
                payloads.extend(fields[b"payload"] for _, fields in entries)
                store.xack(key, GROUP, *[entry_id for entry_id, _ in entries])


def run_round(server: Server, kind: str, consumers: int, messages: int) -> Observation:
    """Run consumers, each in a process of its own; return messages a second of all of them."""
    topic = topic_of(messages)
    store, key = server.store, NAMING.key(topic)
    store.flushall()
    store.xgroup_create(key, GROUP, "0", mkstream=True)
    with ExitStack() as stack:
        children = [
            stack.enter_context(Apart(consume, server.url, kind, topic, f"c{number}"))
            for number in range(consumers)
        ]
        for child in children:
            child.told(LIMIT_S)
        with frozen(*(child.pid for child in children)):
            fill(server, messages)
            begin = time.perf_counter()
        until = begin + LIMIT_S
        while not is_done(store, key) and time.perf_counter() < until:
            time.sleep(POLL_S)
        seconds = time.perf_counter() - begin
        store.set(OVER, "")
        numbers = [number for child in children for number in child.result(LIMIT_S)]
    return Observation(
        figures={"rate": messages / seconds}, verified=sorted(numbers) == list(range(messages))
    )


def is_done(store: redis.Redis, key: str) -> bool:
    """Return whether the group has read all of a stream and acknowledged it."""
    (found,) = store.xinfo_groups(key)
    return bool(found["lag"] == 0 and found["pending"] == 0)


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield all numbers of consumers on one server."""
    messages = size.pick(40_000, 8_000, 1_000)
    with Server() as server:
        for consumers in size.pick(CONSUMERS, (2,), (1, 2)):
            yield Scenario(
                arms={
                    kind: partial(run_round, server, kind, consumers, messages)
                    for kind in ("enhanced", "stock")
                },
                comparisons=[
                    Comparison(
                        topology=f"one stream, {consumers} consumers, 200 bytes, redis-py",
                        parameters={"consumers": consumers},
                    )
                ],
                metrics=[Metric(figure="rate", unit="msg/s", better="higher")],
                rounds=size.pick(6, 2, 1),
                warm_up=False,
            )


BENCHMARK = Benchmark(
    name="load_consumers",
    about=__doc__,
    scenarios=scenarios,
    processes=3,
    curves=(
        Curve(
            title="Messages a second, by consumers of a group",
            row="load_consumers",
            parameter="consumers",
            axis="processes",
            why="The server serves one command at a time and takes one of the two processors; one "
            "consumer nearly takes the other. So a second one adds little, and with more of them "
            "than processors they wait for one another.",
        ),
    ),
)
