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
from typing import TypeVar

from nautilus_enhanced.infrastructure.messagebus.errors import JournalBusyError
from nautilus_enhanced.infrastructure.messagebus.errors import JournalError
from nautilus_enhanced.infrastructure.messagebus.journal.file import JournalFile
from nautilus_enhanced.infrastructure.messagebus.journal.file import Session
from nautilus_enhanced.infrastructure.messagebus.journal.lane import JournaledLane
from nautilus_enhanced.infrastructure.messagebus.journal.ledger import SHED_ORDER
from nautilus_enhanced.infrastructure.messagebus.journal.ledger import JournalLedger
from nautilus_enhanced.infrastructure.messagebus.journal.ledger import StoredRun
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
from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority
from nautilus_enhanced.infrastructure.messagebus.statistics import JournalStatistics


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable
    from collections.abc import Sequence
    from pathlib import Path

    from nautilus_enhanced.infrastructure.messagebus.buffers import PriorityBuffers
    from nautilus_enhanced.infrastructure.messagebus.connection import Identity
    from nautilus_enhanced.infrastructure.messagebus.contracts import Clock
    from nautilus_enhanced.infrastructure.messagebus.delivery import Batch
    from nautilus_enhanced.infrastructure.messagebus.durability_settings import DurabilitySettings
    from nautilus_enhanced.infrastructure.messagebus.lanes import Entry
    from nautilus_enhanced.infrastructure.messagebus.lanes import Lane
    from nautilus_enhanced.infrastructure.messagebus.settings import BufferSettings
    from nautilus_enhanced.infrastructure.messagebus.wire import RouteTable
    from nautilus_enhanced.infrastructure.messagebus.wire import StreamNaming


logger = logging.getLogger(__name__)

# Messages and bytes of a row.
ROW_MESSAGES: Final = 256
ROW_BYTES: Final = 256 * 1024
# How long what is settled may stay unsaid on disk, and how long to leave a full disk alone.
_FLUSH_NS: Final = 100_000_000
_RETRY_NS: Final = 1_000_000_000

T = TypeVar("T")
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
        self._lanes: tuple[JournaledLane, ...] = ()
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
        self._useless: list[int] = []
        self._problem = ""
        self._is_over_limit = False
        self._retry_at_ns = 0
        self._put_aside = ""
        self._written = 0
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
                read=partial(self._read_run, lane.priority),
                settle=partial(self._settle_numbers, lane.priority),
                routes_of=self._routes_of,
            )
            for lane in buffers.lanes
        )
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
                    self._put_aside = f"{damage.kept_as}: {damage.reason}"
                self._load()
            except JournalBusyError as error:
                self._problem = str(error)
                if now_ns < self._wait_until_ns:
                    return False
                self._give_up_file()
            except (JournalError, sqlite3.Error, OSError) as error:
                self._problem = str(error)
                self._give_up_file()
            else:
                self._problem = ""
                self._state = "open"
        return True

    def _give_up_file(self) -> None:
        """Go on without: messages stay in memory, and what is lost is said."""
        logger.error("publishing goes on without the journal: %s", self._problem)
        self._file.close()
        self._state = "unavailable"

    def _load(self) -> None:
        """Take account of what earlier processes left, and begin a session."""
        loaded = load(self._file, self._ledger)
        if loaded.damaged:
            # What is readable is still sent.
            kept_as = self._file.put_rows_aside(list(loaded.damaged))
            reason = next(iter(loaded.damaged.values()))
            self._put_aside = f"{kept_as}: {len(loaded.damaged)} rows, {reason}"
            logger.warning("damaged rows of a journal were put aside: %s", self._put_aside)
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
                    self._put_aside = str(error)
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
            if not self._unwritten and all(
                not batch.is_journaled or batch.noted_ids is batch.ids for batch in batches
            ):
                return
            self._connection = encode_identity(identity)
            self._write_state()

    def settled(self, batch: Batch) -> None:
        """Note that the fate of all messages of a batch is known."""
        if not batch.is_journaled:
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
        """Return whether what is put now is not taken by the writer at once."""
        return self._state == "open" and (self.is_busy or not self.is_connected)

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
            self._forget()
            if self._problem and now_ns >= self._retry_at_ns:
                self._recover_disk(now_ns)
            if self._is_over_limit and self._ledger.size < self._settings.max_bytes // 2:
                self._is_over_limit = False

    def _forget(self) -> None:
        """Delete the rows that nobody needs."""
        self._useless += self._ledger.take_useless()
        if self._useless:
            deleted = self._attempt(partial(self._file.delete, self._useless))
            if deleted is not None:
                self._useless.clear()

    def _recover_disk(self, now_ns: int) -> None:
        """Look whether the disk has room again; if nothing is needed of the file, make some."""
        self._retry_at_ns = now_ns + _RETRY_NS
        try:
            if self._ledger.is_empty:
                # What was deleted is still the file's: SQLite uses it again, nobody else can.
                self._file.begin_anew()
                self._session = self._file.begin_session(self._own_session())
                self._sessions = {}
                self._useless.clear()
                self._is_dirty = True
        except (OSError, sqlite3.Error) as error:
            self._problem = str(error)
            return
        if self._file.restore_reserve():
            logger.warning("the journal %s can be written again", self._file.path)
            self._problem = ""

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
                entries = lane.take(ROW_MESSAGES, ROW_BYTES)
                most -= len(entries)
                if not entries or not self._store_entries(source, entries):
                    return

    def _store_entries(self, source: JournaledLane, entries: list[Entry]) -> bool:
        size = sum(len(payload) for _, payload, _ in entries)
        if not self._make_room(size) or (self._problem and not self._replace(source, size)):
            source.lane.put_back(entries)
            return False
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
        written = self._attempt(partial(self._file.append, Row([*unwritten, stored])))
        if written is None:
            source.lane.put_back(entries)
            return False
        for index in gaps:
            del source.gaps[entries[index][0]]
        source.give_numbers(len(entries))
        self._note_written(written, [*unwritten, stored])
        self._unwritten.clear()
        run = source.ledger.runs[-1]
        source.note_stored(run, stored, entries)
        self._tell_written()
        return True

    def _make_room(self, size: int) -> bool:
        """Give up what may be until `size` bytes fit; return whether they do."""
        while self._ledger.size + size > self._settings.max_bytes:
            if not self._shed_oldest():
                self._is_over_limit = True
                return False
        return True

    def _replace(self, source: JournaledLane, size: int) -> bool:
        """On a full disk, give up what may be for order flow; return whether that made room."""
        if source.lane.priority in SHED_ORDER:
            return False
        before = self._ledger.size
        while before - self._ledger.size < 2 * size:
            if not self._shed_oldest():
                return False
        self._forget()
        return not self._useless

    def _shed_oldest(self) -> bool:
        """Give up what is next to be given up; return whether there was anything."""
        oldest = tuple(lane.unread[0] if lane.unread else None for lane in self._lanes)
        found = self._ledger.shed_next(oldest)
        if found is None:
            return False
        self._shed(*found)
        return True

    def _shed(self, lane: int, run: StoredRun) -> None:
        source = self._lanes[lane]
        source.unread.popleft()
        stored = self._read_run(lane, run)
        for index, topic in enumerate(() if stored is None else stored.topics):
            assert stored is not None  # noqa: S101 (it has topics)
            gap = 1 + stored.gaps.get(index, 0)
            source.shed_gaps[topic] = source.shed_gaps.get(topic, 0) + gap
        source.give_up(run, "shed")

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
        written = self._attempt(partial(self._file.append, row))
        if written is None:
            # Once more, with the reserve given up.
            written = self._attempt(partial(self._file.append, row))
        self._unwritten.clear()
        if written is None:
            # It is sent all the same: the disk must not end what the network carries.
            for of in stored:
                self._unwritten_count += len(of.topics)
                self._settle_numbers(of.lane, range(of.first, of.end))
            if stored:
                self._tell_written()
            return
        self._note_written(written, stored)
        if stored:
            self._tell_written()
        self._ledger.note_state(written[0])
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

    def _note_written(self, written: tuple[int, int], stored: list[Stored]) -> None:
        position, size = written
        for of in stored:
            self._written += len(of.topics)
            run = StoredRun(of.first, of.end, position, size // len(stored), of.at_ns)
            self._ledger.note_run(of.lane, run)

    def _attempt(self, write: Callable[[], T]) -> T | None:
        """Write, and note what stands in the way; None if it was not written, else the result."""
        try:
            return write()
        except sqlite3.Error as error:
            if not self._problem:
                # Not a traceback: it is the disk's fault.
                logger.warning("the journal %s cannot be written: %s", self._file.path, error)
                self._retry_at_ns = self._clock.monotonic_ns() + _RETRY_NS
            self._problem = str(error)
            self._file.give_up_reserve()
            return None

    def _settle_numbers(self, lane: int, numbers: Iterable[int]) -> None:
        self._ledger.settle(lane, numbers)
        self._is_dirty = True

    def _read_run(self, lane: int, run: StoredRun) -> Stored | None:
        try:
            row = self._file.read(run.position)
        except JournalError as error:
            logger.warning("messages of the journal are lost: %s", error)
            self._put_aside = str(error)
            return None
        return next(of for of in row.stored if of.lane == lane and of.first == run.first)

    def _routes_of(self, routes: RouteTable, session: int) -> RouteTable:
        of = self._sessions.get(session)
        return routes if of is None else routes.named(of.naming, of.encoding)

    # -- the end ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Write what is settled, and let another process have the file."""
        with self._lock:
            if self._state == "open":
                self._write_state()
                self._forget()
                if self._problem:
                    self._recover_disk(self._clock.monotonic_ns())
            self._file.close()
            self._state = "closed"

    @property
    def _limit_problem(self) -> str:
        if not self._is_over_limit:
            return ""
        return (
            f"it holds {self._ledger.size:,} bytes of the {self._settings.max_bytes:,} that it may "
            "take"
        )

    def statistics(self) -> JournalStatistics:
        """Return its figures."""
        oldest = [lane.oldest_ns for lane in self._lanes]
        oldest_ns = min((at_ns for at_ns in oldest if at_ns), default=0)
        age_ns = self._clock.time_ns() - oldest_ns if oldest_ns else 0
        return JournalStatistics(
            path=str(self._file.path),
            state=self._state,
            fsync=self._settings.fsync,
            written=self._written,
            waiting=sum(lane.lane.journaled for lane in self._lanes),
            size_bytes=self._ledger.size,
            max_bytes=self._settings.max_bytes,
            oldest_age_ms=max(0, age_ns // 1_000_000),
            unwritten=self._unwritten_count,
            problem=self._problem or self._limit_problem,
            put_aside=self._put_aside,
        )


class JournalSource:
    """
    Take messages from the journal, and then from the lane before it.

    Parameters
    ----------
    journal : Journal
        The journal.
    source : JournaledLane
        The lane, and what is on disk of it.
    """

    def __init__(self, journal: Journal, source: JournaledLane) -> None:
        self.lane = source.lane
        self._journal = journal
        self._source = source

    def __len__(self) -> int:
        return len(self._source)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._source!r})"

    @property
    def has_backlog(self) -> bool:
        """Return whether messages wait on disk."""
        return self._source.has_backlog

    def fill(
        self, batch: Batch, max_messages: int, max_bytes: int, routes: RouteTable
    ) -> tuple[int, int]:
        """Move messages into a batch, within both bounds, but at least one if there is any."""
        return self._journal.fill(self._source, batch, max_messages, max_bytes, routes)


def _first_places(entries: Sequence[Entry]) -> list[tuple[str, int]]:
    """Return each topic, once, with the place of its first message."""
    places: dict[str, int] = {}
    for index, (topic, _, _) in enumerate(entries):
        places.setdefault(topic, index)
    return list(places.items())


def _ms_to_ns(value: int | None) -> int | None:
    return None if value is None else value * 1_000_000
