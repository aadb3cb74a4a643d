from decimal import Decimal

import pytest


pytest.importorskip("ibapi.protobuf", reason="an ibapi that knows no protobuf")

from ib_fixtures import FOREX_INSTRUMENT
from ib_fixtures import STOCK_INSTRUMENT
from ib_fixtures import Client
from ib_fixtures import exchange_of
from ib_fixtures import names
from ib_fixtures import only
from ib_fixtures import quote
from tws_messages import FOREX


D = Decimal
FILL = ["ExecutionDetails", "OpenOrder", "OrderStatus", "CommissionAndFeesReport"]
ACCEPT = ["OpenOrder", "OrderStatus"]
END = ["OrderStatus", "ErrorMessage"]


@pytest.fixture
def client():
    client = Client(exchange_of(STOCK_INSTRUMENT))
    client.market(quote("199.99", "200.00"))
    return client


def statuses(messages):
    return [m.status for n, m in messages if n == "OrderStatus"]


def test_an_order_is_accepted_changed_and_canceled(client):
    placed = client.place(1)
    assert names(placed) == ACCEPT
    whole, status = placed[0][1], placed[1][1]
    assert whole.orderState.status == status.status == "Submitted"
    assert (whole.order.orderRef, whole.order.clientId, whole.order.orderId) == ("O-1:1", 1, 1)
    assert whole.order.permId == status.permId > 0
    assert (status.filled, status.remaining) == ("0", "100")
    changed = client.place(1, lmtPrice=151.0, totalQuantity="50")
    assert names(changed) == ACCEPT
    assert changed[0][1].order.lmtPrice == 151.0
    assert changed[1][1].remaining == "50"
    assert changed[1][1].permId == status.permId
    ended = client.cancel(1)
    assert names(ended) == END
    assert statuses(ended) == ["Cancelled"]
    notice = only(ended, "ErrorMessage")
    assert (notice.id, notice.errorCode) == (1, 202)


def test_an_order_at_the_market_is_filled_and_pays_its_commission(client):
    told = client.place(1, orderType="MKT", lmtPrice=0.0, totalQuantity="600")
    assert names(told) == [*ACCEPT, *FILL, *FILL]
    assert statuses(told) == ["Submitted", "Submitted", "Filled"]
    executions = [m.execution for n, m in told if n == "ExecutionDetails"]
    assert [(e.shares, e.price, e.cumQty, e.side) for e in executions] == [
        ("500", 200.0, "500", "BOT"),
        ("100", 200.01, "600", "BOT"),
    ]
    assert {e.acctNumber for e in executions} == {"DU1"}
    assert {e.lastLiquidity for e in executions} == {2}
    assert len({e.execId for e in executions}) == 2
    paid = [m for n, m in told if n == "CommissionAndFeesReport"]
    # Half a cent for each of 600 shares.
    assert [p.commissionAndFees for p in paid] == [2.5, 0.5]
    assert [p.execId for p in paid] == [e.execId for e in executions]
    assert not paid[0].HasField("realizedPNL")
    sold = client.place(2, action="SELL", orderType="MKT", lmtPrice=0.0, totalQuantity="100")
    profit = only(sold, "CommissionAndFeesReport").realizedPNL
    assert profit == pytest.approx(100 * (199.99 - 200.0 - 0.01 / 6) - 1.0, abs=1e-6)


def test_a_resting_order_is_filled_in_parts_by_the_market(client):
    client.place(1, lmtPrice=199.5, totalQuantity="700")
    first = client.market(quote("199.40", "199.50", "300"))
    assert names(first) == FILL
    status = only(first, "OrderStatus")
    assert (status.status, status.filled, status.remaining) == ("Submitted", "300", "400")
    assert status.avgFillPrice == status.lastFillPrice == 199.5
    assert only(first, "ExecutionDetails").execution.lastLiquidity == 1
    rest = client.market(quote("199.30", "199.40", "900"))
    assert statuses(rest) == ["Filled"]
    # 1.50 and 2.00 for 300 and 400 shares.
    assert only(rest, "CommissionAndFeesReport").commissionAndFees == 2.0


def test_the_least_commission_is_paid_once_an_order(client):
    client.place(1, lmtPrice=199.5, totalQuantity="20")
    fees = [
        only(client.market(quote("199.40", "199.50", "10")), "CommissionAndFeesReport")
        for _ in range(2)
    ]
    assert [f.commissionAndFees for f in fees] == [1.0, 0.0]


def test_currencies_pay_by_value():
    client = Client(exchange_of(FOREX_INSTRUMENT, is_forex=True, cash="1000000"))
    client.market(quote("1.09995", "1.10000", "900000"))
    told = client.place(1, FOREX, orderType="MKT", lmtPrice=0.0, totalQuantity="500000")
    assert only(told, "CommissionAndFeesReport").commissionAndFees == pytest.approx(11.0)
    assert only(told, "ExecutionDetails").execution.exchange == "IDEALPRO"


@pytest.mark.parametrize("tif", ["IOC", "FOK"])
def test_an_order_that_may_not_rest_is_canceled_by_the_venue(client, tif):
    told = client.place(1, tif=tif)
    assert names(told) == [*ACCEPT, *END]
    assert statuses(told) == ["Submitted", "Cancelled"]


@pytest.mark.parametrize(
    ("order_type", "kind", "trigger"),
    [("STP", "MKT", 190.0), ("STP LMT", "LMT", 190.0)],
)
def test_a_stop_order_waits_for_its_price(client, order_type, kind, trigger):
    told = client.place(1, action="SELL", orderType=order_type, auxPrice=trigger, lmtPrice=180.0)
    assert statuses(told) == ["PreSubmitted"]
    # It waits: there is no price on the book that could be changed.
    refused = client.place(1, action="SELL", orderType=order_type, auxPrice=189.0, lmtPrice=180.0)
    assert only(refused, "ErrorMessage").errorCode == 105
    reached = client.market(quote("189.99", "190.00"))
    assert names(reached) == [*ACCEPT, *FILL]
    assert statuses(reached) == ["Submitted", "Filled"]


def test_a_stop_order_whose_price_is_there_goes_to_the_book_at_once(client):
    told = client.place(1, action="SELL", orderType="STP", auxPrice=210.0, lmtPrice=0.0)
    assert names(told) == [*ACCEPT, *FILL]


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"lmtPrice": 150.001}, 110, "minimum price variation"),
        ({"lmtPrice": float("nan")}, 110, "minimum price variation"),
        ({"totalQuantity": "1.5"}, 201, "size increment"),
        ({"totalQuantity": "0"}, 201, "size of the order"),
        ({"totalQuantity": "5000"}, 201, "INITIAL MARGIN"),
        ({"totalQuantity": "many"}, 321, "Invalid quantity"),
        ({"action": "SSHORT"}, 321, "Invalid action"),
        ({"orderType": "TRAIL"}, 201, "type TRAIL are not served"),
        ({"tif": "GTD"}, 201, "time in force GTD are not served"),
        ({"parentId": 7}, 201, "depend on others"),
        ({"ocaGroup": "a"}, 201, "depend on others"),
        ({"transmit": False}, 201, "depend on others"),
        ({"whatIf": True}, 201, "trials are not served"),
    ],
)
def test_a_refused_order_has_tws_s_code(client, changes, code, said):
    told = client.place(1, **changes)
    assert names(told) == ["ErrorMessage"]
    error = told[0][1]
    assert (error.id, error.errorCode) == (1, code)
    assert said in error.errorMsg
    counts = client.exchange.counts
    assert (counts.received, counts.accepted, counts.rejected) == (1, 0, 1)


def test_another_contract_is_not_known(client):
    error = only(client.place(1, FOREX), "ErrorMessage")
    assert error.errorCode == 200


def test_a_number_names_one_order_of_one_client(client):
    client.place(5)
    # Lower ones are used up, as if they had been placed.
    assert only(client.place(4), "ErrorMessage").errorCode == 103
    other = Client(client.exchange, client_id=2)
    assert names(other.place(5)) == ACCEPT
    client.cancel(5)
    assert only(client.place(5), "ErrorMessage").errorCode == 103
    client.place(6, orderType="MKT", lmtPrice=0.0, totalQuantity="1")
    assert only(client.place(6), "ErrorMessage").errorCode == 104
    assert only(client.ask("REQ_IDS", "IdsRequest", numIds=1), "NextValidId").orderId == 7
    assert only(other.ask("REQ_IDS", "IdsRequest", numIds=1), "NextValidId").orderId == 6


def test_what_cannot_be_canceled_is_refused(client):
    assert only(client.cancel(1), "ErrorMessage").errorCode == 10147
    client.place(1, orderType="MKT", lmtPrice=0.0, totalQuantity="1")
    error = only(client.cancel(1), "ErrorMessage")
    assert (error.id, error.errorCode) == (1, 10148)
    assert error.errorMsg.endswith("state: Filled.")


def test_a_client_sees_its_own_orders_alone_unless_it_asks_for_all(client):
    other = Client(client.exchange, client_id=2)
    client.place(1)
    # What happens to it is told to the other one no more than its placing.
    assert other.hear(client.exchange.trading.cancel(1, 1, 0).events) == []
    client.place(2)
    other.place(1)
    own = client.ask("REQ_OPEN_ORDERS", "OpenOrdersRequest")
    assert names(own) == [*ACCEPT, "OpenOrdersEnd"]
    assert own[0][1].orderId == 2
    both = client.ask("REQ_ALL_OPEN_ORDERS", "AllOpenOrdersRequest")
    assert names(both) == [*ACCEPT, *ACCEPT, "OpenOrdersEnd"]
    ended = client.ask("REQ_GLOBAL_CANCEL", "GlobalCancelRequest")
    assert names(ended) == END
    assert client.ask("REQ_ALL_OPEN_ORDERS", "AllOpenOrdersRequest") == [
        ("OpenOrdersEnd", both[-1][1])
    ]


def test_the_fills_are_listed_with_what_they_cost(client):
    client.place(1, orderType="MKT", lmtPrice=0.0, totalQuantity="10")
    client.place(2, action="SELL", orderType="MKT", lmtPrice=0.0, totalQuantity="10")

    def executions(**wanted):
        told = client.ask("REQ_EXECUTIONS", "ExecutionRequest", reqId=9, executionFilter=wanted)
        assert names(told)[-1] == "ExecutionDetailsEnd"
        assert names(told)[:-1:2] == ["ExecutionDetails"] * (len(told) // 2)
        assert {m.reqId for n, m in told if n != "CommissionAndFeesReport"} == {9}
        return [m.execution.orderId for n, m in told if n == "ExecutionDetails"]

    assert executions() == executions(acctCode="DU1", symbol="AAPL") == [1, 2]
    assert executions(side="BUY") == executions(side="BOT") == [1]
    assert executions(time="20260101-00:00:00", clientId=1) == [1, 2]
    assert executions(time="20260101 00:00:01 UTC") == []
    for other in ({"acctCode": "DU2"}, {"clientId": 7}, {"secType": "CASH"}, {"exchange": "X"}):
        assert executions(**other) == []


def test_position_and_account_follow_the_fills(client):
    before = client.ask("REQ_POSITIONS", "PositionsRequest")
    assert names(before) == ["PositionEnd"]
    told = client.place(1, orderType="MKT", lmtPrice=0.0, totalQuantity="100")
    position = only(told, "Position")
    assert (position.account, position.position, position.avgCost) == ("DU1", "100", 200.0)
    client.ask("CANCEL_POSITIONS", "CancelPositions")
    assert "Position" not in names(client.market(quote("199.99", "200.00")))
    assert names(client.ask("REQ_POSITIONS", "PositionsRequest")) == ["Position", "PositionEnd"]

    tags = "NetLiquidation,TotalCashValue,FullInitMarginReq,FullMaintMarginReq,FullAvailableFunds"
    summary = client.ask(
        "REQ_ACCOUNT_SUMMARY", "AccountSummaryRequest", reqId=3, group="All", tags=f"{tags},Nope"
    )
    assert names(summary)[-1] == "AccountSummaryEnd"
    figures = {m.tag: m.value for n, m in summary if n == "AccountSummary"}
    # Bought at 200.00 and worth 199.995 in the middle, with 1.00 of commission.
    assert figures == {
        "NetLiquidation": "99998.50",
        "TotalCashValue": "79999.00",
        "FullInitMarginReq": "9999.75",
        "FullMaintMarginReq": "4999.88",
        "FullAvailableFunds": "89998.75",
    }
    assert {m.currency for n, m in summary if n == "AccountSummary"} == {"USD"}


def test_the_account_is_told_again_after_three_minutes_if_it_has_changed(client):
    client.ask(
        "REQ_ACCOUNT_SUMMARY", "AccountSummaryRequest", reqId=3, group="All", tags="AccountType"
    )
    three_minutes = 180 * 1_000_000_000
    start = 2_000_000_000_000_000_000
    client.market(quote("199.99", "200.00"), start)
    client.place(1, orderType="MKT", lmtPrice=0.0, totalQuantity="100")
    assert client.market(quote("199.99", "200.00"), start + three_minutes - 1) == []
    told = client.market(quote("199.99", "200.00"), start + three_minutes)
    assert names(told) == ["AccountSummary"]
    assert client.market(quote("199.99", "200.00"), start + 2 * three_minutes) == []
    client.ask("CANCEL_ACCOUNT_SUMMARY", "CancelAccountSummary", reqId=3)
    assert client.market(quote("299.99", "300.00"), start + 3 * three_minutes) == []
