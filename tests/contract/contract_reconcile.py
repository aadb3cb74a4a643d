"""
What a node finds out from the venue's reports, as scenarios for either bus.

``python contract_reconcile.py NAME BUS [JSON]`` prints its result as JSON.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal

from contract_parts import Session
from contract_parts import VenueClient
from contract_parts import VenueFactory
from contract_parts import comparable
from contract_parts import price
from contract_parts import quote_at
from contract_parts import short_id
from contract_parts import until
from contract_scenarios import INSTRUMENT_ID
from contract_scenarios import Market
from contract_scenarios import main
from contract_trading import Noting
from contract_trading import named
from nautilus_trader.config import LiveExecEngineConfig
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.reports import FillReport
from nautilus_trader.execution.reports import OrderStatusReport
from nautilus_trader.execution.reports import PositionStatusReport
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.enums import LiquiditySide
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.enums import PositionSide
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.identifiers import VenueOrderId
from nautilus_trader.model.objects import Money
from nautilus_trader.model.objects import Quantity


# After a fill no check acts on the position for this long.
THRESHOLD_MS = 600
FEED_S = 0.001
FEED_COUNT = 20


class ReportingVenue(VenueClient):
    """
    A venue that knows its orders, fills and position, whatever the node was told of them.

    Tags of an order say more: ``untold-fill`` (filled, and the node does not hear of it).
    """

    def __init__(self, *args) -> None:
        super().__init__(*args)
        self.net = 0
        self.fill_reports: list[FillReport] = []
        self.fill_queries = 0
        self.position_queries = 0

    def take(self, order) -> None:
        super().take(order)
        if "untold-fill" in (order.tags or ()):
            self.fill_untold(order, 90.0)

    def fill_untold(self, order, value: float) -> None:
        """Fill an order and keep it for oneself."""
        self.net += int(order.quantity)
        self.fill_reports.append(
            FillReport(
                account_id=self.account_id,
                instrument_id=INSTRUMENT_ID,
                venue_order_id=VenueOrderId(f"V-{order.client_order_id}"),
                trade_id=TradeId(f"T-{order.client_order_id}"),
                order_side=order.side,
                last_qty=order.quantity,
                last_px=price(value),
                commission=Money(0, USD),
                liquidity_side=LiquiditySide.MAKER,
                client_order_id=order.client_order_id,
                report_id=UUID4(),
                ts_event=self._now(),
                ts_init=self._now(),
            )
        )

    async def generate_fill_reports(self, command):
        self.fill_queries += 1
        return list(self.fill_reports)

    async def generate_position_status_reports(self, command):
        self.position_queries += 1
        return [
            PositionStatusReport(
                account_id=self.account_id,
                instrument_id=INSTRUMENT_ID,
                position_side=PositionSide.LONG if self.net else PositionSide.FLAT,
                quantity=Quantity.from_int(abs(self.net)),
                report_id=UUID4(),
                ts_last=self._now(),
                ts_init=self._now(),
            )
        ]


# -- the position check --------------------------------------------------------------------------


def positions(bus: str, backlog: bool) -> dict:
    """
    Let the venue's position and the node's differ; the continuous reconciliation finds out.

    First by a fill that the node never heard of, then by one that it heard of and that the
    venue has not got. With `backlog` the node has quotes to handle all the while.
    """
    VenueFactory.client = ReportingVenue
    trader = Noting()
    session = Session(
        bus,
        trader,
        exec_engine=LiveExecEngineConfig(
            reconciliation=True,
            reconciliation_startup_delay_secs=0.01,
            inflight_check_interval_ms=0,
            position_check_interval_secs=0.05,
            position_check_threshold_ms=THRESHOLD_MS,
            position_check_retries=2,
            generate_missing_orders=True,
        ),
    )
    result: dict = {}

    def net() -> float:
        return float(session.node.portfolio.net_position(INSTRUMENT_ID))

    async def checked(times: int) -> None:
        before = ReportingVenue.latest.position_queries
        await until(lambda: ReportingVenue.latest.position_queries > before + times, "checks")

    async def flood() -> None:
        while True:
            for _ in range(FEED_COUNT):
                Market.data.feed(quote_at(100.0))
            await asyncio.sleep(FEED_S)

    async def play() -> None:
        venue = ReportingVenue.latest
        flooding = asyncio.ensure_future(flood()) if backlog else None
        # The venue is late with its position: for a while after a fill no check minds that.
        told = trader.market(client_order_id=named("told"))
        await trader.has(told, "OrderFilled")
        await checked(2)
        age_ns = trader.clock.timestamp_ns() - told.last_event.ts_event
        result["in_time"] = age_ns < THRESHOLD_MS * 1_000_000
        venue.net = 10
        result["net_when_late"] = net()

        # Told of everything: the check finds nothing to do.
        before = venue.fill_queries
        await asyncio.sleep(THRESHOLD_MS / 1_000)
        await checked(5)
        result["queries_when_equal"] = venue.fill_queries - before
        result["net_when_equal"] = net()

        untold = trader.limit(client_order_id=named("untold"), tags=["untold-fill"])
        await trader.has(untold, "OrderFilled")
        result["net_after_untold"] = net()

        # The venue has sold what the node believes to have, and has no fill for it.
        venue.net = 10
        await until(lambda: net() == 10.0, "the node has the venue's position")
        made_up = [o for o in trader.cache.orders() if short_id(o.client_order_id) not in KNOWN]
        result["made_up"] = [
            [order.side_string(), float(order.quantity), order.status_string()] for order in made_up
        ]
        await checked(5)
        result["net_in_the_end"] = net()
        if flooding is not None:
            flooding.cancel()
        await until(lambda: not any(session.sizes()), "all queues are empty")

    session.run(play)
    session.node.dispose()
    return result | {
        "names": {label: trader.names[label] for label in KNOWN},
        "events": {label: trader.events[label] for label in KNOWN},
    }


KNOWN = ("told", "untold")


# -- a node that is killed, and the one after it -------------------------------------------------

RESTING, FILLED, UNSENT = "resting", "filled", "unsent"


def killed(bus: str) -> dict:
    """
    Kill a node's engines with orders on their way, then run another node at the same venue.

    What the venue knew is all that the second node can find.
    """
    VenueFactory.client = ReportingVenue
    book: dict = {}
    result = {"first": _kill_with_orders_in_flight(bus, book)}
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    result["second"] = _run_after_the_kill(bus, book, loop)
    return result


def _kill_with_orders_in_flight(bus: str, book: dict) -> dict:
    trader = Noting()
    session = Session(
        bus,
        trader,
        exec_engine=LiveExecEngineConfig(reconciliation=True, inflight_check_interval_ms=0),
    )
    result: dict = {}

    async def play() -> None:
        venue = ReportingVenue.latest
        await until(lambda: not any(session.sizes()), "all queues are empty")
        resting = trader.limit(client_order_id=named(RESTING))
        filled = trader.limit(client_order_id=named(FILLED))
        silent = trader.limit(client_order_id=named("silent"), tags=["silent"])
        await trader.has(resting, "OrderAccepted")
        await trader.has(filled, "OrderAccepted")
        await trader.has(silent, "OrderSubmitted")

        # All in one turn of the loop: the engines handle none of it.
        for _ in range(100):
            Market.data.feed(quote_at(100.0))
        venue.fill_untold(filled, 90.0)
        venue.fill_now(filled, 90.0)
        trader.market(client_order_id=named(UNSENT))
        trader.cancel_order(resting)
        for engine in session.engines:
            engine.kill()
        for _ in range(20):
            await asyncio.sleep(0)
        result["after the kill"] = note(session, trader)
        # What the venue says afterwards is not handled either, and no order goes to it.
        venue.generate_order_accepted(
            silent.strategy_id,
            silent.instrument_id,
            silent.client_order_id,
            VenueOrderId("V-silent"),
            venue._now(),
        )
        Market.data.feed(quote_at(100.0))
        for _ in range(20):
            await asyncio.sleep(0)
        result["after the venue's answer"] = note(session, trader)
        result["venue"] = list(venue.submitted)
        book.update(
            net=venue.net,
            fills=venue.fill_reports,
            orders=[
                _report(venue, resting, OrderStatus.ACCEPTED),
                _report(venue, filled, OrderStatus.FILLED),
                _report(venue, silent, OrderStatus.ACCEPTED),
            ],
        )

    _play_beside(session, play)
    result["end"] = note(session, trader)
    session.node.dispose()
    return result


def _report(venue: ReportingVenue, order, status: OrderStatus) -> OrderStatusReport:
    is_filled = status == OrderStatus.FILLED
    return OrderStatusReport(
        account_id=venue.account_id,
        instrument_id=INSTRUMENT_ID,
        client_order_id=order.client_order_id,
        venue_order_id=VenueOrderId(f"V-{order.client_order_id}"),
        order_side=order.side,
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        order_status=status,
        price=order.price,
        quantity=order.quantity,
        filled_qty=order.quantity if is_filled else Quantity.zero(),
        avg_px=Decimal("90.00") if is_filled else None,
        report_id=UUID4(),
        ts_accepted=venue._now(),
        ts_last=venue._now(),
        ts_init=venue._now(),
    )


def note(session: Session, trader: Noting) -> dict:
    """Return what is left of a node."""
    return {
        "sizes": session.sizes(),
        "states": [engine.state.name for engine in session.engines],
        "orders": {
            short_id(order.client_order_id): order.status_string()
            for order in session.node.cache.orders()
        },
        "names": {label: list(names) for label, names in trader.names.items()},
        "net": float(session.node.portfolio.net_position(INSTRUMENT_ID)),
    }


def _play_beside(session: Session, play) -> None:
    """Run a play beside the node, whose own run ends with the queue tasks."""

    async def act() -> None:
        running = session.loop.create_task(session.node.run_async())
        await until(lambda: session.node.trader.is_running, "the trader has started")
        await asyncio.wait_for(play(), 40.0)
        await session.node.stop_async()
        await asyncio.wait_for(asyncio.gather(running, return_exceptions=True), 20.0)
        # The host leaves its executors' tasks to be destroyed.
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    session.loop.run_until_complete(act())


def _run_after_the_kill(bus: str, book: dict, loop) -> dict:
    trader = Noting(external_order_claims=[INSTRUMENT_ID])
    session = Session(
        bus,
        trader,
        loop=loop,
        exec_engine=LiveExecEngineConfig(reconciliation=True, inflight_check_interval_ms=0),
    )
    venue = ReportingVenue.latest
    venue.net, venue.fill_reports = book["net"], book["fills"]
    for report in book["orders"]:
        venue.reports[report.client_order_id] = lambda report=report: report
    result: dict = {}

    async def play() -> None:
        await until(lambda: not any(session.sizes()), "all queues are empty")
        result["start"] = note(session, trader)
        result["positions"] = [comparable(position) for position in trader.cache.positions_open()]
        # What was found can be traded on.
        resting = trader.cache.order(named(RESTING))
        trader.cancel_order(resting)
        await trader.has(resting, "OrderCanceled")
        trader.close_all_positions(INSTRUMENT_ID)
        await until(lambda: not trader.cache.positions_open(), "the position is closed")

    session.run(play)
    result["end"] = note(session, trader)
    session.node.dispose()
    return result


SCENARIOS = {scenario.__name__: scenario for scenario in (positions, killed)}


if __name__ == "__main__":
    main(SCENARIOS)
