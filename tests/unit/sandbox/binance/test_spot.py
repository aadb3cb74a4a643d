from decimal import Decimal

import pytest

from nautilus_enhanced.sandbox.accounts import CashAccount
from nautilus_enhanced.sandbox.binance.spot import SpotExchange
from nautilus_enhanced.sandbox.dialect import Request
from nautilus_enhanced.sandbox.market import Instrument
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.market import Trade
from nautilus_enhanced.sandbox.matching import MatchingEngine


D = Decimal
INSTRUMENT = Instrument(base="BTC", quote="USDT", tick_size=D("0.01"), step_size=D("0.001"))
ORDER = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "1.000",
    "price": "99.00",
    "newClientOrderId": "mine",
}


def quote(bid, ask, size="5"):
    return Quote(due_ns=0, bid=D(bid), ask=D(ask), bid_size=D(size), ask_size=D(size))


@pytest.fixture
def exchange():
    balances = {"BTC": D(10), "USDT": D(1000)}
    exchange = SpotExchange(MatchingEngine(INSTRUMENT, CashAccount(INSTRUMENT, balances)))
    exchange.on_quote(quote("99.99", "100.00"), now_ns=0)
    return exchange


def call(exchange, method, path, api_key="k", now_ns=5_000_000, **params):
    headers = {"x-mbx-apikey": api_key} if api_key else {}
    return exchange.handle(
        Request(method=method, path=path, params=params, headers=headers, now_ns=now_ns)
    )


def place(exchange, **changes):
    params = {k: v for k, v in (ORDER | changes).items() if v is not None}
    return call(exchange, "POST", "/api/v3/order", **params)


def test_exchange_info_holds_the_filters(exchange):
    (symbol,) = call(exchange, "GET", "/api/v3/exchangeInfo", api_key="").body["symbols"]
    filters = {f["filterType"]: f for f in symbol["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.01"
    assert filters["LOT_SIZE"]["stepSize"] == "0.001"
    assert filters["NOTIONAL"]["minNotional"] == "5.00000000"
    assert call(exchange, "GET", "/api/v3/exchangeInfo", symbols='["BTCUSDT"]').status == 200
    assert call(exchange, "GET", "/api/v3/exchangeInfo", symbol="BTC").body["code"] == -1121


def test_keys_are_asked_for_where_binance_does(exchange):
    assert call(exchange, "GET", "/api/v3/time", api_key="").body == {"serverTime": 5}
    answer = call(exchange, "GET", "/api/v3/account", api_key="")
    assert (answer.status, answer.body["code"]) == (401, -2014)
    closed = SpotExchange(exchange.engine, api_key="right")
    assert call(closed, "GET", "/api/v3/account", api_key="wrong").body["code"] == -2015
    assert call(closed, "GET", "/api/v3/account", api_key="right").status == 200
    assert call(exchange, "GET", "/api/v3/nothing").status == 404


def test_an_order_from_acceptance_to_fill(exchange):
    answer = place(exchange)
    assert answer.status == 200
    assert (answer.body["status"], answer.body["fills"]) == ("NEW", [])
    report, position = (event.payload for event in answer.events)
    assert (report["x"], report["X"], report["c"], report["t"]) == ("NEW", "NEW", "mine", -1)
    assert report["p"] == "99.00"
    assert position["B"][1] == {"a": "USDT", "f": "901.00000000", "l": "99.00000000"}
    assert [o["clientOrderId"] for o in call(exchange, "GET", "/api/v3/openOrders").body] == [
        "mine"
    ]

    fill, position = exchange.on_quote(quote("98.00", "98.50"), now_ns=7_000_000)
    assert (fill.execution_type, fill.trade_id) == ("TRADE", 1)
    assert (fill.payload["X"], fill.payload["L"], fill.payload["m"]) == ("FILLED", "99.00", True)
    assert (fill.payload["n"], fill.payload["N"]) == ("0.00100000", "BTC")
    (trade,) = call(exchange, "GET", "/api/v3/myTrades", symbol="BTCUSDT").body
    assert (trade["price"], trade["qty"], trade["isBuyer"]) == ("99.00", "1.000", True)
    (order,) = call(exchange, "GET", "/api/v3/allOrders", symbol="BTCUSDT").body
    assert (order["status"], order["executedQty"]) == ("FILLED", "1.000")
    counts = exchange.counts
    assert (counts.received, counts.accepted, counts.fills) == (1, 1, 1)


@pytest.mark.parametrize(
    ("detail", "present", "absent"),
    [("ACK", "transactTime", "status"), ("RESULT", "status", "fills"), ("FULL", "fills", "x")],
)
def test_the_detail_of_the_answer_is_the_client_s_choice(exchange, detail, present, absent):
    body = place(exchange, newOrderRespType=detail).body
    assert present in body
    assert absent not in body


def test_a_cancel_moves_the_client_order_id(exchange):
    place(exchange)
    answer = call(exchange, "DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="mine")
    assert (answer.body["origClientOrderId"], answer.body["status"]) == ("mine", "CANCELED")
    report = answer.events[0].payload
    assert (report["x"], report["C"]) == ("CANCELED", "mine")
    assert report["c"] == answer.body["clientOrderId"] != "mine"
    assert answer.events[0].client_order_id == "mine"
    again = call(exchange, "DELETE", "/api/v3/order", symbol="BTCUSDT", orderId="1")
    assert (again.status, again.body["code"]) == (400, -2011)
    found = call(exchange, "GET", "/api/v3/order", symbol="BTCUSDT", orderId="1")
    assert found.body["status"] == "CANCELED"
    assert (
        call(exchange, "GET", "/api/v3/order", symbol="BTCUSDT", orderId="9").body["code"] == -2013
    )


def test_cancelling_all(exchange):
    place(exchange)
    place(exchange, newClientOrderId="other")
    answer = call(exchange, "DELETE", "/api/v3/openOrders", symbol="BTCUSDT")
    assert [o["origClientOrderId"] for o in answer.body] == ["mine", "other"]
    assert call(exchange, "DELETE", "/api/v3/openOrders", symbol="BTCUSDT").body["code"] == -2011


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"symbol": "ETHUSDT"}, -1121, "symbol"),
        ({"symbol": None}, -1102, "'symbol'"),
        ({"side": "HOLD"}, -1117, "side"),
        ({"type": "STOP_LOSS"}, -1116, "orderType"),
        ({"stopPrice": "98"}, -1106, "'stopPrice'"),
        ({"type": "STOP_LOSS_LIMIT"}, -1102, "'stopPrice'"),
        ({"type": "STOP_LOSS_LIMIT", "stopPrice": "98"}, -2010, "trigger immediately"),
        ({"timeInForce": "GTX"}, -1115, "timeInForce"),
        ({"timeInForce": None}, -1102, "'timeInForce'"),
        ({"quantity": "lots"}, -1100, "'quantity'"),
        ({"quantity": "NaN"}, -1100, "'quantity'"),
        ({"price": None}, -1102, "'price'"),
        ({"icebergQty": "1"}, -1106, "'icebergQty'"),
        ({"price": "99.001"}, -1013, "PRICE_FILTER"),
        ({"quantity": "1.0001"}, -1013, "LOT_SIZE"),
        ({"quantity": "0.001"}, -1013, "NOTIONAL"),
        ({"quantity": "11"}, -2010, "insufficient balance"),
        ({"type": "LIMIT_MAKER", "price": "100.00"}, -2010, "immediately match"),
    ],
)
def test_rejects_have_binance_s_codes(exchange, changes, code, said):
    answer = place(exchange, **changes)
    assert (answer.status, answer.body["code"]) == (400, code)
    assert said in answer.body["msg"]
    assert answer.events == ()
    assert exchange.counts.rejected == 1


def test_a_listen_key_lives_until_it_is_closed(exchange):
    path = "/api/v3/userDataStream"
    key = call(exchange, "POST", path).body["listenKey"]
    assert call(exchange, "POST", path).body["listenKey"] == key
    assert call(exchange, "PUT", path, listenKey=key).body == {}
    assert call(exchange, "PUT", path, listenKey="x").body["code"] == -1125
    assert call(exchange, "DELETE", path, listenKey=key).body == {}
    assert call(exchange, "PUT", path, listenKey=key).body["code"] == -1125


def test_market_messages_have_the_digits_of_the_instrument(exchange):
    text = exchange.messages.book_ticker(3, quote("1E+2", "100.5", "1.50000"))
    assert text == '{"u":3,"s":"BTCUSDT","b":"100.00","B":"1.500","a":"100.50","A":"1.500"}'
    trade = Trade(due_ns=0, trade_id=9, price=D(1), size=D("0.1"), buyer_is_maker=False)
    assert '"t":9,"p":"1.00","q":"0.100","T":4,"m":false' in exchange.messages.trade(trade, 4)


def test_the_depth_and_the_fees(exchange):
    depth = call(exchange, "GET", "/api/v3/depth", symbol="BTCUSDT").body
    assert (depth["bids"][0], depth["asks"][0]) == (["99.99", "5.000"], ["100.00", "5.000"])
    (fee,) = call(exchange, "GET", "/sapi/v1/asset/tradeFee").body
    assert fee == {"symbol": "BTCUSDT", "makerCommission": "0.001", "takerCommission": "0.001"}


def test_a_stop_limit_order_waits_for_its_price(exchange):
    stop = {"side": "SELL", "type": "STOP_LOSS_LIMIT", "stopPrice": "98.00", "price": "97.00"}
    answer = place(exchange, **stop)
    report = answer.events[0].payload
    assert (report["x"], report["o"], report["P"]) == ("NEW", "STOP_LOSS_LIMIT", "98.00")
    (order,) = call(exchange, "GET", "/api/v3/openOrders").body
    assert (order["type"], order["stopPrice"], order["isWorking"]) == (
        "STOP_LOSS_LIMIT",
        "98.00",
        False,
    )
    assert exchange.on_quote(quote("98.00", "98.01"), now_ns=1) == ()
    fill, _ = exchange.on_quote(quote("97.50", "98.00"), now_ns=2)
    assert (fill.execution_type, fill.payload["L"]) == ("TRADE", "97.50")
    assert exchange.counts.fills == 1


def test_a_stop_limit_order_can_be_cancelled_while_it_waits(exchange):
    stop = {"side": "SELL", "type": "TAKE_PROFIT_LIMIT", "stopPrice": "110.00", "price": "111.00"}
    place(exchange, **stop)
    answer = call(exchange, "DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="mine")
    assert answer.body["status"] == "CANCELED"
    assert exchange.engine.balances["BTC"].locked == 0
    assert exchange.on_quote(quote("115.00", "115.01"), now_ns=1) == ()
