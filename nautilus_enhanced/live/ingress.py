"""
Reading of a node's external streams by our own consumers.

A subscription reads in threads of its own and calls `Publication` on the node's event loop, while
the trader runs and the engines are not behind.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

import msgspec

from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthFinding
from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthReport
from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthState
from nautilus_enhanced.infrastructure.messagebus.monitoring.statistics import Statistics
from nautilus_enhanced.infrastructure.messagebus.settings.dispatch import DispatchSettings
from nautilus_enhanced.infrastructure.messagebus.streams.client import StreamClient
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.choosing import KeySelection
from nautilus_enhanced.infrastructure.messagebus.streams.statistics import SubscriptionStatistics
from nautilus_enhanced.live.admission import AllowList
from nautilus_enhanced.live.admission import is_to_pause
from nautilus_enhanced.live.publication import ForeignPublication
from nautilus_enhanced.live.publication import Publication


if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from nautilus_enhanced.config import EnhancedMessageBusConfig
    from nautilus_enhanced.infrastructure.messagebus.publishing.wire import StreamNaming
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.subscription import (
        Subscription,
    )
    from nautilus_enhanced.infrastructure.messagebus.streams.entries import StreamMessage
    from nautilus_enhanced.live.intake import ExternalIntake


# How often to look whether the trader runs, and how often while the engines are behind.
_LOOK_S: Final = 0.05
_SOON_S: Final = 0.002
# After how many messages the backlog is looked at.
_WEIGH_EVERY: Final = 32
_CLOSE_S: Final = 5.0


class IngressStatistics(Statistics, frozen=True, kw_only=True):
    """
    Figures of a node's external streams.

    Attributes
    ----------
    group : str
        The consumer group.
    is_reading : bool
        Whether streams are read: only while the trader runs.
    is_paused : bool
        Whether nothing is published now, since the engines are behind.
    pauses : int
        How often that was so.
    published : int
        Messages that were published inside of the node.
    to_data_engine : int
        Messages that went to the data engine, by ``dispatch.subscriptions``.
    not_allowed : int
        Messages that no rule of ``external.allow`` lets in.
    not_streaming : int
        Messages of types that are not registered for streaming: as on the stock bus only stream
        processors get them.
    heartbeats : int
        Heartbeats of other nodes, which are not published.
    undecodable : int
        Messages that went to the dead letters since nothing could be made of them.
    failed : int
        Tries to publish that raised.
    subscription : SubscriptionStatistics or None
        The figures of the subscription, the last one if it is over; None before the first.
    """

    group: str
    is_reading: bool
    is_paused: bool
    pauses: int
    published: int
    to_data_engine: int
    not_allowed: int
    not_streaming: int
    heartbeats: int
    undecodable: int
    failed: int
    subscription: SubscriptionStatistics | None


class NodeIngress:
    """
    Read the external streams of a node, while its trader runs.

    Everything but `close`, `statistics` and `health` is called on the node's event loop.

    Parameters
    ----------
    kernel : NautilusKernel
        The node's kernel.
    settings : EnhancedMessageBusConfig
        The bus configuration.
    url : str
        The URL of the server.
    naming : StreamNaming
        How the node's own streams are named, which are not read.
    backlog : Callable[[], int]
        Returns the messages that wait in the engines.
    log : Logger
        The node's logger.
    """

    def __init__(
        self,
        kernel: Any,
        settings: EnhancedMessageBusConfig,
        *,
        url: str,
        naming: StreamNaming,
        backlog: Callable[[], int],
        log: Any,
    ) -> None:
        self._kernel = kernel
        self._settings = settings
        self._external = settings.external
        self._backlog = backlog
        self._log = log
        self.group = self._external.group_of(naming.trader_id)
        self._own = own_streams(naming)
        chooser = KeySelection(self._own).chooser()
        named = tuple(dict.fromkeys(settings.external_streams or ()))
        # A pattern may match some of them, and is read for the rest.
        self._named_own = tuple(key for key in named if chooser.place_of(key.encode()) is not None)
        self._streams = tuple(key for key in named if key not in self._named_own)
        self._client = StreamClient(url, connection=settings.connection_settings)
        self.intake: ExternalIntake | None = None
        self._publication: Publication | None = None
        self._subscription: Subscription | None = None
        self._closing: threading.Thread | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_leaving = False
        self._is_over = False
        self._is_paused = False
        self._pauses = 0
        self._until_weighed = _WEIGH_EVERY

    def __repr__(self) -> str:
        return f"{type(self).__name__}(group={self.group!r}, {self._subscription!r})"

    # -- life ------------------------------------------------------------------------------------

    def stream(self, callback: Callable[[Any], None]) -> asyncio.Future[None]:
        """
        Read from now on, as far as the trader runs, until the future is cancelled.

        It is a future and no task: a node that ends cancels it and gives a task no more time to
        notice.

        Parameters
        ----------
        callback : Callable[[BusMessage], None]
            The node's method for messages of the streams.
        """
        future: asyncio.Future[None] = self._kernel.loop.create_future()
        future.add_done_callback(lambda _: self._end())
        self._publication = self._make_publication(callback)
        self._is_over = False
        self._say_what_is_left_out()
        self._look()
        return future

    def let_go(self) -> None:
        """
        Publish no more, and hand back what is in hand, without waiting: the trader is to stop.

        Reading begins again when it has stopped and runs again.
        """
        self._is_leaving = True
        self._hand_back()

    def _hand_back(self) -> None:
        self._is_paused = False
        subscription = self._subscription
        if subscription is not None and self._closing is None:
            subscription.pause()
            self._closing = threading.Thread(
                target=subscription.stop, args=(_CLOSE_S,), name="nt-enhanced-leaving", daemon=True
            )
            self._closing.start()

    def close(self, timeout_s: float = _CLOSE_S) -> None:
        """Let go, and wait until the server was told; calling it twice is harmless."""
        self._end()
        if self._closing is not None:
            self._closing.join(timeout_s)

    def _end(self) -> None:
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.let_go()

    def _look(self) -> None:
        """Begin or end reading as the trader does, and see whether the engines have caught up."""
        self._timer = None
        if self._is_over or self._kernel.trader.is_disposed or not self._streams:
            return
        if not self._kernel.trader.is_running:
            self._hand_back()
            self._is_leaving = False
        elif not self._is_leaving:
            if self._subscription is None or self._is_closed():
                self._subscribe()
            self._weigh()
        self._timer = self._kernel.loop.call_later(
            _SOON_S if self._is_paused else _LOOK_S, self._look
        )

    def _is_closed(self) -> bool:
        """Return whether the last subscription has been closed, and is not being closed."""
        return self._closing is not None and not self._closing.is_alive()

    def _subscribe(self) -> None:
        dispatch = self._settings.dispatch or DispatchSettings()
        external = self._external
        self._closing = None
        self._subscription = self._client.subscribe(
            "*",
            self._handle,
            group=self.group,
            start=external.starts(),
            max_age_ms=external.max_age_ms,
            streams=self._streams,
            excluded=self._own,
            settings=external.subscription(slice_us=dispatch.slice_us),
        )

    # -- messages --------------------------------------------------------------------------------

    def _handle(self, message: StreamMessage) -> None:
        assert self._publication is not None  # noqa: S101 (made before anything is read)
        if not self._kernel.trader.is_running:
            # Whoever stopped it did so without the kernel. It comes again, to the next process.
            self._hand_back()
            raise TraderStoppedError("the trader has stopped")
        self._publication(message)
        self._until_weighed -= 1
        if self._until_weighed <= 0:
            self._weigh()

    def _weigh(self) -> None:
        """Pause while the engines are behind."""
        self._until_weighed = _WEIGH_EVERY
        external, subscription = self._external, self._subscription
        is_paused = is_to_pause(
            self._backlog(),
            is_paused=self._is_paused,
            pause_above=external.pause_above,
            resume_below=external.resume_below,
        )
        if is_paused is self._is_paused or subscription is None or self._closing is not None:
            return
        self._is_paused = is_paused
        if is_paused:
            self._pauses += 1
            subscription.pause()
            self._look_soon()
        else:
            subscription.resume()

    def _look_soon(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = self._kernel.loop.call_later(_SOON_S, self._look)

    def _make_publication(self, callback: Callable[[Any], None]) -> Publication:
        node = getattr(callback, "__self__", None)
        parts: dict[str, Any] = {
            "node": node,
            "kernel": self._kernel,
            "is_json": self._settings.encoding.lower() == "json",
            "allowed": AllowList(self._external.allow),
            "intake": self.intake,
            "log": self._log,
            "max_deliveries": self._external.max_deliveries,
        }
        if is_stock_callback(callback):
            return Publication(**parts)
        return ForeignPublication(callback, **parts)

    def _say_what_is_left_out(self) -> None:
        for name in self._named_own:
            self._log.warning(
                f"external stream {name!r} is this node's own and is not read: it would get its "
                "own messages once more"
            )

    # -- figures ---------------------------------------------------------------------------------

    def statistics(self) -> IngressStatistics:
        """Return the figures."""
        publication, subscription = self._publication, self._subscription
        counts = {} if publication is None else dict(publication.counts)
        return IngressStatistics(
            group=self.group,
            is_reading=subscription is not None and self._closing is None,
            is_paused=self._is_paused,
            pauses=self._pauses,
            subscription=None if subscription is None else subscription.statistics(),
            **{name: counts.get(name, 0) for name in _COUNTS},
        )

    def health(self) -> HealthReport:
        """Return how reading is, why, and what to do about it."""
        findings: list[HealthFinding] = []
        subscription = self._subscription
        if subscription is not None and self._closing is None:
            findings.extend(subscription.health().findings)
        if self._is_paused:
            findings.append(
                HealthFinding(
                    state=HealthState.DEGRADED,
                    reason="external streams wait until the engines have caught up",
                    remedy="make handlers faster, read less, or raise `external.pause_above`",
                )
            )
        return HealthReport(component="ingress", findings=tuple(findings))


_COUNTS: Final = (
    "published",
    "to_data_engine",
    "not_allowed",
    "not_streaming",
    "heartbeats",
    "undecodable",
    "failed",
)


class TraderStoppedError(Exception):
    """The trader does not run: what was to be published is handed back."""


def is_stock_callback(callback: Any) -> bool:
    """Return whether a node's method for messages of streams is NautilusTrader's own."""
    from nautilus_trader.live.node import TradingNode  # noqa: PLC0415 (it imports the kernel)

    function = getattr(callback, "__func__", None)
    return function is not None and function is TradingNode.publish_bus_message


def own_streams(naming: StreamNaming) -> tuple[str, str]:
    """
    Return the patterns of the streams that a node with this naming writes to.

    Those of earlier processes of the same trader are its own too. Where neither trader nor
    instance are in the name, streams are shared with others, whose messages cannot be told apart.
    """
    base = msgspec.structs.replace(
        naming,
        stream_per_topic=False,
        instance_id="*" if naming.use_trader_id else naming.instance_id,
    ).key("")
    return base, f"{base}:*"
