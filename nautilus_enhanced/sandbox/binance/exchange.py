"""
What Binance's markets decide alike: requests in, answers and user data events out, no I/O.

`spot.py` and `futures.py` add what is theirs. Time and market events are passed in.
"""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from decimal import Decimal
from itertools import islice
from typing import Any
from typing import Final
from typing import Generic
from typing import TypeAlias
from typing import TypeVar

from nautilus_enhanced.sandbox.binance.messages import MarketMessages
from nautilus_enhanced.sandbox.binance.requests import NOT_FOUND
from nautilus_enhanced.sandbox.binance.requests import UNAUTHORIZED
from nautilus_enhanced.sandbox.binance.requests import ApiError
from nautilus_enhanced.sandbox.binance.requests import integer
from nautilus_enhanced.sandbox.binance.requests import refusal
from nautilus_enhanced.sandbox.binance.requests import required
from nautilus_enhanced.sandbox.binance.sessions import BinanceSession
from nautilus_enhanced.sandbox.binance.sessions import SessionKind
from nautilus_enhanced.sandbox.binance.streams import INTERVALS_MS
from nautilus_enhanced.sandbox.binance.streams import MarketStreams
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
from nautilus_enhanced.sandbox.orders import Accepted
from nautilus_enhanced.sandbox.orders import Amended
from nautilus_enhanced.sandbox.orders import Canceled
from nautilus_enhanced.sandbox.orders import Expired
from nautilus_enhanced.sandbox.orders import Filled
from nautilus_enhanced.sandbox.orders import Order
from nautilus_enhanced.sandbox.orders import OrderEvent
from nautilus_enhanced.sandbox.orders import OrderRequest
from nautilus_enhanced.sandbox.orders import Rejected
from nautilus_enhanced.sandbox.orders import RejectReason
from nautilus_enhanced.sandbox.tape import candles


DEFAULT_LIMIT: Final = 500
MAX_LIMIT: Final = 1000
_ORDER_PATHS: Final = (
    "order",
    "openOrders",
    "allOpenOrders",
    "batchOrders",
    "algoOrder",
    "algoOpenOrders",
)

M = TypeVar("M", bound=MarketMessages)
Endpoint: TypeAlias = Callable[[Request], Answer]
PUBLIC: Final = False
KEYED: Final = True


class BinanceExchange(ABC, Generic[M]):
    """
    Serve the REST endpoints that all markets have, for one account and one symbol.

    Parameters
    ----------
    engine : MatchingEngine
        Holds the account and the orders.
    messages : MarketMessages
        Writes the market's messages.
    streams : MarketStreams
        Makes the market data of the websocket streams.
    base : str
        The path before the endpoints' names.
    rejects : Mapping[RejectReason, tuple[int, str]]
        Code and sentence for each refusal.
    api_key : str, optional
        The only key that is let in; by default any key is.
    """

    def __init__(
        self,
        engine: MatchingEngine,
        messages: M,
        streams: MarketStreams[M],
        *,
        base: str,
        rejects: Mapping[RejectReason, tuple[int, str]],
        api_key: str | None,
    ) -> None:
        self.engine = engine
        self.messages = messages
        self.streams = streams
        self.counts = OrderCounts()
        self.listen_key: str | None = None
        self._rejects = rejects
        self._api_key = api_key
        self._listen_keys = 0
        self._endpoints: dict[tuple[str, str], tuple[bool, Endpoint]] = {
            ("GET", f"{base}/ping"): (PUBLIC, lambda _: Answer(body={})),
            ("GET", f"{base}/time"): (PUBLIC, lambda r: Answer(body={"serverTime": r.now_ms})),
            ("GET", f"{base}/exchangeInfo"): (PUBLIC, self._exchange_info),
            ("GET", f"{base}/depth"): (PUBLIC, self._depth),
            ("GET", f"{base}/ticker/bookTicker"): (PUBLIC, self._book_ticker),
            ("GET", f"{base}/ticker/price"): (PUBLIC, self._last_price),
            ("GET", f"{base}/trades"): (PUBLIC, self._trades),
            ("GET", f"{base}/historicalTrades"): (KEYED, self._trades),
            ("GET", f"{base}/aggTrades"): (PUBLIC, self._agg_trades),
            ("GET", f"{base}/klines"): (PUBLIC, self._klines),
            ("GET", f"{base}/openOrders"): (KEYED, self._open_orders),
            ("GET", f"{base}/order"): (KEYED, self._query_order),
            ("POST", f"{base}/order"): (KEYED, self._new_order),
            ("DELETE", f"{base}/order"): (KEYED, self._cancel_order),
            ("GET", f"{base}/allOrders"): (KEYED, self._all_orders),
        }

    # -- the seam: see `dialect.py` --------------------------------------------------------------

    @property
    def sockets(self) -> Mapping[str, str]:
        """Return the kind of session at each path."""
        return {
            "/stream": SessionKind.COMBINED.value,
            "/ws": SessionKind.RAW.value,
            "/ws/{streams:.+}": SessionKind.RAW.value,
            self.api_path: SessionKind.WS_API.value,
        }

    @property
    @abstractmethod
    def api_path(self) -> str:
        """Return the path of the WS-API."""

    @property
    def quote_streams(self) -> frozenset[str]:
        """Return the stream that carries each quote."""
        return frozenset({self.streams.quote_stream})

    @property
    def trade_streams(self) -> frozenset[str]:
        """Return the streams that carry each trade."""
        return self.streams.trade_streams

    def addresses(self, authority: str) -> dict[str, str]:
        """Return the base URLs of REST API and streams, and the URL of the WS-API."""
        return {
            "http_url": f"http://{authority}",
            "ws_url": f"ws://{authority}",
            "ws_api_url": f"ws://{authority}{self.api_path}",
        }

    def handle(self, request: Request) -> Answer:
        """Answer a REST request; signatures are not looked at."""
        keyed, endpoint = self._endpoints.get((request.method, request.path), (PUBLIC, None))
        try:
            if endpoint is None:
                raise ApiError(  # noqa: TRY301 (one place makes errors into answers)
                    -1000, f"{request.name} is not served by the loopback venue.", NOT_FOUND
                )
            if keyed:
                self.check_key(request.headers.get("x-mbx-apikey", ""))
            return endpoint(request)
        except ApiError as e:
            return Answer(status=e.status, body=e.body())

    def is_order(self, request: Request) -> bool:
        """Return whether a request places, changes or cancels orders."""
        return request.method != "GET" and request.path.rpartition("/")[2] in _ORDER_PATHS

    def refusal(self, kind: FaultKind, *, is_order: bool) -> Answer:
        """Return a reject that no rule explains, or Binance's rate limit."""
        error = refusal(kind, is_order=is_order)
        headers = {"Retry-After": "1"} if kind is FaultKind.RATE_LIMIT else {}
        return Answer(body=error.body(), status=error.status, headers=headers)

    def session(self, kind: str, sender: FrameSender, names: Iterable[str]) -> BinanceSession:
        """Open a session."""
        return BinanceSession(SessionKind(kind), sender, self, streams=names)

    def carries(self, stream: str) -> bool:
        """Return whether a stream carries market data."""
        return self.streams.carries(stream)

    def select(self, streams: frozenset[str]) -> None:
        """Make only what somebody wants."""
        self.streams.select(streams)

    def prepare(self, event: MarketEvent) -> MarketFrame | None:
        """Return the frame of an event that is not due yet, if it holds no time of sending."""
        return self.streams.prepare(event)

    def on_event(
        self, event: MarketEvent, prepared: MarketFrame | None, now_ns: int
    ) -> tuple[list[MarketFrame], Sequence[UserEvent]]:
        """Take a market event; return its frames, and the user data events of its fills."""
        fills: Sequence[UserEvent] = ()
        if isinstance(event, Quote):
            fills = self.on_quote(event, now_ns=now_ns)
        return self.streams.frames(event, prepared, now_ns), fills

    # -- for sessions ----------------------------------------------------------------------------

    def check_key(self, api_key: str) -> None:
        """Raise `ApiError` -2014 or -2015 unless the API key is let in."""
        if not api_key:
            raise ApiError(-2014, "API-key format invalid.", UNAUTHORIZED)
        if self._api_key is not None and api_key != self._api_key:
            raise ApiError(-2015, "Invalid API-key, IP, or permissions for action.", UNAUTHORIZED)

    def open_listen_key(self) -> str:
        """Return the key of the user data stream; a new one if there is none."""
        if self.listen_key is None:
            self._listen_keys += 1
            self.listen_key = f"loopbackListenKey{self._listen_keys:044d}"
        return self.listen_key

    # -- what a market adds ----------------------------------------------------------------------

    @abstractmethod
    def _parse_order(self, params: Mapping[str, str], default_id: str) -> OrderRequest:
        """Return the order that a request asks for, or raise `ApiError`."""

    def _is_listed(self, order: Order) -> bool:
        """Return whether an order is among those that the order endpoints know."""
        return True

    @abstractmethod
    def _order_body(self, order: Order) -> dict[str, Any]:
        """Return an order as it is listed."""

    @abstractmethod
    def _new_order_body(
        self, order: Order, fills: Sequence[Filled], params: Mapping[str, str]
    ) -> dict[str, Any]:
        """Return the answer to a new order."""

    @abstractmethod
    def _cancel_order(self, request: Request) -> Answer:
        """Cancel an order."""

    @abstractmethod
    def _user_events(
        self, events: Sequence[OrderEvent], now_ns: int, cancel_id: str = ""
    ) -> list[UserEvent]:
        """Count events and write them out, with what they did to the account."""

    # -- market data -----------------------------------------------------------------------------

    def on_quote(self, quote: Quote, *, now_ns: int) -> Sequence[UserEvent]:
        """Take a quote into the book; return the user data events of the fills it brings."""
        self.streams.on_quote(quote)
        events = self.engine.on_quote(quote, now_ns=now_ns)
        return self._user_events(events, now_ns) if events else ()

    def _exchange_info(self, request: Request) -> Answer:
        asked = request.params.get("symbol") or request.params.get("symbols")
        if asked and f'"{self.messages.symbol}"' not in f'"{asked}"':
            raise ApiError(-1121, "Invalid symbol.")
        return Answer(body=self._exchange_info_body(request.now_ms))

    @abstractmethod
    def _exchange_info_body(self, now_ms: int) -> dict[str, Any]:
        """Return the symbol and its rules."""

    def _depth(self, request: Request) -> Answer:
        self.check_symbol(request)
        book = self.streams.book.snapshot()
        return Answer(
            body=self._depth_body(request, self.messages.book_snapshot(book, _limit(request)))
        )

    def _depth_body(self, _: Request, body: dict[str, Any]) -> dict[str, Any]:
        """Return the body with what a market adds to it."""
        return body

    def _book_ticker(self, request: Request) -> Answer:
        body = self.messages.best(self._quote())
        return self._one_or_all(request, body)

    def _last_price(self, request: Request) -> Answer:
        prints = self.streams.tape.prints
        price = prints[-1].trade.price if prints else self._quote().bid
        body = {"symbol": self.messages.symbol, "price": self.messages.price(price)}
        return self._one_or_all(request, body)

    def _trades(self, request: Request) -> Answer:
        self.check_symbol(request)
        prints = list(self.streams.tape.prints)[-_limit(request) :]
        return Answer(body=self.messages.trades(prints))

    def _agg_trades(self, request: Request) -> Answer:
        self.check_symbol(request)
        found = (p for p in self.streams.tape.prints if _in_time(request, p.time_ms))
        return Answer(body=self.messages.agg_trades(islice(found, _limit(request))))

    def _klines(self, request: Request) -> Answer:
        self.check_symbol(request)
        interval_ms = INTERVALS_MS.get(required(request.params, "interval"))
        if interval_ms is None:
            raise ApiError(-1120, "Invalid interval.")
        made = candles(self.streams.tape.prints, interval_ms)
        found = [c for c in made if _in_time(request, c.open_ms)]
        return Answer(body=self.messages.klines(found[-_limit(request) :]))

    def _quote(self) -> Quote:
        quote = self.engine.quote
        if quote is None:
            raise self._rejected(RejectReason.NO_MARKET)
        return quote

    def _one_or_all(self, request: Request, body: dict[str, Any]) -> Answer:
        """Return one symbol's figures, or a list when no symbol was asked for."""
        if not request.params.get("symbol"):
            return Answer(body=[body])
        self.check_symbol(request)
        return Answer(body=body)

    # -- orders ----------------------------------------------------------------------------------

    def _new_order(self, request: Request) -> Answer:
        return self._submit(request, self._parse_order)

    def _submit(
        self, request: Request, parse: Callable[[Mapping[str, str], str], OrderRequest]
    ) -> Answer:
        self.counts.received += 1
        try:
            self.check_symbol(request)
            order = parse(request.params, f"loopback-{self.counts.received}")
            events = self.engine.submit(order, now_ns=request.now_ns)
            if isinstance(events[0], Rejected):
                raise self._rejected(events[0].reason)
        except ApiError:
            self.counts.rejected += 1
            raise
        last = events[-1]
        assert not isinstance(last, Rejected)  # noqa: S101 (only the first event can be)
        fills = [event for event in events if isinstance(event, Filled)]
        return Answer(
            body=self._new_order_body(last.order, fills, request.params),
            events=self._user_events(events, request.now_ns),
        )

    def _query_order(self, request: Request) -> Answer:
        self.check_symbol(request)
        order = self.engine.find(**order_ids(request.params))
        if order is None or not self._is_listed(order):
            raise ApiError(-2013, "Order does not exist.")
        return Answer(body=self._order_body(order))

    def _open_orders(self, request: Request) -> Answer:
        if request.params.get("symbol"):
            self.check_symbol(request)
        orders = filter(self._is_listed, self.engine.open_orders())
        return Answer(body=[self._order_body(order) for order in orders])

    def _all_orders(self, request: Request) -> Answer:
        self.check_symbol(request)
        first = integer(request.params, "orderId") or 0
        orders = [
            order
            for order in filter(self._is_listed, self.engine.orders())
            if order.order_id >= first and _in_time(request, Decimal(order.created_ns) / NS_PER_MS)
        ]
        return Answer(body=[self._order_body(order) for order in orders[-_limit(request) :]])

    def _own_fills(self, request: Request) -> list[Filled]:
        self.check_symbol(request)
        order_id = integer(request.params, "orderId")
        first = integer(request.params, "fromId") or 0
        fills = [
            fill
            for fill in self.engine.fills
            if fill.trade_id >= first
            and order_id in {None, fill.order.order_id}
            and _in_time(request, Decimal(fill.time_ns) / NS_PER_MS)
        ]
        return fills[-_limit(request) :]

    def check_symbol(self, request: Request) -> None:
        """Raise `ApiError` -1102 or -1121 unless a request is about the symbol."""
        if required(request.params, "symbol") != self.messages.symbol:
            raise ApiError(-1121, "Invalid symbol.")

    def _rejected(self, reason: RejectReason) -> ApiError:
        return ApiError(*self._rejects[reason])

    def _count(self, event: OrderEvent) -> None:
        if isinstance(event, Accepted):
            self.counts.accepted += 1
        elif isinstance(event, Filled):
            self.counts.fills += 1
        elif isinstance(event, Amended):
            self.counts.amends += 1
        elif isinstance(event, Canceled):
            self.counts.cancels += 1
        elif isinstance(event, Expired):
            self.counts.expired += 1


def order_ids(params: Mapping[str, str]) -> Any:
    """Return the IDs that a request names an order by, or raise `ApiError` -1102."""
    ids = {
        "order_id": integer(params, "orderId"),
        "client_order_id": params.get("origClientOrderId") or None,
    }
    if not any(ids.values()):
        raise ApiError(
            -1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
        )
    return ids


def _limit(request: Request) -> int:
    limit = integer(request.params, "limit", DEFAULT_LIMIT) or DEFAULT_LIMIT
    return max(1, min(limit, MAX_LIMIT))


def _in_time(request: Request, time_ms: int | Decimal) -> bool:
    start, end = integer(request.params, "startTime"), integer(request.params, "endTime")
    return (start is None or time_ms >= start) and (end is None or time_ms < end + 1)
