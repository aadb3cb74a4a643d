"""
Translation to OKX's messages, with those about orders: pure, no I/O.

Names and fields are those of the public OKX API documentation (https://www.okx.com/docs-v5).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from typing import Final

from nautilus_enhanced.sandbox.dialect import NS_PER_MS
from nautilus_enhanced.sandbox.okx.account_messages import AccountMessages
from nautilus_enhanced.sandbox.okx.account_messages import rounded
from nautilus_enhanced.sandbox.okx.market_messages import MarketMessages
from nautilus_enhanced.sandbox.okx.units import plain
from nautilus_enhanced.sandbox.orders import ZERO
from nautilus_enhanced.sandbox.orders import Amended
from nautilus_enhanced.sandbox.orders import Expired
from nautilus_enhanced.sandbox.orders import Filled
from nautilus_enhanced.sandbox.orders import LiveEvent
from nautilus_enhanced.sandbox.orders import Order
from nautilus_enhanced.sandbox.orders import OrderKind
from nautilus_enhanced.sandbox.orders import OrderRequest
from nautilus_enhanced.sandbox.orders import OrderStatus
from nautilus_enhanced.sandbox.orders import TimeInForce


# OKX's order IDs have nineteen digits; those of orders that never came to the book begin anew.
FIRST_ORDER_ID: Final = 2_000_000_000_000_000_000
FIRST_REFUSED_ID: Final = 3_000_000_000_000_000_000
# Why an order was taken off by the venue.
POST_ONLY_SOURCE: Final = "31"
_EXPIRED_SOURCES: Final = {TimeInForce.FOK: "13", TimeInForce.IOC: "14", TimeInForce.GTC: ""}
_STATES: Final = {
    OrderStatus.NEW: "live",
    OrderStatus.PARTIALLY_FILLED: "partially_filled",
    OrderStatus.FILLED: "filled",
    OrderStatus.CANCELED: "canceled",
    OrderStatus.EXPIRED: "canceled",
}


class Messages(MarketMessages, AccountMessages):
    """
    Write all messages about one instrument and one account: those about orders are here.

    Parameters
    ----------
    units : Units
        The instrument, and how its sizes are written.
    """

    def order(
        self, order: Order, fill: Filled | None = None, paid: Decimal = ZERO
    ) -> dict[str, Any]:
        """
        Return an order as it stands.

        Parameters
        ----------
        order : Order
            The order.
        fill : Filled, optional
            Its last fill, or the one that the message is about.
        paid : Decimal
            The commissions of all its fills up to that one.
        """
        size = self.units.size
        filled = order.filled
        average = plain(rounded(order.filled_quote / filled)) if filled else ""
        body = self._order(order.request, FIRST_ORDER_ID + order.order_id)
        body |= {
            "fee": plain(-paid),
            "accFillSz": size(filled),
            "avgPx": average,
            "cTime": str(order.created_ns // NS_PER_MS),
            "state": _STATES[order.status],
            "uTime": str(order.updated_ns // NS_PER_MS),
        }
        if order.status is OrderStatus.EXPIRED:
            body["cancelSource"] = _EXPIRED_SOURCES[order.request.time_in_force]
        if fill is not None:
            body |= {
                "execType": "M" if fill.is_maker else "T",
                "feeCcy": fill.commission_asset,
                "fillFee": plain(-fill.commission),
                "fillFeeCcy": fill.commission_asset,
                "fillPx": plain(fill.price),
                "fillSz": size(fill.quantity),
                "fillPnl": plain(fill.realized),
                "fillTime": str(fill.time_ns // NS_PER_MS),
                "tradeId": str(fill.trade_id),
            }
        return body

    def order_event(self, event: LiveEvent, paid: Decimal) -> dict[str, Any]:
        """
        Return the message of the channel ``orders`` about an event.

        Parameters
        ----------
        paid : Decimal
            The commissions of all the order's fills up to this one.
        """
        fill = event if isinstance(event, Filled) else None
        body = self.order(event.order, fill, paid)
        if isinstance(event, Amended):
            body |= {"amendResult": "0", "amendSource": "1", "reqId": ""}
        if isinstance(event, Expired) and not body["cancelSource"]:
            # The rest of a market order.
            body["cancelSource"] = _EXPIRED_SOURCES[TimeInForce.IOC]
        return body

    def refused_post_only(
        self, request: OrderRequest, order_id: int, now_ms: int
    ) -> dict[str, Any]:
        """Return a post-only order that was taken and then cancelled, as it would have traded."""
        return self._order(request, order_id) | {
            "cTime": str(now_ms),
            "cancelSource": POST_ONLY_SOURCE,
            "cancelSourceReason": "The post-only order would have taken liquidity.",
            "state": "canceled",
            "uTime": str(now_ms),
        }

    def fill(self, fill: Filled) -> dict[str, Any]:
        """Return a fill as it is listed."""
        request = fill.order.request
        time_ms = str(fill.time_ns // NS_PER_MS)
        return {
            "billId": str(FIRST_ORDER_ID + fill.trade_id),
            "clOrdId": request.client_order_id,
            "execType": "M" if fill.is_maker else "T",
            "fee": plain(-fill.commission),
            "feeCcy": fill.commission_asset,
            "fillPnl": plain(fill.realized),
            "fillPx": plain(fill.price),
            "fillSz": self.units.size(fill.quantity),
            "fillTime": time_ms,
            "instId": self.units.name,
            "instType": self.units.kind,
            "ordId": str(FIRST_ORDER_ID + fill.order.order_id),
            "posSide": "net",
            "side": request.side.value.lower(),
            "subType": "1",
            "tag": "",
            "tradeId": str(fill.trade_id),
            "ts": time_ms,
        }

    def _order(self, request: OrderRequest, order_id: int) -> dict[str, Any]:
        """Return an order without what happened to it."""
        return {
            "accFillSz": "0",
            "algoClOrdId": "",
            "algoId": "",
            "amendResult": "",
            "attachAlgoClOrdId": "",
            "attachAlgoOrds": [],
            "avgPx": "",
            "cancelSource": "",
            "cancelSourceReason": "",
            "category": "normal",
            "ccy": "",
            "clOrdId": request.client_order_id,
            "code": "0",
            "execType": "",
            "fee": "0",
            "feeCcy": "",
            "fillFee": "0",
            "fillFeeCcy": "",
            "fillPnl": "0",
            "fillPx": "",
            "fillSz": "0",
            "fillTime": "",
            "instId": self.units.name,
            "instType": self.units.kind,
            "isTpLimit": "false",
            "lever": "",
            "linkedAlgoOrd": {"algoId": ""},
            "msg": "",
            "ordId": str(order_id),
            "ordType": _order_type(request),
            "pnl": "0",
            "posSide": "net",
            "px": "" if request.price is None else plain(request.price),
            "pxType": "",
            "pxUsd": "",
            "pxVol": "",
            "quickMgnType": "",
            "rebate": "0",
            "rebateCcy": "",
            "reduceOnly": str(request.reduce_only).lower(),
            "side": request.side.value.lower(),
            "slOrdPx": "",
            "slTriggerPx": "",
            "slTriggerPxType": "",
            "source": "",
            "stpId": "",
            "stpMode": "cancel_maker",
            "sz": self.units.size(request.quantity),
            "tag": "",
            "tdMode": "cash" if self.units.is_spot else "cross",
            "tgtCcy": "base_ccy" if self.units.is_spot else "",
            "tpOrdPx": "",
            "tpTriggerPx": "",
            "tpTriggerPxType": "",
            "tradeId": "",
        }


def _order_type(request: OrderRequest) -> str:
    if request.kind is OrderKind.MARKET:
        return "market"
    if request.kind is OrderKind.POST_ONLY:
        return "post_only"
    if request.time_in_force is TimeInForce.GTC:
        return "limit"
    name: str = request.time_in_force.value
    return name.lower()
