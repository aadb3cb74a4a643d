"""What OKX's markets decide: requests in, answers and messages about the account out, no I/O."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Final
from typing import TypeAlias

from nautilus_enhanced.sandbox.connection import FrameSender
from nautilus_enhanced.sandbox.dialect import NS_PER_MS
from nautilus_enhanced.sandbox.dialect import Answer
from nautilus_enhanced.sandbox.dialect import MarketFrame
from nautilus_enhanced.sandbox.dialect import OrderCounts
from nautilus_enhanced.sandbox.dialect import Request
from nautilus_enhanced.sandbox.dialect import UserEvent
from nautilus_enhanced.sandbox.faults import FaultKind
from nautilus_enhanced.sandbox.margin import MarginAccount
from nautilus_enhanced.sandbox.market import MarketEvent
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.matching import MatchingEngine
from nautilus_enhanced.sandbox.okx.listings import Listings
from nautilus_enhanced.sandbox.okx.listings import page
from nautilus_enhanced.sandbox.okx.messages import Messages
from nautilus_enhanced.sandbox.okx.requests import BAD_REQUEST
from nautilus_enhanced.sandbox.okx.requests import NOT_FOUND
from nautilus_enhanced.sandbox.okx.requests import UNAUTHORIZED
from nautilus_enhanced.sandbox.okx.requests import ApiError
from nautilus_enhanced.sandbox.okx.requests import read_json
from nautilus_enhanced.sandbox.okx.requests import refusal
from nautilus_enhanced.sandbox.okx.requests import required
from nautilus_enhanced.sandbox.okx.requests import whole
from nautilus_enhanced.sandbox.okx.sessions import OKXSession
from nautilus_enhanced.sandbox.okx.sessions import SessionKind
from nautilus_enhanced.sandbox.okx.streams import INTERVALS_MS
from nautilus_enhanced.sandbox.okx.streams import MarketChannels
from nautilus_enhanced.sandbox.okx.trading import Outcome
from nautilus_enhanced.sandbox.okx.trading import Trading
from nautilus_enhanced.sandbox.okx.units import Units
from nautilus_enhanced.sandbox.tape import candles


BASE: Final = "/api/v5"
MAX_LEVELS: Final = 400
MAX_TRADES: Final = 500
MAX_CANDLES: Final = 300
_SOCKETS: Final = "/ws/v5"
_ALGO_REFUSED: Final = (51000, "Algo orders are not served by the loopback venue.")

Endpoint: TypeAlias = Callable[[Request], Answer]
PUBLIC: Final = False
KEYED: Final = True


class OKXExchange:
    """
    Serve OKX for one account and one instrument.

    Parameters
    ----------
    engine : MatchingEngine
        Holds the account and the orders.
    is_spot : bool
        Whether the instrument is traded on spot; else it is a linear perpetual swap.
    api_key : str, optional
        The only key that is let in; by default any key is.
    """

    def __init__(
        self, engine: MatchingEngine, *, is_spot: bool, api_key: str | None = None
    ) -> None:
        self.engine = engine
        self.units = Units(instrument=engine.instrument, is_spot=is_spot)
        self.messages = Messages(self.units)
        self.channels = MarketChannels(self.messages)
        self.trading = Trading(engine, self.messages)
        self._listings = Listings(engine, self.messages)
        self._api_key = api_key
        self._endpoints: dict[tuple[str, str], tuple[bool, Endpoint]] = {
            ("GET", f"{BASE}/public/time"): (PUBLIC, self._time),
            ("GET", f"{BASE}/public/instruments"): (PUBLIC, self._instruments),
            ("GET", f"{BASE}/public/mark-price"): (PUBLIC, self._mark_price),
            ("GET", f"{BASE}/market/books"): (PUBLIC, self._book),
            ("GET", f"{BASE}/market/trades"): (PUBLIC, self._trades),
            ("GET", f"{BASE}/market/history-trades"): (PUBLIC, self._trades),
            ("GET", f"{BASE}/market/candles"): (PUBLIC, self._candles),
            ("GET", f"{BASE}/market/history-candles"): (PUBLIC, self._candles),
            ("GET", f"{BASE}/account/balance"): (KEYED, self._balance),
            ("GET", f"{BASE}/account/positions"): (KEYED, self._positions),
            ("GET", f"{BASE}/account/positions-history"): (KEYED, _nothing),
            ("GET", f"{BASE}/account/trade-fee"): (KEYED, self._trade_fee),
            ("GET", f"{BASE}/trade/order"): (KEYED, self._order),
            ("GET", f"{BASE}/trade/orders-pending"): (KEYED, self._open_orders),
            ("GET", f"{BASE}/trade/orders-history"): (KEYED, self._closed_orders),
            ("GET", f"{BASE}/trade/orders-history-archive"): (KEYED, self._closed_orders),
            ("GET", f"{BASE}/trade/fills"): (KEYED, self._fills),
            ("GET", f"{BASE}/trade/fills-history"): (KEYED, self._fills),
            ("GET", f"{BASE}/trade/orders-algo-pending"): (KEYED, _nothing),
            ("GET", f"{BASE}/trade/orders-algo-history"): (KEYED, _nothing),
            ("POST", f"{BASE}/trade/order-algo"): (KEYED, _no_algo_orders),
        }
        self._commands = {
            f"{BASE}/trade/{name}": name
            for name in (
                "order",
                "amend-order",
                "cancel-order",
                "batch-orders",
                "batch-amend-orders",
                "batch-cancel-orders",
            )
        }
        for path in self._commands:
            # Batches are named `amend-batch-orders` and `cancel-batch-orders` here.
            self._endpoints["POST", _http_path(path)] = (KEYED, self._command)
        self._commands = {_http_path(path): name for path, name in self._commands.items()}

    # -- the seam: see `dialect.py` --------------------------------------------------------------

    @property
    def counts(self) -> OrderCounts:
        """Return what happened to orders."""
        return self.trading.counts

    @property
    def sockets(self) -> Mapping[str, str]:
        """Return the kind of session at each path."""
        return {f"{_SOCKETS}/{kind.value}": kind.value for kind in SessionKind}

    @property
    def quote_streams(self) -> frozenset[str]:
        """Return the channel that carries each quote."""
        return frozenset({self.channels.quote_channel})

    @property
    def trade_streams(self) -> frozenset[str]:
        """Return the channels that carry each trade."""
        return self.channels.trade_channels

    def addresses(self, authority: str) -> dict[str, str]:
        """Return the URLs of the REST API and of the public and the private websocket."""
        return {
            "http_url": f"http://{authority}",
            "ws_url": f"ws://{authority}{_SOCKETS}/{SessionKind.PUBLIC.value}",
            "ws_api_url": f"ws://{authority}{_SOCKETS}/{SessionKind.PRIVATE.value}",
        }

    def handle(self, request: Request) -> Answer:
        """Answer a REST request; signatures are not looked at."""
        keyed, endpoint = self._endpoints.get((request.method, request.path), (PUBLIC, None))
        try:
            if endpoint is None:
                raise ApiError(  # noqa: TRY301 (one place makes errors into answers)
                    404, f"{request.name} is not served by the loopback venue.", NOT_FOUND
                )
            if keyed:
                self.check_key(request.headers.get("ok-access-key", ""))
            return endpoint(request)
        except ApiError as e:
            return Answer(status=e.status, body=e.body())

    def is_order(self, request: Request) -> bool:
        """Return whether a request places, changes or cancels orders."""
        return request.method == "POST" and request.path.startswith(f"{BASE}/trade/")

    def refusal(self, kind: FaultKind, *, is_order: bool) -> Answer:
        """Return a reject that no rule explains, or OKX's rate limit."""
        error = refusal(kind, is_order=is_order)
        return Answer(body=error.body(), status=error.status)

    def session(self, kind: str, sender: FrameSender, names: Iterable[str]) -> OKXSession:
        """Open a session; OKX takes no subscriptions in a URL."""
        return OKXSession(SessionKind(kind), sender, self)

    def carries(self, stream: str) -> bool:
        """Return whether a channel carries market data."""
        return self.channels.carries(stream)

    def select(self, streams: frozenset[str]) -> None:
        """Make only what somebody wants."""
        self.channels.select(streams)

    def prepare(self, event: MarketEvent) -> MarketFrame | None:
        """Return None: all of OKX's messages hold the time of sending."""
        return None

    def on_event(
        self, event: MarketEvent, prepared: MarketFrame | None, now_ns: int
    ) -> tuple[list[MarketFrame], Sequence[UserEvent]]:
        """Take a market event; return its frames, and what it does to the account's orders."""
        events: Sequence[UserEvent] = ()
        if isinstance(event, Quote):
            self.channels.on_quote(event)
            fills = self.engine.on_quote(event, now_ns=now_ns)
            events = self.trading.order_events(fills, now_ns) if fills else ()
        return self.channels.frames(event, now_ns), events

    # -- for sessions ----------------------------------------------------------------------------

    def check_key(self, api_key: str) -> None:
        """Raise `ApiError` 50103 or 50111 unless the API key is let in."""
        if not api_key:
            message = 'Request header "OK-ACCESS-KEY" can not be empty.'
            raise ApiError(50103, message, UNAUTHORIZED)
        if self._api_key is not None and api_key != self._api_key:
            raise ApiError(50111, "Invalid OK-ACCESS-KEY", UNAUTHORIZED)

    def begin_anew(self, name: str) -> None:
        """Let a channel that was subscribed to again begin with the whole book."""
        self.channels.begin_anew(name)

    def first_message(self, channel: str, now_ns: int) -> dict[str, Any] | None:
        """Return what a channel sends as soon as it is subscribed to, or None."""
        account = self.engine.account
        if channel == "account":
            return self.messages.account(account, now_ns // NS_PER_MS)
        if channel == "positions" and isinstance(account, MarginAccount):
            return self.messages.position(account, now_ns // NS_PER_MS)
        if channel == "instruments":
            return self.messages.instrument()
        return None

    def is_command(self, name: object) -> bool:
        """Return whether a session may run a command of that name."""
        return self.trading.is_command(name)

    def run(self, name: str, commands: Sequence[Any], now_ns: int) -> Outcome:
        """Run the commands of a session."""
        return self.trading.run(name, commands, now_ns)

    # -- market data -----------------------------------------------------------------------------

    def _time(self, request: Request) -> Answer:
        return _data([{"ts": str(request.now_ms)}])

    def _instruments(self, request: Request) -> Answer:
        wanted = required(request.params, "instType") == self.units.kind
        named = request.params.get("instId", self.units.name) == self.units.name
        if wanted and not named:
            raise ApiError(51001, "Instrument ID does not exist.", BAD_REQUEST)
        return _data([self.messages.instrument()] if wanted else [])

    def _mark_price(self, request: Request) -> Answer:
        quote = self.engine.quote
        if quote is None:
            return _data([])
        middle = (quote.bid + quote.ask) / 2
        return _data([self.messages.mark_price(middle, request.now_ms)])

    def _book(self, request: Request) -> Answer:
        self._check_instrument(request)
        levels = min(whole(request.params, "sz") or 1, MAX_LEVELS)
        book = self.messages.book(self.channels.book.snapshot(), request.now_ms)
        sides = {side: book[side][:levels] for side in ("asks", "bids")}
        return _data([{**sides, "ts": book["ts"]}])

    def _trades(self, request: Request) -> Answer:
        self._check_instrument(request)
        rows = (self.messages.trade(print_) for print_ in reversed(self.channels.tape.prints))
        key = "ts" if request.params.get("type") == "2" else "tradeId"
        return _data(page(request.params, rows, key=key, time="ts", most=MAX_TRADES))

    def _candles(self, request: Request) -> Answer:
        self._check_instrument(request)
        interval_ms = INTERVALS_MS.get(request.params.get("bar", "1m"))
        if interval_ms is None:
            raise ApiError(51000, "Parameter bar error", BAD_REQUEST)
        rows = (
            {"ts": candle.open_ms, "candle": candle}
            for candle in reversed(candles(self.channels.tape.prints, interval_ms))
        )
        return _data(
            [
                self.messages.candle(
                    row["candle"], is_closed=row["candle"].close_ms < request.now_ms
                )
                for row in page(request.params, rows, key="ts", time="ts", most=MAX_CANDLES)
            ]
        )

    # -- account ---------------------------------------------------------------------------------

    def _balance(self, request: Request) -> Answer:
        return _data([self.messages.account(self.engine.account, request.now_ms)])

    def _positions(self, request: Request) -> Answer:
        account = self.engine.account
        if not isinstance(account, MarginAccount) or not account.position:
            return _data([])
        return _data([self.messages.position(account, request.now_ms)])

    def _trade_fee(self, request: Request) -> Answer:
        return _data([self.messages.trade_fee(self.engine.account, request.now_ms)])

    # -- orders ----------------------------------------------------------------------------------

    def _command(self, request: Request) -> Answer:
        body = read_json(request.body)
        commands = body if isinstance(body, list) else [body]
        outcome = self.trading.run(self._commands[request.path], commands, request.now_ns)
        return Answer(
            body={"code": outcome.code, "msg": outcome.msg, "data": outcome.data},
            events=outcome.events,
        )

    def _order(self, request: Request) -> Answer:
        self._check_instrument(request)
        order = self.engine.find(**self.trading.order_ids(request.params))
        if order is None:
            raise ApiError(51603, "Order does not exist.")
        return _data([self._listings.order(order)])

    def _open_orders(self, request: Request) -> Answer:
        return _data(self._listings.orders(request.params, is_open=True))

    def _closed_orders(self, request: Request) -> Answer:
        return _data(self._listings.orders(request.params, is_open=False))

    def _fills(self, request: Request) -> Answer:
        return _data(self._listings.fills(request.params))

    def _check_instrument(self, request: Request) -> None:
        """Raise `ApiError` 50014 or 51001 unless a request is about the instrument."""
        if required(request.params, "instId") != self.units.name:
            raise ApiError(51001, "Instrument ID does not exist.", BAD_REQUEST)


def _http_path(path: str) -> str:
    """Return the path of a command over HTTP, where batches are named in another way."""
    for verb in ("amend", "cancel"):
        path = path.replace(f"batch-{verb}-orders", f"{verb}-batch-orders")
    return path


def _data(rows: Sequence[Any]) -> Answer:
    return Answer(body={"code": "0", "msg": "", "data": list(rows)})


def _nothing(_: Request) -> Answer:
    return _data([])


def _no_algo_orders(_: Request) -> Answer:
    raise ApiError(*_ALGO_REFUSED)
