"""
Translation from the requests of OKX: pure, no I/O.

Parameters and error codes are those of the public OKX API documentation
(https://www.okx.com/docs-v5): "Order Book Trading", "Error Code".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from decimal import InvalidOperation
from typing import Any
from typing import Final

from nautilus_enhanced.sandbox.faults import FaultKind
from nautilus_enhanced.sandbox.okx.units import Units
from nautilus_enhanced.sandbox.orders import OrderKind
from nautilus_enhanced.sandbox.orders import OrderRequest
from nautilus_enhanced.sandbox.orders import RejectReason
from nautilus_enhanced.sandbox.orders import Side
from nautilus_enhanced.sandbox.orders import TimeInForce


OK: Final = 200
BAD_REQUEST: Final = 400
UNAUTHORIZED: Final = 401
NOT_FOUND: Final = 404
TOO_MANY_REQUESTS: Final = 429

ORDER_TYPES: Final = {
    "market": (OrderKind.MARKET, TimeInForce.GTC),
    "optimal_limit_ioc": (OrderKind.MARKET, TimeInForce.GTC),
    "limit": (OrderKind.LIMIT, TimeInForce.GTC),
    "post_only": (OrderKind.POST_ONLY, TimeInForce.GTC),
    "ioc": (OrderKind.LIMIT, TimeInForce.IOC),
    "fok": (OrderKind.LIMIT, TimeInForce.FOK),
}
REJECTS: Final = {
    RejectReason.TICK_SIZE: (
        51150,
        "The precision of the number of trades or the price exceeds the limit.",
    ),
    RejectReason.PRICE_RANGE: (51006, "Order price is not within the price limit."),
    RejectReason.STEP_SIZE: (51121, "Order quantity must be a multiple of the lot size."),
    RejectReason.QUANTITY_RANGE: (51005, "Your order amount exceeds the max order amount."),
    RejectReason.MIN_NOTIONAL: (
        51020,
        "Your order should meet or exceed the minimum order amount.",
    ),
    RejectReason.INSUFFICIENT_BALANCE: (51008, "Order failed. Insufficient balance in account."),
    RejectReason.NO_MARKET: (50026, "System error. Try again later."),
    RejectReason.DUPLICATE_CLIENT_ID: (51016, "Client order ID already exists."),
    RejectReason.TOO_MANY_ORDERS: (
        51174,
        "The number of pending orders reached the upper limit.",
    ),
    RejectReason.REDUCE_ONLY: (
        51169,
        "Order failed because you don't have any positions in this direction to reduce or close.",
    ),
    RejectReason.UNKNOWN_ORDER: (
        51400,
        "Cancellation failed as the order has been filled, canceled or does not exist.",
    ),
}
_CLIENT_ORDER_ID: Final = re.compile(r"[A-Za-z0-9]{1,32}")


class ApiError(Exception):
    """
    A request is answered with an error.

    Parameters
    ----------
    code : int
        OKX's error code.
    msg : str
        OKX's sentence.
    status : int
        The HTTP status; most errors have 200.
    """

    def __init__(self, code: int, msg: str, status: int = OK) -> None:
        self.code = str(code)
        self.msg = msg
        self.status = status
        super().__init__(f"{code}: {msg}")

    def body(self) -> dict[str, Any]:
        """Return the JSON body."""
        return {"code": self.code, "msg": self.msg, "data": []}


def refusal(kind: FaultKind, *, is_order: bool) -> ApiError:
    """Return the error for a reject that no rule explains, or for OKX's rate limit."""
    if kind is FaultKind.RATE_LIMIT:
        return ApiError(50011, "Requests too frequent.", TOO_MANY_REQUESTS)
    return ApiError(51000 if is_order else 50026, "Rejected: the venue was told to.")


def rejected(reason: RejectReason) -> ApiError:
    """Return the error for a refusal by the matching engine."""
    return ApiError(*REJECTS.get(reason, (51000, f"Rejected: {reason.value}.")))


def required(params: Mapping[str, Any], name: str) -> str:
    """Return a mandatory parameter, or raise `ApiError` 50014."""
    value = params.get(name)
    if not isinstance(value, str) or not value:
        raise ApiError(50014, f"Parameter {name} can not be empty.", BAD_REQUEST)
    return value


def decimal(params: Mapping[str, Any], name: str) -> Decimal:
    """Return a mandatory number, or raise `ApiError` 50014 or 51000."""
    try:
        number = Decimal(required(params, name))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise ApiError(51000, f"Parameter {name} error")
    return number


def whole(params: Mapping[str, Any], name: str) -> int | None:
    """Return an optional whole number, or raise `ApiError` 51000."""
    value = str(params.get(name) or "")
    if not value:
        return None
    if not re.fullmatch(r"[0-9]{1,19}", value):
        raise ApiError(51000, f"Parameter {name} error")
    return int(value)


def client_order_id(params: Mapping[str, Any], default: str) -> str:
    """Return the client's name for an order, or raise `ApiError` 51000 if OKX takes no such."""
    name = str(params.get("clOrdId") or default)
    if not _CLIENT_ORDER_ID.fullmatch(name):
        raise ApiError(51000, "Parameter clOrdId error")
    return name


def parse_order(params: Mapping[str, Any], units: Units, default_id: str) -> OrderRequest:
    """
    Return the order that ``POST /api/v5/trade/order`` or ``op: order`` asks for.

    Parameters
    ----------
    params : Mapping[str, Any]
        The order as the client wrote it.
    units : Units
        What one unit of its size is.
    default_id : str
        Used when the client gave no ``clOrdId``.

    Raises
    ------
    ApiError
        If a parameter is missing, malformed, or asks for what this venue does not do: sizes in
        the quote asset, attached stop orders, and positions in both directions.
    """
    side, kind = required(params, "side"), required(params, "ordType")
    if side not in {"buy", "sell"}:
        raise ApiError(51000, "Parameter side error")
    if kind not in ORDER_TYPES:
        raise ApiError(51000, "Parameter ordType error")
    if required(params, "tdMode") not in units.trade_modes:
        raise ApiError(51000, "Parameter tdMode error")
    if params.get("posSide", "net") not in {"", "net"}:
        raise ApiError(51000, "Parameter posSide error")
    if params.get("attachAlgoOrds"):
        raise ApiError(51000, "Parameter attachAlgoOrds error")
    order_kind, time_in_force = ORDER_TYPES[kind]
    is_market = order_kind is OrderKind.MARKET
    in_quote = is_market and side == "buy" and params.get("tgtCcy") != "base_ccy"
    if units.is_spot and (in_quote or params.get("tgtCcy") == "quote_ccy"):
        raise ApiError(51000, "Parameter tgtCcy error")
    return OrderRequest(
        client_order_id=client_order_id(params, default_id),
        side=Side[side.upper()],
        kind=order_kind,
        quantity=units.base(decimal(params, "sz")),
        price=None if is_market else decimal(params, "px"),
        time_in_force=time_in_force,
        reduce_only=not units.is_spot and str(params.get("reduceOnly", "")).lower() == "true",
    )


def read_json(text: str | bytes) -> Any:
    """Return what a text holds, or None if it is no JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return None
