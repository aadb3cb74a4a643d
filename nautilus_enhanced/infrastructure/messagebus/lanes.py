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
    Count from any thread, without a lock on the home thread.

    ``x += n`` is several steps for the interpreter, so two threads must never do it to the same
    number: the home thread has one of its own, all others share one under a lock.
    """

    __slots__ = ("_foreign", "_home", "_home_ident", "_lock")

    def __init__(self) -> None:
        self._home_ident = get_ident()
        self._home = 0
        self._foreign = 0
        self._lock = Lock()

    def adopt(self) -> None:
        """Make the calling thread the home thread; call it before the first `add`."""
        self._home_ident = get_ident()

    def add(self, amount: int) -> None:
        """Add `amount`."""
        if get_ident() == self._home_ident:
            self._home += amount
        else:
            with self._lock:
                self._foreign += amount

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
        "_bytes_dropped",
        "_bytes_in",
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
        "_refused",
        "_taken",
        "abandoned",
        "acknowledged",
        "flush_interval_ns",
        "half_full",
        "priority",
        "rejected",
    )

    def __init__(self, priority: MessagePriority, settings: LaneSettings) -> None:
        self.priority = priority
        self.flush_interval_ns = settings.flush_interval_ms * 1_000_000
        self.half_full = max(1, settings.max_messages // 2)
        self.acknowledged = 0
        self.rejected = 0
        self.abandoned = 0
        self._entries: deque[Entry] = deque()
        self._max_messages = settings.max_messages
        self._max_bytes = settings.max_bytes
        self._high_messages = settings.max_messages * settings.high_water
        self._high_bytes = settings.max_bytes * settings.high_water
        self._low_messages = settings.max_messages * settings.low_water
        self._low_bytes = settings.max_bytes * settings.low_water
        self._high_reached = False
        self._policy = OVERFLOW_POLICIES[settings.overflow]
        self._bytes_in = Tally()
        self._bytes_out = 0
        self._taken = 0
        self._dropped = Tally()
        self._bytes_dropped = Tally()
        self._refused = Tally()

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
        return max(0, self._bytes_in.value - self._bytes_out - self._bytes_dropped.value)

    @property
    def is_urgent(self) -> bool:
        """Return whether a message here wakes the writer at once."""
        return self.flush_interval_ns == 0

    def adopt(self) -> None:
        """Make the calling thread the home thread of the lane's counters."""
        for tally in (self._bytes_in, self._dropped, self._bytes_dropped, self._refused):
            tally.adopt()

    def has_room(self, size: int) -> bool:
        """Return whether an entry of `size` bytes fits within both bounds."""
        return (
            len(self._entries) < self._max_messages
            and self.queued_bytes + size <= self._max_bytes
        )

    def drop_oldest(self) -> bool:
        """Remove and count the oldest entry; return False when there is none."""
        try:
            _, payload, receipt = self._entries.popleft()
        except IndexError:
            return False
        self._dropped.add(1)
        self._bytes_dropped.add(len(payload))
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
        if not self.has_room(size) and not self._policy.make_room(self, size):
            self._refused.add(1)
            return False
        self._entries.append((topic, payload, receipt))
        self._bytes_in.add(size)
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
        self._taken += len(taken)
        self._bytes_out += size
        return taken

    def abandon(self) -> int:
        """Remove and count everything that is left; return how much that was."""
        left = self.take(len(self._entries), self._max_bytes * 2)
        self.abandoned += len(left)
        for _, _, receipt in left:
            if receipt is not None:
                receipt(False)
        return len(left)

    @property
    def published(self) -> int:
        """Return the messages taken in so far."""
        return self._taken + self._dropped.value + len(self._entries)

    @property
    def settled(self) -> int:
        """Return the messages taken in whose fate is known."""
        return self.acknowledged + self.rejected + self.abandoned + self._dropped.value

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
            dropped=self._dropped.value,
            refused=self._refused.value,
            rejected=self.rejected,
            abandoned=self.abandoned,
            queued=queued,
            queued_bytes=queued_bytes,
            high_water_reached=self._high_reached,
        )


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
