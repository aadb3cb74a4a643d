"""
How orders live on a node, as scenarios for either bus.

``python contract_trading.py NAME BUS [JSON]`` prints its result as JSON.
"""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from decimal import Decimal

from contract_parts import Session
from contract_parts import VenueClient
from contract_parts import comparable
from contract_parts import price
from contract_parts import quote_at
from contract_parts import short_id
from contract_parts import until
from contract_scenarios import INSTRUMENT_ID
from contract_scenarios import QTY
from contract_scenarios import Market
from contract_scenarios import main
from nautilus_trader.config import LiveExecEngineConfig
from nautilus_trader.config import StrategyConfig
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.reports import OrderStatusReport
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import ContingencyType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.enums import OrderType
from nautilus_trader.model.enums import TimeInForce
from nautilus_trader.model.enums import TriggerType
from nautilus_trader.model.identifiers import ClientId
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.identifiers import VenueOrderId
from nautilus_trader.model.objects import Quantity
from nautilus_trader.trading.strategy import Strategy


EXTERNAL = ClientId("EXTERNAL")


class Noting(Strategy):
    """Note the events of each order, whole and by name."""

    def __init__(self, number: int = 1, **options) -> None:
        super().__init__(
            StrategyConfig(strategy_id=f"T-{number:03}", order_id_tag=f"{number:03}", **options)
        )
        self.names: dict[str, list[str]] = {}
        self.events: dict[str, list[str]] = {}
        self.positions: list[str] = []
        self.at_quote = None
        self.at_event = None
        self.at_bar = None

    def on_start(self) -> None:
        self.subscribe_quote_ticks(INSTRUMENT_ID)
        self.subscribe_trade_ticks(INSTRUMENT_ID)

    def on_quote_tick(self, tick) -> None:
        if self.at_quote is not None:
            self.at_quote(tick)

    def on_bar(self, bar) -> None:
        if self.at_bar is not None:
            self.at_bar(bar)

    def on_order_event(self, event) -> None:
        key = short_id(event.client_order_id)
        self.names.setdefault(key, []).append(type(event).__name__)
        self.events.setdefault(key, []).append(comparable(event))
        if self.at_event is not None:
            self.at_event(event)

    def on_position_event(self, event) -> None:
        self.positions.append(comparable(event))

    def last(self, order) -> str:
        return self.names.get(short_id(order.client_order_id), [""])[-1]

    def told(self) -> dict:
        return {"names": self.names, "events": self.events, "positions": self.positions}

    def limit(self, side=OrderSide.BUY, at: float = 90.0, **options):
        order = self.order_factory.limit(INSTRUMENT_ID, side, QTY, price(at), **options)
        self.submit_order(order)
        return order

    def stop_market(self, side=OrderSide.BUY, at: float = 110.0, **options):
        order = self.order_factory.stop_market(INSTRUMENT_ID, side, QTY, price(at), **options)
        self.submit_order(order)
        return order

    def market(self, side=OrderSide.BUY, **options):
        order = self.order_factory.market(INSTRUMENT_ID, side, QTY, **options)
        self.submit_order(order)
        return order

    async def has(self, order, name: str) -> None:
        await until(lambda: self.last(order) == name, f"{order.client_order_id} has {name}")


def named(label: str) -> ClientOrderId:
    return ClientOrderId(label)


# -- one node, several plays ---------------------------------------------------------------------


def trading(bus: str) -> dict:
    """Play the parts one after another on one node, each with a strategy of its own."""
    result: dict = {}
    parts = (
        modify_and_cancel,
        emulated,
        contingent,
        emulated_bracket,
        external,
        from_timers,
        from_handlers,
    )
    strategies = {
        part.__name__: Noting(number, manage_contingent_orders=True, manage_gtd_expiry=True)
        for number, part in enumerate(parts, 1)
    }
    crowd = [Noting(100 + number) for number in range(3)]
    session = Session(
        bus,
        *strategies.values(),
        *crowd,
        exec_engine=LiveExecEngineConfig(
            reconciliation=True, external_clients=[EXTERNAL], inflight_check_interval_ms=0
        ),
    )

    async def play() -> None:
        Market.data.feed(quote_at(100.0))
        for part in parts:
            strategy = strategies[part.__name__]
            more = await part(strategy, session)
            result[part.__name__] = strategy.told() | (more or {})
        result["crowd"] = await many_strategies(crowd, session)
        result["venue"] = sorted(VenueClient.latest.submitted)
        # The last orders can be filled before the last quotes are handled: there are more quotes
        # than orders, and order flow goes first.
        await until(lambda: not any(session.sizes()), "all queues are empty")
        result["sizes"] = session.sizes()
        result["net"] = float(session.node.portfolio.net_position(INSTRUMENT_ID))

    session.run(play)
    session.node.dispose()
    return result


async def modify_and_cancel(trader: Noting, session: Session) -> None:
    changed = trader.limit(client_order_id=named("changed"))
    await trader.has(changed, "OrderAccepted")
    trader.modify_order(changed, quantity=Quantity.from_int(20), price=price(91.0))
    await trader.has(changed, "OrderUpdated")
    trader.cancel_order(changed)
    await trader.has(changed, "OrderCanceled")

    stubborn = trader.stop_market(
        client_order_id=named("stubborn"), tags=["no-modify", "no-cancel"]
    )
    await trader.has(stubborn, "OrderAccepted")
    trader.modify_order(stubborn, trigger_price=price(111.0))
    await trader.has(stubborn, "OrderModifyRejected")
    trader.cancel_order(stubborn)
    await trader.has(stubborn, "OrderCancelRejected")
    VenueClient.latest.fill_now(stubborn, 110.0)
    await trader.has(stubborn, "OrderFilled")

    refused = trader.limit(client_order_id=named("refused"), tags=["reject"])
    await trader.has(refused, "OrderRejected")
    # More than the instrument's precision allows: the risk engine denies it.
    denied = trader.order_factory.limit(
        INSTRUMENT_ID,
        OrderSide.BUY,
        Quantity(1.5, 1),
        price(90.0),
        client_order_id=named("denied"),
    )
    trader.submit_order(denied)
    await trader.has(denied, "OrderDenied")

    several = [trader.limit(client_order_id=named(f"several-{n}")) for n in range(4)]
    for order in several:
        await trader.has(order, "OrderAccepted")
    trader.cancel_orders(several[:2])
    for order in several[:2]:
        await trader.has(order, "OrderCanceled")
    trader.cancel_all_orders(INSTRUMENT_ID)
    for order in several[2:]:
        await trader.has(order, "OrderCanceled")
    trader.close_all_positions(INSTRUMENT_ID)
    await until(lambda: not trader.cache.positions_open(strategy_id=trader.id), "all is closed")


async def emulated(trader: Noting, session: Session) -> None:
    by_quotes = {"emulation_trigger": TriggerType.BID_ASK}
    stop = trader.stop_market(at=102.0, client_order_id=named("stop"), **by_quotes)
    limit = trader.limit(at=98.0, client_order_id=named("limit"), **by_quotes)
    canceled = trader.limit(at=50.0, client_order_id=named("canceled"), **by_quotes)
    orders = (stop, limit, canceled)
    for order in orders:
        await trader.has(order, "OrderEmulated")
    emulated_then = sorted(
        short_id(order.client_order_id) for order in trader.cache.orders_emulated()
    )
    trader.modify_order(limit, price=price(98.5))
    trader.cancel_order(canceled)
    await trader.has(canceled, "OrderCanceled")

    Market.data.feed(quote_at(101.0))
    Market.data.feed(quote_at(102.5))
    await trader.has(stop, "OrderFilled")
    Market.data.feed(quote_at(98.0))
    # The emulator sends a limit order on as a market order.
    await trader.has(limit, "OrderFilled")
    trader.close_all_positions(INSTRUMENT_ID)
    await until(lambda: not trader.cache.positions_open(strategy_id=trader.id), "all is closed")
    return {"emulated": emulated_then}


def bracket(trader: Noting, label: str, contingency: ContingencyType, **options):
    orders = trader.order_factory.bracket(
        INSTRUMENT_ID,
        OrderSide.BUY,
        QTY,
        contingency_type=contingency,
        sl_trigger_price=price(90.0),
        tp_price=price(110.0),
        entry_client_order_id=named(f"{label}-entry"),
        sl_client_order_id=named(f"{label}-loss"),
        tp_client_order_id=named(f"{label}-profit"),
        **options,
    )
    trader.submit_order_list(orders)
    by_name = {short_id(order.client_order_id).split("-")[1]: order for order in orders.orders}
    return by_name["entry"], by_name["loss"], by_name["profit"]


async def contingent(trader: Noting, session: Session) -> None:
    for label, contingency in (("oco", ContingencyType.OCO), ("ouo", ContingencyType.OUO)):
        entry, loss, profit = bracket(trader, label, contingency)
        await trader.has(entry, "OrderFilled")
        await trader.has(profit, "OrderAccepted")
        await trader.has(loss, "OrderAccepted")
        VenueClient.latest.fill_now(profit, 110.0)
        # Canceled by the strategy's order manager, not by the venue.
        await trader.has(loss, "OrderCanceled")
        await trader.has(profit, "OrderFilled")


async def emulated_bracket(trader: Noting, session: Session) -> None:
    Market.data.feed(quote_at(100.0))
    await until(
        lambda: trader.cache.quote_tick(INSTRUMENT_ID).bid_price == price(100.0), "it is cached"
    )
    entry, loss, profit = bracket(
        trader,
        "emulated",
        ContingencyType.OUO,
        entry_order_type=OrderType.LIMIT,
        entry_price=price(99.0),
        emulation_trigger=TriggerType.BID_ASK,
        tp_post_only=False,
    )
    await trader.has(entry, "OrderEmulated")
    Market.data.feed(quote_at(98.5))
    await trader.has(entry, "OrderFilled")
    # The exits are emulated from the fill of the entry on.
    await trader.has(loss, "OrderEmulated")
    await trader.has(profit, "OrderEmulated")
    Market.data.feed(quote_at(89.0))
    await trader.has(loss, "OrderFilled")
    await trader.has(profit, "OrderCanceled")
    Market.data.feed(quote_at(100.0))


async def external(trader: Noting, session: Session) -> dict:
    published: list[str] = []
    session.kernel.msgbus.subscribe(
        f"commands.trading.{EXTERNAL}", lambda command: published.append(comparable(command))
    )
    order = trader.order_factory.limit(
        INSTRUMENT_ID, OrderSide.BUY, QTY, price(90.0), client_order_id=named("external")
    )
    trader.submit_order(order, client_id=EXTERNAL)
    await until(lambda: len(published) == 1, "the order is published")
    trader.query_order(order, client_id=EXTERNAL)
    await until(lambda: len(published) == 2, "the query is published")
    return {
        "published": [command.split("(")[0] for command in published],
        "status": order.status_string(),
    }


async def from_timers(trader: Noting, session: Session) -> dict:
    """Submit from timers, whose callbacks run on a thread of the Rust runtime."""
    left = iter(range(20))
    in_main = set()

    def at_timer(_event) -> None:
        in_main.add(threading.current_thread() is threading.main_thread())
        number = next(left, None)
        if number is None:
            return
        side = OrderSide.SELL if number % 2 else OrderSide.BUY
        trader.market(side, client_order_id=named(f"timer-{number:02}"))

    trader.clock.set_timer("often", timedelta(milliseconds=5), callback=at_timer)
    # Both a timer and a handler cancel orders: the strategy's own timer for orders with an end.
    expiring = trader.limit(
        client_order_id=named("expiring"),
        time_in_force=TimeInForce.GTD,
        # Not before it is accepted, however busy the machine is.
        expire_time=trader.clock.utc_now() + timedelta(seconds=1),
    )

    def filled() -> int:
        # Copied in one step: the timer's thread adds to it.
        return sum(names[-1:] == ["OrderFilled"] for names in list(trader.names.values()))

    await until(lambda: filled() == 20, "all orders of the timer are filled")
    trader.clock.cancel_timer("often")
    await trader.has(expiring, "OrderCanceled")
    return {"in_main": sorted(in_main)}


async def from_handlers(trader: Noting, session: Session) -> None:
    """Submit and cancel from inside the handlers of quotes and of order events."""
    quotes = iter(range(20))
    done = []

    def at_quote(_tick) -> None:
        number = next(quotes, None)
        if number is not None:
            trader.market(client_order_id=named(f"quote-{number:02}"))

    def at_event(event) -> None:
        kind = type(event).__name__
        label = short_id(event.client_order_id)
        if kind == "OrderFilled" and label.startswith("quote"):
            trader.limit(OrderSide.SELL, 110.0, client_order_id=named(f"after-{label}"))
        elif kind == "OrderAccepted" and label.startswith("after"):
            trader.cancel_order(trader.cache.order(event.client_order_id))
        elif kind == "OrderCanceled":
            done.append(label)

    trader.at_quote, trader.at_event = at_quote, at_event
    for number in range(20):
        Market.data.feed(quote_at(100.0 + number / 100))
    await until(lambda: len(done) == 20, "all orders are done")
    trader.at_quote = trader.at_event = None


async def many_strategies(crowd: list[Noting], session: Session) -> list[dict]:
    """Three strategies trade one instrument on the same quotes."""
    for number, trader in enumerate(crowd):
        counter = iter(range(6 + number))

        def at_quote(_tick, trader=trader, counter=counter, number=number) -> None:
            if next(counter, None) is not None:
                trader.market(OrderSide.SELL if number == 1 else OrderSide.BUY)

        trader.at_quote = at_quote
    for number in range(10):
        Market.data.feed(quote_at(100.0 + number / 100))
    await until(
        lambda: all(
            sum(names[-1] == "OrderFilled" for names in trader.names.values()) == 6 + number
            for number, trader in enumerate(crowd)
        ),
        "all orders of the crowd are filled",
    )
    return [
        trader.told()
        | {"open": [comparable(p) for p in trader.cache.positions_open(strategy_id=trader.id)]}
        for trader in crowd
    ]


# -- orders whose events never came --------------------------------------------------------------


def checks(bus: str) -> dict:
    """Lose the venue's answers; the continuous reconciliation finds out."""
    trader = Noting()
    session = Session(
        bus,
        trader,
        exec_engine=LiveExecEngineConfig(
            reconciliation=True,
            reconciliation_startup_delay_secs=0.01,
            inflight_check_interval_ms=40,
            inflight_check_threshold_ms=120,
            inflight_check_retries=2,
            open_check_interval_secs=0.05,
            open_check_open_only=False,
            open_check_threshold_ms=200,
            open_check_missing_retries=2,
            single_order_query_delay_ms=1,
        ),
    )
    result: dict = {}

    def report(order, status: OrderStatus, filled: int = 0):
        """Return a maker of reports about the order, as the venue knows it."""
        venue = VenueClient.latest

        def make() -> OrderStatusReport:
            return OrderStatusReport(
                account_id=venue.account_id,
                instrument_id=INSTRUMENT_ID,
                client_order_id=order.client_order_id,
                venue_order_id=VenueOrderId(f"V-{order.client_order_id}"),
                order_side=order.side,
                order_type=order.order_type,
                time_in_force=TimeInForce.GTC,
                order_status=status,
                price=order.price,
                quantity=QTY,
                filled_qty=Quantity.from_int(filled),
                avg_px=Decimal("90.00") if filled else None,
                report_id=UUID4(),
                ts_accepted=venue._now(),
                ts_last=venue._now(),
                ts_init=venue._now(),
            )

        return make

    async def play() -> None:
        venue = VenueClient.latest
        lost_all = trader.limit(client_order_id=named("lost-all"), tags=["silent"])
        await trader.has(lost_all, "OrderSubmitted")

        # Each report appears only once its order has got so far, or a check would be first.
        lost_accept = trader.limit(client_order_id=named("lost-accept"), tags=["silent"])
        await trader.has(lost_accept, "OrderSubmitted")
        venue.reports[lost_accept.client_order_id] = report(lost_accept, OrderStatus.ACCEPTED)

        lost_fill = trader.limit(client_order_id=named("lost-fill"))
        await trader.has(lost_fill, "OrderAccepted")
        venue.reports[lost_fill.client_order_id] = report(lost_fill, OrderStatus.FILLED, 10)

        gone = trader.limit(client_order_id=named("gone"))
        await trader.has(gone, "OrderAccepted")

        lost_cancel = trader.limit(client_order_id=named("lost-cancel"), tags=["silent-cancel"])
        await trader.has(lost_cancel, "OrderAccepted")
        trader.cancel_order(lost_cancel)
        venue.reports[lost_cancel.client_order_id] = report(lost_cancel, OrderStatus.CANCELED)

        await trader.has(lost_all, "OrderRejected")
        await trader.has(lost_accept, "OrderAccepted")
        await trader.has(lost_fill, "OrderFilled")
        await until(lambda: gone.is_closed, "the order that is gone is resolved")
        await trader.has(lost_cancel, "OrderCanceled")
        # Nothing more happens to them.
        before = len(venue.queries)
        await asyncio.sleep(0.15)
        result["queries_after"] = len(venue.queries) - before
        result["queried"] = sorted(set(venue.queries))

    session.run(play)
    result["net"] = float(session.node.portfolio.net_position(INSTRUMENT_ID))
    session.node.dispose()
    return result | trader.told()


# -- bars of time --------------------------------------------------------------------------------

BAR_NS = 500_000_000
BAR_COUNT = 3


def bars(bus: str) -> dict:
    """Build bars of time and of ticks from quotes that come in the middle of each interval."""
    trader = Noting()
    session = Session(bus, trader)
    built: dict[str, list] = {"TIME": [], "TICK": []}
    handled: dict[int, list[int]] = {}

    def at_bar(bar) -> None:
        kind = "TICK" if "TICK" in str(bar.bar_type) else "TIME"
        prices = [float(value) for value in (bar.open, bar.high, bar.low, bar.close)]
        built[kind].append([bar.ts_event, prices, float(bar.volume)])

    def at_quote(tick) -> None:
        handled.setdefault(tick.ts_event // BAR_NS, []).append(trader.clock.timestamp_ns())

    async def play() -> None:
        trader.at_bar, trader.at_quote = at_bar, at_quote
        # The first interval is not whole when the subscription comes.
        for bar_type in ("500-MILLISECOND-MID-INTERNAL", "4-TICK-MID-INTERNAL"):
            trader.subscribe_bars(BarType.from_str(f"{INSTRUMENT_ID}-{bar_type}"))
        now = trader.clock.timestamp_ns()
        first = now // BAR_NS + 1
        for number in range(BAR_COUNT + 1):
            middle = (first + number) * BAR_NS + BAR_NS // 4
            await asyncio.sleep(max(0, middle - trader.clock.timestamp_ns()) / 1e9)
            for step in (0, 5, -3, 2):
                Market.data.feed(quote_at(100.0 + number + step / 100, ts=middle))
        await until(lambda: built["TIME"][-1:] and built["TIME"][-1][0] >= middle, "the last bar")
        # Behind the bar of time, if the quotes are handled late.
        await until(lambda: len(built["TICK"]) > BAR_COUNT, "the last bar of ticks")
        # Only what was handled in its interval tells anything: the machine may be slow.
        result["late"] = sorted(
            interval - first
            for interval, times in handled.items()
            if any(time // BAR_NS != interval for time in times)
        )
        start = first * BAR_NS
        result["time"] = [
            [(ts - start) / BAR_NS, *rest] for ts, *rest in built["TIME"] if ts > start
        ]
        result["tick"] = [rest for _, *rest in built["TICK"]]

    result: dict = {}
    session.run(play)
    session.node.dispose()
    return result


SCENARIOS = {scenario.__name__: scenario for scenario in (trading, checks, bars)}


if __name__ == "__main__":
    main(SCENARIOS)
