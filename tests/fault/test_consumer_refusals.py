"""What a server refuses a subscription: memory, writing, permissions, and keys of another type."""

import time

import pytest
from consumers import GROUP
from consumers import LEASE_MS
from consumers import LETTERS
from consumers import TOPICS
from consumers import Handled
from consumers import Rate
from consumers import consumer
from consumers import key_of
from consumers import pending
from consumers import publish

from nautilus_enhanced.infrastructure.messagebus import HealthState


ODD, EVEN = key_of("events.order.ODD"), TOPICS[:2]
# Three threads and a few streams, each of which asks again once a second or after pauses that grow
# to 0.2 s. Without a pause it would be thousands.
BOUND_PER_S = 150


@pytest.fixture
def stored(make_store, look):
    server = make_store()
    return server, look(server)


def reasons(subscription):
    return " ".join(finding.reason for finding in subscription.health().findings)


def lasts(seconds, eventually):
    until = time.monotonic() + seconds
    eventually(lambda: time.monotonic() >= until)


def test_a_key_that_is_no_stream_keeps_no_other_from_being_read(stored, eventually):
    server, store = stored
    store.zadd("nt-enhanced:streams", {ODD: 1, key_of(TOPICS[0]): 1})
    store.set(ODD, "text")
    handled = Handled()
    with consumer(server.port, handled) as subscription:
        publish(store, range(50))
        eventually(lambda: handled.has(range(50)))
        eventually(lambda: "WRONGTYPE" in reasons(subscription))
        rate = Rate(store)
        lasts(1.0, eventually)
        assert sum(rate().values()) < BOUND_PER_S, rate()
        store.delete(ODD)
        publish(store, range(50, 60), ["events.order.ODD"])
        eventually(lambda: handled.has(range(50, 60), ["events.order.ODD"]))
        eventually(lambda: subscription.health().state is HealthState.HEALTHY)


def test_a_stream_that_becomes_something_else_keeps_no_other_from_being_read(stored, eventually):
    server, store = stored
    handled = Handled()
    with consumer(server.port, handled) as subscription:
        publish(store, range(50), ["events.order.ODD", *TOPICS])
        eventually(lambda: handled.has(range(50), ["events.order.ODD", *TOPICS]))
        store.set(ODD, "text")
        rate = Rate(store)
        for begin in range(50, 150, 10):
            publish(store, range(begin, begin + 10))
            eventually(lambda: handled.has(range(begin, begin + 10)))  # noqa: B023 (called at once)
        eventually(lambda: pending(store) == 0)
        lasts(1.0, eventually)
        rates = rate()
        assert sum(rates.values()) - rates["xadd"] - rates["xpending"] < 3 * BOUND_PER_S, rates
        assert "WRONGTYPE" in reasons(subscription)


def test_what_is_to_be_acknowledged_in_a_key_that_is_no_stream_any_more_keeps_up_nothing(
    stored, eventually
):
    server, store = stored
    replaced = []

    def replace(message):
        if message.topic == "events.order.ODD" and not replaced:
            replaced.append(store.set(ODD, "text"))

    handled = Handled(replace)
    with consumer(server.port, handled) as subscription:
        publish(store, range(10), ["events.order.ODD", *TOPICS])
        eventually(lambda: handled.has(range(10), ["events.order.ODD", *TOPICS]))
        eventually(lambda: pending(store) == 0)
        publish(store, range(10, 20))
        eventually(lambda: handled.has(range(20)) and pending(store) == 0)
        assert subscription.statistics().acknowledged >= 80


def test_a_server_out_of_memory_is_read_and_acknowledged_and_dead_letters_wait(stored, eventually):
    server, store = stored

    def fail(message):
        if message.topic == TOPICS[0] and message.payload == b"50":
            raise ValueError("poison")

    handled = Handled(fail)
    with consumer(server.port, handled) as subscription:
        publish(store, range(50))
        eventually(lambda: handled.has(range(50)))
        subscription.pause()
        publish(store, range(50, 100))
        store.config_set("maxmemory", "1")
        # Its lease would end, and it would read no more.
        lasts(3 * LEASE_MS / 1_000, eventually)
        subscription.resume()
        eventually(lambda: handled.has(range(51, 100)))
        eventually(lambda: pending(store) == 1)
        rate = Rate(store)
        lasts(1.0, eventually)
        assert sum(rate().values()) < BOUND_PER_S, rate()
        assert "OOM" in reasons(subscription)
        assert subscription.statistics().lost_leases == 0
        store.config_set("maxmemory", "0")
        eventually(lambda: store.xlen(LETTERS) == 1 and pending(store) == 0)
        eventually(lambda: "OOM" not in reasons(subscription))


def test_a_dead_letter_that_cannot_be_written_waits_and_keeps_up_nothing(stored, eventually):
    server, store = stored

    def fail(message):
        if message.payload == b"0":
            raise ValueError("poison")

    handled = Handled(fail)
    publish(store, range(10))
    # No dead letters can be written to a key of another type.
    store.set(LETTERS, "text")
    with consumer(server.port, handled) as subscription:
        eventually(lambda: handled.has(range(1, 10)))
        # The letters alone are left.
        eventually(lambda: pending(store) == len(TOPICS))
        rate = Rate(store)
        for begin in range(10, 110, 10):
            publish(store, range(begin, begin + 10))
            eventually(
                lambda: (
                    handled.has(range(begin, begin + 10))  # noqa: B023 (called at once)
                    and pending(store) == len(TOPICS)
                )
            )
        lasts(1.0, eventually)
        assert rate()["xadd"] - 400 / 1.0 < BOUND_PER_S, rate()
        assert "dead letter" in subscription.statistics().last_error
        assert "dead letter" in reasons(subscription)
        store.delete(LETTERS)
        eventually(lambda: store.xlen(LETTERS) == len(TOPICS) and pending(store) == 0)
        eventually(lambda: "cannot be written" not in reasons(subscription))


# Each command that a subscription runs. What is forbidden may cost this or that, and no more.
COMMANDS = ["xreadgroup", "xack", "xpending", "xclaim", "eval", "xinfo", "xgroup", "scan", "xread",
            "zrange", "xrevrange", "xadd"]  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_is_forbidden_is_told_and_tried_again_at_a_bounded_rate(
    stored, eventually, name
):
    server, store = stored
    store.execute_command("ACL", "SETUSER", "us", "on", ">pw", "~*", "&*", "+@all", f"-{name}")
    publish(store, range(20))
    # Something to claim, and something that becomes a dead letter.
    for topic in TOPICS:
        store.xgroup_create(key_of(topic), GROUP, "0")
        store.xreadgroup(GROUP, "dead", {key_of(topic): ">"}, count=5)

    def fail(message):
        if message.payload == b"7":
            raise ValueError("poison")

    handled = Handled(fail)
    wanted = [*range(7), *range(8, 20)]
    with consumer(server.port, handled, login="us:pw@", start="resume") as subscription:
        if name not in ("scan", "xread", "zrange", "xrevrange"):
            eventually(lambda: name.upper() in subscription.statistics().last_error.upper())
            eventually(lambda: subscription.health().state is not HealthState.HEALTHY)
        rate = Rate(store)
        lasts(0.5, eventually)
        rates = rate()
        # What waits for entries for up to 5 ms at a time while something is to be done is no loop.
        assert rates[name] < BOUND_PER_S, rates
        assert sum(rates.values()) < 4 * BOUND_PER_S, rates
        store.execute_command("ACL", "SETUSER", "us", f"+{name}")
        eventually(lambda: handled.has(wanted))
        eventually(lambda: pending(store) == 0)
        eventually(lambda: store.xlen(LETTERS) == len(TOPICS))
    assert handled.is_ordered()


def test_a_server_that_takes_no_writes_for_a_while_is_waited_for(stored, make_store, eventually):
    server, store = stored
    handled = Handled()
    other = make_store()
    with consumer(server.port, handled) as subscription:
        publish(store, range(50))
        eventually(lambda: handled.has(range(50)) and pending(store) == 0)
        store.replicaof("127.0.0.1", other.port)
        eventually(lambda: subscription.health().state is HealthState.UNHEALTHY)
        rate = Rate(store)
        lasts(1.0, eventually)
        # Each attempt asks a few things before it finds that this is a replica.
        assert sum(rate().values()) < 3 * BOUND_PER_S, rate()
        store.replicaof("NO", "ONE")
        publish(store, range(50, 100))
        eventually(lambda: handled.has(range(50, 100)) and pending(store) == 0)
        eventually(lambda: subscription.health().state is not HealthState.UNHEALTHY)
