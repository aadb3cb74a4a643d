"""
The settings of the bus: frozen, pure data, checked where they are made.

This module does not know NautilusTrader, so that a producer or consumer process can use the
bus without it. Names carry their unit. A value outside of what is allowed raises a
`ConfigurationError` that names field, value and range.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from typing import Literal

import msgspec

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.overflow import OVERFLOW_POLICIES
from nautilus_enhanced.infrastructure.messagebus.patterns import DEFAULT_TOPIC_PRIORITIES
from nautilus_enhanced.infrastructure.messagebus.patterns import check_pattern
from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority
from nautilus_enhanced.infrastructure.messagebus.urls import EMBEDDED
from nautilus_enhanced.infrastructure.messagebus.urls import check_url
from nautilus_enhanced.infrastructure.messagebus.urls import redact_url


if TYPE_CHECKING:
    from collections.abc import Iterable


PRIORITY_NAMES: Final = tuple(priority.name.lower() for priority in MessagePriority)

PriorityName = Literal["critical", "high", "normal", "low"]


def check_range(field: str, value: float, low: float, high: float, unit: str = "") -> None:
    """
    Refuse a number outside of ``low`` to ``high``, both included.

    Raises
    ------
    ConfigurationError
        If `value` is outside.
    """
    if not low <= value <= high:
        raise ConfigurationError(field, value, f"{low:,} to {high:,}{unit}")


def check_choice(field: str, value: object, choices: Iterable[str]) -> None:
    """
    Refuse what is not one of `choices`.

    Raises
    ------
    ConfigurationError
        If `value` is none of them.
    """
    choices = tuple(choices)
    if value not in choices:
        raise ConfigurationError(field, value, ", ".join(map(repr, choices)))


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of all settings: frozen, keyword-only, no unknown fields."""


class LaneSettings(Settings, frozen=True, kw_only=True):
    """
    Settings of one lane between the publishing threads and the writer.

    Parameters
    ----------
    max_messages : int, default 100,000
        Messages that the lane holds at most (1 to 10,000,000).
    max_bytes : int, default 64 MiB
        Payload bytes that the lane holds at most (1 KiB to 16 GiB).
    flush_interval_ms : int, default 10
        Milliseconds for which messages may wait to be sent together (1 to 1,000), or 0 to wake
        the writer at once. A lane that is half full is sent at once in any case.
    high_water : float, default 0.8
        Share of a full lane from which on it is reported.
    low_water : float, default 0.5
        Share of a full lane below which it is no longer reported (less than `high_water`).
    overflow : {'drop_oldest', 'refuse'}, default 'drop_oldest'
        What happens to a message that finds the lane full.
    """

    max_messages: int = 100_000
    max_bytes: int = 64 * 1024 * 1024
    flush_interval_ms: int = 10
    high_water: float = 0.8
    low_water: float = 0.5
    overflow: Literal["drop_oldest", "refuse"] = "drop_oldest"

    def __post_init__(self) -> None:
        check_range("max_messages", self.max_messages, 1, 10_000_000, " messages")
        check_range("max_bytes", self.max_bytes, 1024, 16 * 1024**3, " bytes")
        check_range("flush_interval_ms", self.flush_interval_ms, 0, 1_000, " ms, 0 for at once")
        if not 0.0 < self.low_water < self.high_water <= 1.0:
            raise ConfigurationError(
                "low_water, high_water",
                (self.low_water, self.high_water),
                "0 < low_water < high_water <= 1",
            )
        check_choice("overflow", self.overflow, OVERFLOW_POLICIES)


def _urgent_lane() -> LaneSettings:
    return LaneSettings(flush_interval_ms=0, overflow="refuse")


class BufferSettings(Settings, frozen=True, kw_only=True):
    """
    Settings of the four lanes.

    Parameters
    ----------
    critical, high : LaneSettings
        The lanes of order flow: sent at once, and full they refuse, so that what reaches the
        server is never a history with a hole in front of it.
    normal, low : LaneSettings
        The lanes of market data and of everything that can wait: gathered for 10 ms and 100 ms,
        and full they drop their oldest.
    """

    critical: LaneSettings = msgspec.field(default_factory=_urgent_lane)
    high: LaneSettings = msgspec.field(default_factory=_urgent_lane)
    normal: LaneSettings = msgspec.field(default_factory=LaneSettings)
    low: LaneSettings = msgspec.field(
        default_factory=lambda: LaneSettings(flush_interval_ms=100),
    )

    def of(self, priority: MessagePriority) -> LaneSettings:
        """Return the settings of the lane of `priority`."""
        lane: LaneSettings = getattr(self, PRIORITY_NAMES[priority])
        return lane


class TopicRule(Settings, frozen=True, kw_only=True):
    """
    Give the topics that match a pattern a priority.

    Parameters
    ----------
    pattern : str
        The topic pattern, with ``*`` and ``?`` as in NautilusTrader's subscriptions.
    priority : {'critical', 'high', 'normal', 'low'}
        The priority.
    """

    pattern: str
    priority: PriorityName

    def __post_init__(self) -> None:
        check_pattern("priorities.topics.pattern", self.pattern)
        check_choice("priorities.topics.priority", self.priority, PRIORITY_NAMES)


class PrioritySettings(Settings, frozen=True, kw_only=True):
    """
    Settings of the priorities outside of the node, which go by topic.

    Parameters
    ----------
    topics : tuple[TopicRule, ...], default ()
        The user's rules, tried in order before the default table.
    default : {'critical', 'high', 'normal', 'low'}, default 'normal'
        The priority of a topic that nothing matches.
    """

    topics: tuple[TopicRule, ...] = ()
    default: PriorityName = "normal"

    def __post_init__(self) -> None:
        check_choice("priorities.default", self.default, PRIORITY_NAMES)

    def table(self) -> tuple[tuple[str, MessagePriority], ...]:
        """Return all rules in order: the user's, then the default ones."""
        own = tuple((rule.pattern, MessagePriority[rule.priority.upper()]) for rule in self.topics)
        return own + DEFAULT_TOPIC_PRIORITIES


# The kinds of market data that a rule can name. The types of a book are one kind: a snapshot
# and the changes to it must stay together.
DATA_KINDS: Final = ("quotes", "trades", "bars", "book", "prices", "status", "instruments", "other")


class FlowRule(Settings, frozen=True, kw_only=True):
    """
    Give a part of the flow inside of the node another lane; the first rule that matches decides.

    Parameters
    ----------
    flow : {'data', 'orders'}
        Whether the rule is about market data or about order flow.
    priority : {'low', 'normal'}, default 'low'
        ``low`` is served last, ``normal`` as without a rule (an exception from a later one).
    kinds : tuple[str, ...], default ()
        For market data: which of 'quotes', 'trades', 'bars', 'book', 'prices', 'status',
        'instruments' and 'other'; empty for all. Not allowed for order flow.
    instrument : str, default '*'
        A pattern that the instrument ID must match, such as ``BTC*.BINANCE``.
    venue : str, default '*'
        A pattern that the venue must match.
    strategy : str, default '*'
        For order flow: a pattern that the strategy ID must match. Not allowed for market data.

    Raises
    ------
    ConfigurationError
        If a pattern is not one, or the rule would break an order: that of a book's messages, or
        that of the commands and events of one order.
    """

    flow: Literal["data", "orders"]
    priority: Literal["low", "normal"] = "low"
    kinds: tuple[str, ...] = ()
    instrument: str = "*"
    venue: str = "*"
    strategy: str = "*"

    def __post_init__(self) -> None:
        check_choice("dispatch.rules.flow", self.flow, ("data", "orders"))
        check_choice("dispatch.rules.priority", self.priority, ("low", "normal"))
        for name in ("instrument", "venue", "strategy"):
            check_pattern(f"dispatch.rules.{name}", getattr(self, name))
        if self.flow == "orders" and self.kinds:
            raise ConfigurationError(
                "dispatch.rules.kinds",
                self.kinds,
                "nothing where `flow` is 'orders'",
                "With some types of an order's messages in another lane a command would overtake "
                "an event of the same order",
            )
        if self.flow == "data" and self.strategy != "*":
            raise ConfigurationError(
                "dispatch.rules.strategy",
                self.strategy,
                "'*' where `flow` is 'data'",
                "Market data belongs to no strategy",
            )
        for kind in self.kinds:
            if kind not in DATA_KINDS:
                remedy = (
                    "Name 'book' for all types of a book: its snapshots and changes must stay "
                    "together"
                    if "book" in kind.lower()
                    else ""
                )
                raise ConfigurationError(
                    "dispatch.rules.kinds", kind, ", ".join(map(repr, DATA_KINDS)), remedy
                )


class DispatchSettings(Settings, frozen=True, kw_only=True):
    """
    Settings of the dispatcher that serves a node's engines.

    Parameters
    ----------
    slice_us : int, default 500
        Microseconds for which messages are handled before the event loop gets a turn (50 to
        100,000). The latency of order flow behind a backlog is at most this plus the longest
        single handler.
    min_share : float, default 0.05
        Share of the time that is owed to a lane that waits (0.01 to 0.5).
    hard_limit_factor : int, default 10
        A queue grows beyond its `qsize` up to this many times of it (1 to 1,000); then the
        engine's exception policy applies.
    rules : tuple[FlowRule, ...], default ()
        What is served last; the first that matches decides.
    conflate_quotes : bool, default False
        If behind a backlog only the latest quote of an instrument is kept. It takes the place
        of the quote that it supersedes. Never done for an instrument whose quotes feed a bar
        aggregator, the order emulator or a sandbox execution client.
    conflate_above : int, default 1,000
        Messages of market data that must wait before quotes are conflated (1 to 10,000,000).
    """

    slice_us: int = 500
    min_share: float = 0.05
    hard_limit_factor: int = 10
    rules: tuple[FlowRule, ...] = ()
    conflate_quotes: bool = False
    conflate_above: int = 1_000

    def __post_init__(self) -> None:
        check_range("dispatch.slice_us", self.slice_us, 50, 100_000, " µs")
        check_range("dispatch.min_share", self.min_share, 0.01, 0.5)
        check_range("dispatch.hard_limit_factor", self.hard_limit_factor, 1, 1_000)
        check_range("dispatch.conflate_above", self.conflate_above, 1, 10_000_000, " messages")


class DurabilitySettings(Settings, frozen=True, kw_only=True):
    """
    Settings of what outlives the process, for each lane.

    Parameters
    ----------
    critical, high, normal, low : {'memory'}, default 'memory'
        Where unsent messages are kept. ``memory`` loses them with the process. The journal
        on disk (``spill``, ``always``) is not part of this version, and asking for it is an
        error rather than a promise that is not kept.
    """

    critical: str = "memory"
    high: str = "memory"
    normal: str = "memory"
    low: str = "memory"

    def __post_init__(self) -> None:
        for name in PRIORITY_NAMES:
            if getattr(self, name) != "memory":
                raise ConfigurationError(
                    f"durability.{name}",
                    getattr(self, name),
                    "'memory'",
                    "The journal on disk is not part of this version",
                )


class StreamSettings(Settings, frozen=True, kw_only=True):
    """
    Settings of how the writer sends.

    Parameters
    ----------
    batch_messages : int, default 256
        Messages sent together at most (1 to 4,096).
    batch_bytes : int, default 256 KiB
        Payload bytes sent together at most (1 KiB to 16 MiB); one larger message goes alone.
    close_timeout_ms : int, default 5,000
        Milliseconds for which closing waits for what is buffered to be confirmed (0 to
        60,000).
    """

    batch_messages: int = 256
    batch_bytes: int = 256 * 1024
    close_timeout_ms: int = 5_000

    def __post_init__(self) -> None:
        check_range("streams.batch_messages", self.batch_messages, 1, 4_096, " messages")
        check_range("streams.batch_bytes", self.batch_bytes, 1024, 16 * 1024**2, " bytes")
        check_range("streams.close_timeout_ms", self.close_timeout_ms, 0, 60_000, " ms")


class WorkerSettings(Settings, frozen=True, kw_only=True):
    """
    Settings of the workers that consumers share; read by consumers only.

    Parameters
    ----------
    min_workers : int, default 1
        Workers at least (1 to 50).
    max_workers : int, default 4
        Workers at most (`min_workers` to 50).
    """

    min_workers: int = 1
    max_workers: int = 4

    def __post_init__(self) -> None:
        check_range("workers.min_workers", self.min_workers, 1, 50, " workers")
        check_range("workers.max_workers", self.max_workers, self.min_workers, 50, " workers")


class ConnectionSettings(Settings, frozen=True, kw_only=True):
    """
    Settings of the connection to the server.

    Parameters
    ----------
    url : str, optional
        ``redis://``, ``rediss://`` (TLS, certificate verified) or ``unix://``, with user,
        password and database number as redis-py reads them; or ``embedded`` for a Valkey
        server that starts and stops with the node (extra ``embedded``). None takes host, port
        and login of the bus configuration's `database`.
    connect_timeout_ms : int, default 1,000
        Milliseconds to wait for a connection (10 to 60,000).
    response_timeout_ms : int, default 5,000
        Milliseconds to wait for an answer before the connection counts as broken (10 to
        600,000).
    reconnect_min_ms : int, default 50
        The first and shortest bound of the random pause between attempts (1 to 60,000).
    reconnect_max_ms : int, default 1,000
        The longest bound of that pause, which doubles with each attempt (`reconnect_min_ms` to
        60,000).
    """

    url: str | None = None
    connect_timeout_ms: int = 1_000
    response_timeout_ms: int = 5_000
    reconnect_min_ms: int = 50
    reconnect_max_ms: int = 1_000

    def __post_init__(self) -> None:
        if self.url is not None and self.url != EMBEDDED:
            check_url("connection.url", self.url)
        check_range("connection.connect_timeout_ms", self.connect_timeout_ms, 10, 60_000, " ms")
        check_range("connection.response_timeout_ms", self.response_timeout_ms, 10, 600_000, " ms")
        check_range("connection.reconnect_min_ms", self.reconnect_min_ms, 1, 60_000, " ms")
        check_range(
            "connection.reconnect_max_ms",
            self.reconnect_max_ms,
            self.reconnect_min_ms,
            60_000,
            " ms",
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        # msgspec's own would show the password in a traceback printed by rich.
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        if self.url is not None and self.url != EMBEDDED:
            values["url"] = redact_url(self.url)
        return list(values.items())


class MonitoringSettings(Settings, frozen=True, kw_only=True):
    """
    Settings of what the node says about itself.

    Parameters
    ----------
    health_interval_secs : float, default 1.0
        Seconds between looks at the bus's health, whose changes are logged (0.1 to 3,600).
    """

    health_interval_secs: float = 1.0

    def __post_init__(self) -> None:
        check_range("monitoring.health_interval_secs", self.health_interval_secs, 0.1, 3_600, " s")
