"""
Translation to the messages of Binance's USDT futures: pure, no I/O.

Names, fields and error codes are those of the public documentation
(https://developers.binance.com/docs/derivatives/usds-margined-futures): "Market data", "Trade",
"Account" and "User data streams".
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from typing import Final

from nautilus_enhanced.sandbox.binance.messages import ASSET_DECIMALS
from nautilus_enhanced.sandbox.binance.messages import MarketMessages
from nautilus_enhanced.sandbox.binance.messages import amount
from nautilus_enhanced.sandbox.binance.messages import compact
from nautilus_enhanced.sandbox.binance.requests import ALGO_TYPES
from nautilus_enhanced.sandbox.book import BookDiff
from nautilus_enhanced.sandbox.book import BookSnapshot
from nautilus_enhanced.sandbox.dialect import NS_PER_MS
from nautilus_enhanced.sandbox.margin import MAINTENANCE_RATE
from nautilus_enhanced.sandbox.margin import MarginAccount
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.orders import ZERO
from nautilus_enhanced.sandbox.orders import Accepted
from nautilus_enhanced.sandbox.orders import Amended
from nautilus_enhanced.sandbox.orders import Filled
from nautilus_enhanced.sandbox.orders import LiveEvent
from nautilus_enhanced.sandbox.orders import Order
from nautilus_enhanced.sandbox.orders import OrderKind
from nautilus_enhanced.sandbox.orders import Side
from nautilus_enhanced.sandbox.orders import Triggered


FUNDING_INTERVAL_MS: Final = 8 * 60 * 60 * 1000
# The date that Binance gives for a contract that is never delivered.
NEVER_MS: Final = 4133404800000
MAX_NOTIONAL: Final = Decimal(50_000_000)


class FuturesMessages(MarketMessages):
    """Write the messages about one perpetual contract."""

    def exchange_info(self, now_ms: int) -> dict[str, Any]:
        """Return the body of ``GET /fapi/v1/exchangeInfo``."""
        rules = self.instrument
        step = self.size(rules.step_size)
        filters = [
            *self.filters(),
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": step,
                "maxQty": self.size(rules.max_quantity),
                "stepSize": step,
            },
            {"filterType": "MIN_NOTIONAL", "notional": amount(rules.min_notional)},
        ]
        symbol = {
            "symbol": self.symbol,
            "pair": self.symbol,
            "contractType": "PERPETUAL",
            "deliveryDate": NEVER_MS,
            "onboardDate": 0,
            "status": "TRADING",
            "maintMarginPercent": f"{MAINTENANCE_RATE * 100:.4f}",
            "requiredMarginPercent": "5.0000",
            "baseAsset": rules.base,
            "quoteAsset": rules.quote,
            "marginAsset": rules.quote,
            "pricePrecision": self.price_decimals,
            "quantityPrecision": self.size_decimals,
            "baseAssetPrecision": ASSET_DECIMALS,
            "quotePrecision": ASSET_DECIMALS,
            "underlyingType": "COIN",
            "underlyingSubType": [],
            "settlePlan": 0,
            "triggerProtect": "0.0500",
            "liquidationFee": "0.000000",
            "marketTakeBound": "0.05",
            "filters": filters,
            "orderTypes": ["LIMIT", "MARKET", *ALGO_TYPES],
            "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
        }
        assets = [{"asset": rules.quote, "marginAvailable": True, "autoAssetExchange": "0"}]
        return {**self.exchange(symbol, now_ms), "assets": assets}

    def order(self, order: Order) -> dict[str, Any]:
        """Return an order as all endpoints do."""
        request = order.request
        kind, time_in_force = wire_type(order)
        return {
            "symbol": self.symbol,
            "orderId": order.order_id,
            "clientOrderId": request.client_order_id,
            "status": order.status.value,
            "price": self.price(request.price or ZERO),
            "avgPrice": amount(mean_price(order)),
            "origQty": self.size(request.quantity),
            "executedQty": self.size(order.filled),
            "cumQty": self.size(order.filled),
            "cumQuote": amount(order.filled_quote),
            "timeInForce": time_in_force,
            "type": kind,
            "origType": algo_type(order) or kind,
            "side": request.side.value,
            "positionSide": "BOTH",
            "stopPrice": self.price(request.trigger_price or ZERO),
            "reduceOnly": request.reduce_only,
            "closePosition": False,
            "workingType": "CONTRACT_PRICE",
            "priceProtect": False,
            "time": order.created_ns // NS_PER_MS,
            "updateTime": order.updated_ns // NS_PER_MS,
        }

    def own_trade(self, fill: Filled) -> dict[str, Any]:
        """Return a fill as ``GET /fapi/v1/userTrades`` does."""
        side = fill.order.request.side
        return {
            "symbol": self.symbol,
            "id": fill.trade_id,
            "orderId": fill.order.order_id,
            "side": side.value,
            "price": self.price(fill.price),
            "qty": self.size(fill.quantity),
            "realizedPnl": amount(fill.realized),
            "quoteQty": amount(fill.price * fill.quantity),
            "commission": amount(fill.commission),
            "commissionAsset": fill.commission_asset,
            "time": fill.time_ns // NS_PER_MS,
            "positionSide": "BOTH",
            "buyer": side is Side.BUY,
            "maker": fill.is_maker,
        }

    def order_update(self, event: LiveEvent, now_ms: int) -> dict[str, Any]:
        """Return the user data event ``ORDER_TRADE_UPDATE``."""
        order, request = event.order, event.order.request
        fill = event if isinstance(event, Filled) else None
        kind, time_in_force = wire_type(order)
        body = {
            "s": self.symbol,
            "c": request.client_order_id,
            "S": request.side.value,
            "o": kind,
            "f": time_in_force,
            "q": self.size(request.quantity),
            "p": self.price(request.price or ZERO),
            "ap": amount(mean_price(order)),
            "sp": self.price(request.trigger_price or ZERO),
            "x": execution_type(event),
            "X": order.status.value,
            "i": order.order_id,
            "l": self.size(fill.quantity if fill else ZERO),
            "z": self.size(order.filled),
            "L": self.price(fill.price if fill else ZERO),
            "T": order.updated_ns // NS_PER_MS,
            "t": fill.trade_id if fill else 0,
            "b": "0",
            "a": "0",
            "m": bool(fill and fill.is_maker),
            "R": request.reduce_only,
            "wt": "CONTRACT_PRICE",
            "ot": algo_type(order) or kind,
            "ps": "BOTH",
            "cp": False,
            "rp": amount(fill.realized if fill else ZERO),
            "pP": False,
            "si": 0,
            "ss": 0,
            "V": "EXPIRE_MAKER",
            "pm": "NONE",
            "gtd": 0,
        }
        if fill:
            body |= {"N": fill.commission_asset, "n": amount(fill.commission)}
        return {
            "e": "ORDER_TRADE_UPDATE",
            "E": now_ms,
            "T": order.updated_ns // NS_PER_MS,
            "o": body,
        }

    def trade_lite(self, fill: Filled, now_ms: int) -> dict[str, Any]:
        """Return the user data event ``TRADE_LITE``."""
        request = fill.order.request
        return {
            "e": "TRADE_LITE",
            "E": now_ms,
            "T": fill.time_ns // NS_PER_MS,
            "s": self.symbol,
            "q": self.size(request.quantity),
            "p": self.price(request.price or ZERO),
            "m": fill.is_maker,
            "c": request.client_order_id,
            "S": request.side.value,
            "L": self.price(fill.price),
            "l": self.size(fill.quantity),
            "t": fill.trade_id,
            "i": fill.order.order_id,
        }

    def account_update(self, account: MarginAccount, now_ms: int) -> dict[str, Any]:
        """Return the user data event ``ACCOUNT_UPDATE`` that follows fills."""
        balance = {
            "a": account.asset,
            "wb": amount(account.wallet),
            "cw": amount(account.wallet),
            "bc": "0",
        }
        position = {
            "s": self.symbol,
            "pa": self.size(account.position),
            "ep": amount(account.entry_price),
            "bep": amount(account.entry_price),
            "cr": "0",
            "up": amount(account.unrealized),
            "mt": "cross",
            "iw": "0",
            "ps": "BOTH",
        }
        return {
            "e": "ACCOUNT_UPDATE",
            "E": now_ms,
            "T": now_ms,
            "a": {"m": "ORDER", "B": [balance], "P": [position]},
        }

    def account(self, account: MarginAccount, now_ms: int) -> dict[str, Any]:
        """Return the body of ``GET /fapi/v2/account``."""
        orders, position = account.order_margin, account.position_margin
        margin_balance = account.wallet + account.unrealized
        shared = {
            "maintMargin": amount(account.maintenance_margin),
            "initialMargin": amount(orders + position),
            "positionInitialMargin": amount(position),
            "openOrderInitialMargin": amount(orders),
            "crossWalletBalance": amount(account.wallet),
            "crossUnPnl": amount(account.unrealized),
            "availableBalance": amount(account.free),
            "maxWithdrawAmount": amount(min(account.free, account.wallet)),
        }
        asset = {
            "asset": account.asset,
            "walletBalance": amount(account.wallet),
            "unrealizedProfit": amount(account.unrealized),
            "marginBalance": amount(margin_balance),
            **shared,
            "marginAvailable": True,
            "updateTime": now_ms,
        }
        position_held = {
            "symbol": self.symbol,
            "initialMargin": shared["initialMargin"],
            "maintMargin": shared["maintMargin"],
            "unrealizedProfit": amount(account.unrealized),
            "positionInitialMargin": shared["positionInitialMargin"],
            "openOrderInitialMargin": shared["openOrderInitialMargin"],
            "leverage": str(account.leverage),
            "isolated": False,
            "entryPrice": amount(account.entry_price),
            "maxNotional": str(MAX_NOTIONAL),
            "bidNotional": "0",
            "askNotional": "0",
            "positionSide": "BOTH",
            "positionAmt": self.size(account.position),
            "updateTime": now_ms,
        }
        return {
            "feeTier": 0,
            "canTrade": True,
            "canDeposit": False,
            "canWithdraw": False,
            "updateTime": now_ms,
            "multiAssetsMargin": False,
            "totalInitialMargin": shared["initialMargin"],
            "totalMaintMargin": shared["maintMargin"],
            "totalWalletBalance": amount(account.wallet),
            "totalUnrealizedProfit": amount(account.unrealized),
            "totalMarginBalance": amount(margin_balance),
            "totalPositionInitialMargin": shared["positionInitialMargin"],
            "totalOpenOrderInitialMargin": shared["openOrderInitialMargin"],
            "totalCrossWalletBalance": amount(account.wallet),
            "totalCrossUnPnl": amount(account.unrealized),
            "availableBalance": shared["availableBalance"],
            "maxWithdrawAmount": shared["maxWithdrawAmount"],
            "assets": [asset],
            "positions": [position_held],
        }

    def position_risk(self, account: MarginAccount, now_ms: int) -> list[dict[str, Any]]:
        """Return the body of ``GET /fapi/v2/positionRisk`` and of ``v3``."""
        risk = {
            "symbol": self.symbol,
            "positionSide": "BOTH",
            "positionAmt": self.size(account.position),
            "entryPrice": amount(account.entry_price),
            "breakEvenPrice": amount(account.entry_price),
            "markPrice": self.price(account.mark_price),
            "unRealizedProfit": amount(account.unrealized),
            "liquidationPrice": "0",
            "isolatedMargin": amount(ZERO),
            "notional": amount(account.notional),
            "marginAsset": account.asset,
            "isolatedWallet": "0",
            "initialMargin": amount(account.position_margin),
            "maintMargin": amount(account.maintenance_margin),
            "positionInitialMargin": amount(account.position_margin),
            "openOrderInitialMargin": amount(account.order_margin),
            "marginType": "cross",
            "isAutoAddMargin": "false",
            "leverage": str(account.leverage),
            "maxNotionalValue": str(MAX_NOTIONAL),
            "adl": 0,
            "bidNotional": "0",
            "askNotional": "0",
            "updateTime": now_ms,
        }
        return [risk]

    def symbol_config(self, account: MarginAccount) -> list[dict[str, Any]]:
        """Return the body of ``GET /fapi/v1/symbolConfig``."""
        config = {
            "symbol": self.symbol,
            "marginType": "CROSSED",
            "isAutoAddMargin": False,
            "leverage": account.leverage,
            "maxNotionalValue": str(MAX_NOTIONAL),
        }
        return [config]

    def book_ticker(self, update_id: int, quote: Quote, now_ms: int) -> str:
        """Return the payload of ``<symbol>@bookTicker`` as JSON."""
        fields = self.book_ticker_fields(update_id, quote)
        return f'{{"e":"bookTicker","E":{now_ms},"T":{now_ms},{fields}}}'

    def depth(self, diff: BookDiff, now_ms: int) -> str:
        """Return the payload of ``<symbol>@depth`` as JSON."""
        chain = {"T": now_ms, "pu": diff.first_id - 1}
        return compact({**self.book_diff(diff, now_ms), **chain})

    def partial_book(self, book: BookSnapshot, limit: int, now_ms: int) -> str:
        """Return the payload of ``<symbol>@depth<levels>`` as JSON."""
        diff = BookDiff(
            first_id=book.update_id,
            last_id=book.update_id,
            bids=book.bids[:limit],
            asks=book.asks[:limit],
        )
        return self.depth(diff, now_ms)

    def mark_price(self, mark: Decimal, now_ms: int) -> dict[str, Any]:
        """Return the payload of ``<symbol>@markPrice``; the index is the mark."""
        price = self.price(mark)
        return {
            "e": "markPriceUpdate",
            "E": now_ms,
            "s": self.symbol,
            "p": price,
            "i": price,
            "P": price,
            "r": "0.00010000",
            "T": next_funding_ms(now_ms),
        }

    def premium_index(self, mark: Decimal, now_ms: int) -> dict[str, Any]:
        """Return the body of ``GET /fapi/v1/premiumIndex``."""
        price = self.price(mark)
        return {
            "symbol": self.symbol,
            "markPrice": price,
            "indexPrice": price,
            "estimatedSettlePrice": price,
            "lastFundingRate": "0.00010000",
            "nextFundingTime": next_funding_ms(now_ms),
            "interestRate": "0.00010000",
            "time": now_ms,
        }


def wire_type(order: Order) -> tuple[str, str]:
    """Return the order's type and time in force in Binance's words."""
    request = order.request
    if request.kind is OrderKind.POST_ONLY:
        return "LIMIT", "GTX"
    return request.kind.value, request.time_in_force.value


def algo_type(order: Order) -> str:
    """Return the type of an order that waited for a price; empty for any other."""
    request = order.request
    if request.trigger_price is None:
        return ""
    follows = (request.side is Side.BUY) is request.rising
    name = "STOP" if follows else "TAKE_PROFIT"
    return f"{name}_MARKET" if request.kind is OrderKind.MARKET else name


def execution_type(event: LiveEvent) -> str:
    """Return what happened in Binance's words."""
    if isinstance(event, Filled):
        return "TRADE"
    if isinstance(event, Amended):
        return "AMENDMENT"
    if isinstance(event, Accepted | Triggered):
        return "NEW"
    return event.order.status.value


def next_funding_ms(now_ms: int) -> int:
    """Return when funding would be paid next, in Unix milliseconds."""
    return now_ms - now_ms % FUNDING_INTERVAL_MS + FUNDING_INTERVAL_MS


def mean_price(order: Order) -> Decimal:
    """Return the mean price of what is filled, zero if nothing is."""
    return order.filled_quote / order.filled if order.filled else ZERO
