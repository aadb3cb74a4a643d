"""
Messages a second that one process handles and acknowledges, by how many subscriptions it has.

::

    N streams with entries ──> server ──XREADGROUP──> reader ──> N subscriptions ──> handlers, XACK
                                       └────────────── one process, measured ──────────────┘
    the twin: redis-py, one XREADGROUP of all N streams and an XACK for each, in a loop

There are as many messages for any number of subscriptions. It begins when all subscriptions are
ready and the streams are empty, and ends when the server has confirmed the last acknowledgement.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from itertools import count
from typing import TYPE_CHECKING
from typing import Any

import redis
import uvloop

from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import Curve
from nautilus_enhanced.benchmarks.harness import Metric
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.harness import call_apart
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


def topics_of(subscriptions: int) -> list[str]:
    """Return the topics, one for each subscription."""
    return [f"data.quotes.BINANCE.S{number:05d}" for number in range(subscriptions)]


def fill(server: Server, subscriptions: int, messages: int) -> None:
    """Put messages into the streams in turns."""
    server.store.flushall()
    topics = topics_of(subscriptions)
    for at in range(0, messages, FILLED_AT_ONCE):
        with server.store.pipeline(transaction=False) as pipeline:
            for number in range(at, min(messages, at + FILLED_AT_ONCE)):
                topic = topics[number % subscriptions]
                fields = {
                    "topic": topic,
                    "payload": payload(number),
                    "type": "",
                    "encoding": "Json",
                }
                pipeline.xadd(NAMING.key(topic), fields)
            pipeline.execute()


def consume(url: str, kind: str, subscriptions: int, messages: int, group: str) -> dict[str, Any]:
    """Consume all in this process; return the rate, and whether each came once and in order."""
    came: dict[str, list[bytes]] = {topic: [] for topic in topics_of(subscriptions)}
    if kind == "enhanced":
        seconds = uvloop.run(_subscribe(url, came, messages, group))
    else:
        seconds = _loop(url, came, messages, group)
    in_order = all(
        payloads == [payload(number) for number in range(at, messages, subscriptions)]
        for at, payloads in enumerate(came.values())
    )
    return {"rate": messages / seconds, "verified": in_order}


def _noting(payloads: list[bytes]) -> Callable[[Any], None]:
    return lambda message: payloads.append(message.payload)


async def _subscribe(url: str, came: dict[str, list[bytes]], messages: int, group: str) -> float:
    async with StreamClient(url, naming=NAMING) as client:
        begin = time.perf_counter()
        subscriptions = [
            client.subscribe(
                topic,
                _noting(payloads),
                # Two subscriptions of a process have two groups.
                group=f"{group}-{number}",
                start="beginning",
            )
            for number, (topic, payloads) in enumerate(came.items())
        ]
        until = time.monotonic() + LIMIT_S
        while (  # noqa: ASYNC110 (only the figures tell)
            sum(one.statistics().acknowledged for one in subscriptions) < messages
            and time.monotonic() < until
        ):
            await asyncio.sleep(POLL_S)
        return time.perf_counter() - begin


def _loop(url: str, came: dict[str, list[bytes]], messages: int, group: str) -> float:
    by_key = {NAMING.key(topic).encode(): payloads for topic, payloads in came.items()}
    left = messages
    with redis.Redis.from_url(url) as store:
        begin = time.perf_counter()
        for key in by_key:
            store.xgroup_create(key, group, "0")
        streams = dict.fromkeys(by_key, ">")
        while left:
            answer: Any = store.xreadgroup(group, "one", streams, count=BATCH, block=1_000)
            with store.pipeline(transaction=False) as pipeline:
                for key, entries in answer:
                    by_key[key].extend(fields[b"payload"] for _, fields in entries)
                    left -= len(entries)
                    pipeline.xack(key, group, *[entry_id for entry_id, _ in entries])
                pipeline.execute()
        return time.perf_counter() - begin


def run_round(
    server: Server, kind: str, subscriptions: int, messages: int, names: count[int]
) -> Observation:
    """Run a consumer in a process of its own."""
    group = f"round-{next(names)}"
    found = call_apart(consume, server.url, kind, subscriptions, messages, group)
    return Observation(figures={"rate": found["rate"]}, verified=found["verified"])


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield all numbers of subscriptions on one server."""
    messages = size.pick(10_000, 3_000, 1_000)
    names = count()
    with Server() as server:
        for subscriptions in size.pick(SUBSCRIPTIONS, (4,), (1, 4)):
            fill(server, subscriptions, messages)
            yield Scenario(
                arms={
                    kind: partial(run_round, server, kind, subscriptions, messages, names)
                    for kind in ("enhanced", "stock")
                },
                comparisons=[
                    Comparison(
                        topology=f"{subscriptions:,} subscriptions, 200 bytes, redis-py",
                        parameters={"subscriptions": subscriptions},
                    )
                ],
                metrics=[Metric(figure="rate", unit="msg/s", better="higher")],
                rounds=size.pick(2, 2, 1),
                warm_up=False,
            )


BENCHMARK = Benchmark(
    name="load_subscriptions",
    about=__doc__,
    scenarios=scenarios,
    curves=(
        Curve(
            title="Messages a second, by subscriptions",
            row="load_subscriptions",
            parameter="subscriptions",
            axis="subscriptions of one process",
            why="Each subscription has streams, a group and a share of a reader, which are "
            "set up first: with hundreds of them that is most of the time for a few messages each.",
        ),
    ),
)
