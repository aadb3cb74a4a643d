"""What becomes of a message of an external stream inside of a node."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from typing import NamedTuple

from nautilus_enhanced.infrastructure.messagebus.errors import RejectedMessageError
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import HEARTBEAT_TOPIC
from nautilus_enhanced.live.admission import SparseLog
from nautilus_enhanced.serialization.decoding import decode_message


if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_enhanced.infrastructure.messagebus.streams.entries import StreamMessage
    from nautilus_enhanced.live.admission import AllowList
    from nautilus_enhanced.live.intake import ExternalIntake


_SAY_EVERY_NS: Final = 10_000_000_000
_ONCE_NS: Final = 2**63


class BusMessage(NamedTuple):
    """Topic and payload, as who replaced the node's own method finds them."""

    topic: str
    payload: bytes


class Publication:
    """
    Publish messages inside of the node, as the stock node does, and swallow nothing.

    Called on the event loop. What it raises tells the subscription that the message was not
    handled.

    Parameters
    ----------
    node : TradingNode
        The node, for its stream processors.
    kernel : NautilusKernel
        The node's kernel.
    is_json : bool
        Whether the node's serializer is for JSON.
    allowed : AllowList
        What is let in.
    intake : ExternalIntake or None
        Takes data for the data engine.
    log : Logger
        The node's logger.
    max_deliveries : int
        How often a message is tried, for the log.
    clock_ns : Callable[[], int], optional
        A monotonic clock, in nanoseconds.

    Attributes
    ----------
    counts : Counter[str]
        The counts, by the names of `IngressStatistics`.
    """

    def __init__(
        self,
        *,
        node: Any,
        kernel: Any,
        is_json: bool,
        allowed: AllowList,
        intake: ExternalIntake | None,
        log: Any,
        max_deliveries: int,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._node = node
        self._msgbus = kernel.msgbus
        self._serializer = kernel.msgbus_serializer
        self._is_json = is_json
        self._allowed = allowed
        self._intake = intake
        self._log = log
        self._max_deliveries = max_deliveries
        self._clock_ns = clock_ns
        self._troubles = SparseLog(_SAY_EVERY_NS)
        self._refusals = SparseLog(_ONCE_NS)
        self.counts: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict(self.counts)})"

    def __call__(self, message: StreamMessage) -> None:
        """
        Handle a message.

        Raises
        ------
        RejectedMessageError
            If it cannot be decoded: no second try will help.
        Exception
            Whatever a stream processor or a subscriber raised.
        """
        topic = message.topic
        if topic == HEARTBEAT_TOPIC:
            # A text and no message: the stock node logs an error for each.
            self.counts["heartbeats"] += 1
            return
        if not self._is_let_in(message):
            return
        try:
            body = self._decode(message.payload)
        except Exception as error:
            raise self._undecodable(message, error) from error
        try:
            self._publish(topic, body)
        except Exception as error:
            self._say_failure(message, error)
            raise

    def _is_let_in(self, message: StreamMessage) -> bool:
        try:
            refusal = self._allowed.refusal(message.topic, message.stream, message.payload)
        except Exception as error:
            raise self._undecodable(message, error) from error
        if refusal is not None:
            self._refuse(refusal, message.stream)
        return refusal is None

    def _publish(self, topic: str, body: Any) -> None:
        if self._intake is not None and self._intake.offer(topic, body):
            self.counts["to_data_engine"] += 1
            return
        for processor in self._node._stream_processors:  # noqa: SLF001 (there is no other way to them)
            processor(body)
        if not self._msgbus.is_streaming_type(type(body)):
            self.counts["not_streaming"] += 1
            return
        self._msgbus.publish(topic, body, external_pub=False)
        self.counts["published"] += 1

    def _decode(self, payload: bytes) -> Any:
        if (payload[:1] == b"{") is self._is_json:
            try:
                return self._serializer.deserialize(payload)
            except TypeError:
                # Times that are written in another way than this node writes them.
                pass
        return decode_message(payload)

    # -- what is said ----------------------------------------------------------------------------

    def _refuse(self, refusal: str, stream: str) -> None:
        self.counts["not_allowed"] += 1
        if self._refusals.count(refusal, self._clock_ns()):
            self._log.warning(
                f"messages with {refusal} are not let in: `external.allow` does not name them "
                f"(the first came from {stream!r}; said once)"
            )

    def _undecodable(self, message: StreamMessage, error: Exception) -> RejectedMessageError:
        self.counts["undecodable"] += 1
        count = self._troubles.count("undecodable", self._clock_ns())
        if count:
            self._log.error(
                f"{_many(count)} cannot be decoded and went to the dead letters, "
                f"{_name(message)}: {type(error).__name__}: {error}"
            )
        return RejectedMessageError(f"cannot be decoded: {type(error).__name__}: {error}")

    def _say_failure(self, message: StreamMessage, error: Exception) -> None:
        self.counts["failed"] += 1
        is_last = message.deliveries >= self._max_deliveries
        count = self._troubles.count("last" if is_last else "failed", self._clock_ns())
        if count:
            what = "went to the dead letters" if is_last else "will be tried again"
            self._log.error(
                f"{_many(count)} could not be published and {what}, {_name(message)}, delivery "
                f"{message.deliveries} of {self._max_deliveries}: {type(error).__name__}: {error}"
            )


class ForeignPublication(Publication):
    """
    Hand messages to a method that somebody put in the place of the node's own.

    Parameters
    ----------
    callback : Callable[[BusMessage], Any]
        The method.
    **kwargs : Any
        The parameters of `Publication`.
    """

    def __init__(self, callback: Callable[[Any], Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._callback = callback

    def __call__(self, message: StreamMessage) -> None:
        """Handle a message; what the method raises is raised."""
        if not self._is_let_in(message):
            return
        plain = BusMessage(message.topic, message.payload)
        try:
            if self._intake is None:
                self._callback(plain)
            else:
                self._intake.take(self._callback, plain)
        except Exception as error:
            self._say_failure(message, error)
            raise
        self.counts["published"] += 1


def _many(count: int) -> str:
    return "a message" if count == 1 else f"{count:,} messages"


def _name(message: StreamMessage) -> str:
    return f"the last one {message.id} of {message.stream!r} on {message.topic!r}"
