"""
What the Binance spot venue decides: requests in, answers and user data events out, no I/O.

The venue's sockets are in `venue.py`; time and market events are passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from typing import Final

from nautilus_enhanced.sandbox.binance.protocol import NS_PER_MS
from nautilus_enhanced.sandbox.binance.protocol import SpotMessages
from nautilus_enhanced.sandbox.binance.protocol import account
from nautilus_enhanced.sandbox.binance.protocol import account_position
from nautilus_enhanced.sandbox.binance.requests import NOT_FOUND
from nautilus_enhanced.sandbox.binance.requests import UNAUTHORIZED
from nautilus_enhanced.sandbox.binance.requests import ApiError
from nautilus_enhanced.sandbox.binance.requests import integer
from nautilus_enhanced.sandbox.binance.requests import parse_order
from nautilus_enhanced.sandbox.binance.requests import required
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.matching import MatchingEngine
from nautilus_enhanced.sandbox.orders import Accepted
from nautilus_enhanced.sandbox.orders import Canceled
from nautilus_enhanced.sandbox.orders import Filled
from nautilus_enhanced.sandbox.orders import Order
from nautilus_enhanced.sandbox.orders import OrderEvent
from nautilus_enhanced.sandbox.orders import Rejected
from nautilus_enhanced.sandbox.orders import RejectReason
from nautilus_enhanced.sandbox.orders import Side


DEFAULT_LIMIT: Final = 500
MAX_LIMIT: Final = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class UserEvent:
    """
    Hold one user data event.

    Attributes
    ----------
    payload : dict[str, Any]
        The event as Binance writes it, without an envelope.
    client_order_id, execution_type : str
        Of an ``executionReport``; empty for other events.
    trade_id : int
        Of a fill, else -1.
    """

    payload: dict[str, Any]
    client_order_id: str = ""
    execution_type: str = ""
    trade_id: int = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """Hold the answer to a request, and the user data events that it caused."""

    body: Any
    status: int = 200
    events: Sequence[UserEvent] = ()


@dataclass(kw_only=True, slots=True)
class OrderCounts:
    """Count what happened to orders since the venue was made."""

    received: int = 0
    accepted: int = 0
    rejected: int = 0
    fills: int = 0
    cancels: int = 0
    expired: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Call:
    params: Mapping[str, str]
    api_key: str
    now_ns: int

    @property
    def now_ms(self) -> int:
        return self.now_ns // NS_PER_MS


class SpotExchange:
    """
    Serve the REST endpoints of Binance spot for one account and one symbol.

    Parameters
    ----------
    engine : MatchingEngine
        Holds the account and the orders.
    api_key : str, optional
        The only key that is let in; by default any key is.
    """

    def __init__(self, engine: MatchingEngine, *, api_key: str | None = None) -> None:
        self.engine = engine
        self.messages = SpotMessages(engine.instrument)
        self.counts = OrderCounts()
        self.listen_key: str | None = None
        self._api_key = api_key
        self._listen_keys = 0
        self._cancel_requests = 0
        public, keyed = False, True
        self._endpoints: dict[tuple[str, str], tuple[bool, Callable[[_Call], Answer]]] = {
            ("GET", "/api/v3/ping"): (public, lambda _: Answer(body={})),
            ("GET", "/api/v3/time"): (public, lambda c: Answer(body={"serverTime": c.now_ms})),
            ("GET", "/api/v3/exchangeInfo"): (public, self._exchange_info),
            ("GET", "/api/v3/depth"): (public, self._depth),
            ("GET", "/api/v3/ticker/bookTicker"): (public, self._book_ticker),
            ("GET", "/api/v3/trades"): (public, lambda _: Answer(body=[])),
            ("GET", "/api/v3/aggTrades"): (public, lambda _: Answer(body=[])),
            ("GET", "/api/v3/klines"): (public, lambda _: Answer(body=[])),
            ("GET", "/api/v3/account"): (keyed, self._account),
            ("GET", "/api/v3/openOrders"): (keyed, self._open_orders),
            ("DELETE", "/api/v3/openOrders"): (keyed, self._cancel_all),
            ("GET", "/api/v3/order"): (keyed, self._query_order),
            ("POST", "/api/v3/order"): (keyed, self._new_order),
            ("DELETE", "/api/v3/order"): (keyed, self._cancel_order),
            ("GET", "/api/v3/allOrders"): (keyed, self._all_orders),
            ("GET", "/api/v3/myTrades"): (keyed, self._own_trades),
            ("POST", "/api/v3/userDataStream"): (keyed, self._open_stream),
            ("PUT", "/api/v3/userDataStream"): (keyed, self._keep_stream),
            ("DELETE", "/api/v3/userDataStream"): (keyed, self._close_stream),
            ("GET", "/sapi/v1/asset/tradeFee"): (keyed, self._trade_fee),
        }

    def handle(
        self, method: str, path: str, params: Mapping[str, str], *, api_key: str, now_ns: int
    ) -> Answer:
        """
        Answer a REST request.

        Parameters
        ----------
        api_key : str
            The header ``X-MBX-APIKEY``, or an empty string. Signatures are not looked at.
        now_ns : int
            Unix time in nanoseconds.
        """
        keyed, endpoint = self._endpoints.get((method, path), (False, None))
        try:
            if endpoint is None:
                raise ApiError(  # noqa: TRY301 (one place makes errors into answers)
                    -1000, f"{method} {path} is not served by the loopback venue.", NOT_FOUND
                )
            if keyed:
                self.check_key(api_key)
            return endpoint(_Call(params=params, api_key=api_key, now_ns=now_ns))
        except ApiError as e:
            return Answer(status=e.status, body=e.body())

    def check_key(self, api_key: str) -> None:
        """Raise `ApiError` -2014 or -2015 unless the API key is let in."""
        if not api_key:
            raise ApiError(-2014, "API-key format invalid.", UNAUTHORIZED)
        if self._api_key is not None and api_key != self._api_key:
            raise ApiError(-2015, "Invalid API-key, IP, or permissions for action.", UNAUTHORIZED)

    def on_quote(self, quote: Quote, *, now_ns: int) -> Sequence[UserEvent]:
        """Take a quote into the book; return the user data events of the fills it brings."""
        events = self.engine.on_quote(quote, now_ns=now_ns)
        return self._user_events(events, now_ns) if events else ()

    def _exchange_info(self, call: _Call) -> Answer:
        asked = call.params.get("symbol") or call.params.get("symbols")
        if asked and f'"{self.messages.symbol}"' not in f'"{asked}"':
            raise ApiError(-1121, "Invalid symbol.")
        return Answer(body=self.messages.exchange_info(call.now_ms))

    def _depth(self, call: _Call) -> Answer:
        self._check_symbol(call)
        price, size = self.messages.price, self.messages.size
        bids = [[price(p), size(s)] for p, s in self.engine.depth(Side.SELL)]
        asks = [[price(p), size(s)] for p, s in self.engine.depth(Side.BUY)]
        return Answer(body={"lastUpdateId": 0, "bids": bids, "asks": asks})

    def _book_ticker(self, call: _Call) -> Answer:
        self._check_symbol(call)
        quote = self.engine.quote
        if quote is None:
            raise ApiError.rejected(RejectReason.NO_MARKET)
        price, size = self.messages.price, self.messages.size
        body = {
            "symbol": self.messages.symbol,
            "bidPrice": price(quote.bid),
            "bidQty": size(quote.bid_size),
            "askPrice": price(quote.ask),
            "askQty": size(quote.ask_size),
        }
        return Answer(body=body)

    def _account(self, call: _Call) -> Answer:
        engine = self.engine
        return Answer(
            body=account(engine.balances, engine.maker_fee, engine.taker_fee, call.now_ms)
        )

    def _trade_fee(self, call: _Call) -> Answer:
        if call.params.get("symbol"):
            self._check_symbol(call)
        fee = {
            "symbol": self.messages.symbol,
            "makerCommission": str(self.engine.maker_fee),
            "takerCommission": str(self.engine.taker_fee),
        }
        return Answer(body=[fee])

    def _new_order(self, call: _Call) -> Answer:
        self.counts.received += 1
        try:
            self._check_symbol(call)
            request = parse_order(call.params, f"loopback-{self.counts.received}")
            events = self.engine.submit(request, now_ns=call.now_ns)
            if isinstance(events[0], Rejected):
                raise ApiError.rejected(events[0].reason)
        except ApiError:
            self.counts.rejected += 1
            raise
        last = events[-1]
        assert not isinstance(last, Rejected)  # noqa: S101 (only the first event can be)
        detail = call.params.get("newOrderRespType", "FULL")
        fills = [event for event in events if isinstance(event, Filled)]
        return Answer(
            body=self.messages.new_order(last.order, fills, detail),
            events=self._user_events(events, call.now_ns),
        )

    def _cancel_order(self, call: _Call) -> Answer:
        self._check_symbol(call)
        event = self.engine.cancel(**_order_ids(call), now_ns=call.now_ns)
        if isinstance(event, Rejected):
            raise ApiError.rejected(event.reason)
        cancel_id = call.params.get("newClientOrderId") or self._next_cancel_id()
        return Answer(
            body=self.messages.canceled_order(event.order, cancel_id),
            events=self._user_events([event], call.now_ns, cancel_id),
        )

    def _cancel_all(self, call: _Call) -> Answer:
        self._check_symbol(call)
        events = self.engine.cancel_all(now_ns=call.now_ns)
        if not events:
            raise ApiError.rejected(RejectReason.UNKNOWN_ORDER)
        cancel_id = self._next_cancel_id()
        return Answer(
            body=[self.messages.canceled_order(event.order, cancel_id) for event in events],
            events=self._user_events(events, call.now_ns, cancel_id),
        )

    def _query_order(self, call: _Call) -> Answer:
        self._check_symbol(call)
        order = self.engine.find(**_order_ids(call))
        if order is None:
            raise ApiError(-2013, "Order does not exist.")
        return Answer(body=self.messages.order(order))

    def _open_orders(self, call: _Call) -> Answer:
        if call.params.get("symbol"):
            self._check_symbol(call)
        return Answer(body=[self.messages.order(order) for order in self.engine.open_orders()])

    def _all_orders(self, call: _Call) -> Answer:
        self._check_symbol(call)
        first = integer(call.params, "orderId") or 0
        orders: list[Order] = [
            order
            for order in self.engine.orders()
            if order.order_id >= first and _in_time(call, order.created_ns)
        ]
        return Answer(body=[self.messages.order(order) for order in orders[-_limit(call) :]])

    def _own_trades(self, call: _Call) -> Answer:
        self._check_symbol(call)
        order_id = integer(call.params, "orderId")
        first = integer(call.params, "fromId") or 0
        fills = [
            fill
            for fill in self.engine.fills
            if fill.trade_id >= first
            and order_id in {None, fill.order.order_id}
            and _in_time(call, fill.time_ns)
        ]
        return Answer(body=[self.messages.own_trade(fill) for fill in fills[-_limit(call) :]])

    def _open_stream(self, _: _Call) -> Answer:
        if self.listen_key is None:
            self._listen_keys += 1
            self.listen_key = f"loopbackListenKey{self._listen_keys:044d}"
        return Answer(body={"listenKey": self.listen_key})

    def _keep_stream(self, call: _Call) -> Answer:
        if required(call.params, "listenKey") != self.listen_key:
            raise ApiError(-1125, "This listenKey does not exist.")
        return Answer(body={})

    def _close_stream(self, call: _Call) -> Answer:
        self._keep_stream(call)
        self.listen_key = None
        return Answer(body={})

    def _check_symbol(self, call: _Call) -> None:
        if required(call.params, "symbol") != self.messages.symbol:
            raise ApiError(-1121, "Invalid symbol.")

    def _next_cancel_id(self) -> str:
        self._cancel_requests += 1
        return f"loopback-cancel-{self._cancel_requests}"

    def _user_events(
        self, events: Sequence[OrderEvent], now_ns: int, cancel_id: str = ""
    ) -> list[UserEvent]:
        """Count events and write them out, followed by the account's balances as they are now."""
        now_ms = now_ns // NS_PER_MS
        reports = []
        for event in events:
            if isinstance(event, Rejected):
                continue
            if isinstance(event, Accepted):
                self.counts.accepted += 1
            elif isinstance(event, Filled):
                self.counts.fills += 1
            elif isinstance(event, Canceled):
                self.counts.cancels += 1
            else:
                self.counts.expired += 1
            payload = self.messages.execution_report(event, now_ms=now_ms, cancel_id=cancel_id)
            report = UserEvent(
                payload=payload,
                client_order_id=event.order.request.client_order_id,
                execution_type=payload["x"],
                trade_id=payload["t"],
            )
            reports.append(report)
        rules = self.engine.instrument
        held = [(asset, self.engine.balances[asset]) for asset in (rules.base, rules.quote)]
        return [*reports, UserEvent(payload=account_position(held, now_ms))]


def _order_ids(call: _Call) -> Any:
    ids = {
        "order_id": integer(call.params, "orderId"),
        "client_order_id": call.params.get("origClientOrderId") or None,
    }
    if not any(ids.values()):
        raise ApiError(
            -1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
        )
    return ids


def _limit(call: _Call) -> int:
    limit = integer(call.params, "limit", DEFAULT_LIMIT) or DEFAULT_LIMIT
    return max(1, min(limit, MAX_LIMIT))


def _in_time(call: _Call, time_ns: int) -> bool:
    start, end = integer(call.params, "startTime"), integer(call.params, "endTime")
    time_ms = Decimal(time_ns) / NS_PER_MS
    return (start is None or time_ms >= start) and (end is None or time_ms < end + 1)
