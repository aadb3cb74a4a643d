"""
Topic patterns, as NautilusTrader matches them, and tables of them.

``*`` stands for any number of bytes, none included; ``?`` for exactly one byte of the topic's
UTF-8 form. Everything else stands for itself. ``tests/unit`` holds this against the matcher of
the installed NautilusTrader. Only for topics with a ``*``, which no topic should have, do its
versions disagree: there this is as 1.221, and matches some that 1.231 misses.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING
from typing import Final
from typing import Generic
from typing import TypeVar

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority


if TYPE_CHECKING:
    from collections.abc import Iterable


MAX_PATTERN_LENGTH: Final = 256
MAX_CACHED_TOPICS: Final = 262_144

T = TypeVar("T")

_WILDCARD: Final = re.compile(rb"[*?]")


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
        not isinstance(pattern, str)
        or not 0 < len(pattern) <= MAX_PATTERN_LENGTH
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
    """
    Return the regular expression that matches the whole of a topic's UTF-8 form.

    It never goes back over a ``*``: if the text between two of them is found at its first
    place, what follows has the most room. So no pattern takes long on any topic.
    """
    first, *others = (
        b".".join(map(re.escape, part.split(b"?"))) for part in pattern.encode().split(b"*")
    )
    if not others:
        return re.compile(first, re.DOTALL)
    *inner, last = others
    found = b"".join(b"(?>.*?%b)" % part for part in inner if part)
    return re.compile(b"%b%b.*%b" % (first, found, last), re.DOTALL)


class TopicTable(Generic[T]):
    """
    Decide about topics by an ordered table of patterns: the first match wins.

    Answers are remembered for up to 262,144 topics; beyond that the table is asked again, so
    that memory stays bounded when topics are made without end. A new topic is not held against
    each pattern, but only against those of which it has one piece of text: the one that the
    fewest other patterns have. A pattern is compiled when first needed, so a long table costs
    the start little.

    Parameters
    ----------
    rules : iterable of tuple[str, T]
        The patterns with their values, in order; no value may be None.
    default : T
        The value of a topic that no pattern matches.
    """

    __slots__ = ("_cache", "_default", "_inner", "_prefixes", "_regexes", "_rules", "_whole")

    def __init__(self, rules: Iterable[tuple[str, T]], default: T) -> None:
        # Of equal patterns only the first can decide.
        first: dict[str, T] = {}
        for pattern, value in rules:
            first.setdefault(pattern, value)
        self._rules = tuple(first.items())
        self._regexes: list[re.Pattern[bytes] | None] = [None] * len(self._rules)
        self._default = default
        self._cache: dict[str, T] = {}
        # Numbers of rules, by the text that a topic has as a whole, at its start, or anywhere.
        self._whole: dict[bytes, int] = {}
        self._prefixes = _TextIndex()
        self._inner = _TextIndex()
        self._fill_indexes()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._rules)} patterns, {len(self._cache)} topics)"

    def value_of(self, topic: str) -> T:
        """Return the value of the first pattern that matches `topic`."""
        value = self._cache.get(topic)
        if value is None:
            # As the topic goes to the server; an error here would hit the publishing thread.
            value = self._decide(topic.encode("utf-8", "backslashreplace"))
            if len(self._cache) < MAX_CACHED_TOPICS:
                self._cache[topic] = value
        return value

    def _fill_indexes(self) -> None:
        texts_of = [_texts(pattern.encode()) for pattern, _ in self._rules]
        shared = Counter(text for texts in texts_of for text in set(texts))
        for number, texts in enumerate(texts_of):
            if texts is _WHOLE:
                self._whole[self._rules[number][0].encode()] = number
                continue
            # The rarest text; of several, one at the start, since that is looked up once.
            is_inner, text = min(texts, key=lambda t: (shared[t], t[0], -len(t[1])))
            (self._inner if is_inner else self._prefixes).add(text, number)

    def _decide(self, raw: bytes) -> T:
        end = self._whole.get(raw, len(self._rules))
        numbers = self._prefixes.at_start(raw)
        numbers |= self._inner.anywhere(raw)
        for number in sorted(numbers):
            if number > end:
                break
            if self._regex(number).fullmatch(raw):
                return self._rules[number][1]
        return self._default if end == len(self._rules) else self._rules[end][1]

    def _regex(self, number: int) -> re.Pattern[bytes]:
        regex = self._regexes[number]
        if regex is None:
            regex = self._regexes[number] = compile_pattern(self._rules[number][0])
        return regex


# A pattern without wildcards is looked up as a whole.
_WHOLE: Final[list[tuple[bool, bytes]]] = []


def _texts(raw: bytes) -> list[tuple[bool, bytes]]:
    """Return whether each text between wildcards is behind one, and the text."""
    first, *others = _WILDCARD.split(raw)
    if not others:
        return _WHOLE
    return [(False, first), *((True, text) for text in others if text)]


class _TextIndex:
    """Numbers of rules by a text that a topic must have."""

    __slots__ = ("_lengths", "_numbers")

    def __init__(self) -> None:
        self._numbers: dict[bytes, list[int]] = {}
        self._lengths: list[int] = []

    def add(self, text: bytes, number: int) -> None:
        """Add a rule that matches only what has `text`."""
        self._numbers.setdefault(text, []).append(number)
        if len(text) not in self._lengths:
            self._lengths.append(len(text))

    def at_start(self, raw: bytes) -> set[int]:
        """Return the rules whose text `raw` begins with."""
        found: set[int] = set()
        for length in self._lengths:
            found.update(self._numbers.get(raw[:length], ()))
        return found

    def anywhere(self, raw: bytes) -> set[int]:
        """Return the rules whose text `raw` has."""
        found: set[int] = set()
        for length in self._lengths:
            for begin in range(len(raw) - length + 1):
                found.update(self._numbers.get(raw[begin : begin + length], ()))
        return found


class TopicPriorities(TopicTable[MessagePriority]):
    """
    Decide the priority of a topic by an ordered table of patterns: the first match wins.

    Parameters
    ----------
    rules : iterable of tuple[str, MessagePriority]
        The patterns with their priorities, in order.
    default : MessagePriority, default NORMAL
        The priority of a topic that no pattern matches.
    """

    __slots__ = ()

    def __init__(
        self,
        rules: Iterable[tuple[str, MessagePriority]],
        default: MessagePriority = MessagePriority.NORMAL,
    ) -> None:
        super().__init__(rules, default)

    # The same function under the name of the Protocol: another call would cost each message.
    priority_of = TopicTable.value_of


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
