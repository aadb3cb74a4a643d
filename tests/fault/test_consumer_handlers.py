"""Handlers that end a thread, a task or all their tries, and clocks that step."""

import asyncio
import time

import pytest
from consumers import CONNECTION
from consumers import GROUP
from consumers import LETTERS
from consumers import NAMING
from consumers import SETTINGS
from consumers import TOPICS
from consumers import Handled
from consumers import consumer
from consumers import pending
from consumers import publish
from msgspec.structs import replace

from nautilus_enhanced.infrastructure.messagebus import StreamClient


HOUR_MS = 3_600_000


@pytest.fixture
def stored(make_store, look):
    server = make_store()
    return server, look(server)


def poison_of(store):
    return sorted((fields[b"topic"], fields[b"payload"]) for _, fields in store.xrange(LETTERS))


@pytest.mark.parametrize("order", ["topic", "none"])
def test_a_message_whose_handler_raises_becomes_a_dead_letter_and_the_stream_goes_on(
    stored, eventually, order
):
    server, store = stored
    tries = []

    def fail(message):
        if message.payload in {b"3", b"7"}:
            tries.append(message.deliveries)
            raise ValueError("poison")

    handled = Handled(fail)
    publish(store, range(20))
    settings = replace(SETTINGS, order=order, max_deliveries=3)
    with consumer(server.port, handled, settings=settings):
        eventually(lambda: store.xlen(LETTERS) == 2 * len(TOPICS) and pending(store) == 0)
        assert handled.has(set(range(20)) - {3, 7})
    letters = sorted((topic.encode(), number) for topic in TOPICS for number in (b"3", b"7"))
    assert poison_of(store) == letters
    assert sorted(tries) == sorted([1, 2, 3] * 2 * len(TOPICS))
    assert order == "none" or handled.is_ordered()


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_handler_in_a_thread_that_ends_it_is_one_that_failed(stored, eventually, error):
    server, store = stored

    def fail(message):
        if message.payload == b"3" and message.topic == TOPICS[0]:
            raise error

    handled = Handled(fail)
    publish(store, range(20))
    with consumer(server.port, handled) as subscription:
        eventually(lambda: store.xlen(LETTERS) == 1 and pending(store) == 0)
        assert subscription.statistics().failed == SETTINGS.max_deliveries
    assert poison_of(store) == [(TOPICS[0].encode(), b"3")]


async def until(condition, within_s=30.0):
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)


async def test_a_coroutine_that_cancels_itself_is_one_that_failed_and_no_hot_loop(stored):
    server, store = stored
    calls = 0

    async def handle(message):
        nonlocal calls
        if message.payload == b"3":
            calls += 1
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future

    publish(store, range(10), TOPICS[:1])
    async with StreamClient(
        f"redis://127.0.0.1:{server.port}", naming=NAMING, connection=CONNECTION
    ) as client:
        client.subscribe("events.order.*", handle, group=GROUP, settings=SETTINGS)
        await until(lambda: store.xlen(LETTERS) == 1 and pending(store, TOPICS[:1]) == 0)
    assert calls == SETTINGS.max_deliveries


async def test_coroutines_of_a_topic_run_one_after_the_other_while_connections_are_killed(stored):
    server, store = stored
    handled = Handled()
    running = set()

    async def handle(message):
        assert message.topic not in running
        running.add(message.topic)
        await asyncio.sleep(0.001)
        running.discard(message.topic)
        if message.payload == b"3" and message.deliveries < 3:
            raise ValueError("not yet")
        handled(message)

    def kill():
        store.client_kill_filter(_type="normal", skipme=True)

    async with StreamClient(
        f"redis://127.0.0.1:{server.port}", naming=NAMING, connection=CONNECTION
    ) as client:
        subscription = client.subscribe("events.order.*", handle, group=GROUP, settings=SETTINGS)
        for number in range(20):
            publish(store, range(number * 10, number * 10 + 10))
            kill()
            await asyncio.sleep(0.02)
        await until(lambda: handled.has(range(200)) and pending(store) == 0)
        assert subscription.statistics().failed == 2 * len(TOPICS)
    assert handled.is_ordered()
    assert handled.doubles == 0
    assert store.xlen(LETTERS) == 0


# -- clocks --------------------------------------------------------------------------------------


class SteppingClock:
    """The system's clocks, of which that of the wall is put."""

    def __init__(self):
        self.step_ns = 0

    monotonic_ns = staticmethod(time.monotonic_ns)

    def time_ns(self):
        return time.time_ns() + self.step_ns


@pytest.mark.parametrize("step_ms", [-24 * HOUR_MS, 24 * HOUR_MS])
def test_a_wall_clock_that_steps_makes_nothing_old(stored, eventually, step_ms):
    server, store = stored
    clock = SteppingClock()
    handled = Handled()
    with consumer(server.port, handled, max_age_ms=60_000, clock=clock) as subscription:
        publish(store, range(50))
        eventually(lambda: handled.has(range(50)))
        clock.step_ns = step_ms * 1_000_000
        publish(store, range(50, 100))
        eventually(lambda: handled.has(range(100)) and pending(store) == 0)
        assert subscription.statistics().expired == 0
        assert subscription.statistics().lost_leases == 0


def test_entries_of_a_publisher_with_a_wrong_clock_expire_by_what_it_says(stored, eventually):
    server, store = stored
    now_ms = time.time_ns() // 1_000_000
    handled = Handled()
    with consumer(server.port, handled, max_age_ms=60_000) as subscription:
        # The server gives its time with the lease; before that nothing expires.
        assert subscription.wait_until_ready()
        publish(store, [0], TOPICS[:1], f"{now_ms - HOUR_MS}-1")
        publish(store, [1], TOPICS[:1])
        # An hour ahead: never old, and what follows has to be later still.
        publish(store, [2], TOPICS[:1], f"{now_ms + HOUR_MS}-1")
        publish(store, [3], TOPICS[:1])
        eventually(lambda: handled.has([1, 2, 3], TOPICS[:1]))
        eventually(lambda: pending(store, TOPICS[:1]) == 0)
        assert subscription.statistics().expired == 1
    assert handled.by_topic[TOPICS[0]] == [1, 2, 3]
