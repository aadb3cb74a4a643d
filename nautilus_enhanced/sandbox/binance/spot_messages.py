"""
Translation to the messages of Binance spot: pure, no I/O. Requests are read in `requests.py`.

Names, fields and error codes are those of the public Binance spot API documentation
(https://developers.binance.com/docs/binance-spot-api-docs): "General endpoints", "Account
endpoints", "Filters" and "User data streams".
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from typing import Final

from nautilus_enhanced.sandbox.binance.messages import ASSET_DECIMALS
from nautilus_enhanced.sandbox.binance.messages import MarketMessages
from nautilus_enhanced.sandbox.binance.messages import amount
from nautilus_enhanced.sandbox.binance.messages import compact
from nautilus_enhanced.sandbox.binance.requests import ORDER_TYPES
from nautilus_enhanced.sandbox.binance.requests import STOP_TYPES
from nautilus_enhanced.sandbox.binance.requests import is_rising
from nautilus_enhanced.sandbox.book import BookSnapshot
from nautilus_enhanced.sandbox.dialect import NS_PER_MS
from nautilus_enhanced.sandbox.market import Instrument
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.orders import Balance
from nautilus_enhanced.sandbox.orders import Canceled
from nautilus_enhanced.sandbox.orders import Filled
from nautilus_enhanced.sandbox.orders import LiveEvent
from nautilus_enhanced.sandbox.orders import Order
from nautilus_enhanced.sandbox.orders import OrderRequest
from nautilus_enhanced.sandbox.orders import Side


_TYPE_NAMES: Final = {kind: name for name, kind in ORDER_TYPES.items()}


class SpotMessages(MarketMessages):
    """
    Write the messages about one instrument on the spot market.

    Parameters
    ----------
    instrument : Instrument
        What they are about.
    """

    def __init__(self, instrument: Instrument) -> None:
        super().__init__(instrument)
        self._executions = 0

    def exchange_info(self, now_ms: int) -> dict[str, Any]:
        """Return the body of ``GET /api/v3/exchangeInfo``."""
        rules = self.instrument
        notional = {
            "filterType": "NOTIONAL",
            "minNotional": amount(rules.min_notional),
            "applyMinToMarket": True,
            "maxNotional": amount(rules.max_quantity * rules.max_price),
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        }
        symbol = {
            "symbol": self.symbol,
            "status": "TRADING",
            "baseAsset": rules.base,
            "baseAssetPrecision": ASSET_DECIMALS,
            "quoteAsset": rules.quote,
            "quotePrecision": ASSET_DECIMALS,
            "quoteAssetPrecision": ASSET_DECIMALS,
            "orderTypes": [*ORDER_TYPES, *STOP_TYPES],
            "icebergAllowed": False,
            "ocoAllowed": False,
            "quoteOrderQtyMarketAllowed": False,
            "allowTrailingStop": False,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": [*self.filters(), notional],
            "permissions": ["SPOT"],
        }
        return self.exchange(symbol, now_ms)

    def order(self, order: Order, *, is_waiting: bool = False) -> dict[str, Any]:
        """Return an order as ``GET /api/v3/order`` and its relatives do."""
        return {
            **self._common(order),
            "stopPrice": self.price(order.request.trigger_price or Decimal(0)),
            "icebergQty": "0.00000000",
            "time": order.created_ns // NS_PER_MS,
            "updateTime": order.updated_ns // NS_PER_MS,
            "isWorking": not is_waiting,
            "workingTime": order.created_ns // NS_PER_MS,
        }

    def new_order(self, order: Order, fills: Sequence[Filled], detail: str) -> dict[str, Any]:
        """
        Return the answer to ``POST /api/v3/order``.

        Parameters
        ----------
        detail : str
            The ``newOrderRespType``: ``ACK``, ``RESULT`` or ``FULL``.
        """
        body = {
            **self._common(order),
            "transactTime": order.updated_ns // NS_PER_MS,
            "workingTime": order.created_ns // NS_PER_MS,
        }
        if detail == "ACK":
            kept = ("symbol", "orderId", "orderListId", "clientOrderId", "transactTime")
            return {name: body[name] for name in kept}
        if detail == "FULL":
            body["fills"] = [
                {
                    "price": self.price(fill.price),
                    "qty": self.size(fill.quantity),
                    "commission": amount(fill.commission),
                    "commissionAsset": fill.commission_asset,
                    "tradeId": fill.trade_id,
                }
                for fill in fills
            ]
        return body

    def canceled_order(self, order: Order, cancel_id: str) -> dict[str, Any]:
        """Return the answer to ``DELETE /api/v3/order``; `cancel_id` names the cancel request."""
        return {
            **self._common(order),
            "origClientOrderId": order.request.client_order_id,
            "clientOrderId": cancel_id,
            "transactTime": order.updated_ns // NS_PER_MS,
        }

    def own_trade(self, fill: Filled) -> dict[str, Any]:
        """Return a fill as ``GET /api/v3/myTrades`` does."""
        return {
            "symbol": self.symbol,
            "id": fill.trade_id,
            "orderId": fill.order.order_id,
            "orderListId": -1,
            "price": self.price(fill.price),
            "qty": self.size(fill.quantity),
            "quoteQty": amount(fill.price * fill.quantity),
            "commission": amount(fill.commission),
            "commissionAsset": fill.commission_asset,
            "time": fill.time_ns // NS_PER_MS,
            "isBuyer": fill.order.request.side is Side.BUY,
            "isMaker": fill.is_maker,
            "isBestMatch": True,
        }

    def execution_report(
        self,
        event: LiveEvent,
        *,
        now_ms: int,
        cancel_id: str = "",
    ) -> dict[str, Any]:
        """
        Return the user data event ``executionReport``.

        Parameters
        ----------
        cancel_id : str
            For a cancel, names the cancel request: it takes the place of the client order ID,
            which moves to the field ``C``.
        """
        self._executions += 1
        order, request = event.order, event.order.request
        fill = event if isinstance(event, Filled) else None
        canceled = isinstance(event, Canceled)
        execution = "TRADE" if fill else order.status.value
        zero = self.price(Decimal(0))
        return {
            "e": "executionReport",
            "E": now_ms,
            "s": self.symbol,
            "c": cancel_id if canceled and cancel_id else request.client_order_id,
            "S": request.side.value,
            "o": type_name(request),
            "f": request.time_in_force.value,
            "q": self.size(request.quantity),
            "p": self.price(request.price) if request.price is not None else zero,
            "P": self.price(request.trigger_price or Decimal(0)),
            "F": "0.00000000",
            "g": -1,
            "C": request.client_order_id if canceled else "",
            "x": execution,
            "X": order.status.value,
            "r": "NONE",
            "i": order.order_id,
            "l": self.size(fill.quantity if fill else Decimal(0)),
            "z": self.size(order.filled),
            "L": self.price(fill.price) if fill else zero,
            "n": amount(fill.commission) if fill else "0",
            "N": fill.commission_asset if fill else None,
            "T": order.updated_ns // NS_PER_MS,
            "t": fill.trade_id if fill else -1,
            "I": self._executions,
            "w": order.is_open,
            "m": bool(fill and fill.is_maker),
            "M": False,
            "O": order.created_ns // NS_PER_MS,
            "Z": amount(order.filled_quote),
            "Y": amount(fill.price * fill.quantity if fill else Decimal(0)),
            "Q": "0.00000000",
            "W": order.created_ns // NS_PER_MS,
            "V": "NONE",
        }

    def book_ticker(self, update_id: int, quote: Quote) -> str:
        """Return the payload of ``<symbol>@bookTicker`` as JSON; spot gives it no time."""
        return f"{{{self.book_ticker_fields(update_id, quote)}}}"

    def partial_book(self, book: BookSnapshot, limit: int) -> str:
        """Return the payload of ``<symbol>@depth<levels>`` as JSON."""
        return compact(self.book_snapshot(book, limit))

    def _common(self, order: Order) -> dict[str, Any]:
        request = order.request
        return {
            "symbol": self.symbol,
            "orderId": order.order_id,
            "orderListId": -1,
            "clientOrderId": request.client_order_id,
            "price": self.price(request.price or Decimal(0)),
            "origQty": self.size(request.quantity),
            "executedQty": self.size(order.filled),
            "origQuoteOrderQty": "0.00000000",
            "cummulativeQuoteQty": amount(order.filled_quote),
            "status": order.status.value,
            "timeInForce": request.time_in_force.value,
            "type": type_name(request),
            "side": request.side.value,
            "selfTradePreventionMode": "NONE",
        }


def account(balances: Mapping[str, Balance], maker: Decimal, taker: Decimal, now_ms: int) -> Any:
    """Return the body of ``GET /api/v3/account``; fees as fractions."""
    return {
        "makerCommission": int(maker * 10_000),
        "takerCommission": int(taker * 10_000),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "canTrade": True,
        "canWithdraw": False,
        "canDeposit": False,
        "updateTime": now_ms,
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": amount(held.free), "locked": amount(held.locked)}
            for asset, held in balances.items()
        ],
        "permissions": ["SPOT"],
    }


def account_position(balances: Iterable[tuple[str, Balance]], now_ms: int) -> dict[str, Any]:
    """Return the user data event ``outboundAccountPosition``."""
    return {
        "e": "outboundAccountPosition",
        "E": now_ms,
        "u": now_ms,
        "B": [
            {"a": asset, "f": amount(held.free), "l": amount(held.locked)}
            for asset, held in balances
        ],
    }


def type_name(request: OrderRequest) -> str:
    """Return an order's type in Binance's words."""
    if request.trigger_price is None:
        return _TYPE_NAMES[request.kind]
    return next(t for t in STOP_TYPES if is_rising(t, request.side) is request.rising)
