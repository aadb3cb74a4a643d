"""Read from groups, acknowledge, and take over what others left: in batches, without waiting."""

from __future__ import annotations

import time
from operator import itemgetter
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

import msgspec

from nautilus_enhanced.infrastructure.messagebus.publishing.wire import EntryId
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import format_entry_id
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import parse_entry_id
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import check_range
from nautilus_enhanced.infrastructure.messagebus.streams.commands import acknowledge
from nautilus_enhanced.infrastructure.messagebus.streams.commands import claim
from nautilus_enhanced.infrastructure.messagebus.streams.commands import is_error
from nautilus_enhanced.infrastructure.messagebus.streams.commands import list_pending
from nautilus_enhanced.infrastructure.messagebus.streams.commands import parse_pending
from nautilus_enhanced.infrastructure.messagebus.streams.commands import read
from nautilus_enhanced.infrastructure.messagebus.streams.commands import read_group
from nautilus_enhanced.infrastructure.messagebus.streams.entries import StreamMessage
from nautilus_enhanced.infrastructure.messagebus.streams.entries import topic_and_payload
from nautilus_enhanced.infrastructure.messagebus.streams.keys import check_name
from nautilus_enhanced.infrastructure.messagebus.streams.manager.refusals import checked
from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import entries_between


if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Mapping
    from collections.abc import Sequence

    from nautilus_enhanced.infrastructure.messagebus.streams.commands import PendingEntry
    from nautilus_enhanced.infrastructure.messagebus.streams.manager.session import Session


MAX_COUNT: Final = 10_000
MAX_WAIT_MS: Final = 60_000
# Looked through for entries that idle, in a call.
MAX_LOOKED_AT: Final = 100_000
_PAGE: Final = 1_000
_PAUSE_S: Final = 0.02


class ClaimedMessages(msgspec.Struct, frozen=True, kw_only=True):
    """
    What was taken over from consumers that left it.

    Attributes
    ----------
    messages : tuple[StreamMessage, ...]
        The messages, in the order of their IDs: to be handled and acknowledged.
    trimmed : tuple[tuple[int, int], ...]
        The IDs of entries that are not in the stream any more: nobody can handle them, and they
        are not pending any more.
    """

    messages: tuple[StreamMessage, ...] = ()
    trimmed: tuple[EntryId, ...] = ()


def message_of(stream: str, entry_id: bytes, fields: list[bytes], deliveries: int) -> StreamMessage:
    """Return an entry as a message; one that is none has no topic and no payload."""
    topic, payload = topic_and_payload(fields) or (b"", b"")
    return StreamMessage(
        topic.decode("utf-8", "backslashreplace"),
        payload,
        stream,
        entry_id,
        fields,
        payload,
        deliveries,
    )


class BatchReader:
    """
    Read from groups, acknowledge, and take over.

    Parameters
    ----------
    session : Session
        Asks the server.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._session!r})"

    def read(
        self, group: str, consumer: str, streams: Sequence[str], count: int, wait_ms: int
    ) -> list[StreamMessage]:
        """Return what nobody of the group has read, of each stream in order."""
        _check(group, consumer, count)
        check_range("wait_ms", wait_ms, 0, MAX_WAIT_MS, " ms")
        until = time.monotonic() + wait_ms / 1_000
        queries = [
            (key, read_group(group.encode(), consumer.encode(), [key], count, None))
            for key in (stream.encode() for stream in streams)
        ]
        while True:
            # A second reading would leave what the first one got to nobody.
            answers = self._session.ask(queries, repeatable=False)
            messages = [
                message_of(stream, entry_id, fields, 1)
                for stream, answer in zip(streams, answers, strict=True)
                if not is_error(answer)
                for _, page in answer or ()
                for entry_id, fields in page
            ]
            if messages:
                # They are ours now, whatever is wrong with another stream: it is told next time.
                return messages
            for stream, answer in zip(streams, answers, strict=True):
                checked(answer, "XREADGROUP", stream.encode())
            left_s = until - time.monotonic()
            if left_s <= 0.0:
                return []
            time.sleep(min(_PAUSE_S, left_s))

    def read_after(self, positions: Mapping[str, EntryId], count: int) -> list[StreamMessage]:
        """Return what stands behind a position in each stream, without a group."""
        check_range("count", count, 1, MAX_COUNT, " messages")
        queries = [
            (key, read([(key, after)], count, None))
            for key, after in ((stream.encode(), after) for stream, after in positions.items())
        ]
        messages = []
        for stream, answer in zip(positions, self._session.ask(queries), strict=True):
            for _, page in checked(answer, "XREAD", stream.encode()) or []:
                messages += [message_of(stream, one, fields, 0) for one, fields in page]
        return messages

    def acknowledge(self, group: str, messages: Iterable[StreamMessage]) -> int:
        """Return how many of the messages were pending, and are not any more."""
        check_name("group", group)
        by_stream: dict[bytes, list[bytes]] = {}
        for message in messages:
            by_stream.setdefault(message.stream.encode(), []).append(message.id.encode())
        queries = [
            (key, acknowledge(key, group.encode(), ids[first : first + _PAGE]))
            for key, ids in by_stream.items()
            for first in range(0, len(ids), _PAGE)
        ]
        answers = self._session.ask(queries)
        return sum(
            int(checked(answer, "XACK", key))
            for (key, _), answer in zip(queries, answers, strict=True)
        )

    def pending(self, group: str, stream: str, after: EntryId, count: int) -> list[PendingEntry]:
        """Return pending entries of a stream, from an ID on."""
        check_name("group", group)
        check_range("count", count, 1, MAX_COUNT, " entries")
        key = stream.encode()
        query = list_pending(key, group.encode(), after, count)
        return parse_pending(checked(self._session.one(key, query), "XPENDING", key))

    def claim_idle(
        self, group: str, consumer: str, stream: str, min_idle_ms: int, count: int
    ) -> ClaimedMessages:
        """Take over what was read `min_idle_ms` ago and is not acknowledged."""
        _check(group, consumer, count)
        check_range("min_idle_ms", min_idle_ms, 0, 2**31 - 1, " ms")
        idle = self._idle(group, stream, min_idle_ms, count)
        if not idle:
            return ClaimedMessages()
        key, name = stream.encode(), group.encode()
        ids = [format_entry_id(entry.entry_id) for entry in idle]
        # Twice would count two deliveries of one.
        answer = self._session.one(
            key, claim(key, name, consumer.encode(), min_idle_ms, ids), repeatable=False
        )
        # Redis 6 answers nil for what is trimmed, and leaves it pending; later ones drop it.
        got = {
            parse_entry_id(entry[0]): entry
            for entry in checked(answer, "XCLAIM", key)
            if entry is not None and entry[1] is not None
        }
        missing = [entry.entry_id for entry in idle if entry.entry_id not in got]
        trimmed = self._gone(key, missing)
        if trimmed:
            raw = [format_entry_id(entry_id) for entry_id in trimmed]
            checked(self._session.one(key, acknowledge(key, name, raw)), "XACK", key)
        deliveries = {entry.entry_id: entry.deliveries + 1 for entry in idle}
        messages = [
            message_of(stream, raw, fields, deliveries[entry_id])
            for entry_id, (raw, fields) in sorted(got.items(), key=itemgetter(0))
        ]
        return ClaimedMessages(messages=tuple(messages), trimmed=tuple(trimmed))

    def _idle(self, group: str, stream: str, min_idle_ms: int, count: int) -> list[PendingEntry]:
        found: list[PendingEntry] = []
        after: EntryId = (0, 0)
        for _ in range(0, MAX_LOOKED_AT, _PAGE):
            page = self.pending(group, stream, after, _PAGE)
            found += [entry for entry in page if entry.idle_ms >= min_idle_ms]
            if len(found) >= count or len(page) < _PAGE:
                break
            milliseconds, number = page[-1].entry_id
            after = (milliseconds, number + 1)
        return found[:count]

    def _gone(self, key: bytes, ids: list[EntryId]) -> list[EntryId]:
        """Return which entries are not in the stream: others were taken by somebody else."""
        raw = [format_entry_id(entry_id) for entry_id in ids]
        answers: list[Any] = self._session.ask(
            [(key, entries_between(key, one, one, 1)) for one in raw]
        )
        return [
            entry_id
            for entry_id, answer in zip(ids, answers, strict=True)
            if not checked(answer, "XRANGE", key)
        ]


def _check(group: str, consumer: str, count: int) -> None:
    check_name("group", group)
    check_name("consumer", consumer)
    check_range("count", count, 1, MAX_COUNT, " messages")
