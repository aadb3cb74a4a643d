"""Handlers that pass over what was handled before, with a real server that remembers."""

from __future__ import annotations

import asyncio
import threading

import pytest
import redis

from nautilus_enhanced.infrastructure.messagebus import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus import StreamClient
from nautilus_enhanced.infrastructure.messagebus import StreamMessage
from nautilus_enhanced.infrastructure.messagebus import SubscriptionSettings


pytestmark = pytest.mark.timeout(60)

QUICK = SubscriptionSettings(lease_ms=600, retry_min_ms=5, retry_max_ms=20, scan_interval_ms=100)
KEY = "trader-T-1:stream:events.a"


@pytest.fixture
def url(store: redis.Redis) -> str:
    return f"redis://127.0.0.1:{store.connection_pool.connection_kwargs['port']}"


def add(store: redis.Redis, payload: str) -> bytes:
    return store.xadd(KEY, {"topic": "events.a", "payload": payload})


def test_what_comes_twice_is_handled_once(url, store, eventually) -> None:
    got: list[bytes] = []
    with StreamClient(url) as client:
        for group in ("one", "two"):
            handler = client.once(lambda m: got.append(m.payload), "mirror")
            subscription = client.subscribe("events.*", handler, group=group, settings=QUICK)
            add(store, group)
            count = store.xlen(KEY)
            eventually(lambda s=subscription, n=count: s.statistics().acknowledged == n)
    # The second group reads both, and knows the first.
    assert got == [b"one", b"two"]


async def test_a_coroutine_function_is_awaited_and_the_loop_is_not_blocked(url, store) -> None:
    got: list[bytes] = []
    done = asyncio.Event()

    async def handle(message: StreamMessage) -> None:
        await asyncio.sleep(0)
        got.append(message.payload)
        if message.payload == b"end":
            done.set()

    async with StreamClient(url) as client:
        handler = client.once(handle, "mirror", key=lambda m: m.payload.decode())
        client.subscribe("events.*", handler, group="g", settings=QUICK)
        for payload in ("x", "x", "y", "x", "end"):
            add(store, payload)
        await asyncio.wait_for(done.wait(), 10)
    assert got == [b"x", b"y", b"end"]


async def test_a_function_on_the_loop_stays_on_it(url, store) -> None:
    done = asyncio.Event()
    threads: set[int] = set()

    def handle(message: StreamMessage) -> None:
        threads.add(threading.get_ident())
        done.set()

    async with StreamClient(url) as client:
        handler = client.once(handle, "mirror")
        client.subscribe("events.*", handler, group="g", settings=QUICK)
        add(store, "x")
        await asyncio.wait_for(done.wait(), 10)
    assert threads == {threading.get_ident()}


def test_what_failed_is_not_remembered_and_the_oldest_is_forgotten(url, store, eventually) -> None:
    tries: list[bytes] = []

    def handle(message: StreamMessage) -> None:
        tries.append(message.payload)
        if tries == [b"0"]:
            raise ValueError

    with StreamClient(url) as client:
        handler = client.once(handle, "mirror", key=lambda m: m.payload.decode(), max_ids=3)
        client.subscribe("events.*", handler, group="g", settings=QUICK)
        for number in range(5):
            add(store, f"{number}")
        eventually(lambda: len(tries) == 6)
        assert tries == [b"0", b"0", b"1", b"2", b"3", b"4"]
        eventually(lambda: store.zrange("nt-enhanced:seen:mirror", 0, -1) == [b"2", b"3", b"4"])


def test_a_connection_that_was_closed_meanwhile_is_made_anew(url, store, eventually) -> None:
    got: list[bytes] = []
    with StreamClient(url) as client:
        handler = client.once(lambda m: got.append(m.payload), "mirror")
        subscription = client.subscribe("events.*", handler, group="g", settings=QUICK)
        for number in range(3):
            add(store, f"{number}")
            eventually(lambda number=number: len(got) == number + 1)
            store.client_kill_filter(_type="normal", skipme=True)
        assert got == [b"0", b"1", b"2"]
        assert subscription.statistics().failed == 0


@pytest.mark.parametrize(("wrong", "field"), [({"name": ""}, "name"), ({"max_ids": 0}, "max_ids")])
def test_a_mistake_gets_a_sentence(url, wrong, field) -> None:
    with StreamClient(url) as client, pytest.raises(ConfigurationError) as caught:
        client.once(print, **{"name": "n", **wrong})
    assert caught.value.field == field
