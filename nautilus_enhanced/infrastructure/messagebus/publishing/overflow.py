"""
What happens to a message that finds its lane full.

========================  ==============================================  ======================
name                      a full lane                                     cost
========================  ==============================================  ======================
``refuse``                keeps what it has and refuses the new message   a counter
``drop_oldest``           drops its oldest messages to fit the new one    a pop for each dropped
========================  ==============================================  ======================

Both count. Neither waits: the publishing thread is usually the one that trades.

A client can be given policies of one's own. Whatever they do, the lane stays within its bounds and
publishing does not raise: a policy that raises is replaced by ``refuse``.
"""

from __future__ import annotations

import gc
import logging
from typing import TYPE_CHECKING
from typing import Final


logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from nautilus_enhanced.infrastructure.messagebus.contracts import BoundedLane
    from nautilus_enhanced.infrastructure.messagebus.contracts import OverflowPolicy


# About as often as the collector looks at new objects by itself, where their number grows.
_COLLECT_EVERY: Final = 1_000


class RefuseNewest:
    """Keep what is buffered: for messages whose order and history matter most."""

    name = "refuse"

    def make_room(self, lane: BoundedLane, size: int) -> bool:
        """Return False: nothing is dropped for a newer message."""
        return False


class DropOldest:
    """Prefer the newest: for market data, where the latest value supersedes."""

    name = "drop_oldest"

    def __init__(self) -> None:
        self._until_collection = _COLLECT_EVERY

    def make_room(self, lane: BoundedLane, size: int) -> bool:
        """Drop from the front until `size` bytes fit; False if they never will."""
        while not lane.has_room(size):
            if not lane.drop_oldest():
                return False
        # The collector stops tracking an entry at its first look, but it only looks when there
        # are more objects than before, and in a full lane there never are. In the end it would
        # look at the whole lane at once, which stops all threads for tens of milliseconds.
        self._until_collection -= 1
        if self._until_collection <= 0:
            self._until_collection = _COLLECT_EVERY
            if gc.isenabled():
                gc.collect(0)
        return True


class GuardedPolicy:
    """
    Keep a policy that is not ours from harming the lane or the thread that publishes.

    Parameters
    ----------
    policy : OverflowPolicy
        The policy.
    """

    def __init__(self, policy: OverflowPolicy) -> None:
        self.name = policy.name
        self._policy = policy

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._policy!r})"

    def make_room(self, lane: BoundedLane, size: int) -> bool:
        """Return what the policy says, but only if there is room indeed."""
        try:
            made = self._policy.make_room(lane, size)
        except Exception:
            logger.exception("the overflow policy %r failed: full lanes refuse now", self.name)
            self._policy = RefuseNewest()
            return False
        return made and lane.has_room(size)


OVERFLOW_POLICIES: Final[dict[str, OverflowPolicy]] = {
    policy.name: policy for policy in (RefuseNewest(), DropOldest())
}
