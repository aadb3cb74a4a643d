"""The settings of trimming that looks at who still needs what."""

from __future__ import annotations

from typing import Final

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import Settings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import check_range


MAX_MINS: Final = 525_600
MAX_ENTRIES: Final = 100_000_000


class TrimmingSettings(Settings, frozen=True, kw_only=True):
    """
    Settings of how long entries stay in their streams.

    What is older than `max_age_mins`, or beyond `max_entries`, goes, but not what a group that is
    alive has still to read or to acknowledge. Beyond `hard_cap_entries` that goes too: counted,
    and with an alarm.

    Parameters
    ----------
    max_age_mins : int, default 30
        Minutes after which entries go, by the server's clock and their IDs (1 to 525,600, a
        year). None keeps them whatever their age.
    max_entries : int, optional
        Entries of a stream that stay, about: up to a hundred more do (1 to 100,000,000). None
        keeps any number of them, up to the hard cap.
    hard_cap_entries : int, default 1,000,000
        Entries of a stream that stay in any case at most (1 to 100,000,000); not less than
        `max_entries`.
    group_expiry_mins : int, default 1,440
        Minutes after which a group is taken for dead, if none of its consumers has asked for
        anything, and holds nothing back any more (1 to 525,600).
    interval_secs : float, default 10.0
        Seconds between two trims (1 to 3,600). A stream can be longer than the cap by what is
        written meanwhile.

    Raises
    ------
    ConfigurationError
        If a value is outside of what is allowed.
    """

    max_age_mins: int | None = 30
    max_entries: int | None = None
    hard_cap_entries: int = 1_000_000
    group_expiry_mins: int = 1_440
    interval_secs: float = 10.0

    def __post_init__(self) -> None:
        where = "streams.trimming"
        if self.max_age_mins is not None:
            check_range(f"{where}.max_age_mins", self.max_age_mins, 1, MAX_MINS, " minutes")
        if self.max_entries is not None:
            check_range(f"{where}.max_entries", self.max_entries, 1, MAX_ENTRIES, " entries")
        check_range(f"{where}.hard_cap_entries", self.hard_cap_entries, 1, MAX_ENTRIES, " entries")
        check_range(f"{where}.group_expiry_mins", self.group_expiry_mins, 1, MAX_MINS, " minutes")
        check_range(f"{where}.interval_secs", self.interval_secs, 1.0, 3_600.0, " s")
        if self.max_entries is not None and self.max_entries > self.hard_cap_entries:
            raise ConfigurationError(
                f"{where}.max_entries",
                self.max_entries,
                f"1 to `hard_cap_entries`, which is {self.hard_cap_entries:,}",
            )
