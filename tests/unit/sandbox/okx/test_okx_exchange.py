import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.sandbox.accounts import CashAccount
from nautilus_enhanced.sandbox.dialect import Request
from nautilus_enhanced.sandbox.faults import FaultKind
from nautilus_enhanced.sandbox.margin import MarginAccount
from nautilus_enhanced.sandbox.market import Instrument
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.market import Trade
from nautilus_enhanced.sandbox.matching import MatchingEngine
from nautilus_enhanced.sandbox.okx.exchange import OKXExchange
from nautilus_enhanced.sandbox.okx.listings import page


D = Decimal
INSTRUMENT = Instrument(base="BTC", quote="USDT", tick_size=D("0.01"), step_size=D("0.001"))
ORDER = {
    "instId": "BTC-USDT-SWAP",
    "side": "buy",
    "ordType": "limit",
    "tdMode": "cross",
    "sz": "100",
    "px": "99",
    "clOrdId": "mine",
}
MARKET = {"ordType": "market", "px": None}
NOW_NS = 5_000_000


def quote(bid, ask, size="5"):
    return Quote(due_ns=0, bid=D(bid), ask=D(ask), bid_size=D(size), ask_size=D(size))


def opened(engine, **options):
    exchange = OKXExchange(engine, **options)
    exchange.on_event(quote("99.99", "100"), None, 0)
    return exchange


@pytest.fixture
def swap():
    account = MarginAccount(INSTRUMENT, D(1000))
    return opened(MatchingEngine(INSTRUMENT, account), is_spot=False)


@pytest.fixture
def spot():
    account = CashAccount(INSTRUMENT, {"BTC": D(10), "USDT": D(1000)})
    return opened(MatchingEngine(INSTRUMENT, account), is_spot=True)


def call(exchange, method, path, *, api_key="k", body=None, **params):
    headers = {"ok-access-key": api_key} if api_key else {}
    return exchange.handle(
        Request(
            method=method,
            path=f"/api/v5{path}",
            params=params,
            headers=headers,
            body=json.dumps(body).encode() if body is not None else b"",
            now_ns=NOW_NS,
        )
    )


def rows(exchange, path, **params):
    answer = call(exchange, "GET", path, **params)
    assert (answer.status, answer.body["code"]) == (200, "0"), answer.body
    return answer.body["data"]


def changed(**changes):
    return {k: v for k, v in (ORDER | changes).items() if v is not None}


def place(exchange, **changes):
    outcome = exchange.run("order", [changed(**changes)], NOW_NS)
    return outcome.data[0], outcome.events


def states(events):
    return [event.execution_type for event in events if event.name == "orders"]


def test_the_instruments_have_their_rules(swap, spot):
    (contract,) = rows(swap, "/public/instruments", api_key="", instType="SWAP")
    assert (contract["instId"], contract["ctVal"], contract["ctValCcy"]) == (
        "BTC-USDT-SWAP",
        "0.01",
        "BTC",
    )
    assert (contract["tickSz"], contract["lotSz"], contract["settleCcy"]) == ("0.01", "0.1", "USDT")
    (pair,) = rows(spot, "/public/instruments", api_key="", instType="SPOT")
    assert (pair["instId"], pair["baseCcy"], pair["lotSz"]) == ("BTC-USDT", "BTC", "0.001")
    assert rows(swap, "/public/instruments", instType="OPTION") == []


@pytest.mark.parametrize(
    ("key", "code"), [("", "50103"), ("other", "50111"), ("mine", "0")], ids=str
)
def test_keys_are_checked_where_one_is_named(key, code):
    account = MarginAccount(INSTRUMENT, D(1000))
    exchange = opened(MatchingEngine(INSTRUMENT, account), is_spot=False, api_key="mine")
    answer = call(exchange, "GET", "/account/balance", api_key=key)
    assert (answer.body["code"], answer.status) == (code, 200 if code == "0" else 401)


def test_what_is_not_served_is_said_so(swap):
    answer = call(swap, "GET", "/account/greeks")
    assert (answer.status, answer.body["code"]) == (404, "404")
    answer = call(swap, "POST", "/trade/order-algo", body={})
    assert answer.body["code"] == "51000"
    assert rows(swap, "/trade/orders-algo-pending") == []


def test_an_order_that_rests_is_listed_and_cancelled(swap):
    data, events = place(swap)
    assert (data["sCode"], data["clOrdId"]) == ("0", "mine")
    assert states(events) == ["live"]
    (listed,) = rows(swap, "/trade/orders-pending", instType="SWAP")
    assert (listed["ordId"], listed["sz"], listed["px"]) == (data["ordId"], "100", "99")
    assert rows(swap, "/trade/orders-pending", instType="SPOT") == []
    body = {"instId": "BTC-USDT-SWAP", "ordId": data["ordId"]}
    answer = call(swap, "POST", "/trade/cancel-order", body=body)
    assert answer.body["code"] == "0"
    assert states(answer.events) == ["canceled"]
    assert rows(swap, "/trade/orders-pending") == []
    (listed,) = rows(swap, "/trade/orders-history")
    assert listed["state"] == "canceled"
    again = call(swap, "POST", "/trade/cancel-order", body=body)
    assert (again.body["code"], again.body["data"][0]["sCode"]) == ("1", "51400")


def test_a_market_order_fills_level_by_level_and_adds_its_fees_up(swap):
    _, events = place(swap, **MARKET, sz="700")
    # Five coins at the touch and two behind it.
    assert states(events) == ["live", "partially_filled", "filled"]
    orders = [event.payload for event in events if event.name == "orders"]
    assert [o["fillSz"] for o in orders] == ["0", "500", "200"]
    assert [o["fillPx"] for o in orders[1:]] == ["100", "100.01"]
    assert [o["fee"] for o in orders] == ["0", "-0.25", "-0.35001"]
    assert [o["fillFee"] for o in orders] == ["0", "-0.25", "-0.10001"]
    assert orders[-1]["accFillSz"] == "700"
    (listed,) = rows(swap, "/trade/orders-history")
    for name in ("fee", "feeCcy", "avgPx", "accFillSz", "state"):
        assert listed[name] == orders[-1][name]
    (position,) = rows(swap, "/account/positions")
    assert (position["pos"], position["posSide"]) == ("700", "net")
    assert [event.name for event in events[-2:]] == ["account", "positions"]
    fills = rows(swap, "/trade/fills", ordId=listed["ordId"])
    assert [(f["fillSz"], f["fee"]) for f in fills] == [("200", "-0.10001"), ("500", "-0.25")]
    assert rows(swap, "/trade/fills", ordId="7") == []


def test_a_resting_order_is_filled_by_a_quote(swap):
    place(swap, sz="800")
    _, events = swap.on_event(quote("98", "99"), None, NOW_NS)
    assert states(events) == ["partially_filled"]
    assert events[0].payload["execType"] == "M"
    _, events = swap.on_event(quote("98", "99"), None, NOW_NS)
    assert states(events) == ["filled"]
    assert swap.counts.fills == 2


def test_a_post_only_order_that_would_cross_is_taken_and_cancelled(swap):
    data, events = place(swap, ordType="post_only", px="101")
    assert data["sCode"] == "0"
    assert states(events) == ["canceled"]
    assert events[0].payload["cancelSource"] == "31"
    assert (swap.counts.accepted, swap.counts.rejected) == (0, 1)
    assert rows(swap, "/trade/orders-history") == []


@pytest.mark.parametrize(
    ("kind", "source"), [("ioc", "14"), ("fok", "13")], ids=["at once", "all or nothing"]
)
def test_what_does_not_fill_at_once_is_cancelled(swap, kind, source):
    _, events = place(swap, ordType=kind)
    assert states(events) == ["live", "canceled"]
    assert events[1].payload["cancelSource"] == source


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sz": "0.05"}, "51121"),
        ({"px": "99.001"}, "51150"),
        ({"sz": "99999999"}, "51005"),
        ({"px": "0"}, "51006"),
        ({"sz": "1"}, "51020"),
        ({"sz": "90000"}, "51008"),
        ({"side": "long"}, "51000"),
        ({"ordType": "trigger"}, "51000"),
        ({"tdMode": "cash"}, "51000"),
        ({"posSide": "long"}, "51000"),
        ({"clOrdId": "has-a-hyphen"}, "51000"),
        ({"sz": "many"}, "51000"),
        ({"sz": None}, "50014"),
        ({"instId": "ETH-USDT-SWAP"}, "51001"),
        ({"instId": None}, "51001"),
        ({"instId": None, "instIdCode": 1}, "51001"),
        ({"reduceOnly": "true"}, "51169"),
    ],
    ids=str,
)
def test_an_order_is_refused_with_okx_s_code(swap, changes, code):
    data, events = place(swap, **changes)
    assert (data["sCode"], events) == (code, [])
    assert swap.counts.accepted == 0
    # The others of a batch are taken all the same.
    outcome = swap.run("batch-orders", [changed(**changes), ORDER | {"clOrdId": "b"}], NOW_NS)
    assert outcome.code == "2"
    assert [d["sCode"] for d in outcome.data] == [code, "0"]


def test_an_instrument_may_be_named_by_its_code(swap):
    data, _ = place(swap, instId=None, instIdCode=10459)
    assert data["sCode"] == "0"


def test_two_open_orders_of_one_name_are_refused(swap):
    place(swap)
    data, _ = place(swap)
    assert data["sCode"] == "51016"


def test_an_order_is_changed(swap):
    data, _ = place(swap)
    ids = {"instId": "BTC-USDT-SWAP", "clOrdId": "mine"}
    outcome = swap.run("amend-order", [ids | {"newPx": "98.5", "newSz": "50"}], NOW_NS)
    assert outcome.data[0]["ordId"] == data["ordId"]
    (event,) = (e for e in outcome.events if e.name == "orders")
    assert (event.payload["px"], event.payload["sz"], event.payload["state"]) == (
        "98.5",
        "50",
        "live",
    )
    assert event.payload["amendResult"] == "0"
    other = {"instId": "BTC-USDT-SWAP", "clOrdId": "other", "newPx": "98"}
    assert swap.run("amend-order", [other], NOW_NS).data[0]["sCode"] == "51503"
    assert swap.counts.amends == 1


@pytest.mark.parametrize("commands", [[], ["order"], [ORDER] * 21], ids=["none", "text", "many"])
def test_arguments_that_are_none_are_refused(swap, commands):
    outcome = swap.run("batch-orders", commands, NOW_NS)
    assert (outcome.code, outcome.data) == ("60013", [])


def test_a_purchase_on_spot_pays_its_fee_in_what_it_got(spot):
    order = {"instId": "BTC-USDT", "tdMode": "cash", **MARKET, "sz": "1"}
    data, _ = place(spot, **order)
    assert data["sMsg"] == "Parameter tgtCcy error"
    data, events = place(spot, **order, tgtCcy="base_ccy")
    assert data["sCode"] == "0"
    payload = events[1].payload
    assert (payload["fee"], payload["feeCcy"], payload["state"]) == ("-0.001", "BTC", "filled")
    details = {d["ccy"]: d["cashBal"] for d in rows(spot, "/account/balance")[0]["details"]}
    assert details == {"BTC": "10.999", "USDT": "900"}
    assert rows(spot, "/account/positions") == []


def test_fees_are_negative_as_okx_writes_them(swap, spot):
    (fee,) = rows(swap, "/account/trade-fee", instType="SWAP")
    assert (fee["makerU"], fee["takerU"], fee["maker"]) == ("-0.0002", "-0.0005", "")
    (fee,) = rows(spot, "/account/trade-fee", instType="SPOT")
    assert (fee["maker"], fee["taker"]) == ("-0.001", "-0.001")


def test_history_of_the_market(swap):
    for number in range(3):
        trade = Trade(
            due_ns=0, trade_id=number, price=D(100 + number), size=D(1), buyer_is_maker=False
        )
        swap.on_event(trade, None, number * 60_000_000_000)
    named = {"instId": "BTC-USDT-SWAP"}
    newest = rows(swap, "/market/trades", **named)
    assert [(t["tradeId"], t["sz"]) for t in newest] == [("2", "100"), ("1", "100"), ("0", "100")]
    older = rows(swap, "/market/history-trades", **named, after="1")
    assert [t["tradeId"] for t in older] == ["0"]
    candles = rows(swap, "/market/candles", **named, bar="1m", limit="2")
    assert [(c[0], c[4], c[5]) for c in candles] == [
        ("120000", "102", "100"),
        ("60000", "101", "100"),
    ]
    assert call(swap, "GET", "/market/candles", **named, bar="9m").body["code"] == "51000"
    (book,) = rows(swap, "/market/books", **named, sz="2")
    assert [level[:2] for level in book["asks"]] == [["100", "500"], ["100.01", "500"]]


def test_refusals_on_demand():
    account = MarginAccount(INSTRUMENT, D(1000))
    exchange = OKXExchange(MatchingEngine(INSTRUMENT, account), is_spot=False)
    limited = exchange.refusal(FaultKind.RATE_LIMIT, is_order=True)
    assert (limited.status, limited.body["code"]) == (429, "50011")
    refused = exchange.refusal(FaultKind.REJECT, is_order=True)
    assert (refused.status, refused.body["code"]) == (200, "51000")
    for path, is_order in (("order", True), ("cancel-batch-orders", True)):
        request = Request(method="POST", path=f"/api/v5/trade/{path}")
        assert exchange.is_order(request) is is_order
    assert not exchange.is_order(Request(method="GET", path="/api/v5/trade/order"))


@given(
    numbers=st.lists(st.integers(0, 50), unique=True, max_size=30),
    limit=st.integers(1, 7),
)
def test_pages_by_after_give_every_row_once(numbers, limit):
    table = [{"id": str(n), "ts": str(n)} for n in sorted(numbers, reverse=True)]
    got = []
    after = {}
    while chunk := page({"limit": str(limit), **after}, table, key="id", time="ts"):
        assert len(chunk) <= limit
        got += chunk
        after = {"after": chunk[-1]["id"]}
    assert got == table


@given(st.lists(st.tuples(st.sampled_from(["buy", "sell"]), st.integers(1, 30)), max_size=12))
def test_fees_and_sizes_of_the_messages_add_up(orders):
    account = MarginAccount(INSTRUMENT, D(1_000_000))
    exchange = opened(MatchingEngine(INSTRUMENT, account), is_spot=False)
    position = D(0)
    for number, (side, lots) in enumerate(orders):
        data, events = place(
            exchange, **MARKET, side=side, sz=str(lots * 100), clOrdId=f"o{number}"
        )
        assert data["sCode"] == "0"
        updates = [event.payload for event in events if event.name == "orders"]
        paid = sum(D(update["fillFee"]) for update in updates)
        size = sum(D(update["fillSz"]) for update in updates)
        assert D(updates[-1]["fee"]) == paid
        assert D(updates[-1]["accFillSz"]) == size
        position += size if side == "buy" else -size
        exchange.on_event(quote("99.99", "100"), None, 0)
    assert account.position == position / 100
