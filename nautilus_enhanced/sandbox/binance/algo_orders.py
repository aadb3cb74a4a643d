"""
The orders of Binance's USDT futures that wait for a price: pure, no I/O.

Binance calls them algo orders. They have IDs of their own; when the price comes, an order with
another ID is made of each, and both are reported on. Names and fields are those of the public
documentation (https://developers.binance.com/docs/derivatives/usds-margined-futures): "New Algo
Order", "Current All Algo Open Orders" and "Event: Algo Order Update".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from typing import Final

from nautilus_enhanced.sandbox.binance.futures_messages import FuturesMessages
from nautilus_enhanced.sandbox.binance.futures_messages import algo_type
from nautilus_enhanced.sandbox.binance.futures_messages import mean_price
from nautilus_enhanced.sandbox.binance.futures_messages import wire_type
from nautilus_enhanced.sandbox.binance.messages import amount
from nautilus_enhanced.sandbox.binance.requests import ApiError
from nautilus_enhanced.sandbox.binance.requests import integer
from nautilus_enhanced.sandbox.dialect import NS_PER_MS
from nautilus_enhanced.sandbox.dialect import UserEvent
from nautilus_enhanced.sandbox.matching import MatchingEngine
from nautilus_enhanced.sandbox.orders import ZERO
from nautilus_enhanced.sandbox.orders import LiveEvent
from nautilus_enhanced.sandbox.orders import Order
from nautilus_enhanced.sandbox.orders import Triggered


ALGO_ID_BASE: Final = 1_000_000_000
MAX_TRIGGERED: Final = 20_000


def algo_id(order: Order) -> int:
    """Return the ID that an order has while it waits."""
    return ALGO_ID_BASE + order.order_id


class AlgoOrders:
    """
    Tell the orders that wait from those that were made of them.

    Parameters
    ----------
    engine : MatchingEngine
        Holds them all.
    messages : FuturesMessages
        Writes prices and quantities.

    Notes
    -----
    Of orders that went to the book the last `MAX_TRIGGERED` are remembered: as many as the engine
    holds, open and closed.
    """

    def __init__(self, engine: MatchingEngine, messages: FuturesMessages) -> None:
        self._engine = engine
        self._messages = messages
        self._triggered: dict[int, int] = {}

    def is_apart(self, order: Order) -> bool:
        """Return whether an order never went to the book, and is an algo order alone."""
        return order.request.trigger_price is not None and order.order_id not in self._triggered

    def waiting(self) -> list[dict[str, Any]]:
        """Return the body of ``GET openAlgoOrders``."""
        return [self.body(o) for o in self._engine.open_orders() if self._engine.is_waiting(o)]

    def all(self) -> list[dict[str, Any]]:
        """Return the body of ``GET allAlgoOrders``."""
        orders = self._engine.orders()
        return [self.body(order) for order in orders if order.request.trigger_price is not None]

    def find(self, params: Mapping[str, str]) -> Order | None:
        """
        Return the order that a request names.

        Raises
        ------
        ApiError
            If it names none.
        """
        number, name = integer(params, "algoId"), params.get("clientAlgoId") or None
        if number is None and name is None:
            raise ApiError(-1102, "Param 'algoId' or 'clientAlgoId' must be sent.")
        order_id = None if number is None else number - ALGO_ID_BASE
        order = self._engine.find(order_id=order_id, client_order_id=name)
        return order if order is not None and order.request.trigger_price is not None else None

    def body(self, order: Order) -> dict[str, Any]:
        """Return an order as the algo endpoints do."""
        request = order.request
        messages = self._messages
        _, time_in_force = wire_type(order)
        triggered_ns = self._triggered.get(order.order_id, 0)
        return {
            "algoId": algo_id(order),
            "clientAlgoId": request.client_order_id,
            "algoType": "CONDITIONAL",
            "orderType": algo_type(order),
            "symbol": messages.symbol,
            "side": request.side.value,
            "positionSide": "BOTH",
            "timeInForce": time_in_force,
            "quantity": messages.size(request.quantity),
            "algoStatus": self._status(order),
            "triggerPrice": messages.price(request.trigger_price or ZERO),
            "price": messages.price(request.price or ZERO),
            "workingType": "CONTRACT_PRICE",
            "priceMatch": "NONE",
            "closePosition": False,
            "priceProtect": False,
            "reduceOnly": request.reduce_only,
            "selfTradePreventionMode": "EXPIRE_MAKER",
            "createTime": order.created_ns // NS_PER_MS,
            "updateTime": order.updated_ns // NS_PER_MS,
            "triggerTime": triggered_ns // NS_PER_MS,
            "goodTillDate": 0,
            "actualOrderId": str(order.order_id) if triggered_ns else "",
        }

    def updates(self, event: LiveEvent, now_ms: int) -> tuple[list[UserEvent], list[UserEvent]]:
        """Return the ``ALGO_UPDATE`` events before, and behind, what else an event causes."""
        order = event.order
        if order.request.trigger_price is None:
            return [], []
        if isinstance(event, Triggered):
            self._triggered[order.order_id] = max(1, order.updated_ns)
            if len(self._triggered) > MAX_TRIGGERED:
                del self._triggered[next(iter(self._triggered))]
        elif not self.is_apart(order):
            return [], [] if order.is_open else [self._update(order, now_ms)]
        return [self._update(order, now_ms)], []

    def _status(self, order: Order) -> str:
        if self.is_apart(order):
            return order.status.value
        return "TRIGGERED" if order.is_open else "FINISHED"

    def _update(self, order: Order, now_ms: int) -> UserEvent:
        request = order.request
        messages = self._messages
        kind, time_in_force = wire_type(order)
        triggered_ns = self._triggered.get(order.order_id, 0)
        status = self._status(order)
        body = {
            "caid": request.client_order_id,
            "aid": algo_id(order),
            "at": "CONDITIONAL",
            "o": algo_type(order),
            "s": messages.symbol,
            "S": request.side.value,
            "ps": "BOTH",
            "f": time_in_force,
            "q": messages.size(request.quantity),
            "X": status,
            "ai": str(order.order_id) if triggered_ns else "",
            "ap": amount(mean_price(order)) if order.filled else "0",
            "aq": messages.size(order.filled) if order.filled else "0",
            "act": kind if triggered_ns else "0",
            "tp": messages.price(request.trigger_price or ZERO),
            "p": messages.price(request.price or ZERO),
            "V": "EXPIRE_MAKER",
            "wt": "CONTRACT_PRICE",
            "pm": "NONE",
            "cp": False,
            "pP": False,
            "R": request.reduce_only,
            "tt": triggered_ns // NS_PER_MS,
            "gtd": 0,
        }
        payload = {"e": "ALGO_UPDATE", "T": now_ms, "E": now_ms, "o": body}
        return UserEvent(
            name="ALGO_UPDATE",
            payload=payload,
            client_order_id=request.client_order_id,
            execution_type=status,
        )
