"""Look into a journal without taking it from the process that has it."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from nautilus_enhanced.infrastructure.messagebus.errors import JournalError
from nautilus_enhanced.infrastructure.messagebus.journal.file import JournalFile
from nautilus_enhanced.infrastructure.messagebus.journal.ledger import JournalLedger
from nautilus_enhanced.infrastructure.messagebus.journal.recovery import load
from nautilus_enhanced.infrastructure.messagebus.monitoring.statistics import Statistics
from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority


if TYPE_CHECKING:
    from pathlib import Path

    from nautilus_enhanced.infrastructure.messagebus.journal.file import Session


class JournalLaneContents(Statistics, frozen=True, kw_only=True):
    """
    What waits in a journal of one lane.

    Attributes
    ----------
    priority : str
        The lane's priority.
    messages : int
        Messages that wait.
    maybe_sent : int
        Those among them that a process had begun to send: the server is asked for them.
    oldest_ns : int
        When the oldest was written, in nanoseconds since the UNIX epoch; 0 if none waits.
    """

    priority: str
    messages: int
    maybe_sent: int
    oldest_ns: int


class JournalContents(Statistics, frozen=True, kw_only=True):
    """
    What is in a journal.

    Attributes
    ----------
    path : str
        The file.
    trader_id : str
        The trader that wrote it last.
    encoding : str
        What its entries' ``encoding`` field says.
    holder : str
        The process that has it now, or an empty string.
    size_bytes : int
        Bytes that waiting messages take.
    damaged : int
        Rows that cannot be read.
    lanes : tuple[JournalLaneContents, ...]
        One for each priority, most urgent first.
    """

    path: str
    trader_id: str
    encoding: str
    holder: str
    size_bytes: int
    damaged: int
    lanes: tuple[JournalLaneContents, ...]

    @property
    def messages(self) -> int:
        """Return the messages that wait."""
        return sum(lane.messages for lane in self.lanes)


def inspect(path: Path) -> tuple[JournalContents, Session | None]:
    """
    Return what is in a journal, and the run of a process that wrote it last.

    Raises
    ------
    JournalError
        If there is no journal.
    """
    if not path.is_file():
        raise JournalError(f"there is no file {path}")
    file = JournalFile(path)
    try:
        file.open_to_read()
        ledger = JournalLedger()
        loaded = load(file, ledger)
        sessions = file.sessions()
        last = sessions[max(sessions)] if sessions else None
    except (sqlite3.Error, JournalError) as error:
        raise JournalError(f"{path} is no journal that can be read: {error}") from error
    finally:
        file.close()
    sent = [] if loaded.state is None else loaded.state.sent
    lanes = tuple(
        JournalLaneContents(
            priority=priority.name,
            messages=of.unsettled,
            maybe_sent=sum(
                one.lane == priority and one.number not in of.settled and one.milliseconds > 0
                for one in sent
            ),
            oldest_ns=of.runs[0].at_ns if of.runs else 0,
        )
        for priority, of in zip(MessagePriority, ledger.lanes, strict=True)
    )
    return (
        JournalContents(
            path=str(path),
            trader_id=last.naming.trader_id if last else "",
            encoding=last.encoding if last else "",
            holder=file.holder(),
            size_bytes=ledger.size,
            damaged=len(loaded.damaged),
            lanes=lanes,
        ),
        last,
    )
