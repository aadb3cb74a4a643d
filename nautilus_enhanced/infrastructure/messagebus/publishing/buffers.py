"""The four lanes together: which lane a message goes to, and when all of it has left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority
from nautilus_enhanced.infrastructure.messagebus.publishing.lanes import Lane


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping

    from nautilus_enhanced.infrastructure.messagebus.contracts import OverflowPolicy
    from nautilus_enhanced.infrastructure.messagebus.contracts import PriorityPolicy
    from nautilus_enhanced.infrastructure.messagebus.monitoring.meters import LatencyMeter
    from nautilus_enhanced.infrastructure.messagebus.publishing.lanes import Receipt
    from nautilus_enhanced.infrastructure.messagebus.settings.publishing import BufferSettings


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
    overflow : Mapping[MessagePriority, OverflowPolicy], optional
        Overflow policies to use instead of those that the settings name.
    latency : LatencyMeter, optional
        Measures how long messages take.
    """

    __slots__ = ("_on_put", "_policy", "lanes")

    def __init__(
        self,
        settings: BufferSettings,
        policy: PriorityPolicy,
        on_put: Callable[[Lane], None],
        overflow: Mapping[MessagePriority, OverflowPolicy] | None = None,
        latency: LatencyMeter | None = None,
    ) -> None:
        self._policy = policy
        self._on_put = on_put
        overflow = overflow or {}
        self.lanes = tuple(
            Lane(priority, settings.of(priority), overflow.get(priority), latency)
            for priority in MessagePriority
        )

    def __len__(self) -> int:
        return sum(len(lane) for lane in self.lanes)

    def adopt(self) -> None:
        """Make the calling thread the home thread of all counters."""
        for lane in self.lanes:
            lane.adopt()

    def lane_of(self, topic: str, priority: MessagePriority | None = None) -> Lane:
        """Return the lane that a message goes through."""
        return self.lanes[self._policy.priority_of(topic) if priority is None else priority]

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
            Called once with whether the server accepted the message, unless this returns False;
            with None if it cannot be known.

        Returns
        -------
        bool
            False if the lane was full and refused.
        """
        lane = self.lanes[self._policy.priority_of(topic) if priority is None else priority]
        taken = lane.put(topic, payload, receipt)
        self._on_put(lane)
        return taken
