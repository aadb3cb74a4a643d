"""The demo's strategy: small orders all the time, and a note of when each event arrives."""

from __future__ import annotations

import time
from decimal import ROUND_UP
from decimal import Decimal
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.events import OrderAccepted
from nautilus_trader.model.events import OrderCanceled
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.events import OrderRejected
from nautilus_trader.trading.strategy import Strategy

from nautilus_enhanced.cli.demo.messages import OrderEventSeen


if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_trader.model.data import QuoteTick
    from nautilus_trader.model.data import TradeTick
    from nautilus_trader.model.identifiers import InstrumentId
    from nautilus_trader.trading.config import StrategyConfig


# What an order is worth, in the quote currency: above every venue's minimum, small otherwise.
ORDER_NOTIONAL: Final = Decimal(50)
NEAR_TICKS: Final = 5
FAR_TICKS: Final = 500
EXECUTION_TYPES: Final = {OrderAccepted: "NEW", OrderFilled: "TRADE", OrderCanceled: "CANCELED"}


def trade_number(trade_id: str) -> int:
    """
    Return a loopback venue's number of a trade.

    Parameters
    ----------
    trade_id : str
        Such as ``12`` or ``fill-12``, or ``0001.0000000c.01.01`` as Interactive Brokers has it.
    """
    parts = trade_id.split(".")
    return int(parts[1], 16) if len(parts) > 1 else int(trade_id.rpartition("-")[2])


class DemoStrategy(Strategy):
    """
    Quote around the market, take from it, cancel and be rejected, ten times a second.

    Limit orders a few ticks away rest until a burst of the market runs over them: the moment
    when an order event has to get past a backlog of quotes.

    Parameters
    ----------
    instrument_id : InstrumentId
        What to trade.
    config : StrategyConfig
        Its name, and what its order IDs look like.
    on_started : Callable[[], None]
        Called when the strategy trades.
    """

    def __init__(
        self,
        instrument_id: InstrumentId,
        config: StrategyConfig,
        on_started: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._instrument_id = instrument_id
        self._on_started = on_started
        self._instrument: Any = None
        self._last_quote: QuoteTick | None = None
        self._turn = 0
        self._has_stopped = False
        self._far_order: Any = None
        self.quotes = 0
        self.trades = 0
        self.submitted = 0
        self.filled = 0
        self.rejected = 0
        self.canceled = 0
        self.events: list[OrderEventSeen] = []

    def on_start(self) -> None:
        """Subscribe and begin to trade."""
        self._instrument = self.cache.instrument(self._instrument_id)
        if self._instrument is None:
            raise RuntimeError(f"the venue did not list {self._instrument_id}")
        self.subscribe_quote_ticks(self._instrument_id)
        self.subscribe_trade_ticks(self._instrument_id)
        self._on_started()

    def on_stop(self) -> None:
        """Cancel what rests."""
        self.cancel_all_orders(self._instrument_id)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        """Remember the market."""
        self.quotes += 1
        self._last_quote = tick

    def on_trade_tick(self, tick: TradeTick) -> None:
        """Count."""
        self.trades += 1

    def on_order_event(self, event: Any) -> None:
        """Note when the event arrived."""
        now_ns = time.monotonic_ns()
        if isinstance(event, OrderFilled):
            self.filled += self.cache.order(event.client_order_id).is_closed
        elif isinstance(event, OrderRejected):
            self.rejected += 1
        elif isinstance(event, OrderCanceled):
            self.canceled += 1
        execution_type = EXECUTION_TYPES.get(type(event))
        if execution_type is not None:
            trade_id = trade_number(event.trade_id.value) if isinstance(event, OrderFilled) else -1
            self.events.append(
                OrderEventSeen(
                    client_order_id=event.client_order_id.value,
                    execution_type=execution_type,
                    trade_id=trade_id,
                    monotonic_ns=now_ns,
                )
            )

    def stop_trading(self) -> None:
        """Submit nothing more and cancel what rests."""
        self._has_stopped = True
        self.cancel_all_orders(self._instrument_id)

    def trade(self) -> None:
        """Submit the next order; called ten times a second on the event loop."""
        quote = self._last_quote
        if quote is None or self._has_stopped:
            return
        tick = self._instrument.price_increment.as_decimal()
        bid, ask = quote.bid_price.as_decimal(), quote.ask_price.as_decimal()
        turn, self._turn = self._turn % 8, self._turn + 1
        if turn in (0, 4):
            self._limit(OrderSide.BUY, bid - NEAR_TICKS * tick)
        elif turn in (1, 5):
            self._limit(OrderSide.SELL, ask + NEAR_TICKS * tick)
        elif turn == 2:  # noqa: PLR2004 (a turn of eight)
            self._market(OrderSide.BUY)
        elif turn == 3:  # noqa: PLR2004 (a turn of eight)
            self._market(OrderSide.SELL)
        elif turn == 6:  # noqa: PLR2004 (a turn of eight)
            self._far_order = self._limit(OrderSide.BUY, bid - FAR_TICKS * tick)
        else:
            if self._far_order is not None and self._far_order.is_open:
                self.cancel_order(self._far_order)
            # An order that may not take and would: the venue rejects it.
            self._limit(OrderSide.BUY, ask + NEAR_TICKS * tick, post_only=True)

    def _quantity(self) -> Any:
        assert self._last_quote is not None  # noqa: S101 (`trade` looked)
        step = self._instrument.size_increment.as_decimal()
        # A contract may be worth a part of what it is about.
        unit = self._last_quote.ask_price.as_decimal() * self._instrument.multiplier.as_decimal()
        wanted = ORDER_NOTIONAL / unit
        steps = (wanted / step).to_integral_value(rounding=ROUND_UP)
        return self._instrument.make_qty(steps * step)

    def _limit(self, side: OrderSide, price: Decimal, *, post_only: bool = False) -> Any:
        if price <= 0:
            return None
        return self._submit(
            self.order_factory.limit(
                self._instrument_id,
                side,
                self._quantity(),
                self._instrument.make_price(price),
                post_only=post_only,
            )
        )

    def _market(self, side: OrderSide) -> Any:
        return self._submit(self.order_factory.market(self._instrument_id, side, self._quantity()))

    def _submit(self, order: Any) -> Any:
        self.submitted += 1
        self.submit_order(order)
        return order
