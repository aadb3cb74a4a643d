"""
Keep only the latest quote of an instrument while market data waits.

A quote that waits is superseded where it stands: the newer one takes its place in the lane. Any
thread may offer quotes and one thread takes them, without a lock: a slot's box is a deque of one,
whose append and pop are single steps, and whoever finds a slot given up takes its quote back.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.publishing.tally import Tally
from nautilus_enhanced.live.scheduling import Carrier


if TYPE_CHECKING:
    from collections.abc import Callable


QUOTE_TYPE: Final = "QuoteTick"


class Slot(Carrier):
    """The place in the lane of an instrument's latest quote."""

    __slots__ = ("_box", "instrument_id")

    def __init__(self, instrument_id: Any, quote: Any) -> None:
        self.instrument_id = instrument_id
        self._box = deque((quote,), maxlen=1)

    @property
    def carried_type(self) -> str:
        """Return the name of the type of quotes."""
        return QUOTE_TYPE

    @property
    def ts_init(self) -> int:
        """Return when the quote that waits was received, 0 if there is none any more."""
        try:
            return int(self._box[0].ts_init)
        except IndexError:
            return 0

    def put(self, quote: Any) -> None:
        """Supersede the quote that waits."""
        self._box.append(quote)

    def take(self) -> Any:
        """Return the quote that waits, or None if another thread was quicker."""
        try:
            return self._box.pop()
        except IndexError:
            return None


class QuoteConflator:
    """
    Hold one slot for each instrument with a quote that waits.

    Parameters
    ----------
    post : Callable[[Slot], None]
        Appends a slot to the lane.
    """

    def __init__(self, post: Callable[[Slot], None]) -> None:
        self._post = post
        self._slots: dict[Any, Slot] = {}
        self._superseded = Tally()

    @property
    def conflated(self) -> int:
        """Return the quotes that were superseded before they were handled."""
        return self._superseded.count

    def offer(self, quote: Any) -> None:
        """Let a quote wait in its instrument's slot, superseding the one that is there."""
        instrument_id = quote.instrument_id
        while quote is not None:
            fresh = Slot(instrument_id, quote)
            slot = self._slots.setdefault(instrument_id, fresh)
            if slot is fresh:
                self._post(slot)
                return
            slot.put(quote)
            if self._slots.get(instrument_id) is slot:
                self._superseded.add(1)
                return
            # The slot was given up meanwhile: take the quote back, unless it was handled yet.
            quote = slot.take()
            if quote is None:
                self._superseded.add(1)

    def seal(self, instrument_id: Any) -> None:
        """
        Let no further quote take the place of the one that waits.

        For a quote that is appended by itself: one that came later must not get in before it.
        """
        self._slots.pop(instrument_id, None)

    def take(self, slot: Slot) -> Any:
        """Give a slot up and return its quote, or None if `offer` took it back."""
        # A sealed slot is not there any more, and in its place may be another one.
        if self._slots.get(slot.instrument_id) is slot:
            self._slots.pop(slot.instrument_id, None)
        quote = slot.take()
        if quote is None:
            # What stood here was superseded by a quote that now waits elsewhere.
            self._superseded.add(1)
        return quote


def feeds_only_strategies(subscriptions: list[Any], is_bystander: Callable[[Any], bool]) -> bool:
    """
    Return whether all subscribers of an instrument's quotes can do without superseded ones.

    Parameters
    ----------
    subscriptions : list of Subscription
        The subscriptions that match the topic of the quotes.
    is_bystander : Callable[[Any], bool]
        Tells whether the object that a handler belongs to only wants the latest quote.
    """
    return all(
        is_bystander(getattr(subscription.handler, "__self__", None))
        for subscription in subscriptions
    )
