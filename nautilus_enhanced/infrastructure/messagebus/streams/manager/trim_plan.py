"""
Decide what of a stream may go, given what the server says of it: without I/O.

What a live group has still to read or to acknowledge stays; what is older or more than allowed
goes, up to that. Only the hard cap goes beyond, and then in two steps, so that the server's own
answer to the second one is the number of entries that somebody needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Final

import msgspec

from nautilus_enhanced.infrastructure.messagebus.publishing.wire import EntryId
from nautilus_enhanced.infrastructure.messagebus.streams.manager.inspecting import StreamState
from nautilus_enhanced.infrastructure.messagebus.streams.manager.inspecting import youngest_idle_ms
from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import trim_before
from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import trim_to


if TYPE_CHECKING:
    from collections.abc import Generator
    from collections.abc import Mapping

    from nautilus_enhanced.infrastructure.messagebus.streams.manager.trimming_settings import (
        TrimmingSettings,
    )


# Entries that the server takes out in one go, during which it does nothing else.
STEP_ENTRIES: Final = 100_000
MAX_STEPS: Final = 1_000
# It keeps entries in blocks of so many by default, and takes out whole ones.
BLOCK_ENTRIES: Final = 100
_MINUTE_MS: Final = 60_000


class TrimStep(msgspec.Struct, frozen=True, kw_only=True):
    """
    One XTRIM.

    Attributes
    ----------
    before : tuple[int, int] or None
        What is older than this ID goes; or else
    keep : int or None
        what is more than so many.
    limit : int or None
        Entries that go at most, in whole blocks; None takes out exactly what is said.
    """

    before: EntryId | None = None
    keep: int | None = None
    limit: int | None = None

    def encode(self, key: bytes) -> bytes:
        """Return the command."""
        if self.before is not None:
            return trim_before(key, self.before, self.limit)
        return trim_to(key, self.keep or 0, self.limit)


class TrimOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """
    What became of a plan.

    Attributes
    ----------
    removed : int
        Entries that are gone.
    gap : int
        Those of them that stood at or behind the first one that a live group had still to read or
        to acknowledge: lost to it, but for those that it had acknowledged out of order.
    capped : bool
        Whether the stream was longer than the hard cap, so that more went than is too old.
    """

    removed: int = 0
    gap: int = 0
    capped: bool = False


class TrimPlan(msgspec.Struct, frozen=True, kw_only=True):
    """
    What of a stream may go.

    Attributes
    ----------
    key : bytes
        The stream.
    length : int
        Its entries, when it was looked at.
    last_id : tuple[int, int]
        The last ID that was used until then.
    too_old : tuple[int, int] or None
        The first ID that is young enough; None if age does not matter.
    hold : tuple[int, int] or None
        The first ID that a live group needs; None if there is no live group.
    held_by : str
        The group that needs it.
    expired : tuple[str, ...]
        Groups that hold nothing back, since they were idle for too long.
    max_entries : int or None
        Entries that should be left at most.
    hard_cap : int
        Entries that must be left at most.
    """

    key: bytes
    length: int
    last_id: EntryId
    too_old: EntryId | None
    hold: EntryId | None
    held_by: str
    expired: tuple[str, ...]
    max_entries: int | None
    hard_cap: int

    @property
    def by_age(self) -> EntryId | None:
        """Return the first ID that stays on account of its age, or because it is needed."""
        if self.too_old is None or self.hold is None:
            return self.too_old
        return min(self.too_old, self.hold)

    @property
    def is_held_back(self) -> bool:
        """Return whether entries that are too old stay because a group needs them."""
        return (
            self.too_old is not None
            and self.hold is not None
            and self.hold < self.too_old
            and self.hold <= self.last_id
        )

    def steps(self) -> Generator[TrimStep, int, TrimOutcome]:
        """
        Yield what to do, one step after the other, and take the number of entries each removed.

        Returns
        -------
        TrimOutcome
            What became of it.
        """
        removed = gap = 0
        if self.by_age is not None:
            removed += yield from _in_parts(before=self.by_age, most=self.length)
        if self.max_entries is not None:
            too_many = self.length - removed - self.max_entries
            if self.hold is None:
                removed += yield from _in_parts(keep=self.max_entries, most=too_many)
            else:
                removed += yield from _in_parts(before=self.hold, most=too_many)
        too_many = self.length - removed - self.hard_cap
        capped = too_many > 0
        if capped and self.hold is not None:
            # What nobody needs goes first, and little more of it than has to.
            removed += yield from _in_parts(before=self.hold, most=too_many + BLOCK_ENTRIES)
            too_many = self.length - removed - self.hard_cap
            if too_many > 0:
                removed += yield TrimStep(before=self.hold)
                too_many = self.length - removed - self.hard_cap
        if too_many > 0:
            # Of what was written since it was looked at, no more goes than the cap demands.
            over = yield TrimStep(keep=self.hard_cap)
            removed += over
            gap = 0 if self.hold is None else over
        return TrimOutcome(removed=removed, gap=gap, capped=capped)


def plan_trim(
    state: StreamState,
    settings: TrimmingSettings,
    now_ms: int,
    unattended_ms: Mapping[str, int] | None = None,
) -> TrimPlan:
    """
    Return what of a stream may go.

    Parameters
    ----------
    state : StreamState
        What the server says of it.
    settings : TrimmingSettings
        How long entries stay.
    now_ms : int
        Milliseconds since the UNIX epoch by the server's clock.
    unattended_ms : Mapping[str, int], optional
        For groups without a consumer, of which the server does not tell since when: for how long
        they are known to have none. Others count as just made.
    """
    expiry_ms = settings.group_expiry_mins * _MINUTE_MS
    needs: dict[str, EntryId] = {}
    expired = []
    for group in state.groups:
        idle_ms = youngest_idle_ms(state.consumers[group.name])
        if idle_ms is None:
            idle_ms = (unattended_ms or {}).get(group.name, 0)
        if idle_ms >= expiry_ms:
            expired.append(group.name)
        else:
            needs[group.name] = first_needed(group.last_delivered, state.pending[group.name].lowest)
    held_by = min(needs, key=lambda name: (needs[name], name), default="")
    age_ms = settings.max_age_mins
    return TrimPlan(
        key=state.key,
        length=state.facts.length,
        last_id=state.facts.last_id,
        too_old=None if age_ms is None else (max(0, now_ms - age_ms * _MINUTE_MS), 0),
        hold=needs.get(held_by),
        held_by=held_by,
        expired=tuple(expired),
        max_entries=settings.max_entries,
        hard_cap=settings.hard_cap_entries,
    )


def first_needed(last_delivered: EntryId, lowest_pending: EntryId | None) -> EntryId:
    """Return the first ID that a group has still to acknowledge, or to read."""
    milliseconds, number = last_delivered
    following = (milliseconds, number + 1)
    return following if lowest_pending is None else min(following, lowest_pending)


def _in_parts(
    *, most: int, before: EntryId | None = None, keep: int | None = None
) -> Generator[TrimStep, int, int]:
    """Take out `most` entries at most, so many at once that the server is not held up."""
    removed = 0
    for _ in range(MAX_STEPS):
        limit = min(most - removed, STEP_ENTRIES)
        if limit <= 0:
            break
        count = yield TrimStep(before=before, keep=keep, limit=limit)
        removed += count
        if count + BLOCK_ENTRIES < STEP_ENTRIES:
            break
    return removed
