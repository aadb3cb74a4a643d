"""The client: publishes from any Python process, without NautilusTrader."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING
from typing import Any
from typing import Literal

import msgspec

from nautilus_enhanced.infrastructure.messagebus.clock import SystemClock
from nautilus_enhanced.infrastructure.messagebus.connection.backoff import Backoff
from nautilus_enhanced.infrastructure.messagebus.connection.connector import Connector
from nautilus_enhanced.infrastructure.messagebus.connection.urls import redact_url
from nautilus_enhanced.infrastructure.messagebus.errors import BufferFullError
from nautilus_enhanced.infrastructure.messagebus.errors import ClientClosedError
from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.errors import IndeterminateError
from nautilus_enhanced.infrastructure.messagebus.errors import NotAcceptedError
from nautilus_enhanced.infrastructure.messagebus.errors import NotConfirmedError
from nautilus_enhanced.infrastructure.messagebus.journal import open_journal
from nautilus_enhanced.infrastructure.messagebus.monitoring.figures import ClientFigures
from nautilus_enhanced.infrastructure.messagebus.monitoring.findings import client_findings
from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthReport
from nautilus_enhanced.infrastructure.messagebus.monitoring.meters import LatencyMeter
from nautilus_enhanced.infrastructure.messagebus.monitoring.metrics import ClientHealth
from nautilus_enhanced.infrastructure.messagebus.monitoring.metrics import ClientMetrics
from nautilus_enhanced.infrastructure.messagebus.monitoring.statistics import ClientStatistics
from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority
from nautilus_enhanced.infrastructure.messagebus.publishing.acknowledgement import ACK_LEVELS
from nautilus_enhanced.infrastructure.messagebus.publishing.acknowledgement import AckLevel
from nautilus_enhanced.infrastructure.messagebus.publishing.acknowledgement import Confirmer
from nautilus_enhanced.infrastructure.messagebus.publishing.buffers import FlushGoal
from nautilus_enhanced.infrastructure.messagebus.publishing.buffers import PriorityBuffers
from nautilus_enhanced.infrastructure.messagebus.publishing.overflow import GuardedPolicy
from nautilus_enhanced.infrastructure.messagebus.publishing.receipt import AwaitedReceipt
from nautilus_enhanced.infrastructure.messagebus.publishing.rules import PublishRules
from nautilus_enhanced.infrastructure.messagebus.publishing.trimming import TrimSettings
from nautilus_enhanced.infrastructure.messagebus.publishing.wakeup import IDLE
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import RouteTable
from nautilus_enhanced.infrastructure.messagebus.publishing.writer import StreamWriter
from nautilus_enhanced.infrastructure.messagebus.settings.connection import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import BufferSettings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import PrioritySettings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import PublishingSettings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import check_choice
from nautilus_enhanced.infrastructure.messagebus.settings.streams import StreamSettings


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from redis import CredentialProvider

    from nautilus_enhanced.infrastructure.messagebus.contracts import Clock
    from nautilus_enhanced.infrastructure.messagebus.contracts import OverflowPolicy
    from nautilus_enhanced.infrastructure.messagebus.publishing.lanes import Lane
    from nautilus_enhanced.infrastructure.messagebus.publishing.wire import StreamNaming
    from nautilus_enhanced.infrastructure.messagebus.settings.durability import DurabilitySettings


logger = logging.getLogger(__name__)

# The `encoding` field of an entry, in the words of the stock bus.
_ENCODING_NAMES = {"json": "Json", "msgpack": "MsgPack"}


class BufferedMessageBusClient:
    """
    Publish messages to Redis Streams: buffered in four lanes, written by a thread of its own.

    Order is kept within a lane and stream. While the server cannot be reached messages stay in
    their lanes, within their bounds, and the writer keeps trying. Every method may be called
    from any thread, the asynchronous ones from any event loop. A process that was forked
    publishes nothing: make a client of its own there.

    Parameters
    ----------
    url : str
        The server's URL, such as ``redis://localhost:6379/0``.
    naming : StreamNaming
        How streams are named.
    buffers : BufferSettings, optional
        Bounds and intervals of the lanes.
    priorities : PrioritySettings, optional
        The table from topics to priorities.
    publishing : PublishingSettings, optional
        What is kept back, and what is sampled.
    durability : DurabilitySettings, optional
        What outlives the process, and where it is kept.
    streams : StreamSettings, optional
        Bounds of a batch.
    connection : ConnectionSettings, optional
        How to reach the server, and time limits; its `url` is not used.
    credential_provider : redis.CredentialProvider, optional
        Asked for user and password at every connect, for example for a token that expires.
    encoding : {'json', 'msgpack'}, default 'json'
        What the entries' ``encoding`` field says, and how objects are encoded.
    autotrim_mins : int, optional
        Minutes for which entries are kept; each stream is trimmed at most once a minute.
    heartbeat_interval_secs : int, optional
        Seconds between messages on the topic ``health:heartbeat``.
    overflow : Mapping[MessagePriority, OverflowPolicy], optional
        Overflow policies of one's own, for the lanes that they are given for.
    clock : Clock, optional
        The clock.
    journal_path : Path, optional
        The file of the journal, instead of the one that `durability` and `naming` lead to.

    Raises
    ------
    ConfigurationError
        If the URL or another parameter is outside of what is allowed.
    """

    def __init__(
        self,
        url: str,
        *,
        naming: StreamNaming,
        buffers: BufferSettings | None = None,
        priorities: PrioritySettings | None = None,
        publishing: PublishingSettings | None = None,
        durability: DurabilitySettings | None = None,
        streams: StreamSettings | None = None,
        connection: ConnectionSettings | None = None,
        credential_provider: CredentialProvider | None = None,
        encoding: Literal["json", "msgpack"] = "json",
        autotrim_mins: int | None = None,
        heartbeat_interval_secs: int | None = None,
        overflow: Mapping[MessagePriority, OverflowPolicy] | None = None,
        clock: Clock | None = None,
        journal_path: Path | None = None,
    ) -> None:
        clock = clock or SystemClock()
        priorities = priorities or PrioritySettings()
        connection = connection or ConnectionSettings()
        self._streams = streams or StreamSettings()
        if self._streams.trimming is not None:
            raise ConfigurationError(
                "streams.trimming",
                "TrimmingSettings",
                "None for a client",
                "A node trims its streams by it; beside a client, start a StreamTrimmer",
            )
        self._url = url
        # A mistake in the URL is an error here, not one in the thread at each attempt.
        connector = Connector(url, connection, credential_provider)
        self._is_verified = connector.is_verified
        if not self._is_verified:
            logger.warning(
                "the certificate of %s is not verified: whoever sits in between can read and "
                "change everything",
                redact_url(url),
            )
        check_choice("encoding", encoding, _ENCODING_NAMES)
        self._encode = msgspec.msgpack.encode if encoding == "msgpack" else msgspec.json.encode
        self._settled = threading.Condition()
        self._waiters = 0
        self._closed = False
        self._pid = os.getpid()
        latency = LatencyMeter(clock)
        self._confirmer = Confirmer(
            connector.connect,
            self._streams.ack_replicas,
            # The connection must not take the wait for an answer that is not coming.
            min(self._streams.ack_timeout_ms, connection.response_timeout_ms // 2),
            clock,
        )
        buffers = buffers or BufferSettings()
        self._writer = StreamWriter(
            connect=connector.connect,
            routes=RouteTable(naming, _ENCODING_NAMES[encoding]),
            settings=self._streams,
            trim=TrimSettings(max_age_ms=autotrim_mins * 60_000 if autotrim_mins else None),
            backoff=Backoff(
                connection.reconnect_min_ms / 1_000, connection.reconnect_max_ms / 1_000
            ),
            clock=clock,
            on_settled=self._on_settled,
            heartbeat_interval_ns=(
                heartbeat_interval_secs and heartbeat_interval_secs * 1_000_000_000
            ),
            confirmer=self._confirmer,
            journal=open_journal(
                durability, buffers, naming, _ENCODING_NAMES[encoding], clock, path=journal_path
            ),
            release=self._release_held,
        )
        self._writer.journal.call_when_written(self._wake_waiters)
        policy = priorities.policy()
        self._buffers = PriorityBuffers(
            buffers,
            policy,
            self._writer.on_put,
            {priority: GuardedPolicy(policy) for priority, policy in (overflow or {}).items()},
            latency,
        )
        self._publish = self._buffers.publish
        self._rules: PublishRules | None = None
        if publishing is not None and publishing.rules:
            self._rules = PublishRules(
                publishing, policy, self._buffers.publish, self._writer.on_wait, clock
            )
            self._publish = self._rules.publish
        self._figures = ClientFigures(self._buffers, self._writer, self._rules, latency, clock)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({redact_url(self._url)}, {len(self._buffers)} queued, "
            f"{f'{self._rules!r}, ' if self._rules else ''}{self._writer!r})"
        )

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    # -- life ------------------------------------------------------------------------------------

    def start(self, wait_s: float = 1.0) -> bool:
        """
        Start the writer and wait for its first attempt to connect.

        The calling thread becomes the one that publishes without taking a lock.

        Parameters
        ----------
        wait_s : float, default 1.0
            Seconds to wait at most.

        Returns
        -------
        bool
            Whether the server answered. If it did not, the writer keeps trying.

        Raises
        ------
        LoginRefusedError
            If the server refused user or password; the client is closed then.
        ClientClosedError
            If the client was closed before.
        """
        self._launch()
        return self._wait_first_attempt(wait_s)

    def _launch(self) -> None:
        self._require_open()
        if not self._writer.is_alive:
            self._buffers.adopt()
            if self._rules is not None:
                self._rules.adopt()
            self._figures.note_start()
            self._writer.start(self._buffers)
            # Messages of a program that ends without closing are sent all the same.
            atexit.register(self.stop)

    def _wait_first_attempt(self, wait_s: float) -> bool:
        self._writer.wait_first_attempt(wait_s)
        refused = self._writer.login_refused
        if refused is not None:
            self.stop(0.0)
            raise refused
        return self._writer.is_connected

    def stop(self, timeout_s: float | None = None) -> None:
        """
        Send what is buffered, within a time limit, and end; calling it twice is harmless.

        Parameters
        ----------
        timeout_s : float, optional
            Seconds to wait for the server to confirm (default ``streams.close_timeout_ms``).
            What is not confirmed by then is counted as abandoned.
        """
        self._closed = True
        atexit.unregister(self.stop)
        if os.getpid() != self._pid:
            # The thread, the connection and the messages are those of the process that forked.
            return
        if self._rules is not None:
            self._rules.release_all()
        self._writer.close(
            self._streams.close_timeout_ms / 1_000 if timeout_s is None else timeout_s
        )
        self._writer.sweep(self._buffers)
        self._figures.note_stop()

    def save(self, timeout_s: float = 0.1) -> bool:
        """
        Write to the journal, now, what is buffered and not in the hands of the server.

        For a process that is about to end without closing. It waits for the disk, so it is for
        nothing else.

        Parameters
        ----------
        timeout_s : float, default 0.1
            Seconds to wait at most.

        Returns
        -------
        bool
            Whether all of it is written; False without a journal.
        """
        return self._writer.journal.save(timeout_s)

    async def connect(self, wait_s: float = 1.0) -> bool:
        """Do what `start` does without blocking the event loop."""
        # Here and not in the other thread: the caller's is the one that publishes.
        self._launch()
        return await asyncio.to_thread(self._wait_first_attempt, wait_s)

    async def close(self, timeout_s: float | None = None) -> None:
        """Do what `stop` does without blocking the event loop."""
        await asyncio.to_thread(self.stop, timeout_s)

    @property
    def url(self) -> str:
        """Return the server's URL, its password included."""
        return self._url

    @property
    def is_verified(self) -> bool:
        """Return False if TLS is asked for without verification of the certificate."""
        return self._is_verified

    @property
    def is_closed(self) -> bool:
        """Return whether the client was closed."""
        return self._closed

    # -- publishing ------------------------------------------------------------------------------

    def offer(self, topic: str, payload: bytes) -> bool:
        """
        Take a serialized message; never blocks, never raises.

        Returns
        -------
        bool
            False if its lane was full and refused it, or the client is closed. What a publishing
            rule keeps back is taken care of: True.
        """
        if self._closed:
            return False
        taken = self._publish(topic, payload)
        if self._closed:
            # Closed meanwhile: the writer may have taken its last look before.
            self._writer.sweep(self._buffers)
        return taken

    def publish_nowait(
        self,
        topic: str,
        message: Any,
        *,
        priority: MessagePriority | None = None,
    ) -> None:
        """
        Buffer a message.

        Parameters
        ----------
        topic : str
            The topic.
        message : Any
            The serialized message as bytes, or an object that msgspec can encode.
        priority : MessagePriority, optional
            The lane to use instead of the topic's own.

        Raises
        ------
        BufferFullError
            If the lane is full and refuses.
        ClientClosedError
            If the client is closed.
        """
        self._put(topic, message, priority, None)

    async def publish(
        self,
        topic: str,
        message: Any,
        *,
        priority: MessagePriority | None = None,
        ack: AckLevel = "buffered",
    ) -> None:
        """
        Publish a message and wait for the acknowledgement asked for.

        Cancelling stops the waiting; the message is sent all the same.

        Parameters
        ----------
        topic : str
            The topic.
        message : Any
            The serialized message as bytes, or an object that msgspec can encode.
        priority : MessagePriority, optional
            The lane to use instead of the topic's own.
        ack : {'buffered', 'accepted', 'replicated', 'fsynced'}, default 'buffered'
            ``buffered`` returns once the message is in its lane, ``accepted`` once the server
            has it in its stream, ``replicated`` once ``streams.ack_replicas`` replicas have it
            too, ``fsynced`` once it is on the server's disk, or on this machine's where the lane's
            durability is ``always`` with `fsync`.

        Raises
        ------
        BufferFullError
            If the lane is full and refuses.
        ClientClosedError
            If the client is closed.
        ConfigurationError
            If `ack` is none of the levels.
        AckUnavailableError
            If the server cannot give the level; nothing was sent then.
        NotAcceptedError
            If the message will never reach the server.
        IndeterminateError
            If the message may or may not be in its stream, and nobody can know.
        NotConfirmedError
            If the message is in its stream, but ``replicated`` or ``fsynced`` was not given.
        """
        check_choice("ack", ack, ACK_LEVELS)
        if ack == "buffered":
            self._put(topic, message, priority, None)
            return
        if self._rules is not None and self._rules.keeps_back(topic, priority):
            raise NotAcceptedError(f"a publishing rule keeps back all messages on {topic!r}")
        journal, lane = self._writer.journal, self._buffers.lane_of(topic, priority)
        if ack == "fsynced" and journal.is_synced(lane):
            unwritten = journal.unwritten
            self._put(topic, message, priority, None)
            await self._wait_for_journal(lane, lane.published, unwritten)
            return
        if ack != "accepted":
            await asyncio.to_thread(self._confirmer.require, ack)
        receipt = AwaitedReceipt(
            None if ack == "accepted" else partial(self._writer.confirmations.add, ack)
        )
        self._put(topic, message, priority, receipt.settle)
        accepted, problem = await receipt.fate()
        if accepted is None:
            raise IndeterminateError(
                f"the message on {topic!r} was sent to {redact_url(self._url)}, or is left in the "
                "journal to the next process, and may or may not be in its stream: "
                f"{self._writer.last_error or 'the client was closed'}"
            )
        if not accepted:
            raise NotAcceptedError(
                f"the message on {topic!r} did not reach {redact_url(self._url)}: "
                f"{self._writer.last_error or 'it was dropped or the client was closed'}",
            )
        if ack != "accepted" and problem:
            self._confirmer.doubt(ack)
            raise NotConfirmedError(
                f"the message on {topic!r} is in its stream, but not surely {ack}: {problem}"
            )

    async def _wait_for_journal(self, lane: Lane, published: int, unwritten: int) -> None:
        """
        Wait until the first `published` messages of a lane are on this machine's disk.

        Raises
        ------
        NotConfirmedError
            If they could not be written, or not in time; they are sent all the same.
        """
        journal = self._writer.journal
        is_written = await asyncio.to_thread(
            self._wait_until,
            lambda: journal.has_written(lane, published),
            self._streams.ack_timeout_ms / 1_000,
        )
        if not is_written or journal.unwritten != unwritten:
            raise NotConfirmedError(
                "the message is on its way, but not surely on the disk of this machine: see the "
                "journal in `health()`"
            )

    def flush_blocking(self, timeout_s: float) -> bool:
        """
        Wait until the fate of everything published so far is known.

        What a publishing rule holds until its interval ends is not waited for.

        Parameters
        ----------
        timeout_s : float
            Seconds to wait at most.

        Returns
        -------
        bool
            Whether it is; False if the time was up.
        """
        goals = [FlushGoal(lane) for lane in self._buffers.lanes]
        return self._wait_until(lambda: all(goal.is_reached for goal in goals), timeout_s)

    def _wait_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for something that the writer or the journal's keeper brings about."""
        with self._settled:
            self._waiters += 1
            try:
                return self._settled.wait_for(condition, timeout_s)
            finally:
                self._waiters -= 1

    async def flush(self, timeout_s: float = 5.0) -> bool:
        """Do what `flush_blocking` does without blocking the event loop."""
        return await asyncio.to_thread(self.flush_blocking, timeout_s)

    def _put(
        self,
        topic: str,
        message: Any,
        priority: MessagePriority | None,
        receipt: Any,
    ) -> None:
        self._require_open()
        payload = (
            bytes(message)
            if isinstance(message, bytes | bytearray | memoryview)
            else self._encode(message)
        )
        taken = self._publish(topic, payload, priority, receipt)
        if self._closed:
            self._writer.sweep(self._buffers)
        if not taken:
            raise BufferFullError(
                f"the lane of {topic!r} is full: publish more slowly, or enlarge "
                "`max_messages` or `max_bytes` of its lane",
            )

    def _require_open(self) -> None:
        if self._closed:
            raise ClientClosedError("the client is closed: make a new one")

    def _release_held(self) -> int:
        return IDLE if self._rules is None else self._rules.release()

    def _on_settled(self) -> None:
        self._figures.note_settled()
        self._wake_waiters()

    def _wake_waiters(self) -> None:
        # Reading the number without the lock is enough: a waiter that comes later looks itself.
        if self._waiters:
            with self._settled:
                self._settled.notify_all()

    # -- figures ---------------------------------------------------------------------------------

    def statistics(self) -> ClientStatistics:
        """Return the figures of the lanes and the writer."""
        return self._figures.statistics()

    def get_metrics(self) -> ClientMetrics:
        """
        Return rates, latencies and how full the lanes are, under the names of `ClientMetrics`.

        Any thread may ask at any time; it costs some microseconds.
        """
        return self._figures.metrics()

    def health_check(self) -> ClientHealth:
        """Return how the client is in a few figures, under the names of `ClientHealth`."""
        return self._figures.health(self.health().state)

    def health(self) -> HealthReport:
        """Return how the client is, why, and what to do about it."""
        return HealthReport(
            component="publisher",
            findings=tuple(
                client_findings(
                    self.statistics(),
                    redact_url(self._url),
                    running=self._writer.is_alive,
                    closed=self._closed,
                )
            ),
        )
