"""Connections of a subscription that are cut, killed or hang: at every byte, again and again."""

import random
import socket
import threading
import time
from contextlib import suppress

import pytest
import redis
from consumers import CONNECTION
from consumers import GROUP
from consumers import LETTERS
from consumers import NAMING
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
from proxy import CuttingProxy

from nautilus_enhanced.infrastructure.messagebus import HealthState
from nautilus_enhanced.infrastructure.messagebus import StreamClient


# Pauses that are short beside what happens in a test.
QUICK = replace(CONNECTION, reconnect_min_ms=1, reconnect_max_ms=5)
MANY = 60
PATIENT = replace(SETTINGS, max_deliveries=20)


@pytest.fixture
def stored(make_store, look):
    server = make_store()
    return server, look(server)


@pytest.mark.parametrize("rounds", [25, pytest.param(1_500, marks=pytest.mark.long)])
@pytest.mark.parametrize("direction", ["to_client", "to_server"])
@pytest.mark.timeout(600)
def test_connections_that_are_cut_anywhere_lose_nothing_and_keep_the_order(
    stored, eventually, direction, rounds
):
    server, store = stored
    rng = random.Random(rounds)

    def fail(message):
        if message.payload == b"5":
            raise ValueError("poison")

    handled = Handled(fail)
    with (
        CuttingProxy(server.port) as proxy,
        consumer(proxy.port, handled, connection=QUICK, settings=PATIENT) as subscription,
    ):
        for number in range(rounds):
            proxy.cut_after(direction, rng.randrange(1, 2_500))
            cuts = proxy.cuts
            publish(store, range(number * 10, number * 10 + 10))
            # Beats alone pass some bytes, so that it comes in any case.
            eventually(lambda: proxy.cuts > cuts)  # noqa: B023 (called at once)
        proxy.forget_cut()
        wanted = set(range(rounds * 10)) - {5}
        eventually(lambda: handled.has(wanted))
        eventually(lambda: pending(store) == 0)
        # Many are cut before they are made.
        assert subscription.statistics().reconnects >= rounds // 4
    assert handled.is_ordered()
    letters = {(f[b"topic"].decode(), f[b"payload"]) for _, f in store.xrange(LETTERS)}
    assert letters == {(topic, b"5") for topic in TOPICS}


def test_answers_that_are_lost_again_and_again_make_no_dead_letters(stored, eventually):
    server, store = stored
    handled = Handled()
    publish(store, range(20))
    with CuttingProxy(server.port) as proxy:
        # Every answer that brings entries is cut, whoever asks: what was read is never handled.
        proxy.swallow()
        with consumer(proxy.port, handled, connection=QUICK) as subscription:
            for _ in range(40):
                proxy.cut_after("to_client", 700)
                cuts = proxy.cuts
                eventually(lambda: proxy.cuts > cuts)  # noqa: B023 (called at once)
            proxy.forget_cut()
            eventually(lambda: handled.has(range(20)))
            eventually(lambda: pending(store) == 0)
            assert subscription.statistics().dead_lettered == 0
    assert handled.is_ordered()
    assert store.xlen(LETTERS) == 0


def test_each_connection_is_killed_again_and_again(stored, eventually):
    server, store = stored
    handled = Handled()
    mine = store.client_id()

    def kill():
        for one in store.client_list():
            if int(one["id"]) != mine:
                store.client_kill_filter(_id=one["id"])

    with consumer(server.port, handled) as subscription:
        assert subscription.wait_until_ready()
        rate = Rate(store)
        with Repeating(kill, 0.02) as killing:
            for number in range(50):
                publish(store, range(number * 10, number * 10 + 10))
                eventually(lambda: killing.count > 2 * number)  # noqa: B023 (called at once)
            rates = rate()
        eventually(lambda: handled.has(range(500)) and pending(store) == 0)
        assert subscription.statistics().reconnects > 20
        assert subscription.statistics().dead_lettered == 0
        # A connection asks four things before it is used.
        assert rates["info"] < 400, rates
        assert max(rates["xreadgroup"], rates["eval"], rates["xinfo"]) < 500, rates
    assert handled.is_ordered()


@pytest.mark.parametrize("seconds", [1.5, pytest.param(12.0, marks=pytest.mark.long)])
def test_a_server_that_is_frozen_for_longer_than_it_may_take_is_left_and_found_again(
    stored, eventually, frozen, seconds
):
    server, store = stored
    handled = Handled(lambda _: time.sleep(0.001))
    with consumer(server.port, handled) as subscription:
        publish(store, range(300))
        eventually(lambda: len(handled.by_topic[TOPICS[0]]) > 20)
        with frozen(server):
            until = time.monotonic() + seconds
            eventually(lambda: subscription.health().state is HealthState.UNHEALTHY)
            eventually(lambda: time.monotonic() >= until)
        publish(store, range(300, 400))
        eventually(lambda: handled.has(range(400)) and pending(store) == 0)
        eventually(lambda: subscription.health().state is not HealthState.UNHEALTHY)
        # Nobody else was there to take over: it is the same member, and nothing came again.
        assert subscription.statistics().lost_leases == 0
        assert subscription.statistics().dead_lettered == 0
    assert handled.is_ordered()
    assert handled.doubles == 0


def test_closing_while_the_server_is_frozen_takes_no_longer_than_it_may(stored, eventually, frozen):
    server, store = stored
    handled = Handled()
    with consumer(server.port, handled) as subscription:
        publish(store, range(50))
        eventually(lambda: handled.has(range(50)))
        with frozen(server):
            closed = threading.Thread(target=subscription.stop, args=(0.5,))
            closed.start()
            closed.join(15.0)
            assert not closed.is_alive()


def test_closing_many_subscriptions_while_the_server_is_frozen_ends_them_side_by_side(
    stored, eventually, frozen
):
    server, store = stored
    handled = Handled()
    client = StreamClient(f"redis://127.0.0.1:{server.port}", naming=NAMING, connection=CONNECTION)
    for number in range(MANY):
        client.subscribe(TOPICS[0], handled, group=f"{GROUP}-{number}", start="beginning")
    publish(store, range(5), TOPICS[:1])
    eventually(lambda: all(one.statistics().acknowledged == 5 for one in client.subscriptions))
    with frozen(server):
        closed = threading.Thread(target=client.stop, args=(0.5,))
        closed.start()
        # One after the other they would have a third of a second each.
        closed.join(10.0)
        assert not closed.is_alive()
    assert handled.has(range(5), TOPICS[:1])
    assert handled.doubles == (MANY - 1) * 5
    assert not client.subscriptions


def test_a_server_that_is_not_there_is_asked_at_a_bounded_rate(make_store, free_port, eventually):
    port, handled = free_port(), Handled()
    asked = 0
    with consumer(port, handled) as subscription:
        eventually(lambda: "cannot be reached" in subscription.statistics().last_error)
        assert subscription.health().state is HealthState.UNHEALTHY
        # Somebody listens there and says nothing.
        with socket.create_server(("127.0.0.1", port)) as listener:
            listener.settimeout(0.1)
            until = time.monotonic() + 1.0
            while time.monotonic() < until:
                with suppress(TimeoutError):
                    listener.accept()[0].close()
                    asked += 1
        # Two threads, after pauses up to 20 ms that double up to 200 ms.
        assert 1 <= asked < 60
        make_store(port=port)
        with redis.Redis(port=port) as store:
            publish(store, range(10))
            eventually(lambda: handled.has(range(10)))


@pytest.mark.parametrize("command", ["XREADGROUP", "XACK", "XCLAIM", "XPENDING", "EVAL", "XADD"])
def test_the_answer_to_a_command_is_lost(stored, eventually, command):
    # What the server did and could not say: the connection is killed while the command runs.
    server, store = stored
    publish(store, range(20))
    for topic in TOPICS:
        store.xgroup_create(key_of(topic), GROUP, "0")
        store.xreadgroup(GROUP, "dead", {key_of(topic): ">"}, count=5)

    def fail(message):
        if message.payload == b"7":
            raise ValueError("poison")

    handled = Handled(fail)
    with (
        _Deaf(server.port, command.encode()) as proxy,
        consumer(proxy.port, handled, connection=QUICK, settings=PATIENT),
    ):
        eventually(lambda: proxy.lost >= 2)
        proxy.hears = True
        eventually(lambda: handled.has(set(range(20)) - {7}) and pending(store) == 0)
        eventually(lambda: store.xlen(LETTERS) >= len(TOPICS))
    assert handled.is_ordered()
    # A dead letter that was written, without an answer, is written again.
    assert store.xlen(LETTERS) <= len(TOPICS) * (4 if command == "XADD" else 1)


class _Deaf(CuttingProxy):
    """Cut a connection as soon as the server has begun to answer a certain command."""

    def __init__(self, port, command):
        self._command = b"\r\n%b\r\n" % command
        self._armed = set()
        self.hears = False
        self.lost = 0
        super().__init__(port)

    def _forward(self, link, direction, data):
        if self.hears:
            return super()._forward(link, direction, data)
        if direction == "to_server" and self._command in data:
            self._armed.add(link)
        elif direction == "to_client" and link in self._armed and data:
            self._armed.discard(link)
            self.lost += 1
            link.client.sendall(data[: len(data) // 2])
            return False
        return super()._forward(link, direction, data)
