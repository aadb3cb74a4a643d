"""What is in the streams after a run, read from the server itself and held against the witness."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any
from typing import Final

import msgspec
import redis

from nautilus_enhanced.cli.demo.messages import Comparison
from nautilus_enhanced.cli.demo.messages import compare
from nautilus_enhanced.cli.demo.messages import fingerprint
from nautilus_enhanced.cli.demo.messages import tally_of


PAGE: Final = 5_000
TIMEOUT_S: Final = 10.0


class StoredMessages(msgspec.Struct, frozen=True, kw_only=True):
    """
    The messages in the streams of a run.

    Attributes
    ----------
    by_topic : dict[str, list[str]]
        The fingerprints of each topic's messages, in the order of the stream.
    times_ms : list[int]
        The times in the entries' IDs, in milliseconds of the Unix epoch: of the server, for
        entries that the stock bus wrote.
    """

    by_topic: dict[str, list[str]]
    times_ms: list[int]

    def arrivals_ns(self) -> list[int]:
        """Return these times by the system's monotonic clock."""
        offset_ns = time.monotonic_ns() - time.time_ns()
        return [time_ms * 1_000_000 + offset_ns for time_ms in self.times_ms]

    @property
    def tally(self) -> dict[str, int]:
        """Return how often each fingerprint is there."""
        return tally_of(self.by_topic)


def open_client(url: str) -> Any:
    """Return a client of the demo's own server."""
    # redis-py's types promise answers in more forms than these settings give.
    return redis.Redis.from_url(url, socket_timeout=TIMEOUT_S)


def count_entries(url: str, trader_id: str) -> int:
    """Return the number of entries in the streams of a run."""
    with open_client(url) as client:
        return sum(client.xlen(key) for key in _keys(client, trader_id))


def read_streams(url: str, trader_id: str) -> StoredMessages:
    """Read the streams of a run from their beginning to their end."""
    by_topic: dict[str, list[str]] = defaultdict(list)
    times_ms: list[int] = []
    with open_client(url) as client:
        for key in _keys(client, trader_id):
            position = b"-"
            while page := client.xrange(key, min=position, count=PAGE):
                for entry_id, fields in page:
                    topic = fields[b"topic"].decode()
                    by_topic[topic].append(fingerprint(topic, fields[b"payload"]))
                    times_ms.append(int(entry_id.partition(b"-")[0]))
                position = b"(" + page[-1][0]
    return StoredMessages(by_topic=dict(by_topic), times_ms=times_ms)


def compare_streams(
    published: dict[str, list[str]],
    stored: dict[str, list[str]],
) -> Comparison:
    """
    Hold what is in the streams against what was published, by message and by topic.

    Parameters
    ----------
    published, stored : dict[str, list[str]]
        The fingerprints of each topic's messages, in order.
    """
    found = compare(tally_of(published), tally_of(stored))
    out_of_order = sum(
        count_out_of_order(published.get(topic, []), sequence) for topic, sequence in stored.items()
    )
    return msgspec.structs.replace(found, out_of_order=out_of_order)


def count_out_of_order(published: list[str], stored: list[str]) -> int:
    """
    Return how many messages stand behind one that was published after them.

    What is stored twice counts at its first place only, and what was not seen published has no
    place: both are told elsewhere.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for place, digest in reversed(list(enumerate(published))):
        places[digest].append(place)
    furthest = -1
    count = 0
    for digest in stored:
        if not places[digest]:
            continue
        place = places[digest].pop()
        count += place < furthest
        furthest = max(furthest, place)
    return count


def _keys(client: Any, trader_id: str) -> list[bytes]:
    # A scan may return a key twice.
    return sorted(set(client.scan_iter(match=f"trader-{trader_id}:*", count=1_000)))
