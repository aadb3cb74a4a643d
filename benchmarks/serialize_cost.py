"""
What it costs the trading thread to serialize a message, for each kind, encoding and form of time.

::

    message ──> serializer.serialize ──> bytes
                └──── measured ────┘

All messages differ in their numbers and times. Each round serializes all of them, and every
message is compared with the stock bytes once.

Run: python benchmarks/serialize_cost.py [--quick] [--json FILE]
"""

from __future__ import annotations

import random
import time
from functools import partial
from typing import TYPE_CHECKING
from typing import Any

import msgspec
from harness import Row
from harness import arguments
from harness import interleave
from harness import make_row
from harness import report
from harness import sized
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

from nautilus_enhanced.serialization import EnhancedSerializer
from nautilus_enhanced.serialization.verification import make_samples


if TYPE_CHECKING:
    from collections.abc import Callable


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


def run_round(serialize: Callable[[Any], bytes], messages: list[Any]) -> float:
    """Return microseconds a message."""
    begin = time.perf_counter()
    for message in messages:
        serialize(message)
    return (time.perf_counter() - begin) / len(messages) * 1e6


def main() -> None:
    """Run all kinds and print the figures."""
    options = arguments(__doc__)
    rows: list[Row] = []
    messages = make_messages(sized(options, 5_000, 2_000, 100))
    for form, iso8601 in FORMS.items():
        for encoding, module in ENCODINGS.items():
            stock, enhanced = (
                make(module, timestamps_as_str=True, timestamps_as_iso8601=iso8601).serialize
                for make in (MsgSpecSerializer, EnhancedSerializer)
            )
            for kind, batch in messages.items():
                verified = all(enhanced(message) == stock(message) for message in batch)
                sides = {
                    "enhanced": partial(run_round, enhanced, batch),
                    "stock": partial(run_round, stock, batch),
                }
                results = interleave(sized(options, 11, 5, 1), sides)
                rows.append(
                    make_row(
                        f"serialize_cost {encoding}, {form}",
                        kind,
                        "µs/message",
                        "lower",
                        results["enhanced"],
                        results["stock"],
                        verified=verified,
                        parameters={"kind": kind, "encoding": encoding, "times": form},
                    )
                )
    report(rows, options)


if __name__ == "__main__":
    main()
