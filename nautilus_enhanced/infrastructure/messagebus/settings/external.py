"""Settings of how a node reads external streams."""

from __future__ import annotations

from typing import Literal

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.patterns import check_pattern
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import Settings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import check_choice
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import check_range
from nautilus_enhanced.infrastructure.messagebus.streams.keys import check_name
from nautilus_enhanced.infrastructure.messagebus.streams.settings import SubscriptionSettings
from nautilus_enhanced.infrastructure.messagebus.streams.settings import check_max_age


class StartRule(Settings, frozen=True, kw_only=True):
    """
    Say where reading of the topics that match a pattern begins; the first match decides.

    Parameters
    ----------
    pattern : str
        The topic pattern, with ``*`` and ``?`` as in NautilusTrader's subscriptions.
    start : {'now', 'resume'}
        ``now`` leaves out what was published before the node began to read. ``resume`` goes on
        where the group stopped; a new group begins with the oldest entry that is there.
    """

    pattern: str
    start: Literal["now", "resume"]

    def __post_init__(self) -> None:
        check_pattern("external.start.pattern", self.pattern)
        check_choice("external.start.start", self.start, ("now", "resume"))


class AllowRule(Settings, frozen=True, kw_only=True):
    """
    Let messages into the node.

    Parameters
    ----------
    topic : str, default '*'
        A pattern that the topic must match.
    stream : str, default '*'
        A pattern that the key of the stream must match.
    types : tuple[str, ...], default ()
        Names of types, such as ``OrderFilled``; empty for all.
    """

    topic: str = "*"
    stream: str = "*"
    types: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_pattern("external.allow.topic", self.topic)
        check_pattern("external.allow.stream", self.stream)
        if not isinstance(self.types, list | tuple):
            raise ConfigurationError("external.allow.types", self.types, "a list of names of types")
        for name in self.types:
            if not isinstance(name, str) or not name.isidentifier():
                raise ConfigurationError(
                    "external.allow.types",
                    name,
                    "names of types such as 'OrderFilled'",
                    "Write the name that the payload has as its `type`, without a module",
                )


class ExternalSettings(Settings, frozen=True, kw_only=True):
    """
    Settings of how `external_streams` are read where `ingress` is ``'enhanced'``.

    Parameters
    ----------
    group : str, optional
        The consumer group, which keeps the node's place in the streams (1 to 128 characters).
        None is ``node-`` and the trader ID. Two nodes with the same one would each get a part.
    start : tuple[StartRule, ...], default ()
        Where reading begins, by topic. What no rule matches begins now if it is market data,
        history, snapshots, metrics or health, and is resumed otherwise.
    max_age_ms : int, optional
        Milliseconds after which a message is acknowledged, counted and not delivered (1 to
        2,592,000,000, which is 30 days). None delivers all.
    allow : tuple[AllowRule, ...], default ()
        What is let in: a message that one of the rules matches. Empty lets in everything.
    pause_above, resume_below : int, default 10,000 and 5,000
        Messages that wait in the engines: at the first number nothing more is published until
        there are fewer than at the second (1 to 10,000,000, and the second not above the first).
    max_deliveries : int, default 5
        How often publishing a message is tried before it goes to the dead letters (3 to 1,000).
    retry_min_ms, retry_max_ms : int, default 100 and 5,000
        Bounds of the pause before it is tried again (1 to 600,000).
    max_in_hand : int, default 10,000
        Messages that are read and not yet published, at most (1 to 1,000,000).
    lease_ms : int, default 10,000
        Milliseconds after which a node that is not heard of counts as dead, and the next one with
        its group takes over (300 to 3,600,000).
    scan_interval_ms : int, default 5,000
        Milliseconds between looks for streams that no writer of ours told of (100 to 3,600,000).
    """

    group: str | None = None
    start: tuple[StartRule, ...] = ()
    max_age_ms: int | None = None
    allow: tuple[AllowRule, ...] = ()
    pause_above: int = 10_000
    resume_below: int = 5_000
    max_deliveries: int = 5
    retry_min_ms: int = 100
    retry_max_ms: int = 5_000
    max_in_hand: int = 10_000
    lease_ms: int = 10_000
    scan_interval_ms: int = 5_000

    def __post_init__(self) -> None:
        if self.group is not None:
            check_name("external.group", self.group)
        for name, kind in (("start", StartRule), ("allow", AllowRule)):
            rules = getattr(self, name)
            if not isinstance(rules, list | tuple) or not all(isinstance(r, kind) for r in rules):
                raise ConfigurationError(f"external.{name}", rules, f"a list of {kind.__name__}s")
        try:
            check_max_age(self.max_age_ms)
            self.subscription()
        except ConfigurationError as error:
            raise ConfigurationError(
                f"external.{error.field}", error.value, error.allowed, error.remedy
            ) from None
        check_range("external.pause_above", self.pause_above, 1, 10_000_000, " messages")
        check_range("external.resume_below", self.resume_below, 1, 10_000_000, " messages")
        if self.resume_below > self.pause_above:
            raise ConfigurationError(
                "external.resume_below",
                self.resume_below,
                f"1 to `pause_above`, which is {self.pause_above:,}",
                "Between the two reading stays as it is, so that it does not start and stop with "
                "each message",
            )

    def group_of(self, trader_id: str) -> str:
        """Return the name of the group of a node."""
        return f"node-{trader_id}" if self.group is None else self.group

    def starts(self) -> dict[str, str]:
        """Return where reading begins, as a subscription takes it."""
        table: dict[str, str] = {}
        for rule in self.start:
            table.setdefault(rule.pattern, rule.start)
        return table

    def subscription(self, *, slice_us: int = 2_000) -> SubscriptionSettings:
        """
        Return the settings of the subscription.

        Parameters
        ----------
        slice_us : int, default 2,000
            Microseconds for which messages are published before the event loop gets a turn.
        """
        return SubscriptionSettings(
            max_deliveries=self.max_deliveries,
            retry_min_ms=self.retry_min_ms,
            retry_max_ms=self.retry_max_ms,
            max_in_hand=self.max_in_hand,
            lease_ms=self.lease_ms,
            scan_interval_ms=self.scan_interval_ms,
            run_in="loop",
            slice_us=slice_us,
            sole_consumer=True,
        )
