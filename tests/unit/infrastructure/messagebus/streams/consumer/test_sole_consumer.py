"""What a subscription needs in a node: a group of its own, messages that it will never take."""

from __future__ import annotations

import asyncio
import itertools
import threading

import pytest

from nautilus_enhanced.infrastructure.messagebus import RejectedMessageError
from nautilus_enhanced.infrastructure.messagebus import StreamClient
from nautilus_enhanced.infrastructure.messagebus import SubscriptionSettings
from nautilus_enhanced.infrastructure.messagebus.streams.keys import dead_letter_key
from nautilus_enhanced.infrastructure.messagebus.streams.keys import members_key


STREAM = "trader-A:stream"


def write(store, topic, payload):
    return store.xadd(STREAM, {"topic": topic, "payload": payload})


@pytest.fixture
def url(server):
    return f"redis://127.0.0.1:{server.port}"


def test_a_message_that_is_rejected_is_a_dead_letter_at_once(store, url, eventually):
    seen = []

    def handler(message):
        seen.append(message.payload)
        if message.payload == b"poison":
            raise RejectedMessageError("never")

    for payload in (b"1", b"poison", b"2"):
        write(store, "t", payload)
    with StreamClient(url) as client:
        subscription = client.subscribe("*", handler, group="g", streams=STREAM)
        eventually(lambda: len(seen) == 3 and subscription.statistics().acknowledged == 3)
        figures = subscription.statistics()
    assert seen == [b"1", b"poison", b"2"]
    assert (figures.failed, figures.dead_lettered) == (1, 1)
    assert store.xlen(dead_letter_key("g")) == 1


@pytest.mark.parametrize("is_sole", [True, False])
def test_a_start_is_the_new_consumer_s_to_say_beside_one_that_was_killed(
    store, url, eventually, is_sole
):
    # One that was killed a moment ago still counts as alive: it has a lease.
    write(store, "data.old", b"before")
    store.xgroup_create(STREAM, "g", "$")
    seconds, _ = store.time()
    store.hset(members_key("g"), "m:killed", (seconds + 1) * 1_000)
    before = store.hgetall(members_key("g"))
    write(store, "data.old", b"meanwhile")
    write(store, "events.order.S", b"event")
    seen = []
    settings = SubscriptionSettings(sole_consumer=is_sole, lease_ms=300)
    with StreamClient(url) as client:
        client.subscribe(
            "*", lambda m: seen.append(m.payload), group="g", streams=STREAM, settings=settings
        )
        eventually(lambda: b"event" in seen)
    assert before
    assert seen == [b"event"] if is_sole else [b"meanwhile", b"event"]


def test_streams_that_come_back_from_another_consumer_are_not_begun_again(store, url, eventually):
    for number in range(20):
        store.xadd(f"stream:{number}", {"topic": str(number), "payload": "x"})
    seen = []
    options = {
        "group": "g",
        "streams": "stream:*",
        "start": "beginning",
        "settings": SubscriptionSettings(lease_ms=300),
    }
    with StreamClient(url) as client, StreamClient(url) as other:
        subscription = client.subscribe("*", lambda m: seen.append(m.topic), **options)
        eventually(lambda: len(seen) == 20)
        more = other.subscribe("*", lambda m: seen.append(m.topic), **options)
        eventually(lambda: more.is_ready and more.statistics().streams >= 5)
        other.stop()
        # All of them, and the one by which dead letters come back.
        eventually(lambda: subscription.is_ready and subscription.statistics().streams == 21)
        store.xadd("stream:0", {"topic": "0", "payload": "y"})
        eventually(lambda: seen.count("0") > 1)
        assert subscription.wait_until_ready()
    assert len(seen) == 21


async def test_a_loop_gets_its_turn_as_often_as_it_is_said(store, url):
    turns, seen, done = [], [], asyncio.Event()

    def handler(message):
        seen.append(message.payload)
        threading.Event().wait(0.0005)
        if len(seen) == 100:
            done.set()

    for number in range(100):
        write(store, "t", str(number))
    settings = SubscriptionSettings(slice_us=50)
    async with StreamClient(url) as client:
        client.subscribe("*", handler, group="g", streams=STREAM, settings=settings)
        while not done.is_set():
            turns.append(len(seen))
            await asyncio.sleep(0)
    # One message is longer than a slice, so that each has a turn of the loop to itself.
    steps = [after - before for before, after in itertools.pairwise(turns)]
    assert max(steps) <= 2
