"""
What OKX decides about orders: requests in, answers and messages about the account out, no I/O.

The same requests come over HTTP and over the private websocket.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from typing import Final
from typing import TypeAlias

from nautilus_enhanced.sandbox.dialect import NS_PER_MS
from nautilus_enhanced.sandbox.dialect import OrderCounts
from nautilus_enhanced.sandbox.dialect import UserEvent
from nautilus_enhanced.sandbox.margin import MarginAccount
from nautilus_enhanced.sandbox.matching import MatchingEngine
from nautilus_enhanced.sandbox.okx.market_messages import INSTRUMENT_CODE
from nautilus_enhanced.sandbox.okx.messages import FIRST_ORDER_ID
from nautilus_enhanced.sandbox.okx.messages import FIRST_REFUSED_ID
from nautilus_enhanced.sandbox.okx.messages import Messages
from nautilus_enhanced.sandbox.okx.requests import ApiError
from nautilus_enhanced.sandbox.okx.requests import decimal
from nautilus_enhanced.sandbox.okx.requests import parse_order
from nautilus_enhanced.sandbox.okx.requests import rejected
from nautilus_enhanced.sandbox.okx.requests import whole
from nautilus_enhanced.sandbox.orders import ZERO
from nautilus_enhanced.sandbox.orders import Accepted
from nautilus_enhanced.sandbox.orders import Amended
from nautilus_enhanced.sandbox.orders import Canceled
from nautilus_enhanced.sandbox.orders import Expired
from nautilus_enhanced.sandbox.orders import Filled
from nautilus_enhanced.sandbox.orders import OrderEvent
from nautilus_enhanced.sandbox.orders import OrderRequest
from nautilus_enhanced.sandbox.orders import Rejected
from nautilus_enhanced.sandbox.orders import RejectReason
from nautilus_enhanced.sandbox.orders import Triggered


MAX_BATCH: Final = 20
SUCCESS: Final = "0"
FAILED: Final = "1"
PARTLY: Final = "2"
_AMEND_UNKNOWN: Final = (
    51503,
    "Modification failed as the order has been filled, canceled or does not exist.",
)

_Command: TypeAlias = Callable[[Mapping[str, Any], int], tuple[dict[str, Any], list[UserEvent]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """
    Hold the answer to one or several commands about orders, and what they caused.

    Attributes
    ----------
    code, msg : str
        Of the whole.
    data : list[dict[str, Any]]
        One for each command.
    """

    code: str
    msg: str
    data: list[dict[str, Any]]
    events: list[UserEvent]


class Trading:
    """
    Place, change and cancel orders.

    Parameters
    ----------
    engine : MatchingEngine
        Holds the account and the orders.
    messages : Messages
        Writes the messages.
    """

    def __init__(self, engine: MatchingEngine, messages: Messages) -> None:
        self.engine = engine
        self.messages = messages
        self.counts = OrderCounts()
        self._refused = 0
        # What open orders paid so far: OKX adds up.
        self._paid: dict[int, Decimal] = {}
        self._commands: dict[str, _Command] = {
            "order": self._place,
            "amend-order": self._amend,
            "cancel-order": self._cancel,
        }
        self._commands |= {f"batch-{name}s": command for name, command in self._commands.items()}

    def is_command(self, name: object) -> bool:
        """Return whether there is a command of that name."""
        return name in self._commands

    def run(self, name: str, commands: Sequence[Any], now_ns: int) -> Outcome:
        """
        Run commands, each by itself: one that is refused leaves the others alone.

        Parameters
        ----------
        name : str
            One of OKX's operations, such as ``order`` or ``batch-cancel-orders``.
        commands : Sequence[Any]
            What the client wrote for each.
        now_ns : int
            Unix time in nanoseconds.
        """
        if not 0 < len(commands) <= MAX_BATCH or not all(isinstance(c, dict) for c in commands):
            return Outcome(code="60013", msg="Invalid args", data=[], events=[])
        data: list[dict[str, Any]] = []
        events: list[UserEvent] = []
        failures = 0
        for command in commands:
            answer = {
                "clOrdId": str(command.get("clOrdId") or ""),
                "ordId": str(command.get("ordId") or ""),
                "sCode": SUCCESS,
                "sMsg": "",
                "tag": "",
                "ts": str(now_ns // NS_PER_MS),
            }
            try:
                self._check_instrument(command)
                fields, caused = self._commands[name](command, now_ns)
            except ApiError as e:
                failures += 1
                answer |= {"sCode": e.code, "sMsg": e.msg}
            else:
                answer |= fields
                events += caused
            data.append(answer)
        code = SUCCESS if not failures else FAILED if failures == len(data) else PARTLY
        msg = "" if code == SUCCESS else "All operations failed"
        return Outcome(code=code, msg=msg, data=data, events=events)

    def order_events(self, events: Sequence[OrderEvent], now_ns: int) -> list[UserEvent]:
        """Count events and write them out, followed by the account as it is now."""
        written = []
        for event in events:
            if isinstance(event, Rejected | Triggered):
                continue
            self._count(event)
            order_id = event.order.order_id
            paid = self._paid.pop(order_id, ZERO)
            if isinstance(event, Filled):
                paid += event.commission
            if event.order.is_open and paid:
                self._paid[order_id] = paid
            written.append(self._report(self.messages.order_event(event, paid), event))
        account = self.engine.account
        now_ms = now_ns // NS_PER_MS
        written.append(UserEvent(name="account", payload=self.messages.account(account, now_ms)))
        if isinstance(account, MarginAccount) and any(isinstance(e, Filled) for e in events):
            position = self.messages.position(account, now_ms)
            written.append(UserEvent(name="positions", payload=position))
        return written

    def order_ids(self, params: Mapping[str, Any]) -> Any:
        """Return the IDs that a request names an order by, or raise `ApiError`."""
        order_id, name = whole(params, "ordId"), str(params.get("clOrdId") or "")
        if order_id is None and not name:
            raise ApiError(50014, "Parameter ordId or clOrdId can not be empty.")
        if order_id is None:
            return {"client_order_id": name}
        return {"order_id": order_id - FIRST_ORDER_ID}

    def _check_instrument(self, params: Mapping[str, Any]) -> None:
        """Raise `ApiError` 51001 unless a command is about the instrument."""
        named, code = params.get("instId"), params.get("instIdCode")
        is_named = named is not None or code is not None
        right_name = named in {None, self.messages.units.name}
        right_code = code is None or str(code) == str(INSTRUMENT_CODE)
        if not (is_named and right_name and right_code):
            raise ApiError(51001, "Instrument ID does not exist.")

    def _place(
        self, params: Mapping[str, Any], now_ns: int
    ) -> tuple[dict[str, Any], list[UserEvent]]:
        self.counts.received += 1
        try:
            default_id = f"loopback{self.counts.received}"
            request = parse_order(params, self.messages.units, default_id)
            events = self.engine.submit(request, now_ns=now_ns)
            first = events[0]
            if isinstance(first, Rejected) and first.reason is RejectReason.WOULD_CROSS:
                self.counts.rejected += 1
                return self._refuse_post_only(request, now_ns // NS_PER_MS)
            if isinstance(first, Rejected):
                raise rejected(first.reason)
        except ApiError:
            self.counts.rejected += 1
            raise
        order_id = FIRST_ORDER_ID + first.order.order_id
        fields = {"clOrdId": request.client_order_id, "ordId": str(order_id)}
        return fields, self.order_events(events, now_ns)

    def _refuse_post_only(
        self, request: OrderRequest, now_ms: int
    ) -> tuple[dict[str, Any], list[UserEvent]]:
        """Take the order and cancel it, as OKX does where others reject."""
        self._refused += 1
        order_id = FIRST_REFUSED_ID + self._refused
        payload = self.messages.refused_post_only(request, order_id, now_ms)
        fields = {"clOrdId": request.client_order_id, "ordId": str(order_id)}
        return fields, [self._report(payload)]

    def _amend(
        self, params: Mapping[str, Any], now_ns: int
    ) -> tuple[dict[str, Any], list[UserEvent]]:
        ids = self.order_ids(params)
        order = self.engine.find(**ids)
        if order is None or order.request.price is None:
            raise ApiError(*_AMEND_UNKNOWN)
        units, request = self.messages.units, order.request
        quantity, price = request.quantity, order.request.price
        if params.get("newSz"):
            quantity = units.base(decimal(params, "newSz"))
        if params.get("newPx"):
            price = decimal(params, "newPx")
        events = self.engine.amend(**ids, quantity=quantity, price=price, now_ns=now_ns)
        if isinstance(events[0], Rejected):
            if events[0].reason is RejectReason.UNKNOWN_ORDER:
                raise ApiError(*_AMEND_UNKNOWN)
            raise rejected(events[0].reason)
        fields = {
            "clOrdId": request.client_order_id,
            "ordId": str(FIRST_ORDER_ID + order.order_id),
            "reqId": str(params.get("reqId") or ""),
        }
        return fields, self.order_events(events, now_ns)

    def _cancel(
        self, params: Mapping[str, Any], now_ns: int
    ) -> tuple[dict[str, Any], list[UserEvent]]:
        event = self.engine.cancel(**self.order_ids(params), now_ns=now_ns)
        if isinstance(event, Rejected):
            raise rejected(event.reason)
        fields = {
            "clOrdId": event.order.request.client_order_id,
            "ordId": str(FIRST_ORDER_ID + event.order.order_id),
        }
        return fields, self.order_events([event], now_ns)

    def _report(self, payload: dict[str, Any], event: OrderEvent | None = None) -> UserEvent:
        return UserEvent(
            name="orders",
            payload=payload,
            client_order_id=payload["clOrdId"],
            execution_type=payload["state"],
            trade_id=event.trade_id if isinstance(event, Filled) else -1,
        )

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
