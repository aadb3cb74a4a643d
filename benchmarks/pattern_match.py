"""
What it takes to find the first of many patterns that matches a topic.

::

    topic ──> TopicTable ──────────────────────────────> value of the first pattern that matches
    topic ──> pattern 1 ──> pattern 2 ──> ... ──> 10,000 ──> the same, with the stock matcher

A *new* topic was never asked for before, a *known* one was: its answer is remembered. The stock
side holds each topic against the list, one pattern after the other, as NautilusTrader's bus does
for a topic that is new to it. *Prefix* patterns end in ``*``, *suffix* patterns have it before
their own text, *inner* patterns on both sides, *exact* patterns nowhere. The time is that of the
thread.
"""

from __future__ import annotations

import random
import re
import time
from functools import partial
from itertools import product
from typing import TYPE_CHECKING
from typing import Final

from nautilus_trader.common.component import is_matching_py

from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import Curve
from nautilus_enhanced.benchmarks.harness import Metric
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.infrastructure.messagebus.patterns import TopicTable


if TYPE_CHECKING:
    from collections.abc import Iterator


FORMS: Final = {
    "prefix": "data.quotes.BINANCE.S{:05d}*",
    "suffix": "data.*.S{:05d}USDT",
    "inner": "*.S{:05d}*",
    "exact": "data.quotes.BINANCE.S{:05d}USDT",
}
TOPIC: Final = FORMS["exact"]
NONE: Final = -1


def look_up(patterns: list[str], topics: list[str], expected: list[int]) -> Observation:
    """Ask a table that is made for it; each topic is new, and then known."""
    table = TopicTable([(pattern, number) for number, pattern in enumerate(patterns)], NONE)
    # Else the round before would have compiled the patterns for this one.
    re.purge()
    begin = time.thread_time()
    answers = [table.value_of(topic) for topic in topics]
    between = time.thread_time()
    again = [table.value_of(topic) for topic in topics]
    end = time.thread_time()
    figures = {
        "new": (between - begin) / len(topics) * 1e6,
        "known": (end - between) / len(topics) * 1e6,
    }
    return Observation(figures=figures, verified=answers == again == expected)


def scan(patterns: list[str], topics: list[str], expected: list[int]) -> Observation:
    """Hold each topic against the patterns in order; it costs the same each time."""
    begin = time.thread_time()
    answers = scan_all(patterns, topics)
    each_us = (time.thread_time() - begin) / len(topics) * 1e6
    return Observation(figures={"new": each_us, "known": each_us}, verified=answers == expected)


def scan_all(patterns: list[str], topics: list[str]) -> list[int]:
    """Return the number of the first pattern that matches, for each topic."""
    return [
        next((n for n, pattern in enumerate(patterns) if is_matching_py(topic, pattern)), NONE)
        for topic in topics
    ]


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield tables of each form and length."""
    lengths = size.pick((10, 100, 1_000, 10_000), (1_000,), (100, 200))
    for form, length in product(FORMS, lengths):
        patterns = [FORMS[form].format(number) for number in range(length)]
        # Half of the topics match one of the patterns, the others none.
        chosen = random.Random(1).choices(range(2 * length), k=size.pick(100, 30, 10))  # noqa: S311
        topics = list(dict.fromkeys(TOPIC.format(number) for number in chosen))
        expected = scan_all(patterns, topics)
        yield Scenario(
            arms={
                "enhanced": partial(look_up, patterns, topics, expected),
                "stock": partial(scan, patterns, topics, expected),
            },
            comparisons=[
                Comparison(
                    topology=f"{length:,} {form} patterns",
                    label=f"{age} topic",
                    parameters={"patterns": length, "form": form, "age": age},
                    metrics=[Metric(figure=age, unit="µs/topic")],
                )
                for age in ("new", "known")
            ],
            metrics=(),
            rounds=size.pick(9, 5, 1),
        )


BENCHMARK = Benchmark(
    name="pattern_match",
    about=__doc__,
    scenarios=scenarios,
    processes=3,
    curves=(
        Curve(
            title="What a topic costs that was never asked for, by patterns",
            row="pattern_match new topic",
            parameter="patterns",
            axis="patterns",
            why="Holding a topic against one pattern after the other costs as many steps as there "
            "are patterns. Tables of prefixes, suffixes and whole topics are looked up and stay "
            "level; patterns with a wildcard on both sides we try one after the other, too.",
            split=("form",),
        ),
    ),
)
