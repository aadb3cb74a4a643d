"""A node that trades on loopback venues, and notes when order events came and were handed over."""

from __future__ import annotations

import json
import os
import time
import urllib.request
from typing import Any
from typing import Final

import msgspec
from nautilus_trader.config import LoggingConfig
from nautilus_trader.config import StrategyConfig
from nautilus_trader.config import TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import TraderId

from nautilus_enhanced import EnhancedMessageBusConfig
from nautilus_enhanced.cli.demo.strategy import DemoStrategy
from nautilus_enhanced.cli.demo.venues import DEMO_VENUES
from nautilus_enhanced.sandbox.process import VenueAddress


# After the last order: what was sent has so long to arrive.
SETTLE_S: Final = 1.0
# Venues and node share those of a smaller machine: each has threads of its own.
ENOUGH_PROCESSORS: Final = 4
MEASURED: Final = frozenset({"OrderAccepted", "OrderFilled", "OrderCanceled"})
Found = dict[str, Any]


def keep_apart(*, is_node: bool) -> None:
    """Have the node use one half of the processors, and the venues the other, if there are four."""
    count = os.cpu_count() or 1
    if count >= ENOUGH_PROCESSORS and hasattr(os, "sched_setaffinity"):
        half = count // 2
        os.sched_setaffinity(0, range(half, count) if is_node else range(half))


def ask(at: VenueAddress, what: str) -> Any:
    """Return what a venue says of itself."""
    with urllib.request.urlopen(f"{at.http_url}/loopback/{what}", timeout=30) as answer:  # noqa: S310 (our venue)
        return json.load(answer)


def trade(bus: str, work_us: float, seconds: float, addresses: dict[str, Any]) -> Found:
    """Run a node on the venues, and return what its strategies saw."""
    keep_apart(is_node=True)
    work_ns = int(work_us * 1e3)

    class Worker(DemoStrategy):
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
    at = msgspec.convert(addresses, dict[str, VenueAddress])
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
    assert loop is not None  # noqa: S101 (a node that is not built yet has one)
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
