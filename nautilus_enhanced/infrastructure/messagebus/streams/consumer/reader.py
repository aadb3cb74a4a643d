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

from nautilus_enhanced.infrastructure.messagebus.connection.connection import ServerConnection
from nautilus_enhanced.infrastructure.messagebus.errors import ServerError
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import parse_entry_id
from nautilus_enhanced.infrastructure.messagebus.streams import commands
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.barring import BarredStreams
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.claiming import PendingCare
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.groups import GroupCare
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.recovery import PAGE
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.recovery import Suspects
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.sifting import EntrySifter
from nautilus_enhanced.infrastructure.messagebus.streams.worker import ConnectedThread


if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_enhanced.infrastructure.messagebus.connection.backoff import Backoff
    from nautilus_enhanced.infrastructure.messagebus.connection.connector import BusConnection
    from nautilus_enhanced.infrastructure.messagebus.contracts import Clock
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.acknowledger import Settling
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.choosing import StreamChooser
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.lease import Lease
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.read_stream import ReadStream
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.runners import Runner
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import StartTable
    from nautilus_enhanced.infrastructure.messagebus.streams.settings import SubscriptionSettings
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
        self._group = (group or "").encode()
        self._consumer = (consumer or "").encode()
        self._lease = lease
        self._runner = runner
        self._clock = clock
        self._block_ms = min(block_ms, _BLOCK_MS)
        self._ordered = settings.order == "topic"
        self._by_key: dict[bytes, ReadStream] = {}
        # What is asked for over and over, and the streams that it names.
        self._reading = commands.GroupReading(self._group, self._consumer, [])
        self._reading_of: list[ReadStream] = []
        self._must_regain = False
        self.barred = BarredStreams(clock, figures)
        self._sifter = EntrySifter(chooser, starts, runner, settling, figures)
        self._pending = PendingCare(
            group or "",
            consumer or "",
            settings=settings,
            sifter=self._sifter,
            settling=settling,
            suspects=suspects or Suspects(),
            barred=self.barred,
            clock=clock,
            figures=figures,
        )
        self._groups = GroupCare(
            group or "",
            consumer or "",
            ordered=self._ordered,
            starts=starts,
            barred=self.barred,
            figures=figures,
            # Before anything newer, where order is kept.
            look_after=partial(self._pending.look_after, all_of_it=self._ordered),
        )
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
                    self._groups.look_after(stream)
        # A server that was restarted may not know the group.
        self._must_regain = bool(self._group)

    def step(self, connection: BusConnection) -> None:
        """Prepare what is new, take what was left behind, and read once."""
        self._changed.clear()
        streams = self._by_key = self.assigned
        if not streams or not self._is_granted():
            self._changed.wait(_PAUSE_S)
            return
        all_of_them = list(streams.values())
        if self._must_regain or self._pending.is_group_gone:
            self._groups.regain(connection, [s for s in all_of_them if s.is_prepared])
            self._must_regain = self._pending.is_group_gone = False
        new = [s for s in all_of_them if not s.is_prepared and not self.barred.holds(s)]
        self._groups.prepare_all(connection, new)
        self._pending.rescan(connection, all_of_them)
        self._pending.keep(connection, all_of_them)
        at_work = [s for s in all_of_them if s.work is not None and not self.barred.holds(s)]
        is_busy = False
        for stream in at_work:
            # Not all of it at once: what is in hand counts as delivered if this process is killed.
            if len(stream.in_hand) < PAGE:
                is_busy |= self._pending.work(connection, stream)
        readable = [stream for stream in all_of_them if not stream.is_held_up]
        if self.barred:
            self.barred.keep(streams)
            readable = [s for s in readable if s.is_prepared and not self.barred.holds(s)]
        room = self._settings.max_in_hand - self._runner.in_hand
        if room <= 0:
            self._runner.wait_for_room(_PAUSE_S)
            return
        got = self._read(connection, readable, room, hurry=bool(at_work)) if readable else 0
        if not got and not is_busy and (at_work or not readable):
            self._changed.wait(_SOON_S)

    def _is_granted(self) -> bool:
        return self._clock.monotonic_ns() < self._lease.until_ns

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
        self.barred.accepted(streams)
        if not (self._must_regain or self._pending.is_group_gone):
            self.succeeded()

    def _take_each(self, streams: list[ReadStream], answers: list[Any]) -> int:
        """Hand over what came of each stream, before what is wrong with others is looked at."""
        count = 0
        errors = []
        for stream, answer in zip(streams, answers, strict=True):
            if not isinstance(answer, Exception):
                count += self._take(answer)
                self._are_read([stream])
            elif not self.barred.refused(stream, answer, f"{stream.name} cannot be read"):
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
                self._sifter.hand_over(stream, entries)
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


def _plain_command(count: int, streams: list[ReadStream], block_ms: int | None) -> bytes:
    return commands.read([(s.key, s.read_to) for s in streams], count, block_ms)
