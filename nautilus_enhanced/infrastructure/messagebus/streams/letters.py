"""
Dead letters: what a group could not handle, and how it gets another try.

A dead letter is an entry of the group's dead-letter stream: the message's own fields as they were,
then what went wrong and where it came from. Given back to the group, it goes to the group's retry
stream with the message's fields and where it came from, so that who reads it sees a message.
"""

from __future__ import annotations

from typing import Final

import msgspec

from nautilus_enhanced.infrastructure.messagebus.publishing.wire import FIELD_ENCODING
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import FIELD_PAYLOAD
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import FIELD_TOPIC
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import FIELD_TYPE
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import EntryId
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import command
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import encode_text
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import format_entry_id
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import parse_entry_id
from nautilus_enhanced.infrastructure.messagebus.streams.keys import dead_letter_key
from nautilus_enhanced.infrastructure.messagebus.streams.keys import retry_key


FIELD_ERROR: Final = b"error"
FIELD_ERROR_TYPE: Final = b"error_type"
FIELD_STREAM: Final = b"stream"
FIELD_ENTRY_ID: Final = b"entry_id"
FIELD_GROUP: Final = b"group"
FIELD_CONSUMER: Final = b"consumer"
FIELD_DELIVERIES: Final = b"deliveries"
FIELD_FAILED_AT: Final = b"failed_at"

# Beyond these, a dead-letter stream and a retry stream lose their oldest.
MAX_LETTERS: Final = 10_000
MAX_RETRIES: Final = 10_000
MAX_ERROR_LENGTH: Final = 2_000
_MAX_DIGITS: Final = 20

# What of a dead letter the next try gets.
_KEPT_FOR_RETRY: Final = (
    FIELD_TOPIC, FIELD_PAYLOAD, FIELD_TYPE, FIELD_ENCODING, FIELD_STREAM, FIELD_ENTRY_ID,
)  # fmt: skip


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """
    A message that a group could not handle.

    Attributes
    ----------
    topic, payload, type, encoding : str, bytes, str, str
        The message, as it was published.
    error, error_type : str
        What the last try ended with, cut after 2,000 characters, and the class of it.
    stream : str
        The key of the stream that it was read from.
    entry_id : tuple[int, int]
        Its ID there.
    group, consumer : str
        Who could not handle it.
    deliveries : int
        How often it was tried.
    failed_at : int
        Nanoseconds since the UNIX epoch of the last try, by the consumer's clock.
    letter_id : tuple[int, int] or None
        The ID of the dead letter; None before it is written.
    """

    topic: str
    payload: bytes
    stream: str
    entry_id: EntryId
    group: str
    consumer: str
    error: str = ""
    error_type: str = ""
    deliveries: int = 1
    failed_at: int = 0
    type: str = ""
    encoding: str = ""
    letter_id: EntryId | None = None


def encode_letter(letter: DeadLetter) -> tuple[bytes, bytes]:
    """Return the command that writes a dead letter, with its key before it."""
    key = dead_letter_key(letter.group)
    fields = (
        (FIELD_TOPIC, encode_text(letter.topic)),
        (FIELD_PAYLOAD, letter.payload),
        (FIELD_TYPE, encode_text(letter.type)),
        (FIELD_ENCODING, encode_text(letter.encoding)),
        (FIELD_ERROR, encode_text(letter.error[:MAX_ERROR_LENGTH])),
        (FIELD_ERROR_TYPE, encode_text(letter.error_type)),
        (FIELD_STREAM, encode_text(letter.stream)),
        (FIELD_ENTRY_ID, format_entry_id(letter.entry_id)),
        (FIELD_GROUP, encode_text(letter.group)),
        (FIELD_CONSUMER, encode_text(letter.consumer)),
        (FIELD_DELIVERIES, b"%d" % letter.deliveries),
        (FIELD_FAILED_AT, b"%d" % letter.failed_at),
    )
    return key, _add(key, MAX_LETTERS, [part for field in fields for part in field])


def parse_letter(letter_id: bytes, fields: list[bytes]) -> DeadLetter:
    """
    Return the dead letter that an entry of a dead-letter stream is.

    What is missing is empty or 0: somebody else may have written it.
    """
    by_name = dict(zip(fields[::2], fields[1::2], strict=False))

    def text(name: bytes) -> str:
        return by_name.get(name, b"").decode("utf-8", "backslashreplace")

    return DeadLetter(
        topic=text(FIELD_TOPIC),
        payload=by_name.get(FIELD_PAYLOAD, b""),
        type=text(FIELD_TYPE),
        encoding=text(FIELD_ENCODING),
        error=text(FIELD_ERROR),
        error_type=text(FIELD_ERROR_TYPE),
        stream=text(FIELD_STREAM),
        entry_id=_entry_id(by_name.get(FIELD_ENTRY_ID, b"")),
        group=text(FIELD_GROUP),
        consumer=text(FIELD_CONSUMER),
        deliveries=_number(by_name.get(FIELD_DELIVERIES, b"")),
        failed_at=_number(by_name.get(FIELD_FAILED_AT, b"")),
        letter_id=parse_entry_id(letter_id),
    )


def encode_retry(group: str, fields: list[bytes]) -> tuple[bytes, bytes]:
    """
    Return the command that gives a dead letter back to its group, with its key before it.

    Parameters
    ----------
    group : str
        The group.
    fields : list[bytes]
        The dead letter's names and values by turns, as the server answers them: a topic that is
        no text stays as it is.
    """
    by_name = dict(zip(fields[::2], fields[1::2], strict=False))
    kept = [part for name in _KEPT_FOR_RETRY for part in (name, by_name.get(name, b""))]
    key = retry_key(group)
    return key, _add(key, MAX_RETRIES, kept)


def _add(key: bytes, max_entries: int, fields: list[bytes]) -> bytes:
    return command(b"XADD", key, b"MAXLEN", b"~", b"%d" % max_entries, b"*", *fields)


def _number(raw: bytes) -> int:
    # Of thousands of digits Python makes no number, but an error.
    return int(raw) if raw.isdigit() and len(raw) <= _MAX_DIGITS else 0


def _entry_id(raw: bytes) -> EntryId:
    milliseconds, _, sequence = raw.partition(b"-")
    return _number(milliseconds), _number(sequence)
