"""Settings of the dispatcher inside of a node, and of its rules."""

from __future__ import annotations

from typing import Final
from typing import Literal

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.patterns import check_pattern
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import Settings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import check_choice
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import check_range


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
    slice_us : int, default 250
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
    subscriptions : tuple[str, ...], default ()
        Patterns of topics that begin with ``data.``, such as ``data.*.BINANCE.*``. Data that
        `external_streams` bring on them goes through the data engine, as that of a venue does:
        into the cache, to bars and books, and behind order flow. All other messages of the
        streams are published in the node only, as on the stock bus.
    conflate_quotes : bool, default False
        If behind a backlog only the latest quote of an instrument is kept. It takes the place
        of the quote that it supersedes. Never done for an instrument whose quotes feed a bar
        aggregator, the order emulator, a sandbox execution client, a synthetic instrument, an
        option chain or a handler that belongs to no actor or strategy.
    conflate_above : int, default 1,000
        Messages of market data that must wait before quotes are conflated (1 to 10,000,000).
    """

    slice_us: int = 250
    min_share: float = 0.05
    hard_limit_factor: int = 10
    rules: tuple[FlowRule, ...] = ()
    subscriptions: tuple[str, ...] = ()
    conflate_quotes: bool = False
    conflate_above: int = 1_000

    def __post_init__(self) -> None:
        check_range("dispatch.slice_us", self.slice_us, 50, 100_000, " µs")
        check_range("dispatch.min_share", self.min_share, 0.01, 0.5)
        check_range("dispatch.hard_limit_factor", self.hard_limit_factor, 1, 1_000)
        for pattern in self.subscriptions:
            check_pattern("dispatch.subscriptions", pattern)
            if not pattern.startswith("data."):
                raise ConfigurationError(
                    "dispatch.subscriptions",
                    pattern,
                    "patterns that begin with 'data.'",
                    "The data engine takes market data only; other messages reach subscribers "
                    "without being named here",
                )
        check_range("dispatch.conflate_above", self.conflate_above, 1, 10_000_000, " messages")
