"""
Translation from the requests of Binance: pure, no I/O.

Parameters and error codes are those of the public Binance API documentation
(https://developers.binance.com/docs/binance-spot-api-docs and
https://developers.binance.com/docs/derivatives/usds-margined-futures): "Trading endpoints",
"Error codes" and "Filters".
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from decimal import InvalidOperation
from typing import Any
from typing import Final

from nautilus_enhanced.sandbox.faults import FaultKind
from nautilus_enhanced.sandbox.orders import OrderKind
from nautilus_enhanced.sandbox.orders import OrderRequest
from nautilus_enhanced.sandbox.orders import RejectReason
from nautilus_enhanced.sandbox.orders import Side
from nautilus_enhanced.sandbox.orders import TimeInForce


BAD_REQUEST: Final = 400
UNAUTHORIZED: Final = 401
NOT_FOUND: Final = 404
TOO_MANY_REQUESTS: Final = 429

ORDER_TYPES: Final = {
    "LIMIT": OrderKind.LIMIT,
    "LIMIT_MAKER": OrderKind.POST_ONLY,
    "MARKET": OrderKind.MARKET,
}
# Orders that wait for a price: those that follow the market, and those that meet it.
STOP_TYPES: Final = ("STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")
ALGO_TYPES: Final = {
    "STOP": OrderKind.LIMIT,
    "TAKE_PROFIT": OrderKind.LIMIT,
    "STOP_MARKET": OrderKind.MARKET,
    "TAKE_PROFIT_MARKET": OrderKind.MARKET,
}
SPOT_REJECTS: Final = {
    RejectReason.TICK_SIZE: (-1013, "Filter failure: PRICE_FILTER"),
    RejectReason.PRICE_RANGE: (-1013, "Filter failure: PRICE_FILTER"),
    RejectReason.STEP_SIZE: (-1013, "Filter failure: LOT_SIZE"),
    RejectReason.QUANTITY_RANGE: (-1013, "Filter failure: LOT_SIZE"),
    RejectReason.MIN_NOTIONAL: (-1013, "Filter failure: NOTIONAL"),
    RejectReason.TOO_MANY_ORDERS: (-1013, "Filter failure: MAX_NUM_ORDERS"),
    RejectReason.NO_MARKET: (-1013, "Market is closed."),
    RejectReason.INSUFFICIENT_BALANCE: (
        -2010,
        "Account has insufficient balance for requested action.",
    ),
    RejectReason.WOULD_CROSS: (-2010, "Order would immediately match and take."),
    RejectReason.DUPLICATE_CLIENT_ID: (-2010, "Duplicate order sent."),
    RejectReason.WOULD_TRIGGER: (-2010, "Stop price would trigger immediately."),
    RejectReason.REDUCE_ONLY: (-1106, "Parameter 'reduceOnly' sent when not required."),
    RejectReason.UNKNOWN_ORDER: (-2011, "Unknown order sent."),
}
FUTURES_REJECTS: Final = {
    RejectReason.TICK_SIZE: (-4014, "Price not increased by tick size."),
    RejectReason.PRICE_RANGE: (-4002, "Price greater than max price."),
    RejectReason.STEP_SIZE: (-1111, "Precision is over the maximum defined for this asset."),
    RejectReason.QUANTITY_RANGE: (-4005, "Quantity greater than max quantity."),
    RejectReason.MIN_NOTIONAL: (
        -4164,
        "Order's notional must be no smaller than 5.0 (unless you choose reduce only)",
    ),
    RejectReason.TOO_MANY_ORDERS: (-2025, "Reach max open order limit."),
    RejectReason.NO_MARKET: (-2010, "Market is closed."),
    RejectReason.INSUFFICIENT_BALANCE: (-2019, "Margin is insufficient."),
    RejectReason.WOULD_CROSS: (
        -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected. "
        "The order will not be recorded in the order history",
    ),
    RejectReason.DUPLICATE_CLIENT_ID: (-4116, "ClientOrderId is duplicated."),
    RejectReason.WOULD_TRIGGER: (-2021, "Order would immediately trigger."),
    RejectReason.REDUCE_ONLY: (-2022, "ReduceOnly Order is rejected."),
    RejectReason.UNKNOWN_ORDER: (-2011, "Unknown order sent."),
}


class ApiError(Exception):
    """
    A request is answered with an error.

    Parameters
    ----------
    code : int
        Binance's error code.
    msg : str
        Binance's sentence.
    status : int
        The HTTP status.
    """

    def __init__(self, code: int, msg: str, status: int = BAD_REQUEST) -> None:
        self.code = code
        self.msg = msg
        self.status = status
        super().__init__(f"{code}: {msg}")

    def body(self) -> dict[str, Any]:
        """Return the JSON body."""
        return {"code": self.code, "msg": self.msg}


def refusal(kind: FaultKind, *, is_order: bool) -> ApiError:
    """Return the error for a reject that no rule explains, or for Binance's rate limit."""
    if kind is FaultKind.RATE_LIMIT:
        return ApiError(-1003, "Too many requests.", TOO_MANY_REQUESTS)
    return ApiError(-2010 if is_order else -1000, "Rejected: the venue was told to.")


def required(params: Mapping[str, str], name: str) -> str:
    """Return a mandatory parameter, or raise `ApiError` -1102."""
    value = params.get(name, "")
    if not value:
        raise ApiError(
            -1102,
            f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.",
        )
    return value


def integer(params: Mapping[str, str], name: str, default: int | None = None) -> int | None:
    """Return an optional whole number, or raise `ApiError` -1100."""
    value = params.get(name, "")
    if not value:
        return default
    if not value.lstrip("-").isdecimal():
        raise ApiError(-1100, f"Illegal characters found in parameter '{name}'.")
    return int(value)


def decimal(params: Mapping[str, str], name: str) -> Decimal:
    """Return a mandatory number, or raise `ApiError` -1102 or -1100."""
    try:
        number = Decimal(required(params, name))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise ApiError(-1100, f"Illegal characters found in parameter '{name}'.")
    return number


def parse_spot_order(params: Mapping[str, str], client_order_id: str) -> OrderRequest:
    """
    Return the order that ``POST /api/v3/order`` asks for.

    Parameters
    ----------
    params : Mapping[str, str]
        The request's parameters.
    client_order_id : str
        Used when the client gave no ``newClientOrderId``.

    Raises
    ------
    ApiError
        If a parameter is missing, malformed, or asks for what this venue does not do: trailing
        and iceberg orders, stop orders at the market, and ``quoteOrderQty``.
    """
    side, kind = required(params, "side"), required(params, "type")
    if side not in Side.__members__:
        raise ApiError(-1117, "Invalid side.")
    waits = kind in STOP_TYPES
    if kind not in ORDER_TYPES and not waits:
        raise ApiError(-1116, "Invalid orderType.")
    _refuse(params, ("quoteOrderQty", "icebergQty", "trailingDelta"))
    if not waits:
        _refuse(params, ("stopPrice",))
    time_in_force = required(params, "timeInForce") if kind == "LIMIT" or waits else "GTC"
    if time_in_force not in TimeInForce.__members__:
        raise ApiError(-1115, "Invalid timeInForce.")
    return OrderRequest(
        client_order_id=params.get("newClientOrderId") or client_order_id,
        side=Side[side],
        kind=ORDER_TYPES.get(kind, OrderKind.LIMIT),
        quantity=decimal(params, "quantity"),
        price=None if kind == "MARKET" else decimal(params, "price"),
        time_in_force=TimeInForce[time_in_force],
        trigger_price=decimal(params, "stopPrice") if waits else None,
        rising=waits and is_rising(kind, Side[side]),
    )


def parse_futures_order(params: Mapping[str, str], client_order_id: str) -> OrderRequest:
    """
    Return the order that ``POST /fapi/v1/order`` asks for.

    Parameters
    ----------
    params : Mapping[str, str]
        The request's parameters.
    client_order_id : str
        Used when the client gave no ``newClientOrderId``.

    Raises
    ------
    ApiError
        If a parameter is missing, malformed, or asks for what this venue does not do:
        ``priceMatch``, ``GTD`` and positions in both directions. Orders that wait for a price
        have an endpoint of their own.
    """
    side, kind = required(params, "side"), required(params, "type")
    if side not in Side.__members__:
        raise ApiError(-1117, "Invalid side.")
    if kind in ALGO_TYPES or kind == "TRAILING_STOP_MARKET":
        raise ApiError(
            -4120,
            "Order type not supported for this endpoint. "
            "Please use the Algo Order API endpoints instead.",
        )
    if kind not in {"LIMIT", "MARKET"}:
        raise ApiError(-1116, "Invalid orderType.")
    _refuse(params, ("stopPrice", "activationPrice", "callbackRate"))
    return _futures_request(params, params.get("newClientOrderId") or client_order_id, kind)


def parse_algo_order(params: Mapping[str, str], client_order_id: str) -> OrderRequest:
    """
    Return the order that ``POST /fapi/v1/algoOrder`` asks for.

    Parameters
    ----------
    params : Mapping[str, str]
        The request's parameters.
    client_order_id : str
        Used when the client gave no ``clientAlgoId``.

    Raises
    ------
    ApiError
        If a parameter is missing, malformed, or asks for what this venue does not do: trailing
        stops, ``closePosition``, ``priceMatch``, ``GTD`` and positions in both directions.
    """
    side, kind = required(params, "side"), required(params, "type")
    if side not in Side.__members__:
        raise ApiError(-1117, "Invalid side.")
    if kind not in ALGO_TYPES:
        raise ApiError(-1116, "Invalid orderType.")
    _refuse(params, ("activatePrice", "callbackRate"))
    request = _futures_request(
        params, params.get("clientAlgoId") or client_order_id, ALGO_TYPES[kind].value
    )
    return replace(
        request,
        trigger_price=decimal(params, "triggerPrice"),
        rising=is_rising(kind, request.side),
    )


def is_rising(kind: str, side: Side) -> bool:
    """Return whether the market has to rise to the trigger price of such an order."""
    return (side is Side.BUY) is kind.startswith("STOP")


def _futures_request(params: Mapping[str, str], client_order_id: str, kind: str) -> OrderRequest:
    if params.get("closePosition", "").lower() == "true":
        raise ApiError(-1106, "Parameter 'closePosition' sent when not required.")
    _refuse(params, ("priceMatch",))
    if params.get("positionSide", "BOTH") != "BOTH":
        raise ApiError(-4061, "Order's position side does not match user's setting.")
    time_in_force = required(params, "timeInForce") if kind == "LIMIT" else "GTC"
    post_only = time_in_force == "GTX"
    if post_only:
        time_in_force = "GTC"
    if time_in_force not in TimeInForce.__members__:
        raise ApiError(-1115, "Invalid timeInForce.")
    return OrderRequest(
        client_order_id=client_order_id,
        side=Side[params["side"]],
        kind=OrderKind.POST_ONLY if post_only else OrderKind[kind],
        quantity=decimal(params, "quantity"),
        price=None if kind == "MARKET" else decimal(params, "price"),
        time_in_force=TimeInForce[time_in_force],
        reduce_only=params.get("reduceOnly", "").lower() == "true",
    )


def _refuse(params: Mapping[str, str], names: Iterable[str]) -> None:
    for name in names:
        if params.get(name):
            raise ApiError(-1106, f"Parameter '{name}' sent when not required.")
