"""
Where reading of a stream begins, and where it goes on.

What a subscription says about a topic meets what the server says about the stream and its group;
nothing here asks anybody.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import Enum
from enum import unique
from typing import TYPE_CHECKING
from typing import Final

import msgspec

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.patterns import TopicTable
from nautilus_enhanced.infrastructure.messagebus.patterns import check_pattern
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import EntryId


if TYPE_CHECKING:
    from collections.abc import Mapping

    from nautilus_enhanced.infrastructure.messagebus.streams.commands import GroupFacts
    from nautilus_enhanced.infrastructure.messagebus.streams.commands import StreamFacts


FIRST_ID: Final[EntryId] = (0, 0)
MAX_SEQUENCE: Final = 2**64 - 1

_ENTRY_ID: Final = re.compile(r"(\d{1,19})-(\d{1,20})", re.ASCII)


def next_id(entry_id: EntryId) -> EntryId:
    """Return the ID that comes after another one."""
    milliseconds, sequence = entry_id
    return (milliseconds, sequence + 1) if sequence < MAX_SEQUENCE else (milliseconds + 1, 0)


@unique
class StartKind(Enum):
    """A way to say where reading begins."""

    NOW = "now"
    """Behind what is there when the subscription starts."""
    BEGINNING = "beginning"
    """With the oldest entry that is there."""
    RESUME = "resume"
    """Where the group stopped; a new group with the oldest entry that is there."""
    BEHIND = "behind"
    """Behind an entry ID, or from a time on."""


class Start(msgspec.Struct, frozen=True):
    """
    Where reading begins.

    Attributes
    ----------
    kind : StartKind
        The way to say it.
    after : tuple[int, int]
        The ID behind which it begins, for `StartKind.BEHIND`.
    """

    kind: StartKind
    after: EntryId = FIRST_ID


NOW: Final = Start(StartKind.NOW)
BEGINNING: Final = Start(StartKind.BEGINNING)
RESUME: Final = Start(StartKind.RESUME)

# What is only worth something while it is new; everything else is order flow, or a user's own.
DEFAULT_STARTS: Final[tuple[tuple[str, Start], ...]] = (
    ("data.*", NOW),
    ("historical.*", NOW),
    ("snapshots*", NOW),
    ("metrics*", NOW),
    ("health*", NOW),
)


def parse_start(field: str, value: str | datetime) -> Start:
    """
    Return what a text or time says.

    Parameters
    ----------
    field : str
        The name of the field, for the error.
    value : str or datetime
        ``'now'``, ``'beginning'``, ``'resume'``, an entry ID such as ``'1732550400000-0'`` to begin
        behind it, or a time with its zone (as text in ISO 8601) to begin with what was published
        from then on.

    Raises
    ------
    ConfigurationError
        If it is none of these.
    """
    named = {"now": NOW, "beginning": BEGINNING, "resume": RESUME}
    if isinstance(value, str):
        if value in named:
            return named[value]
        found = _ENTRY_ID.fullmatch(value)
        if found and int(found[2]) <= MAX_SEQUENCE:
            return Start(StartKind.BEHIND, (int(found[1]), int(found[2])))
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        time = None
    if time is None or time.tzinfo is None:
        raise ConfigurationError(
            field,
            value,
            "'now', 'beginning', 'resume', an entry ID such as '1732550400000-0', or a time with "
            "its zone such as '2026-11-25T12:00:00+00:00'",
        )
    milliseconds = max(0, int(time.timestamp() * 1_000))
    after = (milliseconds - 1, MAX_SEQUENCE) if milliseconds else FIRST_ID
    return Start(StartKind.BEHIND, after)


class StartTable:
    """
    Decide by topic where reading begins.

    Parameters
    ----------
    start : str, datetime, mapping of str to these, or None
        One for all topics, or for patterns of topics, of which the first that matches decides;
        what is left is new for market data, history, snapshots and metrics, and resumed for all
        else.
    has_group : bool
        If there is a group whose place can be resumed. Without one it begins now.

    Raises
    ------
    ConfigurationError
        If a start or pattern is none, or a place is to be resumed that nobody keeps.
    """

    def __init__(
        self,
        start: str | datetime | Mapping[str, str | datetime] | None,
        *,
        has_group: bool,
    ) -> None:
        given = (
            {} if start is None else {"*": start} if isinstance(start, str | datetime) else start
        )
        rules = []
        for pattern, value in given.items():
            check_pattern("start", pattern)
            rules.append((pattern, parse_start("start", value)))
        if not has_group and any(one is RESUME for _, one in rules):
            raise ConfigurationError(
                "start", "resume", "'resume' with a `group`", "Without one no place is kept"
            )
        default = RESUME if has_group else NOW
        self._table = TopicTable([*rules, *DEFAULT_STARTS], default)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._table!r})"

    def of(self, topic: str) -> Start:
        """Return where reading of a topic begins."""
        return self._table.value_of(topic)


class GroupPlan(msgspec.Struct, frozen=True, kw_only=True):
    """
    What to do about the group of a stream before it is read.

    Attributes
    ----------
    position : tuple[int, int]
        The ID behind which it is read.
    create, destroy : bool
        Whether to make the group, and whether to end the one that is there before.
    """

    position: EntryId
    create: bool = False
    destroy: bool = False


def first_position(start: Start, last_id: EntryId, *, appeared: bool) -> EntryId:
    """
    Return the ID behind which a stream is read that nobody has read.

    Parameters
    ----------
    start : Start
        Where reading begins.
    last_id : tuple[int, int]
        The stream's last ID.
    appeared : bool
        Whether the stream came after the subscription: all of it is new.
    """
    if start.kind is StartKind.BEHIND:
        return start.after
    if start.kind is StartKind.NOW and not appeared:
        return last_id
    return FIRST_ID


def plan_group(
    start: Start, stream: StreamFacts | None, group: GroupFacts | None, *, appeared: bool,
    first_of_group: bool,
) -> GroupPlan:  # fmt: skip
    """
    Return what to do about a group before a stream is read for the first time.

    Parameters
    ----------
    start : Start
        Where reading begins.
    stream : StreamFacts or None
        The stream; None if there is none yet.
    group : GroupFacts or None
        The group; None if there is none.
    appeared : bool
        Whether the stream came after the subscription.
    first_of_group : bool
        Whether no other consumer of the group was alive when this one started. Otherwise what a
        consumer says does not move the place from which the others read.
    """
    position = first_position(
        start, FIRST_ID if stream is None else stream.last_id, appeared=appeared
    )
    if group is None:
        return GroupPlan(position=position, create=True)
    if start.kind is StartKind.RESUME or appeared or not first_of_group:
        return GroupPlan(position=group.last_delivered)
    return GroupPlan(position=position, create=True, destroy=True)


def regained_position(read_to: EntryId, stream: StreamFacts | None) -> EntryId:
    """
    Return where to go on when the group is gone.

    Parameters
    ----------
    read_to : tuple[int, int]
        The last entry that was read.
    stream : StreamFacts or None
        The stream as it is now. One that does not reach as far is another one, made since.
    """
    if stream is None or stream.last_id < read_to:
        return FIRST_ID
    return read_to
