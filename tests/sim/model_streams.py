"""Streams and consumer groups as the server has them, without commands, clients or time."""

from __future__ import annotations

from typing import Any


EntryId = tuple[int, int]

ZERO: EntryId = (0, 0)
MAX_PART = 2**64 - 1
HIGHEST: EntryId = (MAX_PART, MAX_PART)

# Entries of a node of the server's tree (`stream-node-max-entries`): `~` trims whole nodes.
NODE_ENTRIES = 100


class Group:
    """A consumer group: what it was given last, and who has what without having acknowledged."""

    def __init__(self, last_id: EntryId) -> None:
        self.last_id = last_id
        self.pending: dict[EntryId, bytes] = {}


class Stream:
    """A stream: its entries in order, and what it remembers of those that are gone."""

    def __init__(self) -> None:
        self.entries: dict[EntryId, list[bytes]] = {}
        self.nodes: list[list[EntryId]] = []
        self.last_id = ZERO
        self.max_deleted = ZERO
        self.added = 0
        self.groups: dict[bytes, Group] = {}

    def next_id(self, now_ms: int) -> EntryId | None:
        """Return the ID that `*` stands for; None if there is none left."""
        ms, sequence = self.last_id
        if now_ms > ms:
            return now_ms, 0
        if sequence < MAX_PART:
            return ms, sequence + 1
        return (ms + 1, 0) if ms < MAX_PART else None

    def add(self, entry_id: EntryId, fields: list[bytes]) -> None:
        self.entries[entry_id] = fields
        self.last_id = entry_id
        self.added += 1
        if not self.nodes or len(self.nodes[-1]) >= NODE_ENTRIES:
            self.nodes.append([])
        self.nodes[-1].append(entry_id)

    def range(self, low: EntryId, high: EntryId) -> list[tuple[EntryId, list[bytes]]]:
        return [(one, fields) for one, fields in self.entries.items() if low <= one <= high]

    def delete(self, ids: list[EntryId]) -> list[EntryId]:
        """Remove entries one by one, as XDEL does; return those that were there."""
        gone = [one for one in dict.fromkeys(ids) if self.entries.pop(one, None) is not None]
        self.max_deleted = max([self.max_deleted, *gone])
        self._forget_empty_nodes()
        return gone

    def trim_below(self, low: EntryId, *, whole_nodes: bool) -> list[EntryId]:
        """Remove what is older than `low`, as XTRIM does; return what is gone."""
        gone: list[EntryId] = []
        for node in self.nodes:
            if node[-1] >= low and whole_nodes:
                break
            gone += [one for one in node if one < low and one in self.entries]
            if node[-1] >= low:
                break
        for one in gone:
            del self.entries[one]
        self._forget_empty_nodes()
        return gone

    def trim_to(self, length: int) -> list[EntryId]:
        """Keep the newest `length` entries; return what is gone."""
        gone = list(self.entries)[: max(0, len(self.entries) - length)]
        for one in gone:
            del self.entries[one]
        self._forget_empty_nodes()
        return gone

    def _forget_empty_nodes(self) -> None:
        self.nodes = [node for node in self.nodes if any(one in self.entries for one in node)]

    def info(self) -> list[Any]:
        """Return what XINFO STREAM tells, but for how the server keeps its memory."""
        listed = list(self.entries)
        first, last = (listed[0], listed[-1]) if listed else (None, None)
        return [
            b"length", len(self.entries),
            b"radix-tree-keys", len(self.nodes),
            b"radix-tree-nodes", len(self.nodes) + 1,
            b"last-generated-id", format_id(self.last_id),
            b"max-deleted-entry-id", format_id(self.max_deleted),
            b"entries-added", self.added,
            b"recorded-first-entry-id", format_id(first or ZERO),
            b"groups", len(self.groups),
            b"first-entry", first and entry_reply(first, self.entries[first]),
            b"last-entry", last and entry_reply(last, self.entries[last]),
        ]  # fmt: skip


def format_id(entry_id: EntryId) -> bytes:
    return b"%d-%d" % entry_id


def entry_reply(entry_id: EntryId, fields: list[bytes] | None) -> list[Any]:
    return [format_id(entry_id), fields]


def _part(raw: bytes) -> int:
    # What Python takes for a number is more than what the server does: signs, spaces, `1_000`.
    if not raw.isdigit() or int(raw) > MAX_PART:
        raise ValueError(raw)
    return int(raw)


def parse_id(raw: bytes, sequence: int) -> EntryId:
    """Return an ID, with `sequence` where it has none; ValueError if it is no ID."""
    if raw == b"-":
        return ZERO
    if raw == b"+":
        return HIGHEST
    ms, dash, rest = raw.partition(b"-")
    return _part(ms), _part(rest) if dash else sequence
