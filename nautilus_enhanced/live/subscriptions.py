"""Notice that the subscriptions of a bus have changed, without going through all of them."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING
from typing import Any


if TYPE_CHECKING:
    from collections.abc import Callable


class SubscriptionWatch:
    """
    Give a mark that is another one after each change of a bus's subscriptions.

    A list of them costs time for each of them, which is too much to ask for behind every quote.
    The bus keeps them in a dict in the order in which they were made, and does not show it; so
    it is looked for among what the bus refers to, and known by what is in it. Its length and
    last entry tell: whatever is added and stays is the last one, and if nothing was added, the
    length tells what was removed.

    Parameters
    ----------
    msgbus : MessageBus
        The bus.
    """

    __slots__ = ("_held", "_is_known", "_msgbus", "_seen")

    def __init__(self, msgbus: Any) -> None:
        self._msgbus = msgbus
        self._held: dict[Any, Any] = {}
        self._is_known = False
        # The length, the last entry, and the mark given for them.
        self._seen: tuple[int, Any, object] = (-1, None, object())

    def mark(self) -> object | None:
        """Return the mark, or None if it cannot be told whether anything has changed."""
        if not self._is_known and not self._find():
            return None
        try:
            count, last = len(self._held), next(reversed(self._held), None)
        except RuntimeError:  # just now somebody subscribes, on the thread of the bus
            return None
        seen_count, seen_last, mark = self._seen
        # The same and not an equal one: that may have been removed and made again.
        if count != seen_count or last is not seen_last:
            mark = object()
            self._seen = count, last, mark
        return mark

    def _find(self) -> bool:
        subscriptions = self._msgbus.subscriptions()
        if subscriptions:  # an empty dict could be any
            for held in gc.get_referents(self._msgbus):
                if type(held) is dict and list(held) == subscriptions:
                    self._held = held
                    self._is_known = True
                    break
        return self._is_known


class RememberedAnswers:
    """
    Remember what was answered about each instrument, as long as the subscriptions are the same.

    Parameters
    ----------
    ask : Callable[[Any], bool]
        Answers for an instrument.
    mark : Callable[[], object]
        Gives a value that is another one after each change, or None if that cannot be told.
    """

    __slots__ = ("_answers", "_ask", "_mark")

    def __init__(self, ask: Callable[[Any], bool], mark: Callable[[], object]) -> None:
        self._ask = ask
        self._mark = mark
        self._answers: dict[Any, tuple[object, bool]] = {}

    def about(self, instrument_id: Any) -> bool:
        """Return the answer for an instrument, from any thread."""
        # Before it is asked: what changes meanwhile makes another mark.
        mark = self._mark()
        known = self._answers.get(instrument_id)
        if known is not None and mark is not None and known[0] is mark:
            return known[1]
        answer = self._ask(instrument_id)
        self._answers[instrument_id] = mark, answer
        return answer
