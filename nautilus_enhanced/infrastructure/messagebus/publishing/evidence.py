"""
Whether an entry that is not in its stream has ever been there: told from what the server says.

A message that was sent, not answered, sent again under its old ID and then refused, because the
stream has gone past that ID, is either new (another writer took the numbers) or old (it was in
the stream and has been removed since). Streams lose entries at their front, by trimming, and
anywhere by XDEL, of which the server keeps the highest ID. So it is mostly known, and where it
is not, the message is neither sent again nor counted as delivered.
"""

from __future__ import annotations

from enum import Enum
from enum import auto
from enum import unique
from typing import TYPE_CHECKING
from typing import Any

import msgspec

from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import found_entries
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import EntryId
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import command
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import parse_entry_id


if TYPE_CHECKING:
    from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import Batch


@unique
class Verdict(Enum):
    """What became of a message that was perhaps sent."""

    PRESENT = auto()
    """It is in its stream."""
    NEVER_THERE = auto()
    """It is not, and never was."""
    UNKNOWN = auto()
    """It is not, but may have been."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the server told about one stream.

    Attributes
    ----------
    entries : dict[tuple[int, int], bytes] or None
        Payloads by ID around the message in question; None if it may not be read.
    first_id : tuple[int, int] or None
        The oldest entry that is left.
    deleted_to : tuple[int, int] or None
        The highest ID that was ever deleted, other than by trimming; None if it is not known.
    is_complete : bool
        Whether nothing was ever removed.
    """

    entries: dict[EntryId, bytes] | None = None
    first_id: EntryId | None = None
    deleted_to: EntryId | None = None
    is_complete: bool = False

    @classmethod
    def read(cls, entries: Any, info: Any) -> Evidence:
        """
        Read the answers to XRANGE and XINFO STREAM.

        Raises
        ------
        ServerError
            If the server cannot answer now.
        """
        found = found_entries(entries)
        if isinstance(entries, Exception):
            return cls()
        if isinstance(info, Exception):
            return cls(entries=found)
        about = dict(zip(info[::2], info[1::2], strict=True))
        first = about.get(b"first-entry")
        # Known since Redis 7.
        deleted = about.get(b"max-deleted-entry-id")
        return cls(
            entries=found,
            first_id=parse_entry_id(first[0]) if first else None,
            deleted_to=parse_entry_id(deleted) if deleted is not None else None,
            is_complete=about.get(b"entries-added", -1) == about[b"length"],
        )

    def verdict(self, entry_id: EntryId, payload: bytes) -> Verdict:
        """Return what became of a message that was sent as `payload` under `entry_id`."""
        if self.entries is None:
            return Verdict.UNKNOWN
        if entry_id in self.entries:
            # An ID is given out once: under which somebody else wrote, we did not.
            is_ours = self.entries[entry_id] == payload
            return Verdict.PRESENT if is_ours else Verdict.NEVER_THERE
        if self.is_complete:
            return Verdict.NEVER_THERE
        if self.deleted_to is None or self.deleted_to >= entry_id:
            return Verdict.UNKNOWN
        # Where an older entry is left, nothing that is newer was trimmed.
        is_left = self.first_id is not None and self.first_id < entry_id
        return Verdict.NEVER_THERE if is_left else Verdict.UNKNOWN


def queries(batch: Batch) -> list[tuple[bytes, bytes]]:
    """Return stream key and command of all that must be asked, two for each stream."""
    return [
        query
        for key, entries in batch.recovery_queries()
        for query in ((key, entries), (key, command(b"XINFO", b"STREAM", key)))
    ]


def verdicts(batch: Batch, answers: list[Any]) -> list[Verdict]:
    """
    Return what became of each message, given the answers to `queries`.

    Raises
    ------
    ServerError
        If the server cannot answer now.
    """
    keys = [key for key, _ in batch.recovery_queries()]
    evidence = {
        key: Evidence.read(entries, info)
        for key, entries, info in zip(keys, answers[::2], answers[1::2], strict=True)
    }
    return [
        evidence[route.stream.key].verdict(entry_id, payload)
        for route, entry_id, payload in zip(batch.routes, batch.ids, batch.payloads, strict=True)
    ]
