"""
What Bybit's orders do on a loopback venue: requests in, results and messages out, no I/O.

The same operations come over the trade socket and by REST.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from typing import Final
from typing import TypeAlias

from nautilus_enhanced.sandbox.bybit.account_messages import AccountMessages
from nautilus_enhanced.sandbox.bybit.account_messages import number_of
from nautilus_enhanced.sandbox.bybit.account_messages import order_id
from nautilus_enhanced.sandbox.bybit.market_messages import MarketMessages
from nautilus_enhanced.sandbox.bybit.requests import NOT_SUPPORTED
from nautilus_enhanced.sandbox.bybit.requests import OK
from nautilus_enhanced.sandbox.bybit.requests import PARAMETER_ERROR
from nautilus_enhanced.sandbox.bybit.requests import ApiError
from nautilus_enhanced.sandbox.bybit.requests import decimal
from nautilus_enhanced.sandbox.bybit.requests import parse_order
from nautilus_enhanced.sandbox.bybit.requests import rejected
from nautilus_enhanced.sandbox.bybit.requests import required
from nautilus_enhanced.sandbox.dialect import NS_PER_MS
from nautilus_enhanced.sandbox.dialect import OrderCounts
from nautilus_enhanced.sandbox.dialect import UserEvent
from nautilus_enhanced.sandbox.margin import MarginAccount
from nautilus_enhanced.sandbox.matching import MatchingEngine
from nautilus_enhanced.sandbox.orders import ZERO
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
from nautilus_enhanced.sandbox.orders import Triggered


MAX_BATCH: Final = 20

# The IDs of an order, and the messages about the account.
_Done: TypeAlias = tuple[dict[str, Any], list[UserEvent]]


class OrderDesk:
    """
    Carry out operations on orders, and tell what became of them.

    Parameters
    ----------
    engine : MatchingEngine
        Holds the account and the orders.
    market : MarketMessages
        Knows symbol and category.
    messages : AccountMessages
        Writes orders and executions.
    """

    def __init__(
        self, engine: MatchingEngine, market: MarketMessages, messages: AccountMessages
    ) -> None:
        self.counts = OrderCounts()
        self.loans: dict[str, Decimal] = {}
        self._engine = engine
        self._market = market
        self._messages = messages
        self._refused = 0
        self._operations: dict[str, Callable[[Mapping[str, Any], int], _Done]] = {
            "order.create": self._create,
            "order.amend": self._amend,
            "order.cancel": self._cancel,
        }

    def call(
        self, op: str, params: Mapping[str, Any], now_ns: int
    ) -> tuple[dict[str, Any], dict[str, Any], list[UserEvent]]:
        """
        Carry out an operation.

        Parameters
        ----------
        op : str
            ``order.create``, ``order.amend``, ``order.cancel``, or one of these with ``-batch``.

        Returns
        -------
        tuple
            The result; what else the answer says, for each order of a batch; and the messages
            about the account.

        Raises
        ------
        ApiError
            If it is refused; of a batch each order is by itself.
        """
        operation = self._operations.get(op.removesuffix("-batch"))
        if operation is None:
            raise ApiError(NOT_SUPPORTED, f"{op} is not served by the loopback venue.")
        if op.endswith("-batch"):
            return self._batch(operation, params, now_ns)
        ids, events = operation(params, now_ns)
        return ids, {}, events

    def cancel_all(self, now_ns: int) -> tuple[dict[str, Any], list[UserEvent]]:
        """Cancel all open orders."""
        events = self._engine.cancel_all(now_ns=now_ns)
        ids = [_ids(event.order) for event in events]
        return {"list": ids, "success": "1"}, self.tell(events, now_ns)

    def check_instrument(self, params: Mapping[str, Any]) -> None:
        """Raise `ApiError` 10001 unless a request is about the instrument."""
        if required(params, "category") != self._market.category.value:
            raise ApiError(PARAMETER_ERROR, "params error: category is not served here")
        if required(params, "symbol") != self._market.symbol:
            raise ApiError(PARAMETER_ERROR, "params error: symbol invalid")

    def find(self, params: Mapping[str, Any]) -> Order | None:
        """Return the order that a request names by either ID, or None."""
        said = params.get("orderId")
        if said:
            return self._engine.find(order_id=number_of(str(said)))
        return self._engine.find(client_order_id=str(params.get("orderLinkId") or ""))

    def body(self, order: Order) -> dict[str, Any]:
        """Return an order as it is listed."""
        return self._messages.order(order, is_waiting=self._engine.is_waiting(order))

    def tell(self, events: Sequence[OrderEvent], now_ns: int) -> list[UserEvent]:
        """Count events and write them out, followed by what they did to the account."""
        told: list[UserEvent] = []
        for event in events:
            _count(self.counts, event)
            if isinstance(event, Rejected):
                continue
            order = event.order
            if isinstance(event, Filled):
                told.append(
                    UserEvent(
                        name="execution",
                        payload=_payload(self._messages.execution(event, self.mark), now_ns),
                        client_order_id=order.request.client_order_id,
                        execution_type="Trade",
                        trade_id=event.trade_id,
                    )
                )
            body = self.body(order)
            if isinstance(event, Triggered):
                body["orderStatus"] = "Triggered"
            told.append(_order_event(body, now_ns))
        if any(isinstance(event, Filled) for event in events) and self.margin is not None:
            position = self._messages.position(self.margin, now_ns // NS_PER_MS)
            told.append(UserEvent(name="position", payload=_payload(position, now_ns)))
        if told:
            told.append(UserEvent(name="wallet", payload=_payload(self.wallet(), now_ns)))
        return told

    @property
    def margin(self) -> MarginAccount | None:
        """Return the account of a contract, None on spot."""
        account = self._engine.account
        return account if isinstance(account, MarginAccount) else None

    @property
    def mark(self) -> Decimal:
        """Return the middle of the last quote, zero before the first."""
        quote = self._engine.quote
        return (quote.bid + quote.ask) / 2 if quote else ZERO

    def wallet(self) -> dict[str, Any]:
        """Return the wallet as it is now."""
        margin = self.margin
        if margin is not None:
            loan = self.loans.get(margin.asset, ZERO)
            return self._messages.wallet([self._messages.margin_coin(margin, loan)], margin)
        coins = self._messages.spot_coins(self._engine.balances, self.loans)
        return self._messages.wallet(coins, None)

    # -- operations ------------------------------------------------------------------------------

    def _create(self, params: Mapping[str, Any], now_ns: int) -> _Done:
        self.counts.received += 1
        default_id = f"loopback-{self.counts.received}"
        try:
            self.check_instrument(params)
            request = parse_order(params, self._market.category, default_id)
            events = self._engine.submit(request, now_ns=now_ns)
            first = events[0]
            if isinstance(first, Rejected):
                if first.reason is RejectReason.WOULD_CROSS:
                    return self._refuse_post_only(request, now_ns)
                raise rejected(self._market.category, first.reason)
        except ApiError:
            self.counts.rejected += 1
            raise
        return _ids(first.order), self.tell(events, now_ns)

    def _refuse_post_only(self, request: OrderRequest, now_ns: int) -> _Done:
        """Take an order and take it off again, as Bybit does."""
        self.counts.rejected += 1
        self._refused += 1
        name, now_ms = f"loopback-refused-{self._refused}", now_ns // NS_PER_MS
        data = self._messages.refused_post_only(request, name, now_ms)
        ids = {"orderId": name, "orderLinkId": request.client_order_id}
        return ids, [_order_event(data, now_ns)]

    def _amend(self, params: Mapping[str, Any], now_ns: int) -> _Done:
        self.check_instrument(params)
        order = self.find(params)
        if order is None or order.request.price is None:
            raise rejected(self._market.category, RejectReason.UNKNOWN_ORDER)
        request = order.request
        price = decimal(params, "price") if params.get("price") else order.request.price
        events = self._engine.amend(
            order_id=order.order_id,
            quantity=decimal(params, "qty") if params.get("qty") else request.quantity,
            price=price,
            now_ns=now_ns,
        )
        if isinstance(events[0], Rejected):
            raise rejected(self._market.category, events[0].reason)
        return _ids(order), self.tell(events, now_ns)

    def _cancel(self, params: Mapping[str, Any], now_ns: int) -> _Done:
        self.check_instrument(params)
        order = self.find(params)
        number = order.order_id if order else -1
        event = self._engine.cancel(order_id=number, now_ns=now_ns)
        if isinstance(event, Rejected):
            raise rejected(self._market.category, event.reason)
        return _ids(event.order), self.tell([event], now_ns)

    def _batch(
        self,
        operation: Callable[[Mapping[str, Any], int], _Done],
        params: Mapping[str, Any],
        now_ns: int,
    ) -> tuple[dict[str, Any], dict[str, Any], list[UserEvent]]:
        said = params.get("request")
        requests = [r for r in said if isinstance(r, dict)] if isinstance(said, list) else []
        if not 1 <= len(requests) <= MAX_BATCH:
            raise ApiError(PARAMETER_ERROR, f"params error: from 1 to {MAX_BATCH} orders")
        category = params.get("category")
        data: list[dict[str, Any]] = []
        codes: list[dict[str, Any]] = []
        told: list[UserEvent] = []
        for request in requests:
            common = {"category": category, "symbol": request.get("symbol", "")}
            try:
                ids, events = operation({"category": category, **request}, now_ns)
                codes.append({"code": OK, "msg": "OK"})
                told += events
            except ApiError as error:
                ids = {"orderId": "", "orderLinkId": request.get("orderLinkId", "")}
                codes.append({"code": error.code, "msg": error.msg})
            data.append(common | ids)
        return {"list": data}, {"list": codes}, told


def _payload(data: dict[str, Any], now_ns: int) -> dict[str, Any]:
    """Return what the envelope of a topic is made of."""
    return {"creationTime": now_ns // NS_PER_MS, "data": data}


def _order_event(body: dict[str, Any], now_ns: int) -> UserEvent:
    return UserEvent(
        name="order",
        payload=_payload(body, now_ns),
        client_order_id=body["orderLinkId"],
        execution_type=body["orderStatus"],
    )


def _ids(order: Order) -> dict[str, Any]:
    return {"orderId": order_id(order), "orderLinkId": order.request.client_order_id}


def _count(counts: OrderCounts, event: OrderEvent) -> None:
    if isinstance(event, Accepted):
        counts.accepted += 1
    elif isinstance(event, Filled):
        counts.fills += 1
    elif isinstance(event, Amended):
        counts.amends += 1
    elif isinstance(event, Canceled):
        counts.cancels += 1
    elif isinstance(event, Expired):
        counts.expired += 1
