"""
Entries of streams as consumers see them, whoever wrote them.

NautilusTrader 1.221 writes ``topic, payload``, 1.231 ``topic, type, payload, encoding``, 2.x the
same fields, and ours begin as 1.221's do (`wire`). So fields go by name, and what is usual is
tried first, since it is tried for every message.
"""

from __future__ import annotations

from typing import Any
from typing import Final

import msgspec

from nautilus_enhanced.infrastructure.messagebus.wire import FIELD_ENCODING
from nautilus_enhanced.infrastructure.messagebus.wire import FIELD_GAP
from nautilus_enhanced.infrastructure.messagebus.wire import FIELD_JOURNALED_AT
from nautilus_enhanced.infrastructure.messagebus.wire import FIELD_PAYLOAD
from nautilus_enhanced.infrastructure.messagebus.wire import FIELD_TOPIC
from nautilus_enhanced.infrastructure.messagebus.wire import FIELD_TYPE
from nautilus_enhanced.infrastructure.messagebus.wire import EntryId


# A message of ours without anything to tell has these many names and values.
_PLAIN: Final = 8


class StreamMessage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    A message that was read from a stream.

    Attributes
    ----------
    topic : str
        The topic.
    payload : bytes
        The payload as it was published.
    body : Any
        The payload decoded, as the subscription asked for; the payload itself if it did not.
    stream : str
        The key of the stream.
    entry_id : tuple[int, int]
        The entry's ID: milliseconds since the UNIX epoch by the clock of who published it (the
        server's, if that was a stock bus), and a number.
    deliveries : int
        How often it was given to a handler of this group, this time included.
    gap : int
        Messages of its topic that its publisher had to drop before it.
    journaled_at : int or None
        Nanoseconds since the UNIX epoch at which it was put into the journal that it comes from.
    type, encoding : str
        What the publisher says about the payload.
    """

    topic: str
    payload: bytes
    stream: str
    entry_id: EntryId
    body: Any = None
    deliveries: int = 1
    gap: int = 0
    journaled_at: int | None = None
    type: str = ""
    encoding: str = ""

    @property
    def id(self) -> str:
        """Return the entry's ID as the server writes it."""
        return f"{self.entry_id[0]}-{self.entry_id[1]}"

    def age_ms(self, now_ms: int) -> int:
        """Return milliseconds since it was published; not less than 0 if the clocks disagree."""
        return max(0, now_ms - self.entry_id[0])


def topic_and_payload(fields: list[bytes]) -> tuple[bytes, bytes] | None:
    """
    Return topic and payload of an entry, or None if it is no message of a bus.

    Parameters
    ----------
    fields : list[bytes]
        Names and values by turns, as the server answers them.
    """
    if len(fields) >= 4 and fields[0] == FIELD_TOPIC and fields[2] == FIELD_PAYLOAD:  # noqa: PLR2004 (two fields)
        return fields[1], fields[3]
    by_name = dict(zip(fields[::2], fields[1::2], strict=False))
    topic, payload = by_name.get(FIELD_TOPIC), by_name.get(FIELD_PAYLOAD)
    return None if topic is None or payload is None else (topic, payload)


def marks(fields: list[bytes]) -> dict[str, Any]:
    """
    Return what an entry says beside topic and payload, by the names of `StreamMessage`.

    A number that is none counts as not said: another writer may use the name for something else.
    """
    if len(fields) == _PLAIN and fields[4] == FIELD_TYPE and not fields[5]:
        return {"encoding": fields[7].decode("utf-8", "replace")}
    by_name = dict(zip(fields[::2], fields[1::2], strict=False))
    return {
        "type": by_name.get(FIELD_TYPE, b"").decode("utf-8", "replace"),
        "encoding": by_name.get(FIELD_ENCODING, b"").decode("utf-8", "replace"),
        "gap": _number(by_name.get(FIELD_GAP)) or 0,
        "journaled_at": _number(by_name.get(FIELD_JOURNALED_AT)),
    }


def _number(raw: bytes | None) -> int | None:
    return int(raw) if raw is not None and raw.isdigit() else None
