"""The journal's rows on disk: written, read and forgotten, and what to do when the disk is full."""

from __future__ import annotations

import logging
import sqlite3
from functools import partial
from typing import TYPE_CHECKING
from typing import Final
from typing import TypeVar

from nautilus_enhanced.infrastructure.messagebus.errors import JournalError
from nautilus_enhanced.infrastructure.messagebus.journal.ledger import StoredRun


if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_enhanced.infrastructure.messagebus.contracts import Clock
    from nautilus_enhanced.infrastructure.messagebus.journal.file import JournalFile
    from nautilus_enhanced.infrastructure.messagebus.journal.file import Session
    from nautilus_enhanced.infrastructure.messagebus.journal.ledger import JournalLedger
    from nautilus_enhanced.infrastructure.messagebus.journal.records import Row
    from nautilus_enhanced.infrastructure.messagebus.journal.records import Stored


logger = logging.getLogger(__name__)

# How long to leave a full disk alone.
_RETRY_NS: Final = 1_000_000_000

T = TypeVar("T")


class JournalDisk:
    """
    Keep file and ledger in step; under the journal's lock.

    Parameters
    ----------
    file : JournalFile
        The file.
    ledger : JournalLedger
        What it holds.
    clock : Clock
        The clock.

    Attributes
    ----------
    problem : str
        What stands in the way of writing, or an empty string.
    put_aside : str
        What could not be read, where it is now, and why; or an empty string.
    written : int
        Messages written so far.
    """

    def __init__(self, file: JournalFile, ledger: JournalLedger, clock: Clock) -> None:
        self._file = file
        self._ledger = ledger
        self._clock = clock
        self._useless: list[int] = []
        self._retry_at_ns = 0
        self.problem = ""
        self.put_aside = ""
        self.written = 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._file!r}, {self.problem or 'well'})"

    def append(self, row: Row) -> bool:
        """Write a row, and return whether it is written; if not, `problem` says why."""
        written = self._attempt(partial(self._file.append, row))
        if written is None:
            return False
        position, size = written
        for stored in row.stored:
            self.written += len(stored.topics)
            run = StoredRun(
                stored.first, stored.end, position, size // len(row.stored), stored.at_ns
            )
            self._ledger.note_run(stored.lane, run)
        if row.state is not None:
            self._ledger.note_state(position)
        return True

    def read(self, lane: int, run: StoredRun) -> Stored | None:
        """Return the messages of a run; None if they cannot be read."""
        try:
            row = self._file.read(run.position)
        except JournalError as error:
            logger.warning("messages of the journal are lost: %s", error)
            self.put_aside = str(error)
            return None
        return next(of for of in row.stored if of.lane == lane and of.first == run.first)

    def put_rows_aside(self, damaged: dict[int, str]) -> None:
        """
        Move rows that cannot be read out of the way; what is readable is still sent.

        Raises
        ------
        OSError, sqlite3.Error
            If that cannot be done.
        """
        kept_as = self._file.put_rows_aside(list(damaged))
        reason = next(iter(damaged.values()))
        self.put_aside = f"{kept_as}: {len(damaged)} rows, {reason}"
        logger.warning("damaged rows of a journal were put aside: %s", self.put_aside)

    def forget(self) -> bool:
        """Delete the rows that nobody needs; return whether none is left."""
        self._useless += self._ledger.take_useless()
        if self._useless:
            deleted = self._attempt(partial(self._file.delete, self._useless))
            if deleted is None:
                return False
            self._useless.clear()
        return True

    def recover(self, session: Session, *, at_once: bool = False) -> int | None:
        """
        Find out, now and then, whether a disk that was full has room again.

        A file of which nothing is needed is made anew: what was deleted is still the file's, as
        SQLite uses it again and nobody else can.

        Parameters
        ----------
        session : Session
            The run of this process, for a new file.
        at_once : bool, default False
            If it is not to wait until it is time again.

        Returns
        -------
        int or None
            The number of the session in a new file; None if it is still the old one.
        """
        now_ns = self._clock.monotonic_ns()
        if not self.problem or (now_ns < self._retry_at_ns and not at_once):
            return None
        self._retry_at_ns = now_ns + _RETRY_NS
        number = None
        try:
            if self._ledger.is_empty:
                self._file.begin_anew()
                number = self._file.begin_session(session)
                self._ledger.forget_rows()
                self._useless.clear()
        except (OSError, sqlite3.Error) as error:
            self.problem = str(error)
            return None
        if self._file.restore_reserve():
            logger.warning("the journal %s can be written again", self._file.path)
            self.problem = ""
        return number

    def _attempt(self, write: Callable[[], T]) -> T | None:
        """Write, and note what stands in the way; None if it was not written, else the result."""
        try:
            return write()
        except sqlite3.Error as error:
            if not self.problem:
                # Not a traceback: it is the disk's fault.
                logger.warning("the journal %s cannot be written: %s", self._file.path, error)
                self._retry_at_ns = self._clock.monotonic_ns() + _RETRY_NS
            self.problem = str(error)
            self._file.give_up_reserve()
            return None
