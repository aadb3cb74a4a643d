"""Which journal a client has, and whether it can have one."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.journal.access import NoJournal
from nautilus_enhanced.infrastructure.messagebus.journal.access import WriterJournal
from nautilus_enhanced.infrastructure.messagebus.journal.journal import Journal
from nautilus_enhanced.infrastructure.messagebus.settings.durability import DurabilitySettings


if TYPE_CHECKING:
    from pathlib import Path

    from nautilus_enhanced.infrastructure.messagebus.contracts import Clock
    from nautilus_enhanced.infrastructure.messagebus.publishing.wire import StreamNaming
    from nautilus_enhanced.infrastructure.messagebus.settings.publishing import BufferSettings


_FOLDER_MODE = 0o700


def journal_path(folder: Path, naming: StreamNaming) -> Path:
    """Return where the journal of a trader is: one file for a trader and prefix of streams."""
    name = f"{naming.trader_id}-{naming.streams_prefix}"
    return folder / f"{re.sub(r'[^A-Za-z0-9._-]', '_', name)}.journal"


def open_journal(
    durability: DurabilitySettings | None,
    buffers: BufferSettings,
    naming: StreamNaming,
    encoding: str,
    clock: Clock,
    *,
    path: Path | None = None,
) -> NoJournal:
    """
    Return the journal that the settings, or else a path, ask for; it is opened by the writer.

    Raises
    ------
    ConfigurationError
        If its folder cannot be made or written to.
    """
    durability = durability or DurabilitySettings()
    if path is None and not durability.has_journal:
        return NoJournal()
    folder = durability.folder() if path is None else path.parent
    try:
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            "durability.directory", str(folder), "a folder that can be made", f"{error.strerror}"
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigurationError(
            "durability.directory", str(folder), "a folder that this process may write to"
        )
    path = path or journal_path(folder, naming)
    journal = Journal(path, durability, naming, encoding, clock)
    return WriterJournal(journal, buffers)
