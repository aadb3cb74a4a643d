"""
How long order events take from venues that send all the market data a machine can take.

::

    loopback venues, a process each ── sockets ──> NautilusTrader's clients ──> engines ──> strategy
        quotes at a rate, in bursts, and order events ───────────── measured ─────────────────┘

One node has a client and a strategy on each venue. A strategy gets all quotes, works on each for as
long as is said, and orders ten times a second. What is measured is the time from right before the
venue writes the event of an order to its socket to the strategy's handler. Both ends are processes
of this machine, with one clock.

The rate is the highest of some that the stock bus sustains in a run before the others: at the end
the node was behind the venues by no more quotes than they send in a second. A result is verified if
orders were filled on each venue, each fill arrived, and once, no venue cut off a session as too
slow, and neither node was farther behind than that.

A bus begins where a client hands over. What waits before, in the sockets, for the interpreter's
lock and among the callbacks of the event loop, waits on either bus. `in the engines` is the part of
the wait that is behind that point: from the endpoint of the execution engine to the handler.

Run: python benchmarks/venues_order_event.py [--quick] [--json FILE] [--venues binance,bybit]
"""

from __future__ import annotations

import argparse
import json
import os
import time
import urllib.request
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from typing import Any

import msgspec
from harness import Row
from harness import interleave
from harness import latency_rows
from harness import parser
from harness import report
from harness import run_child
from harness import sized

from nautilus_enhanced.cli.demo.venues import ALL
from nautilus_enhanced.cli.demo.venues import DEMO_VENUES
from nautilus_enhanced.cli.demo.venues import selected
from nautilus_enhanced.sandbox.process import VenueAddress
from nautilus_enhanced.sandbox.process import VenueProcess


if TYPE_CHECKING:
    from collections.abc import Sequence


BURSTS_PER_S = 4
# After the last order: what was sent has so long to arrive.
SETTLE_S = 1.0
# Venues and node share those of a smaller machine: each has threads of its own.
ENOUGH_PROCESSORS = 4
RATES = (500, 1_000, 2_000, 4_000, 8_000, 16_000)
MEASURED = {"OrderAccepted", "OrderFilled", "OrderCanceled"}
Found = dict[str, Any]


# -- the node, in a process of its own ------------------------------------------------------------


def keep_apart(*, is_node: bool) -> None:
    """Have the node use one half of the processors, and the venues the other, if there are four."""
    count = os.cpu_count() or 1
    if count >= ENOUGH_PROCESSORS and hasattr(os, "sched_setaffinity"):
        half = count // 2
        os.sched_setaffinity(0, range(half, count) if is_node else range(half))


def trade(bus: str, work_us: float, seconds: float, addresses: str) -> Found:
    """Run a node on the venues, and return what its strategies saw."""
    keep_apart(is_node=True)
    # The parent needs none of this.
    from nautilus_trader.config import LoggingConfig  # noqa: PLC0415
    from nautilus_trader.config import StrategyConfig  # noqa: PLC0415
    from nautilus_trader.config import TradingNodeConfig  # noqa: PLC0415
    from nautilus_trader.live.node import TradingNode  # noqa: PLC0415
    from nautilus_trader.model.identifiers import InstrumentId  # noqa: PLC0415
    from nautilus_trader.model.identifiers import TraderId  # noqa: PLC0415

    from nautilus_enhanced import EnhancedMessageBusConfig  # noqa: PLC0415
    from nautilus_enhanced.cli.demo.strategy import DemoStrategy  # noqa: PLC0415

    work_ns = int(work_us * 1e3)

    class Worker(DemoStrategy):  # type: ignore[misc]  # a class of the host, which has no types
        """Work on each quote, and note how long order events were inside of the node."""

        def on_quote_tick(self, tick: Any) -> None:
            super().on_quote_tick(tick)
            until = time.perf_counter_ns() + work_ns
            while time.perf_counter_ns() < until:
                pass

        def on_order_event(self, event: Any) -> None:
            super().on_order_event(event)
            if (came := handed.pop(event.id, None)) is not None:
                inside.append((time.monotonic_ns() - came) / 1e6)

    handed: dict[Any, int] = {}
    inside: list[float] = []
    at = msgspec.json.decode(addresses, type=dict[str, VenueAddress])
    clients = {name: DEMO_VENUES[name].clients(where) for name, where in at.items()}
    node = TradingNode(
        TradingNodeConfig(
            trader_id=TraderId("BENCH-001"),
            logging=LoggingConfig(log_level="ERROR", log_colors=False),
            message_bus=EnhancedMessageBusConfig(adapters="all") if bus == "enhanced" else None,
            data_clients={DEMO_VENUES[n].client: c.data_config for n, c in clients.items()},
            exec_clients={DEMO_VENUES[n].client: c.exec_config for n, c in clients.items()},
            timeout_connection=30.0,
            timeout_disconnection=5.0,
            timeout_post_stop=0.2,
        )
    )
    loop = node.get_event_loop()
    started: list[str] = []
    behind: dict[str, int] = {}

    def order() -> None:
        loop.call_later(0.1, order)
        for strategy in strategies.values():
            strategy.trade()

    def settle() -> None:
        # What they have sent by now, and what of it has been handled.
        for name, strategy in strategies.items():
            behind[name] = ask(at[name], "statistics")["quotes_sent"] - strategy.quotes
            strategy.stop_trading()
        loop.call_later(SETTLE_S, node.stop)

    def on_started() -> None:
        started.append("")
        if len(started) == len(strategies):
            order()
            loop.call_later(seconds, settle)

    strategies = {
        name: Worker(
            InstrumentId.from_str(DEMO_VENUES[name].instrument_id(where.symbol)),
            StrategyConfig(order_id_tag=f"{number:03}", **DEMO_VENUES[name].id_options),
            on_started,
        )
        for number, (name, where) in enumerate(at.items(), 1)
    }
    for name, of in clients.items():
        node.add_data_client_factory(DEMO_VENUES[name].client, of.data_factory)
        node.add_exec_client_factory(DEMO_VENUES[name].client, of.exec_factory)
    node.trader.add_strategies(list(strategies.values()))
    node.build()
    process = node.kernel.exec_engine.process

    def hand_over(event: Any) -> None:
        if type(event).__name__ in MEASURED:
            handed[event.id] = time.monotonic_ns()
        process(event)

    node.kernel.msgbus.deregister("ExecEngine.process", process)
    node.kernel.msgbus.register("ExecEngine.process", hand_over)
    node.run()
    found = {
        "quotes": {name: strategy.quotes for name, strategy in strategies.items()},
        "behind": behind,
        "filled": {name: strategy.filled for name, strategy in strategies.items()},
        "inside_ms": inside,
        "events": {
            name: [msgspec.to_builtins(event) for event in strategy.events]
            for name, strategy in strategies.items()
        },
    }
    node.dispose()
    return found


# -- the venues, and what came of a run -----------------------------------------------------------


def ask(at: VenueAddress, what: str) -> Any:
    """Return what a venue says of itself."""
    with urllib.request.urlopen(f"{at.http_url}/loopback/{what}", timeout=30) as answer:  # noqa: S310 (our venue)
        return json.load(answer)


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
        addresses = msgspec.json.encode(at).decode()
        # Too much for a pipe that the host's loop has made one that does not wait.
        file = Path(stack.enter_context(TemporaryDirectory())) / "found.json"
        run_child(__file__, "--child", bus, work_us, seconds, addresses, str(file))
        found: Found = json.loads(file.read_text())
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
        if not run("stock", names, rate, work_us, seconds)["sustained"]:
            break
        best = rate
    return best


def main() -> None:
    """Search the rate, run both buses in turns at it, and print the waits."""
    made = parser(__doc__)
    made.add_argument("--venues", help="default: all")
    made.add_argument("--rate", type=int, help="quotes a second of a venue; default: searched")
    made.add_argument("--work-us", type=float, help="work on a quote; default: 0, 20 and 100")
    made.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    options = made.parse_args()
    if options.child:
        bus, work_us, seconds, addresses, file = options.child
        Path(file).write_text(json.dumps(trade(bus, float(work_us), float(seconds), addresses)))
        print("null", flush=True)
        # The host's threads may say something at their end, which is not the last line then.
        os._exit(0)
    keep_apart(is_node=False)
    chosen = options.venues or sized(options, ALL, ALL, "binance")
    names = selected(ALL) if chosen == ALL else tuple(chosen.split(","))
    seconds = sized(options, 20.0, 10.0, 2.0)
    rows: list[Row] = []
    works = sized(options, (0.0, 20.0, 100.0), (0.0, 100.0), (0.0,))
    for work_us in works if options.work_us is None else (options.work_us,):
        searched = options.rate or sized(options, 0, 0, RATES[0])
        rate = searched or highest_rate(names, work_us, 5.0)
        sides = {
            bus: partial(run, bus, names, rate, work_us, seconds) for bus in ("enhanced", "stock")
        }
        results = interleave(sized(options, 3, 1, 1), sides)
        common: Found = {
            "verified": all(found["verified"] for side in results.values() for found in side),
            "parameters": {"venues": len(names), "quotes_per_s": rate, "work_us": work_us},
        }
        shares = {"p50": 0.5, "p99": 0.99}
        topology = f"{len(names)} venues, {rate:,} quotes/s each, {work_us:.0f} µs handlers"
        pooled = {
            bus: [[w for waits in found["waits"].values() for w in waits] for found in side]
            for bus, side in results.items()
        }
        rows += latency_rows("venues_order_event", topology, pooled, shares, **common)
        inside = {bus: [found["inside_ms"] for found in side] for bus, side in results.items()}
        rows += latency_rows(
            "venues_order_event in the engines", topology, inside, shares, **common
        )
        for name in names if len(names) > 1 else ():
            each = {bus: [found["waits"][name] for found in side] for bus, side in results.items()}
            rows += latency_rows(f"venues_order_event {name}", topology, each, shares, **common)
    report(rows, options)


if __name__ == "__main__":
    main()
