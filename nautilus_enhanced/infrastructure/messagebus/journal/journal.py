"""
The journal between lanes and writer: what must outlive the process is on disk before it is sent.

Two threads come here, in turns: the writer, which takes messages and says what became of them,
and the keeper, which moves to disk what the writer cannot take. The thread that publishes never
does, and no lock that it needs is held here.

Exactly once across the end of the process: a message that is written has a number, and before it
is sent its entry ID is written too. The next process asks the server which of those are there
before it sends anything, as the writer does after a broken connection.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING
from typing import Final
from typing import Literal

from nautilus_enhanced.infrastructure.messagebus.errors import JournalBusyError
from nautilus_enhanced.infrastructure.messagebus.errors import JournalError
from nautilus_enhanced.infrastructure.messagebus.journal.disk import JournalDisk
from nautilus_enhanced.infrastructure.messagebus.journal.file import JournalFile
from nautilus_enhanced.infrastructure.messagebus.journal.file import Session
from nautilus_enhanced.infrastructure.messagebus.journal.lane import JournaledLane
from nautilus_enhanced.infrastructure.messagebus.journal.ledger import JournalLedger
from nautilus_enhanced.infrastructure.messagebus.journal.planning import must_store
from nautilus_enhanced.infrastructure.messagebus.journal.records import Row
from nautilus_enhanced.infrastructure.messagebus.journal.records import SentId
from nautilus_enhanced.infrastructure.messagebus.journal.records import State
from nautilus_enhanced.infrastructure.messagebus.journal.records import Stored
from nautilus_enhanced.infrastructure.messagebus.journal.recovery import Recovered
from nautilus_enhanced.infrastructure.messagebus.journal.recovery import SentFinder
from nautilus_enhanced.infrastructure.messagebus.journal.recovery import decode_identity
from nautilus_enhanced.infrastructure.messagebus.journal.recovery import encode_identity
from nautilus_enhanced.infrastructure.messagebus.journal.recovery import load
from nautilus_enhanced.infrastructure.messagebus.journal.recovery import take_up
from nautilus_enhanced.infrastructure.messagebus.journal.shedding import Shedding
from nautilus_enhanced.infrastructure.messagebus.journal.source import JournalSource
from nautilus_enhanced.infrastructure.messagebus.monitoring.statistics import JournalStatistics
from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable
    from collections.abc import Sequence
    from pathlib import Path

    from nautilus_enhanced.infrastructure.messagebus.connection.connection import Identity
    from nautilus_enhanced.infrastructure.messagebus.contracts import Clock
    from nautilus_enhanced.infrastructure.messagebus.publishing.buffers import PriorityBuffers
    from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import Batch
    from nautilus_enhanced.infrastructure.messagebus.publishing.lanes import Entry
    from nautilus_enhanced.infrastructure.messagebus.publishing.lanes import Lane
    from nautilus_enhanced.infrastructure.messagebus.publishing.wire import RouteTable
    from nautilus_enhanced.infrastructure.messagebus.publishing.wire import StreamNaming
    from nautilus_enhanced.infrastructure.messagebus.settings.durability import DurabilitySettings
    from nautilus_enhanced.infrastructure.messagebus.settings.publishing import BufferSettings


logger = logging.getLogger(__name__)

# Messages and bytes of a row.
ROW_MESSAGES: Final = 256
ROW_BYTES: Final = 256 * 1024
# How long what is settled may stay unsaid on disk.
_FLUSH_NS: Final = 100_000_000

JournalState = Literal["waiting", "open", "unavailable", "closed"]


class Journal:
    """
    Keep on disk what the settings say, until the server has it.

    Parameters
    ----------
    path : Path
        The file.
    settings : DurabilitySettings
        What is written.
    naming : StreamNaming
        How streams are named.
    encoding : str
        What the entries' ``encoding`` field says.
    clock : Clock
        The clock.
    """

    def __init__(
        self,
        path: Path,
        settings: DurabilitySettings,
        naming: StreamNaming,
        encoding: str,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._naming = naming
        self._encoding = encoding
        self._clock = clock
        self._file = JournalFile(path, fsync=settings.fsync)
        self._lock = RLock()
        self._ledger = JournalLedger()
        self._disk = JournalDisk(self._file, self._ledger, clock)
        self._lanes: tuple[JournaledLane, ...] = ()
        self._shedding = Shedding((), self._ledger, self._disk, settings.max_bytes)
        self._sessions: dict[int, Session] = {}
        self._session = 0
        self._state: JournalState = "waiting"
        self._wait_until_ns: int | None = None
        # Taken by the writer, to be sent, and not yet on disk.
        self._unwritten: list[tuple[Stored, Sequence[Entry]]] = []
        self._in_flight: Sequence[Batch] = ()
        self._connection = b""
        self._last_state: State | None = None
        self._is_dirty = False
        self._flush_at_ns = 0
        self._unwritten_count = 0
        # Called, on the thread that wrote, when messages are on disk or could not be written.
        self.on_written: Callable[[], None] = lambda: None
        self.is_connected = False
        self.is_busy = False
        self.is_ending = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._file.path)!r}, {self._state}, {self._ledger!r})"

    def attach(self, buffers: PriorityBuffers, settings: BufferSettings) -> list[JournalSource]:
        """Stand behind the lanes, and return where the writer takes messages from instead."""
        self._lanes = tuple(
            JournaledLane(
                lane,
                self._settings.of(lane.priority),
                self._ledger.lanes[lane.priority],
                max_bytes=self._settings.max_bytes,
                max_age_ns=_ms_to_ns(settings.of(lane.priority).max_age_ms),
                read=partial(self._disk.read, lane.priority),
                settle=partial(self._settle_numbers, lane.priority),
                routes_of=self._routes_of,
            )
            for lane in buffers.lanes
        )
        self._shedding = Shedding(self._lanes, self._ledger, self._disk, self._settings.max_bytes)
        return [JournalSource(self, lane) for lane in self._lanes]

    @property
    def is_always(self) -> frozenset[MessagePriority]:
        """Return the lanes of which every message is written."""
        settings = self._settings
        return frozenset(one for one in MessagePriority if settings.of(one) == "always")

    # -- opening ---------------------------------------------------------------------------------

    def try_open(self) -> bool:
        """
        Open the journal if no other process has it.

        Returns
        -------
        bool
            False to come again: another process has it, and the time to wait is not over.
        """
        if self._state != "waiting":
            return True
        now_ns = self._clock.monotonic_ns()
        if self._wait_until_ns is None:
            self._wait_until_ns = now_ns + self._settings.handover_timeout_ms * 1_000_000
        with self._lock:
            try:
                self._file.lock()
                damage = self._file.open()
                if damage is not None:
                    self._disk.put_aside = f"{damage.kept_as}: {damage.reason}"
                self._load()
            except JournalBusyError as error:
                self._disk.problem = str(error)
                if now_ns < self._wait_until_ns:
                    return False
                self._give_up_file()
            except (JournalError, sqlite3.Error, OSError) as error:
                self._disk.problem = str(error)
                self._give_up_file()
            else:
                self._disk.problem = ""
                self._state = "open"
        return True

    def _give_up_file(self) -> None:
        """Go on without: messages stay in memory, and what is lost is said."""
        logger.error("publishing goes on without the journal: %s", self._disk.problem)
        self._file.close()
        self._state = "unavailable"

    def _load(self) -> None:
        """Take account of what earlier processes left, and begin a session."""
        loaded = load(self._file, self._ledger)
        if loaded.damaged:
            self._disk.put_rows_aside(loaded.damaged)
        self._last_state = loaded.state
        take_up(self._lanes, loaded.state)
        self._sessions = self._file.sessions()
        self._session = self._file.begin_session(self._own_session())
        self._file.forget_sessions(min(loaded.sessions, default=self._session))

    def _own_session(self) -> Session:
        return Session(
            started_ns=self._clock.time_ns(),
            pid=os.getpid(),
            naming=self._naming,
            encoding=self._encoding,
        )

    def recovered(self, routes: RouteTable) -> Recovered:
        """Return, once, what an earlier process had begun to send."""
        recovered = Recovered()
        state, self._last_state = self._last_state, None
        if self._state != "open" or state is None:
            return recovered
        with self._lock:
            finder = SentFinder(self._file, self._ledger)
            for sent in state.sent:
                lane = self._lanes[sent.lane].lane
                try:
                    found = finder.find(sent)
                except JournalError as error:
                    self._disk.put_aside = str(error)
                    lane.rejected += 1
                    self._settle_numbers(sent.lane, (sent.number,))
                    continue
                if found is None:
                    continue
                stored, index = found
                entry = (stored.topics[index], stored.payloads[index], None)
                route = self._routes_of(routes, stored.session).route(entry[0])
                has_id = sent.milliseconds or sent.sequence
                batch = recovered.in_flight if has_id else recovered.unsent
                batch.add(lane, (entry,), (route,), (sent.number,))
                if has_id:
                    batch.ids.append((sent.milliseconds, sent.sequence))
            self._in_flight = (recovered.in_flight, recovered.unsent)
        recovered.identity = decode_identity(state.connection)
        return recovered

    # -- the writer ------------------------------------------------------------------------------

    def fill(
        self,
        source: JournaledLane,
        batch: Batch,
        max_messages: int,
        max_bytes: int,
        routes: RouteTable,
    ) -> tuple[int, int]:
        """Move messages into a batch; those of a lane that is always written, to be written."""
        with self._lock:
            now_ns = self._clock.time_ns()
            if self._state != "open":
                source.durability = "memory"
            count, size, entries, numbers = source.fill(
                batch, max_messages, max_bytes, routes, now_ns
            )
            if numbers:
                stored = self._stored(source, numbers[0], entries, now_ns, {})
                self._unwritten.append((stored, entries))
            return count, size

    def note(self, batches: Sequence[Batch], identity: Identity | None) -> None:
        """
        Write what is to be sent and not yet written, and under which entry IDs.

        Called before any of `batches` is sent. If it cannot be written it is sent all the same,
        counted, and said in the figures.

        Parameters
        ----------
        batches : Sequence[Batch]
            What is in flight, or about to be, and what is next.
        identity : tuple or None
            Which connection to which server they go by.
        """
        with self._lock:
            self._in_flight = tuple(batches)
            if self._state != "open":
                return
            if not self._unwritten and all(
                not batch.is_journaled or batch.noted_ids is batch.ids for batch in batches
            ):
                return
            self._connection = encode_identity(identity)
            self._write_state()

    def settled(self, batch: Batch) -> None:
        """Note that the fate of all messages of a batch is known."""
        if not batch.is_journaled or self._state != "open":
            return
        with self._lock:
            numbers: dict[int, list[int]] = {}
            for lane, number in zip(batch.lanes, batch.numbers, strict=True):
                if number >= 0:
                    numbers.setdefault(lane.priority, []).append(number)
            for priority, of_lane in numbers.items():
                self._settle_numbers(priority, of_lane)

    def keep(self, batches: Sequence[Batch]) -> None:
        """
        Write what of `batches` can be lost with the process and need not be.

        Called when the connection is gone: nobody knows for how long.
        """
        if self._state != "open":
            return
        with self._lock:
            now_ns = self._clock.time_ns()
            for batch in batches:
                for position, (lane, entry) in enumerate(
                    zip(batch.lanes, batch.entries, strict=True)
                ):
                    source = self._lanes[lane.priority]
                    if batch.numbers[position] < 0 and source.durability != "memory":
                        (number,) = source.give_numbers(1)
                        batch.numbers[position] = number
                        batch.is_journaled = True
                        stored = self._stored(source, number, (entry,), now_ns, {})
                        self._unwritten.append((stored, (entry,)))
            self._in_flight = tuple(batches)
            if self._unwritten:
                self._write_state()

    def keeps(self, lane: Lane, number: int) -> bool:
        """Return whether a message is on disk and will be sent by the next process."""
        if number < 0 or self._state != "open":
            return False
        ledger = self._ledger.lanes[lane.priority]
        return number not in ledger.settled and any(
            run.first <= number < run.end for run in ledger.runs
        )

    def is_synced(self, lane: Lane) -> bool:
        """Return whether every message of a lane is on disk before it is sent."""
        return self._state == "open" and self._settings.fsync and lane.priority in self.is_always

    @property
    def unwritten(self) -> int:
        """Return the messages that should have been written and could not be."""
        return self._unwritten_count

    def has_written(self, lane: Lane, published: int) -> bool:
        """Return whether the first `published` messages of a lane are written, or were tried."""
        # A number, without the lock: whoever asks may hold one that `on_written` waits for.
        return self._lanes[lane.priority].written_to >= published

    def _tell_written(self) -> None:
        """Note up to where the lanes are written, and tell who waits for it."""
        for source in self._lanes:
            in_hand = sum(
                len(entries)
                for stored, entries in self._unwritten
                if stored.lane == source.lane.priority
            )
            source.written_to = source.lane.removed - in_hand
        self.on_written()

    # -- the keeper ------------------------------------------------------------------------------

    @property
    def is_exposed(self) -> bool:
        """Return whether what is put now is to be written at once, and not by the writer."""
        # A disk that is full is tried now and then, not with each message.
        is_ready = self._state == "open" and not (self._disk.problem or self._shedding.problem)
        return is_ready and (self.is_busy or not self.is_connected)

    @property
    def has_exposed(self) -> bool:
        """Return whether messages wait that are to be written at once."""
        return any(lane.durability == "always" and len(lane.lane) for lane in self._lanes)

    def tend(self) -> None:
        """Move to disk what must be, say what is settled, and forget what nobody needs."""
        if self._state != "open":
            return
        for source in self._lanes:
            self._store(source)
        with self._lock:
            now_ns = self._clock.monotonic_ns()
            if now_ns < self._flush_at_ns:
                return
            self._flush_at_ns = now_ns + _FLUSH_NS
            if self._is_dirty:
                self._write_state()
            self._disk.forget()
            self._recover_disk()

    def _recover_disk(self, *, at_once: bool = False) -> None:
        """Go on when a full disk has room again."""
        number = self._disk.recover(self._own_session(), at_once=at_once)
        if number is not None:
            self._session, self._sessions = number, {}
            self._is_dirty = True

    @property
    def is_well(self) -> bool:
        """Return whether everything that was to be written is."""
        return self._state == "open" and not (self._disk.problem or self._shedding.problem)

    def finish(self, batches: Sequence[Batch]) -> None:
        """Write what the lanes and the writer still hold, for the next process."""
        with self._lock:
            self._in_flight = tuple(batches)
        self.save()

    def save(self) -> None:
        """Write everything that is to outlive the process: it is about to end."""
        if self._state != "open":
            return
        self.is_ending = True
        try:
            with self._lock:
                self.keep(self._in_flight)
                if self._unwritten:
                    self._write_state()
            self.tend()
        finally:
            self.is_ending = False

    def _store(self, source: JournaledLane) -> None:
        """Move what waits in a lane to disk, if it is to be; row by row, so that nobody waits."""
        lane = source.lane
        most = len(lane)
        while most > 0:
            with self._lock:
                if not must_store(
                    source.durability,
                    len(lane),
                    lane.utilization,
                    is_connected=self.is_connected,
                    is_busy=self.is_busy,
                    is_ending=self.is_ending,
                ):
                    return
                # Looked at first: what is taken and put back lets newer messages be dropped.
                if not self._shedding.make_room(source, min(ROW_BYTES, lane.queued_bytes)):
                    return
                entries = lane.take(ROW_MESSAGES, ROW_BYTES)
                most -= len(entries)
                if not entries or not self._store_entries(source, entries):
                    return

    def _store_entries(self, source: JournaledLane, entries: list[Entry]) -> bool:
        first = source.ledger.next_number
        for topic, count in source.lane.new_gaps().items():
            source.gaps[topic] = source.gaps.get(topic, 0) + count
        gaps = {
            index: source.gaps[topic]
            for topic, index in _first_places(entries)
            if topic in source.gaps
        }
        stored = self._stored(source, first, entries, self._clock.time_ns(), gaps)
        unwritten = [of for of, _ in self._unwritten]
        if not self._disk.append(Row([*unwritten, stored])):
            source.lane.put_back(entries)
            return False
        for index in gaps:
            del source.gaps[entries[index][0]]
        source.give_numbers(len(entries))
        self._unwritten.clear()
        run = source.ledger.runs[-1]
        source.note_stored(run, stored, entries)
        self._tell_written()
        return True

    # -- writing ---------------------------------------------------------------------------------

    def _stored(
        self,
        source: JournaledLane,
        first: int,
        entries: Sequence[Entry],
        now_ns: int,
        gaps: dict[int, int],
    ) -> Stored:
        return Stored(
            lane=source.lane.priority,
            first=first,
            at_ns=now_ns,
            session=self._session,
            topics=[topic for topic, _, _ in entries],
            payloads=[payload for _, payload, _ in entries],
            gaps=gaps,
        )

    def _write_state(self) -> None:
        """Write the state that holds now, with what was taken and is not yet on disk."""
        stored = [of for of, _ in self._unwritten]
        row = Row(stored, self._make_state())
        # Once more if it fails, with the reserve given up.
        is_written = self._disk.append(row) or self._disk.append(row)
        self._unwritten.clear()
        if not is_written:
            # It is sent all the same: the disk must not end what the network carries.
            for of in stored:
                self._unwritten_count += len(of.topics)
                self._settle_numbers(of.lane, range(of.first, of.end))
            if stored:
                self._tell_written()
            return
        if stored:
            self._tell_written()
        self._is_dirty = False
        for batch in self._in_flight:
            batch.noted_ids = batch.ids

    def _make_state(self) -> State:
        sent = []
        for batch in self._in_flight:
            if not batch.is_journaled:
                continue
            ids = batch.ids or [(0, 0)] * len(batch)
            settled = [lane.settled for lane in self._ledger.lanes]
            sent += [
                SentId(lane.priority, number, *entry_id)
                for lane, number, entry_id in zip(batch.lanes, batch.numbers, ids, strict=True)
                if number >= 0 and number not in settled[lane.priority]
            ]
        return State(
            settled=self._ledger.settled_state(),
            sent=sent,
            connection=self._connection,
            gaps=[lane.untold_gaps() for lane in self._lanes],
        )

    def _settle_numbers(self, lane: int, numbers: Iterable[int]) -> None:
        self._ledger.settle(lane, numbers)
        self._is_dirty = True

    def _routes_of(self, routes: RouteTable, session: int) -> RouteTable:
        of = self._sessions.get(session)
        return routes if of is None else routes.named(of.naming, of.encoding)

    def fail(self, error: Exception) -> None:
        """
        Go on without: a mistake of ours must not end publishing.

        What waits on disk stays there for the next process; the lanes are served from memory.
        """
        logger.error("the journal failed, publishing goes on without it", exc_info=error)
        with self._lock:
            self._disk.problem = f"{type(error).__name__}: {error}"
            self._state = "unavailable"
            self._unwritten.clear()
            for lane in self._lanes:
                lane.leave_backlog()
            self._file.close()

    # -- the end ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Write what is settled, and let another process have the file."""
        with self._lock:
            if self._state == "open":
                self._write_state()
                self._disk.forget()
                self._recover_disk(at_once=True)
            for lane in self._lanes:
                lane.leave_backlog()
            self._file.close()
            self._state = "closed"

    def statistics(self) -> JournalStatistics:
        """Return its figures."""
        oldest = [lane.oldest_ns for lane in self._lanes]
        oldest_ns = min((at_ns for at_ns in oldest if at_ns), default=0)
        age_ns = self._clock.time_ns() - oldest_ns if oldest_ns else 0
        return JournalStatistics(
            path=str(self._file.path),
            state=self._state,
            fsync=self._settings.fsync,
            written=self._disk.written,
            waiting=sum(lane.lane.journaled for lane in self._lanes),
            size_bytes=self._ledger.size,
            max_bytes=self._settings.max_bytes,
            oldest_age_ms=max(0, age_ns // 1_000_000),
            unwritten=self._unwritten_count,
            problem=self._disk.problem or self._shedding.problem,
            put_aside=self._disk.put_aside,
        )


def _first_places(entries: Sequence[Entry]) -> list[tuple[str, int]]:
    """Return each topic, once, with the place of its first message."""
    places: dict[str, int] = {}
    for index, (topic, _, _) in enumerate(entries):
        places.setdefault(topic, index)
    return list(places.items())


def _ms_to_ns(value: int | None) -> int | None:
    return None if value is None else value * 1_000_000
