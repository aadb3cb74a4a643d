"""A subscription: the parts that read streams for one handler, and their life."""

from __future__ import annotations

import asyncio
import inspect
import os
import secrets
import socket
import threading
import time
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.clock import SystemClock
from nautilus_enhanced.infrastructure.messagebus.connection.backoff import Backoff
from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthFinding
from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthReport
from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthState
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.acknowledger import Acknowledger
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.acknowledger import NoSettling
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.handling import Handling
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.keeper import GroupKeeper
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.lease import Lease
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.membership import member_name
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.reader import StreamReader
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.recovery import Suspects
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.runners import DirectRunner
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.runners import LoopRunner
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.runners import Runner
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.runners import ThreadRunner
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import StartTable
from nautilus_enhanced.infrastructure.messagebus.streams.keys import check_name
from nautilus_enhanced.infrastructure.messagebus.streams.keys import retry_key
from nautilus_enhanced.infrastructure.messagebus.streams.settings import SubscriptionSettings
from nautilus_enhanced.infrastructure.messagebus.streams.settings import check_max_age
from nautilus_enhanced.infrastructure.messagebus.streams.statistics import SubscriptionFigures
from nautilus_enhanced.infrastructure.messagebus.streams.statistics import SubscriptionStatistics


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping
    from datetime import datetime

    from nautilus_enhanced.infrastructure.messagebus.connection.connector import BusConnection
    from nautilus_enhanced.infrastructure.messagebus.contracts import Clock
    from nautilus_enhanced.infrastructure.messagebus.settings.connection import ConnectionSettings
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.acknowledger import Settling
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.choosing import Selection
    from nautilus_enhanced.infrastructure.messagebus.streams.entries import StreamMessage


DEFAULT_CLOSE_S: Final = 5.0
# Of the time that closing may take, so much is left to tell the server.
_TELLING_S: Final = 1.0
_LOOK_S: Final = 0.01
# How long a reader may take to hand over what is on its way.
_READER_S: Final = 0.05


class Subscription:
    """
    Read streams and call a handler with their messages, until closed.

    Made by `MessageBusClient.subscribe`. With a group, a message is acknowledged after the handler
    returned, so that it is handled at least once, whatever ends this process; without one, what
    comes while this process is away is not seen. Every method may be called from any thread.

    Parameters
    ----------
    connect : Callable[[], BusConnection]
        Makes a connection, not yet opened.
    selection : Selection
        Which streams and topics.
    handler : Callable[[StreamMessage], Any]
        Called with each message; what it returns is awaited if it is a coroutine function.
    connection : ConnectionSettings
        The time limits and pauses of connections.
    group : str, optional
        The consumer group. Consumers with the same group share the messages.
    consumer : str, optional
        The name of this consumer, by default one that no other process has.
    start : str, datetime, or mapping of str to these, optional
        Where reading begins: see `StartTable`.
    max_age_ms : int, optional
        Milliseconds after which a message is acknowledged, counted and not delivered.
    decode : Callable[[bytes], Any], optional
        Makes `StreamMessage.body` of a payload.
    settings : SubscriptionSettings, optional
        The rest.
    clock : Clock, optional
        The clock.
    direct : bool, default False
        If the handler is called on the thread that reads, which waits for it, and once only.
    on_closed : Callable[[Subscription], None], optional
        Called once when it is closed.

    Raises
    ------
    ConfigurationError
        If a parameter is outside of what is allowed, or two contradict.
    """

    def __init__(
        self,
        connect: Callable[[], BusConnection],
        selection: Selection,
        handler: Callable[[StreamMessage], Any],
        *,
        connection: ConnectionSettings,
        group: str | None = None,
        consumer: str | None = None,
        start: str | datetime | Mapping[str, str | datetime] | None = None,
        max_age_ms: int | None = None,
        decode: Callable[[bytes], Any] | None = None,
        settings: SubscriptionSettings | None = None,
        clock: Clock | None = None,
        direct: bool = False,
        on_closed: Callable[[Subscription], None] = lambda _: None,
    ) -> None:
        if group is not None:
            check_name("group", group)
        if consumer is not None:
            check_name("consumer", consumer)
        check_max_age(max_age_ms)
        self._settings = settings = settings or SubscriptionSettings()
        self._selection = selection
        self._connection = connection
        self._connect = connect
        self._clock = clock or SystemClock()
        self._on_closed = on_closed
        self.group = group
        self.consumer = (consumer or make_consumer_name()) if group is not None else None
        # Two processes with one name are two members, which do not read the same.
        member = member_name(consumer, secrets.token_hex(4)) if consumer else self.consumer
        self._starts = StartTable(start, has_group=group is not None)
        self._figures = SubscriptionFigures()
        self._lease = Lease()
        self._suspects = Suspects()
        self._settling: Settling = NoSettling(self._figures)
        self._acknowledger: Acknowledger | None = None
        if group is not None:
            self._acknowledger = Acknowledger(
                connect,
                make_backoff(connection),
                self._figures,
                group.encode(),
                (self.consumer or "").encode(),
            )
            self._settling = self._acknowledger
        handling = Handling(
            decode=decode,
            max_age_ms=max_age_ms,
            group=group,
            consumer=self.consumer,
            lease=self._lease,
            clock=self._clock,
            figures=self._figures,
            settling=self._settling,
        )
        self._runner = self._make_runner(handler, handling, direct=direct)
        self._keeper = GroupKeeper(
            connect,
            make_backoff(connection),
            self._figures,
            settings=settings,
            selection=selection,
            more_keys=() if group is None else (retry_key(group),),
            group=group,
            consumer=member,
            lease=self._lease,
            runner=self._runner,
            make_reader=self._make_reader,
            clock=self._clock,
        )
        self._closing = threading.Lock()
        self._closed = False

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(group={self.group!r}, consumer={self.consumer!r}, "
            f"{self._keeper.streams} streams, {self._runner.in_hand} in hand)"
        )

    # -- making ----------------------------------------------------------------------------------

    def _make_runner(
        self, handler: Callable[[StreamMessage], Any], handling: Handling, *, direct: bool
    ) -> Runner:
        if not callable(handler):
            raise ConfigurationError("handler", handler, "a function or coroutine function")
        settings = self._settings
        args = (handler, handling, settings, self._lease, self._clock)
        if direct:
            return DirectRunner(*args)
        is_async = inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
            getattr(handler, "__call__", None)  # noqa: B004 (an object with an asynchronous one)
        )
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if is_async and (settings.run_in == "threads" or loop is None):
            raise ConfigurationError(
                "handler",
                "a coroutine function",
                "a function where it is called in threads, or no event loop runs",
                "Subscribe from a coroutine, with `run_in` 'auto' or 'loop'",
            )
        if settings.run_in == "threads" or (settings.run_in == "auto" and loop is None):
            return ThreadRunner(settings.worker_settings(), *args)
        if loop is None:
            raise ConfigurationError(
                "run_in", "loop", "'threads' or 'auto' where no event loop runs"
            )
        return LoopRunner(loop, *args, is_async=is_async)

    def _make_reader(self) -> StreamReader:
        return StreamReader(
            self._connect,
            make_backoff(self._connection),
            self._figures,
            settings=self._settings,
            chooser=self._selection.chooser(),
            starts=self._starts,
            group=self.group,
            consumer=self.consumer,
            lease=self._lease,
            runner=self._runner,
            settling=self._settling,
            clock=self._clock,
            suspects=self._suspects,
            block_ms=self._connection.response_timeout_ms // 2,
        )

    # -- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to read."""
        if self._acknowledger is not None:
            self._acknowledger.start()
        self._keeper.start()

    @property
    def is_ready(self) -> bool:
        """Return whether all streams that there were are being read."""
        return self._keeper.is_ready

    def wait_until_ready(self, timeout_s: float = 5.0) -> bool:
        """
        Wait until what is published from now on is sure to be read.

        Returns
        -------
        bool
            Whether it is; False if the time was up, or it was closed.
        """
        until = time.monotonic() + timeout_s
        while not self.is_ready:
            if self._closed or time.monotonic() >= until:
                return False
            time.sleep(_LOOK_S)
        return True

    async def ready(self, timeout_s: float = 5.0) -> bool:
        """Do what `wait_until_ready` does without blocking the event loop."""
        return await asyncio.to_thread(self.wait_until_ready, timeout_s)

    def pause(self) -> None:
        """
        Call the handler no more, until `resume`.

        Streams are still this consumer's, and read until `max_in_hand` messages wait.
        """
        self._runner.pause()

    def resume(self) -> None:
        """Call the handler again."""
        self._runner.resume()

    @property
    def is_paused(self) -> bool:
        """Return whether `pause` was called last."""
        return self._runner.is_paused

    @property
    def is_closed(self) -> bool:
        """Return whether it was closed."""
        return self._closed

    def stop(self, timeout_s: float = DEFAULT_CLOSE_S) -> bool:
        """
        Read no more, finish what is in hand, and end; calling it twice is harmless.

        What is not finished within the time stays pending and is handed to another consumer of the
        group at once. Called on the event loop that runs the handler, it does not wait for it.

        Parameters
        ----------
        timeout_s : float, default 5.0
            Seconds to wait at most.

        Returns
        -------
        bool
            Whether all that was in hand was handled.
        """
        return self.end(time.monotonic() + timeout_s, waits=self.may_wait())

    def may_wait(self) -> bool:
        """Return whether the caller may wait for the handler: not on the loop that runs it."""
        return not (isinstance(self._runner, LoopRunner) and self._runner.is_on_loop())

    def end(self, until: float, *, waits: bool) -> bool:
        """
        Do what `stop` does, for a thread that others of the process do not wait for.

        Parameters
        ----------
        until : float
            When to give up, by the monotonic clock.
        waits : bool
            Whether to wait for what is in hand.

        Returns
        -------
        bool
            Whether all that was in hand was handled.
        """
        with self._closing:
            if self._closed:
                return not self._runner.in_hand
            self._closed = True
        readers = list(self._keeper.readers)
        for reader in readers:
            reader.ask_to_stop()
        for reader in readers:
            # One that waits for entries is not waited for.
            reader.stop(min(_READER_S, max(0.0, until - time.monotonic())))
        if waits and not self._runner.is_paused:
            self._runner.wait_until_idle(max(0.0, until - time.monotonic()))
        finished = not self._runner.in_hand
        self._runner.stop()
        if self._acknowledger is not None:
            self._acknowledger.stop(max(_TELLING_S, until - time.monotonic()))
        # Last, since it stays a member until all is told: then another one may take over.
        self._keeper.stop(_TELLING_S)
        # A reader that it made meanwhile.
        for reader in self._keeper.readers:
            reader.stop(0.0)
        self._on_closed(self)
        return finished

    async def close(self, timeout_s: float = DEFAULT_CLOSE_S) -> bool:
        """Do what `stop` does without blocking the event loop, which can finish what is in hand."""
        return await asyncio.to_thread(self.stop, timeout_s)

    # -- figures ---------------------------------------------------------------------------------

    def statistics(self) -> SubscriptionStatistics:
        """Return the figures of this subscription in this process."""
        counts = self._figures.counts
        names = SubscriptionStatistics.__struct_fields__
        return SubscriptionStatistics(
            group=self.group,
            consumer=self.consumer,
            streams=self._keeper.streams,
            members=self._lease.members,
            in_hand=self._runner.in_hand,
            workers=self._runner.workers,
            last_error=self._figures.last_error,
            last_failure=self._figures.last_failure,
            **{name: counts[name] for name in names if name in counts},
        )

    def server_time_ms(self) -> int | None:
        """Return the server's time, in milliseconds since the UNIX epoch; None if not known yet."""
        return self._lease.server_ms(self._clock.monotonic_ns())

    def health(self) -> HealthReport:
        """Return how the subscription is, why, and what to do about it."""
        return HealthReport(component="subscription", findings=tuple(self._findings()))

    def _findings(self) -> list[HealthFinding]:
        findings = []
        threads = [self._keeper, *self._keeper.readers]
        if self._acknowledger is not None:
            threads.append(self._acknowledger)
        if not self._closed and not all(thread.is_connected for thread in threads):
            findings.append(
                HealthFinding(
                    state=HealthState.UNHEALTHY,
                    reason=f"not connected: {self._figures.last_error or 'not yet'}",
                    remedy="see that the server can be reached; reading goes on when it answers",
                )
            )
        barred = sum(len(reader.barred) for reader in self._keeper.readers)
        if barred:
            findings.append(
                HealthFinding(
                    state=HealthState.UNHEALTHY,
                    reason=f"{barred:,} streams are refused: {self._figures.last_error}",
                    remedy="see what they are and what the login may do; each is tried once a "
                    "second, and others are read meanwhile",
                )
            )
        if self._acknowledger is not None and self._acknowledger.refused:
            findings.append(
                HealthFinding(
                    state=HealthState.UNHEALTHY,
                    reason=self._acknowledger.refused,
                    remedy="see what the server has against it; reading goes on until too many "
                    "are in hand",
                )
            )
        counts = self._figures.counts
        for name, reason, remedy in _TROUBLES:
            if counts[name]:
                findings.append(
                    HealthFinding(
                        state=HealthState.DEGRADED,
                        reason=reason.format(counts[name]),
                        remedy=remedy,
                    )
                )
        if self._runner.in_hand >= self._settings.max_in_hand:
            findings.append(
                HealthFinding(
                    state=HealthState.DEGRADED,
                    reason=f"{self._runner.in_hand:,} messages wait for the handler",
                    remedy="make the handler faster, use threads, or start another consumer",
                )
            )
        if self._keeper.is_crowded:
            findings.append(
                HealthFinding(
                    state=HealthState.DEGRADED,
                    reason=f"{self._keeper.streams:,} streams are too many for the readers",
                    remedy="raise `max_readers`, or start another consumer",
                )
            )
        return findings


_TROUBLES: Final = (
    ("dead_lettered", "{:,} messages are dead letters", "look at `nt-enhanced streams dlq list`"),
    ("given_up", "{:,} messages were given up", "use a `group`, which keeps dead letters"),
    (
        "trimmed_while_pending",
        "{:,} messages were removed before they were handled",
        "keep more in the streams, or handle faster",
    ),
    ("lost_leases", "{:,} times not heard of for too long", "raise `lease_ms`"),
)


def make_backoff(settings: ConnectionSettings) -> Backoff:
    """Return the pauses between attempts that the settings ask for."""
    return Backoff(settings.reconnect_min_ms / 1_000, settings.reconnect_max_ms / 1_000)


def runs_in_threads(settings: SubscriptionSettings | None) -> bool:
    """Return whether a handler that is subscribed here and now is called in threads."""
    if settings is not None and settings.run_in != "auto":
        return settings.run_in == "threads"
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False


def make_consumer_name() -> str:
    """Return a name that no other process has: host, process and a random part."""
    host = "".join(c if c.isalnum() or c in "-." else "-" for c in socket.gethostname())
    return f"{host[:64]}-{os.getpid()}-{secrets.token_hex(4)}"
