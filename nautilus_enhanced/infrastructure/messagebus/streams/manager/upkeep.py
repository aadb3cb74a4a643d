"""
The commands by which streams are looked after, and what their answers say.

Those by which they are read are in `commands`. Source of both:
https://redis.io/docs/latest/commands/?group=stream
"""

from __future__ import annotations

from typing import Any
from typing import Final

import msgspec

from nautilus_enhanced.infrastructure.messagebus.publishing.wire import EntryId
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import command
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import format_entry_id
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import parse_entry_id


FIRST: Final = b"-"
LAST: Final = b"+"


class ConsumerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the server says of a consumer of a group.

    Attributes
    ----------
    name : str
        Its name.
    pending : int
        Entries that it has read and not acknowledged.
    idle_ms : int
        Milliseconds since it last asked for anything; before Redis 7.2, since it last got
        anything.
    inactive_ms : int or None
        Milliseconds since it last got anything; None if it never did, or before Redis 7.2.
    """

    name: str
    pending: int
    idle_ms: int
    inactive_ms: int | None = None


class PendingSummary(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a group has read and not acknowledged.

    Attributes
    ----------
    count : int
        Entries.
    lowest, highest : tuple[int, int] or None
        The first and the last of them.
    by_consumer : dict[str, int]
        How many each consumer has, which has any.
    """

    count: int
    lowest: EntryId | None = None
    highest: EntryId | None = None
    by_consumer: dict[str, int] = {}


def pending_summary(key: bytes, group: bytes) -> bytes:
    """Return XPENDING without a range."""
    return command(b"XPENDING", key, group)


def pending_of(key: bytes, group: bytes, consumer: bytes, after: EntryId, count: int) -> bytes:
    """Return XPENDING for one consumer's entries whose ID is not less than `after`."""
    first = format_entry_id(after)
    return command(b"XPENDING", key, group, first, LAST, b"%d" % count, consumer)


def entries_between(key: bytes, first: bytes, last: bytes, count: int) -> bytes:
    """Return XRANGE; an ID with ``(`` before it is not part of the range."""
    return command(b"XRANGE", key, first, last, b"COUNT", b"%d" % count)


def newest_entries(key: bytes, count: int) -> bytes:
    """Return XREVRANGE for the last entries, the last one first."""
    return command(b"XREVRANGE", key, LAST, FIRST, b"COUNT", b"%d" % count)


def delete_entries(key: bytes, ids: list[bytes]) -> bytes:
    """Return XDEL."""
    return command(b"XDEL", key, *ids)


def hand_over(key: bytes, group: bytes, heir: bytes, ids: list[bytes]) -> bytes:
    """Return XCLAIM that makes pending entries the heir's without counting a delivery."""
    return command(b"XCLAIM", key, group, heir, b"0", *ids, b"JUSTID")


def length(key: bytes) -> bytes:
    """Return XLEN."""
    return command(b"XLEN", key)


def memory_usage(key: bytes) -> bytes:
    """Return MEMORY USAGE, which the server estimates from a few samples."""
    return command(b"MEMORY", b"USAGE", key)


def server_time() -> bytes:
    """Return TIME."""
    return command(b"TIME")


def trim_before(key: bytes, first_kept: EntryId, limit: int | None = None) -> bytes:
    """
    Return XTRIM of what is older than an entry.

    Parameters
    ----------
    key : bytes
        The stream.
    first_kept : tuple[int, int]
        The lowest ID that stays.
    limit : int, optional
        Entries that go at most. The server then removes whole blocks of about a hundred, and
        leaves the one that is not all older.
    """
    if limit is None:
        return command(b"XTRIM", key, b"MINID", b"=", format_entry_id(first_kept))
    return command(
        b"XTRIM", key, b"MINID", b"~", format_entry_id(first_kept), b"LIMIT", b"%d" % limit
    )


def trim_to(key: bytes, entries: int, limit: int | None = None) -> bytes:
    """Return XTRIM of the oldest beyond a number of entries, with `limit` as in `trim_before`."""
    if limit is None:
        return command(b"XTRIM", key, b"MAXLEN", b"=", b"%d" % entries)
    return command(b"XTRIM", key, b"MAXLEN", b"~", b"%d" % entries, b"LIMIT", b"%d" % limit)


def parse_consumers(answer: Any) -> list[ConsumerFacts]:
    """Return the consumers of an answer to XINFO CONSUMERS."""
    facts = []
    for one in answer:
        about = dict(zip(one[::2], one[1::2], strict=True))
        inactive_ms = about.get(b"inactive")
        facts.append(
            ConsumerFacts(
                name=_text(about[b"name"]),
                pending=int(about[b"pending"]),
                idle_ms=int(about[b"idle"]),
                # -1 says that it never got anything.
                inactive_ms=None if inactive_ms is None or inactive_ms < 0 else int(inactive_ms),
            )
        )
    return facts


def parse_pending_summary(answer: Any) -> PendingSummary:
    """Return what an answer to XPENDING without a range says."""
    count, lowest, highest, consumers = answer
    return PendingSummary(
        count=int(count),
        lowest=None if lowest is None else parse_entry_id(lowest),
        highest=None if highest is None else parse_entry_id(highest),
        by_consumer={_text(name): int(entries) for name, entries in consumers or ()},
    )


def parse_time_ms(answer: Any) -> int:
    """Return milliseconds since the UNIX epoch of an answer to TIME."""
    seconds, microseconds = map(int, answer)
    return seconds * 1_000 + microseconds // 1_000


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
