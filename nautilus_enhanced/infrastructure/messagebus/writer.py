"""
The thread that carries the lanes' messages to the server.

It decides nothing by itself: `delivery` says what to send and what an answer means, the lanes
say what is due. It owns the connection, waits, and keeps the one batch in flight until its fate
is known, across any number of connections.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from datetime import UTC
from datetime import datetime
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.backoff import Backoff
from nautilus_enhanced.infrastructure.messagebus.delivery import Batch
from nautilus_enhanced.infrastructure.messagebus.delivery import Fate
from nautilus_enhanced.infrastructure.messagebus.delivery import TrimSettings
from nautilus_enhanced.infrastructure.messagebus.delivery import first_error
from nautilus_enhanced.infrastructure.messagebus.delivery import found_entries
from nautilus_enhanced.infrastructure.messagebus.delivery import plan_batch
from nautilus_enhanced.infrastructure.messagebus.errors import LoginRefusedError
from nautilus_enhanced.infrastructure.messagebus.errors import ServerError
from nautilus_enhanced.infrastructure.messagebus.wakeup import IDLE
from nautilus_enhanced.infrastructure.messagebus.wakeup import Doorbell
from nautilus_enhanced.infrastructure.messagebus.wire import HEARTBEAT_TOPIC
from nautilus_enhanced.infrastructure.messagebus.wire import parse_entry_id


if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_enhanced.infrastructure.messagebus.connection import ServerConnection
    from nautilus_enhanced.infrastructure.messagebus.contracts import Clock
    from nautilus_enhanced.infrastructure.messagebus.lanes import Lane
    from nautilus_enhanced.infrastructure.messagebus.lanes import PriorityBuffers
    from nautilus_enhanced.infrastructure.messagebus.settings import StreamSettings
    from nautilus_enhanced.infrastructure.messagebus.wire import RouteTable


logger = logging.getLogger(__name__)

# How long an idle connection is trusted.
_IDLE_NS: Final = 5_000_000_000
# How long to give the server to drop an old connection that it did not let us kill.
_WAIT_OUT_S: Final = 1.0
# How long closing waits, beyond its time limit, for the thread to notice.
_ABORT_S: Final = 1.0
_NS: Final = 1_000_000_000


class StreamWriter:
    """
    Send what the lanes hold, in order, exactly once, until closed.

    Parameters
    ----------
    connect : Callable[[], ServerConnection]
        Makes a connection, not yet opened.
    routes : RouteTable
        Finds stream and command of a topic.
    settings : StreamSettings
        Bounds of a batch.
    trim : TrimSettings
        How long entries are kept.
    backoff : Backoff
        The pauses between attempts to connect.
    clock : Clock
        The clock.
    on_settled : Callable[[], None]
        Called on the writer's thread when the fate of messages was decided.
    heartbeat_interval_ns : int, optional
        Nanoseconds between heartbeats; none without.
    """

    def __init__(
        self,
        *,
        connect: Callable[[], ServerConnection],
        routes: RouteTable,
        settings: StreamSettings,
        trim: TrimSettings,
        backoff: Backoff,
        clock: Clock,
        on_settled: Callable[[], None],
        heartbeat_interval_ns: int | None = None,
    ) -> None:
        self._connect = connect
        self._routes = routes
        self._settings = settings
        self._trim = trim
        self._backoff = backoff
        self._clock = clock
        self._on_settled = on_settled
        self._heartbeat_interval_ns = heartbeat_interval_ns
        self._heartbeat_at_ns = clock.monotonic_ns()
        self._buffers: PriorityBuffers | None = None
        self._bell = Doorbell()
        self.on_put = self._bell.on_put
        self._closing = threading.Event()
        self._abort = threading.Event()
        self._first_attempt = threading.Event()
        self._ended = False
        self._ending = threading.Lock()
        self._connection: ServerConnection | None = None
        self._answered = False
        self._previous: tuple[bytes, int] | None = None
        self._in_flight = Batch()
        self._must_recover = False
        self._flushed_at: dict[Lane, int] = {}
        self._thread = threading.Thread(target=self._run, name="nt-enhanced-writer", daemon=True)
        self.counts: Counter[str] = Counter()
        self.last_error = ""
        self.crash = ""
        self.login_refused: LoginRefusedError | None = None
        self.retrying_since_ns = 0

    def __repr__(self) -> str:
        state = "connected" if self.is_connected else "not connected"
        return f"{type(self).__name__}({state}, in_flight={len(self._in_flight)})"

    @property
    def is_connected(self) -> bool:
        """Return whether there is a connection that answered."""
        return self._answered

    @property
    def in_flight(self) -> int:
        """Return the number of messages sent and not yet confirmed."""
        return len(self._in_flight)

    @property
    def bytes_sent(self) -> int:
        """Return the bytes written to all connections so far."""
        connection = self._connection
        return self.counts["bytes_sent"] + (connection.bytes_sent if connection else 0)

    @property
    def retrying_ms(self) -> int:
        """Return for how long the server has refused the batch in flight; 0 if it does not."""
        since_ns = self.retrying_since_ns
        return since_ns and (self._clock.monotonic_ns() - since_ns) // 1_000_000 + 1

    @property
    def is_alive(self) -> bool:
        """Return whether the thread runs."""
        return self._thread.is_alive()

    def start(self, buffers: PriorityBuffers) -> None:
        """Start the thread; it connects and serves `buffers` from now on."""
        self._buffers = buffers
        self._thread.start()

    def wait_first_attempt(self, timeout_s: float) -> bool:
        """Wait until the first attempt to connect has ended; return whether it has."""
        return self._first_attempt.wait(timeout_s)

    def close(self, timeout_s: float) -> None:
        """
        Send what is left, within `timeout_s` seconds, and end the thread.

        What is not confirmed by then is abandoned and counted. Calling it twice is harmless.
        """
        self._closing.set()
        self._bell.ring()
        if not self._thread.is_alive():
            return
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self._abort.set()
            connection = self._connection
            if connection is not None:
                connection.shutdown()
            self._bell.ring()
            self._thread.join(_ABORT_S)

    def sweep(self, buffers: PriorityBuffers) -> None:
        """Abandon what was put while, or after, the writer ended; harmless before."""
        if not self._ended and self._thread.ident is not None:
            return
        with self._ending:
            for lane in buffers.lanes:
                lane.abandon()

    # -- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        buffers = self._buffers
        assert buffers is not None  # noqa: S101 (set by start)
        try:
            while not self._abort.is_set():
                if not self._answered and self._closing.is_set() and not self._pending:
                    break
                try:
                    if not self._answered:
                        self._establish()
                    elif not self._serve(buffers):
                        break
                except ServerError as error:
                    self.counts["connect_failures"] += not self._answered
                    self._disconnected(error)
                    self._pause(self._backoff.failed())
                except Exception as error:
                    # A mistake of ours. Without the thread nothing would be published any more,
                    # so it goes on, without the messages that brought it about.
                    logger.exception("the writer failed; the batch in flight is abandoned")
                    self.crash = f"{type(error).__name__}: {error}"
                    self._disconnected(error)
                    self._abandon_batch()
                    self._pause(self._backoff.failed())
        finally:
            self._drop_connection()
            self._first_attempt.set()
            self._abandon_batch()
            # Say so first and abandon second: whoever puts later, sweeps.
            self._ended = True
            self.sweep(buffers)
            self._on_settled()

    def _establish(self) -> None:
        """Make one attempt to connect and to settle what was in flight."""
        # Known before it is open, so that closing can cut off the wait for an answer.
        connection = self._connection = self._connect()
        connection.open()
        if self._must_recover:
            self._recover(connection)
        self.counts["connects"] += 1
        self.login_refused = None
        self._previous = (connection.run_id, connection.client_id or 0)
        self._answered = True
        self._first_attempt.set()

    @property
    def _pending(self) -> bool:
        buffers = self._buffers
        return bool(self._in_flight) or bool(buffers is not None and len(buffers))

    def _serve(self, buffers: PriorityBuffers) -> bool:
        """Send one batch or wait for one; return False when closing and nothing is left."""
        self._beat(buffers)
        if not self._in_flight:
            self._take_batch(buffers)
        if self._in_flight:
            self._deliver(self._in_flight)
            self._on_settled()
            return True
        if self._closing.is_set():
            return False
        self._wait(buffers)
        return True

    def _beat(self, buffers: PriorityBuffers) -> None:
        """Publish the heartbeat when it is due, as the stock bus does."""
        interval_ns = self._heartbeat_interval_ns
        if interval_ns is None or self._clock.monotonic_ns() < self._heartbeat_at_ns:
            return
        self._heartbeat_at_ns = self._clock.monotonic_ns() + interval_ns
        now = datetime.fromtimestamp(self._clock.time_ns() / _NS, tz=UTC)
        buffers.publish(HEARTBEAT_TOPIC, now.isoformat().encode())

    def _take_batch(self, buffers: PriorityBuffers) -> None:
        """Take what is due from the lanes; it is in flight from now on."""
        now_ns = self._clock.monotonic_ns()
        due = [len(lane) if self._is_due(lane, now_ns) else 0 for lane in buffers.lanes]
        if not any(due):
            return
        self._routes.forget_if_full()
        batch = self._in_flight = Batch()
        bytes_left = self._settings.batch_bytes
        shares = plan_batch(due, self._settings.batch_messages)
        for lane, waiting, share in zip(buffers.lanes, due, shares, strict=True):
            if share == 0:
                continue
            # At least one, however large those of the lanes before it: else it would starve.
            taken = lane.take(share, max(bytes_left, 1))
            if len(taken) == waiting:
                # Only a lane that was emptied begins a new interval.
                self._flushed_at[lane] = now_ns
            for topic, payload, receipt in taken:
                batch.add(self._routes.route(topic), payload, lane, receipt)
                bytes_left -= len(payload)

    def _is_due(self, lane: Lane, now_ns: int) -> bool:
        waiting = len(lane)
        return waiting > 0 and (
            lane.is_urgent
            or waiting >= lane.half_full
            or self._closing.is_set()
            or now_ns >= self._flushed_at.get(lane, 0) + lane.flush_interval_ns
        )

    def _deliver(self, batch: Batch) -> None:
        """Send the batch in flight and settle the fate of its messages."""
        connection = self._connection
        assert connection is not None  # noqa: S101 (the caller looked)
        unknown = batch.unknown_streams()
        if unknown:
            keys = [stream.key for stream in unknown]
            for stream, last_id in zip(unknown, connection.last_ids(keys), strict=True):
                stream.last_id = parse_entry_id(last_id)
        now_ms = self._clock.time_ns() // 1_000_000
        batch.number(now_ms)
        commands, answers = batch.encode()
        # From here on, until it is answered, the batch may be in the streams.
        self._must_recover = True
        received = connection.exchange(commands, answers)
        self._must_recover = False
        fates = batch.fates(received)
        accepted, again, never = batch.split(fates)
        self._in_flight = again
        accepted.settle(accepted=True)
        never.settle(accepted=False)
        if not again:
            self.counts["batches"] += 1
            self.retrying_since_ns = 0
            self._backoff.succeeded()
        trims = self._trim.due(accepted, self._clock.monotonic_ns(), now_ms)
        if trims:
            connection.exchange(b"".join(trims), len(trims))
        if again or never:
            self._note_refusals(fates, received)

    def _note_refusals(self, fates: list[Fate], answers: list[Any]) -> None:
        refused = Counter(fates)
        self.last_error = first_error(answers)
        self.counts["renumbered"] += len(self._in_flight)
        self.counts["second_writer"] += refused[Fate.BEHIND]
        if refused[Fate.LATER] or refused[Fate.BEHIND]:
            self.retrying_since_ns = self.retrying_since_ns or self._clock.monotonic_ns()
            self._on_settled()
            self._pause(self._backoff.failed())

    def _recover(self, connection: ServerConnection) -> None:
        """Settle the batch that was in flight when the last connection broke."""
        if self._previous is not None:
            run_id, client_id = self._previous
            # A server that was restarted numbers its clients anew: killing by the old number
            # would hit somebody else. And if it was restarted, the old connection is gone.
            same_server = connection.run_id == run_id
            surely_gone = run_id and not same_server
            if same_server and run_id and client_id:
                surely_gone = connection.kill_client(client_id)
            if not surely_gone:
                self._pause(_WAIT_OUT_S)
        queries = self._in_flight.recovery_queries()
        answers = connection.exchange(b"".join(query for _, query in queries), len(queries))
        found = {
            key: found_entries(answer) for (key, _), answer in zip(queries, answers, strict=True)
        }
        present, missing = self._in_flight.without(found)
        self._in_flight = missing
        self._must_recover = False
        present.settle(accepted=True)
        self.counts["found_after_reconnect"] += len(present)
        self.counts["resent"] += len(missing)
        self._on_settled()

    def _wait(self, buffers: PriorityBuffers) -> None:
        """Sleep until a lane is due, a put wakes the writer, or the connection needs a look."""
        # First hang up the bell and then look, as `Doorbell` asks for.
        sleeps_ns = min(
            (lane.flush_interval_ns for lane in buffers.lanes if len(lane)), default=IDLE
        )
        sleeps_ns = max(1, sleeps_ns)
        self._bell.hang_up(sleeps_ns)
        now_ns = self._clock.monotonic_ns()
        waits = [
            self._flushed_at.get(lane, 0) + lane.flush_interval_ns - now_ns
            for lane in buffers.lanes
            if len(lane)
        ]
        if self._heartbeat_interval_ns is not None:
            waits.append(self._heartbeat_at_ns - now_ns)
        # Never longer than was said: a lane may have been emptied since, by a thread that drops
        # its oldest and is about to append.
        timeout_ns = min(*waits, sleeps_ns, _IDLE_NS)
        if any(self._is_due(lane, now_ns) for lane in buffers.lanes) or self._closing.is_set():
            timeout_ns = 0
        woken = timeout_ns <= 0 or self._bell.sleep(timeout_ns / _NS)
        self._bell.take_down()
        if not woken and not len(buffers):
            # Nothing to send for a while: find out whether the server is still there.
            assert self._connection is not None  # noqa: S101 (`_run` looked)
            self._connection.ping()

    def _pause(self, pause_s: float) -> None:
        """Wait without listening to the lanes; closing does not cut the pause short."""
        self._abort.wait(pause_s)

    def _disconnected(self, error: Exception) -> None:
        self.last_error = str(error) or type(error).__name__
        if isinstance(error, LoginRefusedError):
            self.login_refused = error
        self._drop_connection()
        self._first_attempt.set()

    def _abandon_batch(self) -> None:
        batch, self._in_flight = self._in_flight, Batch()
        self._must_recover = False
        batch.abandon()
        for lane in self._buffers.lanes if self._buffers else ():
            lane.write_off()

    def _drop_connection(self) -> None:
        self._answered = False
        connection, self._connection = self._connection, None
        if connection is not None:
            self.counts["bytes_sent"] += connection.bytes_sent
            connection.close()
