"""
The commands about streams and groups, and what their answers say.

Answers are as hiredis parses RESP2, an error answer being an exception instance. Source of the
commands: https://redis.io/docs/latest/commands/?group=stream
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import Final

import msgspec

from nautilus_enhanced.infrastructure.messagebus.errors import ServerError
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import EntryId
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import bulk
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import command
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import format_entry_id
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import parse_entry_id


if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Sequence


START: Final = b"0-0"
END: Final = b"$"

NO_GROUP: Final = "NOGROUP"
GROUP_EXISTS: Final = "BUSYGROUP"
# Refusals that are about one key, or the command, and say nothing of the server as a whole.
_ABOUT_KEYS: Final = ("WRONGTYPE", "NOPERM", "OOM")


class PendingEntry(msgspec.Struct, frozen=True):
    """
    An entry that was read by a group and is not acknowledged.

    Attributes
    ----------
    entry_id : tuple[int, int]
        Its ID.
    consumer : str
        Who read it last.
    idle_ms : int
        Milliseconds since then.
    deliveries : int
        How often it was read.
    """

    entry_id: EntryId
    consumer: str
    idle_ms: int
    deliveries: int

    @property
    def raw_id(self) -> bytes:
        """Return its ID as the server writes it."""
        return format_entry_id(self.entry_id)


class GroupFacts(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the server says of a group of a stream.

    Attributes
    ----------
    name : str
        Its name.
    consumers : int
        Names of consumers that it knows, dead ones included.
    pending : int
        Entries that were read and are not acknowledged.
    last_delivered : tuple[int, int]
        The last entry that was read.
    lag : int or None
        Entries behind that one; None where the server cannot tell (before Redis 7.0, or when
        entries were deleted in the middle).
    """

    name: str
    consumers: int
    pending: int
    last_delivered: EntryId
    lag: int | None = None


class StreamFacts(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the server says of a stream.

    Attributes
    ----------
    length : int
        Its entries.
    last_id : tuple[int, int]
        The last ID that was ever used.
    first_id : tuple[int, int] or None
        The oldest entry that is left; None if there is none.
    groups : int
        Its groups.
    """

    length: int
    last_id: EntryId
    first_id: EntryId | None = None
    groups: int = 0


def create_group(key: bytes, group: bytes, start: bytes) -> bytes:
    """Return XGROUP CREATE, which makes the stream too: its first entry may be on its way."""
    return command(b"XGROUP", b"CREATE", key, group, start, b"MKSTREAM")


def destroy_group(key: bytes, group: bytes) -> bytes:
    """Return XGROUP DESTROY."""
    return command(b"XGROUP", b"DESTROY", key, group)


def delete_consumer(key: bytes, group: bytes, consumer: bytes) -> bytes:
    """Return XGROUP DELCONSUMER: what the consumer had pending is forgotten with it."""
    return command(b"XGROUP", b"DELCONSUMER", key, group, consumer)


class GroupReading:
    """
    Ask, over and over, for what nobody of a group has read in the same streams.

    The keys are encoded once: for hundreds of them that takes as long as the server does.

    Parameters
    ----------
    group, consumer : bytes
        The group and who asks.
    keys : sequence of bytes
        The streams.
    """

    def __init__(self, group: bytes, consumer: bytes, keys: Sequence[bytes]) -> None:
        head = (b"XREADGROUP", b"GROUP", group, consumer, b"COUNT")
        tail = (b"STREAMS", *keys, *([b">"] * len(keys)))
        self._head = b"".join(map(bulk, head))
        self._tail = b"".join(map(bulk, tail))
        self._items = len(head) + len(tail)

    def query(self, count: int, block_ms: int | None) -> bytes:
        """Return XREADGROUP for so many entries of each stream; None does not wait for it."""
        wait = () if block_ms is None else (b"BLOCK", b"%d" % block_ms)
        middle = b"".join(map(bulk, (b"%d" % count, *wait)))
        items = self._items + 1 + len(wait)
        return b"*%d\r\n%b%b%b" % (items, self._head, middle, self._tail)


def read_group(
    group: bytes, consumer: bytes, keys: Sequence[bytes], count: int, block_ms: int | None
) -> bytes:
    """Return XREADGROUP for what nobody of the group has read; None does not wait for it."""
    return GroupReading(group, consumer, keys).query(count, block_ms)


def read(positions: Sequence[tuple[bytes, EntryId]], count: int, block_ms: int | None) -> bytes:
    """Return XREAD for what stands behind a position in each stream; None does not wait."""
    wait = () if block_ms is None else (b"BLOCK", b"%d" % block_ms)
    keys = [key for key, _ in positions]
    ids = [format_entry_id(after) for _, after in positions]
    return command(b"XREAD", b"COUNT", b"%d" % count, *wait, b"STREAMS", *keys, *ids)


def acknowledge(key: bytes, group: bytes, ids: Iterable[bytes]) -> bytes:
    """Return XACK."""
    return command(b"XACK", key, group, *ids)


def list_pending(key: bytes, group: bytes, after: EntryId, count: int) -> bytes:
    """Return XPENDING for the pending entries whose ID is not less than `after`."""
    return command(b"XPENDING", key, group, format_entry_id(after), b"+", b"%d" % count)


def claim(
    key: bytes, group: bytes, consumer: bytes, min_idle_ms: int, ids: Iterable[bytes]
) -> bytes:
    """Return XCLAIM: makes pending entries the consumer's, and counts a delivery of each."""
    return command(b"XCLAIM", key, group, consumer, b"%d" % min_idle_ms, *ids)


def keep(key: bytes, group: bytes, consumer: bytes, ids: Iterable[bytes]) -> bytes:
    """Return XCLAIM that only says that its consumer still has the entries in hand."""
    return command(b"XCLAIM", key, group, consumer, b"0", *ids, b"JUSTID")


def give_back(
    key: bytes, group: bytes, consumer: bytes, deliveries: int, ids: Iterable[bytes]
) -> bytes:
    """Return XCLAIM that says how often entries were delivered: not this time, as it seems."""
    return command(
        b"XCLAIM", key, group, consumer, b"0", *ids, b"RETRYCOUNT", b"%d" % deliveries, b"JUSTID"
    )


def stream_info(key: bytes) -> bytes:
    """Return XINFO STREAM."""
    return command(b"XINFO", b"STREAM", key)


def group_info(key: bytes) -> bytes:
    """Return XINFO GROUPS."""
    return command(b"XINFO", b"GROUPS", key)


def consumer_info(key: bytes, group: bytes) -> bytes:
    """Return XINFO CONSUMERS."""
    return command(b"XINFO", b"CONSUMERS", key, group)


def is_error(answer: Any, code: str = "") -> bool:
    """Return whether an answer is an error, of this code if one is given."""
    return isinstance(answer, Exception) and str(answer).startswith(code)


def is_about_keys(answer: Any) -> bool:
    """Return whether an answer is an error that another stream need not get."""
    return isinstance(answer, Exception) and str(answer).startswith(_ABOUT_KEYS)


def succeeded(answer: Any, what: str) -> Any:
    """
    Return an answer that is no error.

    Raises
    ------
    ServerError
        If it is one.
    """
    if isinstance(answer, Exception):
        raise ServerError(f"{what}: {answer}")
    return answer


def parse_pending(answer: Any) -> list[PendingEntry]:
    """Return the pending entries of an answer to XPENDING, in the order of their IDs."""
    return [
        PendingEntry(parse_entry_id(raw), _text(consumer), int(idle_ms), int(deliveries))
        for raw, consumer, idle_ms, deliveries in answer
    ]


def parse_groups(answer: Any) -> list[GroupFacts]:
    """Return the groups of an answer to XINFO GROUPS."""
    facts = []
    for one in answer:
        about = dict(zip(one[::2], one[1::2], strict=True))
        facts.append(
            GroupFacts(
                name=_text(about[b"name"]),
                consumers=int(about[b"consumers"]),
                pending=int(about[b"pending"]),
                last_delivered=parse_entry_id(about[b"last-delivered-id"]),
                lag=about.get(b"lag"),
            )
        )
    return facts


def parse_stream(answer: Any) -> StreamFacts:
    """Return what an answer to XINFO STREAM says."""
    about = dict(zip(answer[::2], answer[1::2], strict=True))
    first = about.get(b"first-entry")
    return StreamFacts(
        length=int(about[b"length"]),
        last_id=parse_entry_id(about[b"last-generated-id"]),
        first_id=None if first is None else parse_entry_id(first[0]),
        groups=int(about[b"groups"]),
    )


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
