"""What tests of consumers under a fault share: who publishes, who handles, and what was asked."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING
from typing import Any

import redis

from nautilus_enhanced.infrastructure.messagebus import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus import StreamClient
from nautilus_enhanced.infrastructure.messagebus import StreamMessage
from nautilus_enhanced.infrastructure.messagebus import StreamNaming
from nautilus_enhanced.infrastructure.messagebus import Subscription
from nautilus_enhanced.infrastructure.messagebus import SubscriptionSettings


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable
    from collections.abc import Iterator


NAMING = StreamNaming(trader_id="FAULT-1")
GROUP = "risk"
LETTERS = f"nt-enhanced:dlq:{GROUP}"
MEMBERS = f"nt-enhanced:group:{GROUP}"
TOPICS = tuple(f"events.order.S-{number}" for number in range(4))
LEASE_MS = 600
CONNECTION = ConnectionSettings(
    connect_timeout_ms=500,
    response_timeout_ms=1_000,
    reconnect_min_ms=20,
    reconnect_max_ms=200,
)
SETTINGS = SubscriptionSettings(
    lease_ms=LEASE_MS, scan_interval_ms=100, retry_min_ms=1, retry_max_ms=20
)


def key_of(topic: str) -> str:
    """Return the stream of a topic."""
    return NAMING.key(topic)


def publish(
    store: redis.Redis, numbers: Iterable[int], topics: Iterable[str] = TOPICS, entry_id: str = "*"
) -> None:
    """Write each number on each topic, as a bus does."""
    pipe = store.pipeline(transaction=False)
    topics = tuple(topics)
    for number in numbers:
        for topic in topics:
            pipe.xadd(key_of(topic), {"topic": topic, "payload": b"%d" % number}, id=entry_id)
    pipe.execute()


class Handled:
    """
    A handler that remembers.

    Attributes
    ----------
    by_topic : dict[str, list[int]]
        The numbers in the order in which they came.
    """

    def __init__(self, then: Callable[[StreamMessage], Any] | None = None) -> None:
        self.by_topic: dict[str, list[int]] = defaultdict(list)
        self.then = then

    def __call__(self, message: StreamMessage) -> None:
        if self.then is not None:
            self.then(message)
        self.by_topic[message.topic].append(int(message.payload))

    def first(self, topic: str) -> list[int]:
        """Return the numbers of a topic by when each came first."""
        return list(dict.fromkeys(self.by_topic[topic]))

    def has(self, numbers: Iterable[int], topics: Iterable[str] = TOPICS) -> bool:
        """Return whether each of the numbers came on each of the topics."""
        wanted = set(numbers)
        return all(wanted <= set(self.by_topic[topic]) for topic in topics)

    def is_ordered(self, topics: Iterable[str] = TOPICS) -> bool:
        """Return whether what came first is in order."""
        return all(self.first(topic) == sorted(self.first(topic)) for topic in topics)

    @property
    def doubles(self) -> int:
        """Return how many came again."""
        return sum(len(numbers) - len(set(numbers)) for numbers in self.by_topic.values())


@contextmanager
def consumer(
    port: int, handler: Callable[[StreamMessage], Any], login: str = "", **options: Any
) -> Iterator[Subscription]:
    """Subscribe in a thread of its own, until the block ends."""
    options = {"group": GROUP, "start": "resume", "settings": SETTINGS} | options
    connection = options.pop("connection", CONNECTION)
    patterns = options.pop("patterns", "events.order.*")
    url = f"redis://{login}127.0.0.1:{port}"
    clock = options.pop("clock", None)
    with StreamClient(url, naming=NAMING, connection=connection, clock=clock) as client:
        yield client.subscribe(patterns, handler, **options)


def pending(store: redis.Redis, topics: Iterable[str] = TOPICS, group: str = GROUP) -> int:
    """Return how many entries of the group are not acknowledged."""
    return sum(store.xpending(key_of(topic), group)["pending"] for topic in topics)


def calls(store: redis.Redis) -> dict[str, int]:
    """Return how often each command was run or refused, its subcommands together."""
    sums: dict[str, int] = defaultdict(int)
    for name, figures in store.info("commandstats").items():
        counts = (int(figures.get(kind, 0)) for kind in ("calls", "rejected_calls"))
        sums[name.removeprefix("cmdstat_").partition("|")[0]] += sum(counts)
    return sums


class Rate:
    """
    Count the commands that a server is asked for while a trouble lasts.

    Parameters
    ----------
    store : redis.Redis
        The server.
    """

    def __init__(self, store: redis.Redis) -> None:
        self._store = store
        self._before = calls(store)
        self._since = time.monotonic()

    def __call__(self) -> dict[str, float]:
        """Return the calls a second of each command, since this was made."""
        lasted = time.monotonic() - self._since
        rates = {
            name: (count - self._before[name]) / lasted
            for name, count in calls(self._store).items()
        }
        return defaultdict(float, rates)


class Repeating(threading.Thread):
    """Do something again and again, until the block ends."""

    def __init__(self, what: Callable[[], object], pause_s: float) -> None:
        super().__init__(daemon=True)
        self._what = what
        self._pause_s = pause_s
        self._over = threading.Event()
        self.count = 0

    def run(self) -> None:
        while not self._over.is_set():
            self._what()
            self.count += 1
            self._over.wait(self._pause_s)

    def __enter__(self) -> Repeating:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join(10.0)
