"""
Data of external streams that goes through the data engine, by the topics it is subscribed to.

What a stream brings the stock bus hands to subscribers and to nobody else: the cache does not
know it, no bar is made of it, and it overtakes whatever waits. On the topics of
``dispatch.subscriptions`` it takes the way of a venue's data instead.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING
from typing import Any

from nautilus_trader.core.data import Data

from nautilus_enhanced.infrastructure.messagebus.patterns import MAX_CACHED_TOPICS
from nautilus_enhanced.infrastructure.messagebus.patterns import compile_pattern
from nautilus_enhanced.live.scheduling import Carrier


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable

    from nautilus_enhanced.live.data_queue import DataQueue


class ExternalData(Carrier):
    """Data of an external stream and the topic that it came on."""

    __slots__ = ("data", "topic")

    def __init__(self, topic: str, data: Data) -> None:
        self.topic = topic
        self.data = data

    @property
    def carried_type(self) -> str:
        """Return the name of the type of the data."""
        return type(self.data).__name__

    @property
    def ts_init(self) -> int:
        """Return when the data was received by who published it, in UNIX nanoseconds."""
        return int(self.data.ts_init)


class ExternalIntake:
    """
    Take the messages of external streams, from any thread.

    Parameters
    ----------
    patterns : iterable of str
        The topics whose data goes through the data engine.
    queue : DataQueue
        The data engine's queue.
    deserialize : Callable[[bytes], Any]
        Makes an object of a payload.
    mute : Callable[[str | None], None]
        Keeps messages on a topic inside of the node until it is called with None: the data
        engine publishes what it handles, and its origin has published it already.
    report : Callable[[str], None]
        Says in the log what could not be read.
    """

    def __init__(
        self,
        patterns: Iterable[str],
        *,
        queue: DataQueue,
        deserialize: Callable[[bytes], Any],
        mute: Callable[[str | None], None],
        report: Callable[[str], None],
    ) -> None:
        regexes = tuple(map(compile_pattern, patterns))

        @lru_cache(MAX_CACHED_TOPICS)
        def is_subscribed(topic: str) -> bool:
            raw = topic.encode("utf-8", "backslashreplace")
            return any(regex.fullmatch(raw) for regex in regexes)

        self._is_subscribed = is_subscribed
        self._queue = queue
        self._deserialize = deserialize
        self._mute = mute
        self._report = report
        self._routes = queue.side_routes(self._handle)

    def take(self, publish: Callable[[Any], None], message: Any) -> None:
        """
        Queue a message for the data engine, or leave it to `publish`.

        Parameters
        ----------
        publish : Callable[[BusMessage], None]
            What the stock node does with a message.
        message : BusMessage
            Topic and payload, as they were read.
        """
        if not self._is_subscribed(message.topic):
            publish(message)
            return
        try:
            data = self._deserialize(message.payload)
        except Exception as error:  # noqa: BLE001 (whatever another process wrote must not end the reading)
            self._report(f"a message on {message.topic!r} cannot be read: {error}")
            return
        if not self.offer(message.topic, data):
            publish(message)

    def offer(self, topic: str, body: Any) -> bool:
        """
        Queue a message for the data engine if that is subscribed to its topic and it is data.

        Parameters
        ----------
        topic : str
            The topic.
        body : Any
            The message, decoded.

        Returns
        -------
        bool
            Whether it was queued.
        """
        if not isinstance(body, Data) or not self._is_subscribed(topic):
            return False
        route = self._routes[self._queue.lane_of(body)]
        self._queue.enqueue_by(route, ExternalData(topic, body))
        return True

    def _handle(self, external: ExternalData) -> None:
        self._mute(external.topic)
        try:
            self._queue.handle_one(external.data)
        finally:
            self._mute(None)
