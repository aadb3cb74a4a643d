"""
Translation to the messages of Binance spot: pure, no I/O. Requests are read in `requests.py`.

Names, fields and error codes are those of the public Binance spot API documentation
(https://developers.binance.com/docs/binance-spot-api-docs): "General endpoints", "Account
endpoints", "Filters", "WebSocket market streams" and "User data streams".
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from typing import Final

from nautilus_enhanced.sandbox.binance.requests import ORDER_TYPES
from nautilus_enhanced.sandbox.market import Instrument
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.market import Trade
from nautilus_enhanced.sandbox.orders import Accepted
from nautilus_enhanced.sandbox.orders import Balance
from nautilus_enhanced.sandbox.orders import Canceled
from nautilus_enhanced.sandbox.orders import Expired
from nautilus_enhanced.sandbox.orders import Filled
from nautilus_enhanced.sandbox.orders import Order
from nautilus_enhanced.sandbox.orders import Side


NS_PER_MS: Final = 1_000_000
ASSET_DECIMALS: Final = 8

_TYPE_NAMES: Final = {kind: name for name, kind in ORDER_TYPES.items()}


class SpotMessages:
    """
    Write the messages about one instrument.

    Parameters
    ----------
    instrument : Instrument
        Its tick and step size set the decimals of prices and quantities. NautilusTrader takes
        an instrument's precision from these, and a message's from the digits it holds.
    """

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.symbol = instrument.symbol
        self._price_decimals = _decimals(instrument.tick_size)
        self._size_decimals = _decimals(instrument.step_size)
        self._executions = 0

    def price(self, value: Decimal) -> str:
        """Return a price with the digits of the tick size."""
        return f"{value:.{self._price_decimals}f}"

    def size(self, value: Decimal) -> str:
        """Return a quantity with the digits of the step size."""
        return f"{value:.{self._size_decimals}f}"

    def exchange_info(self, now_ms: int) -> dict[str, Any]:
        """Return the body of ``GET /api/v3/exchangeInfo``."""
        rules = self.instrument
        step, tick = self.size(rules.step_size), self.price(rules.tick_size)
        filters = [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": tick,
                "maxPrice": self.price(rules.max_price),
                "tickSize": tick,
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": step,
                "maxQty": self.size(rules.max_quantity),
                "stepSize": step,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": amount(rules.min_notional),
                "applyMinToMarket": True,
                "maxNotional": amount(rules.max_quantity * rules.max_price),
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
        ]
        symbol = {
            "symbol": self.symbol,
            "status": "TRADING",
            "baseAsset": rules.base,
            "baseAssetPrecision": ASSET_DECIMALS,
            "quoteAsset": rules.quote,
            "quotePrecision": ASSET_DECIMALS,
            "quoteAssetPrecision": ASSET_DECIMALS,
            "orderTypes": list(ORDER_TYPES),
            "icebergAllowed": False,
            "ocoAllowed": False,
            "quoteOrderQtyMarketAllowed": False,
            "allowTrailingStop": False,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": filters,
            "permissions": ["SPOT"],
        }
        return {
            "timezone": "UTC",
            "serverTime": now_ms,
            "rateLimits": [],
            "exchangeFilters": [],
            "symbols": [symbol],
        }

    def order(self, order: Order) -> dict[str, Any]:
        """Return an order as ``GET /api/v3/order`` and its relatives do."""
        return {
            **self._common(order),
            "stopPrice": "0.00000000",
            "icebergQty": "0.00000000",
            "time": order.created_ns // NS_PER_MS,
            "updateTime": order.updated_ns // NS_PER_MS,
            "isWorking": True,
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
        body = {**self._common(order), "transactTime": order.updated_ns // NS_PER_MS}
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
        self, event: Accepted | Filled | Canceled | Expired, *, now_ms: int, cancel_id: str = ""
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
            "o": _TYPE_NAMES[request.kind],
            "f": request.time_in_force.value,
            "q": self.size(request.quantity),
            "p": self.price(request.price) if request.price is not None else zero,
            "P": zero,
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
        return (
            f'{{"u":{update_id},"s":"{self.symbol}",'
            f'"b":"{self.price(quote.bid)}","B":"{self.size(quote.bid_size)}",'
            f'"a":"{self.price(quote.ask)}","A":"{self.size(quote.ask_size)}"}}'
        )

    def trade(self, trade: Trade, now_ms: int) -> str:
        """Return the payload of ``<symbol>@trade`` as JSON."""
        maker = "true" if trade.buyer_is_maker else "false"
        return (
            f'{{"e":"trade","E":{now_ms},"s":"{self.symbol}","t":{trade.trade_id},'
            f'"p":"{self.price(trade.price)}","q":"{self.size(trade.size)}",'
            f'"T":{now_ms},"m":{maker},"M":true}}'
        )

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
            "type": _TYPE_NAMES[request.kind],
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


def amount(value: Decimal) -> str:
    """Return an amount of an asset, with eight decimals."""
    return f"{value:.{ASSET_DECIMALS}f}"


def _decimals(step: Decimal) -> int:
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
