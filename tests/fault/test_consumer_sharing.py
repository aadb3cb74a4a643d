"""Consumers that join, leave, are slow, and share streams while messages come."""

import threading
import time
from contextlib import ExitStack

import pytest
from consumers import GROUP
from consumers import LEASE_MS
from consumers import MEMBERS
from consumers import SETTINGS
from consumers import Handled
from consumers import Rate
from consumers import consumer
from consumers import key_of
from consumers import pending
from consumers import publish
from msgspec.structs import replace


TOPICS = tuple(f"events.order.M-{number}" for number in range(16))
NONE = replace(SETTINGS, order="none")


@pytest.fixture
def stored(make_store, look):
    server = make_store()
    return server, look(server)


class Load(threading.Thread):
    """Publish numbers on all topics until the block ends."""

    def __init__(self, store):
        super().__init__(daemon=True)
        self._store = store
        self._over = threading.Event()
        self.count = 0

    def run(self):
        while not self._over.wait(0.002):
            publish(self._store, [self.count], TOPICS)
            self.count += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self.join(10.0)


class Watch:
    """What consumers of one group handle together, one at a time of each topic."""

    def __init__(self):
        self.all = Handled()
        self.busy = set()
        self.at_once = 0
        self.lock = threading.Lock()

    def handler(self, pause_s=0.0):
        mine = []

        def handle(message):
            with self.lock:
                self.at_once += message.topic in self.busy
                self.busy.add(message.topic)
                self.all(message)
            mine.append(message.topic)
            if pause_s:
                time.sleep(pause_s)
            with self.lock:
                self.busy.discard(message.topic)

        return handle, mine


def holders(store):
    return {int(name[2:]): who for name, who in store.hgetall(MEMBERS).items() if name[:2] == b"p:"}


def test_consumers_that_join_and_leave_under_load_keep_the_order_and_double_nothing(
    stored, eventually
):
    server, store = stored
    watch = Watch()
    with ExitStack() as stack, Load(store) as load:
        everybody = []
        for _ in range(3):
            handle, mine = watch.handler()
            everybody.append(mine)
            stack.enter_context(consumer(server.port, handle))
            eventually(lambda: mine)  # noqa: B023 (called at once)
        subscription_count = len(everybody)
        # Rebalancing comes to an end: all are held, evenly.
        eventually(lambda: sorted(shares(store)) == [42, 43, 43])
        with consumer(server.port, watch.handler()[0]) as fourth:
            eventually(lambda: fourth.statistics().handled > 50)
            eventually(lambda: sorted(shares(store)) == [32, 32, 32, 32])
        eventually(lambda: sorted(shares(store)) == [42, 43, 43])
        load._over.set()
        load.join()
        eventually(lambda: watch.all.has(range(load.count), TOPICS))
        eventually(lambda: pending(store, TOPICS) == 0)
        assert subscription_count == 3
    assert watch.all.is_ordered(TOPICS)
    assert watch.all.doubles == 0
    assert watch.at_once == 0


def shares(store):
    held = list(holders(store).values())
    return [held.count(who) for who in set(held)] if len(held) == 128 else []


def test_a_consumer_that_joins_a_busy_one_does_not_wait_until_all_of_it_is_done(stored, eventually):
    server, store = stored
    watch = Watch()
    slow, _ = watch.handler(pause_s=0.005)
    publish(store, range(100), TOPICS)
    with consumer(server.port, slow) as busy:
        eventually(lambda: busy.statistics().in_hand > 1_000)
        fast, mine = watch.handler()
        # All of it is in the hand of the first one, and would take it 8 s.
        with consumer(server.port, fast):
            eventually(lambda: len(mine) > 100)
            eventually(lambda: sorted(shares(store)) == [64, 64])
            eventually(lambda: watch.all.has(range(100), TOPICS))
    assert watch.all.is_ordered(TOPICS)
    assert watch.all.doubles == 0
    assert watch.at_once == 0


def test_what_a_slow_consumer_has_in_hand_is_its_own_where_order_is_none(stored, eventually):
    server, store = stored
    handled = Handled(lambda _: time.sleep(0.02))
    publish(store, range(30), TOPICS[:4])
    # It takes four leases.
    with consumer(server.port, handled, settings=NONE) as first:
        eventually(lambda: first.statistics().in_hand > 50)
        with consumer(server.port, handled, settings=NONE):
            eventually(lambda: handled.has(range(30), TOPICS[:4]))
            eventually(lambda: pending(store, TOPICS[:4]) == 0)
    assert handled.doubles == 0


def test_a_message_that_nobody_holds_any_more_is_taken_over_where_order_is_none(stored, eventually):
    server, store = stored
    publish(store, range(10), TOPICS[:2])
    for topic in TOPICS[:2]:
        store.xgroup_create(key_of(topic), GROUP, "0")
        store.xreadgroup(GROUP, "dead", {key_of(topic): ">"}, count=5)
    handled = Handled()
    with consumer(server.port, handled, settings=NONE) as subscription:
        eventually(lambda: handled.has(range(10), TOPICS[:2]))
        assert subscription.statistics().claimed == 10
        rate = Rate(store)
        until = time.monotonic() + 2 * LEASE_MS / 1_000
        eventually(lambda: time.monotonic() > until)
        assert sum(rate().values()) < 150, rate()


def test_a_consumer_that_is_idle_asks_little(stored, eventually):
    server, store = stored
    publish(store, range(1), TOPICS)
    handled = Handled()
    with consumer(server.port, handled) as subscription:
        eventually(lambda: handled.has(range(1), TOPICS))
        assert subscription.wait_until_ready()
        eventually(lambda: pending(store, TOPICS) == 0)
        rate = Rate(store)
        until = time.monotonic() + 1.0
        eventually(lambda: time.monotonic() > until)
        # Beats, a scan each tenth of a second here, and what the server is asked to wait for.
        assert sum(rate().values()) < 150, rate()
