"""
Topic patterns, as NautilusTrader matches them.

``*`` stands for any number of bytes, none included; ``?`` for exactly one byte of the topic's
UTF-8 form. Everything else stands for itself. ``tests/unit`` holds this against the matcher of
the installed NautilusTrader, for topics without a ``*``, which no topic should have: there its
versions disagree with one another.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority


if TYPE_CHECKING:
    from collections.abc import Iterable


MAX_PATTERN_LENGTH: Final = 256
MAX_CACHED_TOPICS: Final = 65_536


def check_pattern(field: str, pattern: str) -> None:
    """
    Refuse a pattern that can match no topic.

    Parameters
    ----------
    field : str
        The full name of the field that holds the pattern, for the error.
    pattern : str
        The pattern.

    Raises
    ------
    ConfigurationError
        If the pattern is empty, longer than 256 characters, or has white space or control
        characters.
    """
    if (
        not 0 < len(pattern) <= MAX_PATTERN_LENGTH
        or not pattern.isprintable()
        or any(character.isspace() for character in pattern)
    ):
        raise ConfigurationError(
            field,
            pattern,
            f"1 to {MAX_PATTERN_LENGTH} printable characters without spaces, "
            "with `*` for any text and `?` for one character",
            "Write it as a topic, such as 'events.order.*'",
        )


def compile_pattern(pattern: str) -> re.Pattern[bytes]:
    """Return the regular expression that matches the whole of a topic's UTF-8 form."""
    wildcards = {"*": b".*", "?": b"."}
    expression = b"".join(
        wildcards.get(character) or re.escape(character.encode()) for character in pattern
    )
    return re.compile(expression, re.DOTALL)


class TopicPriorities:
    """
    Decide the priority of a topic by an ordered table of patterns: the first match wins.

    Answers are remembered for up to 65,536 topics; beyond that the table is asked again, so
    that memory stays bounded when topics are made without end.

    Parameters
    ----------
    rules : iterable of tuple[str, MessagePriority]
        The patterns with their priorities, in order.
    default : MessagePriority, default NORMAL
        The priority of a topic that no pattern matches.
    """

    __slots__ = ("_cache", "_default", "_rules")

    def __init__(
        self,
        rules: Iterable[tuple[str, MessagePriority]],
        default: MessagePriority = MessagePriority.NORMAL,
    ) -> None:
        self._rules = tuple((compile_pattern(pattern), priority) for pattern, priority in rules)
        self._default = default
        self._cache: dict[str, MessagePriority] = {}

    def priority_of(self, topic: str) -> MessagePriority:
        """Return the priority of `topic`."""
        priority = self._cache.get(topic)
        if priority is None:
            # As the topic goes to the server; an error here would hit the publishing thread.
            raw = topic.encode("utf-8", "backslashreplace")
            priority = next(
                (priority for regex, priority in self._rules if regex.fullmatch(raw)),
                self._default,
            )
            if len(self._cache) < MAX_CACHED_TOPICS:
                self._cache[topic] = priority
        return priority


DEFAULT_TOPIC_PRIORITIES: Final[tuple[tuple[str, MessagePriority], ...]] = (
    # The host publishes `events.risk` itself, which `events.risk.*` does not match.
    ("events.risk", MessagePriority.CRITICAL),
    ("events.risk.*", MessagePriority.CRITICAL),
    ("commands.*", MessagePriority.CRITICAL),
    ("events.order.*", MessagePriority.HIGH),
    ("events.fills.*", MessagePriority.HIGH),
    ("events.cancels.*", MessagePriority.HIGH),
    ("events.account.*", MessagePriority.HIGH),
    ("events.position.*", MessagePriority.HIGH),
    ("reports.execution*", MessagePriority.HIGH),
    ("historical.*", MessagePriority.LOW),
    ("snapshots*", MessagePriority.LOW),
    ("metrics*", MessagePriority.LOW),
    ("health*", MessagePriority.LOW),
)
