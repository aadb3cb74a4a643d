"""What servers do to a subscription: groups and streams that vanish, refusals, freezes."""

import threading
import time

import pytest
from consumers import GROUP
from consumers import MEMBERS
from consumers import SETTINGS
from consumers import TOPICS
from consumers import Handled
from consumers import Rate
from consumers import Repeating
from consumers import consumer
from consumers import key_of
from consumers import pending
from consumers import publish
from msgspec.structs import replace

from nautilus_enhanced.infrastructure.messagebus import HealthState
from nautilus_enhanced.infrastructure.messagebus.streams.consumer import groups


@pytest.fixture
def stored(make_store, look):
    server = make_store()
    return server, look(server)


# -- groups and streams that vanish --------------------------------------------------------------


def test_a_group_that_is_destroyed_while_it_is_read_is_made_again(stored, eventually):
    server, store = stored
    handled = Handled()
    with consumer(server.port, handled) as subscription:
        publish(store, range(50))
        eventually(lambda: handled.has(range(50)))
        for topic in TOPICS:
            store.xgroup_destroy(key_of(topic), GROUP)
        publish(store, range(50, 100))
        eventually(lambda: handled.has(range(100)))
        eventually(lambda: pending(store) == 0)
        assert handled.is_ordered()
        assert handled.doubles == 0
        assert subscription.statistics().groups_created >= 1
        assert "NOGROUP" in subscription.statistics().last_error


def test_what_is_acknowledged_while_its_group_is_made_again_does_not_come_again(
    stored, eventually, monkeypatch
):
    server, store = stored
    may_end = threading.Event()
    handled = Handled(then=lambda _: may_end.wait(20.0))
    keep = groups.commands.keep
    with consumer(server.port, handled) as subscription:

        def keep_when_acknowledged(*arguments):
            # What is in hand is known by now. There is no group that could forget it.
            may_end.set()
            eventually(lambda: subscription.statistics().acknowledged)
            return keep(*arguments)

        monkeypatch.setattr(groups.commands, "keep", keep_when_acknowledged)
        publish(store, range(1), TOPICS[:1])
        eventually(lambda: subscription.statistics().in_hand)
        store.xgroup_destroy(key_of(TOPICS[0]), GROUP)
        publish(store, range(1, 2), TOPICS[:1])
        eventually(lambda: handled.has(range(2), TOPICS[:1]))
        eventually(lambda: pending(store, TOPICS[:1]) == 0)
        assert handled.doubles == 0
        assert subscription.statistics().already_handled == 1


def test_a_group_that_is_destroyed_again_and_again_is_no_hot_loop(stored, eventually):
    server, store = stored
    handled = Handled()
    destroy = lambda: [store.xgroup_destroy(key_of(topic), GROUP) for topic in TOPICS]  # noqa: E731 (short)
    publish(store, range(1))
    with consumer(server.port, handled) as subscription:
        assert subscription.wait_until_ready()
        rate = Rate(store)
        with Repeating(destroy, 0.01) as destroying:
            publish(store, range(1, 100))
            eventually(lambda: destroying.count >= 100)
            rates = rate()
        assert max(rates["xreadgroup"], rates["xgroup"] - 4 * destroying.count) < 100, rates
        assert rates["xinfo"] < 400, rates
        publish(store, range(100, 200))
        eventually(lambda: handled.has(range(200)))
    assert handled.is_ordered()


def test_flushall_loses_what_was_not_read_and_nothing_later(stored, eventually):
    server, store = stored
    handled = Handled()
    with consumer(server.port, handled) as subscription:
        publish(store, range(50))
        eventually(lambda: handled.has(range(50)))
        eventually(subscription_idle(subscription))
        store.flushall()
        publish(store, range(50, 100))
        eventually(lambda: handled.has(range(50, 100)))
        publish(store, range(100, 150))
        eventually(lambda: handled.has(range(150)))
    assert handled.is_ordered()
    assert handled.doubles == 0


def subscription_idle(subscription):
    return lambda: subscription.statistics().in_hand == 0


@pytest.mark.parametrize("how", ["flushed", "restarted"])
def test_what_was_in_hand_when_the_server_lost_everything_is_handled(
    make_store, look, eventually, how
):
    server = make_store()
    store = look(server)
    go = threading.Event()
    handled = Handled(lambda _: go.wait(20.0))
    with consumer(server.port, handled) as subscription:
        publish(store, range(50))
        eventually(lambda: subscription.statistics().in_hand == 50 * len(TOPICS))
        if how == "flushed":
            store.flushall()
        else:
            server.terminate()
            server = make_store(port=server._desired_port)
            store = look(server)
        publish(store, range(50, 100))
        # It is a member again, of a group that the server has forgotten.
        eventually(lambda: store.exists(MEMBERS))
        eventually(lambda: subscription.is_ready)
        go.set()
        eventually(lambda: handled.has(range(50, 100)))
        assert handled.has(range(50))
    assert handled.is_ordered()


def test_what_comes_between_a_flush_and_the_next_beat_is_read_though_it_begins_now(
    stored, eventually
):
    server, store = stored
    handled = Handled()
    with consumer(server.port, handled, start="now") as subscription:
        publish(store, range(1))
        assert subscription.wait_until_ready()
        publish(store, range(1, 50))
        eventually(lambda: handled.has(range(1, 50)))
        for begin in range(50, 550, 50):
            store.flushall()
            publish(store, range(begin, begin + 50))
            eventually(lambda: handled.has(range(begin, begin + 50)))  # noqa: B023 (called at once)


def test_a_server_that_is_restarted_with_its_data_goes_on(make_store, look, eventually):
    options = {"appendonly": "yes", "appendfsync": "always"}
    server = make_store(**options)
    handled = Handled(lambda _: time.sleep(0.001))
    with consumer(server.port, handled) as subscription:
        publish(look(server), range(200))
        eventually(lambda: handled.by_topic[TOPICS[0]])
        server.terminate()
        eventually(lambda: subscription.health().state is HealthState.UNHEALTHY)
        server = make_store(port=server._desired_port, data_dir=server.data_dir, **options)
        publish(look(server), range(200, 400))
        eventually(lambda: handled.has(range(400)))
        eventually(lambda: pending(look(server)) == 0)
        assert subscription.statistics().reconnects >= 3
    assert handled.is_ordered()


def test_what_is_trimmed_while_it_is_pending_is_counted_and_acknowledged(stored, eventually):
    server, store = stored
    publish(store, range(10), TOPICS[:1])
    key = key_of(TOPICS[0])
    store.xgroup_create(key, GROUP, "0")
    store.xreadgroup(GROUP, "dead", {key: ">"}, count=5)
    # Three of those that are pending, and two that nobody has read.
    ids = [entry_id for entry_id, _ in store.xrange(key)]
    store.xdel(key, *ids[1:4], *ids[7:9])
    handled = Handled()
    with consumer(server.port, handled) as subscription:
        eventually(lambda: handled.has([0, 4, 5, 6, 9], TOPICS[:1]))
        eventually(lambda: pending(store, TOPICS[:1]) == 0)
        assert subscription.statistics().trimmed_while_pending == 3
    assert handled.by_topic[TOPICS[0]] == [0, 4, 5, 6, 9]


def test_what_consumers_have_in_hand_is_pending_in_a_group_that_is_made_again(stored, eventually):
    server, store = stored
    go = threading.Event()
    handled = Handled(lambda _: go.wait(30.0))
    settings = replace(SETTINGS, order="none", read_count=10)
    with (
        consumer(server.port, handled, settings=settings) as first,
        consumer(server.port, handled, settings=settings) as second,
    ):
        number = 0
        # Both have something in hand.
        while min(first.statistics().in_hand, second.statistics().in_hand) < 10:
            publish(store, range(number, number + 1))
            number += 1
            time.sleep(0.005)
        eventually(lambda: in_hand(first, second) == number * len(TOPICS))
        for topic in TOPICS:
            store.xgroup_destroy(key_of(topic), GROUP)
        publish(store, range(number, number + 1))
        number += 1
        eventually(lambda: in_hand(first, second) >= number * len(TOPICS))
        eventually(lambda: pending(store) == number * len(TOPICS))
        go.set()
        eventually(lambda: handled.has(range(number)) and pending(store) == 0)


def in_hand(*subscriptions):
    return sum(subscription.statistics().in_hand for subscription in subscriptions)
