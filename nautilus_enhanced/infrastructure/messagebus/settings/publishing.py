"""
The settings of the bus: frozen, pure data, checked where they are made.

This module does not know NautilusTrader, so that a producer or consumer process can use the
bus without it. Names carry their unit. A value outside of what is allowed raises a
`ConfigurationError` that names field, value and range.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Final
from typing import Literal

import msgspec

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.patterns import DEFAULT_TOPIC_PRIORITIES
from nautilus_enhanced.infrastructure.messagebus.patterns import TopicPriorities
from nautilus_enhanced.infrastructure.messagebus.patterns import check_pattern
from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority
from nautilus_enhanced.infrastructure.messagebus.publishing.overflow import OVERFLOW_POLICIES


if TYPE_CHECKING:
    from collections.abc import Iterable


PRIORITY_NAMES: Final = tuple(priority.name.lower() for priority in MessagePriority)

PriorityName = Literal["critical", "high", "normal", "low"]


def check_range(field: str, value: float, low: float, high: float, unit: str = "") -> None:
    """
    Refuse a number outside of ``low`` to ``high``, both included.

    The constructor of a struct does not check types, so this does: where `low` is a whole number,
    the value must be one too.

    Raises
    ------
    ConfigurationError
        If `value` is outside, or no such number.
    """
    kind = int if isinstance(low, int) else int | float
    if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
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
    max_age_ms : int, optional
        Milliseconds after which a message that waits in the journal is not sent any more, but
        counted as expired (1 to 2,592,000,000, which is 30 days). None sends all.
    """

    max_messages: int = 100_000
    max_bytes: int = 64 * 1024 * 1024
    flush_interval_ms: int = 10
    high_water: float = 0.8
    low_water: float = 0.5
    overflow: Literal["drop_oldest", "refuse"] = "drop_oldest"
    max_age_ms: int | None = None

    def __post_init__(self) -> None:
        check_range("max_messages", self.max_messages, 1, 10_000_000, " messages")
        check_range("max_bytes", self.max_bytes, 1024, 16 * 1024**3, " bytes")
        check_range("flush_interval_ms", self.flush_interval_ms, 0, 1_000, " ms, 0 for at once")
        marks = (self.low_water, self.high_water)
        if not all(isinstance(mark, int | float) for mark in marks) or not (
            0.0 < self.low_water < self.high_water <= 1.0
        ):
            raise ConfigurationError(
                "low_water, high_water",
                marks,
                "0 < low_water < high_water <= 1",
            )
        check_choice("overflow", self.overflow, OVERFLOW_POLICIES)
        if self.max_age_ms is not None:
            check_range("max_age_ms", self.max_age_ms, 1, 30 * 24 * 3_600_000, " ms")


class UrgentLaneSettings(LaneSettings, frozen=True, kw_only=True):
    """
    Settings of a lane of order flow, which differ from the others in two defaults.

    So that a lane that is given in part keeps for the rest what order flow needs.

    Parameters
    ----------
    flush_interval_ms : int, default 0
        Messages wake the writer at once.
    overflow : {'drop_oldest', 'refuse'}, default 'refuse'
        A message that finds the lane full is refused: a history without its end, rather than
        one with a hole.
    """

    flush_interval_ms: int = 0
    overflow: Literal["drop_oldest", "refuse"] = "refuse"


class BufferSettings(Settings, frozen=True, kw_only=True):
    """
    Settings of the four lanes.

    Parameters
    ----------
    critical, high : UrgentLaneSettings
        The lanes of order flow: sent at once, and full they refuse, so that what reaches the
        server is never a history with a hole in front of it.
    normal, low : LaneSettings
        The lanes of market data and of everything that can wait: gathered for 10 ms and 100 ms,
        and full they drop their oldest.
    """

    critical: UrgentLaneSettings = msgspec.field(default_factory=UrgentLaneSettings)
    high: UrgentLaneSettings = msgspec.field(default_factory=UrgentLaneSettings)
    normal: LaneSettings = msgspec.field(default_factory=LaneSettings)
    low: LaneSettings = msgspec.field(
        default_factory=lambda: LaneSettings(flush_interval_ms=100),
    )

    def __post_init__(self) -> None:
        for name in ("critical", "high"):
            lane = getattr(self, name)
            if not isinstance(lane, UrgentLaneSettings):
                raise ConfigurationError(
                    f"buffers.{name}",
                    type(lane).__name__,
                    "UrgentLaneSettings",
                    "Its defaults send at once and refuse what finds the lane full; those of "
                    "LaneSettings would gather order flow for 10 ms and drop the oldest of it",
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

    def policy(self) -> TopicPriorities:
        """Return the policy that these settings describe."""
        return TopicPriorities(self.table(), MessagePriority[self.default.upper()])

    def table(self) -> tuple[tuple[str, MessagePriority], ...]:
        """Return all rules in order: the user's, then the default ones."""
        own = tuple((rule.pattern, MessagePriority[rule.priority.upper()]) for rule in self.topics)
        return own + DEFAULT_TOPIC_PRIORITIES


class PublishRule(Settings, frozen=True, kw_only=True):
    """
    Keep back, or send only a sample of, what is published on the topics that match a pattern.

    Order flow, that is topics of priority CRITICAL or HIGH, is never sampled, and kept back only
    by a rule that says `order_flow`: a ``*`` does not reach it.

    Parameters
    ----------
    pattern : str
        The topic pattern, with ``*`` and ``?`` as in NautilusTrader's subscriptions.
    publish : bool, default True
        If messages go out. False keeps them back.
    max_per_second : float, optional
        Messages of each topic that go out in a second at most (0.001 to 1,000). The first goes
        out at once, and the latest of each interval at its end. None sends all.
    order_flow : bool, default False
        If a rule that keeps back holds for order flow too.

    Raises
    ------
    ConfigurationError
        If the pattern is not one, a value is outside of what is allowed, or two contradict.
    """

    pattern: str
    publish: bool = True
    max_per_second: float | None = None
    order_flow: bool = False

    def __post_init__(self) -> None:
        check_pattern("publishing.rules.pattern", self.pattern)
        if self.max_per_second is None:
            return
        check_range("publishing.rules.max_per_second", self.max_per_second, 0.001, 1_000, " /s")
        for name, value in (("publish", True), ("order_flow", False)):
            if getattr(self, name) is not value:
                raise ConfigurationError(
                    f"publishing.rules.{name}",
                    getattr(self, name),
                    f"{value} where `max_per_second` is given",
                    "Order flow is never sampled" if name == "order_flow" else "",
                )

    @property
    def passes_all(self) -> bool:
        """Return whether the rule lets everything out: an exception from a later one."""
        return self.publish and self.max_per_second is None


class PublishingSettings(Settings, frozen=True, kw_only=True):
    """
    Settings of what goes out.

    Parameters
    ----------
    rules : tuple[PublishRule, ...], default ()
        What is kept back or sampled; the first whose pattern matches decides, and what none
        matches goes out.
    """

    rules: tuple[PublishRule, ...] = ()


class WorkerSettings(Settings, frozen=True, kw_only=True):
    """
    Settings of the threads in which consumers call a handler; read by consumers only.

    Parameters
    ----------
    min_workers : int, default 1
        Workers at least (1 to 50).
    max_workers : int, default 4
        Workers at most (`min_workers` to 50).
    scale_up_at : float, default 0.8
        Share of their time that workers are busy from which on there is one more.
    scale_down_at : float, default 0.3
        Share at and below which there is one fewer (less than `scale_up_at`).
    waiting_per_worker : int, default 1,000
        Messages that may wait for each worker (1 to 1,000,000); above that there is one more.
    window_ms : int, default 1,000
        Milliseconds over which the share is measured (10 to 600,000).
    cooldown_ms : int, default 5,000
        Milliseconds between two changes of their number (0 to 3,600,000).
    """

    min_workers: int = 1
    max_workers: int = 4
    scale_up_at: float = 0.8
    scale_down_at: float = 0.3
    waiting_per_worker: int = 1_000
    window_ms: int = 1_000
    cooldown_ms: int = 5_000

    def __post_init__(self) -> None:
        check_range("workers.min_workers", self.min_workers, 1, 50, " workers")
        check_range("workers.max_workers", self.max_workers, self.min_workers, 50, " workers")
        shares = (self.scale_down_at, self.scale_up_at)
        if not all(isinstance(share, int | float) for share in shares) or not (
            0.0 <= self.scale_down_at < self.scale_up_at <= 1.0
        ):
            raise ConfigurationError(
                "workers.scale_down_at, workers.scale_up_at",
                shares,
                "0 <= scale_down_at < scale_up_at <= 1",
            )
        check_range(
            "workers.waiting_per_worker", self.waiting_per_worker, 1, 1_000_000, " messages"
        )
        check_range("workers.window_ms", self.window_ms, 10, 600_000, " ms")
        check_range("workers.cooldown_ms", self.cooldown_ms, 0, 3_600_000, " ms")


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
