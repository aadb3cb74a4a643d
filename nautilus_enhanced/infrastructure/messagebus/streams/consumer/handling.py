"""What happens to one delivery: age, decoding, and what follows from the handler's outcome."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.publishing.wire import parse_entry_id
from nautilus_enhanced.infrastructure.messagebus.streams.entries import StreamMessage
from nautilus_enhanced.infrastructure.messagebus.streams.letters import DeadLetter


if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_enhanced.infrastructure.messagebus.contracts import Clock
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.acknowledger import Settling
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.book import Delivery
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.lease import Lease
    from nautilus_enhanced.infrastructure.messagebus.streams.statistics import SubscriptionFigures


logger = logging.getLogger(__name__)

_NS_OF_MS: Final = 1_000_000


class Handling:
    """
    Make messages of deliveries, and settle them.

    Parameters
    ----------
    decode : Callable[[bytes], Any] or None
        Makes the body of a payload; None leaves it as it is.
    max_age_ms : int or None
        Milliseconds after which a message is not delivered any more.
    group, consumer : str or None
        The group and the consumer's name in it.
    lease : Lease
        Knows the server's time: a clock that steps here makes nothing old.
    clock : Clock
        The clock.
    figures : SubscriptionFigures
        The figures.
    settling : Settling
        Takes what needs no handler any more.
    """

    def __init__(
        self,
        *,
        decode: Callable[[bytes], Any] | None,
        max_age_ms: int | None,
        group: str | None,
        consumer: str | None,
        lease: Lease,
        clock: Clock,
        figures: SubscriptionFigures,
        settling: Settling,
    ) -> None:
        self._decode = decode
        self._max_age_ms = max_age_ms
        self._group = group or ""
        self._consumer = consumer or ""
        self._lease = lease
        self._clock = clock
        self._figures = figures
        self._settling = settling

    def __repr__(self) -> str:
        return f"{type(self).__name__}(group={self._group!r})"

    def message_of(self, delivery: Delivery, now_ns: int) -> StreamMessage | None:
        """
        Return the message for the handler; None if the delivery needs none, and is settled.

        Parameters
        ----------
        delivery : Delivery
            The delivery.
        now_ns : int
            The time by the monotonic clock.
        """
        payload = delivery.payload
        if self._max_age_ms is not None and self._is_expired(delivery, now_ns):
            self._figures.counts["expired"] += 1
            self._settle(delivery)
            return None
        body: Any = payload
        if self._decode is not None:
            try:
                body = self._decode(payload)
            except Exception as error:  # noqa: BLE001 (another process may have written anything)
                self._figures.counts["undecodable"] += 1
                self.bury(delivery, error)
                return None
        delivery.attempts += 1
        return StreamMessage(
            delivery.topic,
            payload,
            delivery.source.name,
            delivery.raw_id,
            delivery.fields,
            body,
            delivery.attempts,
        )

    def handled(self, delivery: Delivery) -> None:
        """Note that the handler returned."""
        self._figures.counts["handled"] += 1
        self._settle(delivery)

    def failed(self, delivery: Delivery, error: BaseException) -> None:
        """Note that the handler raised."""
        self._figures.counts["failed"] += 1
        self._figures.last_failure = f"{delivery.topic}: {type(error).__name__}: {error}"

    def bury(self, delivery: Delivery, error: BaseException) -> None:
        """Put a delivery among the dead letters, with what its last try ended with."""
        logger.error(
            "a message on %r (%s of %s) could not be handled after %d deliveries: %s: %s",
            delivery.topic,
            delivery.raw_id.decode(),
            delivery.source.name,
            delivery.attempts,
            type(error).__name__,
            error,
        )
        message = StreamMessage(
            delivery.topic,
            delivery.payload,
            delivery.source.name,
            delivery.raw_id,
            delivery.fields,
        )
        letter = DeadLetter(
            topic=message.topic,
            payload=message.payload,
            type=message.type,
            encoding=message.encoding,
            stream=message.stream,
            entry_id=parse_entry_id(message.raw_id),
            group=self._group,
            consumer=self._consumer,
            error=str(error),
            error_type=type(error).__name__,
            deliveries=max(1, delivery.attempts),
            failed_at=self._clock.time_ns(),
        )
        self._settling.bury(delivery.source, delivery.raw_id, letter)

    def give_back(self, delivery: Delivery) -> None:
        """Leave a delivery to the consumer that is to have its stream."""
        self._settling.give_back(delivery.source, delivery.raw_id, delivery.attempts)

    def _is_expired(self, delivery: Delivery, now_ns: int) -> bool:
        offset_ms = self._lease.offset_ms
        if offset_ms is None or self._max_age_ms is None:
            # Before the server said what time it is: rather late than never.
            return False
        return now_ns // _NS_OF_MS + offset_ms - delivery.published_ms > self._max_age_ms

    def _settle(self, delivery: Delivery) -> None:
        self._settling.settle(delivery.source, (delivery.raw_id,))
