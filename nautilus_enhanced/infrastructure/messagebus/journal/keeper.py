"""The thread that moves to disk what the writer cannot take at once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.publishing.wakeup import IDLE
from nautilus_enhanced.infrastructure.messagebus.publishing.wakeup import Doorbell


if TYPE_CHECKING:
    from nautilus_enhanced.infrastructure.messagebus.journal.journal import Journal
    from nautilus_enhanced.infrastructure.messagebus.publishing.lanes import Lane


# Between two looks at lanes that may wait a little.
_PACE_S: Final = 0.05
# The writer is mostly back by then, and writes with the entry ID what is to be written.
_GRACE_S: Final = 0.001
_JOIN_S: Final = 2.0


class JournalKeeper:
    """
    Tend a journal until stopped.

    A message of a lane that is always written wakes it, if the writer waits for the server; any
    other waits for the next look.

    Parameters
    ----------
    journal : Journal
        The journal.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._bell = Doorbell()
        self._stop_now = threading.Event()
        self._save_now = threading.Event()
        self._saved = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nt-enhanced-journal", daemon=True)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._journal!r})"

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def on_put(self, lane: Lane) -> None:
        """Wake the thread if it is to be; called by any thread after a put, must not wait."""
        self._bell.on_put(lane)

    def watch(self) -> None:
        """Be woken by puts from now on, if the journal takes any: the writer is about to wait."""
        if not self._journal.is_exposed:
            return
        self._bell.hang_up(IDLE)
        # First hang up the bell and then look, as `Doorbell` asks for.
        if self._journal.has_exposed:
            self._bell.ring()

    def rest(self) -> None:
        """Be woken no more: the writer is back."""
        self._bell.take_down()

    def save(self, timeout_s: float) -> bool:
        """
        Write everything that is to outlive the process, now; for a process that is about to end.

        Parameters
        ----------
        timeout_s : float
            Seconds to wait at most.

        Returns
        -------
        bool
            Whether it was done in time, and nothing stood in the way.
        """
        if not self._thread.is_alive():
            return False
        self._saved.clear()
        self._save_now.set()
        self._bell.ring()
        return self._saved.wait(timeout_s) and self._journal.is_well

    def stop(self) -> None:
        """End the thread; calling it twice is harmless."""
        self._stop_now.set()
        self._bell.ring()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def _run(self) -> None:
        while not self._stop_now.is_set():
            self.watch()
            woken = self._bell.sleep(_PACE_S)
            self._bell.take_down()
            if woken and self._journal.is_connected and not self._save_now.is_set():
                self._stop_now.wait(_GRACE_S)
            try:
                if self._save_now.is_set():
                    self._journal.save()
                    self._save_now.clear()
                    self._saved.set()
                else:
                    self._journal.tend()
            except Exception as error:  # noqa: BLE001 (`fail` logs it)
                # A mistake of ours: what is in memory is still sent.
                self._journal.fail(error)
