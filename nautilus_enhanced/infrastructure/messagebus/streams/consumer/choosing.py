"""Which streams a subscription reads, and which topics of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from typing import Final

import msgspec

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.patterns import TopicTable
from nautilus_enhanced.infrastructure.messagebus.patterns import check_pattern
from nautilus_enhanced.infrastructure.messagebus.patterns import compile_pattern
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import encode_text


if TYPE_CHECKING:
    from collections.abc import Iterable

    from nautilus_enhanced.infrastructure.messagebus.publishing.wire import StreamNaming


# The place of a stream that carries more than one topic.
MANY_TOPICS: Final = ""

# What stands for more than itself in the server's patterns and not in ours.
_ONLY_OF_SERVER: Final = re.compile(r"([\[\]\\^])")


class TopicSelection(msgspec.Struct, frozen=True):
    """
    Topics of the traders that a naming means, wherever their streams are.

    Both namings are looked for, a stream for each topic and one for all of them.

    Parameters
    ----------
    naming : StreamNaming
        How streams are named; a trader ID may be a pattern, such as ``*`` for all.
    patterns : tuple[str, ...]
        The patterns of the topics.

    Raises
    ------
    ConfigurationError
        If a pattern can match no topic.
    """

    naming: StreamNaming
    patterns: tuple[str, ...]

    def __post_init__(self) -> None:
        for pattern in self.patterns:
            check_pattern("pattern", pattern)

    @property
    def base(self) -> str:
        """Return the pattern of what comes before the topic in a key."""
        return msgspec.structs.replace(self.naming, stream_per_topic=False).key("")

    def key_patterns(self) -> list[bytes]:
        """Return the server's patterns of the keys."""
        base = self.base
        keys = [base, *(f"{base}:{pattern}" for pattern in self.patterns)]
        return [encode_text(_ONLY_OF_SERVER.sub(r"\\\1", key)) for key in keys]

    def exact_keys(self) -> tuple[bytes, ...]:
        """Return the keys that need not be looked for: none, since there are two namings."""
        return ()

    def chooser(self) -> StreamChooser:
        """Return what chooses among keys and topics."""
        parts = (
            re.escape(part).replace(rb"\?", b".") for part in encode_text(self.base).split(b"*")
        )
        # As little as can be: a topic may have in it what ends the part before it.
        return StreamChooser(re.compile(b".*?".join(parts), re.DOTALL), self.patterns)


class KeySelection(msgspec.Struct, frozen=True):
    """
    Streams by their keys, with all their topics or some.

    Parameters
    ----------
    keys : tuple[str, ...]
        The keys, or patterns of them with ``*`` and ``?``.
    patterns : tuple[str, ...], default ('*',)
        The patterns of the topics.
    excluded : tuple[str, ...], default ()
        Keys, or patterns of them, that are not read whatever `keys` says.

    Raises
    ------
    ConfigurationError
        If there is no key, or a pattern can match nothing.
    """

    keys: tuple[str, ...]
    patterns: tuple[str, ...] = ("*",)
    excluded: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.keys:
            raise ConfigurationError("streams", self.keys, "a key of a stream, or more")
        for key in self.keys:
            check_pattern("streams", key)
        for key in self.excluded:
            check_pattern("excluded", key)
        for pattern in self.patterns:
            check_pattern("pattern", pattern)

    def key_patterns(self) -> list[bytes]:
        """Return the server's patterns of the keys."""
        return [encode_text(_ONLY_OF_SERVER.sub(r"\\\1", key)) for key in self.keys]

    def exact_keys(self) -> tuple[bytes, ...]:
        """Return the keys that need not be looked for, whether they are there or not."""
        chooser = self.chooser()
        exact = (encode_text(key) for key in self.keys if "*" not in key and "?" not in key)
        return tuple(key for key in exact if chooser.place_of(key) is not None)

    def chooser(self) -> StreamChooser:
        """Return what chooses among keys and topics."""
        whole = _any_of(self.keys)
        if self.excluded:
            whole = b"(?!%b)%b" % (_any_of(self.excluded), whole)
        return StreamChooser(re.compile(whole, re.DOTALL), self.patterns)


Selection = TopicSelection | KeySelection


def _any_of(keys: Iterable[str]) -> bytes:
    """Return what matches a whole key that is one of `keys`, or matches one."""
    patterns = b"|".join(b"(?:%b)" % compile_pattern(key).pattern for key in keys)
    return b"(?:%b)\\Z" % patterns


class StreamChooser:
    """
    Tell which streams and topics are selected.

    Parameters
    ----------
    base : re.Pattern[bytes]
        Matches the key up to the topic.
    patterns : iterable of str
        The patterns of the topics.
    """

    def __init__(self, base: re.Pattern[bytes], patterns: Iterable[str]) -> None:
        self._base = base
        self._topics: TopicTable[bool] = TopicTable(((one, True) for one in patterns), False)
        self.accepts = self._topics.value_of
        """Return whether a topic is selected."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._base.pattern!r})"

    def place_of(self, key: bytes) -> str | None:
        """
        Return the topic of a stream, `MANY_TOPICS` if the key names none, None if not selected.

        Parameters
        ----------
        key : bytes
            The key.
        """
        found = self._base.match(key)
        if found is None:
            return None
        rest = key[found.end() :]
        if not rest:
            return MANY_TOPICS
        topic = rest[1:].decode("utf-8", "backslashreplace")
        return topic if rest.startswith(b":") and self.accepts(topic) else None
