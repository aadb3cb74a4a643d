from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from nautilus_enhanced.sandbox.accounts import CashAccount
from nautilus_enhanced.sandbox.market import Instrument
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.matching import MatchingEngine
from nautilus_enhanced.sandbox.orders import Accepted
from nautilus_enhanced.sandbox.orders import Canceled
from nautilus_enhanced.sandbox.orders import Expired
from nautilus_enhanced.sandbox.orders import Filled
from nautilus_enhanced.sandbox.orders import OrderKind
from nautilus_enhanced.sandbox.orders import OrderRequest
from nautilus_enhanced.sandbox.orders import OrderStatus
from nautilus_enhanced.sandbox.orders import Rejected
from nautilus_enhanced.sandbox.orders import RejectReason
from nautilus_enhanced.sandbox.orders import Side
from nautilus_enhanced.sandbox.orders import TimeInForce


D = Decimal
INSTRUMENT = Instrument(base="B", quote="Q", tick_size=D("0.5"), step_size=D("0.1"))
BALANCES = {"B": D(100), "Q": D(10_000)}


def quote(bid="99.5", ask="100", size="1"):
    return Quote(due_ns=0, bid=D(bid), ask=D(ask), bid_size=D(size), ask_size=D(size))


def order(
    *, side=Side.BUY, quantity="1", price="100", kind=OrderKind.LIMIT, tif=TimeInForce.GTC, name="a"
):
    return OrderRequest(
        client_order_id=name,
        side=side,
        kind=kind,
        quantity=D(quantity),
        price=None if kind is OrderKind.MARKET else D(price),
        time_in_force=tif,
    )


@pytest.fixture
def engine():
    engine = MatchingEngine(INSTRUMENT, CashAccount(INSTRUMENT, BALANCES))
    engine.on_quote(quote(), now_ns=1)
    return engine


def kinds(events):
    return [type(event) for event in events]


def test_a_market_order_fills_at_the_touch(engine):
    accepted, fill = engine.submit(order(kind=OrderKind.MARKET), now_ns=2)
    assert accepted.order.status is OrderStatus.NEW
    assert (fill.price, fill.quantity, fill.is_maker) == (D(100), D(1), False)
    assert fill.order.status is OrderStatus.FILLED
    assert (fill.commission, fill.commission_asset) == (D("0.001"), "B")
    assert engine.balances["Q"].free == D(9900)
    assert engine.balances["B"].free == D("100.999")


def test_a_market_order_walks_the_depth_and_what_is_left_expires(engine):
    events = engine.submit(order(side=Side.SELL, quantity="12", kind=OrderKind.MARKET), now_ns=2)
    assert kinds(events) == [Accepted, *[Filled] * 10, Expired]
    assert [e.price for e in events[1:3]] == [D("99.5"), D(99)]
    assert events[-1].order.filled == 10
    assert engine.balances["B"] == type(engine.balances["B"])(free=D(90), locked=D(0))


def test_what_was_taken_stays_taken_until_the_next_quote(engine):
    engine.submit(order(kind=OrderKind.MARKET), now_ns=2)
    _, fill = engine.submit(order(kind=OrderKind.MARKET, name="b"), now_ns=3)
    assert fill.price == D("100.5")
    engine.on_quote(quote(), now_ns=4)
    _, fill = engine.submit(order(kind=OrderKind.MARKET, name="c"), now_ns=5)
    assert fill.price == D(100)


def test_a_resting_order_locks_fills_as_maker_and_unlocks(engine):
    assert kinds(engine.submit(order(price="99", quantity="2"), now_ns=2)) == [Accepted]
    assert engine.balances["Q"].locked == 198
    (fill,) = engine.on_quote(quote("98.5", "99"), now_ns=3)
    assert (fill.price, fill.quantity, fill.is_maker) == (D(99), D(1), True)
    assert fill.order.status is OrderStatus.PARTIALLY_FILLED
    (fill,) = engine.on_quote(quote("98", "98.5"), now_ns=4)
    assert (fill.price, fill.order.status) == (D(99), OrderStatus.FILLED)
    assert engine.balances["Q"].locked == 0
    assert engine.balances["Q"].free == 10_000 - 198
    assert engine.open_orders() == ()


def test_better_prices_and_older_orders_fill_first(engine):
    for name, price in (("low", "98"), ("old", "99"), ("new", "99")):
        engine.submit(order(price=price, name=name), now_ns=2)
    events = engine.on_quote(quote("97", "97.5", "5"), now_ns=3)
    assert [e.order.request.client_order_id for e in events] == ["old", "new", "low"]


def test_a_limit_order_that_crosses_pays_the_better_price(engine):
    _, fill = engine.submit(order(price="105"), now_ns=2)
    assert fill.price == 100
    assert engine.balances["Q"] == type(engine.balances["Q"])(free=D(9900), locked=D(0))


def test_ioc_and_fok(engine):
    events = engine.submit(order(quantity="3", price="100.5", tif=TimeInForce.IOC), now_ns=2)
    assert kinds(events) == [Accepted, Filled, Filled, Expired]
    engine.on_quote(quote(), now_ns=3)
    events = engine.submit(order(quantity="3", price="100.5", tif=TimeInForce.FOK), now_ns=4)
    assert kinds(events) == [Accepted, Expired]
    events = engine.submit(order(quantity="2", price="100.5", tif=TimeInForce.FOK), now_ns=5)
    assert kinds(events) == [Accepted, Filled, Filled]


def test_cancels(engine):
    (accepted,) = engine.submit(order(price="99"), now_ns=2)
    canceled = engine.cancel(order_id=accepted.order.order_id, now_ns=3)
    assert isinstance(canceled, Canceled)
    assert engine.balances["Q"] == type(engine.balances["Q"])(free=D(10_000), locked=D(0))
    again = engine.cancel(client_order_id="a", now_ns=4)
    assert again == Rejected(client_order_id="a", reason=RejectReason.UNKNOWN_ORDER)
    engine.submit(order(price="99"), now_ns=5)
    engine.submit(order(side=Side.SELL, price="110", name="b"), now_ns=5)
    assert len(engine.cancel_all(now_ns=6)) == 2
    assert engine.on_quote(quote("120", "121"), now_ns=7) == []


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (order(price="100.3"), RejectReason.TICK_SIZE),
        (order(price="-1"), RejectReason.PRICE_RANGE),
        (order(quantity="1.05"), RejectReason.STEP_SIZE),
        (order(quantity="0"), RejectReason.QUANTITY_RANGE),
        (order(quantity="100000"), RejectReason.QUANTITY_RANGE),
        (order(price="1"), RejectReason.MIN_NOTIONAL),
        (order(quantity="101"), RejectReason.INSUFFICIENT_BALANCE),
        (order(side=Side.SELL, quantity="101"), RejectReason.INSUFFICIENT_BALANCE),
        (order(kind=OrderKind.POST_ONLY), RejectReason.WOULD_CROSS),
        (order(side=Side.SELL, price="99.5", kind=OrderKind.POST_ONLY), RejectReason.WOULD_CROSS),
    ],
)
def test_rejects(engine, request_, reason):
    before = dict(engine.balances)
    assert engine.submit(request_, now_ns=2) == [Rejected(client_order_id="a", reason=reason)]
    assert dict(engine.balances) == before


def test_rejects_that_depend_on_the_state():
    engine = MatchingEngine(INSTRUMENT, CashAccount(INSTRUMENT, BALANCES), max_open_orders=1)
    (event,) = engine.submit(order(kind=OrderKind.MARKET), now_ns=1)
    assert event.reason is RejectReason.NO_MARKET
    engine.submit(order(), now_ns=2)
    (event,) = engine.submit(order(), now_ns=3)
    assert event.reason is RejectReason.DUPLICATE_CLIENT_ID
    (event,) = engine.submit(order(name="b"), now_ns=3)
    assert event.reason is RejectReason.TOO_MANY_ORDERS


def test_the_history_is_bounded():
    engine = MatchingEngine(INSTRUMENT, CashAccount(INSTRUMENT, BALANCES), max_history=3)
    for i in range(5):
        engine.on_quote(quote(), now_ns=i)
        engine.submit(order(kind=OrderKind.MARKET, quantity="0.1", name=str(i)), now_ns=i)
    assert [o.request.client_order_id for o in engine.orders()] == ["2", "3", "4"]
    assert len(engine.fills) == 3
    assert engine.find(client_order_id="0") is None


ticks = st.integers(180, 220).map(lambda n: n * D("0.5"))
steps = st.integers(1, 60).map(lambda n: n * D("0.1"))
actions = st.one_of(
    st.builds(
        lambda bid, spread, a, b: Quote(
            due_ns=0, bid=bid, ask=bid + spread * D("0.5"), bid_size=a, ask_size=b
        ),
        ticks,
        st.integers(0, 4),
        steps,
        steps,
    ),
    st.builds(
        order,
        side=st.sampled_from(Side),
        quantity=steps,
        price=ticks,
        kind=st.sampled_from(OrderKind),
        tif=st.sampled_from(TimeInForce),
        name=st.just(""),
    ),
    st.integers(1, 30),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(actions, max_size=60))
def test_the_books_always_balance(script):
    engine = MatchingEngine(INSTRUMENT, CashAccount(INSTRUMENT, {"B": D(50), "Q": D(5_000)}))
    expected = {"B": D(50), "Q": D(5_000)}
    ended: dict[int, int] = {}
    filled: dict[int, Decimal] = {}
    for number, action in enumerate(script):
        if isinstance(action, Quote):
            events = engine.on_quote(action, now_ns=number)
        elif isinstance(action, int):
            events = [engine.cancel(order_id=action, now_ns=number)]
        else:
            named = order(
                side=action.side,
                quantity=action.quantity,
                price=action.price or 1,
                kind=action.kind,
                tif=action.time_in_force,
                name=str(number),
            )
            events = engine.submit(named, now_ns=number)
            assert isinstance(events[0], Accepted | Rejected)
        for event in events:
            if isinstance(event, Rejected):
                continue
            request, order_id = event.order.request, event.order.order_id
            if isinstance(event, Accepted):
                ended[order_id], filled[order_id] = 0, D(0)
            elif isinstance(event, Filled):
                sign = 1 if request.side is Side.BUY else -1
                filled[order_id] += event.quantity
                expected["B"] += sign * event.quantity
                expected["Q"] -= sign * event.quantity * event.price
                expected[event.commission_asset] -= event.commission
                if request.price is not None:
                    assert sign * event.price <= sign * request.price
                assert ended[order_id] == 0
                assert filled[order_id] == event.order.filled <= request.quantity
                ended[order_id] += event.order.status is OrderStatus.FILLED
            else:
                ended[order_id] += 1
        for asset, total in expected.items():
            held = engine.balances[asset]
            assert held.free >= 0
            assert held.locked >= 0
            assert held.free + held.locked == total
        open_ids = {o.order_id for o in engine.open_orders()}
        assert all(count == (order_id not in open_ids) for order_id, count in ended.items())
        for asset, side in (("Q", Side.BUY), ("B", Side.SELL)):
            locks = (o.locked for o in engine.open_orders() if o.request.side is side)
            assert engine.balances[asset].locked == sum(locks, D(0))
