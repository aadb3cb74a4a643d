"""The settings of a subscription."""

from __future__ import annotations

from typing import Final
from typing import Literal

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import Settings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import WorkerSettings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import check_choice
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import check_range


_MAX_AGE_MS: Final = 30 * 24 * 3_600_000


class SubscriptionSettings(Settings, frozen=True, kw_only=True):
    """
    Settings of how streams are read and messages are handed to a handler.

    Parameters
    ----------
    order : {'topic', 'none'}, default 'topic'
        ``topic``: a message waits until the one before it on its topic is handled, and each stream
        is read by one consumer of the group at a time. ``none``: messages of a stream are shared
        among the consumers of the group, and handled as they come.
    max_deliveries : int, default 5
        How often a message is given to the handler before it goes to the dead letters (3 to
        1,000): one that ends its process counts too.
    retry_min_ms, retry_max_ms : int, default 100 and 5,000
        Bounds of the first pause, and of every pause, before a message that failed comes again
        (1 to 600,000).
    max_in_hand : int, default 10,000
        Messages that are read and not yet handled, at most (1 to 1,000,000). Reading waits.
    read_count : int, default 500
        Messages of one stream that are read at once, at most (1 to 10,000).
    run_in : {'auto', 'loop', 'threads'}, default 'auto'
        Where the handler is called: on the event loop that ran when it was subscribed, or in
        threads of its own. ``auto`` is the loop where there is one.
    threads : int, default 1
        Threads for a handler that is called in threads (1 to 50).
    workers : WorkerSettings, optional
        A number of threads that goes with the work, instead of `threads`.
    concurrency : int, default 16
        Calls of an asynchronous handler that may be under way (1 to 10,000).
    lease_ms : int, default 10,000
        Milliseconds after which a consumer that is not heard of counts as dead, and another one
        takes over what it read (300 to 3,600,000).
    streams_per_reader : int, default 256
        Streams that one connection reads at most (1 to 10,000): the server looks at each of
        them in every call.
    max_readers : int, default 4
        Threads that read, with a connection each (1 to 64). When all of them have as many streams
        as they may, they get more, and `health` says so.
    scan_interval_ms : int, default 5,000
        Milliseconds between looks for streams that no writer of ours told of (100 to 3,600,000).
    slice_us : int, default 2,000
        Microseconds for which a handler is called on the event loop before that gets a turn (50 to
        100,000).
    sole_consumer : bool, default False
        If the group has one consumer at a time: where reading begins is then for each new one to
        say, even while one before it, that was killed, still counts as alive.
    """

    order: Literal["topic", "none"] = "topic"
    max_deliveries: int = 5
    retry_min_ms: int = 100
    retry_max_ms: int = 5_000
    max_in_hand: int = 10_000
    read_count: int = 500
    run_in: Literal["auto", "loop", "threads"] = "auto"
    threads: int = 1
    workers: WorkerSettings | None = None
    concurrency: int = 16
    lease_ms: int = 10_000
    streams_per_reader: int = 256
    max_readers: int = 4
    scan_interval_ms: int = 5_000
    slice_us: int = 2_000
    sole_consumer: bool = False

    def __post_init__(self) -> None:
        check_choice("order", self.order, ("topic", "none"))
        check_choice("run_in", self.run_in, ("auto", "loop", "threads"))
        check_range("max_deliveries", self.max_deliveries, 3, 1_000, " deliveries")
        check_range("retry_min_ms", self.retry_min_ms, 1, 600_000, " ms")
        check_range("retry_max_ms", self.retry_max_ms, self.retry_min_ms, 600_000, " ms")
        check_range("max_in_hand", self.max_in_hand, 1, 1_000_000, " messages")
        check_range("read_count", self.read_count, 1, 10_000, " messages")
        check_range("threads", self.threads, 1, 50, " threads")
        check_range("concurrency", self.concurrency, 1, 10_000, " calls")
        check_range("lease_ms", self.lease_ms, 300, 3_600_000, " ms")
        check_range("streams_per_reader", self.streams_per_reader, 1, 10_000, " streams")
        check_range("max_readers", self.max_readers, 1, 64, " readers")
        check_range("scan_interval_ms", self.scan_interval_ms, 100, 3_600_000, " ms")
        check_range("slice_us", self.slice_us, 50, 100_000, " µs")
        if self.threads > 1 and self.run_in != "threads":
            raise ConfigurationError(
                "threads", self.threads, "1 where `run_in` is not 'threads'", "Set run_in='threads'"
            )
        if self.workers is not None and (self.run_in != "threads" or self.threads != 1):
            raise ConfigurationError(
                "workers",
                self.workers,
                "None where `run_in` is not 'threads', or `threads` says how many",
                "Set run_in='threads', and leave `threads` out",
            )

    def worker_settings(self) -> WorkerSettings:
        """Return between how many threads there are for a handler."""
        return self.workers or WorkerSettings(min_workers=self.threads, max_workers=self.threads)

    def pause_s(self, attempts: int) -> float | None:
        """
        Return the seconds to pause after so many attempts; None if there were enough.

        It doubles from `retry_min_ms` to `retry_max_ms`. There is no jitter: who retries is one
        consumer, and not many against one server.
        """
        if attempts >= self.max_deliveries:
            return None
        pause_ms = self.retry_min_ms * 2 ** min(attempts - 1, 32)
        return float(min(pause_ms, self.retry_max_ms)) / 1_000


def check_max_age(max_age_ms: int | None) -> None:
    """
    Refuse an age that is none.

    Raises
    ------
    ConfigurationError
        If it is neither None nor 1 to 2,592,000,000 (30 days).
    """
    if max_age_ms is not None:
        check_range("max_age_ms", max_age_ms, 1, _MAX_AGE_MS, " ms")
