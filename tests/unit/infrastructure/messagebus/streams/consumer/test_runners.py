from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING
from typing import Any

import msgspec
import pytest

from nautilus_enhanced.infrastructure.messagebus.clock import SystemClock
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import WorkerSettings
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.acknowledger import NoSettling
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.book import Delivery
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.handling import Handling
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.lease import Lease
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.read_stream import ReadStream
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.runners import DirectRunner
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.runners import LoopRunner
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.runners import ThreadRunner
from nautilus_enhanced.infrastructure.messagebus.streams.settings import SubscriptionSettings
from nautilus_enhanced.infrastructure.messagebus.streams.statistics import SubscriptionFigures


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator

    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.runners import Runner


pytestmark = pytest.mark.timeout(30)

SETTINGS = SubscriptionSettings(retry_min_ms=1, retry_max_ms=2, max_deliveries=3)


def fixed(workers: int) -> WorkerSettings:
    return WorkerSettings(min_workers=workers, max_workers=workers)


SOURCE = ReadStream(b"key", "", appeared=False)


class Parts:
    """A lease, figures, and what makes runners of them."""

    def __init__(self) -> None:
        self.lease = Lease()
        self.lease.hold_forever()
        self.figures = SubscriptionFigures()
        self.clock = SystemClock()
        self.made: list[Runner] = []

    def args(self, handler: Callable[[Any], Any], **settings: Any) -> tuple[Any, ...]:
        handling = Handling(
            decode=None,
            max_age_ms=None,
            group=None,
            consumer=None,
            lease=self.lease,
            clock=self.clock,
            figures=self.figures,
            settling=NoSettling(self.figures),
        )
        settings_of = msgspec.structs.replace(SETTINGS, **settings)
        return handler, handling, settings_of, self.lease, self.clock

    def keep(self, runner: Any) -> Any:
        self.made.append(runner)
        return runner


@pytest.fixture
def parts() -> Iterator[Parts]:
    parts = Parts()
    yield parts
    for runner in parts.made:
        runner.stop()


def messages(*named: str) -> list[Delivery]:
    return [
        Delivery(name[0], name.encode(), SOURCE, b"%d-0" % number, [])
        for number, name in enumerate(named)
    ]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (it may become true in another thread)
            await asyncio.sleep(0.001)


async def test_a_loop_gets_to_other_things_while_messages_are_handled(parts) -> None:
    handled: list[bytes] = []

    def handle(message: Any) -> None:
        time.sleep(0.001)
        handled.append(message.payload)

    runner = parts.keep(LoopRunner(asyncio.get_running_loop(), *parts.args(handle), is_async=False))
    runner.submit(messages(*(f"a{number}" for number in range(50))))
    seen: list[int] = []
    while len(handled) < 50:
        await asyncio.sleep(0)
        seen.append(len(handled))
    # A slice is two milliseconds: a few messages, not all of them.
    assert len(set(seen)) > 5
    assert handled == [b"a%d" % number for number in range(50)]
    assert runner.in_hand == 0


async def test_calls_of_an_asynchronous_handler_are_bounded(parts) -> None:
    running, most = 0, 0
    gate = asyncio.Event()

    async def handle(message: Any) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1

    runner = parts.keep(
        LoopRunner(
            asyncio.get_running_loop(),
            *parts.args(handle, order="none", concurrency=3),
            is_async=True,
        )
    )
    runner.submit(messages(*(f"a{number}" for number in range(10))))
    await until(lambda: running == 3)
    gate.set()
    await until(lambda: runner.in_hand == 0)
    assert most == 3


async def test_a_call_that_is_cancelled_is_taken_back(parts) -> None:
    begun = asyncio.Event()

    async def handle(message: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    runner = LoopRunner(
        asyncio.get_running_loop(), *parts.args(handle, concurrency=3), is_async=True
    )
    runner.submit(messages("a1", "a2"))
    await begun.wait()
    runner.stop()
    await until(lambda: not runner._tasks)
    assert runner.in_hand == 2
    assert parts.figures.counts["handled"] == 0


async def test_nothing_is_handled_without_a_lease_and_all_of_it_with_one(parts) -> None:
    handled: list[bytes] = []
    parts.lease.end()
    runner = parts.keep(
        LoopRunner(
            asyncio.get_running_loop(),
            *parts.args(lambda m: handled.append(m.payload)),
            is_async=False,
        )
    )
    runner.submit(messages("a1"))
    for _ in range(10):
        await asyncio.sleep(0.001)
    assert handled == []
    parts.lease.hold_forever()
    runner.wake()
    await until(lambda: handled == [b"a1"])


async def test_what_another_consumer_has_by_now_is_let_go(parts) -> None:
    handled: list[bytes] = []
    runner = parts.keep(
        LoopRunner(
            asyncio.get_running_loop(),
            *parts.args(lambda m: handled.append(m.payload)),
            is_async=False,
        )
    )
    lost = ReadStream(b"lost", "", appeared=False)
    lost.is_lost = True
    runner.submit([Delivery("a", b"theirs", lost, b"1-0", []), *messages("a1")])
    await until(lambda: runner.in_hand == 0)
    assert handled == [b"a1"]


def test_a_closed_loop_is_no_error_for_who_reads(parts) -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    runner = LoopRunner(loop, *parts.args(print), is_async=False)
    runner.submit(messages("a1"))
    assert runner.is_stopped
    assert runner.in_hand == 1


async def test_a_failure_is_tried_again_after_its_pause(parts) -> None:
    tries: list[bytes] = []

    def handle(message: Any) -> None:
        tries.append(message.payload)
        if message.payload == b"a1" and tries.count(b"a1") < 3:
            raise ValueError

    runner = parts.keep(LoopRunner(asyncio.get_running_loop(), *parts.args(handle), is_async=False))
    runner.submit(messages("a1", "a2", "b1"))
    await until(lambda: runner.in_hand == 0)
    assert sorted(tries) == [b"a1", b"a1", b"a1", b"a2", b"b1"]
    assert tries.index(b"a2") > 2


def test_threads_share_the_work_and_keep_the_order_of_a_topic(parts, eventually) -> None:
    got: dict[str, list[bytes]] = defaultdict(list)
    names: set[str] = set()

    def handle(message: Any) -> None:
        names.add(threading.current_thread().name)
        time.sleep(0.0005)
        got[message.topic].append(message.payload)

    runner = parts.keep(ThreadRunner(fixed(3), *parts.args(handle)))
    runner.submit(messages(*(f"{topic}{number}" for number in range(9) for topic in "abcd")))
    assert runner.wait_until_idle(10.0)
    assert all(got[t] == [f"{t}{n}".encode() for n in range(9)] for t in "abcd")
    assert len(names) == 3


def test_there_are_more_threads_where_there_is_more_to_do_and_fewer_afterwards(
    parts, eventually
) -> None:
    gate = threading.Event()
    workers = WorkerSettings(min_workers=1, max_workers=3, window_ms=10, cooldown_ms=0)
    runner = parts.keep(ThreadRunner(workers, *parts.args(lambda _: gate.wait(10.0))))
    assert runner.workers == 1
    runner.submit(messages("a1", "b1", "c1", "d1"))
    eventually(lambda: (runner.submit([]), runner.workers)[1] == 3)
    assert runner.workers <= 3
    gate.set()
    assert runner.wait_until_idle(10.0)
    eventually(lambda: (runner.submit([]), runner.wake(), runner.workers)[2] == 1)


def test_a_failure_in_a_thread_is_tried_again_and_then_given_up(parts) -> None:
    tries: list[bytes] = []

    def handle(message: Any) -> None:
        tries.append(message.payload)
        if message.payload == b"a1":
            raise ValueError("never")

    runner = parts.keep(ThreadRunner(fixed(1), *parts.args(handle)))
    runner.submit(messages("a1", "a2"))
    assert runner.wait_until_idle(10.0)
    assert tries == [b"a1"] * 3 + [b"a2"]
    assert parts.figures.counts["given_up"] == 1
    assert parts.figures.last_failure == "a: ValueError: never"


def test_a_pause_holds_until_it_is_over(parts, eventually) -> None:
    handled: list[bytes] = []
    runner = parts.keep(ThreadRunner(fixed(2), *parts.args(lambda m: handled.append(m.payload))))
    runner.pause()
    runner.submit(messages("a1"))
    assert not runner.wait_until_idle(0.05)
    assert handled == []
    runner.resume()
    assert runner.wait_until_idle(10.0)
    assert handled == [b"a1"]


def test_room_is_waited_for_no_longer_than_allowed(parts) -> None:
    runner = parts.keep(ThreadRunner(fixed(1), *parts.args(print)))
    runner.pause()
    runner.submit(messages("a1"))
    before = time.monotonic()
    runner.wait_for_room(0.05)
    assert time.monotonic() - before >= 0.05


def test_a_direct_handler_is_called_by_who_reads_and_once_only(parts) -> None:
    got: list[tuple[bytes, int]] = []

    def handle(message: Any) -> None:
        got.append((message.payload, threading.get_ident()))
        if message.payload == b"a1":
            raise ValueError

    runner = parts.keep(DirectRunner(*parts.args(handle)))
    runner.submit(messages("a1", "a2"))
    runner.wake()
    assert got == [(b"a1", threading.get_ident()), (b"a2", threading.get_ident())]
    assert (parts.figures.counts["given_up"], parts.figures.counts["handled"]) == (1, 1)
    assert runner.in_hand == 0
