import contextlib
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.sandbox.accounts import CashAccount
from nautilus_enhanced.sandbox.bybit.exchange import BybitExchange
from nautilus_enhanced.sandbox.bybit.market_messages import Category
from nautilus_enhanced.sandbox.bybit.requests import REJECTS
from nautilus_enhanced.sandbox.bybit.requests import ApiError
from nautilus_enhanced.sandbox.bybit.requests import parse_order
from nautilus_enhanced.sandbox.dialect import Request
from nautilus_enhanced.sandbox.faults import FaultKind
from nautilus_enhanced.sandbox.margin import MarginAccount
from nautilus_enhanced.sandbox.market import Instrument
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.market import Trade
from nautilus_enhanced.sandbox.matching import MatchingEngine
from nautilus_enhanced.sandbox.orders import RejectReason


D = Decimal
BTC = Instrument(base="BTC", quote="USDT", tick_size=D("0.1"), step_size=D("0.001"))
ORDER = {
    "symbol": "BTCUSDT",
    "side": "Buy",
    "orderType": "Limit",
    "timeInForce": "GTC",
    "qty": "1.000",
    "price": "99.0",
    "orderLinkId": "mine",
}


def quote(bid, ask, size="5"):
    return Quote(due_ns=0, bid=D(bid), ask=D(ask), bid_size=D(size), ask_size=D(size))


def exchange_of(category):
    account = MarginAccount(BTC, D(1000))
    if category is Category.SPOT:
        account = CashAccount(BTC, {"BTC": D(10), "USDT": D(1000)})
    exchange = BybitExchange(MatchingEngine(BTC, account), category)
    exchange.on_event(quote("99.9", "100.0"), None, 0)
    return exchange


@pytest.fixture(params=Category, ids=lambda category: category.value)
def category(request):
    return request.param


@pytest.fixture
def exchange(category):
    return exchange_of(category)


@pytest.fixture
def linear():
    return exchange_of(Category.LINEAR)


def get(exchange, path, now_ns=5_000_000, **params):
    category = {"category": exchange.messages.category.value}
    headers = {"x-bapi-api-key": "k"}
    request = Request(
        method="GET", path=f"/v5/{path}", params=category | params, headers=headers, now_ns=now_ns
    )
    return exchange.handle(request).body


def call(exchange, op, now_ns=5_000_000, **params):
    category = {"category": exchange.messages.category.value}
    return exchange.order_call(op, category | params, now_ns)


def place(exchange, **changes):
    return call(exchange, "order.create", **(ORDER | changes))


def told(events):
    return [(e.name, e.execution_type) for e in events]


def test_the_instrument_is_listed_with_its_rules(exchange, category):
    (listed,) = get(exchange, "market/instruments-info")["result"]["list"]
    assert (listed["symbol"], listed["priceFilter"]["tickSize"]) == ("BTCUSDT", "0.1")
    sizes = listed["lotSizeFilter"]
    step = sizes["basePrecision"] if category is Category.SPOT else sizes["qtyStep"]
    assert step == "0.001"
    others = get(exchange, "market/instruments-info", category="inverse")
    assert others["result"]["list"] == []


def test_an_order_from_acceptance_to_fill(exchange, category):
    ids, _, events = place(exchange)
    assert ids == {"orderId": "loopback-1", "orderLinkId": "mine"}
    assert told(events) == [("order", "New"), ("wallet", "")]
    (open_order,) = get(exchange, "order/realtime")["result"]["list"]
    assert (open_order["orderStatus"], open_order["leavesQty"]) == ("New", "1.000")

    _, events = exchange.on_event(quote("98.0", "98.5"), None, 7_000_000)
    position = [("position", "")] if category is Category.LINEAR else []
    assert told(events) == [("execution", "Trade"), ("order", "Filled"), *position, ("wallet", "")]
    fill = events[0].payload["data"]
    assert (fill["execPrice"], fill["execQty"], fill["isMaker"]) == ("99.0", "1.000", True)
    assert fill["feeCurrency"] == ("BTC" if category is Category.SPOT else "USDT")
    assert get(exchange, "order/realtime")["result"]["list"] == []
    (closed,) = get(exchange, "order/history")["result"]["list"]
    assert (closed["orderStatus"], D(closed["avgPrice"])) == ("Filled", 99)
    (listed,) = get(exchange, "execution/list")["result"]["list"]
    assert listed == fill
    held = get(exchange, "position/list")["result"]["list"]
    assert [(p["side"], p["size"]) for p in held] == (
        [("Buy", "1.000")] if category is Category.LINEAR else []
    )


def test_a_mean_price_has_as_many_digits_as_a_message_may_hold(exchange):
    exchange.on_event(quote("99.9", "100.0", "0.200"), None, 0)
    place(exchange, orderType="Market", qty="0.300", price=None)
    (latest, *_) = get(exchange, "order/history")["result"]["list"]
    assert latest["avgPrice"] == "100.03333333"


def test_the_wallet_shows_what_orders_lock(exchange, category):
    place(exchange)
    coins = {
        c["coin"]: c for c in get(exchange, "account/wallet-balance")["result"]["list"][0]["coin"]
    }
    assert D(coins["USDT"]["walletBalance"]) == 1000
    locked = "99.0000" if category is Category.SPOT else "4.95"
    assert D(coins["USDT"]["totalOrderIM"]) == D(locked)
    assert set(coins) == ({"BTC", "USDT"} if category is Category.SPOT else {"USDT"})


def test_post_only_that_would_trade_is_taken_and_taken_off(exchange):
    ids, _, events = place(exchange, timeInForce="PostOnly", price="101.0")
    assert told(events) == [("order", "Cancelled")]
    assert events[0].payload["data"]["rejectReason"] == "EC_PostOnlyWillTakeLiquidity"
    assert events[0].payload["data"]["orderId"] == ids["orderId"]
    assert exchange.counts.rejected == 1
    assert place(exchange, timeInForce="PostOnly")[2][0].execution_type == "New"


def test_an_order_is_amended_and_canceled_by_either_id(exchange):
    place(exchange)
    _, _, events = call(exchange, "order.amend", symbol="BTCUSDT", orderLinkId="mine", price="98.0")
    assert events[0].payload["data"]["price"] == "98.0"
    _, _, events = call(exchange, "order.cancel", symbol="BTCUSDT", orderId="loopback-1")
    assert told(events)[0] == ("order", "Cancelled")
    assert events[0].payload["data"]["cancelType"] == "CancelByUser"
    with pytest.raises(ApiError) as caught:
        call(exchange, "order.cancel", symbol="BTCUSDT", orderLinkId="mine")
    assert caught.value.code in {110001, 170213}


def test_each_order_of_a_batch_is_by_itself(exchange):
    _, codes, events = call(
        exchange, "order.create-batch", request=[ORDER, ORDER | {"orderLinkId": "b", "qty": "x"}]
    )
    assert [c["code"] for c in codes["list"]] == [0, 10001]
    assert told(events) == [("order", "New"), ("wallet", "")]
    _, codes, _ = call(
        exchange,
        "order.cancel-batch",
        request=[{"symbol": "BTCUSDT", "orderLinkId": "mine"}],
    )
    assert codes["list"] == [{"code": 0, "msg": "OK"}]


def test_what_orders_do_over_rest(exchange, category):
    body = json.dumps(ORDER | {"category": category.value}).encode()
    post = {"method": "POST", "headers": {"x-bapi-api-key": "k"}}
    answer = exchange.handle(Request(path="/v5/order/create", body=body, **post))
    assert (answer.body["retCode"], told(answer.events)[0]) == (0, ("order", "New"))
    all_of_it = json.dumps({"category": category.value}).encode()
    request = Request(path="/v5/order/cancel-all", body=all_of_it, **post)
    assert exchange.is_order(request)
    answer = exchange.handle(request)
    assert told(answer.events)[0] == ("order", "Cancelled")
    assert exchange.handle(Request(path="/v5/order/create", body=b"[", **post)).body["retCode"]


def test_an_unfilled_rest_is_taken_off(exchange, category):
    _, _, events = place(exchange, timeInForce="IOC", price="100.0", qty="9.000")
    ended = "PartiallyFilledCanceled" if category is Category.SPOT else "Cancelled"
    assert told(events)[:-1][-2 if category is Category.LINEAR else -1] == ("order", ended)


def test_a_stop_order_waits_for_its_price(linear):
    stop = {"triggerPrice": "98.0", "triggerDirection": 2, "orderType": "Market", "side": "Sell"}
    _, _, events = place(linear, **stop)
    assert told(events)[0] == ("order", "Untriggered")
    place(linear, orderLinkId="no stop")
    listed = get(linear, "order/realtime", orderFilter="StopOrder")["result"]["list"]
    assert [(o["orderLinkId"], o["orderStatus"]) for o in listed] == [("mine", "Untriggered")]
    call(linear, "order.cancel", symbol="BTCUSDT", orderLinkId="no stop")
    _, events = linear.on_event(quote("97.0", "97.5"), None, 0)
    assert told(events)[:3] == [("order", "Triggered"), ("execution", "Trade"), ("order", "Filled")]


def test_leverage_and_loans(linear):
    def post(path, **params):
        body = json.dumps({"category": "linear", "symbol": "BTCUSDT"} | params).encode()
        headers = {"x-bapi-api-key": "k"}
        request = Request(method="POST", path=f"/v5/{path}", headers=headers, body=body)
        return linear.handle(request).body["retCode"]

    assert post("position/set-leverage", buyLeverage="5", sellLeverage="5") == 0
    assert post("position/set-leverage", buyLeverage="5", sellLeverage="5") == 110043
    assert post("position/set-leverage", buyLeverage="0.5", sellLeverage="5") == 10001
    assert post("account/borrow", coin="USDT", amount="5") == 0
    assert post("account/borrow", coin="DOGE", amount="5") == 10001
    assert linear.desk.wallet()["coin"][0]["spotBorrow"] == "5"
    assert post("account/no-convert-repay", coin="USDT") == 0
    assert D(linear.desk.wallet()["coin"][0]["spotBorrow"]) == 0


def test_market_data_by_rest(exchange):
    trade = Trade(due_ns=0, trade_id=4, price=D("99.9"), size=D("0.5"), buyer_is_maker=True)
    exchange.on_event(trade, None, 60_000_000_000)
    (print_,) = get(exchange, "market/recent-trade", symbol="BTCUSDT")["result"]["list"]
    assert (print_["side"], print_["price"], print_["size"]) == ("Sell", "99.9", "0.500")
    book = get(exchange, "market/orderbook", symbol="BTCUSDT", limit="2")["result"]
    assert book["b"] == [["99.9", "5.000"], ["99.8", "5.000"]]
    (candle,) = get(exchange, "market/kline", symbol="BTCUSDT", interval="1")["result"]["list"]
    assert candle[:2] == ["60000", "99.9"]


def test_keys_and_what_is_not_there(category):
    account = CashAccount(BTC, {"BTC": D(1), "USDT": D(1)})
    exchange = BybitExchange(MatchingEngine(BTC, account), category, api_key="right")
    assert get(exchange, "account/info")["retCode"] == 10003
    assert get(exchange, "market/time")["retCode"] == 0
    assert get(exchange, "moon")["retCode"] == 404


@pytest.mark.parametrize(
    ("kind", "code"), [(FaultKind.REJECT, 10001), (FaultKind.RATE_LIMIT, 10006)]
)
def test_how_faults_are_worded(linear, kind, code):
    assert linear.refusal(kind, is_order=True).body["retCode"] == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"price": "99.05"}, 10001),
        ({"qty": "0.0001"}, 10001),
        ({"qty": "0.001"}, 110094),
        ({"qty": "9000", "price": "99.0"}, 110007),
        ({"side": "Up"}, 10001),
        ({"orderType": "Moon"}, 10001),
        ({"positionIdx": 1}, 10001),
        ({"takeProfit": "120"}, 10001),
        ({"symbol": "ETHUSDT"}, 10001),
        ({"category": "inverse"}, 10001),
        ({"reduceOnly": True}, 110017),
    ],
)
def test_orders_are_refused_with_bybit_s_codes(linear, changes, code):
    with pytest.raises(ApiError) as caught:
        place(linear, **changes)
    assert caught.value.code == code
    assert linear.counts.rejected == 1
    assert linear.engine.orders() == ()


def test_every_rule_has_a_code(category):
    assert set(REJECTS[category]) == set(RejectReason)


@given(
    params=st.dictionaries(
        st.sampled_from([*ORDER, "triggerPrice", "positionIdx", "triggerDirection", "reduceOnly"]),
        st.one_of(st.text(max_size=8), st.integers(), st.booleans(), st.none(), st.floats()),
    ),
    category=st.sampled_from(Category),
)
def test_whatever_is_asked_for_is_an_order_or_an_error(params, category):
    order = None
    with contextlib.suppress(ApiError):
        order = parse_order(ORDER | params, category, "default")
    assert order is None or order.quantity.is_finite()
