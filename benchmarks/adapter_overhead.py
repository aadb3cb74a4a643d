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
what was parsed in Rust. Interactive Brokers' data goes past the methods of its clients and is seen
at the endpoint instead.

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
from nautilus_enhanced.adapters.mixing import mixed_class
from nautilus_enhanced.adapters.observer import ClientObserver
from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import LeftOut
from nautilus_enhanced.benchmarks.harness import Metric
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.benchmarks.rigs.venue_clients import FEEDS
from nautilus_enhanced.benchmarks.rigs.venue_clients import VenueFeed
from nautilus_enhanced.benchmarks.rigs.venue_clients import are_quotes
from nautilus_enhanced.sandbox.errors import VenueError


if TYPE_CHECKING:
    from collections.abc import Iterator


CHUNK = 640
RENEWED_AFTER = 100
BUSES = ("enhanced", "stock")


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
    case : Case
        What is handed over.
    is_enhanced : bool
        Whether with the mixin.
    """

    def __init__(self, case: Case | VenueFeed, *, is_enhanced: bool) -> None:
        self._case = case
        self._is_enhanced = is_enhanced
        self._mask = SAMPLE_MASK if isinstance(case, VenueFeed) else case.mask
        self._message = case.make_frame() if isinstance(case, VenueFeed) else make_message(case)
        self._turns = 0
        self._renew()

    def _renew(self) -> None:
        self._got: list[Any] = []
        case = self._case
        self._client = (
            case.make_client(self._got.append)
            if isinstance(case, VenueFeed)
            else make_client(case, self._got.append)
        )
        self._sent = 0
        if self._is_enhanced:
            stock: Any = type(self._client)
            self._client.__class__ = mixed_class(stock)
            self._client.observe_with(ClientObserver("SIM", "data", stock.__name__, print))
        self._hand_over = getattr(self._client, self._case.method)

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
        verified = len(self._got) == CHUNK and (
            are_quotes(self._got)
            if isinstance(self._case, VenueFeed)
            else all(it is message for it in self._got)
        )
        if self._is_enhanced:
            told = self._client.observer.statistics()
            verified = verified and told.count == self._sent and told.errors == 0
        return Observation(figures={"us": took_us}, verified=verified)


def scenarios(size: Size) -> Iterator[Scenario | LeftOut]:
    """Yield a scenario for each case and each venue."""
    for case in (*CASES, *FEEDS):
        try:
            sides = {bus: Side(case, is_enhanced=bus == "enhanced") for bus in BUSES}
        except (ImportError, AttributeError, ValueError, VenueError) as error:
            if isinstance(case, Case):
                raise
            yield LeftOut(f"the data client of {case.venue}", str(error))
            continue
        if isinstance(case, Case):
            topology = f"{case.message}, looked at {case.looks} time"
            parameters = {"message": case.message, "looks": case.looks}
            rounds = size.pick(1_500, 150, 3)
        else:
            topology = f"a frame of {case.venue}, looked at every {SAMPLE_MASK + 1}th time"
            parameters = {
                "message": f"frame of {case.venue}",
                "looks": f"every {SAMPLE_MASK + 1}th",
            }
            rounds = size.pick(300, 30, 3)
        yield Scenario(
            arms={bus: side.run_turn for bus, side in sides.items()},
            comparisons=[Comparison(topology=topology, parameters=parameters)],
            metrics=[
                Metric(figure="us", unit="µs/message"),
                # Stock has none over itself.
                Metric(figure="us", unit="µs/message", label="excess", beyond="stock"),
            ],
            rounds=rounds,
            collect=False,
        )


BENCHMARK = Benchmark(name="adapter_overhead", about=__doc__, scenarios=scenarios)
