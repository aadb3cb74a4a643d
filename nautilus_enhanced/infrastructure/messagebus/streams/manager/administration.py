"""Make, look at and end groups: nothing that somebody has in hand is dropped unasked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from typing import Final

import msgspec

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.errors import GroupInUseError
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import EntryId
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import format_entry_id
from nautilus_enhanced.infrastructure.messagebus.streams.commands import END
from nautilus_enhanced.infrastructure.messagebus.streams.commands import GROUP_EXISTS
from nautilus_enhanced.infrastructure.messagebus.streams.commands import START
from nautilus_enhanced.infrastructure.messagebus.streams.commands import create_group
from nautilus_enhanced.infrastructure.messagebus.streams.commands import delete_consumer
from nautilus_enhanced.infrastructure.messagebus.streams.commands import destroy_group
from nautilus_enhanced.infrastructure.messagebus.streams.commands import is_error
from nautilus_enhanced.infrastructure.messagebus.streams.commands import parse_pending
from nautilus_enhanced.infrastructure.messagebus.streams.keys import check_name
from nautilus_enhanced.infrastructure.messagebus.streams.manager.inspecting import Inspector
from nautilus_enhanced.infrastructure.messagebus.streams.manager.inspecting import require_group
from nautilus_enhanced.infrastructure.messagebus.streams.manager.refusals import checked
from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import hand_over
from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import pending_of


if TYPE_CHECKING:
    from nautilus_enhanced.infrastructure.messagebus.streams.manager.inspecting import StreamState
    from nautilus_enhanced.infrastructure.messagebus.streams.manager.session import Session
    from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import ConsumerFacts


# Who asked for something so recently is taken for alive.
ALIVE_MS: Final = 60_000
_PAGE: Final = 1_000
_MAX_PAGES: Final = 1_000
_ENTRY_ID: Final = re.compile(r"[0-9]{1,20}(-[0-9]{1,20})?")
_NOTHING: Final[EntryId] = (0, 0)


class DeletedConsumer(msgspec.Struct, frozen=True, kw_only=True):
    """
    What became of what a deleted consumer had in hand.

    Attributes
    ----------
    handed_over : int
        Pending entries that its heir has now.
    forgotten : int
        Entries that it read while it was being deleted, and that nobody has pending any more. 0
        for a consumer that was not alive.
    """

    handed_over: int
    forgotten: int = 0


def start_id(start: str) -> bytes:
    """
    Return where a group begins, as the server takes it.

    Parameters
    ----------
    start : str
        ``'now'``, ``'beginning'``, or the ID of an entry, behind which it begins.

    Raises
    ------
    ConfigurationError
        If it is none of these.
    """
    if start in {"now", "$"}:
        return END
    if start in {"beginning", "0"}:
        return START
    if not isinstance(start, str) or not _ENTRY_ID.fullmatch(start):
        raise ConfigurationError(
            "start", start, "'now', 'beginning', or the ID of an entry such as '1700000000000-0'"
        )
    return start.encode()


class GroupAdministrator:
    """
    Make, look at and end groups.

    Parameters
    ----------
    session : Session
        Asks the server.
    inspector : Inspector
        Asks it how streams are.
    """

    def __init__(self, session: Session, inspector: Inspector) -> None:
        self._session = session
        self._inspector = inspector

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._session!r})"

    def create(self, stream: str, group: str, start: str) -> bool:
        """Return whether a group was made; False if there is one of that name."""
        check_name("group", group)
        key = stream.encode()
        answer = self._session.one(key, create_group(key, group.encode(), start_id(start)))
        if is_error(answer, GROUP_EXISTS):
            return False
        checked(answer, "XGROUP CREATE", key)
        return True

    def consumers(self, stream: str, group: str) -> list[ConsumerFacts]:
        """Return the consumers of a group."""
        return self._state(stream, group).consumers[group]

    def delete(self, stream: str, group: str, *, force: bool, alive_ms: int) -> int:
        """Delete a group and return how many pending entries are forgotten with it."""
        state = self._state(stream, group)
        pending = state.pending[group].count
        if not force:
            alive = [one.name for one in state.consumers[group] if one.idle_ms < alive_ms]
            if alive:
                raise GroupInUseError(
                    f"group {group} of {stream} is in use: {', '.join(sorted(alive))} asked for "
                    f"entries within the last {alive_ms / 1_000:g} s. Stop them, or force it"
                )
            if pending:
                raise GroupInUseError(
                    f"group {group} of {stream} has {pending:,} entries that were read and not "
                    "acknowledged, which would be forgotten. Have them handled, or force it"
                )
        key = state.key
        checked(self._session.one(key, destroy_group(key, group.encode())), "XGROUP DESTROY", key)
        return pending

    def recreate(self, stream: str, group: str, start: str, *, force: bool, alive_ms: int) -> int:
        """Delete a group if there is one, make it anew, and return what is forgotten."""
        check_name("group", group)
        begin = start_id(start)
        key = stream.encode()
        states = self._inspector.states([key])
        exists = bool(states) and group in states[0].pending
        forgotten = self.delete(stream, group, force=force, alive_ms=alive_ms) if exists else 0
        query = create_group(key, group.encode(), begin)
        answer = self._session.one(key, query)
        # Its consumers make it too, when they find that it is gone.
        if not is_error(answer, GROUP_EXISTS):
            checked(answer, "XGROUP CREATE", key)
        return forgotten

    def delete_consumer(
        self, stream: str, group: str, consumer: str, heir: str | None, *, alive_ms: int
    ) -> DeletedConsumer:
        """Delete a consumer, after what it has in hand was given to its heir."""
        state = self._state(stream, group)
        known = {one.name: one for one in state.consumers[group]}
        if consumer not in known:
            names = ", ".join(sorted(known)) or "none"
            raise ConfigurationError("consumer", consumer, f"a consumer of {group}: {names}")
        if known[consumer].idle_ms < alive_ms:
            raise GroupInUseError(
                f"consumer {consumer} of {group} asked for entries within the last "
                f"{alive_ms / 1_000:g} s: stop it first"
            )
        handed = 0
        if known[consumer].pending:
            if heir is None or heir == consumer:
                raise GroupInUseError(
                    f"consumer {consumer} of {group} has {known[consumer].pending:,} entries that "
                    "are not acknowledged: name an heir, another consumer, who is to have them"
                )
            check_name("heir", heir)
            handed = self._hand_over(state.key, group.encode(), consumer.encode(), heir.encode())
        answer = self._session.one(
            state.key, delete_consumer(state.key, group.encode(), consumer.encode())
        )
        forgotten = int(checked(answer, "XGROUP DELCONSUMER", state.key))
        return DeletedConsumer(handed_over=handed, forgotten=forgotten)

    def _hand_over(self, key: bytes, group: bytes, consumer: bytes, heir: bytes) -> int:
        handed = 0
        for _ in range(_MAX_PAGES):
            query = pending_of(key, group, consumer, _NOTHING, _PAGE)
            page = parse_pending(checked(self._session.one(key, query), "XPENDING", key))
            if not page:
                break
            ids = [format_entry_id(entry.entry_id) for entry in page]
            checked(self._session.one(key, hand_over(key, group, heir, ids)), "XCLAIM", key)
            handed += len(ids)
        return handed

    def _state(self, stream: str, group: str) -> StreamState:
        check_name("group", group)
        return require_group(self._inspector.states([stream.encode()]), stream, group)
