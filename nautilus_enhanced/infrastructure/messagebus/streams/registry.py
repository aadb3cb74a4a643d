"""
Which streams there are: told by our writers, looked for where a stock bus writes.

A writer says the key of each stream when it first writes to it, in a sorted set and in a short
stream of news that readers wait on. Neither is needed by the writer: an error is no trouble of
its own, and what is missing is found by scanning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.publishing.wire import command
from nautilus_enhanced.infrastructure.messagebus.streams.keys import REGISTRY_KEY
from nautilus_enhanced.infrastructure.messagebus.streams.keys import REGISTRY_NEWS_KEY


if TYPE_CHECKING:
    from collections.abc import Iterable


MAX_REGISTERED: Final = 100_000
MAX_NEWS: Final = 10_000
SCAN_COUNT: Final = 1_000

REGISTRY: Final = REGISTRY_KEY.encode()
_NEWS: Final = REGISTRY_NEWS_KEY.encode()
_FIELD: Final = b"key"

Query = tuple[bytes, bytes]


def announcement(keys: Iterable[bytes], now_ms: int) -> list[Query]:
    """
    Return the commands, with the key of each, that tell readers of streams.

    Parameters
    ----------
    keys : iterable of bytes
        The keys of the streams.
    now_ms : int
        Milliseconds since the UNIX epoch.
    """
    keys = tuple(keys)
    if not keys:
        return []
    scored = [part for key in keys for part in (b"%d" % now_ms, key)]
    oldest_to_go = b"%d" % -(MAX_REGISTERED + 1)
    queries = [
        (REGISTRY, command(b"ZADD", REGISTRY, *scored)),
        (REGISTRY, command(b"ZREMRANGEBYRANK", REGISTRY, b"0", oldest_to_go)),
    ]
    queries += [
        (_NEWS, command(b"XADD", _NEWS, b"MAXLEN", b"~", b"%d" % MAX_NEWS, b"*", _FIELD, key))
        for key in keys
    ]
    return queries


def registered() -> Query:
    """Return the command for all streams that were told of, with its key."""
    return REGISTRY, command(b"ZRANGE", REGISTRY, b"0", b"-1")


def forget(keys: Iterable[bytes]) -> Query:
    """Return the command that takes streams out, which are gone, with its key."""
    return REGISTRY, command(b"ZREM", REGISTRY, *keys)


def news(after: bytes, block_ms: int | None) -> Query:
    """Return the command that waits for news behind an ID, with its key."""
    wait = () if block_ms is None else (b"BLOCK", b"%d" % block_ms)
    return _NEWS, command(b"XREAD", b"COUNT", b"1000", *wait, b"STREAMS", _NEWS, after)


def parse_news(answer: Any, after: bytes) -> tuple[list[bytes], bytes]:
    """Return the keys in an answer to `news`, and the ID to go on from."""
    keys: list[bytes] = []
    if not isinstance(answer, list):
        return keys, after
    for _, entries in answer:
        for entry_id, fields in entries:
            after = entry_id
            keys += fields[1::2]
    return keys, after


def scan(cursor: bytes, key_pattern: bytes) -> bytes:
    """Return the command for one step of looking through the keys of a server."""
    return command(
        b"SCAN", cursor, b"MATCH", key_pattern, b"COUNT", b"%d" % SCAN_COUNT, b"TYPE", b"stream"
    )
