"""What a message inside of the node is: its priority as a label, and the kind of its data."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from nautilus_trader.common.messages import TradingStateChanged
from nautilus_trader.core.message import Command
from nautilus_trader.core.message import Event
from nautilus_trader.data.messages import DataCommand
from nautilus_trader.execution.reports import ExecutionMassStatus
from nautilus_trader.execution.reports import ExecutionReport
from nautilus_trader.model.data import Bar
from nautilus_trader.model.data import IndexPriceUpdate
from nautilus_trader.model.data import InstrumentClose
from nautilus_trader.model.data import InstrumentStatus
from nautilus_trader.model.data import MarkPriceUpdate
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.instruments import Instrument

from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority


if TYPE_CHECKING:
    from nautilus_trader.model.identifiers import InstrumentId


_KINDS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("quotes", (QuoteTick,)),
    ("trades", (TradeTick,)),
    ("bars", (Bar,)),
    ("book", (OrderBookDelta, OrderBookDeltas, OrderBookDepth10)),
    ("prices", (MarkPriceUpdate, IndexPriceUpdate)),
    ("status", (InstrumentStatus, InstrumentClose)),
    ("instruments", (Instrument,)),
)


def priority_of_type(message_type: type) -> MessagePriority:
    """
    Return the label of messages of a type.

    Commands of trading and changes of the trading state are CRITICAL; other events and execution
    reports HIGH; everything of the data engine NORMAL.
    """
    if issubclass(message_type, DataCommand):
        return MessagePriority.NORMAL
    if issubclass(message_type, Command | TradingStateChanged):
        return MessagePriority.CRITICAL
    if issubclass(message_type, Event | ExecutionReport | ExecutionMassStatus):
        return MessagePriority.HIGH
    return MessagePriority.NORMAL


def kind_of_type(message_type: type) -> str:
    """Return which of `DATA_KINDS` data of a type is."""
    return next((kind for kind, types in _KINDS if issubclass(message_type, types)), "other")


def instrument_of(message: Any) -> InstrumentId | None:
    """Return the ID of the instrument that a message is about, if it is about one."""
    instrument_id = getattr(message, "instrument_id", None)
    if instrument_id is not None:
        return instrument_id
    bar_type = getattr(message, "bar_type", None)
    if bar_type is not None:
        return bar_type.instrument_id
    return message.id if isinstance(message, Instrument) else None
