"""Look after dead letters: list them, give them back to their group, or throw them away."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Final

import msgspec

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.errors import ServerError
from nautilus_enhanced.infrastructure.messagebus.errors import ServerUnreachableError
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import EntryId
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import command
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import format_entry_id
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import check_range
from nautilus_enhanced.infrastructure.messagebus.streams.commands import is_error
from nautilus_enhanced.infrastructure.messagebus.streams.keys import check_name
from nautilus_enhanced.infrastructure.messagebus.streams.keys import dead_letter_key
from nautilus_enhanced.infrastructure.messagebus.streams.keys import retry_key
from nautilus_enhanced.infrastructure.messagebus.streams.letters import MAX_RETRIES
from nautilus_enhanced.infrastructure.messagebus.streams.letters import DeadLetter
from nautilus_enhanced.infrastructure.messagebus.streams.letters import encode_retry
from nautilus_enhanced.infrastructure.messagebus.streams.letters import parse_letter
from nautilus_enhanced.infrastructure.messagebus.streams.manager.refusals import checked
from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import LAST
from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import delete_entries
from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import entries_between
from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import length


if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Sequence

    from nautilus_enhanced.infrastructure.messagebus.streams.manager.finding import StreamFinder
    from nautilus_enhanced.infrastructure.messagebus.streams.manager.inspecting import Inspector
    from nautilus_enhanced.infrastructure.messagebus.streams.manager.session import Session


MAX_LISTED: Final = 10_000
# Given back together: so many may be there twice if the connection breaks.
_PART: Final = 100


class LetterboxStatus(msgspec.Struct, frozen=True, kw_only=True):
    """
    How many dead letters a group has.

    Attributes
    ----------
    group : str
        The group.
    letters : int
        Its dead letters.
    """

    group: str
    letters: int


class RequeuedLetters(msgspec.Struct, frozen=True, kw_only=True):
    """
    What became of dead letters that were to be given back.

    Attributes
    ----------
    requeued : tuple[tuple[int, int], ...]
        Those that are in the group's retry stream now, and no dead letters any more.
    missing : tuple[tuple[int, int], ...]
        Those that were not there.
    """

    requeued: tuple[EntryId, ...] = ()
    missing: tuple[EntryId, ...] = ()


class Letterbox:
    """
    Look after the dead letters of groups.

    Parameters
    ----------
    session : Session
        Asks the server.
    finder : StreamFinder
        Finds the groups that have any.
    inspector : Inspector
        Tells how full a retry stream is.
    """

    def __init__(self, session: Session, finder: StreamFinder, inspector: Inspector) -> None:
        self._session = session
        self._finder = finder
        self._inspector = inspector

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._session!r})"

    def groups(self) -> list[LetterboxStatus]:
        """Return the groups that have dead letters."""
        prefix = dead_letter_key("")
        keys = sorted(set(self._finder.keys_like(prefix + b"*")))
        lengths = self._session.ask([(key, length(key)) for key in keys])
        return [
            LetterboxStatus(
                group=key.removeprefix(prefix).decode("utf-8", "backslashreplace"), letters=entries
            )
            for key, entries in zip(keys, lengths, strict=True)
            if checked(entries, "XLEN", key)
        ]

    def letters(self, group: str, after: EntryId | None, count: int) -> list[DeadLetter]:
        """Return dead letters of a group, the oldest first, those behind one if it is given."""
        check_name("group", group)
        check_range("count", count, 1, MAX_LISTED, " letters")
        key = dead_letter_key(group)
        first = b"-" if after is None else b"(" + format_entry_id(after)
        query = entries_between(key, first, LAST, count)
        page = checked(self._session.one(key, query), "XRANGE", key)
        return [parse_letter(letter_id, fields) for letter_id, fields in page]

    def letter(self, group: str, letter_id: EntryId) -> DeadLetter:
        """Return one dead letter."""
        (found,) = self._raw(group, [letter_id])
        if found is None:
            raise ConfigurationError(
                "letter_id", format_entry_id(letter_id).decode(), f"a dead letter of {group}"
            )
        return parse_letter(*found)

    def requeue(self, group: str, ids: Sequence[EntryId]) -> RequeuedLetters:
        """Give dead letters back to their group, to be tried again."""
        check_name("group", group)
        self._check_room(group, len(ids))
        key = dead_letter_key(group)
        requeued: list[EntryId] = []
        missing: list[EntryId] = []
        for first in range(0, len(ids), _PART):
            part = ids[first : first + _PART]
            found = self._raw(group, part)
            missing += [one for one, raw in zip(part, found, strict=True) if raw is None]
            there = [(one, raw) for one, raw in zip(part, found, strict=True) if raw is not None]
            if there:
                requeued += self._give_back(group, key, there)
        return RequeuedLetters(requeued=tuple(requeued), missing=tuple(missing))

    def purge(self, group: str, ids: Sequence[EntryId] | None) -> int:
        """Throw dead letters away, or all that there are, and return how many."""
        check_name("group", group)
        key = dead_letter_key(group)
        if ids is None:
            trim = command(b"XTRIM", key, b"MAXLEN", b"=", b"0")
            return int(checked(self._session.one(key, trim), "XTRIM", key))
        if not ids:
            return 0
        deleted = self._session.one(key, delete_entries(key, list(map(format_entry_id, ids))))
        return int(checked(deleted, "XDEL", key))

    def _give_back(
        self, group: str, key: bytes, there: list[tuple[EntryId, tuple[bytes, list[bytes]]]]
    ) -> list[EntryId]:
        """Write letters to the retry stream, and only then delete those that are there."""
        try:
            added = self._session.ask(
                [encode_retry(group, fields) for _, (_, fields) in there], repeatable=False
            )
        except ServerUnreachableError as error:
            raise ServerUnreachableError(
                f"{error}: {len(there)} dead letters from "
                f"{format_entry_id(there[0][0]).decode()} on are still there, and may be given "
                f"back too: look at {retry_key(group).decode()} before you try again"
            ) from error
        done = [one for (one, _), answer in zip(there, added, strict=True) if not is_error(answer)]
        if done:
            deleted = self._session.one(key, delete_entries(key, list(map(format_entry_id, done))))
            checked(deleted, "XDEL", key)
        for answer in added:
            checked(answer, "XADD", retry_key(group))
        return done

    def _raw(self, group: str, ids: Iterable[EntryId]) -> list[tuple[bytes, list[bytes]] | None]:
        check_name("group", group)
        key = dead_letter_key(group)
        wanted = [format_entry_id(one) for one in ids]
        answers = self._session.ask([(key, entries_between(key, one, one, 1)) for one in wanted])
        pages = [checked(answer, "XRANGE", key) for answer in answers]
        return [(page[0][0], page[0][1]) if page else None for page in pages]

    def _check_room(self, group: str, letters: int) -> None:
        """Refuse what would push out of the retry stream what was not tried again yet."""
        key = retry_key(group)
        waiting = 0
        for state in self._inspector.states([key]):
            waiting = state.facts.length
            if group in state.pending:
                (status,) = (
                    one for one in self._inspector.groups([key.decode()]) if one.group == group
                )
                waiting = min(waiting, status.lag + status.pending)
        if waiting + letters > MAX_RETRIES:
            raise ServerError(
                f"{waiting:,} messages wait to be tried again by {group}, and no more than "
                f"{MAX_RETRIES:,} can: start its consumers, then give back {letters:,} more"
            )
