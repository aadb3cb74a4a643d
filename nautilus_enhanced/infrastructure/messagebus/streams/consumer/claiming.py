"""
Look after entries that were read and not acknowledged: take them over, or put them aside.

What to do is decided in `recovery`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.publishing.wire import command
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import parse_entry_id
from nautilus_enhanced.infrastructure.messagebus.streams import commands
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.groups import AT_ONCE
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.recovery import PAGE
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.recovery import Bury
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.recovery import Claim
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.recovery import ListPending
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.recovery import PendingWork
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.recovery import Wait
from nautilus_enhanced.infrastructure.messagebus.streams.entries import topic_and_payload
from nautilus_enhanced.infrastructure.messagebus.streams.letters import DeadLetter


if TYPE_CHECKING:
    from collections.abc import Sequence

    from nautilus_enhanced.infrastructure.messagebus.connection.connector import BusConnection
    from nautilus_enhanced.infrastructure.messagebus.contracts import Clock
    from nautilus_enhanced.infrastructure.messagebus.streams.commands import PendingEntry
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.acknowledger import Settling
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.barring import BarredStreams
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.read_stream import ReadStream
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.recovery import Suspects
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.sifting import EntrySifter
    from nautilus_enhanced.infrastructure.messagebus.streams.settings import SubscriptionSettings
    from nautilus_enhanced.infrastructure.messagebus.streams.statistics import SubscriptionFigures


# In the time of a lease.
_KEEPS: Final = 4
_NS_OF_MS: Final = 1_000_000


class PendingCare:
    """
    Look after the pending entries of streams.

    Parameters
    ----------
    group, consumer : str
        The group and the consumer's name in it; empty where there is none.
    settings : SubscriptionSettings
        The settings.
    sifter : EntrySifter
        Takes what was claimed.
    settling : Settling
        Takes what needs no handler.
    suspects : Suspects
        The turn of entries that were read more than once; readers of a process share one.
    barred : BarredStreams
        Notes which streams the server refuses.
    clock : Clock
        The clock.
    figures : SubscriptionFigures
        The figures.

    Attributes
    ----------
    is_group_gone : bool
        Whether the server has said that there is no such group.
    """

    def __init__(
        self,
        group: str,
        consumer: str,
        *,
        settings: SubscriptionSettings,
        sifter: EntrySifter,
        settling: Settling,
        suspects: Suspects,
        barred: BarredStreams,
        clock: Clock,
        figures: SubscriptionFigures,
    ) -> None:
        self._group_name = group
        self._consumer_name = consumer
        self._group = group.encode()
        self._consumer = consumer.encode()
        self._settings = settings
        self._ordered = settings.order == "topic"
        self._sifter = sifter
        self._settling = settling
        self._suspects = suspects
        self._barred = barred
        self._clock = clock
        self._figures = figures
        self._rescan_at_ns = 0
        self._keep_at_ns = 0
        self.is_group_gone = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._group_name})"

    def look_after(self, stream: ReadStream, *, all_of_it: bool = False) -> None:
        """Go through the pending entries of a stream, before anything new if all is ours."""
        idle_ms = 0 if all_of_it else self._settings.lease_ms
        stream.work = PendingWork(self._settings.max_deliveries, idle_ms, stream.forced)
        stream.is_held_up = all_of_it

    def rescan(self, connection: BusConnection, streams: Sequence[ReadStream]) -> None:
        """Look now and then whether more is pending than is in hand."""
        now_ns = self._clock.monotonic_ns()
        if not self._group or now_ns < self._rescan_at_ns:
            return
        self._rescan_at_ns = now_ns + self._settings.lease_ms * _NS_OF_MS
        idle = [s for s in streams if s.is_prepared and s.work is None]
        for at in range(0, len(idle), AT_ONCE):
            some = idle[at : at + AT_ONCE]
            answers = connection.ask(
                [(s.key, command(b"XPENDING", s.key, self._group)) for s in some]
            )
            for stream, answer in zip(some, answers, strict=True):
                if not isinstance(answer, Exception) and answer[0] > len(stream.in_hand):
                    self.look_after(stream)

    def keep(self, connection: BusConnection, streams: Sequence[ReadStream]) -> None:
        """Say what is in hand, where others take over what nobody has touched for a while."""
        now_ns = self._clock.monotonic_ns()
        if not self._group or self._ordered or now_ns < self._keep_at_ns:
            return
        self._keep_at_ns = now_ns + self._settings.lease_ms * _NS_OF_MS // _KEEPS
        for stream in streams:
            ids = list(stream.in_hand)
            for at in range(0, len(ids), AT_ONCE):
                some = ids[at : at + AT_ONCE]
                query = commands.keep(stream.key, self._group, self._consumer, some)
                # If there is no such group any more, reading will tell.
                connection.ask([(stream.key, query)])

    def work(self, connection: BusConnection, stream: ReadStream) -> bool:
        """Take one step with what is pending; return False if it waits for a handler."""
        work = stream.work
        assert work is not None  # noqa: S101 (the caller looked)
        step = work.next(stream.in_hand, partial(self._suspects.take, stream))
        if step is None:
            stream.work = None
            stream.is_held_up = False
            stream.forced -= work.unlisted
        elif isinstance(step, ListPending):
            query = commands.list_pending(stream.key, self._group, step.after, PAGE)
            (answer,) = connection.ask([(stream.key, query)])
            if commands.is_error(answer, commands.NO_GROUP):
                self.is_group_gone = True
                stream.work = None
                stream.is_held_up = False
                return True
            what = f"what is pending of {stream.name} cannot be seen"
            if not self._barred.refused(stream, answer, what):
                page = commands.parse_pending(commands.succeeded(answer, what))
                self._settle_forced(stream, page)
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

    def _settle_forced(self, stream: ReadStream, page: Sequence[PendingEntry]) -> None:
        """Acknowledge once more what was acknowledged where the group did not know it yet."""
        listed = {entry.raw_id for entry in page}
        # In this order: it is put into hand, not taken out of it, by this thread alone.
        settled = (stream.forced & listed) - stream.in_hand
        if settled:
            self._figures.counts["already_handled"] += len(settled)
            stream.in_hand.update(settled)
            self._settling.settle(stream, settled)

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
        if self._barred.refused(stream, answer, what):
            # They are listed once more.
            self.look_after(stream, all_of_it=stream.is_held_up)
            return
        claimed = commands.succeeded(answer, what)
        entries = [entry for entry in claimed if entry is not None and entry[1] is not None]
        self._figures.counts["claimed"] += len(entries)
        gone = deliveries.keys() - {entry[0] for entry in entries}
        if gone:
            self._count_gone(connection, stream, gone)
        stream.in_hand.update(entry[0] for entry in entries)
        if bury:
            for raw_id, fields in entries:
                self._bury(stream, raw_id, fields, deliveries[raw_id])
        else:
            self._sifter.hand_over(stream, entries, deliveries)

    def _count_gone(self, connection: BusConnection, stream: ReadStream, gone: set[bytes]) -> None:
        """Find out which entries were not claimed because they are not in the stream any more."""
        order = sorted(gone)
        answers = connection.ask(
            [(stream.key, command(b"XRANGE", stream.key, one, one)) for one in order]
        )
        trimmed = [one for one, answer in zip(order, answers, strict=True) if answer == []]
        if trimmed:
            self._figures.counts["trimmed_while_pending"] += len(trimmed)
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
