"""What may go of a stream: never what a live group needs, unless the cap is exceeded."""

from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.infrastructure.messagebus.publishing.wire import EntryId
from nautilus_enhanced.infrastructure.messagebus.streams.commands import GroupFacts
from nautilus_enhanced.infrastructure.messagebus.streams.commands import StreamFacts
from nautilus_enhanced.infrastructure.messagebus.streams.manager.inspecting import StreamState
from nautilus_enhanced.infrastructure.messagebus.streams.manager.trim_plan import STEP_ENTRIES
from nautilus_enhanced.infrastructure.messagebus.streams.manager.trim_plan import TrimOutcome
from nautilus_enhanced.infrastructure.messagebus.streams.manager.trim_plan import TrimPlan
from nautilus_enhanced.infrastructure.messagebus.streams.manager.trim_plan import TrimStep
from nautilus_enhanced.infrastructure.messagebus.streams.manager.trim_plan import first_needed
from nautilus_enhanced.infrastructure.messagebus.streams.manager.trim_plan import plan_trim
from nautilus_enhanced.infrastructure.messagebus.streams.manager.trimming_settings import (
    TrimmingSettings,
)
from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import ConsumerFacts
from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import PendingSummary


MINUTE_MS = 60_000
EXPIRY_MINS = 60
KEY = b"s"


class ModelStream:
    """A stream as the server trims it: exactly, or by whole blocks."""

    def __init__(self, ids: list[EntryId], block: int) -> None:
        self.block = block
        self.blocks = [ids[first : first + block] for first in range(0, len(ids), block)]

    @property
    def ids(self) -> list[EntryId]:
        return [entry_id for block in self.blocks for entry_id in block]

    def apply(self, step: TrimStep) -> int:
        """Return how many entries an XTRIM removes."""
        ids = self.ids
        if step.limit is None:
            kept = (
                [one for one in ids if one >= step.before]
                if step.before is not None
                else ids[max(0, len(ids) - (step.keep or 0)) :]
            )
            gone = set(ids) - set(kept)
            blocks = [[one for one in block if one not in gone] for block in self.blocks]
            self.blocks = [block for block in blocks if block]
            return len(ids) - len(kept)
        assert 0 < step.limit <= STEP_ENTRIES
        removed = 0
        while self.blocks:
            first = self.blocks[0]
            if removed + len(first) > step.limit:
                break
            if step.before is not None and first[-1] >= step.before:
                break
            if step.keep is not None and len(ids) - removed - len(first) < step.keep:
                break
            removed += len(self.blocks.pop(0))
        return removed

    def run(self, plan: TrimPlan) -> tuple[TrimOutcome, list[TrimStep]]:
        steps, answer, taken = plan.steps(), None, []
        while True:
            try:
                step = next(steps) if answer is None else steps.send(answer)
            except StopIteration as end:
                return end.value, taken
            taken.append(step)
            answer = self.apply(step)


class Group(msgspec.Struct, frozen=True):
    """A group of the model, which has read so far, and has that entry pending."""

    read: int
    pending: int | None
    idle_ms: int | None


@st.composite
def groups(draw: st.DrawFn, length: int) -> list[Group]:
    made = []
    for _ in range(draw(st.integers(0, 3))):
        read = draw(st.integers(0, length))
        pending = draw(st.none() | st.integers(0, read - 1)) if read else None
        idle_ms = draw(st.none() | st.integers(0, 2 * EXPIRY_MINS * MINUTE_MS))
        made.append(Group(read, pending, idle_ms))
    return made


@st.composite
def cases(draw: st.DrawFn) -> tuple[ModelStream, StreamState, TrimmingSettings, int]:
    minutes = draw(st.lists(st.integers(0, 200), max_size=60).map(sorted))
    ids = [(minute * MINUTE_MS, number) for number, minute in enumerate(minutes)]
    stream = ModelStream(ids, draw(st.integers(1, 8)))
    cap = draw(st.integers(1, 80))
    settings = TrimmingSettings(
        max_age_mins=draw(st.none() | st.integers(1, 200)),
        max_entries=draw(st.none() | st.integers(1, cap)),
        hard_cap_entries=cap,
        group_expiry_mins=EXPIRY_MINS,
    )
    state = state_of(ids, draw(groups(len(ids))))
    return stream, state, settings, draw(st.integers(0, 400)) * MINUTE_MS


def state_of(ids: list[EntryId], members: list[Group]) -> StreamState:
    names = [f"g{number}" for number in range(len(members))]
    return StreamState(
        key=KEY,
        facts=StreamFacts(
            length=len(ids), last_id=ids[-1] if ids else (0, 0), first_id=ids[0] if ids else None
        ),
        groups=tuple(
            GroupFacts(
                name=name,
                consumers=0 if group.idle_ms is None else 2,
                pending=0 if group.pending is None else 1,
                last_delivered=ids[group.read - 1] if group.read else (0, 0),
            )
            for name, group in zip(names, members, strict=True)
        ),
        consumers={
            name: []
            if group.idle_ms is None
            else [
                ConsumerFacts(name="old", pending=0, idle_ms=group.idle_ms + 10**9),
                ConsumerFacts(name="new", pending=0, idle_ms=group.idle_ms),
            ]
            for name, group in zip(names, members, strict=True)
        },
        pending={
            name: PendingSummary(
                count=0 if group.pending is None else 1,
                lowest=None if group.pending is None else ids[group.pending],
            )
            for name, group in zip(names, members, strict=True)
        },
    )


def needed(ids: list[EntryId], state: StreamState) -> set[EntryId]:
    """Return what a live group has still to read, or has pending, found the long way."""
    found: set[EntryId] = set()
    for group in state.groups:
        idle = [consumer.idle_ms for consumer in state.consumers[group.name]]
        if idle and min(idle) >= EXPIRY_MINS * MINUTE_MS:
            continue
        lowest = state.pending[group.name].lowest
        found |= {one for one in ids if one > group.last_delivered or one == lowest}
    return found


@given(cases())
def test_what_a_live_group_needs_stays_unless_the_cap_is_exceeded(
    case: tuple[ModelStream, StreamState, TrimmingSettings, int],
) -> None:
    stream, state, settings, now_ms = case
    before = stream.ids
    plan = plan_trim(state, settings, now_ms)
    outcome, _ = stream.run(plan)
    after = stream.ids
    lost = needed(before, state) - set(after)
    assert outcome.removed == len(before) - len(after)
    assert after == before[len(before) - len(after) :]
    # The cap holds, whatever is needed; and no more goes for it than has to.
    assert len(after) <= settings.hard_cap_entries
    if lost:
        assert outcome.capped
        assert len(after) == settings.hard_cap_entries
    # What the server answered counts at least what was lost; what was acknowledged out of order
    # stands among it.
    gone = set(before) - set(after)
    assert outcome.gap == (0 if plan.hold is None else sum(one >= plan.hold for one in gone))
    assert outcome.gap >= len(lost)
    assert outcome.gap == 0 or lost


@given(cases())
def test_what_is_too_old_and_not_needed_goes(
    case: tuple[ModelStream, StreamState, TrimmingSettings, int],
) -> None:
    stream, state, settings, now_ms = case
    plan = plan_trim(state, settings, now_ms)
    stream.run(plan)
    if settings.max_age_mins is not None:
        oldest = (now_ms - settings.max_age_mins * MINUTE_MS, 0)
        left = [
            one for one in stream.ids if one < oldest and (plan.hold is None or one < plan.hold)
        ]
        # But for what shares a block with what stays.
        assert len(left) < stream.block


@given(cases())
def test_what_is_young_enough_and_not_too_many_stays(
    case: tuple[ModelStream, StreamState, TrimmingSettings, int],
) -> None:
    stream, state, settings, now_ms = case
    before = stream.ids
    allowed = settings.max_entries or settings.hard_cap_entries
    plan = plan_trim(state, settings, now_ms)
    outcome, _ = stream.run(plan)
    young = [
        one
        for one in before
        if settings.max_age_mins is None or one >= (now_ms - settings.max_age_mins * MINUTE_MS, 0)
    ]
    if not outcome.capped:
        assert set(young[-allowed:]) <= set(stream.ids)


@given(cases())
def test_trimming_again_at_once_finds_nothing_that_anyone_needs(
    case: tuple[ModelStream, StreamState, TrimmingSettings, int],
) -> None:
    stream, state, settings, now_ms = case
    stream.run(plan_trim(state, settings, now_ms))
    left = stream.ids
    facts = msgspec.structs.replace(
        state.facts, length=len(left), first_id=left[0] if left else None
    )
    again = plan_trim(msgspec.structs.replace(state, facts=facts), settings, now_ms)
    outcome, _ = stream.run(again)
    assert outcome.gap == 0
    assert not outcome.capped


@given(cases(), st.integers(0, 10**7))
def test_time_only_lets_more_go(
    case: tuple[ModelStream, StreamState, TrimmingSettings, int], later_ms: int
) -> None:
    _, state, settings, now_ms = case
    now, later = (plan_trim(state, settings, at) for at in (now_ms, now_ms + later_ms))
    assert now.hold == later.hold
    if now.by_age is not None:
        assert later.by_age is not None
        assert now.by_age <= later.by_age


@given(cases())
def test_a_group_that_is_gone_only_lets_more_go(
    case: tuple[ModelStream, StreamState, TrimmingSettings, int],
) -> None:
    _, state, settings, now_ms = case
    fewer = msgspec.structs.replace(state, groups=state.groups[1:])
    more_held, less_held = (plan_trim(one, settings, now_ms) for one in (state, fewer))
    if less_held.hold is not None:
        assert more_held.hold is not None
        assert more_held.hold <= less_held.hold


@given(cases(), st.data())
def test_a_group_that_gets_on_only_lets_more_go(
    case: tuple[ModelStream, StreamState, TrimmingSettings, int], data: st.DataObject
) -> None:
    stream, _, settings, now_ms = case
    ids = stream.ids
    behind, ahead = sorted(data.draw(st.tuples(st.integers(0, len(ids)), st.integers(0, len(ids)))))
    plans = [
        plan_trim(state_of(ids, [Group(read, None, 0)]), settings, now_ms)
        for read in (behind, ahead)
    ]
    assert plans[0].hold <= plans[1].hold  # type: ignore[operator]  # there is a live group


@given(cases(), st.integers(1, 30))
def test_what_is_written_meanwhile_stays_unless_the_cap_is_exceeded(
    case: tuple[ModelStream, StreamState, TrimmingSettings, int], count: int
) -> None:
    stream, state, settings, now_ms = case
    plan = plan_trim(state, settings, now_ms)
    new = [(10**9, number) for number in range(count)]
    grown = ModelStream([*stream.ids, *new], stream.block)
    outcome, _ = grown.run(plan)
    if outcome.capped:
        assert len(grown.ids) >= min(settings.hard_cap_entries, count)
    elif plan.hold is not None:
        assert set(new) <= set(grown.ids)


@given(st.tuples(st.integers(0, 5), st.integers(0, 5)), st.integers(0, 5), st.integers(0, 5))
def test_what_a_group_needs_first(read: EntryId, milliseconds: int, number: int) -> None:
    assert first_needed(read, None) > read
    pending = min(read, (milliseconds, number))
    assert first_needed(read, pending) == pending


# -- examples -------------------------------------------------------------------------------------

IDS = [(minute * MINUTE_MS, 0) for minute in range(100)]


def run(
    settings: TrimmingSettings, *members: Group, block: int = 1
) -> tuple[ModelStream, TrimOutcome]:
    stream = ModelStream(IDS, block)
    outcome, _ = stream.run(plan_trim(state_of(IDS, list(members)), settings, 100 * MINUTE_MS))
    return stream, outcome


def test_by_age_alone() -> None:
    stream, outcome = run(TrimmingSettings())
    assert (stream.ids[0], outcome) == (IDS[70], TrimOutcome(removed=70))


def test_a_live_group_holds_back_and_is_named() -> None:
    plan = plan_trim(
        state_of(IDS, [Group(90, None, 0), Group(80, 10, 0)]), TrimmingSettings(), 100 * MINUTE_MS
    )
    assert (plan.hold, plan.held_by, plan.is_held_back) == (IDS[10], "g1", True)
    stream, outcome = run(TrimmingSettings(), Group(90, None, 0), Group(80, 10, 0))
    assert (stream.ids[0], outcome) == (IDS[10], TrimOutcome(removed=10))


def test_a_group_that_was_idle_for_too_long_holds_nothing_back() -> None:
    settings = TrimmingSettings(group_expiry_mins=EXPIRY_MINS)
    idle = Group(0, None, EXPIRY_MINS * MINUTE_MS)
    plan = plan_trim(state_of(IDS, [idle]), settings, 100 * MINUTE_MS)
    assert (plan.expired, plan.hold) == (("g0",), None)
    stream, outcome = run(settings, idle)
    assert (stream.ids[0], outcome.gap) == (IDS[70], 0)


def test_a_group_without_consumers_counts_from_when_that_was_seen() -> None:
    settings = TrimmingSettings(group_expiry_mins=EXPIRY_MINS)
    state = state_of(IDS, [Group(0, None, None)])
    assert plan_trim(state, settings, 0).hold == (0, 1)
    unattended = {"g0": EXPIRY_MINS * MINUTE_MS}
    assert plan_trim(state, settings, 0, unattended).expired == ("g0",)


def test_the_cap_wins_and_what_was_needed_is_counted() -> None:
    settings = TrimmingSettings(max_age_mins=None, hard_cap_entries=30)
    stream, outcome = run(settings, Group(60, None, 0))
    assert stream.ids == IDS[70:]
    assert outcome == TrimOutcome(removed=70, gap=10, capped=True)


def test_for_the_cap_what_nobody_needs_goes_first() -> None:
    settings = TrimmingSettings(max_age_mins=None, hard_cap_entries=90)
    stream, outcome = run(settings, Group(60, None, 0), block=4)
    assert outcome.gap == 0
    assert outcome.capped
    assert 0 <= 90 - len(stream.ids) < 100


def test_by_count_no_more_goes_than_is_too_much() -> None:
    settings = TrimmingSettings(max_age_mins=None, max_entries=50)
    assert run(settings)[0].ids == IDS[50:]
    assert run(settings, Group(60, None, 0))[0].ids == IDS[50:]
    assert run(settings, Group(20, None, 0))[0].ids == IDS[20:]


@pytest.mark.parametrize("entries", [STEP_ENTRIES * 3, STEP_ENTRIES * 3 + 7])
def test_a_long_stream_is_trimmed_in_parts(entries: int) -> None:
    plan = TrimPlan(
        key=KEY, length=entries, last_id=(1, 0), too_old=(1, 0), hold=None, held_by="", expired=(),
        max_entries=None, hard_cap=entries,
    )  # fmt: skip
    steps, limits = plan.steps(), []
    with suppress(StopIteration):
        step = next(steps)
        while True:
            limits.append(step.limit)
            step = steps.send(step.limit or 0)
    assert sum(limit or 0 for limit in limits) == entries
    assert max(limit or 0 for limit in limits) == STEP_ENTRIES


def test_settings_say_what_is_allowed() -> None:
    with pytest.raises(ValueError, match=r"streams\.trimming\.max_entries` was 11, allowed: 1 to"):
        TrimmingSettings(max_entries=11, hard_cap_entries=10)
    for field in ("max_age_mins", "max_entries", "hard_cap_entries", "group_expiry_mins"):
        with pytest.raises(ValueError, match=field):
            TrimmingSettings(**{field: 0})
    with pytest.raises(ValueError, match="interval_secs"):
        TrimmingSettings(interval_secs=0.5)
