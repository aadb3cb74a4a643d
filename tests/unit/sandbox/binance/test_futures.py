import json
from decimal import Decimal

import pytest

from nautilus_enhanced.sandbox.binance.futures import FuturesExchange
from nautilus_enhanced.sandbox.dialect import Request
from nautilus_enhanced.sandbox.faults import FaultKind
from nautilus_enhanced.sandbox.margin import MarginAccount
from nautilus_enhanced.sandbox.market import Instrument
from nautilus_enhanced.sandbox.market import Quote


D = Decimal
CONTRACT = Instrument(base="BTC", quote="USDT", tick_size=D("0.1"), step_size=D("0.001"))
ORDER = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "1.000",
    "price": "99.0",
    "reduceOnly": "False",
    "positionSide": "BOTH",
    "newClientOrderId": "mine",
}


def quote(bid, ask, size="5"):
    return Quote(due_ns=0, bid=D(bid), ask=D(ask), bid_size=D(size), ask_size=D(size))


@pytest.fixture
def exchange():
    exchange = FuturesExchange(CONTRACT, MarginAccount(CONTRACT, D(1000)))
    exchange.on_quote(quote("99.9", "100.0"), now_ns=0)
    return exchange


def call(exchange, method, path, now_ns=5_000_000, **params):
    headers = {"x-mbx-apikey": "k"}
    path = path if path.startswith("/") else f"/fapi/v1/{path}"
    return exchange.handle(
        Request(method=method, path=path, params=params, headers=headers, now_ns=now_ns)
    )


def place(exchange, **changes):
    params = {k: v for k, v in (ORDER | changes).items() if v is not None}
    return call(exchange, "POST", "order", **params)


def names(answer):
    return [event.name for event in answer.events]


def test_the_contract_is_a_perpetual_one(exchange):
    body = call(exchange, "GET", "exchangeInfo").body
    (symbol,) = body["symbols"]
    assert (symbol["contractType"], symbol["marginAsset"]) == ("PERPETUAL", "USDT")
    assert (symbol["pricePrecision"], symbol["quantityPrecision"]) == (1, 3)
    filters = {f["filterType"]: f for f in symbol["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.1"
    assert filters["MIN_NOTIONAL"]["notional"] == "5.00000000"


def test_an_order_from_acceptance_to_fill(exchange):
    answer = place(exchange)
    assert (answer.status, answer.body["status"]) == (200, "NEW")
    assert names(answer) == ["ORDER_TRADE_UPDATE"]
    update = answer.events[0].payload["o"]
    assert (update["x"], update["X"], update["c"], update["f"]) == ("NEW", "NEW", "mine", "GTC")
    account = call(exchange, "GET", "/fapi/v2/account").body
    assert account["totalOpenOrderInitialMargin"] == "4.95000000"

    events = exchange.on_quote(quote("98.0", "98.5"), now_ns=7_000_000)
    assert [e.name for e in events] == ["TRADE_LITE", "ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE"]
    lite, account, update = (event.payload for event in events)
    assert (lite["L"], lite["l"], lite["m"]) == ("99.0", "1.000", True)
    assert account["a"]["P"][0]["pa"] == "1.000"
    assert account["a"]["B"][0]["wb"] == "999.98020000"
    assert (update["o"]["x"], update["o"]["X"], update["o"]["t"]) == ("TRADE", "FILLED", 1)
    assert (update["o"]["n"], update["o"]["N"]) == ("0.01980000", "USDT")
    (risk,) = call(exchange, "GET", "/fapi/v3/positionRisk", symbol="BTCUSDT").body
    assert (risk["positionAmt"], risk["entryPrice"]) == ("1.000", "99.00000000")
    assert risk["unRealizedProfit"] == "-0.75000000"
    (held,) = call(exchange, "GET", "/fapi/v2/account").body["positions"]
    assert (held["positionAmt"], held["leverage"]) == ("1.000", "20")
    (trade,) = call(exchange, "GET", "userTrades", symbol="BTCUSDT").body
    assert (trade["buyer"], trade["maker"], trade["realizedPnl"]) == (True, True, "0.00000000")
    (order,) = call(exchange, "GET", "allOrders", symbol="BTCUSDT").body
    assert (order["status"], order["avgPrice"]) == ("FILLED", "99.00000000")


def test_post_only_is_a_time_in_force(exchange):
    assert place(exchange, timeInForce="GTX").body["timeInForce"] == "GTX"
    answer = place(exchange, timeInForce="GTX", price="101.0", newClientOrderId="b")
    assert (answer.status, answer.body["code"]) == (400, -5022)


def test_an_order_is_amended(exchange):
    place(exchange)
    answer = call(
        exchange,
        "PUT",
        "order",
        symbol="BTCUSDT",
        orderId="1",
        side="BUY",
        quantity="2",
        price="98",
    )
    assert (answer.body["price"], answer.body["origQty"]) == ("98.0", "2.000")
    assert answer.events[0].execution_type == "AMENDMENT"
    assert exchange.counts.amends == 1
    answer = call(exchange, "PUT", "order", symbol="BTCUSDT", orderId="9", quantity="2", price="98")
    assert answer.body["code"] == -2011


def test_cancels_one_some_and_all(exchange):
    for number in range(4):
        place(exchange, newClientOrderId=f"o{number}")
    answer = call(exchange, "DELETE", "order", symbol="BTCUSDT", origClientOrderId="o0")
    assert (answer.body["status"], answer.body["clientOrderId"]) == ("CANCELED", "o0")
    assert answer.events[0].payload["o"]["c"] == "o0"
    ids = json.dumps(["o1", "nobody"])
    answer = call(exchange, "DELETE", "batchOrders", symbol="BTCUSDT", origClientOrderIdList=ids)
    assert [body.get("code", body.get("status")) for body in answer.body] == ["CANCELED", -2011]
    answer = call(exchange, "DELETE", "allOpenOrders", symbol="BTCUSDT")
    assert (answer.body["code"], len(answer.events)) == (200, 2)
    assert call(exchange, "GET", "openOrders").body == []


@pytest.mark.parametrize("ids", ["{}", "x", "[1]", json.dumps(["a"] * 11)])
def test_a_batch_that_is_none_is_refused(exchange, ids):
    answer = call(exchange, "DELETE", "batchOrders", symbol="BTCUSDT", origClientOrderIdList=ids)
    assert answer.status == 400
    assert call(exchange, "DELETE", "batchOrders", symbol="BTCUSDT").body["code"] == -1102


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"symbol": "ETHUSDT"}, -1121),
        ({"side": "HOLD"}, -1117),
        ({"type": "STOP_MARKET", "stopPrice": "1"}, -4120),
        ({"type": "LIQUIDATION"}, -1116),
        ({"timeInForce": "GTD"}, -1115),
        ({"timeInForce": None}, -1102),
        ({"priceMatch": "QUEUE"}, -1106),
        ({"positionSide": "LONG"}, -4061),
        ({"price": "99.05"}, -4014),
        ({"quantity": "0.0001"}, -1111),
        ({"quantity": "9001"}, -4005),
        ({"quantity": "0.001"}, -4164),
        ({"quantity": "300"}, -2019),
        ({"reduceOnly": "true"}, -2022),
    ],
)
def test_rejects_have_binance_s_codes(exchange, changes, code):
    answer = place(exchange, **changes)
    assert (answer.status, answer.body["code"]) == (400, code)
    assert answer.events == ()
    assert exchange.counts.rejected == 1


def test_leverage_margin_type_and_position_mode(exchange):
    assert call(exchange, "POST", "leverage", symbol="BTCUSDT", leverage="5").body["leverage"] == 5
    assert call(exchange, "GET", "symbolConfig").body[0]["leverage"] == 5
    answer = call(exchange, "POST", "leverage", symbol="BTCUSDT", leverage="126")
    assert answer.body["code"] == -4028
    crossed = call(exchange, "POST", "marginType", symbol="BTCUSDT", marginType="CROSSED")
    assert crossed.body["code"] == 200
    isolated = call(exchange, "POST", "marginType", symbol="BTCUSDT", marginType="ISOLATED")
    assert isolated.status == 400
    assert call(exchange, "GET", "positionSide/dual").body == {"dualSidePosition": False}
    assert call(exchange, "POST", "positionSide/dual", dualSidePosition="true").status == 400


def test_a_listen_key_lives_until_it_is_closed(exchange):
    key = call(exchange, "POST", "listenKey").body["listenKey"]
    assert call(exchange, "PUT", "listenKey").body["listenKey"] == key
    assert call(exchange, "DELETE", "listenKey").body == {}
    assert call(exchange, "PUT", "listenKey").body["code"] == -1125


def test_market_data_without_a_key(exchange):
    depth = call(exchange, "GET", "depth", symbol="BTCUSDT", limit="5").body
    assert (depth["bids"][0], len(depth["asks"])) == (["99.9", "5.000"], 5)
    assert depth["lastUpdateId"] == 1
    (mark,) = call(exchange, "GET", "premiumIndex").body
    assert mark["markPrice"] in {"99.9", "100.0"}
    assert call(exchange, "GET", "/fapi/v2/ticker/price", symbol="BTCUSDT").body["price"] == "99.9"
    assert call(exchange, "GET", "openAlgoOrders").body == []


def test_refusals_on_demand_are_worded_as_binance_does(exchange):
    answer = exchange.refusal(FaultKind.RATE_LIMIT, is_order=True)
    assert (answer.status, answer.body["code"], answer.headers) == (
        429,
        -1003,
        {"Retry-After": "1"},
    )
    assert exchange.refusal(FaultKind.REJECT, is_order=True).body["code"] == -2010
    assert exchange.refusal(FaultKind.REJECT, is_order=False).body["code"] == -1000


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/fapi/v1/order", True),
        ("PUT", "/fapi/v1/order", True),
        ("DELETE", "/fapi/v1/allOpenOrders", True),
        ("DELETE", "/fapi/v1/batchOrders", True),
        ("GET", "/fapi/v1/order", False),
        ("POST", "/fapi/v1/listenKey", False),
        ("POST", "/fapi/v1/leverage", False),
    ],
)
def test_what_an_order_request_is(exchange, method, path, expected):
    assert exchange.is_order(Request(method=method, path=path)) is expected


ALGO = {
    "algoType": "CONDITIONAL",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "type": "STOP_MARKET",
    "quantity": "1.000",
    "triggerPrice": "98.0",
    "clientAlgoId": "stop",
}


def place_algo(exchange, **changes):
    return call(exchange, "POST", "algoOrder", **ALGO | changes)


def test_a_stop_order_waits_and_is_then_an_order_with_another_id(exchange):
    answer = place_algo(exchange)
    assert (answer.body["algoStatus"], answer.body["orderType"]) == ("NEW", "STOP_MARKET")
    (update,) = (event.payload["o"] for event in answer.events)
    assert (update["X"], update["caid"], update["ai"]) == ("NEW", "stop", "")
    assert call(exchange, "GET", "openOrders").body == []
    assert call(exchange, "GET", "order", symbol="BTCUSDT", orderId="1").status == 400
    (waiting,) = call(exchange, "GET", "openAlgoOrders").body
    assert waiting["algoId"] == update["aid"]

    events = exchange.on_quote(quote("97.0", "97.5"), now_ns=7_000_000)
    assert [e.name for e in events] == [
        "ALGO_UPDATE", "ORDER_TRADE_UPDATE", "TRADE_LITE", "ACCOUNT_UPDATE",
        "ORDER_TRADE_UPDATE", "ALGO_UPDATE",
    ]  # fmt: skip
    triggered, new, _, _, trade, finished = (event.payload.get("o", {}) for event in events)
    assert (triggered["X"], triggered["ai"]) == ("TRIGGERED", str(new["i"]))
    assert new["i"] != update["aid"]
    assert (new["x"], new["o"], new["ot"], new["sp"]) == ("NEW", "MARKET", "STOP_MARKET", "98.0")
    assert (trade["x"], trade["L"], trade["c"]) == ("TRADE", "97.0", "stop")
    assert (finished["X"], finished["aq"], finished["ap"]) == ("FINISHED", "1.000", "97.00000000")
    assert call(exchange, "GET", "openAlgoOrders").body == []
    (known,) = call(exchange, "GET", "allAlgoOrders", symbol="BTCUSDT").body
    assert (known["algoStatus"], known["actualOrderId"]) == ("FINISHED", "1")
    (order,) = call(exchange, "GET", "allOrders", symbol="BTCUSDT").body
    assert (order["origType"], order["status"]) == ("STOP_MARKET", "FILLED")


@pytest.mark.parametrize("ids", [{"clientAlgoId": "stop"}, {"algoId": "1000000001"}])
def test_a_stop_order_is_cancelled_by_its_own_endpoint_alone(exchange, ids):
    place_algo(exchange)
    name = {"symbol": "BTCUSDT", "origClientOrderId": "stop"}
    assert call(exchange, "DELETE", "order", **name).body["code"] == -2011
    assert call(exchange, "DELETE", "allOpenOrders", symbol="BTCUSDT").events == []
    assert call(exchange, "GET", "algoOrder", **ids).body["algoStatus"] == "NEW"
    answer = call(exchange, "DELETE", "algoOrder", **ids)
    assert (answer.body["clientAlgoId"], answer.body["code"]) == ("stop", "200")
    assert [event.payload["o"]["X"] for event in answer.events] == ["CANCELED"]
    assert call(exchange, "DELETE", "algoOrder", **ids).body["code"] == -2011
    assert call(exchange, "GET", "allOrders", symbol="BTCUSDT").body == []


def test_all_stop_orders_are_cancelled_and_no_other(exchange):
    place(exchange)
    place_algo(exchange)
    place_algo(exchange, clientAlgoId="b")
    answer = call(exchange, "DELETE", "algoOpenOrders", symbol="BTCUSDT")
    assert len(answer.events) == 2
    assert len(call(exchange, "GET", "openOrders").body) == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"triggerPrice": "100.0"}, -2021),
        ({"type": "TAKE_PROFIT_MARKET", "triggerPrice": "99.0"}, -2021),
        ({"side": "BUY", "triggerPrice": "99.0"}, -2021),
        ({"type": "TRAILING_STOP_MARKET"}, -1116),
        ({"type": "STOP"}, -1102),
        ({"closePosition": "true"}, -1106),
        ({"triggerPrice": ""}, -1102),
        ({"quantity": "0.0001"}, -1111),
    ],
)
def test_stop_orders_that_are_refused(exchange, changes, code):
    answer = place_algo(exchange, **changes)
    assert (answer.status, answer.body["code"]) == (400, code)
    assert call(exchange, "GET", "algoOrder").body["code"] == -1102


@pytest.mark.parametrize(
    ("side", "kind", "trigger", "prices"),
    [
        ("BUY", "STOP", "101.0", ("101.0", "101.1")),
        ("BUY", "TAKE_PROFIT", "99.0", ("98.9", "99.0")),
        ("SELL", "STOP", "99.0", ("98.9", "99.0")),
        ("SELL", "TAKE_PROFIT", "101.0", ("101.0", "101.1")),
    ],
)
def test_each_kind_waits_for_its_own_side_of_the_market(exchange, side, kind, trigger, prices):
    limit = "110.0" if side == "SELL" else "90.0"
    place_algo(exchange, side=side, type=kind, triggerPrice=trigger, price=limit, timeInForce="GTC")
    assert exchange.on_quote(quote("99.9", "100.0"), now_ns=6) == ()
    events = exchange.on_quote(quote(*prices), now_ns=7)
    assert [e.name for e in events] == ["ALGO_UPDATE", "ORDER_TRADE_UPDATE"]
    (order,) = call(exchange, "GET", "openOrders").body
    assert (order["type"], order["price"]) == ("LIMIT", limit)


def test_a_reduce_only_stop_without_a_position_expires(exchange):
    place_algo(exchange, reduceOnly="true")
    events = exchange.on_quote(quote("97.0", "97.5"), now_ns=7)
    states = [e.payload["o"]["X"] for e in events]
    assert states == ["TRIGGERED", "NEW", "EXPIRED", "FINISHED"]
