"""
What one call for new entries costs, by how many streams it asks for.

::

    XREADGROUP ... STREAMS k1 k2 ... kN > > ... > ──> server looks at each ──> one new entry
    XREAD      ... STREAMS k1 k2 ... kN id id ... ──> server looks at each ──> one new entry

An entry is added to one of the streams, then a call is encoded, sent and answered, over and over;
only the call is measured. A subscription reads by the first, of which it encodes the keys once, a
stock node by the second. So this is what a reader's cap of streams (`streams_per_reader`) costs
every message that comes alone.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import Curve
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.harness import percentiles
from nautilus_enhanced.benchmarks.rigs.publishing import Server
from nautilus_enhanced.infrastructure.messagebus import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus.connection.connector import Connector
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import EntryId
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import command
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import parse_entry_id
from nautilus_enhanced.infrastructure.messagebus.streams import commands
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import FIRST_ID


if TYPE_CHECKING:
    from collections.abc import Iterator

    from nautilus_enhanced.infrastructure.messagebus.connection.connector import BusConnection


STREAMS = (1, 100, 256, 1_000, 10_000)
GROUP, CONSUMER = b"group", b"consumer"
PREPARED_AT_ONCE = 500


def prepare(connection: BusConnection, keys: list[bytes]) -> None:
    """Make streams with a group, empty."""
    for at in range(0, len(keys), PREPARED_AT_ONCE):
        some = keys[at : at + PREPARED_AT_ONCE]
        answers = connection.ask([(k, commands.create_group(k, GROUP, b"$")) for k in some])
        for answer in answers:
            commands.succeeded(answer, "a group cannot be made")


def run_round(
    connection: BusConnection, read_to: dict[bytes, EntryId], side: str, calls: int
) -> Observation:
    """Return the microseconds of each call; each has to bring the entry that was added."""
    keys = list(read_to)
    reading = commands.GroupReading(GROUP, CONSUMER, keys)
    waits_us = []
    for number in range(calls):
        added_to = keys[number * 7919 % len(keys)]
        (added,) = connection.ask(
            [(added_to, command(b"XADD", added_to, b"MAXLEN", b"1", b"*", b"f", b"v"))]
        )
        begin = time.perf_counter()
        if side == "enhanced":
            query = reading.query(500, None)
        else:
            query = commands.read(list(read_to.items()), 500, None)
        (answer,) = connection.ask([(added_to, query)])
        waits_us.append((time.perf_counter() - begin) * 1e6)
        found = [(key, [entry_id for entry_id, _ in entries]) for key, entries in answer]
        if found != [(added_to, [added])]:
            raise RuntimeError(f"the call brought {found}")
        read_to[added_to] = parse_entry_id(added)
        # Whoever read it: for the group it is done.
        if side == "enhanced":
            connection.ask([(added_to, commands.acknowledge(added_to, GROUP, [added]))])
        else:
            connection.ask([(added_to, command(b"XGROUP", b"SETID", added_to, GROUP, b"$"))])
    return Observation(figures={"us": waits_us})


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield a scenario for each number of streams."""
    calls = size.pick(200, 40, 5)
    with Server() as server:
        connection = Connector(server.url, ConnectionSettings()).connect()
        connection.open()
        for streams in size.pick(STREAMS, STREAMS[1:4], STREAMS[:2]):
            server.store.flushall()
            keys = [
                b"trader-BENCH-001:stream:data.quotes.BINANCE.S%05d" % n for n in range(streams)
            ]
            prepare(connection, keys)
            read_to = dict.fromkeys(keys, FIRST_ID)
            yield Scenario(
                arms={
                    side: partial(run_round, connection, read_to, side, calls)
                    for side in ("enhanced", "stock")
                },
                comparisons=[
                    Comparison(
                        topology=f"{streams:,} streams, XREADGROUP, XREAD",
                        parameters={"streams": streams},
                    )
                ],
                metrics=percentiles("us", "µs", {"p50": 0.5, "p99": 0.99}),
                rounds=size.pick(3, 3, 1),
            )
        connection.close()


BENCHMARK = Benchmark(
    name="consume_call_cost",
    about=__doc__,
    scenarios=scenarios,
    processes=3,
    curves=(
        Curve(
            title="What a call for new entries costs, by streams",
            row="consume_call_cost p50",
            parameter="streams",
            axis="streams that one call asks for",
            why="The server looks at each stream that is named, whether or not it has anything: "
            "from about a hundred on that is more than the way there and back, and beyond it the "
            "cost grows with the streams. So readers share them out (streams_per_reader).",
        ),
    ),
)
