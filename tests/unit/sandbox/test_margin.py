from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.sandbox.margin import MarginAccount
from nautilus_enhanced.sandbox.market import Instrument
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.matching import MatchingEngine
from nautilus_enhanced.sandbox.orders import Amended
from nautilus_enhanced.sandbox.orders import Canceled
from nautilus_enhanced.sandbox.orders import Expired
from nautilus_enhanced.sandbox.orders import Filled
from nautilus_enhanced.sandbox.orders import OrderKind
from nautilus_enhanced.sandbox.orders import OrderRequest
from nautilus_enhanced.sandbox.orders import Rejected
from nautilus_enhanced.sandbox.orders import RejectReason
from nautilus_enhanced.sandbox.orders import Side


D = Decimal
CONTRACT = Instrument(base="B", quote="Q", tick_size=D("0.5"), step_size=D("0.1"))


def quote(bid=100, size="1"):
    return Quote(due_ns=0, bid=D(bid), ask=D(bid) + 1, bid_size=D(size), ask_size=D(size))


def order(side, quantity, price=None, name="a", *, reduce_only=False):
    return OrderRequest(
        client_order_id=name,
        side=side,
        kind=OrderKind.MARKET if price is None else OrderKind.LIMIT,
        quantity=D(quantity),
        price=None if price is None else D(price),
        reduce_only=reduce_only,
    )


@pytest.fixture
def account():
    return MarginAccount(CONTRACT, D(1000), leverage=10, maker_fee=D(0), taker_fee=D("0.001"))


@pytest.fixture
def engine(account):
    engine = MatchingEngine(CONTRACT, account)
    engine.on_quote(quote(size="50"), now_ns=1)
    return engine


def test_a_position_opens_and_closes_and_the_wallet_gets_what_it_made(engine, account):
    (_, fill) = engine.submit(order(Side.BUY, 2), now_ns=2)
    assert (fill.price, fill.realized, fill.commission) == (101, 0, D("0.202"))
    assert (account.position, account.entry_price) == (2, 101)
    assert account.wallet == 1000 - D("0.202")
    engine.on_quote(quote(110, "50"), now_ns=3)
    assert account.unrealized == 2 * (D("110.5") - 101)
    assert account.position_margin == D("22.1")
    (_, fill) = engine.submit(order(Side.SELL, 2), now_ns=4)
    assert fill.realized == 18
    assert (account.position, account.entry_price, account.unrealized) == (0, 0, 0)
    assert account.wallet == 1000 + 18 - D("0.202") - D("0.220")
    assert account.free == account.wallet


def test_a_position_that_is_turned_round_begins_at_the_price_of_that_fill(engine, account):
    engine.submit(order(Side.BUY, 1), now_ns=2)
    (_, fill) = engine.submit(order(Side.SELL, 3), now_ns=3)
    assert fill.realized == -1
    assert (account.position, account.entry_price) == (-2, 100)
    engine.submit(order(Side.SELL, 2), now_ns=4)
    assert (account.position, account.entry_price) == (-4, 100)


def test_an_order_locks_the_margin_of_what_it_opens(engine, account):
    engine.submit(order(Side.BUY, 10, 90), now_ns=2)
    assert account.order_margin == 90
    (event,) = engine.submit(order(Side.BUY, 101, 91, "b"), now_ns=3)
    assert event == Rejected(client_order_id="b", reason=RejectReason.INSUFFICIENT_BALANCE)
    engine.cancel(client_order_id="a", now_ns=4)
    assert account.order_margin == 0
    engine.submit(order(Side.BUY, 2), now_ns=5)
    engine.submit(order(Side.SELL, 2, 120), now_ns=6)
    assert account.order_margin == 0


def test_reduce_only_orders_never_open_a_position(engine, account):
    (event,) = engine.submit(order(Side.SELL, 1, reduce_only=True), now_ns=2)
    assert event.reason is RejectReason.REDUCE_ONLY
    engine.submit(order(Side.BUY, 2), now_ns=3)
    events = engine.submit(order(Side.SELL, 5, 120, "rests", reduce_only=True), now_ns=4)
    assert events[0].order.request.quantity == 2
    engine.submit(order(Side.SELL, "1.5", name="market", reduce_only=True), now_ns=5)
    assert account.position == D("0.5")
    engine.on_quote(quote(120, "50"), now_ns=6)
    assert account.position == 0
    (event,) = engine.on_quote(quote(121, "50"), now_ns=7)
    assert isinstance(event, Expired)
    assert event.order.filled == D("0.5")


def test_an_amended_order_keeps_its_id_and_moves(engine, account):
    engine.submit(order(Side.BUY, 2, 90), now_ns=2)
    (event,) = engine.amend(client_order_id="a", quantity=D(3), price=D(95), now_ns=3)
    assert isinstance(event, Amended)
    assert (event.order.order_id, event.order.request.price) == (1, 95)
    assert account.order_margin == D("28.5")
    amended, fill = engine.amend(order_id=1, quantity=D(3), price=D(101), now_ns=4)
    assert isinstance(fill, Filled)
    assert fill.order.order_id == amended.order.order_id == 1
    assert account.order_margin == 0
    (event,) = engine.amend(order_id=1, quantity=D(3), price=D(95), now_ns=5)
    assert event.reason is RejectReason.UNKNOWN_ORDER


@pytest.mark.parametrize(
    ("quantity", "price", "reason"),
    [
        ("2", "95.1", RejectReason.TICK_SIZE),
        ("0", "95", RejectReason.QUANTITY_RANGE),
        ("5000", "95", RejectReason.INSUFFICIENT_BALANCE),
    ],
)
def test_an_amend_that_is_refused_changes_nothing(engine, account, quantity, price, reason):
    engine.submit(order(Side.BUY, 2, 90), now_ns=2)
    before = engine.open_orders(), account.order_margin
    (event,) = engine.amend(order_id=1, quantity=D(quantity), price=D(price), now_ns=3)
    assert event.reason is reason
    assert (engine.open_orders(), account.order_margin) == before


actions = st.one_of(
    st.tuples(st.just("quote"), st.integers(95, 105)),
    st.tuples(
        st.sampled_from(["order", "reduce", "stop"]),
        st.sampled_from(Side),
        st.integers(1, 60),
        st.one_of(st.none(), st.integers(95, 105)),
    ),
    st.tuples(st.just("cancel"), st.integers(1, 20)),
    st.tuples(st.just("amend"), st.integers(1, 20), st.integers(1, 60), st.integers(95, 105)),
)


@given(st.lists(actions, max_size=40))
def test_whatever_happens_the_account_adds_up(steps):
    account = MarginAccount(CONTRACT, D(500), leverage=10)
    engine = MatchingEngine(CONTRACT, account)
    engine.on_quote(quote(), now_ns=0)
    position, wallet = D(0), D(500)
    for now_ns, (what, *args) in enumerate(steps):
        if what == "quote":
            events = engine.on_quote(quote(*args), now_ns=now_ns)
        elif what == "cancel":
            event = engine.cancel(order_id=args[0], now_ns=now_ns)
            assert isinstance(event, Canceled | Rejected)
            continue
        elif what == "amend":
            number, tenths, price = args
            events = engine.amend(
                order_id=number, quantity=D(tenths) / 10, price=D(price), now_ns=now_ns
            )
        else:
            side, tenths, price = args
            request = order(side, D(tenths) / 10, price, f"o{now_ns}", reduce_only=what == "reduce")
            held = abs(account.position)
            events = engine.submit(request, now_ns=now_ns)
            if what == "reduce":
                assert abs(account.position) <= held
        for event in events:
            if isinstance(event, Filled):
                buys = event.order.request.side is Side.BUY
                position += event.quantity if buys else -event.quantity
                wallet += event.realized - event.commission
        assert (account.position, account.wallet) == (position, wallet)
        assert (account.entry_price == 0) == (position == 0)
        quote_now = engine.quote
        for waiting in filter(engine.is_waiting, engine.open_orders()):
            trigger, rising = waiting.request.trigger_price, waiting.request.rising
            assert quote_now.bid < trigger if rising else quote_now.ask > trigger
        locked = sum((o.locked for o in engine.open_orders()), D(0))
        assert abs(account.order_margin - locked) < D("1e-15")
        assert account.order_margin > D("-1e-15")
