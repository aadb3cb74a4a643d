import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.sandbox.bybit.exchange import BybitExchange
from nautilus_enhanced.sandbox.bybit.market_messages import Category
from nautilus_enhanced.sandbox.bybit.sessions import MAX_TOPICS
from nautilus_enhanced.sandbox.bybit.sessions import ORDER_MS
from nautilus_enhanced.sandbox.faults import FaultKind
from nautilus_enhanced.sandbox.margin import MarginAccount
from nautilus_enhanced.sandbox.market import Instrument
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.market import Trade
from nautilus_enhanced.sandbox.matching import MatchingEngine


D = Decimal
BTC = Instrument(base="BTC", quote="USDT", tick_size=D("0.1"), step_size=D("0.001"))
ORDER = {
    "category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit",
    "timeInForce": "GTC", "qty": "1.000", "price": "99.0", "orderLinkId": "mine",
}  # fmt: skip
TRADE = Trade(due_ns=0, trade_id=4, price=D("99.9"), size=D("0.5"), buyer_is_maker=True)


def quote(bid, ask, size="5"):
    return Quote(due_ns=0, bid=D(bid), ask=D(ask), bid_size=D(size), ask_size=D(size))


@pytest.fixture
def exchange():
    engine = MatchingEngine(BTC, MarginAccount(BTC, D(1000)))
    return BybitExchange(engine, Category.LINEAR, api_key="right")


def spot():
    engine = MatchingEngine(BTC, MarginAccount(BTC, D(1000)))
    return BybitExchange(engine, Category.SPOT)


def decode(frame):
    header = {126: 4, 127: 10}.get(frame[1], 2)
    return json.loads(frame[header:])


def say(session, op, *args, now_ns=5_000_000, **rest):
    reply = session.receive(json.dumps({"op": op, "args": list(args), **rest}), now_ns)
    return [decode(frame) for frame in reply.frames]


def open_session(exchange, kind, key="right"):
    session = exchange.session(kind, None, [])
    if kind != "public":
        session.receive(json.dumps({"op": "auth", "args": [key, 1, "x"]}), 0)
    return session


def frames(exchange, event, now_ns=5_000_000):
    return [decode(f.encoded) for f in exchange.on_event(event, None, now_ns)[0]]


def test_a_public_session_gets_the_topics_that_it_asks_for(exchange):
    session = open_session(exchange, "public")
    topics = ["tickers.BTCUSDT", "publicTrade.BTCUSDT"]
    (answer,) = say(session, "subscribe", *topics, req_id="1")
    assert (answer["success"], answer["op"], answer["req_id"]) == (True, "subscribe", "1")
    assert session.streams == set(topics)
    exchange.select(frozenset(topics))
    (whole,) = frames(exchange, quote("99.9", "100.0"))
    (change,) = frames(exchange, quote("99.8", "100.0"))
    assert (whole["type"], change["type"]) == ("snapshot", "delta")
    assert (change["data"]["bid1Price"], change["data"]["ask1Size"]) == ("99.8", "5.000")
    (trade,) = frames(exchange, TRADE)
    assert (trade["data"][0]["S"], trade["data"][0]["p"], trade["ts"]) == ("Sell", "99.9", 5)
    say(session, "unsubscribe", *topics)
    assert session.streams == set()


def test_who_comes_later_begins_with_a_snapshot(exchange):
    exchange.on_event(quote("99.9", "100.0"), None, 0)
    session = open_session(exchange, "public")
    _, whole = say(session, "subscribe", "tickers.BTCUSDT")
    assert (whole["type"], whole["data"]["bid1Price"]) == ("snapshot", "99.9")
    _, book = say(session, "subscribe", "orderbook.50.BTCUSDT")
    exchange.select(frozenset({"orderbook.50.BTCUSDT"}))
    (change,) = frames(exchange, quote("99.8", "100.0"), 50_000_000)
    assert (book["type"], change["type"]) == ("snapshot", "delta")
    assert change["data"]["u"] == book["data"]["u"] + 1


@given(bids=st.lists(st.integers(900, 1000), min_size=1, max_size=40))
def test_a_copy_that_follows_the_changes_is_the_book(bids):
    exchange = spot()
    exchange.select(frozenset({"orderbook.50.BTCUSDT"}))
    copy, kinds = {"b": {}, "a": {}}, []
    for number, bid in enumerate(bids):
        tick = quote(D(bid) / 10, D(bid + 1) / 10, str(1 + number % 3))
        for message in frames(exchange, tick, (number + 1) * 30_000_000):
            kinds.append(message["type"])
            if message["type"] == "snapshot":
                copy = {"b": {}, "a": {}}
            for side, levels in copy.items():
                levels.update(dict(message["data"][side]))
    assert kinds == ["snapshot", *["delta"] * (len(bids) - 1)]
    book = exchange.streams.book.snapshot()
    for side, levels in (("b", book.bids), ("a", book.asks)):
        left = {p: s for p, s in copy[side].items() if D(s)}
        assert left == dict(exchange.messages.levels(levels))


def test_the_touch_of_spot_is_a_book_of_one_level():
    exchange = spot()
    assert exchange.quote_streams == {"orderbook.1.BTCUSDT"}
    exchange.select(frozenset({"orderbook.1.BTCUSDT", "tickers.BTCUSDT", "kline.1.BTCUSDT"}))
    found = {m["topic"]: m for m in frames(exchange, quote("99.9", "100.0"), 10**9)}
    book = found["orderbook.1.BTCUSDT"]["data"]
    assert (book["b"], book["a"]) == ([["99.9", "5.000"]], [["100.0", "5.000"]])
    assert "bid1Price" not in found["tickers.BTCUSDT"]["data"]
    (candle,) = frames(exchange, TRADE)
    assert (candle["topic"], candle["data"][0]["confirm"]) == ("kline.1.BTCUSDT", False)


@pytest.mark.parametrize(
    "topic", ["tickers.ETHUSDT", "orderbook.7.BTCUSDT", "kline.9.BTCUSDT", "moon.BTCUSDT", "order"]
)
def test_a_topic_that_there_is_not_is_refused(exchange, topic):
    (answer,) = say(open_session(exchange, "public"), "subscribe", topic)
    assert (answer["success"], answer["ret_msg"]) == (False, f"Invalid topic: {topic}")
    assert not exchange.carries(topic)


def test_private_topics_need_a_key(exchange):
    for key, success in (("wrong", False), ("right", True)):
        session = open_session(exchange, "private", key)
        (answer,) = say(session, "subscribe", "order", "wallet")
        assert answer["success"] is success
        assert session.has_user_data is success
    assert session.streams == set()


def test_messages_about_the_account_go_to_their_topics(exchange):
    private, trade = (open_session(exchange, kind) for kind in ("private", "trade"))
    say(private, "subscribe", "order")
    reply = trade.receive(json.dumps({"op": "order.create", "reqId": "7", "args": [ORDER]}), 5)
    (answer,) = (decode(frame) for frame in reply.frames)
    assert (answer["retCode"], answer["reqId"], answer["data"]["orderLinkId"]) == (0, "7", "mine")
    sent = [private.user_frame(event) for event in reply.events]
    assert [frame is not None for frame in sent] == [True, False]
    pushed = decode(sent[0])
    assert (pushed["topic"], pushed["data"][0]["orderStatus"]) == ("order", "New")
    assert trade.user_frame(reply.events[0]) is None


def test_a_refused_order_is_answered_under_its_name(exchange):
    trade = open_session(exchange, "trade")
    (answer,) = say(trade, "order.create", ORDER | {"qty": "0"}, reqId="8")
    assert (answer["retCode"], answer["reqId"], answer["op"]) == (10001, "8", "order.create")
    text = json.dumps({"op": "order.create", "reqId": "9", "args": [ORDER]})
    (answer,) = (decode(frame) for frame in trade.refuse(text, FaultKind.RATE_LIMIT).frames)
    assert (answer["retCode"], answer["reqId"]) == (10006, "9")
    call = trade.call(text)
    assert (call.name, call.is_order, call.takes_ms) == ("WS order.create", True, ORDER_MS)
    assert not trade.call('{"op":"ping"}').takes_ms
    assert exchange.engine.orders() == ()


@pytest.mark.parametrize(
    ("kind", "op"), [("public", "ping"), ("private", "pong"), ("trade", "pong")]
)
def test_a_ping_is_answered(exchange, kind, op):
    (answer,) = say(open_session(exchange, kind), "ping", req_id="p")
    assert (answer["op"], answer["req_id"]) == (op, "p")


def test_topics_are_limited(exchange, monkeypatch):
    session = open_session(exchange, "public")
    session.streams.update(f"t{i}" for i in range(MAX_TOPICS))
    (answer,) = say(session, "subscribe", "tickers.BTCUSDT")
    assert not answer["success"]


@pytest.mark.parametrize("kind", ["public", "private", "trade"])
@given(text=st.text() | st.dictionaries(st.text(), st.text()).map(json.dumps))
def test_whatever_is_said_is_answered(kind, text):
    session = spot().session(kind, None, [])
    assert len(session.receive(text, 0).frames) == 1
