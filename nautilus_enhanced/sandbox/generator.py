"""
A made-up market: seeded, endless, with bursts.

Quotes and trades arrive by chance at the given mean rates. A burst is a number of quotes that
are all due at one instant; its prices run `burst_reach_ticks` down, up and back again, so that
orders that rest a few ticks away on either side are crossed *inside* the burst. That is the
moment when order events compete with a backlog of market data.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from typing import Final

from nautilus_enhanced.sandbox.market import Instrument
from nautilus_enhanced.sandbox.market import MarketEvent
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.market import Trade


NS_PER_S: Final = 1_000_000_000
MAX_RATE: Final = 1_000_000
MAX_BURST_SIZE: Final = 100_000
MIN_INTERVAL_S: Final = 0.001
MAX_SPREAD_TICKS: Final = 3
MAX_SIZE_STEPS: Final = 200_000

DEFAULT_INSTRUMENT: Final = Instrument(
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.01"),
    step_size=Decimal("0.00001"),
)


@dataclass(frozen=True, kw_only=True)
class GeneratedMarket:
    """
    Generate quotes and trades; the same settings give the same events.

    Parameters
    ----------
    instrument : Instrument
        What is traded; BTCUSDT by default.
    seed : int
        Selects the course of the market.
    start_price : Decimal
        The first bid, in the quote asset; on the tick grid.
    bound_ticks : int
        How far the bid may go from `start_price` between bursts, in ticks.
    quotes_per_s, trades_per_s : float
        Mean rates outside of bursts; 0 for none.
    burst_size : int
        Quotes in a burst; 0 for no bursts.
    burst_interval_s : float
        Time from one burst to the next, and before the first.
    burst_reach_ticks : int
        How far a burst goes down, and then up, from where it began, in ticks.

    Raises
    ------
    ValueError
        If a setting is outside of what is allowed.
    """

    instrument: Instrument = field(default=DEFAULT_INSTRUMENT)
    seed: int = 1
    start_price: Decimal = Decimal("50000.00")
    bound_ticks: int = 50_000
    quotes_per_s: float = 50.0
    trades_per_s: float = 5.0
    burst_size: int = 0
    burst_interval_s: float = 1.0
    burst_reach_ticks: int = 50

    def __post_init__(self) -> None:
        start_ticks = self.start_price / self.instrument.tick_size
        if start_ticks != int(start_ticks):
            raise ValueError(
                f"`start_price` was {self.start_price}, "
                f"allowed: multiples of the tick size {self.instrument.tick_size}",
            )
        rules = (
            ("quotes_per_s", 0 <= self.quotes_per_s <= MAX_RATE, f"0 to {MAX_RATE:,}"),
            ("trades_per_s", 0 <= self.trades_per_s <= MAX_RATE, f"0 to {MAX_RATE:,}"),
            ("burst_size", 0 <= self.burst_size <= MAX_BURST_SIZE, f"0 to {MAX_BURST_SIZE:,}"),
            ("burst_interval_s", self.burst_interval_s >= MIN_INTERVAL_S, f"from {MIN_INTERVAL_S}"),
            ("burst_reach_ticks", self.burst_reach_ticks >= 0, "0 or more"),
            ("bound_ticks", self.bound_ticks >= 1, "1 or more"),
            (
                "start_price",
                start_ticks > self.bound_ticks + self.burst_reach_ticks,
                "more than `bound_ticks` + `burst_reach_ticks` ticks",
            ),
        )
        for name, holds, allowed in rules:
            if not holds:
                raise ValueError(f"`{name}` was {getattr(self, name)}, allowed: {allowed}")

    def __iter__(self) -> Iterator[MarketEvent]:
        """Iterate over the events for ever, or over none when all rates are zero."""
        chance = random.Random(self.seed)  # noqa: S311 (repeatable, not secret)
        tick, step = self.instrument.tick_size, self.instrument.step_size
        centre = int(self.start_price / tick)
        position = centre
        trade_id = 0
        never = float("inf")
        quote_s = chance.expovariate(self.quotes_per_s) if self.quotes_per_s else never
        trade_s = chance.expovariate(self.trades_per_s) if self.trades_per_s else never
        burst_s = self.burst_interval_s if self.burst_size else never

        def quote(due_ns: int, bid_ticks: int) -> Quote:
            return Quote(
                due_ns=due_ns,
                bid=bid_ticks * tick,
                ask=(bid_ticks + chance.randint(1, MAX_SPREAD_TICKS)) * tick,
                bid_size=chance.randint(1, MAX_SIZE_STEPS) * step,
                ask_size=chance.randint(1, MAX_SIZE_STEPS) * step,
            )

        while (now_s := min(quote_s, trade_s, burst_s)) != never:
            due_ns = int(now_s * NS_PER_S)
            if now_s == burst_s:
                for offset in self._burst_path():
                    yield quote(due_ns, position + offset)
                burst_s += self.burst_interval_s
            elif now_s == quote_s:
                position += chance.choice((-1, 0, 1))
                position = max(centre - self.bound_ticks, min(centre + self.bound_ticks, position))
                yield quote(due_ns, position)
                quote_s += chance.expovariate(self.quotes_per_s)
            else:
                trade_id += 1
                buyer_is_maker = chance.random() < 0.5  # noqa: PLR2004 (a fair coin)
                yield Trade(
                    due_ns=due_ns,
                    trade_id=trade_id,
                    price=(position if buyer_is_maker else position + 1) * tick,
                    size=chance.randint(1, MAX_SIZE_STEPS) * step,
                    buyer_is_maker=buyer_is_maker,
                )
                trade_s += chance.expovariate(self.trades_per_s)

    def _burst_path(self) -> Iterator[int]:
        """Yield the offset of each quote of a burst, in ticks: a triangle down, up and back."""
        reach = self.burst_reach_ticks
        for i in range(1, self.burst_size + 1):
            way = 4 * reach * i // self.burst_size
            if way <= reach:
                yield -way
            elif way <= 3 * reach:
                yield way - 2 * reach
            else:
                yield 4 * reach - way
