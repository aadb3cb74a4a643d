"""Figures of a loopback venue, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


MAX_PUSHES: Final = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderPush:
    """
    Hold when an order event was written to the first session that wanted it.

    Attributes
    ----------
    execution_type : str
        The venue's, such as ``NEW``, ``TRADE`` or ``CANCELED`` at Binance.
    trade_id : int
        Of a fill, else -1.
    monotonic_ns : int
        `time.monotonic_ns` right before the write.
    """

    client_order_id: str
    execution_type: str
    trade_id: int
    monotonic_ns: int


@dataclass(frozen=True, kw_only=True, slots=True)
class VenueStatistics:
    """
    Figures of a venue since it was made; frames to several sessions count several times.

    Attributes
    ----------
    bursts : int
        Times that two or more quotes were due at one instant.
    connections : int
        Gauge: websocket sessions that are open.
    user_sessions : int
        Gauge: those of them that get messages about the account.
    slow_readers : int
        Sessions cut off because their send buffer was full.
    pushes_dropped : int
        Order pushes forgotten because more than `MAX_PUSHES` were kept.
    market_running : bool
        Gauge: whether market events are being sent.
    faults : int
        How often a fault happened.
    delayed : int
        Gauge: messages that a fault keeps back.
    sent_early : int
        Messages that a fault kept back, sent before their time because too many waited.
    """

    quotes_sent: int
    trades_sent: int
    bursts: int
    orders_received: int
    orders_accepted: int
    orders_rejected: int
    fills: int
    cancels: int
    amends: int
    expired: int
    connections: int
    connections_total: int
    user_sessions: int
    slow_readers: int
    pushes_dropped: int
    market_running: bool
    faults: int
    delayed: int
    sent_early: int
