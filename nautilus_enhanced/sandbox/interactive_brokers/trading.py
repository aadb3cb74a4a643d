"""
What TWS decides about orders: requests in, errors and messages about the account out, no I/O.

Clients number their orders themselves; a number that was used names an order to change.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from typing import Any
from typing import Final

from nautilus_enhanced.sandbox.dialect import OrderCounts
from nautilus_enhanced.sandbox.dialect import UserEvent
from nautilus_enhanced.sandbox.interactive_brokers.accounts import BrokerAccount
from nautilus_enhanced.sandbox.interactive_brokers.messages import Messages
from nautilus_enhanced.sandbox.interactive_brokers.messages import Placed
from nautilus_enhanced.sandbox.interactive_brokers.messages import error
from nautilus_enhanced.sandbox.interactive_brokers.requests import CANCEL_IMPOSSIBLE
from nautilus_enhanced.sandbox.interactive_brokers.requests import CANCEL_UNKNOWN
from nautilus_enhanced.sandbox.interactive_brokers.requests import CANCELED
from nautilus_enhanced.sandbox.interactive_brokers.requests import DUPLICATE_ORDER_ID
from nautilus_enhanced.sandbox.interactive_brokers.requests import FILLED_ALREADY
from nautilus_enhanced.sandbox.interactive_brokers.requests import NO_SECURITY
from nautilus_enhanced.sandbox.interactive_brokers.requests import NO_SECURITY_TEXT
from nautilus_enhanced.sandbox.interactive_brokers.requests import ORDER_MISMATCH
from nautilus_enhanced.sandbox.interactive_brokers.requests import ApiError
from nautilus_enhanced.sandbox.interactive_brokers.requests import parse_order
from nautilus_enhanced.sandbox.interactive_brokers.requests import rejected
from nautilus_enhanced.sandbox.matching import MatchingEngine
from nautilus_enhanced.sandbox.orders import Accepted
from nautilus_enhanced.sandbox.orders import Amended
from nautilus_enhanced.sandbox.orders import Canceled
from nautilus_enhanced.sandbox.orders import Expired
from nautilus_enhanced.sandbox.orders import Filled
from nautilus_enhanced.sandbox.orders import LiveEvent
from nautilus_enhanced.sandbox.orders import Order
from nautilus_enhanced.sandbox.orders import OrderEvent
from nautilus_enhanced.sandbox.orders import OrderStatus
from nautilus_enhanced.sandbox.orders import Rejected
from nautilus_enhanced.sandbox.orders import RejectReason


# As many as the matching engine remembers, open and closed.
MAX_PLACED: Final = 20_000
CANCELED_TEXT: Final = "Order Canceled - reason:"


@dataclass(frozen=True, kw_only=True, slots=True)
class Addressed:
    """Hold a message that is for the sessions of one client."""

    client_id: int
    frame: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """Hold what a client is told at once, and what the request caused."""

    frames: Sequence[bytes] = ()
    events: Sequence[UserEvent] = ()


@dataclass(kw_only=True, slots=True)
class _Book:
    """Remember who placed which order."""

    placed: OrderedDict[int, Placed] = field(default_factory=OrderedDict)
    numbers: dict[tuple[int, int], int] = field(default_factory=dict)
    last_ids: dict[int, int] = field(default_factory=dict)


class Trading:
    """
    Place, change and cancel orders.

    Parameters
    ----------
    engine : MatchingEngine
        Holds the account and the orders.
    account : BrokerAccount
        The account.
    messages : Messages
        Writes the messages.
    """

    def __init__(self, engine: MatchingEngine, account: BrokerAccount, messages: Messages) -> None:
        self.engine = engine
        self.account = account
        self.messages = messages
        self.counts = OrderCounts()
        self._book = _Book()

    def next_order_id(self, client_id: int) -> int:
        """Return the least number that a client may give an order."""
        return self._book.last_ids.get(client_id, 0) + 1

    def place(self, client_id: int, request: Any, now_ns: int) -> Outcome:
        """
        Place an order, or change the one that has its number.

        Parameters
        ----------
        client_id : int
            Who asks.
        request : Any
            The protobuf message ``PlaceOrderRequest``.
        now_ns : int
            Unix time in nanoseconds.
        """
        order_id = request.orderId
        known = self._find(client_id, order_id)
        try:
            if not self.messages.listing.matches(request.contract):
                raise ApiError(NO_SECURITY, NO_SECURITY_TEXT)  # noqa: TRY301 (one place answers)
            if known is not None:
                return self._change(known, request, now_ns)
            return self._submit(client_id, request, now_ns)
        except ApiError as e:
            return Outcome(frames=[error(order_id, e.code, e.text, now_ns)])

    def cancel(self, client_id: int, order_id: int, now_ns: int) -> Outcome:
        """Cancel an order of the client that asks."""
        order = self._find(client_id, order_id)
        if order is None:
            text = f"OrderId {order_id} that needs to be cancelled is not found."
            return Outcome(frames=[error(order_id, CANCEL_UNKNOWN, text, now_ns)])
        event = self.engine.cancel(order_id=order.order_id, now_ns=now_ns)
        if isinstance(event, Rejected):
            status = self.messages.status(order, is_waiting=False)
            text = (
                f"OrderId {order_id} that needs to be cancelled cannot be cancelled, "
                f"state: {status}."
            )
            return Outcome(frames=[error(order_id, CANCEL_IMPOSSIBLE, text, now_ns)])
        return Outcome(events=self.order_events([event], now_ns))

    def cancel_all(self, now_ns: int) -> Outcome:
        """Cancel the open orders of all clients."""
        return Outcome(events=self.order_events(self.engine.cancel_all(now_ns=now_ns), now_ns))

    def open_orders(self, client_id: int | None) -> list[bytes]:
        """Return the open orders of a client, or of all."""
        frames = []
        for order in self.engine.open_orders():
            placed = self._book.placed[order.order_id]
            if client_id in {None, placed.client_id}:
                status = self._status(order)
                frames += [
                    self.messages.open_order(placed, order, status),
                    self.messages.order_status(placed, order, status),
                ]
        return frames

    def fills(self) -> Iterator[tuple[Placed, Filled]]:
        """Yield the remembered fills with their orders, oldest first."""
        for fill in self.engine.fills:
            placed = self._book.placed.get(fill.order.order_id)
            if placed is not None:
                yield placed, fill

    def order_events(self, events: Sequence[OrderEvent], now_ns: int) -> list[UserEvent]:
        """Count events and write them out, followed by the position if it has changed."""
        written: list[UserEvent] = []
        for event in events:
            if isinstance(event, Rejected):
                continue
            self._count(event)
            written += self._write(event, self._book.placed[event.order.order_id], now_ns)
        if any(isinstance(event, Filled) for event in events):
            position = self.messages.position(self.account)
            written.append(UserEvent(name="position", payload=position))
        return written

    def _submit(self, client_id: int, request: Any, now_ns: int) -> Outcome:
        order_id = request.orderId
        if order_id < self.next_order_id(client_id):
            raise ApiError(DUPLICATE_ORDER_ID, "Duplicate order ID")
        self._book.last_ids[client_id] = order_id
        self.counts.received += 1
        try:
            wanted = parse_order(request.order, f"{client_id}:{order_id}")
            events = self.engine.submit(wanted, now_ns=now_ns)
            if _reason(events) is RejectReason.WOULD_TRIGGER:
                # It triggers at once.
                at_once = replace(wanted, trigger_price=None)
                events = self.engine.submit(at_once, now_ns=now_ns)
            reason = _reason(events)
            if reason is not None:
                raise rejected(reason)
        except ApiError:
            self.counts.rejected += 1
            raise
        placed = Placed(
            client_id=client_id, order_id=order_id, contract=request.contract, order=request.order
        )
        self._remember(placed, events[0])
        return Outcome(events=self.order_events(events, now_ns))

    def _change(self, order: Order, request: Any, now_ns: int) -> Outcome:
        if order.status is OrderStatus.FILLED:
            raise ApiError(FILLED_ALREADY, "Cannot modify a filled order.")
        if not order.is_open:
            raise ApiError(DUPLICATE_ORDER_ID, "Duplicate order ID")
        wanted = parse_order(request.order, order.request.client_order_id)
        if self.engine.is_waiting(order) or wanted.price is None:
            text = "Order being modified does not match original order."
            raise ApiError(ORDER_MISMATCH, text)
        events = self.engine.amend(
            order_id=order.order_id, quantity=wanted.quantity, price=wanted.price, now_ns=now_ns
        )
        reason = _reason(events)
        if reason is not None:
            raise rejected(reason)
        self._book.placed[order.order_id].order = request.order
        return Outcome(events=self.order_events(events, now_ns))

    def _write(self, event: LiveEvent, placed: Placed, now_ns: int) -> list[UserEvent]:
        order, messages = event.order, self.messages
        status = self._status(order)
        whole = messages.open_order(placed, order, status)
        if isinstance(event, Filled):
            return [
                self._event(
                    "execDetails", placed, messages.execution(placed, event), "Fill", event.trade_id
                ),
                self._event("openOrder", placed, whole),
                self._event(
                    "orderStatus",
                    placed,
                    messages.order_status(placed, order, status, event.price),
                ),
                self._event("commissionReport", placed, messages.commission(event)),
            ]
        written = self._event(
            "orderStatus", placed, messages.order_status(placed, order, status), status
        )
        if isinstance(event, Canceled | Expired):
            notice = error(placed.order_id, CANCELED, CANCELED_TEXT, now_ns)
            return [written, self._event("error", placed, notice)]
        return [self._event("openOrder", placed, whole), written]

    def _event(
        self, name: str, placed: Placed, frame: bytes, kind: str = "", trade_id: int = -1
    ) -> UserEvent:
        return UserEvent(
            name=name,
            payload=Addressed(client_id=placed.client_id, frame=frame),
            client_order_id=placed.client_order_id,
            execution_type=kind,
            trade_id=trade_id,
        )

    def _status(self, order: Order) -> str:
        return self.messages.status(order, is_waiting=self.engine.is_waiting(order))

    def _find(self, client_id: int, order_id: int) -> Order | None:
        number = self._book.numbers.get((client_id, order_id))
        return None if number is None else self.engine.find(order_id=number)

    def _remember(self, placed: Placed, event: OrderEvent) -> None:
        assert isinstance(event, Accepted)  # noqa: S101 (it was not rejected)
        book, number = self._book, event.order.order_id
        book.placed[number] = placed
        book.numbers[placed.client_id, placed.order_id] = number
        if len(book.placed) > MAX_PLACED:
            oldest = next(n for n in book.placed if not self._is_open(n))
            forgotten = book.placed.pop(oldest)
            del book.numbers[forgotten.client_id, forgotten.order_id]

    def _is_open(self, number: int) -> bool:
        order = self.engine.find(order_id=number)
        return order is not None and order.is_open

    def _count(self, event: LiveEvent) -> None:
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


def _reason(events: Sequence[OrderEvent]) -> RejectReason | None:
    first = events[0]
    return first.reason if isinstance(first, Rejected) else None
