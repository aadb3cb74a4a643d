"""The benchmarks there are, by name."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

import msgspec

from nautilus_enhanced.benchmarks.harness.model import Observation
from nautilus_enhanced.benchmarks.harness.model import Size
from nautilus_enhanced.benchmarks.harness.runner import Share
from nautilus_enhanced.benchmarks.harness.runner import play


if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from nautilus_enhanced.benchmarks.harness.model import Benchmark
    from nautilus_enhanced.benchmarks.harness.runner import Found


# Each is a module beside this one. In the order of a message's way: into the node and through its
# engines, out of it, to the server, to consumers, and what goes wrong on the way.
NAMES: Final = (
    "engine_queueing_overhead",
    "engine_throughput",
    "end_to_end_node",
    "engine_memory_per_message",
    "order_event_behind_burst",
    "order_event_against_slice",
    "order_event_at_low_load",
    "order_round_trip_behind_burst",
    "venues_order_event",
    "adapter_overhead",
    "pattern_match",
    "serialize_cost",
    "monitoring_overhead",
    "publish_call_cost",
    "publish_throughput",
    "publish_latency_under_flood",
    "trading_thread_interference",
    "consume_call_cost",
    "consume_throughput",
    "publish_to_handled",
    "request_response",
    "journal_throughput",
    "journal_order_event",
    "outage_recovery",
    "connections_1000",
    "load_rate",
    "load_instruments",
    "load_subscriptions",
    "load_consumers",
    "peers",
)


def load(name: str) -> Benchmark:
    """Import one of the benchmarks."""
    found: Benchmark = import_module(f"{__package__}.{name}").BENCHMARK
    return found


def chosen(names: Sequence[str]) -> list[str]:
    """
    Return the benchmarks that were named, once each; all of them if none was.

    Raises
    ------
    ValueError
        If there is none of a name.
    """
    for name in names:
        if name not in NAMES:
            raise ValueError(
                f"NAME was {name!r}, allowed: {', '.join(NAMES)}; `nt-enhanced bench --list` says "
                "what they measure"
            )
    return list(dict.fromkeys(names)) or list(NAMES)


def measure(
    name: str,
    size: str,
    run: Mapping[str, str],
    at: int = 0,
    earlier: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """
    Play a benchmark, or the share of one of the processes that it is for; for a process of its own.

    Parameters
    ----------
    name : str
        The benchmark.
    size : str
        How much is measured.
    run : Mapping[str, str]
        What the rows say about when and where that was.
    at : int, default 0
        Which of the benchmark's processes this is.
    earlier : sequence of Mapping
        What was ``found`` by the one before.

    Returns
    -------
    dict[str, Any]
        What JSON can tell: ``rows``, ``left_out``, whether it ``is_done``, and if it is not, what
        was ``found``.
    """
    benchmark, how_much = load(name), Size(size)
    share = Share(at, benchmark.processes_of(how_much))
    played = play(benchmark, how_much, run, share, [_observed(found) for found in earlier])
    is_done = at + 1 >= share.of
    return {
        "rows": msgspec.to_builtins(played.rows),
        "left_out": [{"what": one.what, "reason": one.reason} for one in played.left_out],
        "is_done": is_done,
        "found": [] if is_done else msgspec.to_builtins(played.found),
    }


def _observed(found: Mapping[str, Any]) -> Found:
    return {arm: [Observation(**one) for one in rounds] for arm, rounds in found.items()}
