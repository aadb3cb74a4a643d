"""
What it takes to find the first of many patterns that matches a topic.

::

    topic ──> TopicTable ──────────────────────────────> value of the first pattern that matches
    topic ──> pattern 1 ──> pattern 2 ──> ... ──> 10,000 ──> the same, with the stock matcher

A *new* topic was never asked for before, a *known* one was: its answer is remembered. The stock
side holds each topic against the list, one pattern after the other, as NautilusTrader's bus does
for a topic that is new to it. *Prefix* patterns end in ``*``, *suffix* patterns have it before
their own text, *inner* patterns on both sides, *exact* patterns nowhere.
"""

from __future__ import annotations

import random
import re
import time
from functools import partial
from itertools import product
from typing import Final

from nautilus_trader.common.component import is_matching_py

from nautilus_enhanced.infrastructure.messagebus.patterns import TopicTable


FORMS: Final = {
    "prefix": "data.quotes.BINANCE.S{:05d}*",
    "suffix": "data.*.S{:05d}USDT",
    "inner": "*.S{:05d}*",
    "exact": "data.quotes.BINANCE.S{:05d}USDT",
}
TOPIC: Final = FORMS["exact"]
NONE: Final = -1

# Microseconds for a new topic and for a known one, and the answers.
Round = tuple[float, float, list[int]]


def look_up(patterns: list[str], topics: list[str]) -> Round:
    """Ask a table that is made for it; each topic is new, and then known."""
    table = TopicTable([(pattern, number) for number, pattern in enumerate(patterns)], NONE)
    # Else the round before would have compiled the patterns for this one.
    re.purge()
    begin = time.perf_counter()
    answers = [table.value_of(topic) for topic in topics]
    between = time.perf_counter()
    again = [table.value_of(topic) for topic in topics]
    end = time.perf_counter()
    if again != answers:
        return 0.0, 0.0, []
    return (between - begin) / len(topics) * 1e6, (end - between) / len(topics) * 1e6, answers


def scan(patterns: list[str], topics: list[str]) -> Round:
    """Hold each topic against the patterns in order; it costs the same each time."""
    begin = time.perf_counter()
    answers = [
        next((n for n, pattern in enumerate(patterns) if is_matching_py(topic, pattern)), NONE)
        for topic in topics
    ]
    each_us = (time.perf_counter() - begin) / len(topics) * 1e6
    return each_us, each_us, answers


def main() -> None:
    """Measure tables of each form and length."""
    options = arguments(__doc__)
    rows: list[Row] = []
    lengths = sized(options, (10, 1_000, 10_000), (1_000, 10_000), (100,))
    for form, length in product(FORMS, lengths):
        patterns = [FORMS[form].format(number) for number in range(length)]
        # Half of the topics match one of the patterns, the others none.
        chosen = random.Random(1).choices(range(2 * length), k=sized(options, 200, 100, 10))  # noqa: S311
        topics = list(dict.fromkeys(TOPIC.format(number) for number in chosen))
        sides = {
            "enhanced": partial(look_up, patterns, topics),
            "stock": partial(scan, patterns, topics),
        }
        results = interleave(sized(options, 7, 3, 1), sides)
        expected = results["stock"][0][2]
        verified = all(r[2] == expected for rounds in results.values() for r in rounds)
        for column, age in enumerate(("new", "known")):
            rows.append(
                make_row(
                    f"pattern_match, {age} topic",
                    f"{length:,} {form} patterns",
                    "µs/topic",
                    "lower",
                    [float(r[column]) for r in results["enhanced"]],
                    [float(r[column]) for r in results["stock"]],
                    verified=verified,
                    parameters={"patterns": length, "form": form, "age": age},
                )
            )
    report(rows, options)
