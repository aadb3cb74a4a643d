"""
Who calls the handler: an event loop, or threads.

A runner takes what readers hand over, keeps it in its book, and calls the handler for one delivery
after the other, as far as the book lets it.
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC
from abc import abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.errors import RejectedMessageError
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.book import DeliveryBook
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.scaling import WorkerLoad
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.scaling import wanted_workers


if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_enhanced.infrastructure.messagebus.contracts import Clock
    from nautilus_enhanced.infrastructure.messagebus.settings.publishing import WorkerSettings
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.book import Delivery
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.handling import Handling
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.lease import Lease
    from nautilus_enhanced.infrastructure.messagebus.streams.entries import StreamMessage
    from nautilus_enhanced.infrastructure.messagebus.streams.settings import SubscriptionSettings


# How long a thread waits at most before it looks again.
_LOOK_S: Final = 0.5
_NS: Final = 1_000_000_000
_NS_OF_MS: Final = 1_000_000


class Runner(ABC):
    """
    Call a handler.

    Parameters
    ----------
    handler : Callable[[StreamMessage], Any]
        The handler.
    handling : Handling
        Makes messages and settles them.
    settings : SubscriptionSettings
        The settings.
    lease : Lease
        For how long this consumer may count on what it holds.
    clock : Clock
        The clock.
    """

    def __init__(
        self,
        handler: Callable[[StreamMessage], Any],
        handling: Handling,
        settings: SubscriptionSettings,
        lease: Lease,
        clock: Clock,
    ) -> None:
        self._handler = handler
        self._handling = handling
        self._settings = settings
        self._lease = lease
        self._clock = clock
        self._book = DeliveryBook(settings.pause_s, ordered=settings.order == "topic")
        self._incoming: list[Delivery] = []
        self._lock = threading.Lock()
        self._changed = threading.Condition()
        self._waiters = 0
        self.is_paused = False
        self.is_stopped = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._book!r})"

    @property
    def workers(self) -> int:
        """Return how many threads call the handler; 0 where none is there for it alone."""
        return 0

    @property
    def in_hand(self) -> int:
        """Return the messages that were handed over and are not yet handled."""
        return self._book.in_hand + len(self._incoming)

    @abstractmethod
    def submit(self, deliveries: list[Delivery]) -> None:
        """Take over what was read, from any thread."""

    @abstractmethod
    def wake(self) -> None:
        """Look again: the lease was renewed, or a pause is over. From any thread."""

    @abstractmethod
    def stop(self) -> None:
        """Call the handler no more; what it is doing goes on."""

    def pause(self) -> None:
        """Call the handler no more until `resume`."""
        self.is_paused = True

    def resume(self) -> None:
        """Call the handler again."""
        self.is_paused = False
        self.wake()

    def wait_for_room(self, timeout_s: float) -> None:
        """Wait until something was handled, but not longer than `timeout_s` seconds."""
        before = self.in_hand
        self._wait(lambda: self.in_hand < before or self.is_stopped, timeout_s)

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Wait until all that is in hand is handled; return whether it is."""
        return self._wait(lambda: not self.in_hand, timeout_s)

    def _wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        with self._changed:
            self._waiters += 1
            try:
                return self._changed.wait_for(condition, timeout_s)
            finally:
                self._waiters -= 1

    def _tell(self) -> None:
        """Wake who waits for what is in hand to become less."""
        if self._waiters:
            with self._changed:
                self._changed.notify_all()

    def _gather(self) -> None:
        """Put what was handed over into the book."""
        if self._incoming:
            with self._lock:
                incoming, self._incoming = self._incoming, []
            self._book.add(incoming)

    def _may_run(self, now_ns: int) -> bool:
        return not self.is_paused and not self.is_stopped and now_ns < self._lease.until_ns

    def _next(self, now_ns: int) -> tuple[Delivery, StreamMessage] | None:
        """Return what is to be handled next, with its message."""
        book = self._book
        while (delivery := book.take(now_ns)) is not None:
            if delivery.source.is_left:
                self._handling.give_back(delivery)
            elif not delivery.source.is_lost:
                message = self._handling.message_of(delivery, now_ns)
                if message is not None:
                    return delivery, message
            # Another consumer has it, or it needs no handler.
            book.done(delivery)
        return None

    def _succeeded(self, delivery: Delivery) -> None:
        self._handling.handled(delivery)
        self._book.done(delivery)

    def _failed(self, delivery: Delivery, error: BaseException) -> None:
        self._handling.failed(delivery, error)
        for_good = isinstance(error, RejectedMessageError)
        if for_good or not self._book.failed(delivery, self._clock.monotonic_ns()):
            # Who has it by now tries it, and buries it, himself.
            if not delivery.source.is_lost:
                self._handling.bury(delivery, error)
            self._book.done(delivery)


class LoopRunner(Runner):
    """
    Call a handler on an event loop, in slices, so that the loop gets to everything else.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The loop.
    is_async : bool
        Whether the handler is asynchronous: then several calls may be under way.
    args : Any
        As for `Runner`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *args: Any, is_async: bool) -> None:
        super().__init__(*args)
        self._loop = loop
        self._is_async = is_async
        self._concurrency = self._settings.concurrency
        self._slice_ns = self._settings.slice_us * 1_000
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        # Held from scheduling a run until its begin; taking it is one step for all threads.
        self._scheduled = threading.Lock()

    def submit(self, deliveries: list[Delivery]) -> None:
        """Take over what was read, from any thread."""
        with self._lock:
            self._incoming.extend(deliveries)
        self.wake()

    def wake(self) -> None:
        """Look again, from any thread."""
        if self._scheduled.acquire(False):  # by name it takes three times as long
            try:
                self._loop.call_soon_threadsafe(self._run)
            except RuntimeError:
                # The loop is closed: nothing is handled any more, and nothing acknowledged.
                self.is_stopped = True

    def is_on_loop(self) -> bool:
        """Return whether the caller runs on the loop."""
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def stop(self) -> None:
        """Call the handler no more, and cancel calls that are under way."""
        self.is_stopped = True
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()

    def _run(self) -> None:
        self._scheduled.release()
        self._gather()
        clock = self._clock.monotonic_ns
        run = self._begin if self._is_async else self._call_now
        until_ns = clock() + self._slice_ns
        while self._may_run(now_ns := clock()):
            if now_ns >= until_ns:
                self._run_soon()
                break
            if len(self._tasks) >= self._concurrency:
                break
            found = self._next(now_ns)
            if found is None:
                break
            run(*found)
        if self._timer is not None or self._book.next_due_ns() is not None:
            self._set_timer()
        self._tell()

    def _begin(self, delivery: Delivery, message: StreamMessage) -> None:
        task = self._loop.create_task(self._call(delivery, message))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _call_now(self, delivery: Delivery, message: StreamMessage) -> None:
        try:
            self._handler(message)
        except Exception as error:  # noqa: BLE001 (a handler may raise anything)
            self._failed(delivery, error)
        except BaseException:
            self._book.back(delivery)
            raise
        else:
            self._succeeded(delivery)

    async def _call(self, delivery: Delivery, message: StreamMessage) -> None:
        try:
            await self._handler(message)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or not task.cancelling():
                # Something that the handler waited for was cancelled.
                self._failed(delivery, error)
                return
            # Nobody knows how far it came: it is not acknowledged, and comes again.
            self._book.back(delivery)
            raise
        except Exception as error:  # noqa: BLE001 (a handler may raise anything)
            self._failed(delivery, error)
        else:
            self._succeeded(delivery)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._run_soon()

    def _run_soon(self) -> None:
        """Do what `wake` does, from the loop: without a system call."""
        if self._scheduled.acquire(False):  # by name it takes three times as long
            self._loop.call_soon(self._run)

    def _set_timer(self) -> None:
        """Look again when the next pause is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_ns = self._book.next_due_ns()
        if due_ns is not None and not self.is_stopped:
            wait_s = max(0, due_ns - self._clock.monotonic_ns()) / _NS
            self._timer = self._loop.call_later(wait_s, self.wake)


class DirectRunner(Runner):
    """
    Call a handler on the thread that reads, at once: for one that is quick and does not fail.

    There is one reader, and no second try.
    """

    def submit(self, deliveries: list[Delivery]) -> None:
        """Have what was read handled."""
        self._book.add(deliveries)
        while (found := self._next(self._clock.monotonic_ns())) is not None:
            delivery, message = found
            try:
                self._handler(message)
            except Exception as error:  # noqa: BLE001 (another process may have written anything)
                self._handling.failed(delivery, error)
                self._handling.bury(delivery, error)
                self._book.done(delivery)
            else:
                self._succeeded(delivery)

    def wake(self) -> None:
        """Do nothing: nothing waits."""

    def stop(self) -> None:
        """Do nothing: the reader stops."""


class ThreadRunner(Runner):
    """
    Call a handler in threads of its own, whose number goes with the work.

    Parameters
    ----------
    workers : WorkerSettings
        Between how many threads, and when there is one more or one fewer.
    args : Any
        As for `Runner`.
    """

    def __init__(self, workers: WorkerSettings, *args: Any) -> None:
        super().__init__(*args)
        self._work = threading.Condition(self._lock)
        self._workers = workers
        self._wanted = workers.min_workers
        self._alive = 0
        self._named = 0
        # When the calls that are under way began, by thread, and how long those that are over took.
        self._begun_ns: dict[int, int] = {}
        self._busy_ns = 0
        self._window_ns = self._changed_ns = self._clock.monotonic_ns()
        with self._work:
            self._hire()

    @property
    def workers(self) -> int:
        """Return how many threads there are."""
        return self._alive

    def submit(self, deliveries: list[Delivery]) -> None:
        """Take over what was read, from any thread."""
        with self._work:
            self._book.add(deliveries)
            self._scale(self._clock.monotonic_ns())
            self._work.notify(len(deliveries))

    def wake(self) -> None:
        """Look again, from any thread."""
        with self._work:
            self._work.notify_all()

    def stop(self) -> None:
        """Call the handler no more; a call that is under way goes on until it returns."""
        self.is_stopped = True
        self.wake()
        self._tell()

    def _hire(self) -> None:
        """Start threads until there are as many as are wanted."""
        while self._alive < self._wanted:
            self._alive += 1
            self._named += 1
            name = f"nt-enhanced-handler-{self._named}"
            threading.Thread(target=self._run, name=name, daemon=True).start()

    def _scale(self, now_ns: int) -> None:
        """At the end of a window, see whether there should be more or fewer."""
        length_ns = now_ns - self._window_ns
        if length_ns < self._workers.window_ms * _NS_OF_MS or self.is_stopped:
            return
        under_way_ns = sum(
            now_ns - max(begun, self._window_ns) for begun in self._begun_ns.values()
        )
        load = WorkerLoad(
            workers=self._wanted,
            busy_ns=self._busy_ns + under_way_ns,
            window_ns=length_ns,
            waiting=self._book.in_hand - self._book.in_progress,
            unchanged_ns=now_ns - self._changed_ns,
        )
        self._window_ns = now_ns
        self._busy_ns = 0
        wanted = wanted_workers(load, self._workers)
        if wanted != self._wanted:
            self._wanted = wanted
            self._changed_ns = now_ns
            self._hire()

    def _run(self) -> None:
        while not self.is_stopped:
            with self._work:
                now_ns = self._clock.monotonic_ns()
                self._scale(now_ns)
                if self._alive > self._wanted:
                    self._alive -= 1
                    return
                found = self._next(now_ns) if self._may_run(now_ns) else None
                if found is None:
                    self._work.wait(self._sleep_s(now_ns))
                    continue
                self._begun_ns[threading.get_ident()] = now_ns
            delivery, message = found
            try:
                self._handler(message)
            except BaseException as error:  # noqa: BLE001 (it would end the thread, and handling with it)
                with self._work:
                    self._ended()
                    self._failed(delivery, error)
                    self._work.notify()
            else:
                with self._work:
                    self._ended()
                    self._succeeded(delivery)
                    self._work.notify()
            self._tell()

    def _ended(self) -> None:
        """Note how long a call took of this window."""
        begun_ns = self._begun_ns.pop(threading.get_ident())
        self._busy_ns += self._clock.monotonic_ns() - max(begun_ns, self._window_ns)

    def _sleep_s(self, now_ns: int) -> float:
        due_ns = self._book.next_due_ns()
        wait_s = _LOOK_S if due_ns is None else max(0, due_ns - now_ns) / _NS
        return min(_LOOK_S, wait_s)
