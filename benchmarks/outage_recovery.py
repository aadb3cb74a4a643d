"""
What an outage costs: memory and the trading thread meanwhile, and how soon all is well after it.

::

    every 1 ms:  due ──> 20 x publish ──> 30 µs of work ──> done
                 └────────────── measured: the delay ─────────┘
                          └─> lanes ──> writer ──> server, which is frozen (SIGSTOP)

    server killed ... a new one answers PING ──────────────> has its first entry
                                        └── measured ────────────┘
    server frozen ... goes on ────────────────────────> has all but what comes just now
                          └── measured: entries a second ───┘

20,000 messages a second keep coming all the time. While the server is frozen: by how much the
process grows (the ceiling is what the lane may hold, by `memory_usage_mb`'s measure), the longest
call of `publish`, and what the p99 of the delays has above that of a thread without a publisher.
`undisturbed` is about those ticks in which the system took the processor from no thread of the
process: what other work on the machine costs is not in it.

Stock gives up for good when its connection ends; its time until the first entry is then how long
was waited for one, and `arrived` is the share of what was published since the server was killed.

Each side runs in a process of its own. Wanted: 2 s at most until the first entry, 60,000 entries a
second while catching up, growth below the ceiling, 1 ms for the longest call, 100 µs of excess.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import socket
import threading
import time
from contextlib import closing
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import redis

from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import Metric
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.harness import call_apart
from nautilus_enhanced.benchmarks.harness import frozen
from nautilus_enhanced.benchmarks.harness import preemptions
from nautilus_enhanced.benchmarks.rigs.publishing import NAMING
from nautilus_enhanced.benchmarks.rigs.publishing import TOPIC
from nautilus_enhanced.benchmarks.rigs.publishing import Publisher
from nautilus_enhanced.benchmarks.rigs.publishing import Server
from nautilus_enhanced.benchmarks.rigs.publishing import payload
from nautilus_enhanced.benchmarks.trading_thread_interference import calibrate
from nautilus_enhanced.benchmarks.trading_thread_interference import do_nothing
from nautilus_enhanced.benchmarks.trading_thread_interference import work
from nautilus_enhanced.infrastructure.messagebus.monitoring.metrics import ENTRY_BYTES
from nautilus_enhanced.sandbox.embedded import EmbeddedServer


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator


STOCK = "stock 10"
SIDES = ("enhanced", STOCK, "control")
RATE = 20_000
TICK_S = 0.001
PER_TICK = round(RATE * TICK_S)
WARM_S = 0.3
# What the lane holds while the server is frozen, and where nothing is to be dropped.
LANE = 100_000
ROOMY = 2_000_000
# Caught up with: no more is missing than comes in 50 ms.
NEARLY = RATE // 20
CATCH_UP_LIMIT_S = 10.0
POLL_S = 0.001
SAMPLE_S = 0.1
PAGE_BYTES = resource.getpagesize()
MB = 1e6
# What a lane may hold, by the bus's own measure.
LANE_MB = LANE * (len(payload(0)) + ENTRY_BYTES) / MB
# The control's is what the measurements themselves take.
GROWTH = Metric(figure="growth_mb", unit="MB", label="growth", beyond="control")
CALLS = (
    Metric(figure="longest_us", unit="µs", label="longest call", is_driven=True),
    Metric(figure="longest_calm_us", unit="µs", label="longest call undisturbed", is_driven=True),
    Metric(figure="delays_us", unit="µs", label="p99", share=0.99),
    Metric(figure="undisturbed_us", unit="µs", label="p99 undisturbed", share=0.99),
)
EXCESS = (
    Metric(figure="delays_us", unit="µs", label="p99 excess", share=0.99, beyond="control"),
    Metric(
        figure="undisturbed_us",
        unit="µs",
        label="p99 undisturbed excess",
        share=0.99,
        beyond="control",
    ),
)


class Feed(threading.Thread):
    """Publish 20,000 numbered messages a second until told to stop."""

    def __init__(self, publish: Callable[[str, bytes], object]) -> None:
        super().__init__(daemon=True)
        self._publish = publish
        self._halt = threading.Event()
        self.published = 0

    def run(self) -> None:
        """Publish."""
        due = time.perf_counter()
        while not self._halt.wait(max(0.0, due - time.perf_counter())):
            for number in range(self.published, self.published + PER_TICK):
                self._publish(TOPIC, payload(number))
            self.published += PER_TICK
            due += TICK_S

    def finish(self) -> int:
        """Stop; return how many were published."""
        self._halt.set()
        self.join(10.0)
        return self.published


def server_pid(server: Server) -> int:
    """Return the server's process."""
    return int(server.store.info("server")["process_id"])


def resident_mb() -> float:
    """Return the memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES / MB


def numbers(store: Any) -> Iterator[int]:
    """Return the numbers of the entries, in the order of the stream."""
    begin: bytes | str = "-"
    while entries := store.xrange(NAMING.key(TOPIC), begin, count=10_000):
        for _, fields in entries:
            yield int(json.loads(fields[b"payload"])["number"])
        begin = b"(" + entries[-1][0]


def is_rising(found: list[int]) -> bool:
    """Return whether the numbers are in order, and none is there twice."""
    return all(after > before for before, after in pairwise(found))


def is_whole(found: list[int], last: int) -> bool:
    """Return whether the numbers are all of those from the first to `last`, in order."""
    return bool(found) and found == list(range(found[0], last + 1))


# -- while the server is frozen ------------------------------------------------------------------


def trade(publish: Callable[[str, bytes], object], seconds: float, steps: int) -> dict[str, Any]:
    """Publish and work every millisecond; return delays, durations and the longest call."""
    clock, sleep = time.perf_counter, time.sleep
    delays, undisturbed, longest, longest_calm = [], [], 0.0, 0.0
    # What the imports have left would set off a collection of 100 ms at the first that allocates.
    gc.collect()
    first = resident_mb()
    due = clock() + TICK_S
    for number in range(0, round(seconds * RATE), PER_TICK):
        if (wait := due - clock()) > 0:
            sleep(wait)
        taken, start, longest_now = preemptions(), clock(), 0.0
        for at in range(number, number + PER_TICK):
            raw = payload(at)
            begin = clock()
            publish(TOPIC, raw)
            longest_now = max(longest_now, clock() - begin)
        work(steps)
        done = clock()
        delays.append((done - due) * 1e6)
        longest = max(longest, longest_now)
        if preemptions() == taken:
            longest_calm = max(longest_calm, longest_now)
            undisturbed.append((done - start) * 1e6)
        due += TICK_S
    return {
        "delays_us": delays,
        "undisturbed_us": undisturbed,
        "longest_us": longest * 1e6,
        "longest_calm_us": longest_calm * 1e6,
        "growth_mb": resident_mb() - first,
        "published": float(number + PER_TICK),
    }


def run_frozen(kind: str, seconds: float) -> dict[str, Any]:
    """Trade while the server is frozen."""
    steps = calibrate()
    if kind == "control":
        return trade(do_nothing, seconds, steps) | {"verified": True}
    with Server() as server, Publisher(server, kind, LANE) as publisher:
        # The stream is there, and what is imported and allocated once is.
        trade(publisher.publish, WARM_S, steps)
        server.wait_for(round(WARM_S * RATE))
        server.store.flushall()
        with frozen(server_pid(server)):
            told = trade(publisher.publish, seconds, steps)
        client = publisher._client  # noqa: SLF001 (who has counted)
        if client is None:
            publisher.give_up()
            return told | {"verified": True}
        client.flush_blocking(CATCH_UP_LIMIT_S)
        found = list(numbers(server.store))
        dropped = sum(lane.dropped for lane in client.statistics().lanes)
        complete = len(found) == told["published"] - dropped
        return told | {"verified": complete and is_rising(found)}


# -- after it ------------------------------------------------------------------------------------


def run_catch_up(kind: str, seconds: float) -> dict[str, Any]:
    """Freeze the server; return how many entries a second it gets until none wait."""
    with Server() as server, Publisher(server, kind, ROOMY) as publisher:
        feed = Feed(publisher.publish)
        feed.start()
        time.sleep(WARM_S)
        before = server.length()
        with frozen(server_pid(server)):
            time.sleep(seconds)
        begin = time.perf_counter()
        while feed.published - (length := server.length()) > NEARLY:
            if time.perf_counter() - begin > CATCH_UP_LIMIT_S:
                break
            time.sleep(POLL_S)
        elapsed = time.perf_counter() - begin
        rate = (length - before) / elapsed
        published = feed.finish()
        verified = server.wait_for(published, limit_s=CATCH_UP_LIMIT_S)
        in_order = server.is_in_order(range(published))
        if kind != "enhanced":
            publisher.give_up()
        # What stock makes of it is what is measured.
        return {"rate": rate, "verified": kind != "enhanced" or (verified and in_order)}


def answers(port: int) -> bool:
    """Return whether a server answers."""
    with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), 0.2)) as probe:
        probe.sendall(b"*1\r\n$4\r\nPING\r\n")
        return probe.recv(16).startswith(b"+PONG")
    return False


def run_recovery(kind: str, seconds: float, limit_s: float) -> dict[str, Any]:
    """Kill the server, start another one; return how long it then waits for its first entry."""
    with Server() as server, Publisher(server, kind, ROOMY) as publisher:
        feed = Feed(publisher.publish)
        feed.start()
        time.sleep(WARM_S)
        os.kill(server_pid(server), signal.SIGKILL)
        killed_at = feed.published
        time.sleep(seconds)
        with EmbeddedServerLater(server.port) as later:
            while not answers(server.port):
                time.sleep(POLL_S)
            begin = time.perf_counter()
            with redis.Redis(port=server.port, socket_timeout=10.0) as store:
                while not store.exists(NAMING.key(TOPIC)):
                    if time.perf_counter() - begin > limit_s:
                        break
                    time.sleep(POLL_S)
                waited = time.perf_counter() - begin
                time.sleep(WARM_S)
                published = feed.finish()
                later.wait()
                client = publisher._client  # noqa: SLF001
                if client is not None:
                    client.flush_blocking(CATCH_UP_LIMIT_S)
                else:
                    time.sleep(WARM_S)
                found = list(numbers(store))
                publisher.give_up()
        came = sum(number >= killed_at for number in found)
        return {
            "waited_s": waited,
            "arrived": 100.0 * came / (published - killed_at),
            # What stock loses is what is measured.
            "verified": kind != "enhanced" or is_whole(found, published - 1),
        }


class EmbeddedServerLater:
    """A server that starts in the background, so that its first answer can be seen."""

    def __init__(self, port: int) -> None:
        self._server = EmbeddedServer(port)
        self._thread = threading.Thread(target=self._server.start, daemon=True)

    def __enter__(self) -> EmbeddedServerLater:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()
        self._server.stop()

    def wait(self) -> None:
        """Wait until it has started."""
        self._thread.join(20.0)


def run_apart(function: Callable[..., dict[str, Any]], *arguments: Any) -> Observation:
    """Run a part of a side in a process of its own."""
    told = call_apart(function, *arguments)
    verified = bool(told.pop("verified"))
    return Observation(figures=told, verified=verified)


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield the server frozen, going on, and killed."""
    frozen_s = size.pick(6.0, 0.5, 0.5)
    outage_s, limit_s = size.pick((2.0, 4.0), (0.3, 0.8), (0.3, 1.0))
    # A full lane, and what stock makes of an outage, are the same each time.
    rounds, few = size.pick(3, 2, 1), size.pick(3, 1, 1)
    frozen_for = f"{RATE:,}/s, frozen {frozen_s:g} s"
    for_a_while = f"{RATE:,}/s, {outage_s:g} s"
    yield Scenario(
        arms={kind: partial(run_apart, run_frozen, kind, frozen_s) for kind in SIDES}
        | {"lane": lambda: Observation(figures={"growth_mb": LANE_MB})},
        comparisons=[
            Comparison(topology=frozen_for, stock=STOCK, ceiling="lane", metrics=[GROWTH]),
            Comparison(topology=frozen_for, stock=STOCK, ceiling="control", metrics=CALLS),
            Comparison(topology=frozen_for, stock=STOCK, metrics=EXCESS),
        ],
        metrics=(),
        rounds=rounds,
        # Every process is new.
        warm_up=False,
    )
    yield Scenario(
        arms={kind: partial(run_apart, run_catch_up, kind, outage_s) for kind in SIDES[:2]},
        comparisons=[Comparison(topology=for_a_while, stock=STOCK)],
        metrics=[
            Metric(figure="rate", unit="msg/s", better="higher", label="catch-up", is_driven=True)
        ],
        rounds=few,
        warm_up=False,
    )
    yield Scenario(
        arms={
            kind: partial(run_apart, run_recovery, kind, outage_s, limit_s) for kind in SIDES[:2]
        },
        comparisons=[Comparison(topology=for_a_while, stock=STOCK)],
        metrics=[
            Metric(figure="waited_s", unit="s", label="first entry", is_driven=True),
            Metric(figure="arrived", unit="%", better="higher", label="arrived", is_driven=True),
        ],
        rounds=few,
        warm_up=False,
    )


BENCHMARK = Benchmark(name="outage_recovery", about=__doc__, scenarios=scenarios)
