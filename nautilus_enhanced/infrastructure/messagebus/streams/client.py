"""The client of the stream side: subscriptions of a process, on one server."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.clock import SystemClock
from nautilus_enhanced.infrastructure.messagebus.connection.connector import Connector
from nautilus_enhanced.infrastructure.messagebus.connection.urls import redact_url
from nautilus_enhanced.infrastructure.messagebus.errors import ClientClosedError
from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import StreamNaming
from nautilus_enhanced.infrastructure.messagebus.settings.connection import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.choosing import KeySelection
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.choosing import TopicSelection
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.subscription import (
    DEFAULT_CLOSE_S,
)
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.subscription import Subscription
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.subscription import make_backoff
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.subscription import (
    runs_in_threads,
)
from nautilus_enhanced.infrastructure.messagebus.streams.decoding import decoder_of
from nautilus_enhanced.infrastructure.messagebus.streams.requests.envelope import decode_envelope
from nautilus_enhanced.infrastructure.messagebus.streams.requests.envelope import request_key
from nautilus_enhanced.infrastructure.messagebus.streams.requests.requesting import Requester
from nautilus_enhanced.infrastructure.messagebus.streams.requests.requesting import (
    make_requester_name,
)
from nautilus_enhanced.infrastructure.messagebus.streams.requests.responding import AnswerStore
from nautilus_enhanced.infrastructure.messagebus.streams.requests.responding import Responder
from nautilus_enhanced.infrastructure.messagebus.streams.requests.sender import Sender
from nautilus_enhanced.infrastructure.messagebus.streams.seen import DEFAULT_MAX_IDS
from nautilus_enhanced.infrastructure.messagebus.streams.seen import SeenIds
from nautilus_enhanced.infrastructure.messagebus.streams.seen import entry_of
from nautilus_enhanced.infrastructure.messagebus.streams.seen import once
from nautilus_enhanced.infrastructure.messagebus.streams.settings import SubscriptionSettings
from nautilus_enhanced.infrastructure.messagebus.streams.statistics import RequestStatistics
from nautilus_enhanced.infrastructure.messagebus.streams.statistics import SubscriptionFigures


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable
    from collections.abc import Mapping
    from collections.abc import Sequence
    from datetime import datetime
    from types import TracebackType
    from typing import Self

    from redis import CredentialProvider

    from nautilus_enhanced.infrastructure.messagebus.contracts import Clock
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.choosing import Selection
    from nautilus_enhanced.infrastructure.messagebus.streams.entries import StreamMessage
    from nautilus_enhanced.infrastructure.messagebus.streams.requests.responding import Request


ALL_TRADERS: Final = StreamNaming(trader_id="*")
# Subscriptions that end at the same time.
_ENDING_THREADS: Final = 16
# How long closing gives to replies that are not sent yet, at least.
_SENDING_S: Final = 0.5


class StreamClient:
    """
    Subscribe to what nodes publish, from any Python process, without NautilusTrader.

    Reads what enhanced nodes write, and stock ones of 1.x and 2.x. Every method may be called from
    any thread. A process that was forked makes a client of its own.

    Parameters
    ----------
    url : str
        The server's URL, such as ``redis://localhost:6379/0``.
    naming : StreamNaming, optional
        Whose streams are read, and how they are named; by default those of all traders, named as
        the stock bus does.
    connection : ConnectionSettings, optional
        How to reach the server, and time limits; its `url` is not used.
    credential_provider : redis.CredentialProvider, optional
        Asked for user and password at every connect.
    clock : Clock, optional
        The clock.

    Raises
    ------
    ConfigurationError
        If the URL or a setting is outside of what is allowed.
    """

    def __init__(
        self,
        url: str,
        *,
        naming: StreamNaming = ALL_TRADERS,
        connection: ConnectionSettings | None = None,
        credential_provider: CredentialProvider | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._url = url
        self._naming = naming
        self._settings = connection or ConnectionSettings()
        self._connector = Connector(url, self._settings, credential_provider)
        self._clock = clock or SystemClock()
        self._name = make_requester_name()
        self._sender: Sender | None = None
        self._seen: list[SeenIds] = []
        self._requester: Requester | None = None
        self._responders: list[Responder] = []
        self._subscriptions: list[Subscription] = []
        self._lock = threading.Lock()
        self._closed = False

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({redact_url(self._url)}, "
            f"{len(self._subscriptions)} subscriptions)"
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """Return the subscriptions that are not closed."""
        return tuple(self._subscriptions)

    def subscribe(
        self,
        patterns: str | Iterable[str],
        handler: Callable[[StreamMessage], Any],
        *,
        group: str | None = None,
        consumer: str | None = None,
        start: str | datetime | Mapping[str, str | datetime] | None = None,
        max_age_ms: int | None = None,
        decode: Any = None,
        streams: str | Iterable[str] | None = None,
        excluded: Iterable[str] = (),
        settings: SubscriptionSettings | None = None,
    ) -> Subscription:
        """
        Have a handler called with each message on topics that match.

        It returns at once: `Subscription.ready` tells when what is published next is sure to be
        seen. The handler is called on the event loop that runs now, or in a thread if none does.

        Parameters
        ----------
        patterns : str or iterable of str
            Topic patterns with ``*`` and ``?``, such as ``'events.order.*'``.
        handler : Callable[[StreamMessage], Any]
            A function, or a coroutine function.
        group : str, optional
            The consumer group. Its consumers, in any number of processes, share the messages; each
            is acknowledged when its handler has returned, and until then comes again. Without
            one, every subscription gets everything, and nothing twice.
        consumer : str, optional
            The name of this consumer, by default one that no other process has.
        start : str, datetime, or mapping of str to these, optional
            Where reading begins, for all topics or by patterns: ``'now'``, ``'beginning'``,
            ``'resume'``, behind an entry ID, or at a time. By default market data, history,
            snapshots, metrics and health begin now, and everything else is resumed where the
            group stopped.
        max_age_ms : int, optional
            Milliseconds after which a message is acknowledged, counted and not delivered.
        decode : {'raw', 'plain', 'nautilus'}, type, or Callable[[bytes], Any], optional
            What `StreamMessage.body` is: see `decoder_of`.
        streams : str or iterable of str, optional
            Keys of streams, or patterns of keys, instead of those of the client's `naming`.
        excluded : iterable of str, default ()
            Keys, or patterns of keys, that are not read although `streams` matches them.
        settings : SubscriptionSettings, optional
            The rest.

        Raises
        ------
        ConfigurationError
            If a parameter is outside of what is allowed, two contradict, or a subscription of this
            client has the group already.
        ClientClosedError
            If the client is closed.
        """
        chosen = (patterns,) if isinstance(patterns, str) else tuple(patterns)
        if not chosen:
            raise ConfigurationError("patterns", chosen, "one topic pattern or more")
        selection: Selection = TopicSelection(self._naming, chosen)
        if streams is not None:
            keys = (streams,) if isinstance(streams, str) else tuple(streams)
            selection = KeySelection(keys, chosen, tuple(excluded))
        return self._open(
            selection,
            handler,
            group=group,
            consumer=consumer,
            start=start,
            max_age_ms=max_age_ms,
            decode=decoder_of(decode),
            settings=settings,
        )

    def _open(
        self,
        selection: Selection,
        handler: Callable[[StreamMessage], Any],
        *,
        group: str | None = None,
        **options: Any,
    ) -> Subscription:
        """Make a subscription and start it."""
        with self._lock:
            self._require_open()
            if group is not None and any(one.group == group for one in self._subscriptions):
                raise ConfigurationError(
                    "group",
                    group,
                    "a group of its own for each subscription of a process",
                    "Two with the same one would each get part of the messages",
                )
            subscription = Subscription(
                self._connector.connect,
                selection,
                handler,
                connection=self._settings,
                group=group,
                clock=self._clock,
                on_closed=self._forget,
                **options,
            )
            self._subscriptions.append(subscription)
        subscription.start()
        return subscription

    async def request(
        self,
        topic: str,
        message: Any,
        *,
        timeout: float = 5.0,  # noqa: ASYNC109 (each of several tries has it)
        retries: int = 0,
        priority: MessagePriority = MessagePriority.HIGH,
        destinations: Iterable[str] = (),
        decode: Any = None,
    ) -> Any:
        """
        Ask whoever responds to a topic, and return the reply.

        Parameters
        ----------
        topic : str
            The topic.
        message : Any
            Bytes, or an object that msgspec can encode, which becomes msgpack.
        timeout : float, default 5.0
            Seconds to wait for the reply, at each try.
        retries : int, default 0
            How often it is sent again when there was none. It is answered once all the same.
        priority : MessagePriority, default HIGH
            What the envelope says to who responds.
        destinations : iterable of str, default ()
            The groups that are to respond; all that respond to the topic if there is none.
        decode : {'raw', 'plain', 'nautilus'}, type, or Callable[[bytes], Any], optional
            What is returned: see `decoder_of`. The bytes of the reply without it.

        Raises
        ------
        RequestTimeoutError
            If there was no reply in time, to any of the tries.
        RequestFailedError
            If the handler raised, or the reply cannot be decoded.
        BufferFullError
            If 10,000 requests wait already.
        ClientClosedError
            If the client is closed.
        ConfigurationError
            If a parameter is outside of what is allowed.
        """
        decoder = decoder_of(decode)
        requester = self._start_requester()
        return await requester.request(
            topic,
            message,
            timeout_s=timeout,
            retries=retries,
            priority=priority,
            destinations=destinations,
            decode=decoder,
        )

    def respond(
        self,
        patterns: str | Iterable[str],
        handler: Callable[[Request], Any],
        *,
        group: str,
        decode: Any = None,
        settings: SubscriptionSettings | None = None,
    ) -> Subscription:
        """
        Answer requests on topics that match.

        The processes that respond with the same group share the requests. A request that is sent
        again, because its reply came late or not at all, gets the same reply and does not reach
        the handler again while it is remembered: for as long as the request itself lives.

        Parameters
        ----------
        patterns : str or iterable of str
            Topic patterns with ``*`` and ``?``.
        handler : Callable[[Request], Any]
            A function, or a coroutine function, that returns bytes or what msgspec can encode.
            What it raises the requester gets as a `RequestFailedError`.
        group : str
            The group that responds.
        decode : {'raw', 'plain', 'nautilus'}, type, or Callable[[bytes], Any], optional
            What `Request.body` is: see `decoder_of`.
        settings : SubscriptionSettings, optional
            The rest. Requests on one topic are answered one after the other, unless `order` is
            ``'none'``.

        Raises
        ------
        ConfigurationError
            If a parameter is outside of what is allowed.
        ClientClosedError
            If the client is closed.
        """
        chosen = (patterns,) if isinstance(patterns, str) else tuple(patterns)
        if not callable(handler):
            raise ConfigurationError("handler", handler, "a function or coroutine function")
        responder = Responder(
            handler,
            group=group,
            name=self._name,
            decode=decoder_of(decode),
            sender=self._start_sender(),
            store=AnswerStore(self._connector.connect, group),
            clock=self._clock,
        )
        self._responders.append(responder)
        in_threads = runs_in_threads(settings)
        subscription = self.subscribe(
            "*",
            responder.take if in_threads else responder.take_on_loop,
            group=group,
            start="resume",
            decode=decode_envelope,
            streams=[request_key(pattern) for pattern in chosen],
            settings=settings,
        )
        responder.server_time_ms = subscription.server_time_ms
        return subscription

    def request_statistics(self) -> RequestStatistics:
        """Return the figures of requests that were sent and answered here."""
        asked, responders = self._requester, self._responders
        return RequestStatistics(
            waiting=0 if asked is None else asked.waiting,
            replies=0 if asked is None else asked.replies,
            late_replies=0 if asked is None else asked.late_replies,
            answered=sum(one.answered for one in responders),
            repeated=sum(one.repeated for one in responders),
            expired=sum(one.expired for one in responders),
            not_ours=sum(one.not_ours for one in responders),
            last_error="" if self._sender is None else self._sender.figures.last_error,
        )

    def once(
        self,
        handler: Callable[[StreamMessage], Any],
        name: str,
        *,
        key: Callable[[StreamMessage], str] = entry_of,
        max_ids: int = DEFAULT_MAX_IDS,
    ) -> Callable[[StreamMessage], Any]:
        """
        Return a handler, for `subscribe`, that passes over what was handled before.

        The server remembers it, in a round trip before the handler and one behind it. What is left
        is a process that is killed between the handler's return and the second one.

        Parameters
        ----------
        handler : Callable[[StreamMessage], Any]
            A function, or a coroutine function.
        name : str
            Who remembers: all that use the same name share what they have seen.
        key : Callable[[StreamMessage], str], optional
            Tells one message from another, by default by stream and entry ID; an event's own ID
            knows it again in another stream too.
        max_ids : int, default 100,000
            Messages that are remembered; the oldest are forgotten first.

        Raises
        ------
        ConfigurationError
            If a parameter is outside of what is allowed.
        """
        seen = SeenIds(self._connector.connect, name, max_ids, self._clock)
        with self._lock:
            self._require_open()
            self._seen.append(seen)
        return once(handler, seen, key, on_loop=not runs_in_threads(None))

    def _start_sender(self) -> Sender:
        with self._lock:
            self._require_open()
            if self._sender is None:
                self._sender = Sender(
                    self._connector.connect,
                    make_backoff(self._settings),
                    SubscriptionFigures(),
                    self._clock,
                )
                self._sender.start()
            return self._sender

    def _start_requester(self) -> Requester:
        if self._requester is None:
            requester = Requester(self._name, self._start_sender(), self._clock)
            self._requester = requester
            self._open(
                KeySelection((requester.reply_key,)),
                requester.take,
                start="beginning",
                direct=True,
            )
        return self._requester

    def _require_open(self) -> None:
        if self._closed:
            raise ClientClosedError("the client is closed: make a new one")

    def _forget(self, subscription: Subscription) -> None:
        with self._lock:
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)

    def stop(self, timeout_s: float = DEFAULT_CLOSE_S) -> bool:
        """
        Close all subscriptions; calling it twice is harmless.

        Parameters
        ----------
        timeout_s : float, default 5.0
            Seconds to wait at most, for all of them.

        Returns
        -------
        bool
            Whether all that was in hand was handled.
        """
        with self._lock:
            self._closed = True
            subscriptions = list(self._subscriptions)
        until = time.monotonic() + timeout_s
        if self._requester is not None:
            self._requester.close()
        outcomes = _end_together(subscriptions, until)
        if self._sender is not None:
            # Behind the subscriptions, whose handlers may have replied to the end.
            self._sender.stop(max(_SENDING_S, until - time.monotonic()))
        for seen in self._seen:
            seen.close()
        return all(outcomes)

    async def close(self, timeout_s: float = DEFAULT_CLOSE_S) -> bool:
        """Do what `stop` does without blocking the event loop."""
        return await asyncio.to_thread(self.stop, timeout_s)


def _end_together(subscriptions: Sequence[Subscription], until: float) -> list[bool]:
    """End subscriptions; return whether all that each had in hand was handled."""
    ends = [partial(one.end, until, waits=one.may_wait()) for one in subscriptions]
    try:
        # Who is asked to end looks up a few times a second; one after the other that adds up.
        with ThreadPoolExecutor(_ENDING_THREADS, "nt-enhanced-ending") as pool:
            return list(pool.map(lambda end: end(), ends))
    except RuntimeError:
        # An interpreter that ends starts no threads any more.
        return [end() for end in ends]
