"""What a node's ``MessageBus`` publishes to."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from typing import Any
from typing import Final


if TYPE_CHECKING:
    from collections.abc import Awaitable
    from collections.abc import Callable

    from nautilus_enhanced.infrastructure.messagebus.client import BufferedMessageBusClient
    from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthReport
    from nautilus_enhanced.infrastructure.messagebus.monitoring.statistics import ClientStatistics
    from nautilus_enhanced.infrastructure.messagebus.streams.manager.trimmer import StreamTrimmer
    from nautilus_enhanced.live.ingress import NodeIngress
    from nautilus_enhanced.live.intake import ExternalIntake


# What it waits for is interrupted: it is a matter of milliseconds.
_TRIMMER_STOP_S: Final = 1.0


class IdleBacking:
    """
    Stand in where a node has external streams and no server.

    Stock fails with an AttributeError then, and takes the whole run with it.

    Parameters
    ----------
    on_stream : Callable[[], None]
        Called when the node asks for its streams; says in the log that there are none.
    """

    def __init__(self, on_stream: Callable[[], None]) -> None:
        self._on_stream = on_stream
        self._closed = False

    def publish(self, topic: str, payload: bytes) -> None:
        """Take nothing: nothing is published to."""

    def is_closed(self) -> bool:
        """Return True, so that the bus does not serialize for nobody."""
        return True

    def close(self) -> None:
        """Do nothing."""

    async def stream(self, callback: Callable[[Any], None]) -> None:
        """Return at once: there is nothing to read, and the node does not wait for this."""
        self._on_stream()


class ReadingBacking:
    """
    Have external streams read by ours where the publisher is the stock one.

    Parameters
    ----------
    backing : Any
        The stock backing; None where the kernel made none.
    ingress : NodeIngress
        What reads the streams.
    """

    def __init__(self, backing: Any, ingress: NodeIngress) -> None:
        self._backing = backing
        self.ingress = ingress

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._backing!r}, {self.ingress!r})"

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish by the stock backing."""
        if self._backing is not None:
            self._backing.publish(topic, payload)

    def is_closed(self) -> bool:
        """Return whether the stock backing is closed."""
        return True if self._backing is None else bool(self._backing.is_closed())

    def close(self) -> None:
        """Hand back what is in hand, and close the stock backing."""
        self.ingress.close()
        if self._backing is not None:
            self._backing.close()

    def stream(self, callback: Callable[[Any], None]) -> Awaitable[None]:
        """Hand each message of the external streams to the node, until cancelled."""
        return self.ingress.stream(callback)


class EnhancedMessageBusBacking:
    """
    Publish what the node's bus publishes, and have its external streams read.

    Parameters
    ----------
    client : BufferedMessageBusClient
        The publisher, started.
    make_reader : Callable[[], Any]
        Makes the stock backing, which reads the external streams where there is no `ingress`.
    on_close : Callable[[ClientStatistics], None]
        Called once, after the last message was sent or given up.
    """

    def __init__(
        self,
        client: BufferedMessageBusClient,
        make_reader: Callable[[], Any],
        on_close: Callable[[ClientStatistics], None],
    ) -> None:
        self.client = client
        self._make_reader = make_reader
        self._on_close = on_close
        self._reader: Any = None
        self._closed = False
        self._muted: str | None = None
        self.intake: ExternalIntake | None = None
        self.trimmer: StreamTrimmer | None = None
        self.ingress: NodeIngress | None = None
        # The bus calls `publish` for every message: a bound method saves it a call.
        self._offer = client.offer

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.client!r})"

    def publish(self, topic: str, payload: bytes) -> None:
        """Buffer a serialized message; never blocks, never raises, counts what it refuses."""
        if topic != self._muted:
            self._offer(topic, payload)

    def is_closed(self) -> bool:
        """Return whether `close` was called; an outage does not close."""
        return self._closed

    def close(self) -> None:
        """Send what is buffered, within ``streams.close_timeout_ms``, and end."""
        if self._closed:
            return
        self._closed = True
        if self._reader is not None:
            self._reader.close()
        if self.ingress is not None:
            self.ingress.close()
        if self.trimmer is not None:
            self.trimmer.stop(_TRIMMER_STOP_S)
        self.client.stop()
        self._on_close(self.client.statistics())

    def stream(self, callback: Callable[[Any], None]) -> Awaitable[None]:
        """
        Hand each message of the external streams to `callback`, until cancelled.

        It is the reader's own future, as on the stock bus: a node that ends cancels it and gives
        a task no more time to notice.
        """
        if self.ingress is not None:
            return self.ingress.stream(callback)
        self._reader = self._make_reader()
        if self.intake is not None:
            callback = partial(self.intake.take, callback)
        reading: Awaitable[None] = self._reader.stream(callback)
        return reading

    def mute(self, topic: str | None) -> None:
        """Keep messages on a topic inside of the node, until called with None."""
        self._muted = topic

    def statistics(self) -> ClientStatistics:
        """Return the publisher's figures."""
        return self.client.statistics()

    def health(self) -> HealthReport:
        """Return how the publisher is."""
        return self.client.health()
