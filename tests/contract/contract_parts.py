"""What several scenario programs use: a venue that does as it is told, messages made comparable."""

# Used by programs of their own, which say what went wrong, and with the host's signatures.
# ruff: noqa: BLE001, PLR0917

from __future__ import annotations

import asyncio
import re
import time

import msgspec
from contract_scenarios import INSTRUMENT_ID
from contract_scenarios import LIMIT_S
from contract_scenarios import QTY
from contract_scenarios import DataClient
from contract_scenarios import ExecClient
from contract_scenarios import equity
from contract_scenarios import make_config
from nautilus_trader.live.factories import LiveDataClientFactory
from nautilus_trader.live.factories import LiveExecClientFactory
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import Bar
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.enums import OrderType
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.identifiers import VenueOrderId
from nautilus_trader.model.objects import Price
from nautilus_trader.trading.strategy import Strategy


STEP_LIMIT_S = 40.0


def price(value: float) -> Price:
    return Price(value, 2)


def quote_at(bid: float, ts: int | None = None, instrument_id=INSTRUMENT_ID) -> QuoteTick:
    ts = time.time_ns() if ts is None else ts
    return QuoteTick(instrument_id, price(bid), price(bid + 0.01), QTY, QTY, ts, ts)


def trade_at(value: float, ts: int | None = None, number: int = 0, qty=QTY) -> TradeTick:
    ts = time.time_ns() if ts is None else ts
    return TradeTick(
        INSTRUMENT_ID,
        price(value),
        qty,
        AggressorSide.BUYER if number % 2 else AggressorSide.SELLER,
        TradeId(str(number)),
        ts,
        ts,
    )


# -- messages made comparable --------------------------------------------------------------------

# Date and time in the IDs of orders, and in the trade IDs that are made from them.
_DATED_ID = re.compile(r"([OT])-\d+-\d{6}-")
_BAR_TYPES = (QuoteTick, TradeTick, Bar)
# What differs from run to run on one and the same bus.
_RANDOM = ("event_id", "init_id", "order_list_id", "report_id", "command_id")


def _plain(value):
    if isinstance(value, str):
        return _DATED_ID.sub(r"\1-", value)
    if isinstance(value, dict):
        return {
            str(key): _plain(item)
            for key, item in value.items()
            if key not in _RANDOM and not str(key).startswith(("ts_", "duration", "expire_time"))
        }
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, int | float | bool) or value is None else str(value)


def comparable(message) -> str:
    """Return everything about a message that should be the same in another run."""
    kind = type(message)
    if isinstance(message, _BAR_TYPES):
        return f"{kind.__name__}({message},{message.ts_event})"
    if hasattr(kind, "to_dict"):
        fields = _plain(kind.to_dict(message))
        if fields.get("reconciliation"):
            # Made up by the engine, and not the same twice.
            fields.pop("trade_id", None)
        text = ", ".join(f"{key}={item}" for key, item in sorted(fields.items()) if key != "type")
        return f"{kind.__name__}({text})"
    return f"{kind.__name__}({message})"


def short_id(client_order_id) -> str:
    return _plain(client_order_id.value)


# -- the venue -----------------------------------------------------------------------------------


class VenueClient(ExecClient):
    """
    A venue that fills market orders at once and lets the others rest.

    Tags of an order say what else to do: ``reject``, ``silent`` (no answer to the order),
    ``no-modify``, ``no-cancel``, ``silent-cancel``.
    """

    latest: VenueClient

    def __init__(self, *args) -> None:
        super().__init__(*args)
        self.submitted: list[str] = []
        self.queries: list[str] = []
        self.reports: dict = {}
        VenueClient.latest = self

    def accept(self, order):
        # Named after the order, so that IDs do not depend on the order of arrival.
        venue_id = VenueOrderId(f"V-{order.client_order_id}")
        ids = (order.strategy_id, order.instrument_id, order.client_order_id)
        self.generate_order_accepted(*ids, venue_id, self._now())
        return venue_id

    def fill_price(self, order) -> float:
        return 100.0

    def fill_now(self, order, value: float | None = None) -> None:
        self.fill(order, order.venue_order_id, self.fill_price(order) if value is None else value)

    async def _submit_order(self, command) -> None:
        self.take(command.order)

    async def _submit_order_list(self, command) -> None:
        for order in command.order_list.orders:
            self.take(order)

    def take(self, order) -> None:
        self.submitted.append(short_id(order.client_order_id))
        tags = order.tags or ()
        ids = (order.strategy_id, order.instrument_id, order.client_order_id)
        self.generate_order_submitted(*ids, self._now())
        if "silent" in tags:
            return
        if "reject" in tags:
            self.generate_order_rejected(*ids, "NO", self._now())
            return
        venue_id = self.accept(order)
        if order.order_type == OrderType.MARKET:
            self.fill(order, venue_id, self.fill_price(order))

    def _ids_of(self, command) -> tuple:
        return (
            command.strategy_id,
            command.instrument_id,
            command.client_order_id,
            command.venue_order_id,
        )

    async def _modify_order(self, command) -> None:
        order = self._cache.order(command.client_order_id)
        if "no-modify" in (order.tags or ()):
            self.generate_order_modify_rejected(*self._ids_of(command), "NO", self._now())
            return
        self.generate_order_updated(
            *self._ids_of(command),
            command.quantity or order.quantity,
            command.price or (order.price if order.has_price else None),
            command.trigger_price or (order.trigger_price if order.has_trigger_price else None),
            self._now(),
        )

    async def _cancel_order(self, command) -> None:
        order = self._cache.order(command.client_order_id)
        tags = order.tags or ()
        if "no-cancel" in tags:
            self.generate_order_cancel_rejected(*self._ids_of(command), "NO", self._now())
        elif "silent-cancel" not in tags:
            self.generate_order_canceled(*self._ids_of(command), self._now())

    async def _batch_cancel_orders(self, command) -> None:
        for cancel in command.cancels:
            await self._cancel_order(cancel)

    async def generate_order_status_report(self, command):
        self.queries.append(short_id(command.client_order_id))
        make = self.reports.get(command.client_order_id)
        return None if make is None else make()

    async def generate_order_status_reports(self, command):
        return [make() for make in self.reports.values()]


class FeedClient(DataClient):
    """A data client that takes every subscription it needs."""

    async def _subscribe_trade_ticks(self, command) -> None:
        pass

    async def _unsubscribe_trade_ticks(self, command) -> None:
        pass

    async def _subscribe_order_book_deltas(self, command) -> None:
        pass

    async def _unsubscribe_order_book_deltas(self, command) -> None:
        pass

    async def _subscribe_instrument(self, command) -> None:
        pass

    async def _request_instrument(self, request) -> None:
        number = int(request.instrument_id.symbol.value.removeprefix("S"))
        self._handle_instrument(
            equity(number), request.id, request.start, request.end, request.params
        )


class FeedFactory(LiveDataClientFactory):
    client: type[FeedClient] = FeedClient

    @staticmethod
    def create(loop, name, config, msgbus, cache, clock):
        return FeedFactory.client(loop, msgbus, cache, clock)


class VenueFactory(LiveExecClientFactory):
    client: type[VenueClient] = VenueClient

    @staticmethod
    def create(loop, name, config, msgbus, cache, clock):
        return VenueFactory.client(loop, msgbus, cache, clock)


# -- the node ------------------------------------------------------------------------------------


class Session:
    """A node with strategies and a play: a coroutine that runs once the trader has started."""

    def __init__(self, bus: str, *strategies: Strategy, loop=None, **fields) -> None:
        config = msgspec.structs.replace(make_config(bus), **fields)
        self.node = TradingNode(config, loop=loop)
        self.node.add_data_client_factory("SIM", FeedFactory)
        self.node.add_exec_client_factory("SIM", VenueFactory)
        self.loop = self.node.get_event_loop()
        for strategy in strategies:
            self.node.trader.add_strategy(strategy)
        self.node.build()
        self.kernel = self.node.kernel
        self.engines = (
            self.kernel.data_engine,
            self.kernel.risk_engine,
            self.kernel.exec_engine,
        )
        self.failed: str | None = None
        self.stopped = False
        self._task: asyncio.Task | None = None

    def sizes(self) -> list[int]:
        data, risk, execution = self.engines
        return [
            data.cmd_qsize(),
            data.req_qsize(),
            data.res_qsize(),
            data.data_qsize(),
            risk.cmd_qsize(),
            risk.evt_qsize(),
            execution.cmd_qsize(),
            execution.evt_qsize(),
        ]

    def stop(self) -> None:
        """Stop the node, once, and not when it has stopped for another reason."""
        if not self.stopped and self.kernel.is_running():
            self.stopped = True
            self.node.stop()

    def run(self, play, limit_s: float = LIMIT_S) -> None:
        """Run the node and the play; stop the node when the play has ended, or at the limit."""

        async def act() -> None:
            try:
                await until(lambda: self.node.trader.is_running, "the trader has started")
                await asyncio.wait_for(play(), limit_s)
            except Exception as error:
                self.failed = f"{type(error).__name__}: {error}"
            finally:
                self.stop()

        self._task = self.loop.create_task(act())
        self.node.run()
        self.loop.run_until_complete(self._task)
        assert self.failed is None, self.failed


async def until(condition, what: str, limit_s: float = STEP_LIMIT_S) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited in vain until {what}")
        await asyncio.sleep(0.001)
