"""
How late a consumer handles a quote, from when the venue's frame was due.

::

    venue ──frame──> NautilusTrader's Binance client ──> engine ──> strategy
      due │                                                 └──> bus ──> server ──> consumer
          └─────────────────────────── measured ───────────────────────────────────────┘ called

Venue, node and consumer are processes of their own: a loopback venue whose quotes carry numbers, a
real ``TradingNode`` with either bus, and a consumer of the same side (ours with a group, and
stock's reader of external streams). A quote is late from when it was due, not from when the venue
got round to sending it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from nautilus_enhanced.benchmarks.harness import Apart
from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import LeftOut
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.harness import percentiles
from nautilus_enhanced.benchmarks.harness.requirements import is_missing
from nautilus_enhanced.benchmarks.rigs import quoting_venue
from nautilus_enhanced.benchmarks.rigs.handled_reader import HandledReader
from nautilus_enhanced.benchmarks.rigs.publishing import Server


if TYPE_CHECKING:
    from collections.abc import Iterator


LEAD_S = 0.4
LIMIT_S = 60.0
STOCK = ("stock 10", "stock")


def run_round(server: Server, bus: str, per_s: int, count: int) -> Observation:
    """Run venue, node and consumer; return how late each quote was handled."""
    server.store.flushall()
    reader_kind = "enhanced" if bus == "enhanced" else "stock"
    topic = quoting_venue.TOPIC
    with (
        HandledReader(server, reader_kind, count, topic, "bid_size") as reader,
        Apart(quoting_venue.run_venue, LEAD_S, per_s, count) as venue,
    ):
        http_url, ws_url = venue.told(LIMIT_S).split()
        with Apart(quoting_venue.run_node, bus, server.url, http_url, ws_url, count) as node:
            came = reader.end()
            seen = node.result(LIMIT_S)
        begin_ns = venue.result(LIMIT_S)
    market = quoting_venue.NumberedMarket(LEAD_S, per_s, count)
    late_ms = [(at_ns - begin_ns - market.due_ns(number)) / 1e6 for number, at_ns in came]
    in_order = [number for number, _ in came] == list(range(1, count + 1))
    return Observation(figures={"late_ms": late_ms}, verified=in_order and seen == count)


def scenarios(size: Size) -> Iterator[Scenario | LeftOut]:
    """Yield all rates on one server."""
    if is_missing("aiohttp"):
        yield LeftOut("end_to_end_node", "the extra 'sandbox' (the venue) is not installed")
        return
    seconds = size.pick(1.5, 0.4, 0.3)
    stocks = size.pick(STOCK, STOCK[:1], STOCK[:1])
    with Server() as server:
        for per_s in size.pick((500, 2_000), (500,), (500,)):
            yield Scenario(
                arms={
                    bus: partial(run_round, server, bus, per_s, round(per_s * seconds))
                    for bus in ("enhanced", *stocks)
                },
                comparisons=[
                    Comparison(
                        topology=(
                            f"quotes at {per_s:,}/s, "
                            f"{f'{stock} ms' if ' ' in stock else 'stock default'}"
                        ),
                        stock=stock,
                        parameters={"per_s": per_s, "stock": stock},
                    )
                    for stock in stocks
                ],
                metrics=percentiles(
                    "late_ms", "ms", {"p50": 0.5, "p99": 0.99, "max": 1.0}, is_driven=True
                ),
                rounds=size.pick(3, 2, 1),
                warm_up=False,
            )


BENCHMARK = Benchmark(name="end_to_end_node", about=__doc__, scenarios=scenarios)
