"""
Translation from the requests of TWS's clients: pure, no I/O.

Codes and sentences are those of Interactive Brokers' public list of TWS API message codes.
"""

from __future__ import annotations

import math
from decimal import Decimal
from decimal import InvalidOperation
from typing import Any
from typing import Final

from nautilus_enhanced.sandbox.orders import OrderKind
from nautilus_enhanced.sandbox.orders import OrderRequest
from nautilus_enhanced.sandbox.orders import RejectReason
from nautilus_enhanced.sandbox.orders import Side
from nautilus_enhanced.sandbox.orders import TimeInForce


MAX_RATE: Final = 100
MAX_TICKERS: Final = 101
DUPLICATE_ORDER_ID: Final = 103
FILLED_ALREADY: Final = 104
ORDER_MISMATCH: Final = 105
PRICE_VARIATION: Final = 110
HISTORY_REFUSED: Final = 162
NO_SECURITY: Final = 200
REJECTED: Final = 201
CANCELED: Final = 202
NO_TICKER: Final = 300
INVALID_REQUEST: Final = 321
NOT_PROCESSED: Final = 322
CLIENT_ID_IN_USE: Final = 326
CANCEL_UNKNOWN: Final = 10147
CANCEL_IMPOSSIBLE: Final = 10148
TICKS_REFUSED: Final = 10189

RATE_TEXT: Final = "Max rate of messages per second has been exceeded:max=50 rec=51 (1)"
NO_SECURITY_TEXT: Final = "No security definition has been found for the request"

ORDER_TYPES: Final = {
    "MKT": (OrderKind.MARKET, False),
    "LMT": (OrderKind.LIMIT, False),
    "STP": (OrderKind.MARKET, True),
    "STP LMT": (OrderKind.LIMIT, True),
}
TIMES_IN_FORCE: Final = {
    "": TimeInForce.GTC,
    "DAY": TimeInForce.GTC,
    "GTC": TimeInForce.GTC,
    "IOC": TimeInForce.IOC,
    "FOK": TimeInForce.FOK,
}
_REASONS: Final = {
    RejectReason.INSUFFICIENT_BALANCE: (
        "YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION YOUR EQUITY WITH "
        "LOAN VALUE MUST EXCEED THE INITIAL MARGIN."
    ),
    RejectReason.STEP_SIZE: "The size is not a multiple of the size increment of the contract.",
    RejectReason.QUANTITY_RANGE: "The size of the order is not allowed for the contract.",
    RejectReason.NO_MARKET: "There is no market for the contract.",
    RejectReason.TOO_MANY_ORDERS: "Too many open orders.",
}


class ApiError(Exception):
    """
    A request is answered with an error.

    Parameters
    ----------
    code : int
        TWS's code.
    text : str
        TWS's sentence.
    """

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(f"{code}: {text}")


def not_served(what: str) -> ApiError:
    """Return the reject of an order that this venue does not do."""
    return ApiError(
        REJECTED, f"Order rejected - reason:{what} are not served by the loopback venue."
    )


def rejected(reason: RejectReason) -> ApiError:
    """Return the error for a refusal by the matching engine."""
    if reason in {RejectReason.TICK_SIZE, RejectReason.PRICE_RANGE}:
        return ApiError(
            PRICE_VARIATION,
            "The price does not conform to the minimum price variation for this contract.",
        )
    said = _REASONS.get(reason, f"{reason.value}.")
    return ApiError(REJECTED, f"Order rejected - reason:{said}")


def parse_order(order: Any, name: str) -> OrderRequest:
    """
    Return the order that a client's message asks for.

    Parameters
    ----------
    order : Any
        The protobuf message ``Order``.
    name : str
        A name that is unique among all clients' open orders.

    Raises
    ------
    ApiError
        201 if it asks for what this venue does not do.
    """
    if order.parentId or order.ocaGroup or not order.transmit:
        raise not_served("Orders that depend on others")
    if order.orderType not in ORDER_TYPES:
        raise not_served(f"Orders of type {order.orderType}")
    if order.tif not in TIMES_IN_FORCE:
        raise not_served(f"Orders with time in force {order.tif}")
    if order.conditions or order.whatIf or order.algoStrategy or order.cashQty:
        raise not_served("Conditions, algorithms, cash quantities and trials")
    if order.action not in {"BUY", "SELL"}:
        raise ApiError(INVALID_REQUEST, "Error validating request.-'bW' : cause - Invalid action")
    kind, waits = ORDER_TYPES[order.orderType]
    side = Side[order.action]
    return OrderRequest(
        client_order_id=name,
        side=side,
        kind=kind,
        quantity=_quantity(order.totalQuantity),
        price=price(order.lmtPrice) if kind is OrderKind.LIMIT else None,
        time_in_force=TIMES_IN_FORCE[order.tif],
        trigger_price=price(order.auxPrice) if waits else None,
        rising=side is Side.BUY,
    )


def price(value: float) -> Decimal:
    """Return a price; 0 for one that is none."""
    return Decimal(repr(value)) if math.isfinite(value) else Decimal(0)


def _quantity(text: str) -> Decimal:
    try:
        quantity = Decimal(text)
    except InvalidOperation:
        quantity = Decimal("NaN")
    if not quantity.is_finite():
        raise ApiError(INVALID_REQUEST, "Error validating request.-'bW' : cause - Invalid quantity")
    return quantity
