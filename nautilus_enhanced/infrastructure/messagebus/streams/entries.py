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

from nautilus_enhanced.infrastructure.messagebus.publishing.wire import FIELD_ENCODING
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import FIELD_GAP
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import FIELD_JOURNALED_AT
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import FIELD_PAYLOAD
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import FIELD_TOPIC
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import FIELD_TYPE
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import EntryId
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import parse_entry_id


# A message without anything to tell has so many names and values at most.
PLAIN: Final = 8
# Of the largest number that these fields may hold; Python refuses to read very long ones.
_MAX_DIGITS: Final = 20


class StreamMessage(msgspec.Struct, frozen=True, gc=False):
    """
    A message that was read from a stream.

    Attributes
    ----------
    topic : str
        The topic.
    payload : bytes
        The payload as it was published.
    stream : str
        The key of the stream.
    raw_id : bytes
        The entry's ID as the server writes it.
    fields : list[bytes]
        All names and values of the entry, by turns.
    body : Any
        The payload decoded, as the subscription asked for; the payload itself if it did not.
    deliveries : int
        How often it was given to a handler of this group, this time included.
    """

    topic: str
    payload: bytes
    stream: str
    raw_id: bytes
    fields: list[bytes]
    body: Any = None
    deliveries: int = 1

    @property
    def id(self) -> str:
        """Return the entry's ID as text."""
        return self.raw_id.decode()

    @property
    def entry_id(self) -> EntryId:
        """
        Return the entry's ID as numbers.

        Milliseconds since the UNIX epoch by the clock of who published it (the server's, if that
        was a stock bus), and a number.
        """
        return parse_entry_id(self.raw_id)

    @property
    def type(self) -> str:
        """Return what the publisher says of the type; most often nothing."""
        return self._text(FIELD_TYPE)

    @property
    def encoding(self) -> str:
        """Return what the publisher says of the encoding: a stock bus always says ``Json``."""
        return self._text(FIELD_ENCODING)

    @property
    def gap(self) -> int:
        """Return how many messages of its topic its publisher had to drop before it."""
        return number_of(self.fields, FIELD_GAP) or 0

    @property
    def journaled_at(self) -> int | None:
        """Return when it was put into a journal, in UNIX nanoseconds; None if it never was."""
        return number_of(self.fields, FIELD_JOURNALED_AT)

    def age_ms(self, now_ms: int) -> int:
        """Return milliseconds since it was published; not less than 0 if the clocks disagree."""
        return max(0, now_ms - self.entry_id[0])

    def _text(self, name: bytes) -> str:
        return (value_of(self.fields, name) or b"").decode("utf-8", "backslashreplace")


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


def value_of(fields: list[bytes], name: bytes) -> bytes | None:
    """Return the value of a field, or None if there is no such."""
    return dict(zip(fields[::2], fields[1::2], strict=False)).get(name)


def number_of(fields: list[bytes], name: bytes) -> int | None:
    """
    Return the number in a field, or None.

    What is no number counts as not said: another writer may use the name for something else.
    """
    raw = value_of(fields, name)
    if raw is None or len(raw) > _MAX_DIGITS or not raw.isdigit():
        return None
    return int(raw)
