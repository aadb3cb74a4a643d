"""
Messages a second and their delay, beside other libraries that send messages between processes.

::

    publish x N ──> ours, redis-py or coredis in pipelines, FastStream ──> one stream, N entries
    publish x N ──> NATS (core), ZeroMQ (PUSH, PULL) ──> receiver in another process, N messages
    └──────────────────── throughput: until the last one is there ────────────────────────────┘

    a message every 2 ms ──> the same ──> handler in another process
        due └──────────── delay ────────────────┘ called

What they promise differs. Ours, redis-py, coredis and FastStream end in a stream that a group reads
and acknowledges, and that is still there after a crash; ours neither loses nor doubles a message
where a connection breaks, and its `publish` never waits. NATS without JetStream and ZeroMQ keep
nothing: who is not there misses it. Of messages that are sent at once, FastStream, which waits for
each answer, sends a part. Versions are named; what is not installed is left out by name.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING
from typing import NamedTuple

from nautilus_enhanced.benchmarks.harness import Apart
from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import LeftOut
from nautilus_enhanced.benchmarks.harness import Metric
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.harness import percentiles
from nautilus_enhanced.benchmarks.harness.requirements import version_of
from nautilus_enhanced.benchmarks.rigs import peers as rig
from nautilus_enhanced.benchmarks.rigs.handled_reader import HandledReader
from nautilus_enhanced.benchmarks.rigs.peers import Schedule
from nautilus_enhanced.benchmarks.rigs.publishing import NAMING
from nautilus_enhanced.benchmarks.rigs.publishing import ORDERS
from nautilus_enhanced.benchmarks.rigs.publishing import TOPIC
from nautilus_enhanced.benchmarks.rigs.publishing import Publisher
from nautilus_enhanced.benchmarks.rigs.publishing import Server
from nautilus_enhanced.benchmarks.rigs.publishing import payload
from nautilus_enhanced.benchmarks.rigs.stream_consumer import quote


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator


LIMIT_S = 60.0
INTERVAL_S = 0.002
BEGIN_LIMIT_S = 10.0
# Of messages that are sent at once, those that wait for each answer send a part.
SLOWER = {"FastStream": 20}


class Peer(NamedTuple):
    """A library: its distribution, and how it sends to a stream, if it does."""

    distribution: str
    send: Callable[[str, Schedule], None]


INTO_STREAMS = {
    "redis-py": Peer("redis", rig.send_with_redis_py),
    "coredis": Peer("coredis", rig.send_with_coredis),
    "FastStream": Peer("faststream", rig.send_with_faststream),
}
PAST_THE_SERVER = {
    "ZeroMQ": Peer("pyzmq", rig.send_with_zmq),
    "NATS": Peer("nats-py", rig.send_with_nats),
}


def run_ours(server: Server, messages: int) -> Observation:
    """Publish at once; return messages a second until all are in the stream."""
    payloads = [payload(number) for number in range(messages)]
    with Publisher(server, "enhanced", messages) as publisher:
        begin = time.perf_counter()
        for raw in payloads:
            publisher.publish(TOPIC, raw)
        arrived = server.wait_for(messages)
        seconds = time.perf_counter() - begin
    verified = arrived and server.is_in_order(range(messages))
    return Observation(figures={"rate": messages / seconds}, verified=verified)


def run_into_stream(server: Server, peer: str, messages: int) -> Observation:
    """Let a peer send at once; return messages a second until all are in the stream."""
    server.store.flushall()
    schedule = Schedule([payload(number) for number in range(messages)], 0.0)
    begin = time.perf_counter()
    INTO_STREAMS[peer].send(server.url, schedule)
    arrived = server.wait_for(messages)
    seconds = time.perf_counter() - begin
    # FastStream writes an envelope of its own around a message.
    verified = arrived and (peer in SLOWER or server.is_in_order(range(messages)))
    return Observation(figures={"rate": messages / seconds}, verified=verified)


def run_past_server(
    address: str | None, peer: str, messages: int, interval_s: float
) -> Observation:
    """Let a peer send to another process; return the rate, and how late each message was."""
    schedule = Schedule([payload(number) for number in range(messages)], interval_s)
    with ExitStack() as stack:
        if address is None:
            receiver = stack.enter_context(Apart(rig.receive_from_zmq, messages))
            address = receiver.told(LIMIT_S)
        else:
            receiver = stack.enter_context(Apart(rig.receive_from_nats, address, messages))
            receiver.told(LIMIT_S)
        begin_ns = time.perf_counter_ns()
        PAST_THE_SERVER[peer].send(address, schedule)
        received = receiver.result(LIMIT_S)
    last_ns = max(at_ns for _, at_ns in received)
    late_ms = [
        (at_ns - due_ns) / 1e6 for (_, at_ns), due_ns in zip(received, schedule.dues, strict=False)
    ]
    return Observation(
        figures={"rate": messages / (last_ns - begin_ns) * 1e9, "late_ms": late_ms},
        verified=[number for number, _ in received] == list(range(messages)),
    )


def run_handled(server: Server, kind: str, messages: int) -> Observation:
    """Send on schedule to a handler in another process; return how late it was called."""
    schedule = Schedule([quote(number) for number in range(1, messages + 1)], INTERVAL_S)
    with (
        Publisher(server, "enhanced") as publisher,
        HandledReader(server, kind, messages) as reader,
    ):
        until = time.monotonic() + BEGIN_LIMIT_S
        publisher.publish(ORDERS, quote(0))
        while not reader.has_begun(0.01) and time.monotonic() < until:
            publisher.publish(ORDERS, quote(0))
        if kind == "enhanced":
            for raw in schedule:
                publisher.publish(ORDERS, raw)
        else:
            for raw in schedule:
                fields = {"topic": ORDERS, "payload": raw, "type": "", "encoding": "Json"}
                server.store.xadd(NAMING.key(ORDERS), fields)
        came = reader.end()
    late_ms = [
        (at_ns - due_ns) / 1e6 for (_, at_ns), due_ns in zip(came, schedule.dues, strict=False)
    ]
    in_order = [number for number, _ in came] == list(range(1, messages + 1))
    return Observation(figures={"late_ms": late_ms}, verified=in_order)


def installed(peers: dict[str, Peer]) -> tuple[dict[str, str], list[LeftOut]]:
    """Return the peers that are installed with their versions, and the others."""
    found, missing = {}, []
    for name, peer in peers.items():
        version = version_of(peer.distribution)
        if version is None:
            missing.append(LeftOut(f"the peer {name}", f"{peer.distribution} is not installed"))
        else:
            found[name] = f"{peer.distribution} {version}"
    return found, missing


def scenarios(size: Size) -> Iterator[Scenario | LeftOut]:
    """Yield throughput and delay, beside those that are installed."""
    streams, no_streams = installed(INTO_STREAMS)
    others, no_others = installed(PAST_THE_SERVER)
    yield from (*no_streams, *no_others)
    messages, few = size.pick(30_000, 3_000, 500), size.pick(400, 80, 20)
    with ExitStack() as stack:
        server = stack.enter_context(Server())
        addresses: dict[str, str | None] = dict.fromkeys(others)
        if "NATS" in others:
            try:
                addresses["NATS"] = stack.enter_context(rig.nats_server())
            except OSError as error:
                del addresses["NATS"]
                yield LeftOut("the peer NATS", f"its server could not be started: {error}")
        names = {name: others[name] for name in addresses} | streams
        arms: dict[str, Callable[[], Observation]] = {
            "enhanced": partial(run_ours, server, messages)
        }
        for name in streams:
            arms[name] = partial(run_into_stream, server, name, messages // SLOWER.get(name, 1))
        for name, address in addresses.items():
            arms[name] = partial(run_past_server, address, name, messages, 0.0)
        yield Scenario(
            arms=arms,
            comparisons=[
                Comparison(topology=f"200 bytes, {names[name]}", stock=name, label="throughput")
                for name in names
            ],
            metrics=[Metric(figure="rate", unit="msg/s", better="higher")],
            rounds=3 if size is not Size.TINY else 1,
        )
        delayed: dict[str, Callable[[], Observation]] = {
            "enhanced": partial(run_handled, server, "enhanced", few),
            "redis-py": partial(run_handled, server, "redis-py", few),
        }
        for name, address in addresses.items():
            delayed[name] = partial(run_past_server, address, name, few, INTERVAL_S)
        yield Scenario(
            arms=delayed,
            comparisons=[
                Comparison(topology=f"a message every 2 ms, {names[name]}", stock=name)
                for name in delayed
                if name != "enhanced"
            ],
            metrics=percentiles(
                "late_ms", "ms", {"p50": 0.5, "p99": 0.99}, label="delay", is_driven=True
            ),
            rounds=3 if size is not Size.TINY else 1,
        )


BENCHMARK = Benchmark(name="peers", about=__doc__, scenarios=scenarios)
