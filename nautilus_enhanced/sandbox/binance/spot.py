"""What the Binance spot market decides: requests in, answers and user data events out, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Final

from nautilus_enhanced.sandbox.binance.exchange import KEYED
from nautilus_enhanced.sandbox.binance.exchange import PUBLIC
from nautilus_enhanced.sandbox.binance.exchange import BinanceExchange
from nautilus_enhanced.sandbox.binance.exchange import order_ids
from nautilus_enhanced.sandbox.binance.requests import SPOT_REJECTS
from nautilus_enhanced.sandbox.binance.requests import ApiError
from nautilus_enhanced.sandbox.binance.requests import parse_spot_order
from nautilus_enhanced.sandbox.binance.requests import required
from nautilus_enhanced.sandbox.binance.spot_messages import SpotMessages
from nautilus_enhanced.sandbox.binance.spot_messages import account
from nautilus_enhanced.sandbox.binance.spot_messages import account_position
from nautilus_enhanced.sandbox.binance.streams import SpotStreams
from nautilus_enhanced.sandbox.dialect import NS_PER_MS
from nautilus_enhanced.sandbox.dialect import Answer
from nautilus_enhanced.sandbox.dialect import Request
from nautilus_enhanced.sandbox.dialect import UserEvent
from nautilus_enhanced.sandbox.matching import MatchingEngine
from nautilus_enhanced.sandbox.orders import Filled
from nautilus_enhanced.sandbox.orders import Order
from nautilus_enhanced.sandbox.orders import OrderEvent
from nautilus_enhanced.sandbox.orders import OrderRequest
from nautilus_enhanced.sandbox.orders import Rejected
from nautilus_enhanced.sandbox.orders import RejectReason
from nautilus_enhanced.sandbox.orders import Triggered


BASE: Final = "/api/v3"


class SpotExchange(BinanceExchange[SpotMessages]):
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
        messages = SpotMessages(engine.instrument)
        super().__init__(
            engine,
            messages,
            SpotStreams(messages),
            base=BASE,
            rejects=SPOT_REJECTS,
            api_key=api_key,
        )
        self._cancel_requests = 0
        self._endpoints |= {
            ("GET", f"{BASE}/avgPrice"): (PUBLIC, self._average_price),
            ("GET", f"{BASE}/account"): (KEYED, self._account),
            ("DELETE", f"{BASE}/openOrders"): (KEYED, self._cancel_all),
            ("GET", f"{BASE}/myTrades"): (KEYED, self._own_trades),
            ("POST", f"{BASE}/userDataStream"): (KEYED, self._open_stream),
            ("PUT", f"{BASE}/userDataStream"): (KEYED, self._keep_stream),
            ("DELETE", f"{BASE}/userDataStream"): (KEYED, self._close_stream),
            ("GET", "/sapi/v1/asset/tradeFee"): (KEYED, self._trade_fee),
        }

    @property
    def api_path(self) -> str:
        """Return the path of the WS-API."""
        return "/ws-api/v3"

    def _exchange_info_body(self, now_ms: int) -> dict[str, Any]:
        return self.messages.exchange_info(now_ms)

    def _parse_order(self, params: Mapping[str, str], default_id: str) -> OrderRequest:
        return parse_spot_order(params, default_id)

    def _order_body(self, order: Order) -> dict[str, Any]:
        return self.messages.order(order, is_waiting=self.engine.is_waiting(order))

    def _new_order_body(
        self, order: Order, fills: Sequence[Filled], params: Mapping[str, str]
    ) -> dict[str, Any]:
        return self.messages.new_order(order, fills, params.get("newOrderRespType", "FULL"))

    def _average_price(self, request: Request) -> Answer:
        self.check_symbol(request)
        session = self.streams.tape.session
        price = session.quote_volume / session.volume if session else self._quote().bid
        return Answer(body={"mins": 5, "price": self.messages.price(price)})

    def _account(self, request: Request) -> Answer:
        held = self.engine.account
        return Answer(body=account(held.balances, held.maker_fee, held.taker_fee, request.now_ms))

    def _trade_fee(self, request: Request) -> Answer:
        if request.params.get("symbol"):
            self.check_symbol(request)
        fee = {
            "symbol": self.messages.symbol,
            "makerCommission": str(self.engine.account.maker_fee),
            "takerCommission": str(self.engine.account.taker_fee),
        }
        return Answer(body=[fee])

    def _own_trades(self, request: Request) -> Answer:
        return Answer(body=[self.messages.own_trade(fill) for fill in self._own_fills(request)])

    def _cancel_order(self, request: Request) -> Answer:
        self.check_symbol(request)
        event = self.engine.cancel(**order_ids(request.params), now_ns=request.now_ns)
        if isinstance(event, Rejected):
            raise self._rejected(event.reason)
        cancel_id = request.params.get("newClientOrderId") or self._next_cancel_id()
        return Answer(
            body=self.messages.canceled_order(event.order, cancel_id),
            events=self._user_events([event], request.now_ns, cancel_id),
        )

    def _cancel_all(self, request: Request) -> Answer:
        self.check_symbol(request)
        events = self.engine.cancel_all(now_ns=request.now_ns)
        if not events:
            raise self._rejected(RejectReason.UNKNOWN_ORDER)
        cancel_id = self._next_cancel_id()
        return Answer(
            body=[self.messages.canceled_order(event.order, cancel_id) for event in events],
            events=self._user_events(events, request.now_ns, cancel_id),
        )

    def _open_stream(self, _: Request) -> Answer:
        return Answer(body={"listenKey": self.open_listen_key()})

    def _keep_stream(self, request: Request) -> Answer:
        if required(request.params, "listenKey") != self.listen_key:
            raise ApiError(-1125, "This listenKey does not exist.")
        return Answer(body={})

    def _close_stream(self, request: Request) -> Answer:
        self._keep_stream(request)
        self.listen_key = None
        return Answer(body={})

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
            self._count(event)
            # That an order was triggered shows by what it does then.
            if isinstance(event, Rejected | Triggered):
                continue
            payload = self.messages.execution_report(event, now_ms=now_ms, cancel_id=cancel_id)
            report = UserEvent(
                name=payload["e"],
                payload=payload,
                client_order_id=event.order.request.client_order_id,
                execution_type=payload["x"],
                trade_id=payload["t"],
            )
            reports.append(report)
        rules = self.engine.instrument
        held = [(asset, self.engine.balances[asset]) for asset in (rules.base, rules.quote)]
        position = account_position(held, now_ms)
        return [*reports, UserEvent(name=position["e"], payload=position)]
