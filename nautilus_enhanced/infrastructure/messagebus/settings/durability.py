"""The settings of what outlives the process that publishes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final
from typing import Literal

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import PRIORITY_NAMES
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import Settings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import check_choice
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import check_range


Durability = Literal["memory", "spill", "always"]

DURABILITIES: Final = ("memory", "spill", "always")


class DurabilitySettings(Settings, frozen=True, kw_only=True):
    """
    Settings of what outlives the process, for each lane, and of the journal that it is kept in.

    Parameters
    ----------
    critical, high, normal, low : {'memory', 'spill', 'always'}, default 'memory'
        Where unsent messages are kept. ``memory`` loses them with the process. ``spill`` writes
        them to the journal while the server cannot be reached, or when the lane is more than half
        full. ``always`` writes each of them, before it is sent.
    directory : str, optional
        The folder of the journal, made if need be. None is ``nt-enhanced`` in
        ``$XDG_STATE_HOME``, or in ``~/.local/state``.
    fsync : bool, default False
        If what is written is on disk before it is sent, so that it outlives the machine. Without,
        it outlives the process.
    max_bytes : int, default 1 GiB
        Bytes that waiting messages may take in the journal (1 MiB to 1 TiB).
    handover_timeout_ms : int, default 10,000
        Milliseconds to wait for an earlier process of the same trader to end (0 to 600,000). It
        has the journal until then, and nothing is sent meanwhile.
    """

    critical: Durability = "memory"
    high: Durability = "memory"
    normal: Durability = "memory"
    low: Durability = "memory"
    directory: str | None = None
    fsync: bool = False
    max_bytes: int = 1024**3
    handover_timeout_ms: int = 10_000

    def __post_init__(self) -> None:
        for name in PRIORITY_NAMES:
            check_choice(f"durability.{name}", getattr(self, name), DURABILITIES)
        if self.fsync not in (True, False):
            raise ConfigurationError("durability.fsync", self.fsync, "True or False")
        if self.directory is not None and (
            not isinstance(self.directory, str) or not self.directory.strip()
        ):
            raise ConfigurationError("durability.directory", self.directory, "a folder, or None")
        check_range("durability.max_bytes", self.max_bytes, 1024**2, 1024**4, " bytes")
        check_range("durability.handover_timeout_ms", self.handover_timeout_ms, 0, 600_000, " ms")

    def of(self, priority: MessagePriority) -> Durability:
        """Return the durability of the lane of `priority`."""
        durability: Durability = getattr(self, PRIORITY_NAMES[priority])
        return durability

    @property
    def has_journal(self) -> bool:
        """Return whether any lane needs the journal."""
        return any(self.of(priority) != "memory" for priority in MessagePriority)

    def folder(self) -> Path:
        """Return the folder of the journal."""
        if self.directory is not None:
            return Path(self.directory).expanduser()
        state = os.environ.get("XDG_STATE_HOME", "")
        base = Path(state) if Path(state).is_absolute() else Path.home() / ".local" / "state"
        return base / "nt-enhanced"
