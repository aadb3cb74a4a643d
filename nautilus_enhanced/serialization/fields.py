"""
What is written of each type: the host's fields, in its order, gathered the short way.

The host's serializer makes an object of each price and quantity and then its text, by decimal
division. Ticks and bars can give the text of all their values in one call, and ticks and deltas
all their raw values in the one that pickle makes. The first agrees with the serializer only for
plain numbers (not negative, not rounded), and ends the process for the largest, so the raw values
are looked at before.

Events are gathered by the host itself, and only their times are ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import Final

import msgspec
from nautilus_trader.model import data
from nautilus_trader.model import events
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.enums import BookAction
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import aggressor_side_to_str
from nautilus_trader.model.enums import book_action_to_str
from nautilus_trader.model.enums import order_side_to_str

from nautilus_enhanced.serialization.text import EXACT_BITS
from nautilus_enhanced.serialization.text import UNITS
from nautilus_enhanced.serialization.text import number_text


if TYPE_CHECKING:
    from collections.abc import Callable

    # How a time is written, given in nanoseconds: as it is, or as one of two texts.
    Time = int | str
    Stamp = Callable[[int], Time]
    Gather = Callable[[Any, Stamp], Any]


_NOT_PLAIN: Final = "the host's serializer rounds a number"
_AGGRESSORS: Final = {side: aggressor_side_to_str(side) for side in AggressorSide}
_ACTIONS: Final = {action: book_action_to_str(action) for action in BookAction}
_SIDES: Final = {side: order_side_to_str(side) for side in OrderSide}


class _QuoteFields(msgspec.Struct, tag_field="type", tag="QuoteTick", gc=False):
    instrument_id: str
    bid_price: str
    ask_price: str
    bid_size: str
    ask_size: str
    ts_event: Time
    ts_init: Time


class _TradeFields(msgspec.Struct, tag_field="type", tag="TradeTick", gc=False):
    instrument_id: str
    price: str
    size: str
    aggressor_side: str
    trade_id: str
    ts_event: Time
    ts_init: Time


class _BarFields(msgspec.Struct, tag_field="type", tag="Bar", gc=False):
    bar_type: str
    open: str
    high: str
    low: str
    close: str
    volume: str
    ts_event: Time
    ts_init: Time


class _BookOrderFields(msgspec.Struct, gc=False):
    side: str
    price: str
    size: str
    order_id: int


class _DeltaFields(msgspec.Struct, tag_field="type", tag="OrderBookDelta", gc=False):
    instrument_id: str
    action: str
    order: _BookOrderFields
    flags: int
    sequence: int
    ts_event: Time
    ts_init: Time


class _DeltasFields(msgspec.Struct, tag_field="type", tag="OrderBookDeltas", gc=False):
    instrument_id: str
    deltas: list[_DeltaFields]


def _quote_fields(quote: Any, stamp: Stamp) -> _QuoteFields:
    (
        instrument_id,
        bid,
        ask,
        bid_precision,
        ask_precision,
        bid_size,
        ask_size,
        bid_size_precision,
        ask_size_precision,
        ts_event,
        ts_init,
    ) = quote.__getstate__()
    if (
        (bid | ask | bid_size | ask_size) >> EXACT_BITS
        or bid % UNITS[bid_precision]
        or ask % UNITS[ask_precision]
        or bid_size % UNITS[bid_size_precision]
        or ask_size % UNITS[ask_size_precision]
    ):
        raise ValueError(_NOT_PLAIN)
    # From the right: a symbol may have commas.
    _, bid_price, ask_price, bid_quantity, ask_quantity, _ = str(quote).rsplit(",", 5)
    return _QuoteFields(
        instrument_id,
        bid_price,
        ask_price,
        bid_quantity,
        ask_quantity,
        stamp(ts_event),
        stamp(ts_init),
    )


def _trade_fields(trade: Any, stamp: Stamp) -> _TradeFields:
    (
        instrument_id,
        price,
        price_precision,
        size,
        size_precision,
        aggressor,
        trade_id,
        ts_event,
        ts_init,
    ) = trade.__getstate__()
    return _TradeFields(
        instrument_id,
        number_text(price, price_precision),
        number_text(size, size_precision),
        _AGGRESSORS[aggressor],
        trade_id,
        stamp(ts_event),
        stamp(ts_init),
    )


def _bar_fields(bar: Any, stamp: Stamp) -> _BarFields:
    # The state has one precision for four prices, which may differ in theirs.
    bits = 0
    for number in (bar.open, bar.high, bar.low, bar.close, bar.volume):
        raw = number.raw
        bits |= raw
        if raw % UNITS[number.precision]:
            raise ValueError(_NOT_PLAIN)
    if bits >> EXACT_BITS:
        raise ValueError(_NOT_PLAIN)
    bar_type, open_, high, low, close, volume, _ = str(bar).rsplit(",", 6)
    return _BarFields(
        bar_type,
        open_,
        high,
        low,
        close,
        volume,
        stamp(bar.ts_event),
        stamp(bar.ts_init),
    )


def _delta_fields(delta: Any, stamp: Stamp) -> _DeltaFields:
    (
        instrument_id,
        action,
        side,
        price,
        price_precision,
        size,
        size_precision,
        order_id,
        flags,
        sequence,
        ts_event,
        ts_init,
    ) = delta.__getstate__()
    return _DeltaFields(
        instrument_id,
        _ACTIONS[action],
        _BookOrderFields(
            _SIDES[side],
            number_text(price, price_precision),
            number_text(size, size_precision),
            order_id,
        ),
        flags,
        sequence,
        stamp(ts_event),
        stamp(ts_init),
    )


def _deltas_fields(deltas: Any, _stamp: Stamp) -> _DeltasFields:
    # The host leaves the times of what is inside of a message as they are.
    return _DeltasFields(
        deltas.instrument_id.value,
        [_delta_fields(delta, int) for delta in deltas.deltas],
    )


def _event_fields(to_dict: Callable[[Any], dict[str, Any]]) -> Gather:
    def gather(event: Any, stamp: Stamp) -> dict[str, Any]:
        fields = to_dict(event)
        # The host looks for these two with a pattern, among all of them.
        fields["ts_event"] = stamp(fields["ts_event"])
        fields["ts_init"] = stamp(fields["ts_init"])
        return fields

    return gather


ORDER_EVENTS: Final = (
    events.OrderInitialized,
    events.OrderDenied,
    events.OrderEmulated,
    events.OrderReleased,
    events.OrderSubmitted,
    events.OrderAccepted,
    events.OrderRejected,
    events.OrderCanceled,
    events.OrderExpired,
    events.OrderTriggered,
    events.OrderPendingUpdate,
    events.OrderPendingCancel,
    events.OrderModifyRejected,
    events.OrderCancelRejected,
    events.OrderUpdated,
    events.OrderFilled,
)
# By exact type: a subclass has a name of its own, which the host looks up and writes.
GATHER: Final[dict[Any, Gather]] = {
    data.QuoteTick: _quote_fields,
    data.TradeTick: _trade_fields,
    data.Bar: _bar_fields,
    data.OrderBookDelta: _delta_fields,
    data.OrderBookDeltas: _deltas_fields,
    **{event: _event_fields(event.to_dict) for event in ORDER_EVENTS},
}
