"""
What it costs the trading thread to serialize a message, for each kind, encoding and form of time.

::

    message ──> serializer.serialize ──> bytes
                └──── measured ────┘

All messages differ in their numbers and times. Each of many rounds serializes all of them, and
every message is compared with the stock bytes once. The time is that of the thread.
"""

from __future__ import annotations

import random
import time
from functools import partial
from typing import TYPE_CHECKING
from typing import Any

import msgspec
from nautilus_trader.model.data import Bar
from nautilus_trader.model.data import BarType
from nautilus_trader.model.data import BookOrder
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.enums import BookAction
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity
from nautilus_trader.serialization.serializer import MsgSpecSerializer

from nautilus_enhanced.benchmarks.harness import Benchmark
from nautilus_enhanced.benchmarks.harness import Comparison
from nautilus_enhanced.benchmarks.harness import Metric
from nautilus_enhanced.benchmarks.harness import Observation
from nautilus_enhanced.benchmarks.harness import Scenario
from nautilus_enhanced.benchmarks.harness import Size
from nautilus_enhanced.serialization import EnhancedSerializer
from nautilus_enhanced.serialization.verification import make_samples


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator


SEED = 20_261_121
START_NS = 1_700_000_000_123_456_789
DELTAS_PER_BATCH = 10
EVENTS = ("OrderInitialized", "OrderSubmitted", "OrderAccepted", "OrderFilled", "OrderCanceled")
ENCODINGS = {"json": msgspec.json, "msgpack": msgspec.msgpack}
# What the kernel asks for: times as texts of integers, or ISO 8601.
FORMS = {"integers": False, "ISO 8601": True}


class Messages:
    """Make messages of each kind, no two alike."""

    def __init__(self) -> None:
        self._random = random.Random(SEED)  # noqa: S311 (not a secret)
        self._instrument_id = InstrumentId.from_str("BTCUSDT-PERP.BINANCE")
        self._bar_type = BarType.from_str(f"{self._instrument_id}-1-MINUTE-LAST-EXTERNAL")
        self._time_ns = START_NS

    def quote(self) -> QuoteTick:
        """Return a quote."""
        bid, ask, bid_size, ask_size = self._price(), self._price(), self._size(), self._size()
        return QuoteTick(self._instrument_id, bid, ask, bid_size, ask_size, *self._times())

    def trade(self) -> TradeTick:
        """Return a trade."""
        side = self._random.choice((AggressorSide.BUYER, AggressorSide.SELLER))
        trade_id = TradeId(str(self._random.randrange(10**9)))
        times = self._times()
        return TradeTick(self._instrument_id, self._price(), self._size(), side, trade_id, *times)

    def bar(self) -> Bar:
        """Return a bar."""
        low, open_, close, high = sorted(self._price() for _ in range(4))
        return Bar(self._bar_type, open_, high, low, close, self._size(), *self._times())

    def delta(self) -> OrderBookDelta:
        """Return a change of a book."""
        order = BookOrder(
            self._random.choice((OrderSide.BUY, OrderSide.SELL)),
            self._price(),
            self._size(),
            self._random.randrange(10**12),
        )
        sequence = self._random.randrange(10**9)
        times = self._times()
        return OrderBookDelta(self._instrument_id, BookAction.UPDATE, order, 0, sequence, *times)

    def deltas(self) -> OrderBookDeltas:
        """Return a batch of changes of a book."""
        return OrderBookDeltas(self._instrument_id, [self.delta() for _ in range(DELTAS_PER_BATCH)])

    def _price(self) -> Price:
        return Price.from_str(f"{self._random.uniform(40_000, 60_000):.2f}")

    def _size(self) -> Quantity:
        return Quantity.from_str(f"{self._random.uniform(0.001, 30):.3f}")

    def _times(self) -> tuple[int, int]:
        self._time_ns += self._random.randrange(1, 10**9)
        return self._time_ns, self._time_ns + 5_000


def make_messages(count: int) -> dict[str, list[Any]]:
    """Return messages of each kind by name; events are always the same one."""
    make = Messages()
    events = {type(sample).__name__: sample for sample in make_samples()}
    return {
        "QuoteTick": [make.quote() for _ in range(count)],
        "TradeTick": [make.trade() for _ in range(count)],
        "Bar": [make.bar() for _ in range(count)],
        "OrderBookDelta": [make.delta() for _ in range(count)],
        f"OrderBookDeltas of {DELTAS_PER_BATCH}": [make.deltas() for _ in range(count // 10)],
        **{name: [events[name]] * (count // 2) for name in EVENTS},
    }


def run_round(
    serialize: Callable[[Any], bytes], messages: list[Any], *, verified: bool
) -> Observation:
    """Return microseconds a message."""
    begin = time.thread_time()
    for message in messages:
        serialize(message)
    took_us = (time.thread_time() - begin) / len(messages) * 1e6
    return Observation(figures={"us": took_us}, verified=verified)


def scenarios(size: Size) -> Iterator[Scenario]:
    """Yield a scenario for each kind, encoding and form of time."""
    messages = make_messages(size.pick(400, 100, 100))
    for form, iso8601 in FORMS.items():
        for encoding, module in ENCODINGS.items():
            stock, enhanced = (
                make(module, timestamps_as_str=True, timestamps_as_iso8601=iso8601).serialize
                for make in (MsgSpecSerializer, EnhancedSerializer)
            )
            for kind, batch in messages.items():
                verified = all(enhanced(message) == stock(message) for message in batch)
                yield Scenario(
                    arms={
                        "enhanced": partial(run_round, enhanced, batch, verified=verified),
                        "stock": partial(run_round, stock, batch, verified=verified),
                    },
                    comparisons=[
                        Comparison(
                            topology=kind,
                            label=f"{encoding}, {form}",
                            parameters={"kind": kind, "encoding": encoding, "times": form},
                        )
                    ],
                    metrics=[Metric(figure="us", unit="µs/message")],
                    rounds=size.pick(61, 15, 1),
                    collect=False,
                )


BENCHMARK = Benchmark(name="serialize_cost", about=__doc__, scenarios=scenarios)
