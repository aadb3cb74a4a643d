"""
What NautilusTrader 1.231 does with open orders where one order has turned a position.

Docs say it (docs/venues.md): if this fails, NautilusTrader has changed, and so should they.
"""

from decimal import Decimal

import nautilus_trader
import pytest


if nautilus_trader.__version__.startswith("1.221."):
    pytest.skip("1.221 reconciles otherwise", allow_module_level=True)

from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.reports import ExecutionMassStatus
from nautilus_trader.execution.reports import FillReport
from nautilus_trader.execution.reports import OrderStatusReport
from nautilus_trader.execution.reports import PositionStatusReport
from nautilus_trader.live.reconciliation import adjust_fills_for_partial_window
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.enums import LiquiditySide
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.enums import OrderType
from nautilus_trader.model.enums import PositionSide
from nautilus_trader.model.enums import TimeInForce
from nautilus_trader.model.identifiers import AccountId
from nautilus_trader.model.identifiers import ClientId
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.identifiers import VenueOrderId
from nautilus_trader.model.objects import Money
from nautilus_trader.test_kit.providers import TestInstrumentProvider


INSTRUMENT = TestInstrumentProvider.btcusdt_perp_binance()
COMMON = {"account_id": AccountId("BINANCE-1"), "instrument_id": INSTRUMENT.id}
PRICE, TENTH = INSTRUMENT.make_price(50_000), INSTRUMENT.make_qty(0.1)
BUY, SELL = OrderSide.BUY, OrderSide.SELL
OPEN = "open"
BEFORE = [("1", BUY, 1_000), ("1", BUY, 1_000)]
TURN_AT_ONCE = [("2", SELL, 2_000)] * 3
TURN_IN_TIME = [("2", SELL, 2_000), ("2", SELL, 2_000), ("2", SELL, 2_001)]
AFTER = [("3", SELL, 3_000), ("4", BUY, 4_000)]


def order_report(order, side, quantity, status, ms):
    return OrderStatusReport(
        **COMMON,
        venue_order_id=VenueOrderId(order),
        client_order_id=ClientOrderId(f"O-{order}"),
        order_side=side,
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        order_status=status,
        price=PRICE,
        quantity=INSTRUMENT.make_qty(quantity),
        filled_qty=INSTRUMENT.make_qty(quantity if status == OrderStatus.FILLED else 0),
        report_id=UUID4(),
        ts_accepted=ms * 1_000_000,
        ts_last=ms * 1_000_000,
        ts_init=ms * 1_000_000,
    )


def fill_report(number, order, side, ms):
    return FillReport(
        **COMMON,
        venue_order_id=VenueOrderId(order),
        trade_id=TradeId(str(number)),
        order_side=side,
        last_qty=TENTH,
        last_px=PRICE,
        commission=Money(0, USDT),
        liquidity_side=LiquiditySide.TAKER,
        report_id=UUID4(),
        ts_event=ms * 1_000_000,
        ts_init=ms * 1_000_000,
    )


def orders_that_are_left(fills):
    """Return the orders that are reconciled of these, and of one that is open."""
    status = ExecutionMassStatus(
        client_id=ClientId("BINANCE"),
        account_id=COMMON["account_id"],
        venue=Venue("BINANCE"),
        report_id=UUID4(),
        ts_init=0,
    )
    reports = [order_report(OPEN, BUY, 0.1, OrderStatus.ACCEPTED, 5_000)]
    for order, side, ms in dict.fromkeys(fills):
        of_order = [fill for fill in fills if fill[0] == order]
        reports.append(order_report(order, side, 0.1 * len(of_order), OrderStatus.FILLED, ms))
    status.add_order_reports(reports)
    status.add_fill_reports([fill_report(n, *fill) for n, fill in enumerate(fills)])
    position = PositionStatusReport(
        **COMMON,
        position_side=PositionSide.SHORT,
        quantity=TENTH,
        report_id=UUID4(),
        ts_last=0,
        ts_init=0,
        avg_px_open=Decimal(50_000),
    )
    status.add_position_reports([position])
    orders, _ = adjust_fills_for_partial_window(status, [INSTRUMENT])[INSTRUMENT.id]
    return {order.value for order in orders}


@pytest.mark.parametrize(
    ("fills", "is_found"),
    [
        ([*BEFORE, *TURN_AT_ONCE], True),
        ([*BEFORE, *TURN_AT_ONCE, *AFTER], False),
        ([*BEFORE, *TURN_IN_TIME, *AFTER], True),
    ],
    ids=["nothing after the turn", "more fills after the turn", "fills at times of their own"],
)
def test_an_open_order_is_lost_behind_a_turn_of_which_all_fills_have_one_time(fills, is_found):
    assert (OPEN in orders_that_are_left(fills)) is is_found
