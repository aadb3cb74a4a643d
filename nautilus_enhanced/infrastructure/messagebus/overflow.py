"""
What happens to a message that finds its lane full.

========================  ==============================================  ======================
name                      a full lane                                     cost
========================  ==============================================  ======================
``refuse``                keeps what it has and refuses the new message   a counter
``drop_oldest``           drops its oldest messages to fit the new one    a pop for each dropped
========================  ==============================================  ======================

Both count. Neither waits: the publishing thread is usually the one that trades.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Final


if TYPE_CHECKING:
    from nautilus_enhanced.infrastructure.messagebus.contracts import BoundedLane
    from nautilus_enhanced.infrastructure.messagebus.contracts import OverflowPolicy


class RefuseNewest:
    """Keep what is buffered: for messages whose order and history matter most."""

    name = "refuse"

    def make_room(self, lane: BoundedLane, size: int) -> bool:
        """Return False: nothing is dropped for a newer message."""
        return False


class DropOldest:
    """Prefer the newest: for market data, where the latest value supersedes."""

    name = "drop_oldest"

    def make_room(self, lane: BoundedLane, size: int) -> bool:
        """Drop from the front until `size` bytes fit; False if they never will."""
        while not lane.has_room(size):
            if not lane.drop_oldest():
                return False
        return True


OVERFLOW_POLICIES: Final[dict[str, OverflowPolicy]] = {
    policy.name: policy for policy in (RefuseNewest(), DropOldest())
}
