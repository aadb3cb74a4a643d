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
from collections import deque
from collections.abc import Callable
from threading import Lock
from threading import get_ident
from typing import TYPE_CHECKING

from nautilus_enhanced.infrastructure.messagebus.overflow import OVERFLOW_POLICIES
from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority
from nautilus_enhanced.infrastructure.messagebus.statistics import LaneStatistics


if TYPE_CHECKING:
    from nautilus_enhanced.infrastructure.messagebus.contracts import PriorityPolicy
    from nautilus_enhanced.infrastructure.messagebus.settings import BufferSettings
    from nautilus_enhanced.infrastructure.messagebus.settings import LaneSettings


Receipt = Callable[[bool], None]
"""Called once, on any thread, with whether the server accepted the message; must not raise."""

Entry = tuple[str, bytes, Receipt | None]


class Tally:
    """
    Count events and add up their amounts from any thread, without a lock on the home thread.

    ``x += n`` is several steps for the interpreter, so two threads must never do it to the same
    number: the home thread has its own, all others share theirs under a lock.
    """

    __slots__ = ("_foreign", "_foreign_count", "_home", "_home_count", "_home_ident", "_lock")

    def __init__(self) -> None:
        self._home_ident = get_ident()
        self._home = 0
        self._home_count = 0
        self._foreign = 0
        self._foreign_count = 0
        self._lock = Lock()

    def adopt(self) -> None:
        """Make the calling thread the home thread; call it before the first `add`."""
        self._home_ident = get_ident()

    def add(self, amount: int) -> None:
        """Count one event of `amount`."""
        if get_ident() == self._home_ident:
            self._home += amount
            self._home_count += 1
        else:
            with self._lock:
                self._foreign += amount
                self._foreign_count += 1

    @property
    def count(self) -> int:
        """Return how often `add` was called so far."""
        return self._home_count + self._foreign_count

    @property
    def value(self) -> int:
        """Return the sum of what was added so far."""
        return self._home + self._foreign


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
    """

    __slots__ = (
        "_bytes_out",
        "_dropped",
        "_entries",
        "_high_bytes",
        "_high_messages",
        "_high_reached",
        "_low_bytes",
        "_low_messages",
        "_max_bytes",
        "_max_messages",
        "_policy",
        "_put",
        "_refused",
        "abandoned",
        "acknowledged",
        "flush_interval_ns",
        "half_full",
        "priority",
        "rejected",
        "taken",
    )

    def __init__(self, priority: MessagePriority, settings: LaneSettings) -> None:
        self.priority = priority
        self.flush_interval_ns = settings.flush_interval_ms * 1_000_000
        self.half_full = max(1, settings.max_messages // 2)
        self.acknowledged = 0
        self.rejected = 0
        self.abandoned = 0
        self.taken = 0
        self._entries: deque[Entry] = deque()
        self._max_messages = settings.max_messages
        self._max_bytes = settings.max_bytes
        self._high_messages = settings.max_messages * settings.high_water
        self._high_bytes = settings.max_bytes * settings.high_water
        self._low_messages = settings.max_messages * settings.low_water
        self._low_bytes = settings.max_bytes * settings.low_water
        self._high_reached = False
        self._policy = OVERFLOW_POLICIES[settings.overflow]
        # Each counts messages and adds up their bytes.
        self._put = Tally()
        self._dropped = Tally()
        self._refused = Tally()
        self._bytes_out = 0

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
            _, payload, receipt = self._entries.popleft()
        except IndexError:
            return False
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
        # What never fits must not cost the lane what it holds.
        if not self.has_room(size) and (
            size > self._max_bytes or not self._policy.make_room(self, size)
        ):
            self._refused.add(size)
            return False
        self._entries.append((topic, payload, receipt))
        self._put.add(size)
        return True

    def take(self, max_messages: int, max_bytes: int) -> list[Entry]:
        """
        Remove entries from the front, within both bounds, but at least one if there is any.

        Called by the writer only.
        """
        entries = self._entries
        taken: list[Entry] = []
        size = 0
        while len(taken) < max_messages:
            try:
                # Another thread may drop the oldest at any time, so take first and look then.
                entry = entries.popleft()
            except IndexError:
                break
            size += len(entry[1])
            if size > max_bytes and taken:
                # Entries are only ever appended behind and dropped from the front, so putting
                # the one just taken back in front keeps the order.
                entries.appendleft(entry)
                size -= len(entry[1])
                break
            taken.append(entry)
        self.taken += len(taken)
        self._bytes_out += size
        return taken

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
        self.abandoned += self.taken - self.settled

    @property
    def published(self) -> int:
        """Return the messages put so far, those that were dropped later included."""
        return self._put.count

    @property
    def removed(self) -> int:
        """Return the messages that were taken by the writer or dropped."""
        return self.taken + self._dropped.count

    @property
    def settled(self) -> int:
        """Return the messages taken by the writer whose fate is known."""
        return self.acknowledged + self.rejected + self.abandoned

    def statistics(self) -> LaneStatistics:
        """Return the lane's figures."""
        queued = len(self._entries)
        queued_bytes = self.queued_bytes
        if queued >= self._high_messages or queued_bytes >= self._high_bytes:
            self._high_reached = True
        elif queued < self._low_messages and queued_bytes < self._low_bytes:
            self._high_reached = False
        return LaneStatistics(
            priority=self.priority.name,
            published=self.published,
            acknowledged=self.acknowledged,
            dropped=self._dropped.count,
            refused=self._refused.count,
            rejected=self.rejected,
            abandoned=self.abandoned,
            queued=queued,
            queued_bytes=queued_bytes,
            high_water_reached=self._high_reached,
        )


class FlushGoal:
    """
    Find out when the fate of all that a lane was given until now is known.

    Drops come from the front and batches are settled one after the other. So first wait until
    all of it has left the lane, and then until all that the writer took by that time is settled;
    counting alone would take newer messages that were dropped for older ones in flight.

    Parameters
    ----------
    lane : Lane
        The lane.
    """

    __slots__ = ("_lane", "_published", "_taken")

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._published = lane.published
        self._taken: int | None = None

    @property
    def is_reached(self) -> bool:
        """Return whether it is."""
        if self._taken is None:
            if self._lane.removed < self._published:
                return False
            self._taken = self._lane.taken
        return self._lane.settled >= self._taken


class PriorityBuffers:
    """
    Route each message to the lane of its topic's priority.

    Parameters
    ----------
    settings : BufferSettings
        The settings of the four lanes.
    policy : PriorityPolicy
        Decides the priority of a topic.
    on_put : Callable[[Lane], None]
        Called after each put with the lane; must not wait (it wakes the writer).
    """

    __slots__ = ("_on_put", "_policy", "lanes")

    def __init__(
        self,
        settings: BufferSettings,
        policy: PriorityPolicy,
        on_put: Callable[[Lane], None],
    ) -> None:
        self._policy = policy
        self._on_put = on_put
        self.lanes = tuple(Lane(priority, settings.of(priority)) for priority in MessagePriority)

    def __len__(self) -> int:
        return sum(len(lane) for lane in self.lanes)

    def adopt(self) -> None:
        """Make the calling thread the home thread of all counters."""
        for lane in self.lanes:
            lane.adopt()

    def publish(
        self,
        topic: str,
        payload: bytes,
        priority: MessagePriority | None = None,
        receipt: Receipt | None = None,
    ) -> bool:
        """
        Append a message to its lane, from any thread, without waiting.

        Parameters
        ----------
        topic : str
            The topic.
        payload : bytes
            The serialized message.
        priority : MessagePriority, optional
            The lane to use instead of the topic's own.
        receipt : Callable[[bool], None], optional
            Called once with whether the server accepted the message, unless this returns False.

        Returns
        -------
        bool
            False if the lane was full and refused.
        """
        lane = self.lanes[self._policy.priority_of(topic) if priority is None else priority]
        taken = lane.put(topic, payload, receipt)
        self._on_put(lane)
        return taken
