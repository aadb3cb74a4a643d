"""
Messages a second that one process handles and acknowledges, by how many subscriptions it has.

::

    N streams with entries ──> server ──XREADGROUP──> reader ──> N subscriptions ──> handlers, XACK
                                       └────────────── one process, measured ──────────────┘
    the twin: redis-py, one XREADGROUP of all N streams and an XACK for each, in a loop

There are as many messages for any number of subscriptions. `setup` is the time from the first
`subscribe` until each subscription has handled and acknowledged the one message that its stream
has. Then the process is stopped (SIGSTOP), the rest is put into the streams, and the rate is that
from when it goes on until it has acknowledged the last one.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING
from typing import Any

import redis
import uvloop

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
from nautilus_enhanced.benchmarks.rigs.publishing import payload
from nautilus_enhanced.infrastructure.messagebus.streams import StreamClient


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator


SUBSCRIPTIONS = (1, 4, 16, 48)
BATCH = 500
FILLED_AT_ONCE = 1_000
LIMIT_S = 60.0
POLL_S = 0.001
GROUP = "readers"
READY, DONE = "ready", "done"


def topics_of(subscriptions: int) -> list[str]:
    """Return the topics, one for each subscription."""
    return [f"data.quotes.BINANCE.S{number:05d}" for number in range(subscriptions)]


def fill(server: Server, subscriptions: int, numbers: range) -> None:
    """Put messages into the streams in turns."""
    topics = topics_of(subscriptions)
    for at in range(0, len(numbers), FILLED_AT_ONCE):
        with server.store.pipeline(transaction=False) as pipeline:
            for number in numbers[at : at + FILLED_AT_ONCE]:
                topic = topics[number % subscriptions]
                fields = {
                    "topic": topic,
                    "payload": payload(number),
                    "type": "",
                    "encoding": "Json",
                }
                pipeline.xadd(NAMING.key(topic), fields)
            pipeline.execute()


def consume(url: str, kind: str, subscriptions: int, messages: int) -> dict[str, Any]:
    """
    Consume all in this process, and tell when it is set up and when all is acknowledged.

    Returns
    -------
    dict[str, Any]
        How long setting up took, and whether each message came once and in order.
    """
    spare_imports()
    came: dict[str, list[bytes]] = {topic: [] for topic in topics_of(subscriptions)}
    if kind == "enhanced":
        setup_s = uvloop.run(_subscribe(url, came, messages))
    else:
        setup_s = _loop(url, came, messages)
    in_order = all(
        payloads == [payload(number) for number in range(at, messages, subscriptions)]
        for at, payloads in enumerate(came.values())
    )
    return {"setup_s": setup_s, "verified": in_order}


def _noting(payloads: list[bytes]) -> Callable[[Any], None]:
    return lambda message: payloads.append(message.payload)


async def _subscribe(url: str, came: dict[str, list[bytes]], messages: int) -> float:
    async with StreamClient(url, naming=NAMING) as client:
        begin = time.perf_counter()
        subscriptions = [
            client.subscribe(
                topic,
                _noting(payloads),
                # Two subscriptions of a process have two groups.
                group=f"{GROUP}-{number}",
                start="beginning",
            )
            for number, (topic, payloads) in enumerate(came.items())
        ]

        async def acknowledged(goal: int) -> None:
            until = time.monotonic() + LIMIT_S
            # What came is known at once; the figures are asked when it is all.
            while (  # noqa: ASYNC110 (only the figures tell)
                sum(map(len, came.values())) < goal
                or sum(one.statistics().acknowledged for one in subscriptions) < goal
            ) and time.monotonic() < until:
                await asyncio.sleep(POLL_S)

        await acknowledged(len(came))
        setup_s = time.perf_counter() - begin
        tell(READY)
        await acknowledged(messages)
        tell(DONE)
        return setup_s


def _loop(url: str, came: dict[str, list[bytes]], messages: int) -> float:
    by_key = {NAMING.key(topic).encode(): payloads for topic, payloads in came.items()}
    streams = dict.fromkeys(by_key, ">")
    with redis.Redis.from_url(url) as store:

        def acknowledged(left: int) -> None:
            while left:
                answer: Any = store.xreadgroup(GROUP, "one", streams, count=BATCH, block=1_000)
                with store.pipeline(transaction=False) as pipeline:
                    for key, entries in answer:
                        by_key[key].extend(fields[b"payload"] for _, fields in entries)
                        left -= len(entries)
                        pipeline.xack(key, GROUP, *[entry_id for entry_id, _ in entries])
                    pipeline.execute()

        begin = time.perf_counter()
        for key in by_key:
            store.xgroup_create(key, GROUP, "0")
        acknowledged(len(by_key))
        setup_s = time.perf_counter() - begin
        tell(READY)
        acknowledged(messages - len(by_key))
        tell(DONE)
        return setup_s


def run_round(server: Server, kind: str, subscriptions: int, messages: int) -> Observation:
    """Run a consumer in a process of its own."""
    server.store.flushall()
    fill(server, subscriptions, range(subscriptions))
    with Apart(consume, server.url, kind, subscriptions, messages) as child:
        child.told(LIMIT_S)
        with frozen(child.pid):
            fill(server, subscriptions, range(subscriptions, messages))
            begin = time.perf_counter()
        child.told(LIMIT_S)
        rate = (messages - subscriptions) / (time.perf_counter() - begin)
        found = child.result(LIMIT_S)
    return Observation(
        figures={"rate": rate, "setup_ms": found["setup_s"] * 1e3}, verified=found["verified"]
    )


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield all numbers of subscriptions on one server."""
    messages = size.pick(30_000, 5_000, 1_000)
    with Server() as server:
        for subscriptions in size.pick(SUBSCRIPTIONS, (4,), (1, 4)):
            yield Scenario(
                arms={
                    kind: partial(run_round, server, kind, subscriptions, messages)
                    for kind in ("enhanced", "stock")
                },
                comparisons=[
                    Comparison(
                        topology=f"{subscriptions:,} subscriptions, 200 bytes, redis-py",
                        parameters={"subscriptions": subscriptions},
                    )
                ],
                metrics=[
                    Metric(figure="rate", unit="msg/s", better="higher"),
                    Metric(figure="setup_ms", unit="ms", label="setup"),
                ],
                rounds=size.pick(3, 2, 1),
                warm_up=False,
            )


BENCHMARK = Benchmark(
    name="load_subscriptions",
    about=__doc__,
    scenarios=scenarios,
    processes=3,
    curves=(
        Curve(
            title="Messages a second, by subscriptions",
            row="load_subscriptions",
            parameter="subscriptions",
            axis="subscriptions of one process",
            why="Each subscription has a reader and an acknowledger of its own, so that calls and "
            "answers are for fewer messages each, and threads wait for one interpreter.",
        ),
        Curve(
            title="How long it takes until all subscriptions read",
            row="load_subscriptions setup",
            parameter="subscriptions",
            axis="subscriptions of one process",
            why="Each subscription makes three connections (membership, reading, acknowledging), "
            "looks for its streams and takes its place in a group: some milliseconds each.",
        ),
    ),
)
