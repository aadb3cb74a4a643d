"""What Bybit decides on a loopback venue: requests in, answers and messages out, no I/O."""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Final
from typing import TypeAlias

from nautilus_enhanced.sandbox.bybit.account_messages import AccountMessages
from nautilus_enhanced.sandbox.bybit.market_messages import MAX_LEVERAGE
from nautilus_enhanced.sandbox.bybit.market_messages import Category
from nautilus_enhanced.sandbox.bybit.market_messages import MarketMessages
from nautilus_enhanced.sandbox.bybit.orders import OrderDesk
from nautilus_enhanced.sandbox.bybit.requests import INVALID_KEY
from nautilus_enhanced.sandbox.bybit.requests import OK
from nautilus_enhanced.sandbox.bybit.requests import PARAMETER_ERROR
from nautilus_enhanced.sandbox.bybit.requests import ApiError
from nautilus_enhanced.sandbox.bybit.requests import decimal
from nautilus_enhanced.sandbox.bybit.requests import integer
from nautilus_enhanced.sandbox.bybit.requests import refusal
from nautilus_enhanced.sandbox.bybit.requests import rejected
from nautilus_enhanced.sandbox.bybit.requests import required
from nautilus_enhanced.sandbox.bybit.sessions import BybitSession
from nautilus_enhanced.sandbox.bybit.sessions import SessionKind
from nautilus_enhanced.sandbox.bybit.streams import INTERVALS_MS
from nautilus_enhanced.sandbox.bybit.streams import MarketStreams
from nautilus_enhanced.sandbox.connection import FrameSender
from nautilus_enhanced.sandbox.dialect import NS_PER_MS
from nautilus_enhanced.sandbox.dialect import Answer
from nautilus_enhanced.sandbox.dialect import MarketFrame
from nautilus_enhanced.sandbox.dialect import OrderCounts
from nautilus_enhanced.sandbox.dialect import Request
from nautilus_enhanced.sandbox.dialect import UserEvent
from nautilus_enhanced.sandbox.faults import FaultKind
from nautilus_enhanced.sandbox.market import MarketEvent
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.matching import MatchingEngine
from nautilus_enhanced.sandbox.orders import ZERO
from nautilus_enhanced.sandbox.orders import RejectReason
from nautilus_enhanced.sandbox.tape import candles


PUBLIC: Final = False
KEYED: Final = True
DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 1000
NOT_FOUND: Final = 404
_OPERATIONS: Final = {
    "/v5/order/create": "order.create",
    "/v5/order/amend": "order.amend",
    "/v5/order/cancel": "order.cancel",
    "/v5/order/create-batch": "order.create-batch",
    "/v5/order/amend-batch": "order.amend-batch",
    "/v5/order/cancel-batch": "order.cancel-batch",
}
_CANCEL_ALL: Final = "/v5/order/cancel-all"

Endpoint: TypeAlias = Callable[[Request], Mapping[str, Any]]


class BybitExchange:
    """
    Serve one product of Bybit for one unified account and one instrument.

    Parameters
    ----------
    engine : MatchingEngine
        Holds the account and the orders.
    category : Category
        The product: a linear perpetual, with a net position and crossed margin, or spot.
    api_key : str, optional
        The only key that is let in; by default any key is.
    """

    def __init__(
        self, engine: MatchingEngine, category: Category, *, api_key: str | None = None
    ) -> None:
        self.engine = engine
        self.messages = MarketMessages(engine.instrument, category)
        self.streams = MarketStreams(self.messages)
        self._category = category
        self._account = AccountMessages(self.messages)
        self.desk = OrderDesk(engine, self.messages, self._account)
        self._api_key = api_key
        self._endpoints: dict[tuple[str, str], tuple[bool, Endpoint]] = {
            ("GET", "/v5/market/time"): (PUBLIC, self._time),
            ("GET", "/v5/market/instruments-info"): (PUBLIC, self._instruments),
            ("GET", "/v5/market/orderbook"): (PUBLIC, self._book),
            ("GET", "/v5/market/recent-trade"): (PUBLIC, self._trades),
            ("GET", "/v5/market/kline"): (PUBLIC, self._klines),
            ("GET", "/v5/user/query-api"): (KEYED, self._key),
            ("GET", "/v5/account/fee-rate"): (KEYED, self._fees),
            ("GET", "/v5/account/info"): (KEYED, self._account_info),
            ("GET", "/v5/account/wallet-balance"): (KEYED, self._wallet),
            ("GET", "/v5/order/realtime"): (KEYED, self._open_orders),
            ("GET", "/v5/order/history"): (KEYED, self._order_history),
            ("GET", "/v5/execution/list"): (KEYED, self._executions),
            ("GET", "/v5/position/list"): (KEYED, self._positions),
            ("POST", "/v5/position/set-leverage"): (KEYED, self._set_leverage),
            ("POST", "/v5/account/borrow"): (KEYED, self._borrow),
            ("POST", "/v5/account/repay"): (KEYED, self._repay),
            ("POST", "/v5/account/no-convert-repay"): (KEYED, self._repay),
        }

    # -- the seam: see `dialect.py` --------------------------------------------------------------

    @property
    def counts(self) -> OrderCounts:
        """Return what happened to orders."""
        return self.desk.counts

    @property
    def sockets(self) -> Mapping[str, str]:
        """Return the kind of session at each path."""
        return {
            f"/v5/public/{self._category.value}": SessionKind.PUBLIC.value,
            "/v5/private": SessionKind.PRIVATE.value,
            "/v5/trade": SessionKind.TRADE.value,
        }

    @property
    def quote_streams(self) -> frozenset[str]:
        """Return the topic that carries each quote."""
        return frozenset({self.streams.quote_stream})

    @property
    def trade_streams(self) -> frozenset[str]:
        """Return the topic that carries each trade."""
        return frozenset({self.streams.trade_stream})

    def addresses(self, authority: str) -> dict[str, str]:
        """Return the URL of the REST API, the base of the sockets', and the trade socket's."""
        return {
            "http_url": f"http://{authority}",
            "ws_url": f"ws://{authority}",
            "ws_api_url": f"ws://{authority}/v5/trade",
        }

    def handle(self, request: Request) -> Answer:
        """Answer a REST request; signatures are not looked at."""
        keyed, endpoint = self._endpoints.get((request.method, request.path), (PUBLIC, None))
        try:
            if self.is_order(request):
                self.check_key(request.headers.get("x-bapi-api-key", ""))
                result, rest, events = self._orders(request)
                return Answer(body=_body(request.now_ms, result, rest=rest), events=events)
            if endpoint is None:
                body = _body(request.now_ms, {}, NOT_FOUND, f"{request.name} is not served here.")
                return Answer(body=body, status=NOT_FOUND)
            if keyed:
                self.check_key(request.headers.get("x-bapi-api-key", ""))
            return Answer(body=_body(request.now_ms, endpoint(request)))
        except ApiError as error:
            return Answer(body=_body(request.now_ms, {}, error.code, error.msg))

    def is_order(self, request: Request) -> bool:
        """Return whether a request places, changes or cancels orders."""
        is_named = request.path in _OPERATIONS or request.path == _CANCEL_ALL
        return request.method == "POST" and is_named

    def refusal(self, kind: FaultKind, *, is_order: bool) -> Answer:
        """Return a reject that no rule explains, or Bybit's rate limit."""
        error = refusal(kind)
        return Answer(body=_body(0, {}, error.code, error.msg))

    def session(self, kind: str, sender: FrameSender, names: Iterable[str]) -> BybitSession:
        """Open a session."""
        return BybitSession(SessionKind(kind), sender, self)

    def carries(self, stream: str) -> bool:
        """Return whether a topic carries market data."""
        return self.streams.carries(stream)

    def select(self, streams: frozenset[str]) -> None:
        """Make only what somebody wants."""
        self.streams.select(streams)

    def prepare(self, event: MarketEvent) -> MarketFrame | None:
        """Return None: every message holds the time of sending."""
        return None

    def on_event(
        self, event: MarketEvent, prepared: MarketFrame | None, now_ns: int
    ) -> tuple[list[MarketFrame], Sequence[UserEvent]]:
        """Take a market event; return its frames, and the messages about the account."""
        told: Sequence[UserEvent] = ()
        if isinstance(event, Quote):
            self.streams.book.on_quote(event)
            events = self.engine.on_quote(event, now_ns=now_ns)
            told = self.desk.tell(events, now_ns) if events else ()
        return self.streams.frames(event, now_ns), told

    # -- for sessions ----------------------------------------------------------------------------

    def check_key(self, api_key: str) -> None:
        """Raise `ApiError` 10003 unless the API key is let in."""
        if not api_key or self._api_key not in {None, api_key}:
            raise ApiError(INVALID_KEY, "API key is invalid.")

    def first(self, topic: str, now_ms: int) -> str | None:
        """Return the snapshot that a session gets as it subscribes to a topic."""
        return self.streams.first(topic, now_ms)

    def order_call(
        self, op: str, params: dict[str, Any], now_ns: int
    ) -> tuple[dict[str, Any], dict[str, Any], Sequence[UserEvent]]:
        """Carry out an operation of the trade socket."""
        return self.desk.call(op, params, now_ns)

    # -- market data -----------------------------------------------------------------------------

    def _time(self, request: Request) -> Mapping[str, Any]:
        return {"timeSecond": str(request.now_ms // 1000), "timeNano": str(request.now_ns)}

    def _instruments(self, request: Request) -> Mapping[str, Any]:
        params = request.params
        wanted = params.get("symbol") or self.messages.symbol
        is_here = required(params, "category") == self._category.value
        is_coin = params.get("baseCoin") in {None, "", self.engine.instrument.base}
        is_here = is_here and is_coin and wanted == self.messages.symbol
        return self._list([self.messages.listing()] if is_here else [])

    def _book(self, request: Request) -> Mapping[str, Any]:
        self.desk.check_instrument(request.params)
        book = self.streams.book.snapshot()
        return self.messages.book_snapshot(book, _limit(request), request.now_ms)

    def _trades(self, request: Request) -> Mapping[str, Any]:
        self.desk.check_instrument(request.params)
        prints = list(self.streams.tape.prints)[-_limit(request) :]
        return self._list(self.messages.trades(reversed(prints)))

    def _klines(self, request: Request) -> Mapping[str, Any]:
        self.desk.check_instrument(request.params)
        interval_ms = INTERVALS_MS.get(required(request.params, "interval"))
        if interval_ms is None:
            raise ApiError(PARAMETER_ERROR, "params error: interval invalid")
        start, end = integer(request.params, "start"), integer(request.params, "end")
        found = [
            candle
            for candle in candles(self.streams.tape.prints, interval_ms)
            if (start is None or candle.open_ms >= start) and (end is None or candle.open_ms <= end)
        ]
        newest = reversed(found[-_limit(request) :])
        return self._list(self.messages.klines(newest)) | {"symbol": self.messages.symbol}

    # -- account ---------------------------------------------------------------------------------

    def _key(self, request: Request) -> Mapping[str, Any]:
        permissions = {
            "ContractTrade": ["Order", "Position"],
            "Spot": ["SpotTrade"],
            "Wallet": ["AccountTransfer"],
            "Options": [],
            "Derivatives": ["DerivativesTrade"],
            "CopyTrading": [],
            "BlockTrade": [],
            "Exchange": [],
            "NFT": [],
            "Affiliate": [],
        }
        return {
            "id": "1",
            "note": "loopback",
            "apiKey": request.headers.get("x-bapi-api-key", ""),
            "readOnly": 0,
            "secret": "",
            "permissions": permissions,
            "ips": ["*"],
            "type": 1,
            "deadlineDay": -2,
            "expiredAt": "1970-01-01T00:00:00Z",
            "createdAt": "2020-01-01T00:00:00Z",
            "unified": 0,
            "uta": 1,
            "userID": 1,
            "inviterID": 0,
            "vipLevel": "No VIP",
            "mktMakerLevel": "0",
            "affiliateID": 0,
            "rsaPublicKey": "",
            "isMaster": True,
            "parentUid": "0",
            "kycLevel": "LEVEL_0",
            "kycRegion": "",
        }

    def _fees(self, request: Request) -> Mapping[str, Any]:
        fee = {
            "symbol": self.messages.symbol,
            "baseCoin": "",
            "takerFeeRate": str(self.engine.account.taker_fee),
            "makerFeeRate": str(self.engine.account.maker_fee),
        }
        is_here = required(request.params, "category") == self._category.value
        return self._list([fee] if is_here else [])

    def _account_info(self, request: Request) -> Mapping[str, Any]:
        return {
            "marginMode": "REGULAR_MARGIN",
            "updatedTime": str(request.now_ms),
            "unifiedMarginStatus": 4,
            "dcpStatus": "OFF",
            "timeWindow": 0,
            "smpGroup": 0,
            "isMasterTrader": False,
            "spotHedgingStatus": "OFF",
        }

    def _wallet(self, _: Request) -> Mapping[str, Any]:
        return {"list": [self.desk.wallet()]}

    def _positions(self, request: Request) -> Mapping[str, Any]:
        margin = self.desk.margin
        if margin is None or not self._is_here(request):
            return self._list([])
        return self._list([self._account.position(margin, request.now_ms)])

    def _set_leverage(self, request: Request) -> Mapping[str, Any]:
        params = _json(request)
        self.desk.check_instrument(params)
        margin, leverage = self.desk.margin, decimal(params, "buyLeverage")
        if margin is None or leverage % 1 or not 1 <= leverage <= MAX_LEVERAGE:
            raise ApiError(PARAMETER_ERROR, "leverage invalid")
        if leverage == margin.leverage:
            raise ApiError(110043, "leverage not modified")
        margin.leverage = int(leverage)
        return {}

    def _borrow(self, request: Request) -> Mapping[str, Any]:
        params = _json(request)
        coin, amount = required(params, "coin"), decimal(params, "amount")
        if coin not in self.engine.balances or amount <= 0:
            raise ApiError(PARAMETER_ERROR, "params error: coin or amount invalid")
        self.desk.loans[coin] = self.desk.loans.get(coin, ZERO) + amount
        return {"coin": coin, "amount": str(amount)}

    def _repay(self, request: Request) -> Mapping[str, Any]:
        params = _json(request)
        coin = required(params, "coin")
        loan = self.desk.loans.get(coin, ZERO)
        amount = decimal(params, "amount") if params.get("amount") else loan
        self.desk.loans[coin] = max(ZERO, loan - amount)
        return {"resultStatus": "SU"}

    # -- orders ----------------------------------------------------------------------------------

    def _orders(
        self, request: Request
    ) -> tuple[Mapping[str, Any], Mapping[str, Any], Sequence[UserEvent]]:
        params = _json(request)
        if request.path != _CANCEL_ALL:
            return self.desk.call(_OPERATIONS[request.path], params, request.now_ns)
        if required(params, "category") != self._category.value:
            raise ApiError(PARAMETER_ERROR, "params error: category is not served here")
        result, events = self.desk.cancel_all(request.now_ns)
        return result, {}, events

    def _open_orders(self, request: Request) -> Mapping[str, Any]:
        params = request.params
        if params.get("orderId") or params.get("orderLinkId"):
            return self._named(request)
        orders = self.engine.open_orders()
        if params.get("openOnly") == "1":
            orders = tuple(order for order in self.engine.orders() if not order.is_open)
        return self._order_list(request, orders)

    def _order_history(self, request: Request) -> Mapping[str, Any]:
        if request.params.get("orderId") or request.params.get("orderLinkId"):
            return self._named(request)
        closed = [order for order in self.engine.orders() if not order.is_open]
        return self._order_list(request, closed)

    def _named(self, request: Request) -> Mapping[str, Any]:
        order = self.desk.find(request.params)
        return self._order_list(request, [] if order is None else [order])

    def _order_list(self, request: Request, orders: Iterable[Any]) -> Mapping[str, Any]:
        start, end = integer(request.params, "startTime"), integer(request.params, "endTime")
        if not self._is_here(request):
            return self._list([])
        only_stops = request.params.get("orderFilter") == "StopOrder"
        found = [
            order
            for order in orders
            if (not only_stops or order.request.trigger_price is not None)
            and (start is None or order.created_ns // NS_PER_MS >= start)
            and (end is None or order.created_ns // NS_PER_MS <= end)
        ]
        newest = reversed(found[-_limit(request) :])
        return self._list([self.desk.body(order) for order in newest])

    def _executions(self, request: Request) -> Mapping[str, Any]:
        start, end = integer(request.params, "startTime"), integer(request.params, "endTime")
        if not self._is_here(request):
            return self._list([])
        named = request.params.get("orderId") or request.params.get("orderLinkId")
        order = self.desk.find(request.params) if named else None
        if named and order is None:
            raise rejected(self._category, RejectReason.UNKNOWN_ORDER)
        found = [
            fill
            for fill in self.engine.fills
            if (order is None or fill.order.order_id == order.order_id)
            and (start is None or fill.time_ns // NS_PER_MS >= start)
            and (end is None or fill.time_ns // NS_PER_MS <= end)
        ]
        newest = reversed(found[-_limit(request) :])
        return self._list([self._account.execution(fill, self.desk.mark) for fill in newest])

    def _is_here(self, request: Request) -> bool:
        symbol = request.params.get("symbol") or self.messages.symbol
        coin = request.params.get("settleCoin") or self.engine.instrument.quote
        is_ours = symbol == self.messages.symbol and coin == self.engine.instrument.quote
        return is_ours and required(request.params, "category") == self._category.value

    def _list(self, items: list[Any]) -> dict[str, Any]:
        return {"category": self._category.value, "list": items, "nextPageCursor": ""}


def _body(
    now_ms: int,
    result: Mapping[str, Any],
    code: int = OK,
    msg: str = "OK",
    rest: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    return {
        "retCode": code,
        "retMsg": msg,
        "result": dict(result),
        "retExtInfo": dict(rest or {}),
        "time": now_ms,
    }


def _json(request: Request) -> dict[str, Any]:
    try:
        params = json.loads(request.body or b"{}")
    except ValueError:
        params = None
    if not isinstance(params, dict):
        raise ApiError(PARAMETER_ERROR, "params error: the body is no JSON object")
    return params


def _limit(request: Request) -> int:
    limit = integer(request.params, "limit") or DEFAULT_LIMIT
    return max(1, min(limit, MAX_LIMIT))
