"""
The thread that reads streams.

It makes sure that a stream has its group, hands over what others left behind, and reads what is
new. What to do is decided in `starting` and `recovery`.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.connection import ServerConnection
from nautilus_enhanced.infrastructure.messagebus.errors import ServerError
from nautilus_enhanced.infrastructure.messagebus.streams import commands
from nautilus_enhanced.infrastructure.messagebus.streams.book import Delivery
from nautilus_enhanced.infrastructure.messagebus.streams.entries import PLAIN
from nautilus_enhanced.infrastructure.messagebus.streams.entries import number_of
from nautilus_enhanced.infrastructure.messagebus.streams.entries import topic_and_payload
from nautilus_enhanced.infrastructure.messagebus.streams.letters import DeadLetter
from nautilus_enhanced.infrastructure.messagebus.streams.recovery import PAGE
from nautilus_enhanced.infrastructure.messagebus.streams.recovery import Bury
from nautilus_enhanced.infrastructure.messagebus.streams.recovery import Claim
from nautilus_enhanced.infrastructure.messagebus.streams.recovery import ListPending
from nautilus_enhanced.infrastructure.messagebus.streams.recovery import PendingWork
from nautilus_enhanced.infrastructure.messagebus.streams.recovery import Suspects
from nautilus_enhanced.infrastructure.messagebus.streams.recovery import Wait
from nautilus_enhanced.infrastructure.messagebus.streams.starting import FIRST_ID
from nautilus_enhanced.infrastructure.messagebus.streams.starting import NOW
from nautilus_enhanced.infrastructure.messagebus.streams.starting import first_position
from nautilus_enhanced.infrastructure.messagebus.streams.starting import plan_group
from nautilus_enhanced.infrastructure.messagebus.streams.starting import regained_position
from nautilus_enhanced.infrastructure.messagebus.streams.worker import ConnectedThread
from nautilus_enhanced.infrastructure.messagebus.wire import FIELD_GAP
from nautilus_enhanced.infrastructure.messagebus.wire import EntryId
from nautilus_enhanced.infrastructure.messagebus.wire import command
from nautilus_enhanced.infrastructure.messagebus.wire import format_entry_id
from nautilus_enhanced.infrastructure.messagebus.wire import parse_entry_id


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

    from nautilus_enhanced.infrastructure.messagebus.backoff import Backoff
    from nautilus_enhanced.infrastructure.messagebus.connector import BusConnection
    from nautilus_enhanced.infrastructure.messagebus.contracts import Clock
    from nautilus_enhanced.infrastructure.messagebus.streams.acknowledger import Settling
    from nautilus_enhanced.infrastructure.messagebus.streams.choosing import StreamChooser
    from nautilus_enhanced.infrastructure.messagebus.streams.lease import Lease
    from nautilus_enhanced.infrastructure.messagebus.streams.read_stream import ReadStream
    from nautilus_enhanced.infrastructure.messagebus.streams.runners import Runner
    from nautilus_enhanced.infrastructure.messagebus.streams.settings import SubscriptionSettings
    from nautilus_enhanced.infrastructure.messagebus.streams.starting import StartTable
    from nautilus_enhanced.infrastructure.messagebus.streams.statistics import SubscriptionFigures


# How long to wait where there is nothing to read, or no room for it.
_PAUSE_S: Final = 0.1
# How long to wait while something else is to be done soon. Never by the server: an idle one looks
# every 100 ms only (`hz`) whether a call has waited long enough.
_SOON_S: Final = 0.005
# How long the server may hold a call back, so that a dead one is noticed.
_BLOCK_MS: Final = 1_000
# In a cluster streams of different nodes cannot be waited for together.
_POLL_S: Final = 0.002
# In the time of a lease.
_KEEPS: Final = 4
# Streams, or entries, that are looked after in one go.
_AT_ONCE: Final = 100
_MAX_TOPICS: Final = 65_536
# How long a stream is left alone that the server refuses.
_BARRED_NS: Final = 1_000_000_000
_NS_OF_MS: Final = 1_000_000


class StreamReader(ConnectedThread):
    """
    Read streams and hand over what comes.

    Parameters
    ----------
    connect : Callable[[], BusConnection]
        Makes a connection, not yet opened.
    backoff : Backoff
        The pauses.
    figures : SubscriptionFigures
        The figures.
    settings : SubscriptionSettings
        The settings.
    chooser : StreamChooser
        Tells which topics are selected.
    starts : StartTable
        Tells where reading begins.
    group, consumer : str or None
        The group and the consumer's name in it; None to read without one.
    lease : Lease
        For how long this consumer may count on what it holds.
    runner : Runner
        Takes what was read.
    settling : Settling
        Takes what needs no handler.
    clock : Clock
        The clock.
    suspects : Suspects, optional
        The turn of entries that were read more than once; readers of a process share one.
    block_ms : int
        Milliseconds for which a call may wait for entries.
    """

    def __init__(
        self,
        connect: Callable[[], BusConnection],
        backoff: Backoff,
        figures: SubscriptionFigures,
        *,
        settings: SubscriptionSettings,
        chooser: StreamChooser,
        starts: StartTable,
        group: str | None,
        consumer: str | None,
        lease: Lease,
        runner: Runner,
        settling: Settling,
        clock: Clock,
        suspects: Suspects | None = None,
        block_ms: int = _BLOCK_MS,
    ) -> None:
        super().__init__("nt-enhanced-reader", connect, backoff, figures)
        self._settings = settings
        self._chooser = chooser
        self._starts = starts
        self._group_name = group or ""
        self._consumer_name = consumer or ""
        self._group = self._group_name.encode()
        self._consumer = self._consumer_name.encode()
        self._lease = lease
        self._runner = runner
        self._settling = settling
        self._clock = clock
        self._suspects = suspects or Suspects()
        self._block_ms = min(block_ms, _BLOCK_MS)
        self._ordered = settings.order == "topic"
        self._topics: dict[bytes, str | None] = {}
        self._by_key: dict[bytes, ReadStream] = {}
        # What is asked for over and over, and the streams that it names.
        self._reading = commands.GroupReading(self._group, self._consumer, [])
        self._reading_of: list[ReadStream] = []
        self._rescan_at_ns = 0
        self._keep_at_ns = 0
        self._must_regain = False
        # Streams that the server refuses, and until when they are left alone.
        self.barred: dict[ReadStream, int] = {}
        # Set by the keeper, read by the thread.
        self.assigned: dict[bytes, ReadStream] = {}
        self._changed = threading.Event()
        self._is_started = False
        self.is_waiting = False

    # -- what the keeper says --------------------------------------------------------------------

    @property
    def load(self) -> int:
        """Return how many streams are to be read."""
        return len(self.assigned)

    @property
    def being_read(self) -> dict[bytes, ReadStream]:
        """Return the streams that the thread is busy with, perhaps for the last time."""
        return self._by_key

    def start_once(self) -> None:
        """Start the thread, unless it was."""
        if not self._is_started:
            self._is_started = True
            self.start()

    @property
    def must_be_interrupted(self) -> bool:
        """Return whether the thread waits for the server and does not know what it is to read."""
        return self.is_waiting and self._changed.is_set()

    @property
    def is_ready(self) -> bool:
        """Return whether all streams that are to be read are read."""
        return self._by_key is self.assigned and all(
            stream.is_prepared or stream in self.barred for stream in self.assigned.values()
        )

    def assign(self, streams: dict[bytes, ReadStream]) -> None:
        """Read these streams from now on, and no others."""
        self.assigned = streams
        self._changed.set()

    def ask_to_stop(self) -> None:
        """Let the current step be the last one."""
        super().ask_to_stop()
        self._changed.set()

    # -- the thread ------------------------------------------------------------------------------

    def connected(self, connection: BusConnection) -> None:
        """Look for what was sent on the last connection and did not arrive."""
        del connection
        if self._group:
            for stream in self._by_key.values():
                if stream.is_prepared:
                    # Before anything newer, where order is kept.
                    self._look_after(stream, all_of_it=self._ordered)
        # A server that was restarted may not know the group.
        self._must_regain = bool(self._group)

    def step(self, connection: BusConnection) -> None:
        """Prepare what is new, take what was left behind, and read once."""
        self._changed.clear()
        streams = self._by_key = self.assigned
        if not streams or not self._is_granted():
            self._changed.wait(_PAUSE_S)
            return
        if self._must_regain:
            self._regain(connection)
        new = [s for s in streams.values() if not s.is_prepared and not self._is_barred(s)]
        for at in range(0, len(new), _AT_ONCE):
            self._prepare(connection, new[at : at + _AT_ONCE])
        self._rescan(connection)
        self._keep(connection)
        at_work = [s for s in streams.values() if s.work is not None and not self._is_barred(s)]
        is_busy = False
        for stream in at_work:
            # Not all of it at once: what is in hand counts as delivered if this process is killed.
            if len(stream.in_hand) < PAGE:
                is_busy |= self._work(connection, stream)
        readable = [stream for stream in streams.values() if not stream.is_held_up]
        if self.barred:
            self.barred = {s: until for s, until in self.barred.items() if streams.get(s.key) is s}
            readable = [s for s in readable if s.is_prepared and not self._is_barred(s)]
        room = self._settings.max_in_hand - self._runner.in_hand
        if room <= 0:
            self._runner.wait_for_room(_PAUSE_S)
            return
        got = self._read(connection, readable, room, hurry=bool(at_work)) if readable else 0
        if not got and not is_busy and (at_work or not readable):
            self._changed.wait(_SOON_S)

    def _is_granted(self) -> bool:
        return self._clock.monotonic_ns() < self._lease.until_ns

    def _is_barred(self, stream: ReadStream) -> bool:
        until_ns = self.barred.get(stream)
        return until_ns is not None and self._clock.monotonic_ns() < until_ns

    def _refused(self, stream: ReadStream, answer: Any, what: str) -> bool:
        """Leave a stream alone for a while if the server refuses it; others are read meanwhile."""
        if not commands.is_about_keys(answer):
            return False
        self.barred[stream] = self._clock.monotonic_ns() + _BARRED_NS
        self.figures.last_error = f"{what}: {answer}"
        return True

    # -- groups and places -----------------------------------------------------------------------

    def _prepare(self, connection: BusConnection, streams: Sequence[ReadStream]) -> None:
        """Find or make the group of streams, or the place where they are read from."""
        facts = connection.ask([(s.key, commands.stream_info(s.key)) for s in streams])
        groups = (
            connection.ask([(s.key, commands.group_info(s.key)) for s in streams])
            if self._group
            else [[]] * len(streams)
        )
        queries, of = [], []
        for stream, about, known in zip(streams, facts, groups, strict=True):
            if self._refused(stream, about, f"{stream.name} cannot be read"):
                continue
            facts_of = _facts(about)
            start = self._starts.of(stream.topic)
            last_id = FIRST_ID if facts_of is None else facts_of.last_id
            if not stream.appeared and stream.begins:
                stream.skip_to = last_id
            if not self._group:
                stream.read_to = first_position(start, last_id, appeared=stream.appeared)
                stream.is_prepared = True
                continue
            plan = plan_group(
                start,
                facts_of,
                self._group_of(known),
                appeared=stream.appeared,
                first_of_group=stream.begins,
            )
            stream.read_to = plan.position
            if plan.destroy:
                queries.append((stream.key, commands.destroy_group(stream.key, self._group)))
                of.append(stream)
            if plan.create:
                queries.append(self._creation(stream))
                of.append(stream)
        answers = connection.ask(queries) if queries else []
        for stream, answer in zip(of, answers, strict=True):
            self._is_made(stream, answer)
        for stream in streams:
            if not stream.is_prepared and not self._is_barred(stream):
                stream.is_prepared = True
                self._look_after(stream, all_of_it=self._ordered)

    def _group_of(self, answer: Any) -> commands.GroupFacts | None:
        if isinstance(answer, Exception):
            return None
        return next((g for g in commands.parse_groups(answer) if g.name == self._group_name), None)

    def _is_made(self, stream: ReadStream, answer: Any) -> bool:
        """Return whether a group was made, rather than there; the stream may be refused, too."""
        if commands.is_error(answer, commands.GROUP_EXISTS):
            return False
        what = f"the group of {stream.name} cannot be made"
        if self._refused(stream, answer, what):
            return False
        commands.succeeded(answer, what)
        return True

    def _creation(self, stream: ReadStream) -> tuple[bytes, bytes]:
        start = format_entry_id(stream.read_to)
        return stream.key, commands.create_group(stream.key, self._group, start)

    def _regain(self, connection: BusConnection) -> None:
        """Make groups that are gone once more, and go on where reading was."""
        streams = [stream for stream in self._by_key.values() if stream.is_prepared]
        for at in range(0, len(streams), _AT_ONCE):
            some = streams[at : at + _AT_ONCE]
            answers = connection.ask([(s.key, commands.group_info(s.key)) for s in some])
            lost = [
                stream
                for stream, answer in zip(some, answers, strict=True)
                if self._group_of(answer) is None
            ]
            if lost:
                self._make_again(connection, lost)
            if not self._ordered:
                # Another consumer may have made the group again, with what was in its hand alone.
                forced = [query for s in some if s not in lost for query in self._forced(s)]
                connection.ask(forced)
        self._must_regain = False

    def _make_again(self, connection: BusConnection, lost: list[ReadStream]) -> None:
        facts = connection.ask([(s.key, commands.stream_info(s.key)) for s in lost])
        known = []
        for stream, about in zip(lost, facts, strict=True):
            if not self._refused(stream, about, f"{stream.name} cannot be read"):
                stream.read_to = regained_position(stream.read_to, _facts(about))
                known.append(stream)
        # Told together, so that no group is made without what is in hand.
        queries: list[tuple[ReadStream, tuple[bytes, bytes]]] = []
        for stream in known:
            queries.append((stream, self._creation(stream)))
            queries += [(stream, forced) for forced in self._forced(stream)]
        answers = connection.ask([query for _, query in queries])
        for (stream, query), answer in zip(queries, answers, strict=True):
            if query == self._creation(stream) and self._is_made(stream, answer):
                self.figures.counts["groups_created"] += 1

    def _forced(self, stream: ReadStream) -> list[tuple[bytes, bytes]]:
        """
        Return what makes that which is in hand pending again, in a group that did not know it.

        Else it would be lost with this process. An entry that is gone the server leaves out.
        """
        ids = list(stream.in_hand)
        return [
            (
                stream.key,
                commands.keep(
                    stream.key,
                    self._group,
                    self._consumer,
                    [*ids[at : at + _AT_ONCE], b"FORCE"],
                ),
            )
            for at in range(0, len(ids), _AT_ONCE)
        ]

    # -- what was left behind --------------------------------------------------------------------

    def _look_after(self, stream: ReadStream, *, all_of_it: bool = False) -> None:
        """Go through the pending entries of a stream, before anything new if all is ours."""
        idle_ms = 0 if all_of_it else self._settings.lease_ms
        stream.work = PendingWork(self._settings.max_deliveries, idle_ms)
        stream.is_held_up = all_of_it

    def _rescan(self, connection: BusConnection) -> None:
        """Look now and then whether more is pending than is in hand."""
        now_ns = self._clock.monotonic_ns()
        if not self._group or now_ns < self._rescan_at_ns:
            return
        self._rescan_at_ns = now_ns + self._settings.lease_ms * _NS_OF_MS
        idle = [s for s in self._by_key.values() if s.is_prepared and s.work is None]
        for at in range(0, len(idle), _AT_ONCE):
            some = idle[at : at + _AT_ONCE]
            answers = connection.ask(
                [(s.key, command(b"XPENDING", s.key, self._group)) for s in some]
            )
            for stream, answer in zip(some, answers, strict=True):
                if not isinstance(answer, Exception) and answer[0] > len(stream.in_hand):
                    self._look_after(stream)

    def _keep(self, connection: BusConnection) -> None:
        """Say what is in hand, where others take over what nobody has touched for a while."""
        now_ns = self._clock.monotonic_ns()
        if not self._group or self._ordered or now_ns < self._keep_at_ns:
            return
        self._keep_at_ns = now_ns + self._settings.lease_ms * _NS_OF_MS // _KEEPS
        for stream in self._by_key.values():
            ids = list(stream.in_hand)
            for at in range(0, len(ids), _AT_ONCE):
                some = ids[at : at + _AT_ONCE]
                query = commands.keep(stream.key, self._group, self._consumer, some)
                # If there is no such group any more, reading will tell.
                connection.ask([(stream.key, query)])

    def _work(self, connection: BusConnection, stream: ReadStream) -> bool:
        """Take one step with what is pending; return False if it waits for a handler."""
        work = stream.work
        assert work is not None  # noqa: S101 (the caller looked)
        step = work.next(stream.in_hand, partial(self._suspects.take, stream))
        if step is None:
            stream.work = None
            stream.is_held_up = False
        elif isinstance(step, ListPending):
            query = commands.list_pending(stream.key, self._group, step.after, PAGE)
            (answer,) = connection.ask([(stream.key, query)])
            if commands.is_error(answer, commands.NO_GROUP):
                self._must_regain = True
                stream.work = None
                stream.is_held_up = False
                return True
            what = f"what is pending of {stream.name} cannot be seen"
            if not self._refused(stream, answer, what):
                page = commands.parse_pending(commands.succeeded(answer, what))
                work.listed(page, stream.in_hand)
        elif isinstance(step, Claim):
            try:
                self._claim(connection, stream, {e.raw_id: e.deliveries for e in step.entries})
            finally:
                self._suspects.claimed(stream)
        elif isinstance(step, Bury):
            entry = step.entry
            self._claim(connection, stream, {entry.raw_id: entry.deliveries}, bury=True)
        return not isinstance(step, Wait)

    def _claim(
        self,
        connection: BusConnection,
        stream: ReadStream,
        deliveries: dict[bytes, int],
        *,
        bury: bool = False,
    ) -> None:
        work = stream.work
        min_idle_ms = 0 if work is None else work.min_idle_ms
        query = commands.claim(stream.key, self._group, self._consumer, min_idle_ms, deliveries)
        (answer,) = connection.ask([(stream.key, query)])
        what = f"entries of {stream.name} cannot be claimed"
        if self._refused(stream, answer, what):
            # They are listed once more.
            self._look_after(stream, all_of_it=stream.is_held_up)
            return
        claimed = commands.succeeded(answer, what)
        entries = [entry for entry in claimed if entry is not None and entry[1] is not None]
        self.figures.counts["claimed"] += len(entries)
        gone = deliveries.keys() - {entry[0] for entry in entries}
        if gone:
            self._count_gone(connection, stream, gone)
        stream.in_hand.update(entry[0] for entry in entries)
        if bury:
            for raw_id, fields in entries:
                self._bury(stream, raw_id, fields, deliveries[raw_id])
        else:
            self._hand_over(stream, entries, deliveries)

    def _count_gone(self, connection: BusConnection, stream: ReadStream, gone: set[bytes]) -> None:
        """Find out which entries were not claimed because they are not in the stream any more."""
        order = sorted(gone)
        answers = connection.ask(
            [(stream.key, command(b"XRANGE", stream.key, one, one)) for one in order]
        )
        trimmed = [one for one, answer in zip(order, answers, strict=True) if answer == []]
        if trimmed:
            self.figures.counts["trimmed_while_pending"] += len(trimmed)
            # Before Redis 7.0 they stay pending for ever.
            stream.in_hand.update(trimmed)
            self._settling.settle(stream, trimmed)

    def _bury(
        self, stream: ReadStream, raw_id: bytes, fields: list[bytes], deliveries: int
    ) -> None:
        topic, payload = topic_and_payload(fields) or (b"", b"")
        letter = DeadLetter(
            topic=topic.decode("utf-8", "backslashreplace"),
            payload=payload,
            stream=stream.name,
            entry_id=parse_entry_id(raw_id),
            group=self._group_name,
            consumer=self._consumer_name,
            error=f"read {deliveries} times, never acknowledged: its handler may end the process",
            error_type="NeverAcknowledged",
            deliveries=deliveries,
            failed_at=self._clock.time_ns(),
        )
        self._settling.bury(stream, raw_id, letter)

    # -- reading ---------------------------------------------------------------------------------

    def _read(
        self, connection: BusConnection, streams: list[ReadStream], room: int, *, hurry: bool
    ) -> int:
        """Read once, waiting for entries unless in a hurry; return how many there were."""
        count = max(1, min(self._settings.read_count, room // len(streams)))
        if self._group:
            make: Callable[..., bytes] = partial(self._group_command, count)
        else:
            make = partial(_plain_command, count)
        if isinstance(connection, ServerConnection):
            # No longer than the lease: who is stopped meanwhile gets nothing of what others read.
            left_ms = (self._lease.until_ns - self._clock.monotonic_ns()) // _NS_OF_MS
            if left_ms <= 0:
                return 0
            self.is_waiting = True
            try:
                # Looked at after that was said: who tells of a change interrupts who waits.
                may_wait = not (hurry or self._changed.is_set())
                block_ms = min(self._block_ms, left_ms) if may_wait else None
                (answer,) = connection.exchange(make(streams, block_ms), 1)
            finally:
                self.is_waiting = False
            if not commands.is_about_keys(answer):
                count = self._take(answer)
                self._are_read(streams)
                return count
        # Streams of different nodes, or one of them is refused and the answer does not say which.
        answers = connection.ask([(s.key, make([s], None)) for s in streams])
        got = self._take_each(streams, answers)
        if not got:
            self._changed.wait(_POLL_S)
        return got

    def _are_read(self, streams: list[ReadStream]) -> None:
        """Note that the server refuses none of these streams."""
        for stream in streams if self.barred else ():
            self.barred.pop(stream, None)
        if not self._must_regain:
            self.succeeded()

    def _take_each(self, streams: list[ReadStream], answers: list[Any]) -> int:
        """Hand over what came of each stream, before what is wrong with others is looked at."""
        count = 0
        errors = []
        for stream, answer in zip(streams, answers, strict=True):
            if not isinstance(answer, Exception):
                count += self._take(answer)
                self._are_read([stream])
            elif not self._refused(stream, answer, f"{stream.name} cannot be read"):
                errors.append(answer)
        for error in errors[:1]:
            self._take(error)
        return count

    def _group_command(self, count: int, streams: list[ReadStream], block_ms: int | None) -> bytes:
        if len(streams) == 1:
            # In a cluster, one after the other.
            return commands.read_group(
                self._group, self._consumer, [streams[0].key], count, block_ms
            )
        if streams != self._reading_of:
            keys = [stream.key for stream in streams]
            self._reading = commands.GroupReading(self._group, self._consumer, keys)
            self._reading_of = streams
        return self._reading.query(count, block_ms)

    def _take(self, answer: Any) -> int:
        """Hand over what an answer brings; return how many entries."""
        if isinstance(answer, Exception):
            if commands.is_error(answer, commands.NO_GROUP):
                self._must_regain = True
            raise ServerError(f"reading failed: {answer}")
        count = 0
        for key, entries in answer or ():
            stream = self._by_key[key]
            if stream.in_hand:
                entries = self._unknown(stream, entries)  # noqa: PLW2901 (what is left of them)
            if entries:
                stream.read_to = parse_entry_id(entries[-1][0])
                stream.in_hand.update(entry[0] for entry in entries)
                self._hand_over(stream, entries)
                count += len(entries)
        return count

    def _unknown(self, stream: ReadStream, entries: list[Any]) -> list[Any]:
        """Return the entries that are not in hand, which some are after a group was made again."""
        in_hand = stream.in_hand
        if in_hand.isdisjoint([entry[0] for entry in entries]):
            return entries
        unknown = [entry for entry in entries if entry[0] not in in_hand]
        self.figures.counts["already_handled"] += len(entries) - len(unknown)
        return unknown

    def _hand_over(
        self, stream: ReadStream, entries: list[Any], deliveries: dict[bytes, int] | None = None
    ) -> None:
        """Give messages of selected topics to the runner, and settle the rest."""
        topics = self._topics
        counts = self.figures.counts
        taken: list[Delivery] = []
        unwanted: list[bytes] = []
        skip_to = stream.skip_to if not stream.topic else FIRST_ID
        for raw_id, fields in entries:
            found = None if fields is None else topic_and_payload(fields)
            if found is None:
                unwanted.append(raw_id)
                continue
            raw_topic, payload = found
            topic = topics[raw_topic] if raw_topic in topics else self._learn(raw_topic)
            if topic is None:
                unwanted.append(raw_id)
                continue
            if skip_to is not FIRST_ID and self._is_before(topic, raw_id, skip_to):
                counts["skipped"] += 1
                unwanted.append(raw_id)
                continue
            if len(fields) > PLAIN:
                counts["gaps"] += number_of(fields, FIELD_GAP) or 0
            attempts = 0 if deliveries is None else deliveries[raw_id]
            taken.append(Delivery(topic, payload, stream, raw_id, fields, attempts))
        counts["read"] += len(entries)
        if taken:
            self._runner.submit(taken)
        if unwanted:
            self._settling.settle(stream, unwanted)

    def _is_before(self, topic: str, raw_id: bytes, skip_to: EntryId) -> bool:
        return self._starts.of(topic) is NOW and parse_entry_id(raw_id) <= skip_to

    def _learn(self, raw: bytes) -> str | None:
        """Return a topic as text, or None if it is not selected; remembers many."""
        topic: str | None = raw.decode("utf-8", "backslashreplace")
        if not self._chooser.accepts(topic):  # type: ignore[arg-type]  # it was just made
            topic = None
        if len(self._topics) < _MAX_TOPICS:
            self._topics[raw] = topic
        return topic


def _plain_command(count: int, streams: list[ReadStream], block_ms: int | None) -> bytes:
    return commands.read([(s.key, s.read_to) for s in streams], count, block_ms)


def _facts(answer: Any) -> commands.StreamFacts | None:
    """Return what is known of a stream; None if there is none."""
    if commands.is_error(answer, "ERR no such key"):
        return None
    return commands.parse_stream(commands.succeeded(answer, "a stream cannot be looked at"))
