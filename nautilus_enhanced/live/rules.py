"""Which lane a message goes to by the user's rules."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.patterns import compile_pattern
from nautilus_enhanced.live.labels import instrument_of
from nautilus_enhanced.live.labels import kind_of_type
from nautilus_enhanced.live.scheduling import DispatchLane


if TYPE_CHECKING:
    import re
    from collections.abc import Iterable

    from nautilus_trader.model.identifiers import InstrumentId

    from nautilus_enhanced.infrastructure.messagebus.settings.dispatch import FlowRule


MAX_CACHED: Final = 262_144


class _Rule:
    """A rule with its patterns compiled."""

    def __init__(self, rule: FlowRule) -> None:
        self.is_low = rule.priority == "low"
        self._kinds = frozenset(rule.kinds)
        self._instrument = compile_pattern(rule.instrument)
        self._venue = compile_pattern(rule.venue)
        self._strategy = compile_pattern(rule.strategy)

    def matches(self, kind: str, instrument_id: InstrumentId | None, strategy: str) -> bool:
        """Return whether a message of this kind, instrument and strategy is meant."""
        symbol = "" if instrument_id is None else instrument_id.value
        venue = "" if instrument_id is None else instrument_id.venue.value
        return (
            (not self._kinds or kind in self._kinds)
            and _is_match(self._instrument, symbol)
            and _is_match(self._venue, venue)
            and _is_match(self._strategy, strategy)
        )


class FlowRules:
    """
    Choose the lane of each message; answers are remembered for up to 262,144 cases.

    Parameters
    ----------
    rules : iterable of FlowRule
        The rules, in order.
    """

    def __init__(self, rules: Iterable[FlowRule]) -> None:
        rules = tuple(rules)
        self._data = tuple(_Rule(rule) for rule in rules if rule.flow == "data")
        self._orders = tuple(_Rule(rule) for rule in rules if rule.flow == "orders")
        self._cache: dict[Any, DispatchLane] = {}

    @property
    def has_data_rules(self) -> bool:
        """Return whether any rule is about market data."""
        return bool(self._data)

    @property
    def has_order_rules(self) -> bool:
        """Return whether any rule is about order flow."""
        return bool(self._orders)

    def lane_of_data(self, message: Any) -> DispatchLane:
        """Return DATA or LOW for a message of market data."""
        return self.lane_of_kind(type(message), instrument_of(message))

    def lane_of_kind(self, kind: type, instrument_id: InstrumentId | None) -> DispatchLane:
        """Return DATA or LOW for market data of a type and instrument."""
        key = (kind, instrument_id)
        lane = self._cache.get(key)
        if lane is None:
            lane = self._decide(
                self._data, kind_of_type(kind), instrument_id, "", DispatchLane.DATA
            )
            self._remember(key, lane)
        return lane

    def lane_of_order(self, message: Any) -> DispatchLane:
        """
        Return ORDER_FLOW or LOW for a command or an event.

        All messages of one order have its strategy and instrument, so all get the same answer.
        """
        strategy_id = getattr(message, "strategy_id", None)
        if strategy_id is None:
            return DispatchLane.ORDER_FLOW
        instrument_id = getattr(message, "instrument_id", None)
        key = (strategy_id, instrument_id)
        lane = self._cache.get(key)
        if lane is None:
            lane = self._decide(
                self._orders, "", instrument_id, strategy_id.value, DispatchLane.ORDER_FLOW
            )
            self._remember(key, lane)
        return lane

    def _remember(self, key: Any, lane: DispatchLane) -> None:
        if len(self._cache) < MAX_CACHED:
            self._cache[key] = lane

    @staticmethod
    def _decide(
        rules: tuple[_Rule, ...],
        kind: str,
        instrument_id: InstrumentId | None,
        strategy: str,
        usual: DispatchLane,
    ) -> DispatchLane:
        for rule in rules:
            if rule.matches(kind, instrument_id, strategy):
                return DispatchLane.LOW if rule.is_low else usual
        return usual


def _is_match(pattern: re.Pattern[bytes], text: str) -> bool:
    return pattern.fullmatch(text.encode()) is not None
