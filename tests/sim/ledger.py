"""What became of each message, as the stream, the counters and the callers tell it."""

from __future__ import annotations

from collections import Counter
from collections import defaultdict
from typing import TYPE_CHECKING

from model_redis import Session
from model_redis import Watcher
from virtual_time import Found

from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import HEARTBEAT_TOPIC


if TYPE_CHECKING:
    from model_streams import EntryId

    from nautilus_enhanced.infrastructure.messagebus.monitoring.statistics import ClientStatistics


FOREIGN = b"from another writer"
_HEARTBEAT = HEARTBEAT_TOPIC.encode()


class Message:
    """A message that was published."""

    __slots__ = ("fate", "is_promised", "lane", "live", "number", "was_added")

    def __init__(self, number: int, lane: MessagePriority) -> None:
        self.number = number
        self.lane = lane
        # Entries of it that are there, or were and have been read since: trimmed or deleted.
        self.live = 0
        self.was_added = False
        # What the publisher was told: a boolean, None for nobody knows, or nothing yet.
        self.fate: bool | str | None = "untold"
        self.is_promised = False

    def __repr__(self) -> str:
        return f"message {self.number} ({self.lane.name})"


class Ledger(Watcher):
    """
    Check what is added to the streams, at once, and in the end what was counted.

    Attributes
    ----------
    disordered : set[bytes]
        Streams in which order is not sure, because there are two writers.
    removed_from : set[bytes]
        Streams of which entries were trimmed or deleted.
    crashes : bool
        Whether what is undone now is undone by the server's end.
    has_heartbeats : bool
        Whether the writer publishes heartbeats.
    """

    def __init__(self) -> None:
        self.messages: dict[bytes, Message] = {}
        self.offered = 0
        self.has_heartbeats = False
        self.disordered: set[bytes] = set()
        self.removed_from: set[bytes] = set()
        self.crashes = False
        self._ids: dict[tuple[bytes, EntryId], Message] = {}
        self._trimmed: defaultdict[bytes, list[Message]] = defaultdict(list)
        self._last: defaultdict[tuple[bytes, MessagePriority], int] = defaultdict(int)

    def publish(self, number: int, payload: bytes, lane: MessagePriority) -> Message:
        message = self.messages[payload] = Message(number, lane)
        return message

    # -- as the streams tell it ------------------------------------------------------------------

    def added(self, session: Session, key: bytes, entry_id: EntryId, fields: list[bytes]) -> None:
        if fields[0] == FOREIGN:
            self.disordered.add(key)
            return
        message = self.messages.get(fields[3])
        if message is None and fields[1] == _HEARTBEAT:
            message = self.publish(0, fields[3], MessagePriority.LOW)
        if message is None:
            raise Found(f"an entry that nobody published: {fields}")
        if message.live:
            raise Found(f"{message} is in {key!r} a second time")
        place = key, message.lane
        if message.number and message.number < self._last[place] and key not in self.disordered:
            raise Found(f"{message} is in {key!r} behind number {self._last[place]} of its lane")
        self._last[place] = max(self._last[place], message.number)
        message.live += 1
        message.was_added = True
        self._ids[key, entry_id] = message

    def trimmed(self, key: bytes, ids: list[EntryId]) -> None:
        self.removed_from.add(key)
        self._trimmed[key] += [self._ids[key, one] for one in ids if (key, one) in self._ids]

    def undone(self, key: bytes, ids: list[EntryId]) -> None:
        for entry_id in ids:
            message = self._ids.pop((key, entry_id), None)
            if message is None:
                continue
            message.live = 0
            if self.crashes and message.is_promised:
                raise Found(f"{message} was lost, which was on the disk")
        # Nobody can know any more that these have been there.
        for message in self._trimmed.pop(key, ()):
            message.live = 0
        left = [message for (of, _), message in self._ids.items() if of == key and message.live]
        for lane in MessagePriority:
            numbers = [message.number for message in left if message.lane is lane]
            self._last[key, lane] = max(numbers, default=0)

    # -- as the publishers are told --------------------------------------------------------------

    def tell(self, message: Message, accepted: bool | None) -> None:
        if message.fate != "untold":
            raise Found(f"{message} was told twice: {message.fate}, {accepted}")
        message.fate = accepted
        if accepted and not message.was_added:
            raise Found(f"{message} was acknowledged and is not in its stream")
        if accepted is False and message.live:
            raise Found(f"{message} was given up and is in its stream")

    # -- as the counters tell it -----------------------------------------------------------------

    def check_figures(self, figures: ClientStatistics) -> None:
        """Check that each message is counted once, at any time."""
        for lane in figures.lanes:
            settled = lane.acknowledged + lane.rejected + lane.abandoned + lane.indeterminate
            if min(settled, lane.queued, lane.queued_bytes) < 0 or lane.dropped < 0:
                raise Found(f"a figure is below zero: {lane}")
        published = sum(lane.published for lane in figures.lanes)
        counted = figures.in_flight + sum(
            lane.acknowledged
            + lane.rejected
            + lane.abandoned
            + lane.indeterminate
            + lane.dropped
            + lane.queued
            for lane in figures.lanes
        )
        if counted != published:
            raise Found(f"{published} were published and {counted} counted: {figures}")

    def check_end(self, figures: ClientStatistics) -> None:
        """Check the counters against the streams, when the client has ended."""
        self.check_figures(figures)
        if figures.in_flight or any(lane.queued for lane in figures.lanes):
            raise Found(f"the client has ended and holds messages: {figures}")
        refused = sum(lane.refused for lane in figures.lanes)
        published = sum(lane.published for lane in figures.lanes)
        rest = figures.filtered + figures.sampled_out + figures.held
        total = refused + published + rest
        # The writer publishes heartbeats itself, so that nobody counts what it offers.
        if total < self.offered or (total > self.offered and not self.has_heartbeats):
            raise Found(f"{self.offered} were offered, counted are {figures}")
        added: Counter[str] = Counter()
        live: Counter[str] = Counter()
        for message in self.messages.values():
            added[message.lane.name] += message.was_added
            live[message.lane.name] += message.live > 0
            self._check_told(message)
        for lane in figures.lanes:
            if lane.acknowledged > added[lane.priority]:
                raise Found(f"only {added[lane.priority]} have been in their streams: {lane}")
            if live[lane.priority] > lane.acknowledged + lane.indeterminate:
                raise Found(f"{live[lane.priority]} are in their streams: {lane}")

    @staticmethod
    def _check_told(message: Message) -> None:
        if message.fate is True and not message.was_added:
            raise Found(f"{message} was acknowledged and never in its stream")
        if message.fate is False and message.live:
            raise Found(f"{message} was given up and is in its stream")
