"""
How much later the trading thread's own work is done because it publishes 50,000 quotes a second.

::

    every 200 µs:  due ──> 10 x publish ──> 30 µs of work ──> done
                   └────────────── measured: the delay ───────────┘
                            └─> lanes ──> writer (the same interpreter) ──> server
                            └─> stock's task (Rust, without the interpreter) ──> server
    the same with a function that does nothing in the place of publish         (the control)

A delay counts from when the tick was due, so it contains what the machine's other work costs; the
control contains that too, and what is beyond it is the publisher's. `excess` is the difference of
the percentiles, not below zero.

Two threads: one `sleeps` until its next tick, as an event loop does that has nothing to do, and
finds the interpreter taken or not when it wakes; one `spins`, as an event loop does that always
has something to do, and gives the interpreter away only when the writer has asked for it for
`sys.getswitchinterval()`.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import Metric
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.harness import percentiles
from nautilus_enhanced.benchmarks.rigs.publishing import TOPIC
from nautilus_enhanced.benchmarks.rigs.publishing import Publisher
from nautilus_enhanced.benchmarks.rigs.publishing import Server
from nautilus_enhanced.benchmarks.rigs.publishing import payload


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator
    from collections.abc import Sequence


RATE = 50_000
TICK_S = 0.0002
WORK_S = 30e-6
CALIBRATION_LOOPS = 200
STOCK = ("stock 10", "stock 100")
METRICS = percentiles(
    "us", "µs", {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}, is_driven=True
)
# What there is a goal for.
EXCESS = Metric(figure="us", unit="µs", label="p99.9 excess", share=0.999, beyond="control")


def do_nothing(topic: str, payload: bytes) -> None:
    """Take what `publish` takes."""


def work(steps: int) -> int:
    """Do the strategy's work: any that takes the interpreter and no memory."""
    done = 0
    while done < steps:
        done += 1
    return done


def calibrate() -> int:
    """Return how many steps of `work` take 30 µs when nothing disturbs them."""
    steps = 1_000
    best = float("inf")
    for _ in range(CALIBRATION_LOOPS):
        begin = time.perf_counter()
        work(steps)
        best = min(best, time.perf_counter() - begin)
    return max(1, round(steps * WORK_S / best))


def trade(
    publish: Callable[[str, bytes], object], quotes: Sequence[bytes], steps: int, *, spins: bool
) -> list[float]:
    """Publish and work at each tick; return the delay of each in microseconds."""
    clock, sleep = time.perf_counter, time.sleep
    per_tick = round(RATE * TICK_S)
    delays = []
    due = clock() + TICK_S
    for at in range(0, len(quotes), per_tick):
        if spins:
            while clock() < due:
                pass
        elif (wait := due - clock()) > 0:
            sleep(wait)
        for raw in quotes[at : at + per_tick]:
            publish(TOPIC, raw)
        work(steps)
        delays.append((clock() - due) * 1e6)
        due += TICK_S
    return delays


def run_round(server: Server, kind: str, seconds: float, steps: int, *, spins: bool) -> Observation:
    """Trade for some seconds; return the delays and whether all quotes arrived in order."""
    quotes = [payload(number) for number in range(round(seconds * RATE))]
    if kind == "control":
        return Observation(figures={"us": trade(do_nothing, quotes, steps, spins=spins)})
    with Publisher(server, kind) as publisher:
        # The stream is there before it begins.
        publisher.publish(TOPIC, quotes[0])
        server.wait_for(1)
        delays = trade(publisher.publish, quotes[1:], steps, spins=spins)
    # Leaving has sent all of it.
    verified = server.is_in_order(range(len(quotes)))
    return Observation(figures={"us": delays}, verified=verified)


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield both kinds of thread on one server."""
    seconds = size.pick(1.0, 0.4, 0.1)
    stocks = size.pick(STOCK, STOCK[:1], STOCK)
    steps = calibrate()
    with Server() as server:
        for thread in size.pick(("sleeps", "spins"), ("sleeps",), ("sleeps", "spins")):
            yield Scenario(
                arms={
                    kind: partial(run_round, server, kind, seconds, steps, spins=thread == "spins")
                    for kind in ("control", "enhanced", *stocks)
                },
                comparisons=[
                    Comparison(
                        topology=f"{RATE:,}/s, thread {thread}, {stock} ms",
                        stock=stock,
                        ceiling=ceiling,
                        parameters={"thread": thread, "stock": stock},
                        metrics=metrics,
                    )
                    for stock in stocks
                    for ceiling, metrics in (("control", METRICS), (None, (EXCESS,)))
                ],
                metrics=METRICS,
                rounds=size.pick(3, 3, 1),
                warm_up=False,
            )


BENCHMARK = Benchmark(name="trading_thread_interference", about=__doc__, scenarios=scenarios)
