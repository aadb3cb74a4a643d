"""The journal: what outlives the process that publishes, until the server has it."""

from nautilus_enhanced.infrastructure.messagebus.journal.access import NoJournal
from nautilus_enhanced.infrastructure.messagebus.journal.inspection import JournalContents
from nautilus_enhanced.infrastructure.messagebus.journal.inspection import inspect
from nautilus_enhanced.infrastructure.messagebus.journal.opening import journal_path
from nautilus_enhanced.infrastructure.messagebus.journal.opening import open_journal


__all__ = ["JournalContents", "NoJournal", "inspect", "journal_path", "open_journal"]
