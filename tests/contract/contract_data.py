"""
Order books, and requests for data while data flows, as scenarios for either bus.

``python contract_data.py NAME BUS [JSON]`` prints its result as JSON.
"""

from __future__ import annotations

import asyncio
import random

import pandas as pd
from contract_parts import FeedClient
from contract_parts import FeedFactory
from contract_parts import Session
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
from nautilus_trader.config import LiveDataEngineConfig
from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import Bar
from nautilus_trader.model.data import BarType
from nautilus_trader.model.data import BookOrder
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.enums import BookAction
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import RecordFlag
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import Quantity
from nautilus_trader.trading.strategy import Strategy


DEPTH_ID = equity(1).id
UNKNOWN_ID = InstrumentId.from_str("S0009.SIM")
HISTORY_TYPE = BarType.from_str(f"{INSTRUMENT_ID}-1-MINUTE-LAST-EXTERNAL")
START_NS = 1_600_000_000_000_000_000
START = pd.Timestamp(START_NS, tz="UTC")
LEVELS = 10


# -- what the venue sends ------------------------------------------------------------------------


def level(side: OrderSide, at: int, size: int) -> BookOrder:
    return BookOrder(side, price(at / 100), Quantity.from_int(size), at)


def session_of(count: int) -> tuple[list, dict]:
    """
    Return a book's snapshot and `count` groups of changes, with other data between them.

    The second is what is left of the book: the size at each side and price.
    """
    source = random.Random(20_201_121)
    session: list = []

    def delta(action: BookAction, order: BookOrder | None, flags: int) -> None:
        ts = START_NS + len(session) * 1_000
        session.append(OrderBookDelta(INSTRUMENT_ID, action, order, flags, len(session), ts, ts))

    snapshot, last = RecordFlag.F_SNAPSHOT, RecordFlag.F_LAST
    sizes: dict[tuple[OrderSide, int], int] = {}
    delta(BookAction.CLEAR, None, snapshot)
    for number in range(LEVELS):
        for side, at in ((OrderSide.BUY, 9_999 - number), (OrderSide.SELL, 10_001 + number)):
            sizes[side, at] = 10 + number
            ends = number == LEVELS - 1 and side == OrderSide.SELL
            delta(BookAction.ADD, level(side, at, 10 + number), snapshot | (last if ends else 0))
    for group in range(count):
        for position in range(3):
            flags = last if position == 2 else 0
            side, at = source.choice(sorted(sizes))
            choice = source.random()
            if choice < 0.6 or len(sizes) < LEVELS:
                sizes[side, at] = source.randint(1, 99)
                delta(BookAction.UPDATE, level(side, at, sizes[side, at]), flags)
            elif choice < 0.8:
                del sizes[side, at]
                delta(BookAction.DELETE, level(side, at, 0), flags)
            else:
                at += -40 if side == OrderSide.BUY else 40
                known = (side, at) in sizes
                sizes[side, at] = source.randint(1, 99)
                action = BookAction.UPDATE if known else BookAction.ADD
                delta(action, level(side, at, sizes[side, at]), flags)
        ts = START_NS + len(session) * 1_000
        session.append(quote_at(100.0 + group / 100, ts))
        if group % 2:
            session.append(trade_at(100.0 + group / 100, ts, group))
        if group % 3 == 0:
            session.append(depth_of(group, ts))
    return session, sizes


def depth_of(number: int, ts: int) -> OrderBookDepth10:
    bids = [level(OrderSide.BUY, 9_999 - n, number + n + 1) for n in range(LEVELS)]
    asks = [level(OrderSide.SELL, 10_001 + n, number + n + 1) for n in range(LEVELS)]
    ones = [1] * LEVELS
    return OrderBookDepth10(DEPTH_ID, bids, asks, ones, ones, 0, number, ts, ts)


def history(kind: str) -> list:
    """Return what the venue has of the past."""
    times = [START_NS - (10 - number) * 60_000_000_000 for number in range(10)]
    if kind == "quotes":
        return [quote_at(90.0 + number, ts) for number, ts in enumerate(times)]
    if kind == "trades":
        return [trade_at(90.0 + number, ts, number) for number, ts in enumerate(times)]
    prices = [price(90.0)] * 4
    return [Bar(HISTORY_TYPE, *prices, QTY, ts, ts) for ts in times]


class BookClient(FeedClient):
    """A data client with books and a past; it answers on a later turn of the loop."""

    latest: BookClient

    def __init__(self, *args) -> None:
        super().__init__(*args)
        self.commands: list[str] = []
        self.at_request = None
        self.subscribed: set[str] = set()
        BookClient.latest = self

    def take(self, request, what) -> None:
        self.commands.append(f"{type(request).__name__} {what}")
        self.at_request(type(request).__name__)

    async def _subscribe_order_book_deltas(self, command) -> None:
        self.subscribed.add(f"deltas {command.instrument_id}")

    async def _unsubscribe_order_book_deltas(self, command) -> None:
        self.subscribed.discard(f"deltas {command.instrument_id}")

    # Not by the coroutine: 1.221 has one of another name, which its engine does not call.
    def subscribe_order_book_depth(self, command) -> None:
        self.subscribed.add(f"depth {command.instrument_id}")

    async def _request_quote_ticks(self, request) -> None:
        self.take(request, request.instrument_id)
        await asyncio.sleep(0)
        self._handle_quote_ticks(
            request.instrument_id,
            history("quotes"),
            request.id,
            request.start,
            request.end,
            request.params,
        )

    async def _request_trade_ticks(self, request) -> None:
        self.take(request, request.instrument_id)
        await asyncio.sleep(0)
        self._handle_trade_ticks(
            request.instrument_id,
            history("trades"),
            request.id,
            request.start,
            request.end,
            request.params,
        )

    async def _request_bars(self, request) -> None:
        self.take(request, request.bar_type)
        await asyncio.sleep(0)
        answer = (history("bars"), request.id, request.start, request.end, request.params)
        try:
            self._handle_bars(request.bar_type, *answer)
        except TypeError:
            # 1.221 takes the bar that is not complete yet as well.
            bars, *rest = answer
            self._handle_bars(request.bar_type, bars, None, *rest)

    async def _request_instrument(self, request) -> None:
        self.take(request, request.instrument_id)
        await asyncio.sleep(0)
        await super()._request_instrument(request)


# -- who listens ---------------------------------------------------------------------------------


class Reader(Strategy):
    """Write down all data with the book as it is then; ask for the past on the way."""

    def __init__(self) -> None:
        super().__init__(StrategyConfig(strategy_id="B-001"))
        self.story: list[str] = []
        self.answered: list[str] = []
        self.pending: dict = {}
        self.quotes = 0

    def on_start(self) -> None:
        self.subscribe_order_book_deltas(INSTRUMENT_ID)
        self.subscribe_order_book_depth(DEPTH_ID)
        self.subscribe_quote_ticks(INSTRUMENT_ID)
        self.subscribe_trade_ticks(INSTRUMENT_ID)

    def cached_book(self) -> list:
        """Return price and size of each level, best first: bids, then asks."""
        book = self.cache.order_book(INSTRUMENT_ID)
        return [
            [[float(rung.price), float(rung.size())] for rung in side]
            for side in (book.bids(), book.asks())
        ]

    def book(self) -> str:
        """Return the whole book as the cache has it, and how it got there."""
        book = self.cache.order_book(INSTRUMENT_ID)
        return f"{book.sequence} {book.update_count} {self.cached_book()}"

    def on_order_book_deltas(self, deltas) -> None:
        changes = [
            f"{d.sequence}:{d.action.name if hasattr(d.action, 'name') else d.action}"
            for d in deltas.deltas
        ]
        self.story.append(f"deltas {changes} {self.book()}")

    def on_order_book_depth(self, depth) -> None:
        self.story.append(f"depth {depth.sequence} {depth.bids[0]} {depth.asks[-1]}")

    def on_quote_tick(self, tick) -> None:
        self.story.append(f"quote {tick.ts_event}")
        self.quotes += 1
        if self.quotes == 5:
            self.ask()

    def on_trade_tick(self, tick) -> None:
        self.story.append(f"trade {tick.ts_event}")

    def on_instrument(self, instrument) -> None:
        self.story.append(f"instrument {instrument.id}")

    def on_historical_data(self, data) -> None:
        for item in data if isinstance(data, list) else [data]:
            self.story.append(f"past {comparable(item)}")

    def on_bar(self, bar) -> None:
        self.story.append(f"bar {comparable(bar)}")

    def ask(self) -> None:
        past = {"start": START - pd.Timedelta(hours=1), "end": START, "callback": self.on_answer}
        asked = {
            "quotes": lambda: self.request_quote_ticks(INSTRUMENT_ID, **past),
            "trades": lambda: self.request_trade_ticks(INSTRUMENT_ID, **past),
            "bars": lambda: self.request_bars(HISTORY_TYPE, **past),
            "instrument": lambda: self.request_instrument(UNKNOWN_ID, callback=self.on_answer),
        }
        for name, request in asked.items():
            self.pending[request()] = name

    def on_answer(self, request_id) -> None:
        name = self.pending.pop(request_id)
        self.answered.append(name)
        self.story.append(f"answered {name}")


# -- the scenario --------------------------------------------------------------------------------


def books(bus: str, mode: str, count: int) -> dict:
    """
    Feed a book's changes and other data to a strategy, which asks for the past on the way.

    With `mode` ``paced`` nothing is fed before everything is handled; with ``burst`` all is
    fed at once, so that request and answer find a backlog.
    """
    Market.instruments = 2
    FeedFactory.client = BookClient
    reader = Reader()
    session = Session(bus, reader, data_engine=LiveDataEngineConfig(buffer_deltas=True))
    data, left = session_of(count)

    def idle() -> bool:
        return not any(session.sizes()) and not BookClient.latest._tasks

    async def settle() -> None:
        """Wait until nothing is queued and nothing on its way, for several turns on end."""
        calm = 0
        while calm < 5:
            await asyncio.sleep(0)
            calm = calm + 1 if idle() else 0

    result: dict = {}

    async def play() -> None:
        await settle()
        BookClient.latest.at_request = lambda kind: reader.story.append(f"asked {kind}")
        for item in data:
            Market.data.feed(item)
            if mode == "paced":
                await settle()
        await until(lambda: len(reader.answered) == 4, "all requests are answered")
        await settle()
        reader.unsubscribe_order_book_deltas(INSTRUMENT_ID)
        await settle()
        result["book"] = reader.cached_book()

    session.run(play)
    expected = [
        sorted(([at / 100, size] for (s, at), size in left.items() if s == side), reverse=down)
        for side, down in ((OrderSide.BUY, True), (OrderSide.SELL, False))
    ]
    result |= {
        "expected": expected,
        "story": reader.story,
        "answered": reader.answered,
        "pending": [*reader.pending.values()],
        "still_pending": reader.has_pending_requests(),
        "commands": BookClient.latest.commands,
        "subscribed": sorted(BookClient.latest.subscribed),
        "known": UNKNOWN_ID in session.node.cache.instrument_ids(),
        "sizes": session.sizes(),
    }
    session.node.dispose()
    return result


SCENARIOS = {"books": books}


if __name__ == "__main__":
    main(SCENARIOS)
