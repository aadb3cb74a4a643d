"""
A matching engine for one instrument and one account: pure, without I/O or clock.

The book is made up from the last quote (`book.py`). A taker walks its levels, each at its own
price, and what it took stays taken until the next quote. A resting order fills at its own price
when a quote's opposite side reaches it, for no more than lies at or better than that price; every
quote is new liquidity. Trades between others fill nothing, and the account's own orders do not
meet each other. An order with a trigger price waits for it (`triggers.py`). What trading does to
the account is the account's to say (`accounts.py`).
"""

from __future__ import annotations

from bisect import insort
from collections import OrderedDict
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from nautilus_enhanced.sandbox.accounts import Account
from nautilus_enhanced.sandbox.book import Levels
from nautilus_enhanced.sandbox.book import levels_to_take
from nautilus_enhanced.sandbox.market import Instrument
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.orders import ZERO
from nautilus_enhanced.sandbox.orders import Accepted
from nautilus_enhanced.sandbox.orders import Amended
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
from nautilus_enhanced.sandbox.orders import Triggered
from nautilus_enhanced.sandbox.triggers import TriggerBook
from nautilus_enhanced.sandbox.triggers import is_reached


class MatchingEngine:
    """
    Match one account's orders against a stream of quotes.

    Parameters
    ----------
    instrument : Instrument
        What is traded, and the rules for orders.
    account : Account
        Whose orders are matched.
    max_open_orders : int
        Further orders are rejected.
    max_history : int
        How many closed orders, and how many fills, are remembered; the oldest are forgotten.
    """

    def __init__(
        self,
        instrument: Instrument,
        account: Account,
        *,
        max_open_orders: int = 10_000,
        max_history: int = 10_000,
    ) -> None:
        self.instrument = instrument
        self.account = account
        self._max_open_orders = max_open_orders
        self._max_history = max_history
        self._quote: Quote | None = None
        self._depth: dict[Side, Levels] = {}
        self._open: dict[int, Order] = {}
        self._open_by_client_id: dict[str, int] = {}
        self._closed: OrderedDict[int, Order] = OrderedDict()
        self._fills: deque[Filled] = deque(maxlen=max_history)
        # Open orders by price and time, best first: (signed price, order_id).
        self._resting: dict[Side, list[tuple[Decimal, int]]] = {Side.BUY: [], Side.SELL: []}
        self._triggers = TriggerBook()
        self._last_order_id = 0
        self._last_trade_id = 0

    @property
    def quote(self) -> Quote | None:
        """Return the last quote, or None before the first."""
        return self._quote

    @property
    def balances(self) -> Mapping[str, Balance]:
        """Return what the account has now, by asset; read-only."""
        return self.account.balances

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
        self.account.on_quote(quote)
        buys, sells = self._resting[Side.BUY], self._resting[Side.SELL]
        events: list[OrderEvent] = []
        if buys and -buys[0][0] >= quote.ask:
            events += self._fill_resting(Side.BUY, now_ns)
        if sells and sells[0][0] <= quote.bid:
            events += self._fill_resting(Side.SELL, now_ns)
        for order_id in self._triggers.take(quote):
            events += self._trigger(self._open[order_id], now_ns)
        return events

    def is_waiting(self, order: Order) -> bool:
        """Return whether an order waits for its trigger price."""
        return order.order_id in self._triggers

    def submit(self, request: OrderRequest, *, now_ns: int) -> list[OrderEvent]:
        """
        Take an order, and return what became of it at once.

        The first event is `Accepted` or `Rejected`; after `Accepted` come its fills, and
        `Expired` when the rest may not rest.
        """
        waits = request.trigger_price is not None
        if not waits:
            request = self._cut(request)
        takes = [] if waits else self._takes(request)
        reason = self._refusal(request, takes)
        if reason is None and request.client_order_id in self._open_by_client_id:
            reason = RejectReason.DUPLICATE_CLIENT_ID
        if reason is None and len(self._open) >= self._max_open_orders:
            reason = RejectReason.TOO_MANY_ORDERS
        if reason is not None:
            return [Rejected(client_order_id=request.client_order_id, reason=reason)]
        self._last_order_id += 1
        order = Order(
            order_id=self._last_order_id,
            request=request,
            status=OrderStatus.NEW,
            filled=ZERO,
            filled_quote=ZERO,
            locked=self.account.needed(request, takes),
            created_ns=now_ns,
            updated_ns=now_ns,
        )
        self.account.lock(request.side, order.locked)
        self._store(order)
        if request.trigger_price is not None:
            self._triggers.add(order.order_id, request.trigger_price, rising=request.rising)
            return [Accepted(order=order)]
        return [Accepted(order=order), *self._match(order, takes, now_ns)]

    def amend(
        self,
        *,
        order_id: int | None = None,
        client_order_id: str | None = None,
        quantity: Decimal,
        price: Decimal,
        now_ns: int,
    ) -> list[OrderEvent]:
        """
        Change a resting order, and return what became of it.

        The first event is `Amended` or `Rejected`; with the new price it may then fill.

        Parameters
        ----------
        quantity : Decimal
            The whole quantity, what is filled included.
        """
        old = self.find(order_id=order_id, client_order_id=client_order_id)
        if old is None or not old.is_open or self.is_waiting(old):
            name = client_order_id or (old.request.client_order_id if old else "")
            return [Rejected(client_order_id=name, reason=RejectReason.UNKNOWN_ORDER)]
        request = replace(old.request, quantity=quantity, price=price)
        rest = replace(request, quantity=quantity - old.filled)
        takes = self._takes(rest)
        self.account.lock(request.side, -old.locked)
        reason = self._refusal(rest, takes)
        if reason is not None:
            self.account.lock(request.side, old.locked)
            return [Rejected(client_order_id=request.client_order_id, reason=reason)]
        self._resting[request.side].remove(self._rank(old))
        locked = self.account.needed(rest, takes)
        order = replace(old, request=request, locked=locked, updated_ns=now_ns)
        self.account.lock(request.side, locked)
        self._store(order)
        return [Amended(order=order), *self._match(order, takes, now_ns)]

    def cancel(
        self, *, order_id: int | None = None, client_order_id: str | None = None, now_ns: int
    ) -> Canceled | Rejected:
        """Take an open order off the book by either ID; reject when there is none."""
        order = self.find(order_id=order_id, client_order_id=client_order_id)
        if order is None or not order.is_open:
            name = client_order_id or (order.request.client_order_id if order else "")
            return Rejected(client_order_id=name, reason=RejectReason.UNKNOWN_ORDER)
        if not self._triggers.discard(order.order_id):
            self._resting[order.request.side].remove(self._rank(order))
        return Canceled(order=self._close(order, OrderStatus.CANCELED, now_ns))

    def cancel_all(self, *, now_ns: int) -> list[Canceled]:
        """Take all open orders off the book, oldest first."""
        canceled = (self.cancel(order_id=i, now_ns=now_ns) for i in tuple(self._open))
        return [event for event in canceled if isinstance(event, Canceled)]

    def _trigger(self, order: Order, now_ns: int) -> list[OrderEvent]:
        """Send an order to the book whose price has come."""
        order = replace(order, updated_ns=now_ns)
        self._store(order)
        events: list[OrderEvent] = [Triggered(order=order)]
        wanted = self._cut(replace(order.request, quantity=order.remaining))
        if wanted.reduce_only and not self.account.reducible(wanted.side):
            return [*events, Expired(order=self._close(order, OrderStatus.EXPIRED, now_ns))]
        return events + self._match(order, self._takes(wanted), now_ns)

    def _match(self, order: Order, takes: Levels, now_ns: int) -> list[OrderEvent]:
        """Fill what an order takes at once; let the rest rest, or expire."""
        request = order.request
        events: list[OrderEvent] = []
        if request.time_in_force is TimeInForce.FOK and _total(takes) < order.remaining:
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

    def _refusal(  # noqa: PLR0911 (one return for each rule)
        self, request: OrderRequest, takes: Levels
    ) -> RejectReason | None:
        rules = self.instrument
        waits = request.trigger_price is not None
        if request.reduce_only and not waits and not self.account.reducible(request.side):
            return RejectReason.REDUCE_ONLY
        if not ZERO < request.quantity <= rules.max_quantity:
            return RejectReason.QUANTITY_RANGE
        if request.quantity % rules.step_size:
            return RejectReason.STEP_SIZE
        price = request.price
        if price is None:
            if self._quote is None:
                return RejectReason.NO_MARKET
            price = self._quote.ask if request.side is Side.BUY else self._quote.bid
        elif not ZERO < price <= rules.max_price:
            return RejectReason.PRICE_RANGE
        elif price % rules.tick_size:
            return RejectReason.TICK_SIZE
        if self._would_trigger(request):
            return RejectReason.WOULD_TRIGGER
        if price * request.quantity < rules.min_notional and not request.reduce_only:
            return RejectReason.MIN_NOTIONAL
        if request.kind is OrderKind.POST_ONLY and self._is_reached(request):
            return RejectReason.WOULD_CROSS
        if self.account.needed(request, takes) > self.account.available(request.side):
            return RejectReason.INSUFFICIENT_BALANCE
        return None

    def _cut(self, request: OrderRequest) -> OrderRequest:
        """Return the order with no more quantity than it may reduce a position by."""
        if not request.reduce_only:
            return request
        held = self.account.reducible(request.side)
        return replace(request, quantity=min(request.quantity, held)) if held else request

    def _would_trigger(self, request: OrderRequest) -> bool:
        quote, price = self._quote, request.trigger_price
        if quote is None or price is None:
            return False
        return is_reached(quote, price, rising=request.rising)

    def _is_reached(self, request: OrderRequest) -> bool:
        quote, limit = self._quote, request.price
        if quote is None or limit is None:
            return False
        return limit >= quote.ask if request.side is Side.BUY else limit <= quote.bid

    def _levels(self, side: Side) -> Levels:
        if self._quote is None:
            return []
        if side not in self._depth:
            self._depth[side] = levels_to_take(self._quote, side, self.instrument.tick_size)
        return self._depth[side]

    def _takes(self, request: OrderRequest) -> Levels:
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
            wanted = self._cut(replace(order.request, quantity=order.remaining))
            if wanted.reduce_only and not self.account.reducible(side):
                # The position that it was to reduce is gone.
                self._resting[side].remove(rank)
                events.append(Expired(order=self._close(order, OrderStatus.EXPIRED, now_ns)))
                continue
            takes = self._takes(wanted)
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
        settled = self.account.settle(order, quantity, price, is_maker=is_maker)
        filled = order.filled + quantity
        whole = filled == order.request.quantity
        order = replace(
            order,
            filled=filled,
            filled_quote=order.filled_quote + quantity * price,
            locked=order.locked - settled.unlocked,
            status=OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED,
            updated_ns=now_ns,
        )
        self._store(order)
        fill = Filled(
            order=order,
            trade_id=self._last_trade_id,
            quantity=quantity,
            price=price,
            commission=settled.commission,
            commission_asset=settled.commission_asset,
            realized=settled.realized,
            is_maker=is_maker,
            time_ns=now_ns,
        )
        self._fills.append(fill)
        return fill

    def _close(self, order: Order, status: OrderStatus, now_ns: int) -> Order:
        self.account.lock(order.request.side, -order.locked)
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

    def _rank(self, order: Order) -> tuple[Decimal, int]:
        price = order.request.price or ZERO
        return (-price if order.request.side is Side.BUY else price, order.order_id)


def _order_id(order: Order) -> int:
    return order.order_id


def _total(takes: Levels) -> Decimal:
    return sum((quantity for _, quantity in takes), ZERO)
