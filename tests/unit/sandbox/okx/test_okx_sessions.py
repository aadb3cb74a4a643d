import json
from decimal import Decimal

import pytest

from nautilus_enhanced.sandbox.dialect import UserEvent
from nautilus_enhanced.sandbox.faults import FaultKind
from nautilus_enhanced.sandbox.margin import MarginAccount
from nautilus_enhanced.sandbox.market import Instrument
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.matching import MatchingEngine
from nautilus_enhanced.sandbox.okx.exchange import OKXExchange
from nautilus_enhanced.sandbox.okx.sessions import MAX_CHANNELS


D = Decimal
INSTRUMENT = Instrument(base="BTC", quote="USDT", tick_size=D("0.01"), step_size=D("0.001"))
NAME = "BTC-USDT-SWAP"
LOGIN = {"op": "login", "args": [{"apiKey": "mine", "passphrase": "p", "sign": "s"}]}
ORDER = {
    "instId": NAME,
    "side": "buy",
    "ordType": "limit",
    "tdMode": "cross",
    "sz": "100",
    "px": "99",
    "clOrdId": "mine",
}


def quote(bid):
    return Quote(due_ns=0, bid=D(bid), ask=D(bid) + D("0.01"), bid_size=D(1), ask_size=D(1))


@pytest.fixture
def exchange():
    engine = MatchingEngine(INSTRUMENT, MarginAccount(INSTRUMENT, D(1000)))
    exchange = OKXExchange(engine, is_spot=False, api_key="mine")
    exchange.on_event(quote("100"), None, 0)
    return exchange


@pytest.fixture
def private(exchange):
    return exchange.session("private", None, [])


@pytest.fixture
def public(exchange):
    return exchange.session("public", None, [])


def read(frame):
    # One byte of flags, then the length in one byte, or in two behind a mark.
    return json.loads(frame[4 if frame[1] == 126 else 2 :])


def say(session, message):
    text = message if isinstance(message, str) else json.dumps(message)
    return [read(frame) for frame in session.receive(text, 7_000_000).frames]


def subscribe(session, channel, **arg):
    return say(session, {"op": "subscribe", "args": [{"channel": channel, **arg}]})


def test_a_ping_is_answered(public):
    assert public.receive("ping", 0).frames[0].endswith(b"pong")
    assert public.call("ping") is None


def test_orders_and_messages_about_the_account_need_a_login(private):
    (answer,) = say(private, {"id": "1", "op": "order", "args": [ORDER]})
    assert (answer["event"], answer["code"], answer["id"]) == ("error", "60011", "1")
    assert subscribe(private, "orders", instType="SWAP")[0]["code"] == "60011"
    wrong = {"op": "login", "args": [{"apiKey": "other"}]}
    assert say(private, wrong)[0]["code"] == "60005"
    assert say(private, LOGIN)[0]["event"] == "login"
    assert subscribe(private, "orders", instType="SWAP")[0]["event"] == "subscribe"
    (answer,) = say(private, {"id": "2", "op": "order", "args": [ORDER]})
    assert (answer["id"], answer["op"], answer["code"]) == ("2", "order", "0")
    assert answer["data"][0]["clOrdId"] == "mine"


def test_orders_go_over_the_private_socket_only(public):
    say(public, LOGIN)
    assert say(public, {"op": "order", "args": [ORDER]})[0]["code"] == "60011"


def test_messages_about_the_account_carry_the_client_s_own_words(private):
    event = UserEvent(name="orders", payload={"state": "live"})
    assert private.user_frame(event) is None
    assert not private.has_user_data
    say(private, LOGIN)
    subscribe(private, "orders", instType="ANY")
    assert private.has_user_data
    arg = {"channel": "orders", "instType": "ANY"}
    assert read(private.user_frame(event)) == {"arg": arg, "data": [{"state": "live"}]}
    say(private, {"op": "unsubscribe", "args": [arg]})
    assert private.user_frame(event) is None


def test_the_account_is_told_at_once(private):
    say(private, LOGIN)
    told, first = subscribe(private, "account")
    assert told["event"] == "subscribe"
    assert first["data"][0]["details"][0]["cashBal"] == "1000"


def test_two_who_follow_the_book_begin_with_the_whole_of_it(exchange, public):
    arg = {"channel": "books", "instId": NAME}
    other = exchange.session("public", None, [])
    for session in (public, other):
        subscribe(session, **arg)
        exchange.select(frozenset(session.streams))
        frames, _ = exchange.on_event(quote("100"), None, 0)
        assert json.loads(frames[0].encoded[4:])["action"] == "snapshot"
    frames, _ = exchange.on_event(quote("101"), None, 10**9)
    assert json.loads(frames[0].encoded[4:])["action"] == "update"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("nonsense", "60012"),
        ("[]", "60012"),
        ({"op": "dance", "args": []}, "60012"),
        ({"op": "subscribe"}, "60013"),
        ({"op": "subscribe", "args": ["books"]}, "60012"),
        ({"op": "unsubscribe", "args": [{}]}, "60012"),
    ],
    ids=str,
)
def test_what_cannot_be_understood_is_said_so(public, message, code):
    (answer,) = say(public, message)
    assert (answer["event"], answer["code"]) == ("error", code)


def test_channels_are_bounded(public):
    for number in range(MAX_CHANNELS):
        subscribe(public, "trades", instId=str(number))
    assert subscribe(public, "trades", instId="one more")[0]["code"] == "60014"
    assert len(public.streams) == MAX_CHANNELS


def test_faults_are_worded_as_okx_does(private):
    text = json.dumps({"id": "9", "op": "order", "args": [ORDER]})
    call = private.call(text)
    assert (call.name, call.is_order) == ("WS order", True)
    (answer,) = map(read, private.refuse(text, FaultKind.RATE_LIMIT).frames)
    assert (answer["id"], answer["code"]) == ("9", "1")
    assert answer["data"][0]["sCode"] == "50011"
    assert answer["data"][0]["clOrdId"] == "mine"
    text = json.dumps({"op": "subscribe", "args": []})
    assert not private.call(text).is_order
    (answer,) = map(read, private.refuse(text, FaultKind.REJECT).frames)
    assert (answer["event"], answer["code"]) == ("error", "50026")
