"""
A recorded session on a node, as a scenario for either bus.

``python contract_replay.py NAME BUS [JSON]`` prints its result as JSON. All times are the
recording's and all IDs are made from what they name, so that two runs can be compared.
"""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

from contract_parts import Session
from contract_parts import VenueClient
from contract_parts import VenueFactory
from contract_parts import comparable
from contract_parts import price
from contract_parts import quote_at
from contract_parts import trade_at
from contract_parts import until
from contract_scenarios import INSTRUMENT_ID
from contract_scenarios import QTY
from contract_scenarios import Market
from contract_scenarios import equity
from contract_scenarios import main
from nautilus_trader.config import LiveExecEngineConfig
from nautilus_trader.config import LiveRiskEngineConfig
from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import BarType
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import OrderType
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.objects import Quantity
from nautilus_trader.trading.strategy import Strategy


OTHER_ID = equity(1).id
BAR_TYPES = (
    "S0000.SIM-7-TICK-LAST-INTERNAL",
    "S0000.SIM-5-TICK-MID-INTERNAL",
    "S0000.SIM-100-VOLUME-LAST-INTERNAL",
    "S0001.SIM-4-TICK-BID-INTERNAL",
    # Bars of bars.
    "S0000.SIM-250-VOLUME-LAST-INTERNAL@100-VOLUME-INTERNAL",
)
# Longer than a slice of the dispatcher.
STALL_S = 0.0005
START_NS = 1_600_000_000_000_000_000
FIELDS = ("client_order_id", "strategy_id", "bar_type", "instrument_id")


# -- recordings ----------------------------------------------------------------------------------


def generated(count: int) -> list:
    """Make a session of quotes and trades of two instruments, the same each time."""
    source = random.Random(20_201_121)
    bids = {INSTRUMENT_ID: 10_000, OTHER_ID: 5_000}
    session = []
    for number in range(count):
        ts = START_NS + number * 1_000_000
        instrument_id = INSTRUMENT_ID if source.random() < 0.7 else OTHER_ID
        bids[instrument_id] += source.choice((-2, -1, -1, 0, 0, 1, 1, 2))
        bid = bids[instrument_id] / 100
        if instrument_id == INSTRUMENT_ID and source.random() < 0.4:
            qty = Quantity.from_int(source.randint(1, 40))
            session.append(trade_at(bid, ts, number, qty))
        else:
            session.append(quote_at(bid, ts, instrument_id))
    return session


def recorded(folder: str, count: int) -> list:
    """Read a recording of quotes and trades; prices and sizes as an equity has them."""
    import pandas as pd  # noqa: PLC0415 (only for this)

    quotes = pd.read_parquet(Path(folder) / "btcusdt-quotes.parquet")
    trades = pd.read_parquet(Path(folder) / "btcusdt-trades.parquet")
    rows = []
    for number, row in enumerate(quotes.itertuples()):
        rows.append((str(row.timestamp), 0, number, row))
    for number, row in enumerate(trades.itertuples()):
        rows.append((str(row.timestamp), 1, number, row))
    # By turns from each, since they are from different days.
    rows.sort(key=lambda row: (row[2], row[1]))
    session = []
    for number, (_, kind, _, row) in enumerate(rows[:count]):
        ts = START_NS + number * 1_000_000
        if kind == 0:
            bid, ask = price(float(row.bid)), price(float(row.ask))
            session.append(QuoteTick(INSTRUMENT_ID, bid, ask, QTY, QTY, ts, ts))
        else:
            thousandths = max(1, round(float(row.quantity) * 1_000))
            qty = Quantity.from_int(thousandths)
            session.append(trade_at(float(row.price), ts, number, qty))
    return session


# -- who takes part ------------------------------------------------------------------------------


class PacedVenue(VenueClient):
    """A venue with prices and times that depend on nothing but the order."""

    def fill_price(self, order) -> float:
        return 100.0 + len(order.client_order_id.value) / 100


class Logger(Strategy):
    """
    Write down every callback, and trade on what comes.

    What it submits depends on the number of the tick in its stream, and its client order IDs
    are made from that, so that they do not depend on what else has happened so far.
    """

    def __init__(self, number: int, *, denies: bool, stalls: bool) -> None:
        super().__init__(StrategyConfig(strategy_id=f"R-{number:03}", order_id_tag=f"{number:03}"))
        self.number = number
        self.denies = denies
        self.stalls = random.Random(number) if stalls else None
        self.story: list[str] = []
        self.ticks = 0

    def note(self, callback: str, argument=None) -> None:
        self.story.append(callback if argument is None else f"{callback} {comparable(argument)}")
        if self.stalls is not None and self.stalls.random() < 0.3:
            # As if the system had given the processor to another process.
            time.sleep(STALL_S)

    def on_start(self) -> None:
        for instrument_id in (INSTRUMENT_ID, OTHER_ID):
            self.subscribe_quote_ticks(instrument_id)
            self.subscribe_trade_ticks(instrument_id)
        for bar_type in BAR_TYPES:
            self.subscribe_bars(BarType.from_str(bar_type))
        self.note("on_start")

    def on_stop(self) -> None:
        self.note("on_stop")

    def on_quote_tick(self, tick) -> None:
        self.note("on_quote_tick", tick)
        self._trade(tick.instrument_id)

    def on_trade_tick(self, tick) -> None:
        self.note("on_trade_tick", tick)
        self._trade(tick.instrument_id)

    def on_bar(self, bar) -> None:
        self.note("on_bar", bar)

    def on_event(self, event) -> None:
        self.note("on_event", event)

    def on_order_event(self, event) -> None:
        self.note("on_order_event", event)

    def on_position_event(self, event) -> None:
        self.note("on_position_event", event)

    def on_order_accepted(self, event) -> None:
        self.note("on_order_accepted", event)
        order = self.cache.order(event.client_order_id)
        if order.order_type == OrderType.LIMIT:
            self.cancel_order(order)

    def on_order_filled(self, event) -> None:
        self.note("on_order_filled", event)
        label = event.client_order_id.value
        if label.endswith("0") and "after" not in label:
            self._limit(event.instrument_id, f"after-{label}")

    def _limit(self, instrument_id, label: str, qty: Quantity = QTY) -> None:
        order = self.order_factory.limit(
            instrument_id,
            OrderSide.BUY,
            qty,
            price(50.0),
            client_order_id=ClientOrderId(label),
        )
        self.submit_order(order)

    def _trade(self, instrument_id) -> None:
        number, self.ticks = self.ticks, self.ticks + 1
        label = f"{self.number}-{number}"
        if number % 5 == self.number:
            side = OrderSide.SELL if number % 2 else OrderSide.BUY
            order = self.order_factory.market(
                instrument_id, side, QTY, client_order_id=ClientOrderId(f"market-{label}")
            )
            self.submit_order(order)
        if number % 7 == self.number:
            self._limit(instrument_id, f"limit-{label}")
        if self.denies and number % 11 == self.number:
            # More decimals than the instrument has: denied by the risk engine.
            self._limit(instrument_id, f"denied-{label}", Quantity(1.5, 1))


def topic_of(message) -> str:
    """Return the topic that a message of this kind has, as far as tests need to tell."""
    for field in FIELDS:
        value = getattr(message, field, None)
        if value is not None:
            return f"{type(message).__name__}.{value}"
    return type(message).__name__


# -- the scenario --------------------------------------------------------------------------------


def replay(
    bus: str,
    mode: str,
    *,
    count: int,
    folder: str = "",
    denies: bool = False,
    stalls: bool = False,
) -> dict:
    """
    Feed a session to two strategies.

    With `mode` ``paced`` nothing is fed before everything is handled; with ``burst`` all is
    fed at once. With `stalls` the handlers of the strategies take long now and then.
    """
    Market.instruments = 2
    VenueFactory.client = PacedVenue
    strategies = [Logger(number, denies=denies, stalls=stalls) for number in (1, 2)]
    session = Session(
        bus,
        *strategies,
        exec_engine=LiveExecEngineConfig(reconciliation=True, inflight_check_interval_ms=0),
        # The limit is by the wall clock, which is none of the recording's.
        risk_engine=LiveRiskEngineConfig(max_order_submit_rate="100000/00:00:01"),
    )
    ticks = recorded(folder, count) if folder else generated(count)
    topics: dict[str, list[str]] = {}

    def listen(message) -> None:
        topics.setdefault(topic_of(message), []).append(comparable(message))

    def idle() -> bool:
        return not any(session.sizes()) and not PacedVenue.latest._tasks

    async def settle() -> None:
        """Wait until nothing is queued and nothing on its way, for several turns on end."""
        calm = 0
        while calm < 5:
            await asyncio.sleep(0)
            calm = calm + 1 if idle() else 0

    async def play() -> None:
        await settle()
        for pattern in ("data.*", "events.order.*", "events.position.*", "events.fills.*"):
            session.kernel.msgbus.subscribe(pattern, listen)
        for tick in ticks:
            Market.data.feed(tick)
            if mode == "paced":
                await settle()
        await until(
            lambda: all(strategy.ticks == len(ticks) for strategy in strategies),
            "all ticks have arrived",
        )
        for _ in range(3):
            await settle()

    session.run(play)
    session.node.dispose()
    kinds = {type(tick) for tick in ticks}
    return {
        "kinds": sorted(kind.__name__ for kind in kinds & {QuoteTick, TradeTick}),
        "stories": [strategy.story for strategy in strategies],
        "topics": topics,
    }


SCENARIOS = {"replay": replay}


if __name__ == "__main__":
    main(SCENARIOS)
