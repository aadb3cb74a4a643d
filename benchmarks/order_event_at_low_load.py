"""
What an order event costs when there is no backlog: 1,000 quotes a second, and events now and then.

::

    1,000 quotes/s, from a thread ──> LiveDataEngine ──> subscriber (0 or 20 µs each)
    400 events/s, from the same thread ──> LiveExecutionEngine ──> handler
                                       └──────── measured ──────────┘

Quotes and events have their times from the start, and an event's wait is measured from the time
at which it was due, not from when the thread got round to sending it: what delays the sender is
part of the wait. The times of the events are random, the same on both sides.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from functools import partial
from typing import TYPE_CHECKING
from typing import NamedTuple

from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.harness import percentiles
from nautilus_enhanced.benchmarks.rigs.engines import Rig
from nautilus_enhanced.benchmarks.rigs.engines import on_a_loop


if TYPE_CHECKING:
    from collections.abc import Iterator


QUOTES_PER_S = 1_000
EVENTS_PER_S = 400
# Until the first quote is due: the thread has started by then.
LEAD_S = 0.01


class Event(NamedTuple):
    """Stands for an order event; `due` is in seconds of ``time.perf_counter``."""

    due: float


async def run_round(
    bus: str, seconds: float, work_us: float, seed: int, loop: asyncio.AbstractEventLoop
) -> Observation:
    """Return the waits in milliseconds, and whether everything arrived."""
    rig = Rig(bus, loop).start()
    rig.work_s = work_us * 1e-6
    waits_ms: list[float] = []
    rig.on_order_event(lambda event: waits_ms.append((time.perf_counter() - event.due) * 1e3))
    quotes = rig.make_quotes(int(seconds * QUOTES_PER_S))
    events = int(seconds * EVENTS_PER_S)
    offsets = random.Random(seed)  # noqa: S311 (the same times on both sides)
    plan = [(number / QUOTES_PER_S, quote) for number, quote in enumerate(quotes)]
    plan += [(offsets.uniform(0.0, seconds), None) for _ in range(events)]
    plan.sort(key=lambda entry: entry[0])

    def send() -> None:
        start = time.perf_counter() + LEAD_S
        for offset, quote in plan:
            due = start + offset
            if (ahead := due - time.perf_counter()) > 0:
                time.sleep(ahead)
            if quote is None:
                loop.call_soon_threadsafe(rig.execution.process, Event(due))
            else:
                loop.call_soon_threadsafe(rig.data.process, quote)

    sender = threading.Thread(target=send)
    sender.start()
    limit = time.monotonic() + seconds + 10.0
    while sender.is_alive() and time.monotonic() < limit:  # noqa: ASYNC110 (a thread)
        await asyncio.sleep(0.05)
    # What was sent last may still be on its way.
    await asyncio.sleep(0.05)
    sender.join()
    await rig.stop()
    verified = len(waits_ms) == events and rig.handled == len(quotes)
    return Observation(figures={"ms": waits_ms}, verified=verified)


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield both event loops, with both kinds of handlers."""
    seconds = size.pick(0.8, 0.25, 0.2)
    for loop_name in size.pick(("uvloop", "asyncio"), ("uvloop",), ("uvloop", "asyncio")):
        for work_us in (0.0, 20.0):
            yield Scenario(
                arms={
                    bus: partial(on_a_loop, loop_name, partial(run_round, bus, seconds, work_us, 1))
                    for bus in ("enhanced", "stock")
                },
                comparisons=[
                    Comparison(
                        topology=(
                            f"{QUOTES_PER_S:,} quotes/s, {work_us:.0f} µs handlers, {loop_name}"
                        ),
                        parameters={"work_us": work_us, "loop": loop_name},
                    )
                ],
                metrics=percentiles("ms", "ms", {"p50": 0.5, "p99": 0.99}, is_driven=True),
                rounds=size.pick(5, 3, 1),
            )


BENCHMARK = Benchmark(name="order_event_at_low_load", about=__doc__, scenarios=scenarios)
