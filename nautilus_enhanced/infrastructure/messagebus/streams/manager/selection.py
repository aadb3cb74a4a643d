"""
Which streams, and which of their messages, a pattern means.

A pattern is one of topics, with ``*`` and ``?`` as everywhere. It means the streams of those
topics whoever publishes them, the topic being what follows a colon in a key; streams that carry
all topics of a node, of which the messages are looked at one by one; and streams whose whole key
matches it.
"""

from __future__ import annotations

import re
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.patterns import check_pattern
from nautilus_enhanced.infrastructure.messagebus.patterns import compile_pattern
from nautilus_enhanced.infrastructure.messagebus.streams.keys import PREFIX
from nautilus_enhanced.infrastructure.messagebus.streams.keys import check_name


DEFAULT_STREAMS_PREFIX: Final = "stream"

_OURS: Final = PREFIX.encode()
_SPECIAL: Final = re.compile(r"([\\*?\[\]])")


class StreamSelector:
    """
    Decide which streams, and which of their messages, a pattern means.

    Parameters
    ----------
    pattern : str, default '*'
        The pattern, of topics or of whole keys.
    trader_id : str, optional
        Only the streams of this trader.
    streams_prefix : str, optional
        How the keys of streams that carry all topics of a node end; ``stream`` by default. None
        means them only where their whole key matches.
    keys_only : bool, default False
        If the pattern is one of whole keys, and never of topics.

    Raises
    ------
    ConfigurationError
        If the pattern or the trader's ID is not one.
    """

    def __init__(
        self,
        pattern: str = "*",
        *,
        trader_id: str | None = None,
        streams_prefix: str | None = DEFAULT_STREAMS_PREFIX,
        keys_only: bool = False,
    ) -> None:
        check_pattern("pattern", pattern)
        if trader_id is not None:
            check_name("trader_id", trader_id)
        self._pattern = pattern
        self._regex = compile_pattern(pattern)
        self._trader_id = trader_id
        self._starts = (
            () if trader_id is None else (f"trader-{trader_id}:".encode(), f"{trader_id}:".encode())
        )
        self._combined_end = None if streams_prefix is None else f":{streams_prefix}".encode()
        self._keys_only = keys_only

    def __repr__(self) -> str:
        of = "" if self._trader_id is None else f", trader_id={self._trader_id!r}"
        return f"{type(self).__name__}({self._pattern!r}{of})"

    @property
    def key_glob(self) -> bytes:
        """Return what the server needs to look for; the keys that match it may be too many."""
        if self._trader_id is None:
            return b"*"
        escaped = _SPECIAL.sub(r"\\\1", self._trader_id)
        return f"*{escaped}:*".encode()

    def matches(self, key: bytes) -> bool:
        """Return whether a stream can have messages that are meant."""
        if key.startswith(_OURS) or (self._starts and not key.startswith(self._starts)):
            return False
        if self._regex.fullmatch(key):
            return True
        if self._keys_only:
            return False
        if self._combined_end is not None and key.endswith(self._combined_end):
            return True
        colon = key.find(b":")
        while colon >= 0:
            if self._regex.fullmatch(key, colon + 1):
                return True
            colon = key.find(b":", colon + 1)
        return False

    def takes(self, key: bytes, topic: bytes) -> bool:
        """Return whether a message of a stream that matches is meant."""
        return bool(self._regex.fullmatch(topic) or self._regex.fullmatch(key))
