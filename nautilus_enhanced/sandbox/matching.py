"""
A matching engine for one instrument and one account: pure, without I/O or clock.

The book is made up from the last quote. What the quote shows is at the touch; behind it lie
`DEPTH_LEVELS` - 1 more levels, one tick apart, each of the size shown at the touch. A taker
walks these levels, each at its own price, and what it took stays taken until the next quote.
A resting order fills at its own price when a quote's opposite side reaches it, for no more than
lies at or better than that price; every quote is new liquidity. Trades between others fill
nothing, and the account's own orders do not meet each other.

A commission is paid in the asset that was received, cut off at `COMMISSION_QUANTUM`.
"""

from __future__ import annotations

from bisect import insort
from collections import OrderedDict
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from decimal import ROUND_DOWN
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from nautilus_enhanced.sandbox.market import Instrument
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.orders import ZERO
from nautilus_enhanced.sandbox.orders import Accepted
from nautilus_enhanced.sandbox.orders import Balance
from nautilus_enhanced.sandbox.orders import Canceled
from nautilus_enhanced.sandbox.orders import Expired
from nautilus_enhanced.sandbox.orders import Filled
from nautilus_enhanced.sandbox.orders import Order
from nautilus_enhanced.sandbox.orders import OrderEvent
from nautilus_enhanced.sandbox.orders import OrderKind
from nautilus_enhanced.sandbox.orders import OrderRequest
from nautilus_enhanced.sandbox.orders import OrderStatus
from nautilus_enhanced.sandbox.orders import Rejected
from nautilus_enhanced.sandbox.orders import RejectReason
from nautilus_enhanced.sandbox.orders import Side
from nautilus_enhanced.sandbox.orders import TimeInForce


DEPTH_LEVELS: Final = 10
COMMISSION_QUANTUM: Final = Decimal("0.00000001")


class MatchingEngine:
    """
    Match one account's orders against a stream of quotes.

    Parameters
    ----------
    instrument : Instrument
        What is traded, and the rules for orders.
    balances : Mapping[str, Decimal]
        What the account has at first, by asset.
    maker_fee, taker_fee : Decimal
        As a fraction of what is received.
    max_open_orders : int
        Further orders are rejected.
    max_history : int
        How many closed orders, and how many fills, are remembered; the oldest are forgotten.
    """

    def __init__(
        self,
        instrument: Instrument,
        *,
        balances: Mapping[str, Decimal],
        maker_fee: Decimal = Decimal("0.001"),
        taker_fee: Decimal = Decimal("0.001"),
        max_open_orders: int = 10_000,
        max_history: int = 10_000,
    ) -> None:
        self.instrument = instrument
        self.maker_fee = maker_fee
        self.taker_fee = taker_fee
        self._max_open_orders = max_open_orders
        self._max_history = max_history
        self._balances = {asset: Balance(free=amount) for asset, amount in balances.items()}
        for asset in (instrument.base, instrument.quote):
            self._balances.setdefault(asset, Balance())
        self._quote: Quote | None = None
        self._depth: dict[Side, list[tuple[Decimal, Decimal]]] = {}
        self._open: dict[int, Order] = {}
        self._open_by_client_id: dict[str, int] = {}
        self._closed: OrderedDict[int, Order] = OrderedDict()
        self._fills: deque[Filled] = deque(maxlen=max_history)
        # Open orders by price and time, best first: (signed price, order_id).
        self._resting: dict[Side, list[tuple[Decimal, int]]] = {Side.BUY: [], Side.SELL: []}
        self._last_order_id = 0
        self._last_trade_id = 0

    @property
    def quote(self) -> Quote | None:
        """Return the last quote, or None before the first."""
        return self._quote

    @property
    def balances(self) -> Mapping[str, Balance]:
        """Return what the account has now, by asset; read-only."""
        return MappingProxyType(self._balances)

    @property
    def fills(self) -> tuple[Filled, ...]:
        """Return the remembered fills, oldest first."""
        return tuple(self._fills)

    def open_orders(self) -> tuple[Order, ...]:
        """Return the open orders, oldest first."""
        return tuple(self._open.values())

    def orders(self) -> tuple[Order, ...]:
        """Return the remembered orders, open and closed, oldest first."""
        return tuple(sorted((*self._closed.values(), *self._open.values()), key=_order_id))

    def find(
        self, *, order_id: int | None = None, client_order_id: str | None = None
    ) -> Order | None:
        """Return an order by either ID, open before closed and the newest first, or None."""
        if order_id is not None:
            return self._open.get(order_id) or self._closed.get(order_id)
        open_id = self._open_by_client_id.get(client_order_id or "")
        if open_id is not None:
            return self._open[open_id]
        return next(
            (
                o
                for o in reversed(self._closed.values())
                if o.request.client_order_id == client_order_id
            ),
            None,
        )

    def depth(self, side: Side) -> tuple[tuple[Decimal, Decimal], ...]:
        """Return price and size of the levels that `side` would take from, best first."""
        return tuple(level for level in self._levels(side) if level[1])

    def on_quote(self, quote: Quote, *, now_ns: int) -> list[OrderEvent]:
        """Take a quote, and return the fills of the resting orders that it reaches."""
        self._quote = quote
        self._depth.clear()
        buys, sells = self._resting[Side.BUY], self._resting[Side.SELL]
        events: list[OrderEvent] = []
        if buys and -buys[0][0] >= quote.ask:
            events += self._fill_resting(Side.BUY, now_ns)
        if sells and sells[0][0] <= quote.bid:
            events += self._fill_resting(Side.SELL, now_ns)
        return events

    def submit(self, request: OrderRequest, *, now_ns: int) -> list[OrderEvent]:
        """
        Take an order, and return what became of it at once.

        The first event is `Accepted` or `Rejected`; after `Accepted` come its fills, and
        `Expired` when the rest may not rest.
        """
        takes = self._takes(request)
        reason = self._refusal(request, takes)
        if reason is not None:
            return [Rejected(client_order_id=request.client_order_id, reason=reason)]
        self._last_order_id += 1
        order = Order(
            order_id=self._last_order_id,
            request=request,
            status=OrderStatus.NEW,
            filled=ZERO,
            filled_quote=ZERO,
            locked=self._cost(request, takes),
            created_ns=now_ns,
            updated_ns=now_ns,
        )
        asset = self._paid_asset(request.side)
        self._move(asset, free=-order.locked, locked=order.locked)
        self._store(order)
        events: list[OrderEvent] = [Accepted(order=order)]
        if request.time_in_force is TimeInForce.FOK and _total(takes) < request.quantity:
            takes = []
        for price, quantity in takes:
            self._take(request.side, price, quantity)
            fill = self._fill(order, quantity, price, is_maker=False, now_ns=now_ns)
            order = fill.order
            events.append(fill)
        may_rest = request.kind is not OrderKind.MARKET and request.time_in_force is TimeInForce.GTC
        if order.is_open and may_rest:
            insort(self._resting[request.side], self._rank(order))
        elif order.is_open:
            events.append(Expired(order=self._close(order, OrderStatus.EXPIRED, now_ns)))
        return events

    def cancel(
        self, *, order_id: int | None = None, client_order_id: str | None = None, now_ns: int
    ) -> Canceled | Rejected:
        """Take an open order off the book by either ID; reject when there is none."""
        order = self.find(order_id=order_id, client_order_id=client_order_id)
        if order is None or not order.is_open:
            name = client_order_id or (order.request.client_order_id if order else "")
            return Rejected(client_order_id=name, reason=RejectReason.UNKNOWN_ORDER)
        self._resting[order.request.side].remove(self._rank(order))
        return Canceled(order=self._close(order, OrderStatus.CANCELED, now_ns))

    def cancel_all(self, *, now_ns: int) -> list[Canceled]:
        """Take all open orders off the book, oldest first."""
        canceled = (self.cancel(order_id=i, now_ns=now_ns) for i in tuple(self._open))
        return [event for event in canceled if isinstance(event, Canceled)]

    def _refusal(  # noqa: PLR0911 (one return for each rule)
        self, request: OrderRequest, takes: list[tuple[Decimal, Decimal]]
    ) -> RejectReason | None:
        rules = self.instrument
        if not ZERO < request.quantity <= rules.max_quantity:
            return RejectReason.QUANTITY_RANGE
        if request.quantity % rules.step_size:
            return RejectReason.STEP_SIZE
        if request.client_order_id in self._open_by_client_id:
            return RejectReason.DUPLICATE_CLIENT_ID
        if len(self._open) >= self._max_open_orders:
            return RejectReason.TOO_MANY_ORDERS
        price = request.price
        if price is None:
            if self._quote is None:
                return RejectReason.NO_MARKET
            price = self._quote.ask if request.side is Side.BUY else self._quote.bid
        elif not ZERO < price <= rules.max_price:
            return RejectReason.PRICE_RANGE
        elif price % rules.tick_size:
            return RejectReason.TICK_SIZE
        if price * request.quantity < rules.min_notional:
            return RejectReason.MIN_NOTIONAL
        if request.kind is OrderKind.POST_ONLY and self._is_reached(request):
            return RejectReason.WOULD_CROSS
        if self._cost(request, takes) > self._balances[self._paid_asset(request.side)].free:
            return RejectReason.INSUFFICIENT_BALANCE
        return None

    def _is_reached(self, request: OrderRequest) -> bool:
        quote, limit = self._quote, request.price
        if quote is None or limit is None:
            return False
        return limit >= quote.ask if request.side is Side.BUY else limit <= quote.bid

    def _cost(self, request: OrderRequest, takes: list[tuple[Decimal, Decimal]]) -> Decimal:
        """Return what the order locks: at its limit, or for a market order what it will take."""
        if request.side is Side.SELL:
            return request.quantity
        if request.price is not None:
            return request.quantity * request.price
        return sum((price * quantity for price, quantity in takes), ZERO)

    def _levels(self, side: Side) -> list[tuple[Decimal, Decimal]]:
        if self._quote is None:
            return []
        if side not in self._depth:
            q, tick = self._quote, self.instrument.tick_size
            first, size, step = (
                (q.ask, q.ask_size, tick) if side is Side.BUY else (q.bid, q.bid_size, -tick)
            )
            levels = ((first + i * step, size) for i in range(DEPTH_LEVELS))
            self._depth[side] = [level for level in levels if level[0] > 0]
        return self._depth[side]

    def _takes(self, request: OrderRequest) -> list[tuple[Decimal, Decimal]]:
        """Return price and quantity of what lies within the order's reach now."""
        takes = []
        left = request.quantity
        buys = request.side is Side.BUY
        step = self.instrument.step_size
        for price, shown in self._levels(request.side):
            limit = request.price
            if limit is not None and (price > limit if buys else price < limit):
                break
            # What a recording shows may be finer than the steps that orders trade in.
            quantity = min(left, shown - shown % step)
            if quantity > 0:
                takes.append((price, quantity))
                left -= quantity
        return takes

    def _take(self, side: Side, price: Decimal, quantity: Decimal) -> None:
        self._depth[side] = [
            (p, shown - quantity if p == price else shown) for p, shown in self._depth[side]
        ]

    def _fill_resting(self, side: Side, now_ns: int) -> list[OrderEvent]:
        """Fill what the last quote reaches, best price first."""
        events: list[OrderEvent] = []
        for rank in tuple(self._resting[side]):
            order = self._open[rank[1]]
            takes = self._takes(replace(order.request, quantity=order.remaining))
            if not takes:
                break
            for price, quantity in takes:
                self._take(side, price, quantity)
            limit = order.request.price
            assert limit is not None  # noqa: S101 (only limit orders rest)
            fill = self._fill(order, _total(takes), limit, is_maker=True, now_ns=now_ns)
            if not fill.order.is_open:
                self._resting[side].remove(rank)
            events.append(fill)
        return events

    def _fill(
        self, order: Order, quantity: Decimal, price: Decimal, *, is_maker: bool, now_ns: int
    ) -> Filled:
        self._last_trade_id += 1
        request, value = order.request, quantity * price
        buys = request.side is Side.BUY
        paid, received = (value, quantity) if buys else (quantity, value)
        # The lock was made at the limit: what a better price saved becomes free again.
        unlocked = quantity * request.price if buys and request.price is not None else paid
        fee = self.maker_fee if is_maker else self.taker_fee
        commission = (received * fee).quantize(COMMISSION_QUANTUM, ROUND_DOWN)
        received_asset = self._paid_asset(Side.SELL if buys else Side.BUY)
        self._move(self._paid_asset(request.side), free=unlocked - paid, locked=-unlocked)
        self._move(received_asset, free=received - commission, locked=ZERO)
        filled = order.filled + quantity
        whole = filled == request.quantity
        order = replace(
            order,
            filled=filled,
            filled_quote=order.filled_quote + value,
            locked=order.locked - unlocked,
            status=OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED,
            updated_ns=now_ns,
        )
        self._store(order)
        fill = Filled(
            order=order,
            trade_id=self._last_trade_id,
            quantity=quantity,
            price=price,
            commission=commission,
            commission_asset=received_asset,
            is_maker=is_maker,
            time_ns=now_ns,
        )
        self._fills.append(fill)
        return fill

    def _close(self, order: Order, status: OrderStatus, now_ns: int) -> Order:
        self._move(self._paid_asset(order.request.side), free=order.locked, locked=-order.locked)
        order = replace(order, status=status, locked=ZERO, updated_ns=now_ns)
        self._store(order)
        return order

    def _store(self, order: Order) -> None:
        if order.is_open:
            self._open[order.order_id] = order
            self._open_by_client_id[order.request.client_order_id] = order.order_id
            return
        del self._open[order.order_id]
        del self._open_by_client_id[order.request.client_order_id]
        self._closed[order.order_id] = order
        if len(self._closed) > self._max_history:
            self._closed.popitem(last=False)

    def _move(self, asset: str, *, free: Decimal, locked: Decimal) -> None:
        old = self._balances[asset]
        self._balances[asset] = Balance(free=old.free + free, locked=old.locked + locked)

    def _paid_asset(self, side: Side) -> str:
        return self.instrument.quote if side is Side.BUY else self.instrument.base

    def _rank(self, order: Order) -> tuple[Decimal, int]:
        price = order.request.price or ZERO
        return (-price if order.request.side is Side.BUY else price, order.order_id)


def _order_id(order: Order) -> int:
    return order.order_id


def _total(takes: list[tuple[Decimal, Decimal]]) -> Decimal:
    return sum((quantity for _, quantity in takes), ZERO)
