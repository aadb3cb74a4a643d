from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st


pytest.importorskip("ibapi.protobuf", reason="an ibapi that knows no protobuf")

from ib_fixtures import FOREX_INSTRUMENT
from ib_fixtures import NOW_NS
from ib_fixtures import STOCK_INSTRUMENT
from ib_fixtures import Client
from ib_fixtures import exchange_of
from ib_fixtures import names
from ib_fixtures import only
from ib_fixtures import quote
from ib_fixtures import trade
from tws_messages import FOREX
from tws_messages import STOCK
from tws_messages import proto
from tws_messages import read
from tws_messages import request

from nautilus_enhanced.sandbox.connection import FrameSender
from nautilus_enhanced.sandbox.dialect import Request
from nautilus_enhanced.sandbox.faults import FaultKind
from nautilus_enhanced.sandbox.interactive_brokers.sessions import GARBAGE
from nautilus_enhanced.sandbox.interactive_brokers.sessions import MAX_SUBSCRIPTIONS


SECOND_NS = 1_000_000_000


@pytest.fixture
def exchange():
    return exchange_of(STOCK_INSTRUMENT)


@pytest.fixture
def client(exchange):
    client = Client(exchange)
    client.market(quote("199.99", "200.00", "500.7"))
    return client


@pytest.fixture
def forex():
    client = Client(exchange_of(FOREX_INSTRUMENT, is_forex=True))
    client.market(quote("1.09995", "1.10000"))
    return client


def ticks(messages):
    return [(m.tickType, m.price, m.size) for n, m in messages if n == "TickPrice"]


def market_data(client, request_id=7, contract=STOCK, **fields):
    return client.ask(
        "REQ_MKT_DATA", "MarketDataRequest", reqId=request_id, contract=contract, **fields
    )


def tick_by_tick(client, kind, request_id=8, contract=STOCK):
    return client.ask(
        "REQ_TICK_BY_TICK_DATA",
        "TickByTickRequest",
        reqId=request_id,
        contract=contract,
        tickType=kind,
    )


# -- who is let in


def test_a_client_begins_with_its_versions_and_is_told_accounts_and_numbers(exchange):
    client = Client(exchange)
    (greeting,) = client.greeting.frames
    assert greeting == b"\x00\x00\x00\x1a213\x0020260101 00:00:00 UTC\0"
    told = read(client.first.frames)
    assert only(told, "ManagedAccounts").accountsList == "DU1"
    assert only(told, "NextValidId").orderId == 1
    assert [m.errorCode for n, m in told if n == "ErrorMessage"] == [2104, 2106, 2158]


@pytest.mark.parametrize("versions", [b"v100..187", b"v220..230", b"hello"])
def test_a_client_that_speaks_other_versions_is_left(exchange, versions):
    session = exchange.session("tws", None, ())
    reply = session.receive(versions, NOW_NS)
    assert reply.is_last
    assert reply.frames == ()


def test_one_client_at_a_time_has_an_id(exchange):
    first = Client(exchange, client_id=4)
    second = Client(exchange, client_id=4)
    assert second.first.is_last
    assert only(read(second.first.frames), "ErrorMessage").errorCode == 326
    assert not second.session.has_user_data
    first.transport.closing = True
    assert Client(exchange, client_id=4).session.has_user_data


def test_nothing_is_answered_before_the_start(exchange):
    session = exchange.session("tws", FrameSender(None, limit_bytes=1), ())
    session.receive(b"v100..223", NOW_NS)
    (told,) = read(session.receive(request("REQ_IDS", "IdsRequest"), NOW_NS).frames)
    assert told[1].errorCode == 321


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (b"\0\0\0\x08text", "not protobuf"),
        ((3 + 200).to_bytes(4, "big") + b"\xff\xff", "not readable"),
        ((19 + 200).to_bytes(4, "big"), "REPLACE_FA is not served"),
        ((190 + 200).to_bytes(4, "big"), "190 is not served"),
    ],
)
def test_what_is_no_request_gets_a_sentence(client, message, said):
    (told,) = read(client.session.receive(message, NOW_NS).frames)
    assert told[1].errorCode == 321
    assert said in told[1].errorMsg


NUMBERS = st.integers(0, 120)
# Field 1 as a whole number, as most requests have it, and then anything.
FIELDS = st.binary(max_size=60) | st.binary(max_size=60).map(lambda rest: b"\x08\x07" + rest)


@given(st.lists(st.tuples(NUMBERS, FIELDS), max_size=10))
def test_whatever_a_client_says_gets_an_answer(messages):
    client = Client(exchange_of(STOCK_INSTRUMENT))
    for number, fields in messages:
        message = (number + 200).to_bytes(4, "big") + fields
        read(client.session.receive(message, NOW_NS).frames)
        for kind in (FaultKind.REJECT, FaultKind.RATE_LIMIT):
            assert client.session.refuse(message, kind).frames
        client.session.call(message)


@given(
    order_id=st.integers(-(2**31), 2**31 - 1),
    quantity=st.text(max_size=12) | st.decimals().map(str),
    prices=st.tuples(st.floats(), st.floats()),
    kind=st.sampled_from(["MKT", "LMT", "STP", "STP LMT", ""]),
    action=st.sampled_from(["BUY", "SELL", ""]),
)
def test_whatever_an_order_says_it_is_taken_or_refused(order_id, quantity, prices, kind, action):
    client = Client(exchange_of(STOCK_INSTRUMENT))
    client.market(quote("199.99", "200.00"))
    told = client.place(
        order_id,
        totalQuantity=quantity,
        lmtPrice=prices[0],
        auxPrice=prices[1],
        orderType=kind,
        action=action,
    )
    assert names(told)[0] in {"OpenOrder", "ErrorMessage"}
    market_data(client, order_id)
    client.market(quote("199.98", "200.01"))


def test_nothing_is_served_over_http(exchange):
    answer = exchange.handle(Request(method="GET", path="/v1/api"))
    assert answer.status == 404
    assert not exchange.is_order(Request(method="POST", path="/v1/api"))
    assert exchange.refusal(FaultKind.REJECT, is_order=False).status == 404


# -- contracts


@pytest.mark.parametrize(
    "asked",
    [
        STOCK,
        {"conId": 265598},
        {**STOCK, "primaryExch": "NASDAQ"},
        {"localSymbol": "AAPL", "secType": "STK", "exchange": "NASDAQ", "currency": "USD"},
    ],
)
def test_a_contract_is_found_by_what_is_known_of_it(client, asked):
    told = client.ask("REQ_CONTRACT_DATA", "ContractDataRequest", reqId=3, contract=asked)
    assert names(told) == ["ContractData", "ContractDataEnd"]
    data = told[0][1]
    assert (data.reqId, data.contract.conId, data.contract.primaryExch) == (3, 265598, "NASDAQ")
    assert data.contractDetails.minTick == "0.01"
    assert data.contractDetails.minSize == "1"
    assert dict(data.contractDetails.secIdList) == {"ISIN": "US0378331005"}


@pytest.mark.parametrize(
    "asked", [{}, FOREX, {**STOCK, "symbol": "MSFT"}, {**STOCK, "exchange": "LSE"}, {"conId": 1}]
)
def test_another_contract_is_not(client, asked):
    told = client.ask("REQ_CONTRACT_DATA", "ContractDataRequest", reqId=3, contract=asked)
    error = only(told, "ErrorMessage")
    assert (error.id, error.errorCode) == (3, 200)


def test_a_pair_of_currencies_is_listed_at_idealpro(forex):
    told = forex.ask("REQ_CONTRACT_DATA", "ContractDataRequest", reqId=3, contract=FOREX)
    contract = told[0][1].contract
    assert (contract.localSymbol, contract.secType) == ("EUR.USD", "CASH")
    assert told[0][1].contractDetails.minTick == "0.00005"


def test_symbols_are_found_by_how_they_begin(client):
    def found(pattern):
        told = client.ask(
            "REQ_MATCHING_SYMBOLS", "MatchingSymbolsRequest", reqId=1, pattern=pattern
        )
        samples = only(told, "SymbolSamples").contractDescriptions
        return [s.contract.symbol for s in samples]

    assert found("aa") == ["AAPL"]
    assert found("X") == []


# -- market data


def test_market_data_begin_with_the_market_and_go_on_with_changes(client):
    told = market_data(client)
    assert names(told) == ["TickReqParams", "TickPrice", "TickPrice"]
    # Shares are whole ones.
    assert ticks(told) == [(1, 199.99, "500"), (2, 200.0, "500")]
    assert {m.reqId for _, m in told} == {7}
    changed = client.market(quote("199.99", "200.01", "500.7"))
    assert ticks(changed) == [(2, 200.01, "500")]
    sized = client.market(quote("199.99", "200.01", "400"))
    assert [(n, m.tickType, m.size) for n, m in sized] == [
        ("TickSize", 0, "400"),
        ("TickSize", 3, "400"),
    ]
    assert client.market(quote("199.99", "200.01", "400.2")) == []
    assert ticks(client.market(trade("200.01"))) == [(4, 200.01, "10")]
    client.ask("CANCEL_MKT_DATA", "CancelMarketData", reqId=7)
    assert client.market(quote("1.00", "1.01")) == []
    again = client.ask("CANCEL_MKT_DATA", "CancelMarketData", reqId=7)
    assert only(again, "ErrorMessage").errorCode == 300


def test_each_request_gets_its_own_messages(client):
    market_data(client, 7)
    market_data(client, 300)
    told = client.market(quote("199.98", "200.00", "500.7"))
    assert [(m.reqId, m.price) for _, m in told] == [(7, 199.98), (300, 199.98)]


def test_a_snapshot_ends(client):
    told = market_data(client, snapshot=True)
    assert names(told) == ["TickReqParams", "TickPrice", "TickPrice", "TickSnapshotEnd"]
    assert client.market(quote("1.00", "1.01")) == []


@pytest.mark.parametrize("kind", ["Last", "AllLast"])
def test_trades_come_tick_by_tick(client, kind):
    assert tick_by_tick(client, kind) == []
    ((_, told),) = client.market(trade("200.01", "12.5"), NOW_NS + SECOND_NS)
    last = told.historicalTickLast
    assert told.tickType == {"Last": 1, "AllLast": 2}[kind]
    assert (last.price, last.size, last.time) == (200.01, "12", NOW_NS // SECOND_NS + 1)
    assert client.market(quote("1.00", "1.01")) == []


def test_quotes_come_tick_by_tick(client, forex):
    ((_, first),) = tick_by_tick(client, "BidAsk")
    assert (first.historicalTickBidAsk.priceBid, first.historicalTickBidAsk.sizeAsk) == (
        199.99,
        "500",
    )
    ((_, told),) = client.market(quote("199.99", "200.00", "500.7"))
    assert told.tickType == 3
    tick_by_tick(forex, "MidPoint", contract=FOREX)
    ((_, middle),) = forex.market(quote("1.10000", "1.10010"))
    assert middle.historicalTickMidPoint.price == pytest.approx(1.10005)


def test_currencies_have_no_trades(forex):
    told = tick_by_tick(forex, "AllLast", contract=FOREX)
    assert only(told, "ErrorMessage").errorCode == 10189
    assert only(tick_by_tick(forex, "Nope", contract=FOREX), "ErrorMessage").errorCode == 10189


def depth(client):
    return client.ask(
        "REQ_MKT_DEPTH",
        "MarketDepthRequest",
        reqId=9,
        contract=STOCK,
        numRows=20,
        isSmartDepth=True,
    )


def apply(book, messages):
    """Apply rows; return whether the book was never crossed."""
    clean = True
    for _, message in messages:
        row = message.marketDepthData
        rows = book[row.side]
        if row.operation == 2:
            del rows[row.position]
        else:
            assert (row.position in rows) == (row.operation == 1)
            rows[row.position] = row.price
        if book[0] and book[1]:
            clean = clean and min(book[0].values()) > max(book[1].values())
    return clean


@pytest.mark.parametrize("moves", [["199.90", "200.05"], ["0.02", "0.05", "0.02"]])
def test_the_book_comes_row_by_row_and_is_never_crossed(client, moves):
    book = {0: {}, 1: {}}
    assert apply(book, depth(client))
    assert (book[0][0], book[1][0]) == (200.0, 199.99)
    for bid in moves:
        ask = Decimal(bid) + Decimal("0.01")
        assert apply(book, client.market(quote(bid, str(ask))))
        assert (book[0][0], book[1][0]) == (float(ask), float(bid))
        assert len(book[1]) == min(10, int(Decimal(bid) * 100))
    assert client.market(quote(bid, str(ask))) == []


def test_bars_of_five_seconds_come_when_they_are_over(client):
    fields = {"reqId": 5, "contract": STOCK, "barSize": 5, "useRTH": True}
    refused = client.ask(
        "REQ_REAL_TIME_BARS", "RealTimeBarsRequest", whatToShow="MIDPOINT", **fields
    )
    assert only(refused, "ErrorMessage").errorCode == 321
    client.ask("REQ_REAL_TIME_BARS", "RealTimeBarsRequest", whatToShow="TRADES", **fields)
    for price, seconds in (("200.00", 0), ("200.10", 1), ("199.90", 4)):
        assert client.market(trade(price), NOW_NS + seconds * SECOND_NS) == []
    ((_, bar),) = client.market(trade("205.00"), NOW_NS + 5 * SECOND_NS)
    assert (bar.open, bar.high, bar.low, bar.close) == (200.0, 200.1, 199.9, 199.9)
    assert (bar.time, bar.volume, bar.count) == (NOW_NS // SECOND_NS, "30", 3)


def test_a_session_has_so_many_requests_at_once(client):
    for number in range(MAX_SUBSCRIPTIONS):
        market_data(client, number)
    assert only(market_data(client, 1_000), "ErrorMessage").errorCode == 101
    # One of them may be made anew.
    assert names(market_data(client, 3))[0] == "TickReqParams"


def test_market_data_of_another_contract_are_refused(client):
    assert only(market_data(client, contract=FOREX), "ErrorMessage").errorCode == 200
    assert only(market_data(client, contract=FOREX, snapshot=True), "ErrorMessage").id == 7


# -- history


def history(client, seconds=0, **fields):
    asked = {
        "reqId": 4,
        "contract": STOCK,
        "barSizeSetting": "1 min",
        "duration": "1 D",
        "whatToShow": "TRADES",
        "formatDate": 2,
        **fields,
    }
    return client.ask(
        "REQ_HISTORICAL_DATA", "HistoricalDataRequest", NOW_NS + seconds * SECOND_NS, **asked
    )


@pytest.fixture
def traded(client):
    for number in range(5):
        client.market(trade(f"20{number}.00"), NOW_NS + number * 30 * SECOND_NS)
    return client


def test_bars_are_made_of_what_was_traded(traded):
    told = history(traded, 200)
    assert names(told) == ["HistoricalData", "HistoricalDataEnd"]
    bars = told[0][1].historicalDataBars
    assert [(b.open, b.close, b.barCount) for b in bars] == [
        (200.0, 201.0, 2),
        (202.0, 203.0, 2),
        (204.0, 204.0, 1),
    ]
    assert bars[0].date == str(NOW_NS // SECOND_NS)
    (late,) = history(traded, 200, duration="90 S")[0][1].historicalDataBars
    assert late.open == 204.0
    before = history(traded, 200, endDateTime="20260101-00:01:00", formatDate=1)
    assert [b.date for b in before[0][1].historicalDataBars] == ["20260101 00:00:00 UTC"]
    days = history(traded, 200, barSizeSetting="1 day", formatDate=1)
    assert [b.date for b in days[0][1].historicalDataBars] == ["20260101"]


def test_bars_are_kept_up_to_date(traded):
    told = history(traded, 125, keepUpToDate=True)
    assert names(told) == ["HistoricalData"]
    updates = traded.market(trade("190.00"), NOW_NS + 130 * SECOND_NS)
    bar = updates[-1][1].historicalDataBar
    assert (updates[-1][1].reqId, bar.low, bar.date) == (4, 190.0, str(NOW_NS // SECOND_NS + 120))
    traded.ask("CANCEL_HISTORICAL_DATA", "CancelHistoricalData", reqId=4)
    assert traded.market(trade("190.00"), NOW_NS + 131 * SECOND_NS) == []


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"barSizeSetting": "7 mins"}, 321),
        ({"duration": "a while"}, 321),
        ({"endDateTime": "yesterday"}, 321),
        ({"whatToShow": "MIDPOINT"}, 162),
        ({"endDateTime": "20250101-00:00:00"}, 162),
        ({"contract": FOREX}, 200),
    ],
)
def test_bars_that_are_not_there_get_a_sentence(traded, fields, code):
    error = only(history(traded, 200, **fields), "ErrorMessage")
    assert (error.id, error.errorCode) == (4, code)


def test_trades_are_listed(traded):
    def times(**fields):
        told = traded.ask(
            "REQ_HISTORICAL_TICKS",
            "HistoricalTicksRequest",
            **{"reqId": 2, "contract": STOCK, "whatToShow": "TRADES", **fields},
        )
        message = only(told, "HistoricalTicksLast")
        assert message.isDone
        return [t.time - NOW_NS // SECOND_NS for t in message.historicalTicksLast]

    assert times(endDateTime="20260101-00:01:01", numberOfTicks=2) == [30, 60]
    assert times(startDateTime="20260101-00:00:30", numberOfTicks=2) == [30, 60]
    assert times(numberOfTicks=1000) == [0, 30, 60, 90, 120]
    told = traded.ask(
        "REQ_HISTORICAL_TICKS",
        "HistoricalTicksRequest",
        reqId=2,
        contract=STOCK,
        whatToShow="BID_ASK",
    )
    assert only(told, "ErrorMessage").errorCode == 321


def test_small_requests_are_answered(client):
    told = client.ask("REQ_CURRENT_TIME", "CurrentTimeRequest")
    assert only(told, "CurrentTime").currentTime == NOW_NS // SECOND_NS
    assert client.ask("REQ_MARKET_DATA_TYPE", "MarketDataTypeRequest", marketDataType=3) == []
    told = client.ask("REQ_MANAGED_ACCTS", "ManagedAccountsRequest")
    assert only(told, "ManagedAccounts").accountsList == "DU1"


def test_an_account_is_summed_up_for_two_requests_at_most(client):
    def summary(number):
        return client.ask(
            "REQ_ACCOUNT_SUMMARY", "AccountSummaryRequest", reqId=number, tags="AccountType"
        )

    assert names(summary(1)) == names(summary(2)) == ["AccountSummary", "AccountSummaryEnd"]
    assert only(summary(3), "ErrorMessage").errorCode == 322
    assert names(summary(1)) == ["AccountSummary", "AccountSummaryEnd"]


# -- faults


def test_faults_find_requests_by_their_name(client):
    call = client.session.call(request("PLACE_ORDER", "PlaceOrderRequest", orderId=1))
    assert (call.name, call.is_order) == ("TWS PLACE_ORDER", True)
    call = client.session.call(request("REQ_IDS", "IdsRequest"))
    assert (call.name, call.is_order) == ("TWS REQ_IDS", False)
    assert client.session.call(b"") is None
    assert client.exchange.session("tws", None, ()).call(b"v100..223") is None


@pytest.mark.parametrize(
    ("number", "kind", "about", "code"),
    [
        ("PLACE_ORDER", FaultKind.REJECT, 6, 201),
        ("CANCEL_ORDER", FaultKind.REJECT, 6, 10147),
        ("PLACE_ORDER", FaultKind.RATE_LIMIT, -1, 100),
    ],
)
def test_orders_are_refused_in_tws_s_words(client, number, kind, about, code):
    message = request(number, "CancelOrderRequest", orderId=6)
    error = only(read(client.session.refuse(message, kind).frames), "ErrorMessage")
    assert (error.id, error.errorCode) == (about, code)
    assert client.exchange.counts.received == 0


def test_other_requests_are_refused_too(client):
    message = request("REQ_MKT_DATA", "MarketDataRequest", reqId=6)
    refused = client.session.refuse(message, FaultKind.REJECT)
    error = only(read(refused.frames), "ErrorMessage")
    assert (error.id, error.errorCode) == (6, 321)


def test_garbage_is_a_frame_of_a_number_that_no_message_has(client):
    assert client.session.garbage == GARBAGE
    assert int.from_bytes(GARBAGE[4:8], "big") - 200 == 150


def test_the_id_of_a_request_is_the_first_field_of_what_is_sent_for_it():
    for name in (
        "TickPrice", "TickSize", "TickByTickData", "MarketDepthL2", "RealTimeBarTick",
        "HistoricalDataUpdate",
    ):  # fmt: skip
        assert proto(name).DESCRIPTOR.fields_by_name["reqId"].number == 1
