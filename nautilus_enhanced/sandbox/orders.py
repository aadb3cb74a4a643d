"""What the loopback venues know of orders: requests, states and events, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Final
from typing import TypeAlias


ZERO: Final = Decimal(0)


class Side(Enum):
    """Which way an order trades."""

    BUY = "BUY"
    SELL = "SELL"


class OrderKind(Enum):
    """What an order does at the market; post-only is a limit order that must rest."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    POST_ONLY = "POST_ONLY"


class TimeInForce(Enum):
    """How long the rest of an order lives: until cancelled, not at all, all or nothing."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class OrderStatus(Enum):
    """Where an order stands; the last three are final."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"


class RejectReason(Enum):
    """Why a request was refused; nothing has changed then."""

    TICK_SIZE = "the price is not a multiple of the tick size"
    PRICE_RANGE = "the price is not above zero and up to the highest price"
    STEP_SIZE = "the quantity is not a multiple of the step size"
    QUANTITY_RANGE = "the quantity is not above zero and up to the largest quantity"
    MIN_NOTIONAL = "the value of the order is below the least value"
    INSUFFICIENT_BALANCE = "the free balance does not cover the order"
    WOULD_CROSS = "the post-only order would trade at once"
    NO_MARKET = "there is no quote yet"
    DUPLICATE_CLIENT_ID = "an open order has this client order ID"
    TOO_MANY_ORDERS = "there are too many open orders"
    WOULD_TRIGGER = "the trigger price is reached already"
    REDUCE_ONLY = "there is no position that the order could reduce"
    UNKNOWN_ORDER = "no open order has this ID"


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderRequest:
    """
    Ask for an order.

    Attributes
    ----------
    client_order_id : str
        The client's name for it, unique among the open orders.
    quantity : Decimal
        In the base asset.
    price : Decimal, optional
        The limit, in the quote asset; None for a market order.
    reduce_only : bool
        Whether it may only make a position smaller: it is cut to the position's size.
    trigger_price : Decimal, optional
        The price that the market has to come to before the order goes to the book.
    rising : bool
        Whether the market has to rise to it; else it has to fall.
    """

    client_order_id: str
    side: Side
    kind: OrderKind
    quantity: Decimal
    price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False
    trigger_price: Decimal | None = None
    rising: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """
    Hold an order as it stood after one event.

    Attributes
    ----------
    order_id : int
        The venue's name for it, ascending.
    filled : Decimal
        In the base asset.
    filled_quote : Decimal
        What `filled` cost or brought, in the quote asset, commissions apart.
    locked : Decimal
        What it keeps locked of the account's means.
    created_ns, updated_ns : int
        In nanoseconds, on the caller's clock.
    """

    order_id: int
    request: OrderRequest
    status: OrderStatus
    filled: Decimal
    filled_quote: Decimal
    locked: Decimal
    created_ns: int
    updated_ns: int

    @property
    def remaining(self) -> Decimal:
        """Return the quantity that is not filled, in the base asset."""
        return self.request.quantity - self.filled

    @property
    def is_open(self) -> bool:
        """Return whether it can still be filled."""
        return self.status in {OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED}


@dataclass(frozen=True, kw_only=True, slots=True)
class Balance:
    """Hold what the account has of one asset."""

    free: Decimal = ZERO
    locked: Decimal = ZERO


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """The order is on the book, if only for the blink in which it trades."""

    order: Order


@dataclass(frozen=True, kw_only=True, slots=True)
class Filled:
    """
    The order traded.

    Attributes
    ----------
    quantity, price : Decimal
        Of this trade.
    commission : Decimal
        In `commission_asset`.
    realized : Decimal
        The profit, or loss, of what the trade closed, on an account with positions.
    is_maker : bool
        Whether the order was resting.
    time_ns : int
        In nanoseconds, on the caller's clock.
    """

    order: Order
    trade_id: int
    quantity: Decimal
    price: Decimal
    commission: Decimal
    commission_asset: str
    is_maker: bool
    time_ns: int
    realized: Decimal = ZERO


@dataclass(frozen=True, kw_only=True, slots=True)
class Triggered:
    """The market has come to the order's trigger price: it goes to the book."""

    order: Order


@dataclass(frozen=True, kw_only=True, slots=True)
class Amended:
    """The client changed the order's price or quantity; it rests behind others now."""

    order: Order


@dataclass(frozen=True, kw_only=True, slots=True)
class Canceled:
    """The client took the rest of the order back."""

    order: Order


@dataclass(frozen=True, kw_only=True, slots=True)
class Expired:
    """The venue took the rest of the order off: no liquidity, or not all of it."""

    order: Order


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejected:
    """The request, an order's or a cancel's, was refused."""

    client_order_id: str
    reason: RejectReason


# What happens to an order that was taken.
LiveEvent: TypeAlias = Accepted | Triggered | Filled | Amended | Canceled | Expired
OrderEvent: TypeAlias = LiveEvent | Rejected
