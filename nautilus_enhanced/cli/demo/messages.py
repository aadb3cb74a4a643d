"""What the processes of the demo tell each other: one JSON object a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Final
from typing import Literal

import msgspec

from nautilus_enhanced.sandbox.process import VenueAddress


BusName = Literal["stock", "enhanced"]


class NodeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the node's process is to do; venues are named as in `DEMO_VENUES`."""

    bus: BusName
    trader_id: str
    server_url: str
    venues: dict[str, VenueAddress]
    seconds: float
    witness_path: str
    log_dir: str
    samples_path: str | None = None


class ConsumerRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the consumer's process is to do."""

    trader_id: str
    server_url: str
    tally_path: str


class NodeProgress(msgspec.Struct, frozen=True, kw_only=True, tag="node_progress"):
    """How far the node is."""

    elapsed_s: float
    quotes: int
    trades: int
    orders_submitted: int
    orders_filled: int
    published: int
    waiting: int | None = None


class OrderEventSeen(msgspec.Struct, frozen=True, kw_only=True):
    """When an order event reached the strategy, by the system's monotonic clock."""

    client_order_id: str
    execution_type: str
    trade_id: int
    monotonic_ns: int


class NodeResult(msgspec.Struct, frozen=True, kw_only=True, tag="node_result"):
    """What the node did, on all venues together where nothing else is said."""

    quotes: int
    trades: int
    orders_submitted: int
    orders_filled: int
    orders_rejected: int
    orders_canceled: int
    published: dict[str, int]
    acknowledged: dict[str, int]
    features: list[str]
    filled_by_venue: dict[str, int]
    order_events: list[OrderEventSeen]


class ConsumerProgress(msgspec.Struct, frozen=True, kw_only=True, tag="consumer_progress"):
    """How much the consumer has read."""

    consumed: int


class ConsumerResult(msgspec.Struct, frozen=True, kw_only=True, tag="consumer_result"):
    """What the consumer read."""

    consumed: int
    streams: int
    by_type: dict[str, int]
    undecodable: int
    out_of_order: int
    reconnects: int = 0


ChildMessage = NodeProgress | NodeResult | ConsumerProgress | ConsumerResult

PREFIX: Final = "nt-enhanced-demo "


def to_line(message: ChildMessage) -> str:
    """Return the line that carries `message`; the prefix tells it from a log."""
    return PREFIX + msgspec.json.encode(message).decode()


def from_line(line: str) -> ChildMessage | None:
    """Return the message in a line, or None for any other line."""
    if not line.startswith(PREFIX):
        return None
    message: ChildMessage = msgspec.json.decode(line[len(PREFIX) :], type=ChildMessage)
    return message


# -- what was published and what arrived ----------------------------------------------------------


def fingerprint(topic: str, payload: bytes) -> str:
    """Return what identifies a message: a digest of its topic and serialized form."""
    return blake2b(topic.encode() + b"\0" + payload, digest_size=12).hexdigest()


def write_sequences(path: Path, by_topic: dict[str, list[str]]) -> None:
    """Write the fingerprints of each topic's messages, in order."""
    path.write_bytes(msgspec.json.encode(by_topic))


def read_sequences(path: Path) -> dict[str, list[str]]:
    """Read the fingerprints of each topic's messages, in order."""
    return msgspec.json.decode(path.read_bytes(), type=dict[str, list[str]])


def tally_of(by_topic: dict[str, list[str]]) -> dict[str, int]:
    """Return how often each fingerprint is in the sequences."""
    return dict(Counter(digest for sequence in by_topic.values() for digest in sequence))


def write_tally(path: Path, tally: dict[str, int]) -> None:
    """Write how often each fingerprint was seen."""
    path.write_bytes(msgspec.json.encode(tally))


def read_tally(path: Path) -> dict[str, int]:
    """Read how often each fingerprint was seen."""
    return msgspec.json.decode(path.read_bytes(), type=dict[str, int])


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """
    What became of the messages that the node published.

    Attributes
    ----------
    lost : int
        Messages that the witness in the node saw published and that never arrived.
    duplicated : int
        Messages that arrived more often than they were published.
    unwitnessed : int
        Messages from before the witness was in place (components announcing themselves).
    out_of_order : int
        Messages that came behind one that was published after them; 0 where only numbers are
        compared.
    """

    lost: int
    duplicated: int
    unwitnessed: int
    out_of_order: int = 0


def compare(published: dict[str, int], arrived: dict[str, int]) -> Comparison:
    """Return what was lost or doubled between the witness's tally and that of what arrived."""
    lost = sum(max(0, n - arrived.get(key, 0)) for key, n in published.items())
    duplicated = sum(max(0, n - max(1, published.get(key, 0))) for key, n in arrived.items())
    unwitnessed = sum(1 for key in arrived if key not in published)
    return Comparison(lost=lost, duplicated=duplicated, unwitnessed=unwitnessed)


def percentile(ordered: Iterable[float], share: float) -> float:
    """
    Return the value below which `share` of the ordered values lie (nearest rank).

    Raises
    ------
    ValueError
        If there are no values.
    """
    values = list(ordered)
    if not values:
        raise ValueError("no values to take a percentile of")
    rank = max(1, -(-len(values) * share // 1))
    return values[min(len(values), int(rank)) - 1]
