"""Overflow policies: those of the package, and those that a user brings along."""

import gc

import pytest

from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus import BufferSettings
from nautilus_enhanced.infrastructure.messagebus import LaneSettings
from nautilus_enhanced.infrastructure.messagebus import MessagePriority
from nautilus_enhanced.infrastructure.messagebus import StreamNaming
from nautilus_enhanced.infrastructure.messagebus.publishing.lanes import Lane


SMALL = LaneSettings(max_messages=3)
TOPIC = "data.quotes.X"


class DropAll:
    """Begin anew rather than send what is old: a policy of a user's own."""

    name = "drop_all"

    def make_room(self, lane, size):
        while lane.drop_oldest():
            pass
        return lane.has_room(size)


class Boastful:
    """Promise room that is not there."""

    name = "boastful"

    def make_room(self, lane, size):
        return True


class Failing:
    """Raise, which a policy must not."""

    name = "failing"

    def __init__(self):
        self.calls = 0

    def make_room(self, lane, size):
        self.calls += 1
        raise RuntimeError("a mistake of the user's")


@pytest.fixture
def fill():
    clients = []

    def make(policy, messages):
        client = BufferedMessageBusClient(
            "redis://127.0.0.1:1",
            naming=StreamNaming(trader_id="T"),
            buffers=BufferSettings(normal=SMALL, low=SMALL),
            overflow={MessagePriority.NORMAL: policy},
        )
        clients.append(client)
        taken = [client.offer(TOPIC, b"%d" % number) for number in range(messages)]
        return taken, client

    yield make
    for client in clients:
        client.stop(0.0)


def normal(client):
    return client.statistics().lanes[MessagePriority.NORMAL]


def test_a_policy_of_ones_own_decides_and_what_it_drops_is_counted(fill):
    taken, client = fill(DropAll(), 7)
    assert all(taken)
    assert (normal(client).dropped, normal(client).queued, normal(client).published) == (6, 1, 7)


def test_it_decides_for_its_lane_only(fill):
    _, client = fill(DropAll(), 0)
    for number in range(5):
        client.offer("metrics.x", b"%d" % number)
    low = client.statistics().lanes[MessagePriority.LOW]
    assert (low.dropped, low.queued) == (2, 3)


def test_no_policy_takes_a_lane_beyond_its_bounds(fill):
    taken, client = fill(Boastful(), 5)
    assert taken == [True] * 3 + [False] * 2
    assert (normal(client).refused, normal(client).queued) == (2, 3)


def test_a_policy_that_raises_is_not_asked_again_and_the_lane_refuses(fill, caplog):
    policy = Failing()
    taken, client = fill(policy, 6)
    assert taken == [True] * 3 + [False] * 3
    assert policy.calls == 1
    assert "'failing' failed" in caplog.text
    assert normal(client).refused == 3


def test_a_lane_that_stays_full_leaves_nothing_for_one_long_collection():
    # Each new message takes the place of an old one, so that the collector, which counts what is
    # there more, would not run. A pass over the whole lane would then stop all threads at once.
    lane = Lane(MessagePriority.NORMAL, LaneSettings(max_messages=20_000))
    for number in range(60_000):
        lane.put("data.quotes", b"%d" % number)
    assert len(lane) == 20_000
    assert sum(map(gc.is_tracked, lane._entries)) < 5_000


def test_whoever_has_switched_the_collector_off_gets_no_collection():
    lane = Lane(MessagePriority.NORMAL, LaneSettings(max_messages=10))
    collections = []

    def note(phase, _):
        collections.append(phase)

    gc.disable()
    gc.callbacks.append(note)
    try:
        for number in range(10_000):
            lane.put("data.quotes", b"%d" % number)
    finally:
        gc.callbacks.remove(note)
        gc.enable()
    assert not collections
