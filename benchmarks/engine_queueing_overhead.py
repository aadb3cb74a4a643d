"""
What the queue of the data engine costs for each quote, on top of handling it.

::

    quote ──> LiveDataEngine.process ──> queue ──> _handle_data ──> subscriber that counts
              └─────────────────── measured, per quote ──────────────────────────────┘
    quote ──> _handle_data ──> subscriber that counts                    (without the queue)

The queueing cost is the difference of the two. Quotes come in one burst (a backlog), or ten for
each turn of the event loop (a busy market, without a backlog). The time is that of the thread, so
that other work of the machine is not in it, and turns are short, so that both sides have the same
luck with what they share with others.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from functools import partial
from itertools import product
from typing import TYPE_CHECKING
from typing import Any

from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import Metric
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.rigs.engines import LOOPS
from nautilus_enhanced.benchmarks.rigs.engines import Rig


if TYPE_CHECKING:
    from collections.abc import Coroutine
    from collections.abc import Iterator
    from collections.abc import Sequence

    from nautilus_trader.model.data import QuoteTick


class Feed:
    """
    An engine that is fed in turns: a few milliseconds each, so that neighbours have the same luck.

    Parameters
    ----------
    bus : str
        Whose engine.
    loop_name : str
        On which event loop.
    burst : int
        How many quotes come at once.
    """

    def __init__(self, bus: str, loop_name: str, burst: int) -> None:
        self._loop = LOOPS[loop_name]()
        asyncio.set_event_loop(self._loop)
        self._rig = Rig(bus, self._loop)
        self._quotes = self._rig.make_quotes(burst)
        self._run(self._start())

    def turn(self, quotes: int) -> Observation:
        """Feed quotes; return microseconds of one, in all and of the queue, and quotes a second."""
        found: Observation = self._run(self._turn(quotes))
        return found

    def bare_turn(self, quotes: int) -> Observation:
        """Handle quotes without a queue; return how many a second."""
        before = self._rig.handled
        each_us = handle(self._rig, self._quotes, quotes)
        verified = self._rig.handled == before + quotes
        return Observation(figures={"rate": 1e6 / each_us}, verified=verified)

    def close(self) -> None:
        """Stop the engine."""
        self._run(self._rig.stop())
        asyncio.set_event_loop(None)
        self._loop.close()

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        asyncio.set_event_loop(self._loop)
        return self._loop.run_until_complete(coroutine)

    async def _start(self) -> None:
        self._rig.start()
        await asyncio.sleep(0)

    async def _turn(self, quotes: int) -> Observation:
        rig, process, feed = self._rig, self._rig.data.process, self._quotes
        goal = before = rig.handled
        begin = time.thread_time()
        for _ in range(quotes // len(feed)):
            for quote in feed:
                process(quote)
            goal += len(feed)
            await rig.drained(goal)
        through_us = (time.thread_time() - begin) / quotes * 1e6
        verified = rig.handled == before + quotes
        bare_us = handle(rig, feed, quotes)
        figures = {"queueing_us": through_us - bare_us, "rate": 1e6 / through_us}
        return Observation(figures=figures, verified=verified)


def handle(rig: Rig, feed: list[QuoteTick], quotes: int) -> float:
    """Return microseconds that a quote takes which is handled at once."""
    handle_data = rig.data._handle_data  # noqa: SLF001 (what a queue leads to)
    begin = time.thread_time()
    for _ in range(quotes // len(feed)):
        for quote in feed:
            handle_data(quote)
    return (time.thread_time() - begin) / quotes * 1e6


@contextmanager
def feeds(loop_name: str, burst: int, buses: Sequence[str]) -> Iterator[dict[str, Feed]]:
    """Have a feed of each bus, and close them."""
    made = {bus: Feed(bus, loop_name, burst) for bus in buses}
    try:
        yield made
    finally:
        for feed in made.values():
            feed.close()


def loops_and_bursts(size: Size) -> Iterator[tuple[str, int, int]]:
    """Yield event loops, how many quotes come at once, and how many there are in a turn."""
    # A backlog has to be one: what stock keeps of each quote costs more the more of them wait.
    backlog, few = size.pick(20_000, 10_000, 1_000), size.pick(4_000, 2_000, 500)
    bursts = ((backlog, backlog), (10, few))
    for loop_name, (burst, quotes) in product(("uvloop", "asyncio"), bursts):
        if size is not Size.QUICK or loop_name == "uvloop":
            yield loop_name, burst, quotes


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield both event loops, with a backlog and without one."""
    for loop_name, burst, quotes in loops_and_bursts(size):
        with feeds(loop_name, burst, ("enhanced", "stock")) as made:
            yield Scenario(
                arms={bus: partial(feed.turn, quotes) for bus, feed in made.items()},
                comparisons=[
                    Comparison(
                        topology=f"bursts of {burst:,}, {loop_name}",
                        parameters={"burst": burst, "loop": loop_name},
                    )
                ],
                metrics=[Metric(figure="queueing_us", unit="µs/quote")],
                rounds=size.pick(25, 15, 2),
                collect=False,
            )


BENCHMARK = Benchmark(
    name="engine_queueing_overhead", about=__doc__, scenarios=scenarios, processes=5
)
