"""
What a mixin costs for each message that a client hands to an engine.

::

    client._handle_data(quote) ──> [mixin: count, look at every 16th] ──> bus ──> endpoint
    └──────────────── measured, with and without the mixin ──────────────────────────────┘
    socket ──frame──> venue's client ──> the same ────────────────────────────────────────
             └───────── measured, for each venue, with and without the mixin ─────────────┘

The endpoint is a compiled function that keeps the message, so that nothing else is measured. Every
message is counted. Market data is looked at every 16th time, for latencies and rates; what it
would cost to look at each is measured, too. Events of orders are looked at each time. The clients
of venues are NautilusTrader's own: Binance's parses the frame itself, those of Bybit and OKX get
what was parsed in Rust. Interactive Brokers' has a client within, which makes a task of each tick
and sends it to the engine by itself: there the mixin is under that one.

Stock and enhanced take turns of 640 messages, and the time is that of the thread: a few tenths of
a microsecond are less than what other work of the machine adds to a round.
"""

from __future__ import annotations

import asyncio
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
from nautilus_enhanced.adapters.observer import ClientObserver
from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import LeftOut
from nautilus_enhanced.benchmarks.harness import Metric
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.rigs.venue_clients import FEEDS
from nautilus_enhanced.benchmarks.rigs.venue_clients import ByMethod
from nautilus_enhanced.benchmarks.rigs.venue_clients import Feed
from nautilus_enhanced.infrastructure.messagebus.errors import MissingExtraError
from nautilus_enhanced.sandbox.errors import VenueError


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator


CHUNK = 640
RENEWED_AFTER = 100
BUSES = ("enhanced", "stock")


@dataclass(frozen=True)
class Case(ByMethod):
    """What is handed over, by which method, and how often the mixin looks at it."""

    title: str
    method: str
    endpoint: str
    mask: int = SAMPLE_MASK

    def make_client(self, handle: Callable[[Any], None]) -> Any:
        """Return a stock client on a bus of its own, whose endpoint is a function."""
        clock = LiveClock()
        bus = MessageBus(TraderId("BENCH-001"), clock)
        bus.register(self.endpoint, handle)
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
        if self.title == "quote":
            return type("Client", (LiveMarketDataClient,), {})(**common)
        return type("Client", (LiveExecutionClient,), {})(
            **common, oms_type=OmsType.NETTING, account_type=AccountType.MARGIN, base_currency=USD
        )

    def make_message(self) -> Any:
        """Return what is handed over, with the times that a venue gives."""
        now_ns = time.time_ns()
        if self.title == "quote":
            return TestDataStubs.quote_tick(ts_event=now_ns - 1_000_000, ts_init=now_ns)
        return TestEventStubs.order_accepted(TestExecStubs.limit_order())

    def arrived(self, got: list[Any], message: Any) -> bool:
        """Return whether the endpoint got nothing but the message itself."""
        return all(it is message for it in got)


CASES = (
    Case("quote", "_handle_data", "DataEngine.process"),
    Case("quote", "_handle_data", "DataEngine.process", mask=0),
    Case("order event", "_send_order_event", "ExecEngine.process", mask=0),
)


def how_often(mask: int) -> str:
    """Return how often the mixin looks at a message."""
    return "each" if not mask else f"every {mask + 1}th"


@contextmanager
def looking(mask: int) -> Iterator[None]:
    """Have mixins look at market data as often as a mask says."""
    setattr(mixins, "SAMPLE_MASK", mask)  # noqa: B010 (a constant: to measure what is not offered)
    try:
        yield
    finally:
        setattr(mixins, "SAMPLE_MASK", SAMPLE_MASK)  # noqa: B010 (as it was)


class Side:
    """
    Clients of one kind, one after the other, and what a turn of each costs.

    Where a client lies in memory makes some difference, so there is another one now and then.

    Parameters
    ----------
    feed : Feed
        The kind, and what is handed over.
    mask : int
        How often the mixin looks at it.
    is_enhanced : bool
        Whether with the mixin.
    """

    def __init__(self, feed: Feed, mask: int, *, is_enhanced: bool) -> None:
        self._feed = feed
        self._mask = mask
        self._is_enhanced = is_enhanced
        self._message = feed.make_message()
        self._turns = 0
        self._renew()

    def _renew(self) -> None:
        self._got: list[Any] = []
        self._sent = 0
        self._observer: ClientObserver | None = None
        client = self._feed.make_client(self._got.append)
        if self._is_enhanced:
            self._observer = ClientObserver("SIM", "data", type(client).__name__, print)
            self._feed.observe(client, self._observer)
        self._hand_over = self._feed.entrance(client)

    def run_turn(self) -> Observation:
        """Hand over messages; return microseconds a message, and whether all were, and counted."""
        self._turns += 1
        if self._turns % RENEWED_AFTER == 0:
            self._renew()
        hand_over, message = self._hand_over, self._message
        self._got.clear()
        with looking(self._mask):
            begin = time.thread_time_ns()
            for _ in range(CHUNK):
                hand_over(message)
            took_us = (time.thread_time_ns() - begin) / CHUNK / 1e3
        self._sent += CHUNK
        verified = len(self._got) == CHUNK and self._feed.arrived(self._got, message)
        if self._observer is not None:
            told = self._observer.statistics()
            verified = verified and told.count == self._sent and told.errors == 0
        return Observation(figures={"us": took_us}, verified=verified)


def scenarios(size: Size) -> Iterator[Scenario | LeftOut]:
    """Yield a scenario for each case and each venue."""
    cases: list[tuple[Feed, int]] = [(case, case.mask) for case in CASES]
    cases += [(feed, SAMPLE_MASK) for feed in FEEDS]
    for feed, mask in cases:
        try:
            sides = {bus: Side(feed, mask, is_enhanced=bus == "enhanced") for bus in BUSES}
        except (ImportError, AttributeError, ValueError, MissingExtraError, VenueError) as error:
            if isinstance(feed, Case):
                raise
            yield LeftOut(feed.title, str(error))
            continue
        looks = how_often(mask)
        yield Scenario(
            arms={bus: side.run_turn for bus, side in sides.items()},
            comparisons=[
                Comparison(
                    topology=f"{feed.title}, looked at {looks} time",
                    parameters={"message": feed.title, "looks": looks},
                )
            ],
            metrics=[
                Metric(figure="us", unit="µs/message"),
                # Stock has none over itself.
                Metric(figure="us", unit="µs/message", label="excess", beyond="stock"),
            ],
            # What a client of a venue does itself is most of its turn, so that few are enough.
            rounds=size.pick(1_500, 150, 3) if isinstance(feed, Case) else size.pick(300, 30, 3),
            collect=False,
        )


BENCHMARK = Benchmark(name="adapter_overhead", about=__doc__, scenarios=scenarios)
