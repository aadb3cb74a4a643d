"""
The journal's file: an SQLite database in WAL mode, one process at a time, mode 0600.

What is said about SQLite is from its documentation: a commit in WAL mode is not on disk before
the next checkpoint unless ``synchronous`` is FULL (https://sqlite.org/wal.html,
https://sqlite.org/pragma.html#pragma_synchronous); it outlives the process either way.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Final

import msgspec

from nautilus_enhanced.infrastructure.messagebus.errors import JournalBusyError
from nautilus_enhanced.infrastructure.messagebus.errors import JournalError
from nautilus_enhanced.infrastructure.messagebus.journal.records import Row
from nautilus_enhanced.infrastructure.messagebus.journal.records import decode_row
from nautilus_enhanced.infrastructure.messagebus.journal.records import encode_row
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import StreamNaming


if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Iterator


# "NTEJ": tells the file from any other database. https://sqlite.org/pragma.html#pragma_application_id
_APPLICATION_ID: Final = 0x4E54_454A
_LAYOUT: Final = 1
_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700
# Given up when the disk is full, so that what is settled can still be noted.
_RESERVE_BYTES: Final = 1024 * 1024
_SIDE_FILES: Final = ("", "-wal", "-shm")
# How long to wait for somebody who looks into the file.
_BUSY_S: Final = 0.2
_DELETED_AT_ONCE: Final = 500


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """
    One run of a process that wrote the journal.

    Attributes
    ----------
    started_ns : int
        When it began, in nanoseconds since the UNIX epoch.
    pid : int
        The process.
    naming : StreamNaming
        How it named its streams.
    encoding : str
        What its entries' ``encoding`` field says.
    """

    started_ns: int
    pid: int
    naming: StreamNaming
    encoding: str


class Damage(msgspec.Struct, frozen=True):
    """
    A file that was found in the journal's place and is none, or a damaged one.

    Attributes
    ----------
    kept_as : str
        Where it is now.
    reason : str
        What is wrong with it.
    """

    kept_as: str
    reason: str


class JournalFile:
    """
    Read and write one journal; one thread at a time.

    Parameters
    ----------
    path : Path
        The file.
    fsync : bool, default False
        If a write returns only when it is on disk.
    """

    def __init__(self, path: Path, *, fsync: bool = False) -> None:
        self.path = path
        self._fsync = fsync
        self._lock_file: int | None = None
        self._database: sqlite3.Connection | None = None
        self._reserve = Path(f"{path}.reserve")
        self._next_position = 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    @property
    def is_open(self) -> bool:
        """Return whether the file is open."""
        return self._database is not None

    def lock(self) -> None:
        """
        Become the one process that has the journal.

        Raises
        ------
        JournalBusyError
            If another one has it.
        JournalError
            If the folder or the lock cannot be made.
        """
        path = f"{self.path}.lock"
        try:
            self.path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            # A file of its own: closing any handle of a database drops SQLite's own locks on it.
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        except OSError as error:
            raise JournalError(f"the journal {self.path} cannot be made: {error}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(handle, 20, 0).decode(errors="replace").strip()
            os.close(handle)
            raise JournalBusyError(
                f"the journal {self.path} is in use by process {holder or '(unknown)'}"
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, b"%d" % os.getpid(), 0)
        self._lock_file = handle

    def holder(self) -> str:
        """Return the process that has the journal, or an empty string if none has."""
        try:
            handle = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return ""
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return os.pread(handle, 20, 0).decode(errors="replace").strip() or "(unknown)"
        finally:
            os.close(handle)
        return ""

    def open_to_read(self) -> None:
        """
        Open the file to look into it, whoever has it; nothing of it is changed.

        Raises
        ------
        JournalError
            If it is no journal.
        sqlite3.Error
            If it cannot be read.
        """
        database = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=ro",
            uri=True,
            timeout=_BUSY_S,
            isolation_level=None,
        )
        self._database = database
        try:
            self._check(database)
        except _NotAJournalError as error:
            raise JournalError(f"{error}") from error

    def open(self) -> Damage | None:
        """
        Open the file, made if need be; `lock` comes first.

        Returns
        -------
        Damage or None
            What stood in its place and was put aside.

        Raises
        ------
        JournalError
            If it can be neither opened nor made.
        """
        damage = None
        try:
            try:
                self._open()
            except _NotAJournalError as error:
                damage = self.put_aside(str(error))
                self._open()
        except (OSError, sqlite3.Error, _NotAJournalError) as error:
            self._disconnect()
            raise JournalError(f"the journal {self.path} cannot be opened: {error}") from error
        return damage

    def _open(self) -> None:
        if not self.path.exists():
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE))
        self.path.chmod(_MODE)
        # Two threads use it in turns, so SQLite's own check of that is off.
        database = sqlite3.connect(
            self.path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
        self._database = database
        try:
            is_new = self._is_new(database)
            if not is_new:
                self._check(database)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute(f"PRAGMA synchronous = {'FULL' if self._fsync else 'NORMAL'}")
            if is_new:
                self._create(database)
            (last,) = database.execute("SELECT max(position) FROM log").fetchone()
        except sqlite3.OperationalError:
            # Not the file's fault: no room, no right, somebody else's lock.
            raise
        except sqlite3.DatabaseError as error:
            raise _NotAJournalError(f"{error}") from error
        self._next_position = 0 if last is None else last + 1
        self.restore_reserve()

    @staticmethod
    def _is_new(database: sqlite3.Connection) -> bool:
        """Return whether nothing was ever written, also if a process ended while it was made."""
        (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (found,) = database.execute("PRAGMA application_id").fetchone()
        return bool(tables == 0 and found == 0)

    @staticmethod
    def _create(database: sqlite3.Connection) -> None:
        """Make the tables, all or none."""
        for statement in (
            "BEGIN IMMEDIATE",
            f"PRAGMA application_id = {_APPLICATION_ID}",
            f"PRAGMA user_version = {_LAYOUT}",
            "CREATE TABLE log (position INTEGER PRIMARY KEY, body BLOB)",
            "CREATE TABLE session (number INTEGER PRIMARY KEY, body BLOB)",
            "COMMIT",
        ):
            database.execute(statement)

    @staticmethod
    def _check(database: sqlite3.Connection) -> None:
        """Find out whether the file is a journal of this layout."""
        (found,) = database.execute("PRAGMA application_id").fetchone()
        if found != _APPLICATION_ID:
            raise _NotAJournalError("it is a database of something else")
        (layout,) = database.execute("PRAGMA user_version").fetchone()
        if layout != _LAYOUT:
            raise _NotAJournalError(
                f"its layout is number {layout}, this version of nt-enhanced reads {_LAYOUT}"
            )
        (result,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if result != "ok":
            raise _NotAJournalError(f"it is damaged: {result}")

    def put_aside(self, reason: str) -> Damage:
        """
        Rename the file and those beside it, so that a new one can be made; nothing is deleted.

        Raises
        ------
        OSError
            If that cannot be done.
        """
        self._disconnect()
        target = self._free_name()
        for side in _SIDE_FILES:
            with suppress(FileNotFoundError):
                Path(f"{self.path}{side}").rename(f"{target}{side}")
        return Damage(str(target), reason)

    def put_rows_aside(self, positions: list[int]) -> str:
        """
        Move rows that cannot be read into a file beside the journal: a line of hex for each.

        Returns
        -------
        str
            The file.

        Raises
        ------
        OSError, sqlite3.Error
            If that cannot be done; the rows stay.
        """
        target = self._free_name()
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
        with os.fdopen(handle, "w") as file:
            for position in positions:
                found = self._execute("SELECT body FROM log WHERE position = ?", (position,))
                (body,) = found.fetchone()
                file.write(f"{position} {bytes(body).hex()}\n")
        self.delete(positions)
        return str(target)

    def _free_name(self) -> Path:
        """Return a name for what is put aside that nothing has."""
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        target = Path(f"{self.path}.aside-{stamp}")
        number = 1
        while target.exists():
            number += 1
            target = Path(f"{self.path}.aside-{stamp}-{number}")
        return target

    # -- rows ------------------------------------------------------------------------------------

    def append(self, row: Row) -> tuple[int, int]:
        """
        Write a row, in one step.

        Returns
        -------
        tuple[int, int]
            Its position, and the bytes that it takes.

        Raises
        ------
        sqlite3.Error
            If it was not written, as when the disk is full.
        """
        body = encode_row(row)
        position = self._next_position
        self._execute("INSERT INTO log VALUES (?, ?)", (position, body))
        self._next_position = position + 1
        return position, len(body)

    def read(self, position: int) -> Row:
        """
        Return a row.

        Raises
        ------
        JournalError
            If it is not there, or not as it was written.
        """
        try:
            found = self._execute("SELECT body FROM log WHERE position = ?", (position,)).fetchone()
        except sqlite3.Error as error:
            raise JournalError(f"row {position} of the journal cannot be read: {error}") from error
        if found is None:
            raise JournalError(f"row {position} of the journal is gone")
        return decode_row(found[0])

    def rows(self) -> Iterator[tuple[int, int, Row | JournalError]]:
        """
        Go through all rows: position, bytes, and the row or what is wrong with it.

        Raises
        ------
        sqlite3.Error
            If the database itself is damaged.
        """
        for position, body in self._execute("SELECT position, body FROM log ORDER BY position"):
            try:
                yield position, len(body), decode_row(body)
            except JournalError as error:
                yield position, len(body), error

    def delete(self, positions: Iterable[int]) -> int:
        """
        Delete rows, and return how many there were.

        Raises
        ------
        sqlite3.Error
            If they were not all deleted.
        """
        positions = list(positions)
        for begin in range(0, len(positions), _DELETED_AT_ONCE):
            some = positions[begin : begin + _DELETED_AT_ONCE]
            marks = ", ".join("?" * len(some))
            self._execute(f"DELETE FROM log WHERE position IN ({marks})", some)  # noqa: S608 (marks only)
        return len(positions)

    # -- sessions --------------------------------------------------------------------------------

    def begin_session(self, session: Session) -> int:
        """
        Note a run of a process, and return its number.

        Raises
        ------
        sqlite3.Error
            If it was not written.
        """
        cursor = self._execute(
            "INSERT INTO session (body) VALUES (?)", (msgspec.msgpack.encode(session),)
        )
        return cursor.lastrowid or 0

    def sessions(self) -> dict[int, Session]:
        """
        Return the runs of processes that are still of interest, by number.

        Raises
        ------
        JournalError
            If one cannot be read.
        """
        found = self._execute("SELECT number, body FROM session ORDER BY number").fetchall()
        try:
            return {number: msgspec.msgpack.decode(body, type=Session) for number, body in found}
        except msgspec.MsgspecError as error:
            raise JournalError(f"a session of the journal cannot be read: {error}") from error

    def forget_sessions(self, before: int) -> None:
        """
        Forget the runs with a number below `before`.

        Raises
        ------
        sqlite3.Error
            If they were not deleted.
        """
        self._execute("DELETE FROM session WHERE number < ?", (before,))

    # -- a full disk -----------------------------------------------------------------------------

    def give_up_reserve(self) -> None:
        """Make room for small rows on a full disk: what is settled must still be noted."""
        with suppress(OSError):
            self._reserve.unlink(missing_ok=True)

    def restore_reserve(self) -> bool:
        """Set room aside (again), if the disk has twice as much; return whether it is there."""
        try:
            if self._reserve.exists():
                return True
            disk = os.statvfs(self.path.parent)
            if disk.f_bavail * disk.f_frsize < 2 * _RESERVE_BYTES:
                return False
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            handle = os.open(self._reserve, flags, _MODE)
            try:
                os.posix_fallocate(handle, 0, _RESERVE_BYTES)
            finally:
                os.close(handle)
        except OSError:
            self.give_up_reserve()
            return False
        return True

    def begin_anew(self) -> None:
        """
        Replace the file, of which nothing is needed any more, by a new one.

        Raises
        ------
        OSError, sqlite3.Error
            If that cannot be done.
        """
        self._disconnect()
        for side in _SIDE_FILES:
            Path(f"{self.path}{side}").unlink(missing_ok=True)
        self._open()

    # -- the end ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the file and let others have it; calling it twice is harmless."""
        self._disconnect()
        handle, self._lock_file = self._lock_file, None
        if handle is not None:
            with suppress(OSError):
                os.ftruncate(handle, 0)
            os.close(handle)

    def _disconnect(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            with suppress(sqlite3.Error):
                database.close()

    def _execute(self, statement: str, parameters: Iterable[object] = ()) -> sqlite3.Cursor:
        if self._database is None:
            raise sqlite3.ProgrammingError("the journal is closed")
        return self._database.execute(statement, tuple(parameters))


class _NotAJournalError(Exception):
    """The file is something else, or damaged."""
