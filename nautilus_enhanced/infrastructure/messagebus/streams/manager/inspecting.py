"""How streams, their groups and consumers are: asked for together, told as frozen values."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import Final

import msgspec

from nautilus_enhanced.infrastructure.messagebus.errors import ServerError
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import EntryId
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import format_entry_id
from nautilus_enhanced.infrastructure.messagebus.streams.commands import GroupFacts
from nautilus_enhanced.infrastructure.messagebus.streams.commands import StreamFacts
from nautilus_enhanced.infrastructure.messagebus.streams.commands import consumer_info
from nautilus_enhanced.infrastructure.messagebus.streams.commands import group_info
from nautilus_enhanced.infrastructure.messagebus.streams.commands import is_error
from nautilus_enhanced.infrastructure.messagebus.streams.commands import parse_groups
from nautilus_enhanced.infrastructure.messagebus.streams.commands import parse_stream
from nautilus_enhanced.infrastructure.messagebus.streams.commands import stream_info
from nautilus_enhanced.infrastructure.messagebus.streams.manager.refusals import checked
from nautilus_enhanced.infrastructure.messagebus.streams.manager.refusals import is_missing
from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import LAST
from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import ConsumerFacts
from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import PendingSummary
from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import entries_between
from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import memory_usage
from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import parse_consumers
from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import parse_pending_summary
from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import parse_time_ms
from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import pending_summary
from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import server_time


if TYPE_CHECKING:
    from collections.abc import Sequence

    from nautilus_enhanced.infrastructure.messagebus.streams.manager.session import Session


# Entries that are counted where the server does not know how many there are.
MAX_COUNTED: Final = 10_000
_PAGE: Final = 500


class StreamStatus(msgspec.Struct, frozen=True, kw_only=True):
    """
    How a stream is.

    Attributes
    ----------
    stream : str
        Its key.
    length : int
        Its entries.
    first_id, last_id : tuple[int, int] or None, tuple[int, int]
        The oldest entry that is left, and the last ID that was ever used.
    idle_ms : int
        Milliseconds since the last entry, by the server's clock and the entry's ID.
    groups : int
        Its groups.
    memory_bytes : int or None
        Bytes that it takes in the server, groups included, as the server estimates them; None
        where it does not tell.
    """

    stream: str
    length: int
    first_id: EntryId | None
    last_id: EntryId
    idle_ms: int
    groups: int
    memory_bytes: int | None = None


class GroupStatus(msgspec.Struct, frozen=True, kw_only=True):
    """
    How a group of a stream is.

    Attributes
    ----------
    stream, group : str
        The stream's key and the group's name.
    consumers : int
        Its consumers, dead ones included.
    pending : int
        Entries that were read and are not acknowledged.
    oldest_pending : tuple[int, int] or None
        The first of them.
    last_delivered : tuple[int, int]
        The last entry that was read.
    lag : int
        Entries that were not read.
    lag_is_exact : bool
        False if there are at least so many: before Redis 7.0, and where entries were deleted in
        the middle, they are counted, and no more than 10,000.
    idle_ms : int or None
        Milliseconds since a consumer last asked for anything; None if there is no consumer.
    """

    stream: str
    group: str
    consumers: int
    pending: int
    oldest_pending: EntryId | None
    last_delivered: EntryId
    lag: int
    lag_is_exact: bool = True
    idle_ms: int | None = None


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    """
    All that the server says of a stream and its groups.

    Attributes
    ----------
    key : bytes
        The stream.
    facts : StreamFacts
        Of the stream.
    groups : tuple[GroupFacts, ...]
        Of its groups.
    consumers : dict[str, list[ConsumerFacts]]
        Of the consumers of each group.
    pending : dict[str, PendingSummary]
        Of what each group has not acknowledged.
    """

    key: bytes
    facts: StreamFacts
    groups: tuple[GroupFacts, ...] = ()
    consumers: dict[str, list[ConsumerFacts]] = {}
    pending: dict[str, PendingSummary] = {}


def youngest_idle_ms(consumers: Sequence[ConsumerFacts]) -> int | None:
    """Return milliseconds since any consumer last asked for anything; None if there is none."""
    return min((consumer.idle_ms for consumer in consumers), default=None)


class Inspector:
    """
    Ask the server how streams are.

    Parameters
    ----------
    session : Session
        Asks the server.
    max_counted : int, default 10,000
        Entries that are counted for a lag that the server does not know.
    """

    def __init__(self, session: Session, max_counted: int = MAX_COUNTED) -> None:
        self._session = session
        self._max_counted = max_counted

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._session!r})"

    def now_ms(self, key: bytes) -> int:
        """Return milliseconds since the UNIX epoch by the clock of the server that has a key."""
        return parse_time_ms(checked(self._session.one(key, server_time()), "TIME", key))

    def streams(self, keys: Sequence[str]) -> list[StreamStatus]:
        """
        Return how streams are; those that do not exist are left out.

        Raises
        ------
        ServerError
            If the server does not tell.
        """
        if not keys:
            return []
        raw = [key.encode() for key in keys]
        now_ms = self.now_ms(raw[0])
        answers = self._session.ask(
            [(key, query(key)) for key in raw for query in (stream_info, memory_usage)]
        )
        found = []
        for name, key, about, memory in zip(keys, raw, answers[::2], answers[1::2], strict=True):
            if is_missing(about):
                continue
            facts = parse_stream(checked(about, "XINFO STREAM", key))
            found.append(
                StreamStatus(
                    stream=name,
                    length=facts.length,
                    first_id=facts.first_id,
                    last_id=facts.last_id,
                    idle_ms=max(0, now_ms - facts.last_id[0]),
                    groups=facts.groups,
                    memory_bytes=memory if isinstance(memory, int) else None,
                )
            )
        return found

    def states(self, keys: Sequence[bytes]) -> list[StreamState]:
        """
        Return all that the server says of streams; those that do not exist are left out.

        Raises
        ------
        ServerError
            If the server does not tell.
        """
        about = self._session.ask(
            [(key, query(key)) for key in keys for query in (stream_info, group_info)]
        )
        states: list[StreamState] = []
        for key, stream, groups in zip(keys, about[::2], about[1::2], strict=True):
            if is_missing(stream) or is_missing(groups):
                continue
            facts = parse_stream(checked(stream, "XINFO STREAM", key))
            told = parse_groups(checked(groups, "XINFO GROUPS", key))
            states.append(StreamState(key=key, facts=facts, groups=tuple(told)))
        return self._with_details(states)

    def groups(self, keys: Sequence[str]) -> list[GroupStatus]:
        """
        Return how the groups of streams are.

        Raises
        ------
        ServerError
            If the server does not tell.
        """
        found = []
        for state in self.states([key.encode() for key in keys]):
            for group in state.groups:
                lag, exact = self._lag(state, group)
                pending = state.pending[group.name]
                found.append(
                    GroupStatus(
                        stream=state.key.decode("utf-8", "backslashreplace"),
                        group=group.name,
                        consumers=group.consumers,
                        pending=pending.count,
                        oldest_pending=pending.lowest,
                        last_delivered=group.last_delivered,
                        lag=lag,
                        lag_is_exact=exact,
                        idle_ms=youngest_idle_ms(state.consumers[group.name]),
                    )
                )
        return found

    def memory_bytes(self, key: bytes) -> int | None:
        """Return the bytes that a key takes in the server; None if it is not there or not told."""
        answer = self._session.one(key, memory_usage(key))
        return answer if isinstance(answer, int) else None

    def count_after(self, key: bytes, after: EntryId, before: EntryId | None = None) -> int:
        """
        Return how many entries stand behind one, and before another: 10,000 at most.

        They are read to be counted, some hundreds at a time: use it where nothing else will do.
        """
        position = b"(" + format_entry_id(after)
        last = LAST if before is None else b"(" + format_entry_id(before)
        count = 0
        while count < self._max_counted:
            wanted = min(_PAGE, self._max_counted - count)
            query = entries_between(key, position, last, wanted)
            page = checked(self._session.one(key, query), "XRANGE", key)
            count += len(page)
            if len(page) < wanted:
                break
            position = b"(" + page[-1][0]
        return count

    def _with_details(self, states: list[StreamState]) -> list[StreamState]:
        """Ask for consumers and pending entries of each group; a group may be gone meanwhile."""
        pairs = [(state, group) for state in states for group in state.groups]
        answers = self._session.ask(
            [
                (state.key, query(state.key, group.name.encode()))
                for state, group in pairs
                for query in (consumer_info, pending_summary)
            ]
        )
        details: dict[tuple[bytes, str], tuple[Any, Any]] = {}
        for (state, group), consumers, pending in zip(
            pairs, answers[::2], answers[1::2], strict=True
        ):
            if _is_gone(consumers) or _is_gone(pending):
                continue
            details[state.key, group.name] = (
                parse_consumers(checked(consumers, "XINFO CONSUMERS", state.key)),
                parse_pending_summary(checked(pending, "XPENDING", state.key)),
            )
        complete = []
        for state in states:
            there = [group for group in state.groups if (state.key, group.name) in details]
            complete.append(
                StreamState(
                    key=state.key,
                    facts=state.facts,
                    groups=tuple(there),
                    consumers={group.name: details[state.key, group.name][0] for group in there},
                    pending={group.name: details[state.key, group.name][1] for group in there},
                )
            )
        return complete

    def _lag(self, state: StreamState, group: GroupFacts) -> tuple[int, bool]:
        """Return the entries that a group has not read, and whether there are no more."""
        facts = state.facts
        if facts.first_id is None or group.last_delivered >= facts.last_id:
            return 0, True
        if group.lag is not None:
            return group.lag, True
        if group.last_delivered < facts.first_id:
            return facts.length, True
        count = self.count_after(state.key, group.last_delivered)
        return count, count < self._max_counted


def _is_gone(answer: Any) -> bool:
    return is_missing(answer) or is_error(answer, "NOGROUP")


def require_group(states: list[StreamState], stream: str, group: str) -> StreamState:
    """
    Return the state of a stream that has a group.

    Raises
    ------
    ServerError
        If there is no such stream, or no such group of it.
    """
    if not states:
        raise ServerError(f"there is no stream {stream}")
    if group not in states[0].pending:
        names = ", ".join(known.name for known in states[0].groups) or "none"
        raise ServerError(f"{stream} has no group {group}: its groups are {names}")
    return states[0]
