from __future__ import annotations

from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.infrastructure.messagebus.connection.connector import Connector
from nautilus_enhanced.infrastructure.messagebus.settings.connection import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.membership import PARTITIONS
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.membership import Exchange
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.membership import Membership
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.membership import beat
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.membership import look
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.membership import parse_beat
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.membership import parse_look
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.membership import partition_of
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.membership import plan
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.membership import share


KEY = b"nt-enhanced:group:g"
NAMES = ("a", "b", "c", "d", "e")


@given(st.integers(1, 200))
def test_all_partitions_are_shared_out_and_evenly(count: int) -> None:
    members = {f"m{number}" for number in range(count)}
    shares = [share(members, one) for one in members]
    assert sum(shares) == PARTITIONS
    assert max(shares) - min(shares) <= 1


def test_keys_that_are_alike_are_spread() -> None:
    partitions = [partition_of(b"trader-T:stream:events.order.S-%d" % n) for n in range(64)]
    assert len(set(partitions)) > 30
    assert partition_of(b"trader-T:stream:events.order.S-1") == partitions[1]
    below = sum(number < PARTITIONS // 2 for number in partitions)
    assert 16 <= below <= 48


@st.composite
def memberships(draw: Any) -> Membership:
    members = draw(st.sets(st.sampled_from(NAMES), min_size=1))
    held = draw(st.dictionaries(st.integers(0, PARTITIONS - 1), st.sampled_from(sorted(members))))
    return Membership(now_ms=0, was_member=True, members=frozenset(members), holders=held)


@given(memberships())
def test_a_consumer_takes_only_what_is_free_and_gives_only_what_it_has(seen: Membership) -> None:
    for consumer in seen.members:
        planned = plan(seen, consumer)
        held = seen.held_by(consumer)
        assert set(planned.returned) <= held
        assert not set(planned.wanted) & seen.holders.keys()
        after = len(held) - len(planned.returned) + len(planned.wanted)
        assert after <= max(share(seen.members, consumer), len(held) - len(planned.returned))
        # Never more than needs be is moved.
        assert not planned.returned or after == share(seen.members, consumer)
        assert not (planned.returned and planned.wanted)


@given(st.sets(st.sampled_from(NAMES), min_size=1), memberships())
def test_a_group_settles_in_two_rounds(members: set[str], seen: Membership) -> None:
    holders = {n: who for n, who in seen.holders.items() if who in members}
    for _ in range(2):
        for consumer in sorted(members):
            now = Membership(
                now_ms=0, was_member=True, members=frozenset(members), holders=dict(holders)
            )
            planned = plan(now, consumer)
            for number in planned.returned:
                del holders[number]
            holders |= dict.fromkeys(planned.wanted, consumer)
    assert len(holders) == PARTITIONS
    for consumer in members:
        assert list(holders.values()).count(consumer) == share(members, consumer)


class Group:
    def __init__(self, port: int) -> None:
        connector = Connector(f"redis://127.0.0.1:{port}", ConnectionSettings())
        self.connection = connector.connect()
        self.connection.open()

    def beat(self, consumer: str, lease_ms: int = 60_000, **exchange: Any) -> Membership:
        query = beat(KEY, consumer, lease_ms, Exchange(**exchange))
        (answer,) = self.connection.ask([(KEY, query)])
        return parse_beat(answer)

    def look(self) -> Membership:
        (answer,) = self.connection.ask([(KEY, look(KEY))])
        return parse_look(answer, self.beat("looker", 0).now_ms)


@pytest.fixture
def group(store: redis.Redis):
    group = Group(store.connection_pool.connection_kwargs["port"])
    yield group
    group.connection.close()


def test_what_one_holds_another_does_not_get(group: Group) -> None:
    first = group.beat("a", wanted=(1, 2))
    assert (first.was_member, first.members, first.holders) == (False, {"a"}, {1: "a", 2: "a"})
    second = group.beat("b", wanted=(2, 3))
    assert second.holders == {1: "a", 2: "a", 3: "b"}
    assert second.members == {"a", "b"}
    # Nobody gives back what is another's.
    assert group.beat("b", returned=(1, 3)).holders == {1: "a", 2: "a"}
    assert group.beat("a", returned=(2,)).was_member
    assert group.look().holders == {1: "a"}


def test_a_consumer_that_leaves_leaves_everything(group: Group) -> None:
    group.beat("a", wanted=(1, 2))
    group.beat("b", wanted=(3,))
    assert group.beat("a", 0).members == {"b"}
    assert group.look().holders == {3: "b"}


def test_what_a_dead_consumer_held_is_free_and_it_is_told(
    group: Group, store: redis.Redis, eventually
) -> None:
    group.beat("a", 50, wanted=(1, 2))
    eventually(lambda: group.look().members == frozenset())
    assert group.beat("b", wanted=(1,)).holders == {1: "b"}
    back = group.beat("a", wanted=(1, 2))
    assert not back.was_member
    assert back.holders == {1: "b", 2: "a"}


def test_the_hash_does_not_stay_for_ever(group: Group, store: redis.Redis) -> None:
    group.beat("a", 1_000)
    assert 1_000 < store.pttl(KEY) <= 10_000
