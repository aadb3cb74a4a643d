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
from contextlib import contextmanager
from datetime import UTC
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.connection.backoff import Backoff
from nautilus_enhanced.infrastructure.messagebus.errors import LoginRefusedError
from nautilus_enhanced.infrastructure.messagebus.errors import ServerError
from nautilus_enhanced.infrastructure.messagebus.errors import ServerUnreachableError
from nautilus_enhanced.infrastructure.messagebus.journal.access import NoJournal
from nautilus_enhanced.infrastructure.messagebus.publishing import evidence
from nautilus_enhanced.infrastructure.messagebus.publishing.acknowledgement import Confirmations
from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import DEMOTED_CODES
from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import Batch
from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import Fate
from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import found_entries
from nautilus_enhanced.infrastructure.messagebus.publishing.evidence import Verdict
from nautilus_enhanced.infrastructure.messagebus.publishing.outbox import Outbox
from nautilus_enhanced.infrastructure.messagebus.publishing.trimming import TrimSettings
from nautilus_enhanced.infrastructure.messagebus.publishing.wakeup import IDLE
from nautilus_enhanced.infrastructure.messagebus.publishing.wakeup import Doorbell
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import HEARTBEAT_TOPIC
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import parse_entry_id
from nautilus_enhanced.infrastructure.messagebus.streams.registry import announcement


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator

    from nautilus_enhanced.infrastructure.messagebus.connection.connection import Identity
    from nautilus_enhanced.infrastructure.messagebus.connection.connector import BusConnection
    from nautilus_enhanced.infrastructure.messagebus.contracts import Clock
    from nautilus_enhanced.infrastructure.messagebus.publishing.acknowledgement import Confirmer
    from nautilus_enhanced.infrastructure.messagebus.publishing.buffers import PriorityBuffers
    from nautilus_enhanced.infrastructure.messagebus.publishing.wire import RouteTable
    from nautilus_enhanced.infrastructure.messagebus.settings.streams import StreamSettings


logger = logging.getLogger(__name__)

# How long an idle connection is trusted.
_IDLE_NS: Final = 5_000_000_000
# How long to give the server to drop an old connection that it did not let us kill.
_WAIT_OUT_S: Final = 1.0
# How long closing waits, beyond its time limit, for the thread to notice.
_ABORT_S: Final = 1.0
_MADE_ANEW: Final = "the connection broke, and was made anew"
_NS: Final = 1_000_000_000


class StreamWriter:
    """
    Send what the lanes hold, in order, exactly once, until closed.

    Parameters
    ----------
    connect : Callable[[], BusConnection]
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
    confirmer : Confirmer, optional
        Knows how to ask for acknowledgements beyond ``accepted``.
    journal : Journal, optional
        What must outlive the process is written there before it is sent.
    release : Callable[[], int], optional
        Called on the writer's thread before it looks at the lanes: puts into them what was held
        back and is due now, and returns nanoseconds until there is more.
    """

    def __init__(
        self,
        *,
        connect: Callable[[], BusConnection],
        routes: RouteTable,
        settings: StreamSettings,
        trim: TrimSettings,
        backoff: Backoff,
        clock: Clock,
        on_settled: Callable[[], None],
        heartbeat_interval_ns: int | None = None,
        confirmer: Confirmer | None = None,
        journal: NoJournal | None = None,
        release: Callable[[], int] = lambda: IDLE,
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
        self._release = release
        self._journal = journal or NoJournal()
        self.confirmations = Confirmations(confirmer)
        self._buffers: PriorityBuffers | None = None
        self._outbox: Outbox | None = None
        self._bell = Doorbell()
        self.on_put = self._journal.wrap(self._bell.on_put)
        self.on_wait = self._bell.on_wait
        self._closing = threading.Event()
        self._abort = threading.Event()
        self._first_attempt = threading.Event()
        self._ended = False
        self._ending = threading.Lock()
        self._connection: BusConnection | None = None
        self._answered = False
        self._previous: Identity | None = None
        self._in_flight = Batch()
        self._must_recover = False
        self._thread = threading.Thread(target=self._run, name="nt-enhanced-writer", daemon=True)
        self.counts: Counter[str] = Counter()
        self.last_error = ""
        self.crash = ""
        self.last_rejection = ""
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
        """Return the number of messages that were taken from their lanes and are not confirmed."""
        # Not what the two batches hold: between them a message is in neither for a moment. What
        # is settled first, so that it is never less than there are.
        lanes = () if self._buffers is None else self._buffers.lanes
        elsewhere = sum(lane.settled + lane.journaled for lane in lanes)
        return max(0, sum(lane.taken for lane in lanes) - elsewhere)

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
    def journal(self) -> NoJournal:
        """Return the journal, or what stands for none."""
        return self._journal

    @property
    def is_alive(self) -> bool:
        """Return whether the thread runs."""
        return self._thread.is_alive()

    def start(self, buffers: PriorityBuffers) -> None:
        """Start the thread; it connects and serves `buffers` from now on."""
        self._buffers = buffers
        sources = self._journal.attach(buffers)
        self._outbox = Outbox(sources, self._routes, self._settings)
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
            self._journal.open(self._wait_for_journal)
            self._take_over()
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
            self._journal.finish(self._in_hand)
            self._leave_batch()
            self.confirmations.give_up("the client was closed")
            # Say so first and abandon second: whoever puts later, sweeps.
            self._ended = True
            self.sweep(buffers)
            self._journal.close()
            self._on_settled()

    def _wait_for_journal(self, pause_s: float) -> bool:
        """Wait for another process to let go of the journal; return whether not to go on."""
        return self._abort.wait(pause_s) or self._closing.is_set()

    def _take_over(self) -> None:
        """Go on where an earlier process was stopped."""
        recovered = self._journal.recovered(self._routes)
        outbox = self._outbox
        assert outbox is not None  # noqa: S101 (set by start)
        self._in_flight = recovered.in_flight
        outbox.restore(recovered.unsent)
        if self._in_flight:
            # It may have been sent, over a connection that may still be open.
            self._must_recover = True
            self._previous = recovered.identity or ()

    @property
    def _in_hand(self) -> tuple[Batch, Batch]:
        """Return what was taken from the lanes: in flight, and next."""
        outbox = self._outbox
        return self._in_flight, Batch() if outbox is None else outbox.prepared

    def _establish(self) -> None:
        """Make one attempt to connect and to settle what was in flight."""
        # Known before it is open, so that closing can cut off the wait for an answer.
        connection = self._connection = self._connect()
        connection.open()
        if self._must_recover:
            self._recover(connection)
        self.counts["connects"] += 1
        self.login_refused = None
        self._answered = True
        self._journal.connected()
        self._first_attempt.set()

    @property
    def _pending(self) -> bool:
        outbox = self._outbox
        return bool(self._in_flight) or bool(outbox is not None and not outbox.is_empty)

    def _serve(self, buffers: PriorityBuffers) -> bool:
        """Send one batch or wait for one; return False when closing and nothing is left."""
        self._beat(buffers)
        outbox = self._outbox
        assert outbox is not None  # noqa: S101 (set by start)
        outbox.is_closing = self._closing.is_set()
        if not self._in_flight:
            self._release()
            self._in_flight = outbox.take(self._clock.monotonic_ns())
        if self._in_flight:
            with self._away():
                self._deliver(self._in_flight, outbox)
            self._on_settled()
            return True
        if self._closing.is_set():
            return False
        self._wait(buffers, outbox)
        return True

    def _beat(self, buffers: PriorityBuffers) -> None:
        """Publish the heartbeat when it is due, as the stock bus does."""
        interval_ns = self._heartbeat_interval_ns
        if interval_ns is None or self._clock.monotonic_ns() < self._heartbeat_at_ns:
            return
        self._heartbeat_at_ns = self._clock.monotonic_ns() + interval_ns
        now = datetime.fromtimestamp(self._clock.time_ns() / _NS, tz=UTC)
        buffers.publish(HEARTBEAT_TOPIC, now.isoformat().encode())

    def _deliver(self, batch: Batch, outbox: Outbox) -> None:
        """Send the batch in flight, prepare the next one, and settle the fate of the messages."""
        connection = self._connection
        assert connection is not None  # noqa: S101 (the caller looked)
        # A batch that has its IDs needs no others.
        unknown = [] if batch.ids else batch.unknown_streams()
        if unknown:
            keys = [stream.key for stream in unknown]
            # Before their last IDs, so that they are told again if this connection breaks. That
            # the server may refuse it is no trouble of the messages.
            connection.ask(announcement(keys, self._clock.time_ns() // 1_000_000))
            for stream, last_id in zip(unknown, connection.last_ids(keys), strict=True):
                stream.last_id = parse_entry_id(last_id)
        now_ms = self._clock.time_ns() // 1_000_000
        batch.number(now_ms)
        connection.make_ready(batch)
        self._journal.note(self._in_hand, connection.identity)
        # From here on, until it is answered, the batch may be in the streams.
        self._must_recover = True
        fates, error = connection.deliver(batch, partial(self._prepare, outbox, connection, now_ms))
        self._must_recover = False
        accepted, again, never = batch.split(fates)
        if again or never:
            # Before anybody is told, who will ask why.
            self.last_error = error
        if never:
            self.last_rejection = error
        self._in_flight = again
        self._settle(accepted, accepted=True)
        # What was sent before, and not answered, may be in its stream though it is refused now.
        self._settle(never, accepted=None if batch.is_resent else False)
        if again:
            outbox.renumber()
            if batch.is_resent and Fate.BEHIND in fates:
                self._look(connection)
        if not self._in_flight:
            self.counts["batches"] += 1
            self.retrying_since_ns = 0
            self._backoff.succeeded()
        if self.confirmations:
            self.confirmations.fetch(connection)
        trims = self._trim.due(accepted, self._clock.monotonic_ns(), now_ms)
        if trims:
            connection.ask(trims)
        if again or never:
            self._note_refusals(fates)

    def _settle(self, batch: Batch, *, accepted: bool | None) -> None:
        """Say what became of messages: first to the journal, which must not send them again."""
        self._journal.settled(batch)
        batch.settle(accepted=accepted)

    def _prepare(self, outbox: Outbox, connection: BusConnection, now_ms: int) -> None:
        """Make the batch after the one in flight, while the server works on that."""
        self._release()
        try:
            outbox.prepare(self._clock.monotonic_ns(), now_ms, connection.make_ready)
            self._journal.note(self._in_hand, connection.identity)
        except Exception as error:
            # A mistake of ours again, and none of the batch in flight.
            logger.exception("the writer failed; the batch that was made is abandoned")
            self.crash = f"{type(error).__name__}: {error}"
            self._journal.settled(outbox.prepared)
            outbox.abandon()

    def _look(self, connection: BusConnection) -> None:
        """Find out about what was sent twice and refused, because its stream is past its IDs."""
        batch = self._in_flight
        verdicts = evidence.verdicts(batch, connection.ask(evidence.queries(batch)))
        present, never_there, unknown = (
            batch.select([one is verdict for one in verdicts]) for verdict in Verdict
        )
        # Those that never were in their stream get new IDs.
        self._in_flight = never_there
        self._settle(present, accepted=True)
        self.confirmations.give_up(_MADE_ANEW)
        self._settle(unknown, accepted=None)
        self.counts["found_after_reconnect"] += len(present)

    def _note_refusals(self, fates: list[Fate]) -> None:
        refused = Counter(fates)
        if not self._in_flight.ids:
            self.counts["renumbered"] += len(self._in_flight)
        # What was found or given up was not taken by anybody else.
        self.counts["second_writer"] += min(refused[Fate.BEHIND], len(self._in_flight))
        if not self._in_flight:
            return
        if refused[Fate.LATER] or refused[Fate.BEHIND]:
            self.retrying_since_ns = self.retrying_since_ns or self._clock.monotonic_ns()
            self._on_settled()
            if self.last_error.startswith(DEMOTED_CODES):
                # The master is another server now: a new connection finds it.
                raise ServerUnreachableError(self.last_error)
            self._pause(self._backoff.failed())

    def _recover(self, connection: BusConnection) -> None:
        """Settle the batch that was in flight when the last connection broke."""
        if self._previous is not None and not self._end_previous(connection, self._previous):
            self._pause(_WAIT_OUT_S)
        queries = self._in_flight.recovery_queries()
        answers = connection.ask(queries)
        found = {
            key: found_entries(answer) for (key, _), answer in zip(queries, answers, strict=True)
        }
        present, missing = self._in_flight.without(found)
        self._in_flight = missing
        self._must_recover = False
        if not missing:
            self.retrying_since_ns = 0
        self._settle(present, accepted=True)
        # What was written on the old connection cannot be asked about on the new one.
        self.confirmations.give_up(_MADE_ANEW)
        self.counts["found_after_reconnect"] += len(present)
        self.counts["resent"] += len(missing)
        self._on_settled()

    @staticmethod
    def _end_previous(connection: BusConnection, previous: Identity) -> bool:
        """Make sure that the earlier connection is dead; return whether it is sure."""
        try:
            return bool(previous) and connection.end_previous(previous)
        except (TypeError, ValueError):
            # It was one to a server of another kind, before the settings were changed.
            return False

    def _wait(self, buffers: PriorityBuffers, outbox: Outbox) -> None:
        """Sleep until a lane is due, a put wakes the writer, or the connection needs a look."""
        # First hang up the bell and then look, as `Doorbell` asks for.
        released_ns = self._release()
        sleeps_ns = max(1, min(outbox.shortest_interval_ns(), released_ns))
        self._bell.hang_up(sleeps_ns)
        released_ns = self._release()
        now_ns = self._clock.monotonic_ns()
        waits = [outbox.due_in_ns(now_ns)]
        if self._heartbeat_interval_ns is not None:
            waits.append(self._heartbeat_at_ns - now_ns)
        # Never longer than was said: a lane may have been emptied since, by a thread that drops
        # its oldest and is about to append.
        timeout_ns = min(*waits, released_ns, sleeps_ns, _IDLE_NS)
        if self._closing.is_set():
            timeout_ns = 0
        woken = timeout_ns <= 0 or self._bell.sleep(timeout_ns / _NS)
        self._bell.take_down()
        if not woken and not len(buffers) and timeout_ns != released_ns:
            # Nothing to send for a while: find out whether the server is still there.
            assert self._connection is not None  # noqa: S101 (`_run` looked)
            with self._away():
                self._connection.ping()

    def _pause(self, pause_s: float) -> None:
        """Wait without listening to the lanes; closing does not cut the pause short."""
        with self._away():
            self._abort.wait(pause_s)

    @contextmanager
    def _away(self) -> Iterator[None]:
        """Leave it to the journal's keeper to write what must be written meanwhile."""
        self._journal.begin_wait()
        try:
            yield
        finally:
            self._journal.end_wait()

    def _disconnected(self, error: Exception) -> None:
        self.last_error = str(error) or type(error).__name__
        if isinstance(error, LoginRefusedError):
            self.login_refused = error
        self._drop_connection()
        self._first_attempt.set()
        self._journal.disconnected(self._in_hand)
        self._on_settled()

    def _leave_batch(self) -> None:
        """Leave to the next process what is in the journal, and abandon the rest."""
        for batch in self._in_hand:
            for lane, number, (_, _, receipt) in zip(
                batch.lanes, batch.numbers, batch.entries, strict=True
            ):
                if self._journal.keeps(lane, number):
                    lane.journaled += 1
                    if receipt is not None:
                        # Not now, and by whom it will be sent nobody here can wait for.
                        receipt(None)
        self._in_flight = self._without_kept(self._in_flight)
        if self._outbox is not None:
            self._outbox.restore(self._without_kept(self._outbox.prepared))
        self._abandon_batch()

    def _without_kept(self, batch: Batch) -> Batch:
        """Return what of a batch the next process will not find in the journal."""
        lost = batch.select(
            [
                not self._journal.keeps(lane, number)
                for lane, number in zip(batch.lanes, batch.numbers, strict=True)
            ]
        )
        lost.is_resent = batch.is_resent
        return lost

    def _abandon_batch(self) -> None:
        batch, self._in_flight = self._in_flight, Batch()
        for of in (batch, *([] if self._outbox is None else [self._outbox.prepared])):
            self._journal.settled(of)
        if self._must_recover or batch.is_resent:
            batch.settle(accepted=None)
        else:
            batch.abandon()
        self._must_recover = False
        self.retrying_since_ns = 0
        if self._outbox is not None:
            self._outbox.abandon()
        for lane in () if self._buffers is None else self._buffers.lanes:
            lane.write_off()

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and self._answered:
            self._previous = connection.identity
        self._answered = False
        if connection is not None:
            self.counts["bytes_sent"] += connection.bytes_sent
            connection.close()
