"""The check of the serializer before it is used: one sample of each type, every form."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any
from typing import Final

import msgspec
from nautilus_trader.serialization.serializer import MsgSpecSerializer

from nautilus_enhanced.serialization.fields import GATHER
from nautilus_enhanced.serialization.serializer import EnhancedSerializer


# What any of the types is made from: each takes the values that it knows.
VALUES: Final = {
    "instrument_id": "BTCUSDT-PERP.BINANCE",
    "ts_event": 1_700_000_000_123_456_789,
    "ts_init": 1_700_000_000_123_456_000,
    # Ticks, bars and deltas.
    "bid_price": "50000.10",
    "ask_price": "50000.25",
    "bid_size": "0.001",
    "ask_size": "12.345",
    "size": "7",
    "aggressor_side": "SELLER",
    "trade_id": "123456",
    "bar_type": "BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL",
    "open": "1.5",
    "high": "2.5",
    "low": "0.5",
    "close": "1.0",
    "volume": "100.25",
    "action": "UPDATE",
    "order": {"side": "SELL", "price": "0.5", "size": "10.25", "order_id": 2**63},
    "flags": 128,
    "sequence": 42,
    # Order events.
    "trader_id": "TRADER-001",
    "strategy_id": "STRATEGY-001",
    "client_order_id": "O-1",
    "venue_order_id": "V-1",
    "account_id": "BINANCE-001",
    "position_id": "P-1",
    "event_id": "2d89666b-1a1e-4a75-b193-4eb3b454c757",
    "order_side": "BUY",
    "order_type": "LIMIT",
    "quantity": "1.500",
    "price": "50000.10",
    "trigger_price": "49000.00",
    "released_price": "50000.10",
    "time_in_force": "GTC",
    "post_only": True,
    "reduce_only": False,
    "quote_quantity": False,
    "is_quote_quantity": False,
    "options": {"price": "50000.10", "expire_time_ns": 1},
    "emulation_trigger": "NO_TRIGGER",
    "trigger_instrument_id": None,
    "contingency_type": "NO_CONTINGENCY",
    "order_list_id": None,
    "linked_order_ids": ["O-2"],
    "parent_order_id": None,
    "exec_algorithm_id": None,
    "exec_algorithm_params": {"a": 1},
    "exec_spawn_id": None,
    "tags": ["é", '"'],
    "reason": 'said "no"',
    "due_post_only": True,
    "last_qty": "1.500",
    "last_px": "50000.10",
    "currency": "USDT",
    "commission": "0.10000000 USDT",
    "liquidity_side": "MAKER",
    "info": {"id": 1},
    "reconciliation": False,
}
_FORMS: Final = ((False, False), (True, False), (True, True))


def make_samples() -> list[Any]:
    """Return one message of each type that goes a short way."""
    values = dict(VALUES)
    # A message holds deltas as values, and takes them first to last.
    values["deltas"] = [values, values | {"action": "DELETE", "flags": 0}]
    return [kind.from_dict(values) for kind in GATHER]


@cache
def serializer_problems() -> tuple[str, ...]:
    """Return where the bytes differ from those of the stock serializer, as sentences."""
    try:
        samples = make_samples()
    except Exception as error:  # noqa: BLE001 (whatever another version makes of the samples)
        return (f"samples of messages cannot be made: {error!r}",)
    problems = []
    for sample in samples:
        name = type(sample).__name__
        for encoding, form in product((msgspec.json, msgspec.msgpack), _FORMS):
            try:
                ours = EnhancedSerializer(encoding, *form).serialize(sample)
                same = ours == MsgSpecSerializer(encoding, *form).serialize(sample)
            except Exception as error:  # noqa: BLE001 (whatever is not as expected)
                problems.append(f"the enhanced serializer fails on {name}: {error!r}")
                break
            if not same:
                problems.append(f"the enhanced serializer writes {name} differently")
                break
    return tuple(problems)
