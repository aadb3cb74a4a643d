"""
The bounded lanes between the threads that publish and the one thread that writes.

A put is a look-up and an append: no lock is taken by the thread that publishes most (the home
thread, which in a node is the one that trades), and none that the writer ever holds by any
other. So publishing cannot wait for the network, nor for a thread that the operating system
has put to sleep.

An entry is a tuple of topic, payload and, rarely, a receipt to call. CPython's garbage collector
stops tracking a tuple of ``str``, ``bytes`` and None at its first look, so that a long backlog
costs no collections of its own.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import repeat
from threading import Lock
from threading import get_ident
from typing import TYPE_CHECKING
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.monitoring.statistics import LaneStatistics
from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority
from nautilus_enhanced.infrastructure.messagebus.publishing.overflow import OVERFLOW_POLICIES
from nautilus_enhanced.infrastructure.messagebus.publishing.tally import Tally


if TYPE_CHECKING:
    from nautilus_enhanced.infrastructure.messagebus.contracts import OverflowPolicy
    from nautilus_enhanced.infrastructure.messagebus.monitoring.meters import LatencyMeter
    from nautilus_enhanced.infrastructure.messagebus.settings.publishing import LaneSettings


# Between two messages whose latency is measured are at most this many.
MAX_PROBE_STRIDE: Final = 1_024

# Topics of which a lane knows how many messages it dropped; of others it only counts them.
MAX_GAP_TOPICS: Final = 65_536

Receipt = Callable[[bool | None], None]
"""
Called once, on any thread, with whether the server accepted the message, or with None if that
cannot be known; must not raise.
"""

Entry = tuple[str, bytes, Receipt | None]


class Lane:
    """
    Hold the messages of one priority until the writer takes them.

    Any thread may `put`; only the writer's may call `take` and the methods that report what
    became of what it took.

    Parameters
    ----------
    priority : MessagePriority
        The lane's priority.
    settings : LaneSettings
        Bounds, water marks, interval and overflow policy.
    policy : OverflowPolicy, optional
        The overflow policy to use instead of the one that the settings name.
    latency : LatencyMeter, optional
        Measures how long messages take, on about one in each batch.
    """

    __slots__ = (
        "_bytes_out",
        "_dropped",
        "_entries",
        "_gaps",
        "_gaps_told",
        "_gaps_told_at",
        "_high_bytes",
        "_high_count",
        "_high_messages",
        "_high_reached",
        "_latency",
        "_low_bytes",
        "_low_messages",
        "_marks",
        "_max_bytes",
        "_max_messages",
        "_policy",
        "_probe_stride",
        "_probed_at",
        "_put",
        "_refused",
        "_until_probe",
        "abandoned",
        "acknowledged",
        "expired",
        "flush_interval_ns",
        "half_full",
        "indeterminate",
        "journaled",
        "priority",
        "rejected",
        "restored",
        "shed",
        "taken",
    )

    def __init__(
        self,
        priority: MessagePriority,
        settings: LaneSettings,
        policy: OverflowPolicy | None = None,
        latency: LatencyMeter | None = None,
    ) -> None:
        self.priority = priority
        self.flush_interval_ns = settings.flush_interval_ms * 1_000_000
        self.half_full = max(1, settings.max_messages // 2)
        self.acknowledged = 0
        self.rejected = 0
        self.abandoned = 0
        self.indeterminate = 0
        self.taken = 0
        # What the journal did: messages of an earlier process, messages that wait on disk, and
        # those of them that became too old or had to make room.
        self.restored = 0
        self.journaled = 0
        self.expired = 0
        self.shed = 0
        self._entries: deque[Entry] = deque()
        self._max_messages = settings.max_messages
        self._max_bytes = settings.max_bytes
        self._high_messages = settings.max_messages * settings.high_water
        self._high_bytes = settings.max_bytes * settings.high_water
        self._low_messages = settings.max_messages * settings.low_water
        self._low_bytes = settings.max_bytes * settings.low_water
        self._high_reached = False
        self._high_count = 0
        self._marks = Lock()
        self._policy = policy or OVERFLOW_POLICIES[settings.overflow]
        self._latency = latency
        self._probe_stride = 1
        self._probed_at = 0
        self._until_probe = sys.maxsize if latency is None else 1
        # Each counts messages and adds up their bytes.
        self._put = Tally()
        self._dropped = Tally()
        self._refused = Tally()
        self._bytes_out = 0
        # Each thread counts for itself what it dropped, by topic, and never counts down: so
        # none needs a lock to do it, and none to read it.
        self._gaps: dict[int, dict[str, int]] = {}
        self._gaps_told: dict[str, int] = {}
        self._gaps_told_at = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.priority.name}, {len(self)}/{self._max_messages} "
            f"messages, {self.queued_bytes}/{self._max_bytes} bytes)"
        )

    @property
    def queued_bytes(self) -> int:
        """Return the payload bytes that wait, never less than zero."""
        # Between a put's append and its count the writer may already have taken the entry.
        return max(0, self._put.value - self._bytes_out - self._dropped.value)

    @property
    def utilization(self) -> float:
        """Return how full the lane is, 0 to 1, by messages or by bytes, whichever is more."""
        return max(len(self._entries) / self._max_messages, self.queued_bytes / self._max_bytes)

    @property
    def is_urgent(self) -> bool:
        """Return whether a message here wakes the writer at once."""
        return self.flush_interval_ns == 0

    def adopt(self) -> None:
        """Make the calling thread the home thread of the lane's counters."""
        for tally in (self._put, self._dropped, self._refused):
            tally.adopt()

    def has_room(self, size: int) -> bool:
        """Return whether an entry of `size` bytes fits within both bounds."""
        return (
            len(self._entries) < self._max_messages and self.queued_bytes + size <= self._max_bytes
        )

    def drop_oldest(self) -> bool:
        """Remove and count the oldest entry; return False when there is none."""
        try:
            topic, payload, receipt = self._entries.popleft()
        except IndexError:
            return False
        gaps = self._gaps.setdefault(get_ident(), {})
        if topic in gaps or len(gaps) < MAX_GAP_TOPICS:
            gaps[topic] = gaps.get(topic, 0) + 1
        self._dropped.add(len(payload))
        if receipt is not None:
            receipt(False)
        return True

    def put(self, topic: str, payload: bytes, receipt: Receipt | None = None) -> bool:
        """
        Append a message, from any thread, without waiting.

        Returns
        -------
        bool
            False if the lane was full and its policy refused; the refusal is counted.
        """
        size = len(payload)
        # `has_room` and `Tally.add`, written out: calls would be half of what a put costs.
        put, dropped = self._put, self._dropped
        queued_bytes = put.home + put.foreign - dropped.home - dropped.foreign - self._bytes_out
        is_full = len(self._entries) >= self._max_messages or queued_bytes + size > self._max_bytes
        # What never fits must not cost the lane what it holds.
        if is_full and (size > self._max_bytes or not self._policy.make_room(self, size)):
            self._refused.add(size)
            return False
        self._until_probe -= 1
        if self._until_probe <= 0 and receipt is None:
            receipt = self._probe()
        self._entries.append((topic, payload, receipt))
        if get_ident() == put.home_ident:
            put.home += size
            put.home_count += 1
        else:
            put.add(size)
        return True

    def _probe(self) -> Receipt | None:
        """
        Return a receipt that measures how long this message takes.

        Messages between two probes double with each probe and halve with each take, so that
        about one message in each batch has one, however many there are: few of a burst, each
        of those that come alone. Two threads may spoil each other's countdown, not more.
        """
        latency = self._latency
        if latency is None:
            return None
        self._probe_stride = min(2 * self._probe_stride, MAX_PROBE_STRIDE)
        self._until_probe = self._probe_stride
        count = self._put.count + 1
        weight, self._probed_at = count - self._probed_at, count
        return latency.probe(max(1, weight))

    def take(self, max_messages: int, max_bytes: int) -> list[Entry]:
        """
        Remove entries from the front, within both bounds, but at least one if there is any.

        Called by the writer only.
        """
        # Between two takes a lane only grows, or stays full: so no rise is missed.
        self._check_marks()
        self._probe_stride = max(1, self._probe_stride // 2)
        if self._latency is not None:
            self._until_probe = min(self._until_probe, self._probe_stride)
        entries = self._entries
        taken: list[Entry] = []
        with suppress(IndexError):
            # Another thread may drop the oldest at any time, so take first and look then.
            for _ in repeat(None, max_messages):
                taken.append(entries.popleft())
        size = sum(len(payload) for _, payload, _ in taken)
        while size > max_bytes and len(taken) > 1:
            # Entries are only ever appended behind and dropped from the front, so putting the
            # last ones back in front keeps the order.
            entry = taken.pop()
            size -= len(entry[1])
            entries.appendleft(entry)
        self.taken += len(taken)
        self._bytes_out += size
        self._check_marks()
        return taken

    def put_back(self, taken: list[Entry]) -> None:
        """
        Undo the last `take`, because what it was for could not be done.

        What came meanwhile stays too, so that a full lane has more than its bound for a while.
        """
        self._entries.extendleft(reversed(taken))
        self.taken -= len(taken)
        self._bytes_out -= sum(len(payload) for _, payload, _ in taken)

    def new_gaps(self) -> dict[str, int]:
        """
        Return how many messages of a topic were dropped since the last call.

        Called by whoever takes. All that was dropped came before what is left.
        """
        dropped = self._dropped.count
        if dropped == self._gaps_told_at:
            return {}
        self._gaps_told_at = dropped
        totals: Counter[str] = Counter()
        for gaps in list(self._gaps.values()):
            # In one step: its thread may be about to add a topic.
            totals.update(gaps.copy())
        told, self._gaps_told = self._gaps_told, totals
        new = {topic: count - told.get(topic, 0) for topic, count in totals.items()}
        return {topic: count for topic, count in new.items() if count}

    def abandon(self) -> int:
        """Remove and count everything that is left; return how much that was."""
        before = self.abandoned
        while left := self.take(len(self._entries), sys.maxsize):
            self.abandoned += len(left)
            for _, _, receipt in left:
                if receipt is not None:
                    receipt(False)
        return self.abandoned - before

    def write_off(self) -> None:
        """Count as abandoned what was taken and has no fate, when the writer holds none of it."""
        self.abandoned += self.taken - self.settled - self.journaled

    @property
    def published(self) -> int:
        """Return the messages taken in so far, those that were dropped later included."""
        return self._put.count + self.restored

    @property
    def removed(self) -> int:
        """Return the messages that were taken by the writer or dropped."""
        return self.taken + self._dropped.count

    @property
    def settled(self) -> int:
        """Return the messages taken by the writer whose fate is known."""
        return (
            self.acknowledged
            + self.rejected
            + self.abandoned
            + self.indeterminate
            + self.expired
            + self.shed
        )

    @property
    def lost(self) -> int:
        """Return the messages that will never reach the server."""
        return (
            self._dropped.count
            + self._refused.count
            + self.rejected
            + self.abandoned
            + self.expired
            + self.shed
        )

    def _check_marks(self) -> None:
        """Note whether the lane has reached its high-water mark or fallen below the low one."""
        if not self._marks.acquire(False):  # by name it takes three times as long
            # Another thread is at it, and nobody waits here.
            return
        queued, queued_bytes = len(self._entries), self.queued_bytes
        if queued >= self._high_messages or queued_bytes >= self._high_bytes:
            self._high_count += not self._high_reached
            self._high_reached = True
        elif queued < self._low_messages and queued_bytes < self._low_bytes:
            self._high_reached = False
        self._marks.release()

    def statistics(self) -> LaneStatistics:
        """Return the lane's figures."""
        self._check_marks()
        return LaneStatistics(
            priority=self.priority.name,
            published=self.published,
            acknowledged=self.acknowledged,
            dropped=self._dropped.count,
            refused=self._refused.count,
            rejected=self.rejected,
            abandoned=self.abandoned,
            queued=len(self._entries),
            queued_bytes=self.queued_bytes,
            high_water_reached=self._high_reached,
            high_water_count=self._high_count,
            indeterminate=self.indeterminate,
            journaled=self.journaled,
            restored=self.restored,
            expired=self.expired,
            shed=self.shed,
        )
