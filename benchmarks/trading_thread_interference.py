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
`sys.getswitchinterval()`. ``--switch-interval-us`` sets that.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from nautilus_enhanced.benchmarks.harness.statistics import percentile
from nautilus_enhanced.benchmarks.rigs.publishing import TOPIC
from nautilus_enhanced.benchmarks.rigs.publishing import Publisher
from nautilus_enhanced.benchmarks.rigs.publishing import Server
from nautilus_enhanced.benchmarks.rigs.publishing import payload


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence


RATE = 50_000
TICK_S = 0.0002
WORK_S = 30e-6
CALIBRATION_LOOPS = 200
STOCK = ("stock 10", "stock 100")
PERCENTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
# The one that there is a goal for.
TAIL = "p99.9"


@dataclass(frozen=True)
class Sample:
    """What one round found."""

    delays_us: list[float]
    verified: bool


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


def run_round(server: Server, kind: str, seconds: float, steps: int, *, spins: bool) -> Sample:
    """Trade for some seconds; return the delays and whether all quotes arrived in order."""
    quotes = [payload(number) for number in range(round(seconds * RATE))]
    if kind == "control":
        return Sample(trade(do_nothing, quotes, steps, spins=spins), verified=True)
    with Publisher(server, kind) as publisher:
        # The stream is there before it begins.
        publisher.publish(TOPIC, quotes[0])
        server.wait_for(1)
        delays = trade(publisher.publish, quotes[1:], steps, spins=spins)
    # Leaving has sent all of it.
    return Sample(delays, verified=server.is_in_order(range(len(quotes))))


def excess(samples: Sequence[Sample], control: Sequence[Sample], share: float) -> float:
    """Return by how much a percentile is above the control's."""
    measured, without = (
        percentile([delay for sample in side for delay in sample.delays_us], share)
        for side in (samples, control)
    )
    return max(0.0, measured - without)


def rows_of(results: dict[str, list[Sample]], thread: str) -> list[Row]:
    """Return the rows of one kind of thread."""
    rows: list[Row] = []
    for stock in STOCK:
        sides = {"enhanced": "enhanced", "stock": stock, "ceiling": "control"}
        verified = all(sample.verified for kind in sides.values() for sample in results[kind])
        topology = f"{RATE:,}/s, thread {thread}, {stock} ms"
        parameters = {"thread": thread, "stock": stock, "switch_s": sys.getswitchinterval()}
        rows += latency_rows(
            "trading_thread_interference",
            topology,
            {side: [s.delays_us for s in results[kind]] for side, kind in sides.items()},
            PERCENTILES,
            verified=verified,
            parameters=parameters,
            unit="µs",
        )
        rows.append(
            make_row(
                f"trading_thread_interference {TAIL} excess",
                topology,
                "µs",
                "lower",
                [excess(results["enhanced"], results["control"], PERCENTILES[TAIL])],
                [excess(results[stock], results["control"], PERCENTILES[TAIL])],
                verified=verified,
                parameters=parameters,
            )
        )
    return rows


def main() -> None:
    """Run all publishers in turns in both kinds of thread and print the figures."""
    options = parser(__doc__)
    options.add_argument("--switch-interval-us", type=float, help="what Python switches threads at")
    chosen = options.parse_args()
    if chosen.switch_interval_us is not None:
        sys.setswitchinterval(chosen.switch_interval_us * 1e-6)
    seconds = sized(chosen, 4.0, 2.0, 0.1)
    steps = calibrate()
    rows: list[Row] = []
    with Server() as server:
        for thread in ("sleeps", "spins"):
            sides = {
                kind: partial(run_round, server, kind, seconds, steps, spins=thread == "spins")
                for kind in ("control", "enhanced", *STOCK)
            }
            rows += rows_of(interleave(sized(chosen, 5, 3, 1), sides), thread)
    report(rows, chosen)
