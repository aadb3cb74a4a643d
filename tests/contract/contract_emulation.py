"""
Orders that the node itself holds back or cuts in pieces, as scenarios for either bus.

``python contract_emulation.py NAME BUS [JSON]`` prints its result as JSON.
"""

from __future__ import annotations

import threading
from decimal import Decimal

from contract_parts import Session
from contract_parts import VenueClient
from contract_parts import price
from contract_parts import quote_at
from contract_parts import trade_at
from contract_parts import until
from contract_scenarios import INSTRUMENT_ID
from contract_scenarios import QTY
from contract_scenarios import Market
from contract_scenarios import equity
from contract_scenarios import main
from contract_trading import Noting
from contract_trading import named
from nautilus_trader.config import ExecAlgorithmConfig
from nautilus_trader.config import LiveExecEngineConfig
from nautilus_trader.examples.algorithms.twap import TWAPExecAlgorithm
from nautilus_trader.execution.algorithm import ExecAlgorithm
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import TriggerType
from nautilus_trader.model.events import OrderUpdated
from nautilus_trader.model.identifiers import ExecAlgorithmId
from nautilus_trader.model.objects import Quantity


NO_CHECKS = LiveExecEngineConfig(reconciliation=True, inflight_check_interval_ms=0)


# -- the emulator --------------------------------------------------------------------------------

# The emulator takes trades for bid and ask where it watches no quotes: one instrument for each.
OTHER_ID = equity(1).id
BIDS = (100.0, 100.4, 101.0, 100.7, 101.6, 101.2, 100.9, 100.0, 99.0, 98.0)
LASTS = (100.0, 99.0, 100.5, 102.0, 103.0, 102.9, 102.0, 101.0, 97.0, 96.5)


def emulation(bus: str, mode: str) -> dict:
    """
    Emulate orders that trail or that watch trades, and let the market move.

    With `mode` ``paced`` each tick is handled, and all it leads to, before the next one comes;
    with ``burst`` all ticks are fed at once, and as many again that lead to nothing.
    """
    Market.instruments = 2
    trader = Noting()
    session = Session(bus, trader, exec_engine=NO_CHECKS)

    def idle() -> bool:
        return not any(session.sizes()) and not VenueClient.latest._tasks

    async def play() -> None:
        # A trailing stop needs a quote when it is submitted, whatever it watches then.
        Market.data.feed(quote_at(100.0))
        feed(0)
        await until(lambda: trader.cache.trade_tick(INSTRUMENT_ID) is not None, "the first prices")
        orders = emulated_orders(trader)
        for order in orders.values():
            await until(
                lambda order=order: "OrderEmulated" in trader.names[str(order.client_order_id)],
                "it is emulated",
            )
        await until(idle, "the emulator's subscriptions are made")
        for number in range(1, len(BIDS)):
            feed(number)
            if mode == "paced":
                await until(idle, "the tick and what it led to are handled")
        if mode == "burst":
            for _ in range(1_000):
                Market.data.feed(quote_at(BIDS[-1], instrument_id=OTHER_ID))
        for label in orders:
            await until(lambda label=label: trader.names[label][-1] == LAST_OF[label], label)
        await until(idle, "all is handled")

    session.run(play)
    # The emulator applies the updates of trailing orders without publishing them.
    trailed = {
        str(order.client_order_id): [
            str(event.trigger_price) for event in order.events if isinstance(event, OrderUpdated)
        ]
        for order in session.node.cache.orders()
    }
    net = [
        float(session.node.portfolio.net_position(instrument_id))
        for instrument_id in (INSTRUMENT_ID, OTHER_ID)
    ]
    session.node.dispose()
    return trader.told() | {
        "trailed": trailed,
        "venue": VenueClient.latest.submitted,
        "net": net,
    }


def feed(number: int) -> None:
    Market.data.feed(quote_at(BIDS[number], instrument_id=OTHER_ID))
    Market.data.feed(trade_at(LASTS[number], number=number))


# The venue fills market orders; the others rest there.
LAST_OF = {
    "trails-bid": "OrderFilled",
    "trails-last": "OrderFilled",
    "trails-activated": "OrderFilled",
    "trails-limit": "OrderAccepted",
    "stop-last": "OrderFilled",
    "stop-limit-last": "OrderAccepted",
    "touched-last": "OrderFilled",
    "limit-last": "OrderFilled",
    "never": "OrderEmulated",
}


def emulated_orders(trader: Noting) -> dict:
    make = trader.order_factory
    last = {"emulation_trigger": TriggerType.LAST_PRICE, "trigger_type": TriggerType.LAST_PRICE}
    quotes = {"emulation_trigger": TriggerType.BID_ASK, "trigger_type": TriggerType.BID_ASK}
    sell, buy = (OTHER_ID, OrderSide.SELL, QTY), (INSTRUMENT_ID, OrderSide.BUY, QTY)

    def trail(label: str, offset: str, instrument_id=OTHER_ID, **options):
        return make.trailing_stop_market(
            instrument_id,
            OrderSide.SELL,
            QTY,
            Decimal(offset),
            client_order_id=named(label),
            **options,
        )

    orders = {
        "trails-bid": trail("trails-bid", "0.50", **quotes),
        "trails-last": trail("trails-last", "1.50", INSTRUMENT_ID, **last),
        "trails-activated": trail(
            "trails-activated", "0.20", activation_price=price(101.5), **quotes
        ),
        "trails-limit": make.trailing_stop_limit(
            *sell,
            limit_offset=Decimal("0.10"),
            trailing_offset=Decimal("1.00"),
            client_order_id=named("trails-limit"),
            **quotes,
        ),
        "stop-last": make.stop_market(
            *buy, price(101.9), client_order_id=named("stop-last"), **last
        ),
        "stop-limit-last": make.stop_limit(
            *buy, price(99.5), price(102.5), client_order_id=named("stop-limit-last"), **last
        ),
        "touched-last": make.market_if_touched(
            *buy, price(99.2), client_order_id=named("touched-last"), **last
        ),
        "limit-last": make.limit(
            *buy,
            price(97.5),
            client_order_id=named("limit-last"),
            emulation_trigger=TriggerType.LAST_PRICE,
        ),
        "never": trail("never", "50.00", **quotes),
    }
    for order in orders.values():
        trader.submit_order(order)
    return orders


# -- execution algorithms ------------------------------------------------------------------------


class Slicer(ExecAlgorithm):
    """
    Cut a market order into three: each piece follows from what became of the one before.

    The second piece is a limit order that is modified and canceled, the last is what is left.
    """

    def __init__(self) -> None:
        super().__init__(ExecAlgorithmConfig(exec_algorithm_id=ExecAlgorithmId("SLICER")))
        self.events: dict[str, list[str]] = {}

    def on_order(self, order) -> None:
        piece = self.spawn_market(order, Quantity.from_int(4))
        self.submit_order(piece)

    def on_order_event(self, event) -> None:
        label = event.client_order_id.value
        self.events.setdefault(label, []).append(type(event).__name__)

    def _is(self, event, ending: str):
        """Return the order of an event if its name ends so."""
        order = self.cache.order(event.client_order_id)
        return order if order.client_order_id.value.endswith(ending) else None

    def on_order_filled(self, event) -> None:
        if (piece := self._is(event, "-E1")) is not None:
            primary = self.cache.order(piece.exec_spawn_id)
            self.submit_order(self.spawn_limit(primary, Quantity.from_int(3), price(90.0)))

    def on_order_accepted(self, event) -> None:
        if (piece := self._is(event, "-E2")) is not None:
            self.modify_order(piece, quantity=Quantity.from_int(2), price=price(91.0))

    def on_order_updated(self, event) -> None:
        if (piece := self._is(event, "-E2")) is not None and piece.is_open:
            self.cancel_order(piece)

    def on_order_canceled(self, event) -> None:
        if (piece := self._is(event, "-E2")) is not None:
            self.submit_order(self.cache.order(piece.exec_spawn_id))


class Timed(TWAPExecAlgorithm):
    """NautilusTrader's own; notes the threads that its timer runs on."""

    def __init__(self) -> None:
        super().__init__()
        self.in_main: set[bool] = set()

    def on_time_event(self, event) -> None:
        self.in_main.add(threading.current_thread() is threading.main_thread())
        super().on_time_event(event)


def algorithms(bus: str, backlog: int) -> dict:
    """Execute orders in pieces, behind a backlog of quotes if there is one."""
    trader = Noting()
    slicer, twap = Slicer(), Timed()
    session = Session(bus, trader, exec_engine=NO_CHECKS)
    for algorithm in (slicer, twap):
        session.node.trader.add_exec_algorithm(algorithm)

    def names_of(label: str) -> list[str]:
        return trader.names.get(label, [""])

    async def play() -> None:
        wanted = iter(range(3))

        def at_quote(_tick) -> None:
            number = next(wanted, None)
            if number is not None:
                trader.market(
                    client_order_id=named(f"sliced-{number}"), exec_algorithm_id=slicer.id
                )

        trader.at_quote = at_quote
        trader.market(
            client_order_id=named("timed"),
            exec_algorithm_id=twap.id,
            exec_algorithm_params={"horizon_secs": 0.4, "interval_secs": 0.1},
        )
        for number in range(3 + backlog):
            Market.data.feed(quote_at(100.0 + number / 100))
        for label in ("sliced-0", "sliced-1", "sliced-2", "timed"):
            await until(lambda label=label: names_of(label)[-1] == "OrderFilled", label)

    session.run(play)
    orders = {
        str(order.client_order_id): [float(order.quantity), float(order.filled_qty)]
        for order in session.node.cache.orders()
    }
    result = trader.told() | {
        "of_slicer": slicer.events,
        "orders": orders,
        "timer_in_main": sorted(twap.in_main),
        "net": float(session.node.portfolio.net_position(INSTRUMENT_ID)),
    }
    session.node.dispose()
    return result


SCENARIOS = {scenario.__name__: scenario for scenario in (emulation, algorithms)}


if __name__ == "__main__":
    main(SCENARIOS)
