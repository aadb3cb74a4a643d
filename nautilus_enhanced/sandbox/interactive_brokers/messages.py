"""Messages about orders and the account as TWS writes them: pure, no I/O."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from typing import Final

from ibapi.message import IN
from ibapi.protobuf.AccountSummary_pb2 import AccountSummary
from ibapi.protobuf.CommissionAndFeesReport_pb2 import CommissionAndFeesReport
from ibapi.protobuf.ErrorMessage_pb2 import ErrorMessage
from ibapi.protobuf.Execution_pb2 import Execution
from ibapi.protobuf.ExecutionDetails_pb2 import ExecutionDetails
from ibapi.protobuf.OpenOrder_pb2 import OpenOrder
from ibapi.protobuf.OrderState_pb2 import OrderState
from ibapi.protobuf.OrderStatus_pb2 import OrderStatus as OrderStatusMessage
from ibapi.protobuf.Position_pb2 import Position

from nautilus_enhanced.sandbox.dialect import NS_PER_MS
from nautilus_enhanced.sandbox.interactive_brokers.accounts import BrokerAccount
from nautilus_enhanced.sandbox.interactive_brokers.contracts import Listing
from nautilus_enhanced.sandbox.interactive_brokers.wire import encode
from nautilus_enhanced.sandbox.orders import ZERO
from nautilus_enhanced.sandbox.orders import Filled
from nautilus_enhanced.sandbox.orders import Order
from nautilus_enhanced.sandbox.orders import OrderStatus
from nautilus_enhanced.sandbox.orders import Side


FIRST_PERM_ID: Final = 1_500_000_000
# For what is about no request.
NO_REQUEST: Final = -1
ADDED, REMOVED = 1, 2
_NS_PER_S: Final = 1_000_000_000
_CENT: Final = Decimal("0.01")
_STATUS: Final = {
    OrderStatus.NEW: "Submitted",
    OrderStatus.PARTIALLY_FILLED: "Submitted",
    OrderStatus.FILLED: "Filled",
    OrderStatus.CANCELED: "Cancelled",
    OrderStatus.EXPIRED: "Cancelled",
}


@dataclass(kw_only=True, slots=True)
class Placed:
    """
    Hold an order as a client placed it.

    Attributes
    ----------
    client_id : int
        Whose order it is.
    order_id : int
        That client's number for it.
    contract, order : Any
        As the client wrote them last.
    """

    client_id: int
    order_id: int
    contract: Any
    order: Any

    @property
    def client_order_id(self) -> str:
        """Return the client's reference, without the order ID that NautilusTrader adds."""
        head, _, tail = self.order.orderRef.rpartition(":")
        return head if tail == str(self.order_id) else str(self.order.orderRef)


def time_text(now_ns: int) -> str:
    """Return a time as TWS writes it, to the second."""
    return time.strftime("%Y%m%d %H:%M:%S UTC", time.gmtime(now_ns // _NS_PER_S))


def error(about: int, code: int, text: str, now_ns: int) -> bytes:
    """Return an error, or a notice: TWS has one message for both."""
    message = ErrorMessage(id=about, errorTime=now_ns // NS_PER_MS, errorCode=code, errorMsg=text)
    return encode(IN.ERR_MSG, message)


class Messages:
    """
    Write messages about one contract and one account.

    Parameters
    ----------
    listing : Listing
        The contract.
    account_name : str
        The account.
    """

    def __init__(self, listing: Listing, account_name: str) -> None:
        self.listing = listing
        self.account_name = account_name

    def status(self, order: Order, *, is_waiting: bool) -> str:
        """Return TWS's word for where an order stands."""
        return "PreSubmitted" if is_waiting else _STATUS[order.status]

    def open_order(self, placed: Placed, order: Order, status: str) -> bytes:
        """Return a whole order with its state."""
        whole = type(placed.order)()
        whole.CopyFrom(placed.order)
        whole.permId = FIRST_PERM_ID + order.order_id
        whole.orderId = placed.order_id
        whole.clientId = placed.client_id
        whole.account = self.account_name
        message = OpenOrder(
            orderId=placed.order_id,
            contract=self.listing.contract(),
            order=whole,
            orderState=OrderState(status=status),
        )
        return encode(IN.OPEN_ORDER, message)

    def order_status(
        self, placed: Placed, order: Order, status: str, last_price: Decimal = ZERO
    ) -> bytes:
        """Return how much of an order is filled."""
        mean = order.filled_quote / order.filled if order.filled else ZERO
        message = OrderStatusMessage(
            orderId=placed.order_id,
            status=status,
            filled=plain(order.filled),
            remaining=plain(order.remaining),
            avgFillPrice=float(mean),
            permId=FIRST_PERM_ID + order.order_id,
            parentId=0,
            lastFillPrice=float(last_price),
            clientId=placed.client_id,
            whyHeld="",
            mktCapPrice=0.0,
        )
        return encode(IN.ORDER_STATUS, message)

    def execution(self, placed: Placed, fill: Filled, request_id: int = NO_REQUEST) -> bytes:
        """Return a fill."""
        order = fill.order
        execution = Execution(
            orderId=placed.order_id,
            execId=execution_id(fill),
            time=time_text(fill.time_ns),
            acctNumber=self.account_name,
            exchange=self.listing.traded_at,
            side="BOT" if order.request.side is Side.BUY else "SLD",
            shares=plain(fill.quantity),
            price=float(fill.price),
            permId=FIRST_PERM_ID + order.order_id,
            clientId=placed.client_id,
            cumQty=plain(order.filled),
            avgPrice=float(order.filled_quote / order.filled),
            orderRef=placed.order.orderRef,
            lastLiquidity=ADDED if fill.is_maker else REMOVED,
        )
        message = ExecutionDetails(
            reqId=request_id, contract=self.listing.contract(), execution=execution
        )
        return encode(IN.EXECUTION_DATA, message)

    def commission(self, fill: Filled) -> bytes:
        """Return what a fill cost, and what it realized if it closed anything."""
        message = CommissionAndFeesReport(
            execId=execution_id(fill),
            commissionAndFees=float(fill.commission),
            currency=fill.commission_asset,
        )
        if fill.realized:
            message.realizedPNL = float(fill.realized - fill.commission)
        return encode(IN.COMMISSION_AND_FEES_REPORT, message)

    def position(self, account: BrokerAccount) -> bytes:
        """Return the position, which may be zero."""
        message = Position(
            account=self.account_name,
            contract=self.listing.contract(),
            position=plain(account.position),
            avgCost=float(account.entry_price),
        )
        return encode(IN.POSITION_DATA, message)

    def summary(
        self, account: BrokerAccount, request_id: int, wanted: Iterable[str]
    ) -> list[bytes]:
        """Return the figures of the account that were asked for and are known."""
        figures = summary_figures(account)
        rows = ((tag, figures[tag]) for tag in wanted if tag in figures)
        return [
            encode(
                IN.ACCOUNT_SUMMARY,
                AccountSummary(
                    reqId=request_id,
                    account=self.account_name,
                    tag=tag,
                    value=value,
                    currency="" if tag in _WITHOUT_CURRENCY else account.asset,
                ),
            )
            for tag, value in rows
        ]


_WITHOUT_CURRENCY: Final = frozenset({"AccountType", "Cushion", "Leverage"})


def summary_figures(account: BrokerAccount) -> dict[str, str]:
    """Return the figures of an account by TWS's tags."""
    equity, initial, maintenance = (
        account.equity,
        account.position_margin + account.order_margin,
        account.maintenance_margin,
    )
    available, excess = equity - initial, equity - maintenance
    gross = abs(account.notional)
    amounts = {
        "NetLiquidation": equity,
        "TotalCashValue": account.cash,
        "SettledCash": account.cash,
        "BuyingPower": max(ZERO, available) * account.leverage,
        "EquityWithLoanValue": equity,
        "GrossPositionValue": gross,
        "InitMarginReq": initial,
        "MaintMarginReq": maintenance,
        "AvailableFunds": available,
        "ExcessLiquidity": excess,
        "FullInitMarginReq": initial,
        "FullMaintMarginReq": maintenance,
        "FullAvailableFunds": available,
        "FullExcessLiquidity": excess,
    }
    ratios = {
        "Cushion": excess / equity if equity else ZERO,
        "Leverage": gross / equity if equity else ZERO,
    }
    return {
        "AccountType": "INDIVIDUAL",
        **{tag: format(amount.quantize(_CENT), "f") for tag, amount in amounts.items()},
        **{tag: format(ratio.quantize(_CENT), "f") for tag, ratio in ratios.items()},
    }


def execution_id(fill: Filled) -> str:
    """Return TWS's name of a fill."""
    return f"{FIRST_PERM_ID + fill.order.order_id:08x}.{fill.trade_id:08x}.01.01"


def plain(number: Decimal) -> str:
    """Return a number without an exponent and without zeros at its end."""
    return format(number.normalize(), "f")
