"""How a thread that publishes wakes the writer, and only when it sleeps too long for the lane."""

from __future__ import annotations

from queue import Empty
from queue import SimpleQueue
from typing import TYPE_CHECKING
from typing import Final


if TYPE_CHECKING:
    from nautilus_enhanced.infrastructure.messagebus.publishing.lanes import Lane


# The writer works and will look at the lanes before it sleeps.
_AWAKE: Final = 0
# The writer has nothing to send: longer than the interval of any lane.
IDLE: Final = 1 << 62


class Doorbell:
    """
    Wake the writer when a lane gets a message that may not wait as long as the writer sleeps.

    A message put while the writer works costs its thread one comparison. The order of steps
    makes sure that no wake-up is lost. The writer first says that it sleeps and then looks at
    the lanes, a publisher first appends and then looks whether the writer sleeps; so one of the
    two sees the other. And whoever rings takes the bell down first and leaves the token second:
    the other way round it could take down a bell that was hung up in between.
    """

    __slots__ = ("_sleeps_ns", "_tokens")

    def __init__(self) -> None:
        self._sleeps_ns = _AWAKE
        self._tokens: SimpleQueue[None] = SimpleQueue()

    def on_put(self, lane: Lane) -> None:
        """Wake the writer if `lane` cannot wait for it; called by any thread after a put."""
        sleeps_ns = self._sleeps_ns
        if sleeps_ns == _AWAKE:
            return
        if lane.flush_interval_ns < sleeps_ns or len(lane) >= lane.half_full:
            self._sleeps_ns = _AWAKE
            self._tokens.put(None)

    def on_wait(self, wait_ns: int) -> None:
        """Wake the writer if it sleeps for longer than `wait_ns`; called by any thread."""
        if wait_ns < self._sleeps_ns:
            self._sleeps_ns = _AWAKE
            self._tokens.put(None)

    def ring(self) -> None:
        """Wake the writer in any case; if it does not sleep, its next sleep ends at once."""
        self._tokens.put(None)

    def hang_up(self, sleeps_ns: int) -> None:
        """Let lanes with an interval below `sleeps_ns` wake the writer from now on."""
        self._sleeps_ns = sleeps_ns

    def sleep(self, timeout_s: float) -> bool:
        """Sleep until woken, at most `timeout_s` seconds; return whether woken."""
        try:
            self._tokens.get(timeout=timeout_s)
        except Empty:
            return False
        return True

    def take_down(self) -> None:
        """Say that the writer is awake, and forget who rang meanwhile."""
        self._sleeps_ns = _AWAKE
        while not self._tokens.empty():
            self._tokens.get_nowait()
