"""
Translation from the requests of Bybit: pure, no I/O.

Parameters and return codes are those of the public documentation of Bybit's API, version 5
(https://bybit-exchange.github.io/docs/v5/intro): "Trade", "Enums Definitions" and "Error Codes".
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from decimal import InvalidOperation
from typing import Any
from typing import Final

from nautilus_enhanced.sandbox.bybit.market_messages import Category
from nautilus_enhanced.sandbox.faults import FaultKind
from nautilus_enhanced.sandbox.orders import OrderKind
from nautilus_enhanced.sandbox.orders import OrderRequest
from nautilus_enhanced.sandbox.orders import RejectReason
from nautilus_enhanced.sandbox.orders import Side
from nautilus_enhanced.sandbox.orders import TimeInForce


OK: Final = 0
PARAMETER_ERROR: Final = 10001
INVALID_KEY: Final = 10003
TOO_MANY_VISITS: Final = 10006
NOT_SUPPORTED: Final = 10016
POST_ONLY_TOOK: Final = "EC_PostOnlyWillTakeLiquidity"
TOLD_TO: Final = "Rejected: the venue was told to."

LINEAR_REJECTS: Final = {
    RejectReason.TICK_SIZE: (10001, "The order price has a wrong number of decimals."),
    RejectReason.PRICE_RANGE: (110003, "Order price exceeds the allowable range."),
    RejectReason.STEP_SIZE: (10001, "Qty invalid"),
    RejectReason.QUANTITY_RANGE: (10001, "The number of contracts exceeds the limit allowed."),
    RejectReason.MIN_NOTIONAL: (110094, "Order does not meet minimum order value 5USDT"),
    RejectReason.TOO_MANY_ORDERS: (110020, "You cannot have more active orders."),
    RejectReason.NO_MARKET: (110074, "This contract is not live"),
    RejectReason.INSUFFICIENT_BALANCE: (110007, "ab not enough for new order"),
    RejectReason.WOULD_CROSS: (110206, POST_ONLY_TOOK),
    RejectReason.DUPLICATE_CLIENT_ID: (110072, "OrderLinkedID is duplicate"),
    RejectReason.WOULD_TRIGGER: (110093, "The trigger price is reached already."),
    RejectReason.REDUCE_ONLY: (
        110017,
        "current position is zero, cannot fix reduce-only order qty",
    ),
    RejectReason.UNKNOWN_ORDER: (110001, "order not exists or too late to cancel"),
}
SPOT_REJECTS: Final = {
    RejectReason.TICK_SIZE: (170134, "Order price has too many decimals."),
    RejectReason.PRICE_RANGE: (170132, "Order price is too high."),
    RejectReason.STEP_SIZE: (170137, "Order quantity has too many decimals."),
    RejectReason.QUANTITY_RANGE: (170135, "Order quantity exceeded upper limit."),
    RejectReason.MIN_NOTIONAL: (170140, "Order value exceeded lower limit."),
    RejectReason.TOO_MANY_ORDERS: (170810, "You cannot have more active orders."),
    RejectReason.NO_MARKET: (170217, "Only LIMIT-MAKER order is supported for the current pair."),
    RejectReason.INSUFFICIENT_BALANCE: (170131, "Insufficient balance."),
    RejectReason.WOULD_CROSS: (170218, POST_ONLY_TOOK),
    RejectReason.DUPLICATE_CLIENT_ID: (170141, "Duplicate clientOrderId"),
    RejectReason.WOULD_TRIGGER: (170234, "The trigger price is reached already."),
    RejectReason.REDUCE_ONLY: (10001, "reduceOnly is not for spot."),
    RejectReason.UNKNOWN_ORDER: (170213, "Order does not exist."),
}
REJECTS: Final = {Category.LINEAR: LINEAR_REJECTS, Category.SPOT: SPOT_REJECTS}
_KINDS: Final = {"Market": OrderKind.MARKET, "Limit": OrderKind.LIMIT}
_SIDES: Final = {"Buy": Side.BUY, "Sell": Side.SELL}
# Of an order at the market Bybit makes an IOC order, whatever it says.
_TIMES: Final = {"GTC": "GTC", "IOC": "IOC", "FOK": "FOK", "PostOnly": "GTC"}
_REFUSED: Final = ("takeProfit", "stopLoss", "bboSideType", "orderIv", "mmp", "slippageTolerance")


class ApiError(Exception):
    """
    A request is answered with an error.

    Parameters
    ----------
    code : int
        Bybit's return code.
    msg : str
        Bybit's sentence.
    """

    def __init__(self, code: int, msg: str) -> None:
        self.code = code
        self.msg = msg
        super().__init__(f"{code}: {msg}")


def refusal(kind: FaultKind) -> ApiError:
    """Return the error for a reject that no rule explains, or for Bybit's rate limit."""
    if kind is FaultKind.RATE_LIMIT:
        return ApiError(TOO_MANY_VISITS, "Too many visits. Exceeded the API Rate Limit.")
    return ApiError(PARAMETER_ERROR, TOLD_TO)


def rejected(category: Category, reason: RejectReason) -> ApiError:
    """Return the error for what the rules refuse."""
    return ApiError(*REJECTS[category][reason])


def required(params: Mapping[str, Any], name: str) -> str:
    """Return a mandatory parameter, or raise `ApiError` 10001."""
    value = params.get(name)
    if value is None or value == "":
        raise ApiError(PARAMETER_ERROR, f"params error: {name} is missing")
    return str(value)


def integer(params: Mapping[str, Any], name: str) -> int | None:
    """Return an optional whole number, or raise `ApiError` 10001."""
    value = str(params.get(name) or "")
    if not value:
        return None
    if not value.isdecimal():
        raise ApiError(PARAMETER_ERROR, f"params error: {name} is no whole number")
    return int(value)


def decimal(params: Mapping[str, Any], name: str) -> Decimal:
    """Return a mandatory number, or raise `ApiError` 10001."""
    try:
        number = Decimal(required(params, name))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise ApiError(PARAMETER_ERROR, f"params error: {name} is no number")
    return number


def parse_order(params: Mapping[str, Any], category: Category, default_id: str) -> OrderRequest:
    """
    Return the order that ``order.create`` asks for.

    Parameters
    ----------
    params : Mapping[str, Any]
        The request's parameters.
    category : Category
        What the venue trades.
    default_id : str
        Used when the client gave no ``orderLinkId``.

    Raises
    ------
    ApiError
        If a parameter is missing, malformed, or asks for what this venue does not do: take profit
        and stop loss, positions in both directions, prices by the book, orders by value.
    """
    side, kind = _SIDES.get(required(params, "side")), _KINDS.get(required(params, "orderType"))
    if side is None:
        raise ApiError(PARAMETER_ERROR, "params error: side invalid")
    if kind is None:
        raise ApiError(PARAMETER_ERROR, "params error: orderType invalid")
    for name in _REFUSED:
        if params.get(name):
            raise ApiError(PARAMETER_ERROR, f"params error: {name} is not served here")
    if integer(params, "positionIdx"):
        raise ApiError(PARAMETER_ERROR, "position idx not match position mode")
    is_market = kind is OrderKind.MARKET
    if category is Category.SPOT and is_market and params.get("marketUnit") == "quoteCoin":
        raise ApiError(PARAMETER_ERROR, "params error: marketUnit is not served here")
    said = str(params.get("timeInForce") or "GTC")
    if said not in _TIMES:
        raise ApiError(PARAMETER_ERROR, "params error: timeInForce invalid")
    if said == "PostOnly" and not is_market:
        kind = OrderKind.POST_ONLY
    trigger = decimal(params, "triggerPrice") if params.get("triggerPrice") else None
    return OrderRequest(
        client_order_id=str(params.get("orderLinkId") or default_id),
        side=side,
        kind=kind,
        quantity=decimal(params, "qty"),
        price=None if is_market else decimal(params, "price"),
        time_in_force=TimeInForce.GTC if is_market else TimeInForce[_TIMES[said]],
        reduce_only=params.get("reduceOnly") is True,
        trigger_price=trigger,
        rising=trigger is not None and _is_rising(params, side),
    )


def _is_rising(params: Mapping[str, Any], side: Side) -> bool:
    """Return whether the market has to rise: said on contracts, and of a stop's kind on spot."""
    direction = integer(params, "triggerDirection")
    return direction == 1 if direction else side is Side.BUY
