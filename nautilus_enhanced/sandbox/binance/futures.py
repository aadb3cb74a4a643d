"""What Binance's USDT futures decide: requests in, answers and user data events out, no I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from typing import Final

from nautilus_enhanced.sandbox.binance.algo_orders import AlgoOrders
from nautilus_enhanced.sandbox.binance.algo_orders import algo_id
from nautilus_enhanced.sandbox.binance.exchange import KEYED
from nautilus_enhanced.sandbox.binance.exchange import PUBLIC
from nautilus_enhanced.sandbox.binance.exchange import BinanceExchange
from nautilus_enhanced.sandbox.binance.exchange import order_ids
from nautilus_enhanced.sandbox.binance.futures_messages import MAX_NOTIONAL
from nautilus_enhanced.sandbox.binance.futures_messages import FuturesMessages
from nautilus_enhanced.sandbox.binance.futures_messages import execution_type
from nautilus_enhanced.sandbox.binance.requests import FUTURES_REJECTS
from nautilus_enhanced.sandbox.binance.requests import ApiError
from nautilus_enhanced.sandbox.binance.requests import decimal
from nautilus_enhanced.sandbox.binance.requests import integer
from nautilus_enhanced.sandbox.binance.requests import parse_algo_order
from nautilus_enhanced.sandbox.binance.requests import parse_futures_order
from nautilus_enhanced.sandbox.binance.requests import required
from nautilus_enhanced.sandbox.binance.streams import FuturesStreams
from nautilus_enhanced.sandbox.dialect import NS_PER_MS
from nautilus_enhanced.sandbox.dialect import Answer
from nautilus_enhanced.sandbox.dialect import Request
from nautilus_enhanced.sandbox.dialect import UserEvent
from nautilus_enhanced.sandbox.margin import MAX_LEVERAGE
from nautilus_enhanced.sandbox.margin import MarginAccount
from nautilus_enhanced.sandbox.market import Instrument
from nautilus_enhanced.sandbox.matching import MatchingEngine
from nautilus_enhanced.sandbox.orders import Canceled
from nautilus_enhanced.sandbox.orders import Filled
from nautilus_enhanced.sandbox.orders import Order
from nautilus_enhanced.sandbox.orders import OrderEvent
from nautilus_enhanced.sandbox.orders import OrderRequest
from nautilus_enhanced.sandbox.orders import Rejected
from nautilus_enhanced.sandbox.orders import RejectReason


BASE: Final = "/fapi/v1"
MAX_BATCH: Final = 10


class FuturesExchange(BinanceExchange[FuturesMessages]):
    """
    Serve the REST endpoints of Binance's USDT futures for one account and one contract.

    Positions are net (one-way mode), margin is crossed. Orders that wait for a price have IDs and
    endpoints of their own, and become orders like any other when it comes.

    Parameters
    ----------
    instrument : Instrument
        The contract.
    account : MarginAccount
        The account.
    api_key : str, optional
        The only key that is let in; by default any key is.
    """

    def __init__(
        self, instrument: Instrument, account: MarginAccount, *, api_key: str | None = None
    ) -> None:
        messages = FuturesMessages(instrument)
        super().__init__(
            MatchingEngine(instrument, account),
            messages,
            FuturesStreams(messages),
            base=BASE,
            rejects=FUTURES_REJECTS,
            api_key=api_key,
        )
        self.account = account
        self._endpoints |= {
            ("GET", "/fapi/v2/ticker/price"): (PUBLIC, self._last_price),
            ("GET", f"{BASE}/premiumIndex"): (PUBLIC, self._premium_index),
            ("GET", "/fapi/v2/account"): (KEYED, self._account),
            ("GET", "/fapi/v2/positionRisk"): (KEYED, self._position_risk),
            ("GET", "/fapi/v3/positionRisk"): (KEYED, self._position_risk),
            ("GET", f"{BASE}/symbolConfig"): (KEYED, self._symbol_config),
            ("GET", f"{BASE}/commissionRate"): (KEYED, self._commission_rate),
            ("POST", f"{BASE}/leverage"): (KEYED, self._set_leverage),
            ("POST", f"{BASE}/marginType"): (KEYED, self._set_margin_type),
            ("GET", f"{BASE}/positionSide/dual"): (KEYED, self._position_mode),
            ("POST", f"{BASE}/positionSide/dual"): (KEYED, self._set_position_mode),
            ("PUT", f"{BASE}/order"): (KEYED, self._amend_order),
            ("DELETE", f"{BASE}/allOpenOrders"): (KEYED, self._cancel_all),
            ("DELETE", f"{BASE}/batchOrders"): (KEYED, self._cancel_some),
            ("GET", f"{BASE}/userTrades"): (KEYED, self._own_trades),
            ("POST", f"{BASE}/listenKey"): (KEYED, self._open_stream),
            ("PUT", f"{BASE}/listenKey"): (KEYED, self._keep_stream),
            ("DELETE", f"{BASE}/listenKey"): (KEYED, self._close_stream),
        }
        self._algo_orders = AlgoOrders(self.engine, messages)
        self._endpoints |= {
            ("GET", f"{BASE}/openAlgoOrders"): (KEYED, self._open_algo_orders),
            ("GET", f"{BASE}/allAlgoOrders"): (KEYED, self._all_algo_orders),
            ("GET", f"{BASE}/algoOrder"): (KEYED, self._query_algo_order),
            ("POST", f"{BASE}/algoOrder"): (KEYED, self._new_algo_order),
            ("DELETE", f"{BASE}/algoOrder"): (KEYED, self._cancel_algo_order),
            ("DELETE", f"{BASE}/algoOpenOrders"): (KEYED, self._cancel_all_algo_orders),
        }

    @property
    def api_path(self) -> str:
        """Return the path of the WS-API."""
        return "/ws-fapi/v1"

    def _exchange_info_body(self, now_ms: int) -> dict[str, Any]:
        return self.messages.exchange_info(now_ms)

    def _depth_body(self, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        return {**body, "E": request.now_ms, "T": request.now_ms}

    def _parse_order(self, params: Mapping[str, str], default_id: str) -> OrderRequest:
        return parse_futures_order(params, default_id)

    def _order_body(self, order: Order) -> dict[str, Any]:
        return self.messages.order(order)

    def _new_order_body(
        self,
        order: Order,
        fills: Sequence[Filled],
        params: Mapping[str, str],
    ) -> dict[str, Any]:
        return self.messages.order(order)

    def _premium_index(self, request: Request) -> Answer:
        self._quote()
        body = self.messages.premium_index(self.account.mark_price, request.now_ms)
        return self._one_or_all(request, body)

    def _account(self, request: Request) -> Answer:
        return Answer(body=self.messages.account(self.account, request.now_ms))

    def _position_risk(self, request: Request) -> Answer:
        if request.params.get("symbol"):
            self.check_symbol(request)
        return Answer(body=self.messages.position_risk(self.account, request.now_ms))

    def _symbol_config(self, request: Request) -> Answer:
        if request.params.get("symbol"):
            self.check_symbol(request)
        return Answer(body=self.messages.symbol_config(self.account))

    def _commission_rate(self, request: Request) -> Answer:
        self.check_symbol(request)
        body = {
            "symbol": self.messages.symbol,
            "makerCommissionRate": str(self.account.maker_fee),
            "takerCommissionRate": str(self.account.taker_fee),
        }
        return Answer(body=body)

    def _set_leverage(self, request: Request) -> Answer:
        self.check_symbol(request)
        required(request.params, "leverage")
        leverage = integer(request.params, "leverage") or 0
        if not 1 <= leverage <= MAX_LEVERAGE:
            raise ApiError(-4028, f"Leverage {leverage} is not valid")
        self.account.leverage = leverage
        body = {
            "symbol": self.messages.symbol,
            "leverage": leverage,
            "maxNotionalValue": str(MAX_NOTIONAL),
        }
        return Answer(body=body)

    def _set_margin_type(self, request: Request) -> Answer:
        self.check_symbol(request)
        if required(request.params, "marginType") != "CROSSED":
            raise ApiError(-4047, "Margin type cannot be changed: this venue has crossed margin.")
        return Answer(body={"code": 200, "msg": "success"})

    def _position_mode(self, _: Request) -> Answer:
        return Answer(body={"dualSidePosition": False})

    def _set_position_mode(self, request: Request) -> Answer:
        if required(request.params, "dualSidePosition").lower() == "true":
            raise ApiError(-4068, "Position side cannot be changed: this venue has one-way mode.")
        raise ApiError(-4059, "No need to change position side.")

    def _own_trades(self, request: Request) -> Answer:
        return Answer(body=[self.messages.own_trade(fill) for fill in self._own_fills(request)])

    def _is_listed(self, order: Order) -> bool:
        return not self._algo_orders.is_apart(order)

    def _open_algo_orders(self, request: Request) -> Answer:
        if request.params.get("symbol"):
            self.check_symbol(request)
        return Answer(body=self._algo_orders.waiting())

    def _all_algo_orders(self, request: Request) -> Answer:
        self.check_symbol(request)
        return Answer(body=self._algo_orders.all())

    def _query_algo_order(self, request: Request) -> Answer:
        order = self._algo_orders.find(request.params)
        if order is None:
            raise ApiError(-2013, "Order does not exist.")
        return Answer(body=self._algo_orders.body(order))

    def _new_algo_order(self, request: Request) -> Answer:
        answer = self._submit(request, parse_algo_order)
        order = self.engine.open_orders()[-1]
        return replace(answer, body=self._algo_orders.body(order))

    def _cancel_algo_order(self, request: Request) -> Answer:
        order = self._algo_orders.find(request.params)
        if order is None or not self.engine.is_waiting(order):
            raise self._rejected(RejectReason.UNKNOWN_ORDER)
        event = self.engine.cancel(order_id=order.order_id, now_ns=request.now_ns)
        body = {
            "algoId": algo_id(order),
            "clientAlgoId": order.request.client_order_id,
            "code": "200",
            "msg": "success",
        }
        return Answer(body=body, events=self._user_events([event], request.now_ns))

    def _cancel_all_algo_orders(self, request: Request) -> Answer:
        self.check_symbol(request)
        return self._cancel_those(request, waiting=True)

    def _amend_order(self, request: Request) -> Answer:
        self.check_symbol(request)
        events = self.engine.amend(
            **order_ids(request.params),
            quantity=decimal(request.params, "quantity"),
            price=decimal(request.params, "price"),
            now_ns=request.now_ns,
        )
        if isinstance(events[0], Rejected):
            raise self._rejected(events[0].reason)
        last = events[-1]
        assert not isinstance(last, Rejected)  # noqa: S101 (only the first event can be)
        return Answer(
            body=self.messages.order(last.order),
            events=self._user_events(events, request.now_ns),
        )

    def _cancel_order(self, request: Request) -> Answer:
        self.check_symbol(request)
        event = self._cancel_one(order_ids(request.params), request.now_ns)
        if isinstance(event, Rejected):
            raise self._rejected(event.reason)
        return Answer(
            body=self.messages.order(event.order),
            events=self._user_events([event], request.now_ns),
        )

    def _cancel_one(self, ids: dict[str, Any], now_ns: int) -> Canceled | Rejected:
        order = self.engine.find(**ids)
        if order is not None and not self._is_listed(order):
            name = order.request.client_order_id
            return Rejected(client_order_id=name, reason=RejectReason.UNKNOWN_ORDER)
        return self.engine.cancel(**ids, now_ns=now_ns)

    def _cancel_all(self, request: Request) -> Answer:
        self.check_symbol(request)
        return self._cancel_those(request, waiting=False)

    def _cancel_those(self, request: Request, *, waiting: bool) -> Answer:
        """Cancel the orders that wait for a price, or those that do not."""
        events = [
            self.engine.cancel(order_id=order.order_id, now_ns=request.now_ns)
            for order in self.engine.open_orders()
            if self.engine.is_waiting(order) is waiting
        ]
        return Answer(
            body={"code": 200, "msg": "The operation of cancel all open order is done."},
            events=self._user_events(events, request.now_ns),
        )

    def _cancel_some(self, request: Request) -> Answer:
        self.check_symbol(request)
        bodies: list[dict[str, Any]] = []
        events: list[OrderEvent] = []
        for ids in _batch(request.params):
            event = self._cancel_one(ids, request.now_ns)
            if isinstance(event, Rejected):
                bodies.append(self._rejected(event.reason).body())
            else:
                bodies.append(self.messages.order(event.order))
                events.append(event)
        return Answer(body=bodies, events=self._user_events(events, request.now_ns))

    def _open_stream(self, _: Request) -> Answer:
        return Answer(body={"listenKey": self.open_listen_key()})

    def _keep_stream(self, _: Request) -> Answer:
        if self.listen_key is None:
            raise ApiError(-1125, "This listenKey does not exist.")
        return Answer(body={"listenKey": self.listen_key})

    def _close_stream(self, _: Request) -> Answer:
        self.listen_key = None
        return Answer(body={})

    def _user_events(
        self,
        events: Sequence[OrderEvent],
        now_ns: int,
        cancel_id: str = "",
    ) -> list[UserEvent]:
        """Count events and write them out; a fill is preceded by what it did to the account."""
        now_ms = now_ns // NS_PER_MS
        written: list[UserEvent] = []
        for event in events:
            self._count(event)
            if isinstance(event, Rejected):
                continue
            before, after = self._algo_orders.updates(event, now_ms)
            written += before
            if self._algo_orders.is_apart(event.order):
                continue
            if isinstance(event, Filled):
                for payload in (
                    self.messages.trade_lite(event, now_ms),
                    self.messages.account_update(self.account, now_ms),
                ):
                    written.append(UserEvent(name=payload["e"], payload=payload))
            update = self.messages.order_update(event, now_ms)
            report = UserEvent(
                name=update["e"],
                payload=update,
                client_order_id=event.order.request.client_order_id,
                execution_type=execution_type(event),
                trade_id=event.trade_id if isinstance(event, Filled) else -1,
            )
            written += [report, *after]
        return written


def _batch(params: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the IDs of the orders that a batch names, or raise `ApiError`."""
    for name, key, kind in (
        ("orderIdList", "order_id", int),
        ("origClientOrderIdList", "client_order_id", str),
    ):
        if not params.get(name):
            continue
        try:
            ids = json.loads(params[name])
        except ValueError:
            ids = None
        if not isinstance(ids, list) or not all(isinstance(i, kind) for i in ids):
            raise ApiError(-1100, f"Illegal characters found in parameter '{name}'.")
        if len(ids) > MAX_BATCH:
            raise ApiError(-4082, "Invalid number of batch place orders.")
        return [{key: i} for i in ids]
    raise ApiError(-1102, "Param 'orderIdList' or 'origClientOrderIdList' must be sent.")
