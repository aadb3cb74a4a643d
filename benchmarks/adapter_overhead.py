"""
What a mixin costs for each message that a client hands to an engine.

::

    client._handle_data(quote) ──> [mixin: count, look at every 16th] ──> bus ──> endpoint
    └──────────────── measured, with and without the mixin ──────────────────────────────┘

The endpoint is a compiled function that keeps the message, so that nothing else is measured. Every
message is counted. Market data is looked at every 16th time, for latencies and rates; what it
would cost to look at each is measured, too. Events of orders are looked at each time.

Stock and enhanced take turns of 640 messages, and the time is that of the thread: a few tenths of
a microsecond are less than what other work of the machine adds to a round.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock
from nautilus_trader.common.component import MessageBus
from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.live.data_client import LiveMarketDataClient
from nautilus_trader.live.execution_client import LiveExecutionClient
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.enums import AccountType
from nautilus_trader.model.enums import OmsType
from nautilus_trader.model.identifiers import ClientId
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.test_kit.stubs.data import TestDataStubs
from nautilus_trader.test_kit.stubs.events import TestEventStubs
from nautilus_trader.test_kit.stubs.execution import TestExecStubs

from nautilus_enhanced.adapters import mixins
from nautilus_enhanced.adapters.meter import SAMPLE_MASK
from nautilus_enhanced.adapters.mixing import mixed_class
from nautilus_enhanced.adapters.observer import ClientObserver


if TYPE_CHECKING:
    from collections.abc import Iterator


CHUNK = 640


@dataclass(frozen=True)
class Case:
    """What is handed over, by which method, and how often the mixin looks at it."""

    message: str
    method: str
    endpoint: str
    mask: int = SAMPLE_MASK

    @property
    def looks(self) -> str:
        """Return how often the mixin looks."""
        return "each" if not self.mask else f"every {self.mask + 1}th"


CASES = (
    Case("quote", "_handle_data", "DataEngine.process"),
    Case("quote", "_handle_data", "DataEngine.process", mask=0),
    Case("order event", "_send_order_event", "ExecEngine.process", mask=0),
)


def make_client(case: Case, handler: Any) -> Any:
    """Return a stock client on a bus of its own, whose endpoint has the handler."""
    clock = LiveClock()
    bus = MessageBus(TraderId("BENCH-001"), clock)
    bus.register(case.endpoint, handler)
    common: dict[str, Any] = {
        "loop": asyncio.new_event_loop(),
        "client_id": ClientId("SIM"),
        "venue": Venue("SIM"),
        "instrument_provider": InstrumentProvider(),
        "msgbus": bus,
        "cache": Cache(),
        "clock": clock,
    }
    common["loop"].close()
    if case.message == "quote":
        return type("Client", (LiveMarketDataClient,), {})(**common)
    return type("Client", (LiveExecutionClient,), {})(
        **common, oms_type=OmsType.NETTING, account_type=AccountType.MARGIN, base_currency=USD
    )


def make_message(case: Case) -> Any:
    """Return what is handed over, with the times that a venue gives."""
    now_ns = time.time_ns()
    if case.message == "quote":
        return TestDataStubs.quote_tick(ts_event=now_ns - 1_000_000, ts_init=now_ns)
    return TestEventStubs.order_accepted(TestExecStubs.limit_order())


@contextmanager
def looking(mask: int) -> Iterator[None]:
    """Have mixins look at market data as often as a mask says."""
    mixins.SAMPLE_MASK = mask  # type: ignore[misc]  # to measure what is not offered
    try:
        yield
    finally:
        mixins.SAMPLE_MASK = SAMPLE_MASK  # type: ignore[misc]  # as it was


class Side:
    """One client and its endpoint, and what a chunk of messages has cost it."""

    def __init__(self, case: Case, *, is_enhanced: bool) -> None:
        self._got: list[Any] = []
        self._client = make_client(case, self._got.append)
        self._message = make_message(case)
        self._sent = 0
        self._is_enhanced = is_enhanced
        self.verified = True
        if is_enhanced:
            stock = type(self._client)
            self._client.__class__ = mixed_class(stock)
            self._client.observe_with(ClientObserver("SIM", "data", stock.__name__, print))
        self._hand_over = getattr(self._client, case.method)

    def run_chunk(self) -> float:
        """Hand over a chunk; return microseconds a message."""
        hand_over, message = self._hand_over, self._message
        self._got.clear()
        begin = time.thread_time_ns()
        for _ in range(CHUNK):
            hand_over(message)
        took_us = (time.thread_time_ns() - begin) / CHUNK / 1e3
        self._sent += CHUNK
        self.verified &= len(self._got) == CHUNK and all(it is message for it in self._got)
        return took_us

    def check(self) -> bool:
        """Return whether all messages were handed over, and counted."""
        if self._is_enhanced:
            told = self._client.observer.statistics()
            self.verified &= told.count == self._sent and told.errors == 0
        return self.verified


def run_round(case: Case, chunks: int) -> tuple[float, float, bool]:
    """Return the median of either side in microseconds a message, and whether all is well."""
    ours, theirs = Side(case, is_enhanced=True), Side(case, is_enhanced=False)
    with looking(case.mask):
        # The first turn of each is a warm-up.
        took = [(ours.run_chunk(), theirs.run_chunk()) for _ in range(chunks + 1)][1:]
    enhanced, stock = (statistics.median(side) for side in zip(*took, strict=True))
    return enhanced, stock, ours.check() and theirs.check()


def main() -> None:
    """Run stock and enhanced clients in turns and print the figures."""
    options = arguments(__doc__)
    rounds, chunks = sized(options, 21, 11, 1), sized(options, 150, 60, 2)
    rows: list[Row] = []
    for case in CASES:
        gc.collect()
        results = [run_round(case, chunks) for _ in range(rounds)]
        ours, theirs = [r[0] for r in results], [r[1] for r in results]
        shared: dict[str, Any] = {
            "verified": all(verified for *_, verified in results),
            "parameters": {"message": case.message, "looks": case.looks},
        }
        excess = [us - them for us, them in zip(ours, theirs, strict=True)]
        for name, enhanced, stock in (
            ("adapter_overhead", ours, theirs),
            # Stock has none over itself.
            ("adapter_overhead excess", excess, [0.0] * rounds),
        ):
            topology = f"{case.message}, looked at {case.looks} time"
            rows.append(make_row(name, topology, "µs/message", "lower", enhanced, stock, **shared))
    report(rows, options)
