from __future__ import annotations

from datetime import UTC
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.streams.commands import GroupFacts
from nautilus_enhanced.infrastructure.messagebus.streams.commands import StreamFacts
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import BEGINNING
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import FIRST_ID
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import MAX_SEQUENCE
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import NOW
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import RESUME
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import GroupPlan
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import Start
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import StartKind
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import StartTable
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import first_position
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import next_id
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import parse_start
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import plan_group
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import regained_position


STREAM = StreamFacts(length=3, last_id=(9, 0))
GROUP = GroupFacts(name="g", consumers=0, pending=0, last_delivered=(5, 0))
IDS = st.tuples(st.integers(0, 9), st.integers(0, 9))
BEHIND = Start(StartKind.BEHIND, (7, 0))


@pytest.mark.parametrize(
    ("said", "start"),
    [
        ("now", NOW),
        ("beginning", BEGINNING),
        ("resume", RESUME),
        ("12-3", Start(StartKind.BEHIND, (12, 3))),
        ("1970-01-01T00:00:01+00:00", Start(StartKind.BEHIND, (999, MAX_SEQUENCE))),
        (datetime(1970, 1, 1, tzinfo=UTC), Start(StartKind.BEHIND, FIRST_ID)),
    ],
)
def test_a_start_is_read(said, start) -> None:
    assert parse_start("start", said) == start


@pytest.mark.parametrize(
    "said", ["", "later", "12", "12-", "-1-0", "1-99999999999999999999", "2026-11-25", 7, None]
)
def test_what_is_no_start_is_told(said) -> None:
    with pytest.raises(ConfigurationError, match="an entry ID such as"):
        parse_start("start", said)


def test_defaults_go_by_the_kind_of_data() -> None:
    table = StartTable(None, has_group=True)
    assert table.of("data.quotes.BINANCE.X") is NOW
    assert table.of("events.order.S-1") is RESUME
    assert table.of("anything.else") is RESUME
    alone = StartTable(None, has_group=False)
    assert alone.of("events.order.S-1") is NOW


def test_what_a_user_says_comes_first_and_in_order() -> None:
    table = StartTable({"data.bars.*": "resume", "data.*": "beginning"}, has_group=True)
    assert table.of("data.bars.X") is RESUME
    assert table.of("data.quotes.X") is BEGINNING
    assert table.of("snapshots.X") is NOW
    assert StartTable("beginning", has_group=False).of("data.quotes.X") is BEGINNING


def test_nobody_resumes_without_a_group() -> None:
    with pytest.raises(ConfigurationError, match="'resume' with a `group`"):
        StartTable({"events.*": "resume"}, has_group=False)


@pytest.mark.parametrize(
    ("start", "appeared", "position"),
    [
        (NOW, False, (9, 0)),
        (NOW, True, FIRST_ID),
        (BEGINNING, False, FIRST_ID),
        (RESUME, False, FIRST_ID),
        (BEHIND, False, (7, 0)),
        (BEHIND, True, (7, 0)),
    ],
)
def test_where_a_new_group_begins(start, appeared, position) -> None:
    assert first_position(start, (9, 0), appeared=appeared) == position
    made = plan_group(start, STREAM, None, appeared=appeared, first_of_group=True)
    assert made == GroupPlan(position=position, create=True)


def test_a_group_that_is_there_is_moved_only_by_its_first_consumer() -> None:
    stays = GroupPlan(position=(5, 0))
    assert plan_group(RESUME, STREAM, GROUP, appeared=False, first_of_group=True) == stays
    assert plan_group(NOW, STREAM, GROUP, appeared=False, first_of_group=False) == stays
    # It was made for a stream that came later: by this consumer, or another one.
    assert plan_group(NOW, STREAM, GROUP, appeared=True, first_of_group=True) == stays
    for start, position in ((NOW, (9, 0)), (BEGINNING, FIRST_ID), (BEHIND, (7, 0))):
        moved = plan_group(start, STREAM, GROUP, appeared=False, first_of_group=True)
        assert moved == GroupPlan(position=position, create=True, destroy=True)


@given(
    st.tuples(st.integers(0, 9), st.integers(0, 9)), st.tuples(st.integers(0, 9), st.integers(0, 9))
)
def test_a_group_that_is_gone_goes_on_unless_the_stream_is_another_one(read_to, last_id) -> None:
    position = regained_position(read_to, StreamFacts(length=1, last_id=last_id))
    assert position == (read_to if last_id >= read_to else FIRST_ID)
    assert regained_position(read_to, None) == FIRST_ID


def test_ids_follow_one_another() -> None:
    assert next_id((1, 2)) == (1, 3)
    assert next_id((1, MAX_SEQUENCE)) == (2, 0)
