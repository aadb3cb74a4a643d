"""The Protocols that the parts of the bus use of one another."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Protocol
from typing import runtime_checkable


if TYPE_CHECKING:
    from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority


class Clock(Protocol):
    """Everything that waits, or stamps a time, asks a clock that it was given."""

    def monotonic_ns(self) -> int:
        """Return nanoseconds since an arbitrary point; never goes back."""

    def time_ns(self) -> int:
        """Return nanoseconds since the UNIX epoch; may step in either direction."""


class PriorityPolicy(Protocol):
    """Decides the priority of a topic."""

    def priority_of(self, topic: str) -> MessagePriority:
        """Return the priority of `topic`; the same topic always gets the same answer."""


class BoundedLane(Protocol):
    """What an overflow policy may do with a full lane."""

    def drop_oldest(self) -> bool:
        """Remove and count the oldest entry; return False when there is none."""

    def has_room(self, size: int) -> bool:
        """Return whether an entry of `size` bytes fits."""


class OverflowPolicy(Protocol):
    """Decides what happens to an entry that finds its lane full."""

    name: str

    def make_room(self, lane: BoundedLane, size: int) -> bool:
        """
        Return whether the entry of `size` bytes may be appended now.

        Runs on the publishing thread: must not wait and must not raise.
        """


@runtime_checkable
class Backing(Protocol):
    """What NautilusTrader's ``MessageBus`` asks of the object that publishes externally."""

    def publish(self, topic: str, payload: bytes) -> None:
        """Take a serialized message; never blocks, never raises."""

    def is_closed(self) -> bool:
        """Return whether publishing has ended for good."""

    def close(self) -> None:
        """Flush what is buffered, within a time limit, and end."""
