"""
How long order events take from venues that send all the market data a machine can take.

::

    loopback venues, a process each ── sockets ──> NautilusTrader's clients ──> engines ──> strategy
        quotes at a rate, in bursts, and order events ───────────── measured ─────────────────┘

One node has a client and a strategy on each venue. A strategy gets all quotes, works on each for as
long as is said, and orders ten times a second. What is measured is the time from right before the
venue writes the event of an order to its socket to the strategy's handler. Both ends are processes
of this machine, with one clock.

The rate is the highest of some, 1,000 to 4,000 quotes a second of each venue, that the stock bus
sustains in a run before the others: at the end the node was behind the venues by no more quotes
than they send in a second. A result is verified if orders were filled on each venue, each fill
arrived, and once, no venue cut off a session as too slow, and neither node was farther behind than
that.

A bus begins where a client hands over. What waits before, in the sockets, for the interpreter's
lock and among the callbacks of the event loop, waits on either bus. `in the engines` is the part of
the wait that is behind that point: from the endpoint of the execution engine to the handler.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING
from typing import Final

import msgspec

from nautilus_enhanced.benchmarks.harness import ApartError
from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import LeftOut
from nautilus_enhanced.benchmarks.harness import Metric
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.harness import call_apart
from nautilus_enhanced.benchmarks.harness import percentiles
from nautilus_enhanced.benchmarks.rigs.trading_venues import Found
from nautilus_enhanced.benchmarks.rigs.trading_venues import ask
from nautilus_enhanced.benchmarks.rigs.trading_venues import keep_apart
from nautilus_enhanced.benchmarks.rigs.trading_venues import trade
from nautilus_enhanced.cli.demo.venues import ALL
from nautilus_enhanced.cli.demo.venues import DEMO_VENUES
from nautilus_enhanced.cli.demo.venues import check_clients
from nautilus_enhanced.cli.demo.venues import selected
from nautilus_enhanced.infrastructure.messagebus.errors import EnhancedBusError
from nautilus_enhanced.sandbox.process import VenueProcess


if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Sequence


BURSTS_PER_S: Final = 4
RATES: Final = (1_000, 2_000, 4_000)
# Of which all that matters is that it works.
TINY_RATE: Final = 500
# To connect, and to stop.
GRACE_S: Final = 45.0
SHARES: Final = {"p50": 0.5, "p99": 0.99}


def options_of(name: str, rate: int) -> Found:
    """Return the market that a venue has, of so many quotes a second."""
    burst = max(1, round(rate * DEMO_VENUES[name].pace / BURSTS_PER_S))
    steady = {"quotes_per_s": 20, "trades_per_s": 20}
    return steady | {"burst_size": burst, "burst_interval_s": 1 / BURSTS_PER_S}


def run(bus: str, names: Sequence[str], rate: int, work_us: float, seconds: float) -> Found:
    """Run venues and a node, and return the waits of each venue's order events."""
    with ExitStack() as stack:
        at = {
            name: stack.enter_context(
                VenueProcess(DEMO_VENUES[name].loopback, **options_of(name, rate))
            ).address
            for name in names
        }
        found: Found = call_apart(
            trade, bus, work_us, seconds, msgspec.to_builtins(at), timeout_s=seconds + GRACE_S
        )
        waits, verified = {}, True
        for name in names:
            pushes = {
                _key(push): push["monotonic_ns"]
                for push in DEMO_VENUES[name].measured_pushes(ask(at[name], "pushes"))
            }
            seen = [event for event in found["events"][name] if _key(event) in pushes]
            waits[name] = [(event["monotonic_ns"] - pushes[_key(event)]) / 1e6 for event in seen]
            # Not all else that a venue tells of an order makes an event by itself.
            filled = [_key(event) for event in seen if event["execution_type"] == "TRADE"]
            verified &= sorted(filled) == sorted(key for key in pushes if key[1] == "TRADE")
            verified &= found["filled"][name] > 0
            verified &= ask(at[name], "statistics")["slow_readers"] == 0
        sustained = all(
            behind <= rate * DEMO_VENUES[name].pace + 1_000 / BURSTS_PER_S
            for name, behind in found["behind"].items()
        )
        return found | {"waits": waits, "verified": verified and sustained, "sustained": sustained}


def _key(event: Found) -> tuple[str, str, int]:
    return event["client_order_id"], event["execution_type"], event["trade_id"]


def highest_rate(names: Sequence[str], work_us: float, seconds: float) -> int:
    """Return the highest of the rates that the stock bus sustains."""
    best = RATES[0]
    for rate in RATES:
        try:
            sustained = run("stock", names, rate, work_us, seconds)["sustained"]
        except ApartError:
            # So far behind that it does not get to its own end.
            sustained = False
        if not sustained:
            break
        best = rate
    return best


def run_round(
    bus: str, names: Sequence[str], rate: int, work_us: float, seconds: float
) -> Observation:
    """Run venues and a node, and return what was seen of them."""
    found = run(bus, names, rate, work_us, seconds)
    waits: dict[str, list[float]] = found["waits"]
    figures = {name: waits[name] for name in names}
    figures |= {"all": [wait for of in waits.values() for wait in of]}
    figures |= {"inside": found["inside_ms"]}
    return Observation(figures=figures, verified=found["verified"])


def scenarios(size: Size) -> Iterator[Scenario | LeftOut]:
    """Search the rate for each kind of handler, and yield both buses at it."""
    if size is Size.QUICK:
        yield LeftOut("venues_order_event", "it takes minutes; it is measured in full runs only")
        return
    names = size.pick(selected(ALL), (), ("binance",))
    try:
        check_clients(names)
    except EnhancedBusError as error:
        yield LeftOut("venues_order_event", str(error))
        return
    keep_apart(is_node=False)
    seconds = size.pick(10.0, 0.0, 2.0)
    metrics: tuple[Metric, ...] = percentiles("all", "ms", SHARES, is_driven=True)
    metrics += percentiles("inside", "ms", SHARES, label="in the engines", is_driven=True)
    for name in names if len(names) > 1 else ():
        metrics += percentiles(name, "ms", SHARES, label=name, is_driven=True)
    for work_us in size.pick((20.0,), (), (0.0,)):
        rate = size.pick(0, 0, TINY_RATE) or highest_rate(names, work_us, seconds)
        yield Scenario(
            arms={
                bus: partial(run_round, bus, names, rate, work_us, seconds)
                for bus in ("enhanced", "stock")
            },
            comparisons=[
                Comparison(
                    topology=(
                        f"{len(names)} venues, {rate:,} quotes/s each, {work_us:.0f} µs handlers"
                    ),
                    parameters={"venues": len(names), "quotes_per_s": rate, "work_us": work_us},
                )
            ],
            metrics=metrics,
            rounds=size.pick(3, 0, 1),
            warm_up=False,
        )


BENCHMARK = Benchmark(name="venues_order_event", about=__doc__, scenarios=scenarios)
