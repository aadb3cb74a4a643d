"""
The keys that this package keeps beside the streams, all under one prefix.

None of them is needed by the stock bus, and each is made anew when it is gone.
"""

from __future__ import annotations

from typing import Final

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError


PREFIX: Final = "nt-enhanced:"

# A sorted set of the streams that our writers write to, by the time at which they were told of,
# and a short stream of the same news for who waits for them.
REGISTRY_KEY: Final = f"{PREFIX}streams"
REGISTRY_NEWS_KEY: Final = f"{PREFIX}streams:new"

MAX_NAME_LENGTH: Final = 128


def members_key(group: str) -> bytes:
    """Return the key of the hash that says who belongs to a group and reads what."""
    return f"{PREFIX}group:{group}".encode()


def dead_letter_key(group: str) -> bytes:
    """Return the key of the stream of what a group could not handle."""
    return f"{PREFIX}dlq:{group}".encode()


def retry_key(group: str) -> bytes:
    """Return the key of the stream by which dead letters get back to the group."""
    return f"{PREFIX}retry:{group}".encode()


def seen_key(name: str) -> bytes:
    """Return the key of the sorted set of IDs that were handled."""
    return f"{PREFIX}seen:{name}".encode()


def check_name(field: str, name: object) -> None:
    """
    Refuse a name of a group or consumer that would not be one in the server's keys.

    Raises
    ------
    ConfigurationError
        If it is empty, longer than 128 characters, or has white space or control characters.
    """
    if (
        not isinstance(name, str)
        or not 0 < len(name) <= MAX_NAME_LENGTH
        or not name.isprintable()
        or any(character.isspace() for character in name)
    ):
        raise ConfigurationError(
            field, name, f"1 to {MAX_NAME_LENGTH} printable characters without spaces"
        )
