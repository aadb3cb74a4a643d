"""
Translation to what Bybit says of an account: orders, executions, position and wallet; no I/O.

Names and fields are those of the public documentation of Bybit's API, version 5
(https://bybit-exchange.github.io/docs/v5/intro): "Trade", "Position", "Account" and "WebSocket
Stream, Private".
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from typing import Final

from nautilus_enhanced.sandbox.bybit.market_messages import Category
from nautilus_enhanced.sandbox.bybit.market_messages import MarketMessages
from nautilus_enhanced.sandbox.bybit.requests import POST_ONLY_TOOK
from nautilus_enhanced.sandbox.dialect import NS_PER_MS
from nautilus_enhanced.sandbox.margin import MarginAccount
from nautilus_enhanced.sandbox.orders import ZERO
from nautilus_enhanced.sandbox.orders import Balance
from nautilus_enhanced.sandbox.orders import Filled
from nautilus_enhanced.sandbox.orders import Order
from nautilus_enhanced.sandbox.orders import OrderKind
from nautilus_enhanced.sandbox.orders import OrderRequest
from nautilus_enhanced.sandbox.orders import OrderStatus
from nautilus_enhanced.sandbox.orders import Side


NO_ERROR: Final = "EC_NoError"
NO_LIQUIDITY: Final = "EC_NoImmediateQtyToFill"
_ORDER_PREFIX: Final = "loopback-"
_STATUSES: Final = {
    OrderStatus.NEW: "New",
    OrderStatus.PARTIALLY_FILLED: "PartiallyFilled",
    OrderStatus.FILLED: "Filled",
    OrderStatus.CANCELED: "Cancelled",
    OrderStatus.EXPIRED: "Cancelled",
}
_SIDES: Final = {Side.BUY: "Buy", Side.SELL: "Sell"}


def order_id(order: Order) -> str:
    """Return Bybit's kind of ID for an order."""
    return f"{_ORDER_PREFIX}{order.order_id}"


def number_of(order_id: str) -> int:
    """Return the engine's ID for one of these; -1, which no order has, for any other."""
    number = order_id.removeprefix(_ORDER_PREFIX)
    return int(number) if number.isdecimal() else -1


class AccountMessages:
    """
    Write what is said of one account.

    Parameters
    ----------
    market : MarketMessages
        Knows the digits of prices and quantities.
    """

    def __init__(self, market: MarketMessages) -> None:
        self._market = market
        self._is_spot = market.category is Category.SPOT

    def order(self, order: Order, *, is_waiting: bool = False) -> dict[str, Any]:
        """Return an order, as the REST API lists it and the topic ``order`` tells of it."""
        return self._order(order.request) | {
            "orderId": order_id(order),
            "orderStatus": self.status(order, is_waiting=is_waiting),
            "cancelType": "CancelByUser" if order.status is OrderStatus.CANCELED else "UNKNOWN",
            "rejectReason": (NO_LIQUIDITY if order.status is OrderStatus.EXPIRED else NO_ERROR),
            "avgPrice": f"{order.filled_quote / order.filled:.8f}" if order.filled else "",
            "leavesQty": self._market.size(order.remaining if order.is_open else ZERO),
            "leavesValue": str(order.remaining * (order.request.price or ZERO)),
            "cumExecQty": self._market.size(order.filled),
            "cumExecValue": str(order.filled_quote),
            "cumExecFee": "0",
            "createdTime": str(order.created_ns // NS_PER_MS),
            "updatedTime": str(order.updated_ns // NS_PER_MS),
        }

    def refused_post_only(self, request: OrderRequest, name: str, now_ms: int) -> dict[str, Any]:
        """Return a post-only order that would have traded: it is taken, and taken off at once."""
        return self._order(request) | {
            "orderId": name,
            "orderStatus": "Cancelled",
            "cancelType": "UNKNOWN",
            "rejectReason": POST_ONLY_TOOK,
            "avgPrice": "",
            "leavesQty": self._market.size(ZERO),
            "leavesValue": "0",
            "cumExecQty": self._market.size(ZERO),
            "cumExecValue": "0",
            "cumExecFee": "0",
            "createdTime": str(now_ms),
            "updatedTime": str(now_ms),
        }

    def status(self, order: Order, *, is_waiting: bool = False) -> str:
        """Return the word for where an order stands."""
        if is_waiting:
            return "Untriggered"
        if self._is_spot and order.filled and order.status in _ENDED_EARLY:
            return "PartiallyFilledCanceled"
        return _STATUSES[order.status]

    def execution(self, fill: Filled, mark: Decimal) -> dict[str, Any]:
        """Return a fill, as the REST API lists it and the topic ``execution`` tells of it."""
        order, request = fill.order, fill.order.request
        value = fill.price * fill.quantity
        return {
            "category": self._market.category.value,
            "symbol": self._market.symbol,
            "orderId": order_id(order),
            "orderLinkId": request.client_order_id,
            "side": _SIDES[request.side],
            "orderPrice": self._market.price(request.price or ZERO),
            "orderQty": self._market.size(request.quantity),
            "leavesQty": self._market.size(order.remaining),
            "createType": "CreateByUser",
            "orderType": _type_name(request),
            "stopOrderType": "" if request.trigger_price is None else "Stop",
            "execFee": str(fill.commission),
            "execId": f"fill-{fill.trade_id}",
            "execPrice": self._market.price(fill.price),
            "execQty": self._market.size(fill.quantity),
            "execType": "Trade",
            "execValue": str(value),
            "execTime": str(fill.time_ns // NS_PER_MS),
            "feeCurrency": fill.commission_asset,
            "isMaker": fill.is_maker,
            "isLeverage": "0",
            "feeRate": "0",
            "tradeIv": "",
            "markIv": "",
            "markPrice": self._market.price(mark),
            "indexPrice": self._market.price(mark),
            "underlyingPrice": "",
            "blockTradeId": "",
            "closedSize": self._market.size(ZERO),
            "execPnl": str(fill.realized),
            "seq": fill.trade_id,
        }

    def position(self, account: MarginAccount, now_ms: int) -> dict[str, Any]:
        """Return the position, as the REST API lists it and the topic ``position`` tells of it."""
        side = "Buy" if account.position > 0 else "Sell" if account.position else ""
        entry = self._market.price(account.entry_price)
        margin, least = str(account.position_margin), str(account.maintenance_margin)
        return {
            "category": self._market.category.value,
            "positionIdx": 0,
            "tradeMode": 0,
            "riskId": 1,
            "riskLimitValue": "0",
            "symbol": self._market.symbol,
            "side": side,
            "size": self._market.size(abs(account.position)),
            "avgPrice": entry,
            "entryPrice": entry,
            "sessionAvgPrice": "",
            "leverage": str(account.leverage),
            "positionValue": str(abs(account.position) * account.entry_price),
            "positionBalance": "0",
            "markPrice": self._market.price(account.mark_price),
            "positionIM": margin,
            "positionMM": least,
            "positionIMByMp": margin,
            "positionMMByMp": least,
            "takeProfit": "0",
            "stopLoss": "0",
            "trailingStop": "0",
            "unrealisedPnl": str(account.unrealized),
            "cumRealisedPnl": "0",
            "curRealisedPnl": "0",
            "createdTime": str(now_ms),
            "updatedTime": str(now_ms),
            "tpslMode": "Full",
            "liqPrice": "",
            "bustPrice": "",
            "positionStatus": "Normal",
            "adlRankIndicator": 0,
            "autoAddMargin": 0,
            "leverageSysUpdatedTime": "",
            "mmrSysUpdatedTime": "",
            "seq": now_ms,
            "isReduceOnly": False,
        }

    def wallet(self, coins: list[dict[str, Any]], account: MarginAccount | None) -> dict[str, Any]:
        """
        Return the wallet, as the REST API answers and the topic ``wallet`` tells of it.

        Its sums are in dollars, and a coin's value in them is not known here: they are those of
        the contract's account, and zero on spot.
        """
        equity = account.wallet + account.unrealized if account else ZERO
        used = account.position_margin + account.order_margin if account else ZERO
        return {
            "accountType": "UNIFIED",
            "accountIMRate": "0",
            "accountMMRate": "0",
            "accountLTV": "0",
            "totalEquity": str(equity),
            "totalWalletBalance": str(account.wallet if account else ZERO),
            "totalMarginBalance": str(equity),
            "totalAvailableBalance": str(account.free if account else ZERO),
            "totalPerpUPL": str(account.unrealized if account else ZERO),
            "totalInitialMargin": str(used),
            "totalMaintenanceMargin": str(account.maintenance_margin if account else ZERO),
            "coin": coins,
        }

    def margin_coin(self, account: MarginAccount, loan: Decimal) -> dict[str, Any]:
        """Return the one coin of a contract's account."""
        return _coin(account.asset, account.wallet, loan) | {
            "equity": str(account.wallet + account.unrealized),
            "unrealisedPnl": str(account.unrealized),
            "totalOrderIM": str(account.order_margin),
            "totalPositionIM": str(account.position_margin),
            "totalPositionMM": str(account.maintenance_margin),
        }

    def spot_coins(
        self, balances: Mapping[str, Balance], loans: Mapping[str, Decimal]
    ) -> list[dict[str, Any]]:
        """Return the coins of a spot account."""
        return [
            _coin(asset, held.free + held.locked, loans.get(asset, ZERO))
            | {"locked": str(held.locked), "totalOrderIM": str(held.locked)}
            for asset, held in balances.items()
        ]

    def _order(self, request: OrderRequest) -> dict[str, Any]:
        trigger = request.trigger_price
        waits = trigger is not None
        post_only = request.kind is OrderKind.POST_ONLY
        is_market = request.kind is OrderKind.MARKET
        time_in_force = "IOC" if is_market else request.time_in_force.value
        return {
            "category": self._market.category.value,
            "symbol": self._market.symbol,
            "orderLinkId": request.client_order_id,
            "blockTradeId": "",
            "price": self._market.price(request.price or ZERO),
            "qty": self._market.size(request.quantity),
            "side": _SIDES[request.side],
            "isLeverage": "",
            "positionIdx": 0,
            "timeInForce": "PostOnly" if post_only else time_in_force,
            "orderType": _type_name(request),
            "stopOrderType": "Stop" if waits else "",
            "orderIv": "",
            "triggerPrice": "" if trigger is None else self._market.price(trigger),
            "takeProfit": "",
            "stopLoss": "",
            "tpTriggerBy": "",
            "slTriggerBy": "",
            "triggerDirection": (1 if request.rising else 2) if waits else 0,
            "triggerBy": "LastPrice" if waits else "",
            "lastPriceOnCreated": "",
            "reduceOnly": request.reduce_only,
            "closeOnTrigger": False,
            "smpType": "None",
            "smpGroup": 0,
            "smpOrderId": "",
            "tpslMode": "",
            "tpLimitPrice": "",
            "slLimitPrice": "",
            "placeType": "",
            "feeCurrency": "",
            "createType": "CreateByUser",
        }


_ENDED_EARLY: Final = frozenset({OrderStatus.CANCELED, OrderStatus.EXPIRED})


def _type_name(request: OrderRequest) -> str:
    return "Market" if request.kind is OrderKind.MARKET else "Limit"


def _coin(asset: str, held: Decimal, loan: Decimal) -> dict[str, Any]:
    return {
        "coin": asset,
        "equity": str(held),
        "walletBalance": str(held),
        "usdValue": "0",
        "availableToWithdraw": "",
        "availableToBorrow": "",
        "borrowAmount": str(loan),
        "spotBorrow": str(loan),
        "accruedInterest": "0",
        "bonus": "0",
        "locked": "0",
        "unrealisedPnl": "0",
        "cumRealisedPnl": "0",
        "totalOrderIM": "0",
        "totalPositionIM": "0",
        "totalPositionMM": "0",
        "collateralSwitch": True,
        "marginCollateral": True,
    }
