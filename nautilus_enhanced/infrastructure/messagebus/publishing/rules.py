"""
What goes out: topics that are kept back, and topics of which only a sample is sent.

A topic is sampled like this. The first message goes out at once and begins an interval. Of those
that come within it only the latest is held; it goes out when the interval ends, and begins the
next one. So at most one message goes out in an interval, and what a reader saw last is never
older than one interval: after a burst the last quote arrives, not the first.

Order flow is not touched, whatever a pattern matches, unless a rule says so.
"""

from __future__ import annotations

import heapq
from collections import deque
from enum import Enum
from enum import auto
from threading import Lock
from typing import TYPE_CHECKING
from typing import Final
from typing import NamedTuple
from typing import Protocol

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.patterns import MAX_CACHED_TOPICS
from nautilus_enhanced.infrastructure.messagebus.patterns import TopicTable
from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority
from nautilus_enhanced.infrastructure.messagebus.publishing.tally import Tally
from nautilus_enhanced.infrastructure.messagebus.publishing.wakeup import IDLE


if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_enhanced.infrastructure.messagebus.contracts import Clock
    from nautilus_enhanced.infrastructure.messagebus.contracts import PriorityPolicy
    from nautilus_enhanced.infrastructure.messagebus.publishing.lanes import Receipt
    from nautilus_enhanced.infrastructure.messagebus.settings.publishing import PublishingSettings
    from nautilus_enhanced.infrastructure.messagebus.settings.publishing import PublishRule


# When to look again after a topic that another thread was at.
_SOON_NS: Final = 1_000_000
_NS: Final = 1_000_000_000


class Publish(Protocol):
    """Puts a message into its lane; returns False if the lane refused."""

    def __call__(
        self,
        topic: str,
        payload: bytes,
        priority: MessagePriority | None = None,
        receipt: Receipt | None = None,
    ) -> bool:
        """Put the message."""


def is_order_flow(priority: MessagePriority) -> bool:
    """Return whether messages of a priority are order flow, which no wildcard keeps back."""
    return priority <= MessagePriority.HIGH


def check_publishing(settings: PublishingSettings, priorities: PriorityPolicy) -> None:
    """
    Refuse rules that name order flow without saying so.

    Raises
    ------
    ConfigurationError
        If a rule names order flow and keeps it back without `order_flow`, or samples it.
    """
    for rule in settings.rules:
        if rule.passes_all or rule.order_flow:
            continue
        example = rule.pattern.replace("*", "x").replace("?", "x")
        priority = priorities.priority_of(example)
        if is_order_flow(priority):
            raise ConfigurationError(
                "publishing.rules.pattern",
                rule.pattern,
                "a pattern for other than order flow",
                f"Its topics have priority {priority.name}: they are never sampled, and kept back "
                "only with `order_flow=True`",
            )


class _Decision(Enum):
    PASS = auto()
    KEEP_BACK = auto()


class PublishingFigures(NamedTuple):
    """
    What became of the messages that the rules are about.

    Attributes
    ----------
    filtered : int
        Messages kept back.
    sampled_out : int
        Messages that a newer one superseded within its interval.
    held : int
        Gauge: messages that wait for the end of their interval.
    """

    filtered: int = 0
    sampled_out: int = 0
    held: int = 0


class SampledTopic:
    """
    Let at most one message of a topic out in each interval, and the last one in any case.

    Any thread may call any method, and none waits: who finds another thread here leaves its
    message as the latest. So messages go out in the order in which one thread brought them.

    Parameters
    ----------
    topic : str
        The topic.
    interval_ns : int
        Nanoseconds between two messages at least.
    """

    __slots__ = ("_held", "_turn", "interval_ns", "is_queued", "is_waiting", "next_ns", "topic")

    def __init__(self, topic: str, interval_ns: int) -> None:
        self.topic = topic
        self.interval_ns = interval_ns
        self.next_ns = -IDLE
        # Whether the writer knows, or will, that a message is held; and the writer's own note.
        self.is_waiting = False
        self.is_queued = False
        self._held: deque[tuple[bytes, MessagePriority | None]] = deque(maxlen=1)
        self._turn = Lock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.topic!r}, held={self.held})"

    @property
    def held(self) -> int:
        """Return the number of messages held, 0 or 1."""
        return len(self._held)

    def arrive(
        self, now_ns: int, payload: bytes, priority: MessagePriority | None, put: Publish
    ) -> bool | None:
        """Put the message and return what that says, or hold it and return None."""
        if not self._turn.acquire(blocking=False):
            self._held.append((payload, priority))
            return None
        try:
            if now_ns < self.next_ns:
                self._held.append((payload, priority))
                return None
            self.next_ns = now_ns + self.interval_ns
            # Held over the end of its interval, as in an outage: this one is newer.
            self._held.clear()
            return put(self.topic, payload, priority)
        finally:
            self._turn.release()

    def supersede(self) -> None:
        """Forget what is held: a newer message goes out by itself."""
        self._held.clear()

    def expire(self, now_ns: int, put: Publish, *, at_once: bool = False) -> bool:
        """Put the held message if its interval is over, or `at_once`; return whether it did."""
        if not self._turn.acquire(blocking=False):
            return False
        try:
            if not self._held or (now_ns < self.next_ns and not at_once):
                return False
            payload, priority = self._held.pop()
            self.next_ns = now_ns + self.interval_ns
            put(self.topic, payload, priority)
            return True
        finally:
            self._turn.release()


class PublishRules:
    """
    Decide what goes out, topic by topic, before it is put into a lane.

    A topic beyond the 262,144th is decided about each time, and is not sampled: rather too much
    goes out than memory without end.

    Parameters
    ----------
    settings : PublishingSettings
        The rules.
    priorities : PriorityPolicy
        Tells what is order flow.
    put : Publish
        Puts a message into its lane.
    on_wait : Callable[[int], None]
        Called with the nanoseconds after which `release` must be called; must not wait.
    clock : Clock
        The clock.

    Raises
    ------
    ConfigurationError
        If a rule names order flow and keeps it back without `order_flow`, or samples it.
    """

    def __init__(
        self,
        settings: PublishingSettings,
        priorities: PriorityPolicy,
        put: Publish,
        on_wait: Callable[[int], None],
        clock: Clock,
    ) -> None:
        check_publishing(settings, priorities)
        self._priorities = priorities
        self._put = put
        self._on_wait = on_wait
        self._monotonic_ns = clock.monotonic_ns
        # For order flow only those rules that say so.
        self._ordinary = _table(settings.rules)
        self._order_flow = _table(
            tuple(rule for rule in settings.rules if rule.passes_all or rule.order_flow)
        )
        self._sampled: list[SampledTopic] = []
        self._known: dict[str, _Decision | SampledTopic] = {}
        self._filtered = Tally()
        self._arrived = Tally()
        self._passed = Tally()
        self._sampled_out = 0
        # Who has come to hold a message, and, for the writer alone, when to look after whom.
        self._waiting: deque[SampledTopic] = deque()
        self._due: list[tuple[int, int, SampledTopic]] = []

    def __repr__(self) -> str:
        figures = self.figures()
        return (
            f"{type(self).__name__}({figures.filtered} filtered, "
            f"{figures.sampled_out} sampled out, {figures.held} held)"
        )

    def figures(self) -> PublishingFigures:
        """Return what was kept back, sampled out, and is held now."""
        held = sum(topic.held for topic in self._sampled.copy())
        # By difference, so that no two threads count the same. Meanwhile one may go on from held
        # to passed, so the numbers may not quite fit; but a counter never goes down.
        superseded = self._arrived.count - self._passed.count - held
        self._sampled_out = max(self._sampled_out, superseded)
        return PublishingFigures(
            filtered=self._filtered.count, sampled_out=self._sampled_out, held=held
        )

    def adopt(self) -> None:
        """Make the calling thread the home thread of all counters."""
        for tally in (self._filtered, self._arrived, self._passed):
            tally.adopt()

    def keeps_back(self, topic: str, priority: MessagePriority | None = None) -> bool:
        """Return whether no message of `topic` goes out."""
        return self._decision(topic, priority) is _Decision.KEEP_BACK

    def publish(
        self,
        topic: str,
        payload: bytes,
        priority: MessagePriority | None = None,
        receipt: Receipt | None = None,
    ) -> bool:
        """
        Put a message into its lane, hold it, or keep it back; never waits.

        A message with a receipt is not sampled: somebody waits for this very one.

        Returns
        -------
        bool
            False if the lane was full and refused; a message that is held or kept back is taken
            care of.
        """
        decision = self._decision(topic, priority)
        if decision is _Decision.KEEP_BACK:
            self._filtered.add(1)
            if receipt is not None:
                receipt(False)
            return True
        if isinstance(decision, SampledTopic) and receipt is not None:
            decision.supersede()
        if decision is _Decision.PASS or receipt is not None:
            return self._put(topic, payload, priority, receipt)
        self._arrived.add(1)
        now_ns = self._monotonic_ns()
        taken = decision.arrive(now_ns, payload, priority, self._put)
        if taken is not None:
            self._passed.add(1)
            return taken
        if not decision.is_waiting:
            # First say that it waits and then wake the writer, which looks before it sleeps.
            decision.is_waiting = True
            self._waiting.append(decision)
            self._on_wait(max(0, decision.next_ns - now_ns))
        return True

    def release(self) -> int:
        """
        Put what was held and is due; return the nanoseconds until there is more.

        Called by the writer only.
        """
        due = self._due
        if not due and not self._waiting:
            return IDLE
        now_ns = self._monotonic_ns()
        while self._waiting:
            topic = self._waiting.popleft()
            if not topic.is_queued:
                self._queue(topic, topic.next_ns)
        while due and due[0][0] <= now_ns:
            topic = heapq.heappop(due)[2]
            topic.is_queued = False
            if topic.expire(now_ns, self._put):
                self._passed.add(1)
            # First forget that it waits and then look: who holds a message in between says so.
            topic.is_waiting = False
            if topic.held:
                topic.is_waiting = True
                self._queue(topic, max(topic.next_ns, now_ns + _SOON_NS))
        return max(0, due[0][0] - now_ns) if due else IDLE

    def release_all(self) -> None:
        """Put all that is held, without waiting for the ends of the intervals."""
        for topic in self._sampled.copy():
            if topic.expire(self._monotonic_ns(), self._put, at_once=True):
                self._passed.add(1)

    def _queue(self, topic: SampledTopic, at_ns: int) -> None:
        topic.is_queued = True
        heapq.heappush(self._due, (at_ns, id(topic), topic))

    def _decision(self, topic: str, priority: MessagePriority | None) -> _Decision | SampledTopic:
        if priority is not None and is_order_flow(priority):
            return self._decide(topic, self._order_flow)
        decision = self._known.get(topic)
        if decision is None:
            is_urgent = is_order_flow(self._priorities.priority_of(topic))
            decision = self._decide(topic, self._order_flow if is_urgent else self._ordinary)
            if len(self._known) < MAX_CACHED_TOPICS:
                # Two threads may have come here: both must get the same.
                known = self._known.setdefault(topic, decision)
                if known is decision and isinstance(known, SampledTopic):
                    self._sampled.append(known)
                return known
            if isinstance(decision, SampledTopic):
                decision = _Decision.PASS
        return decision

    @staticmethod
    def _decide(topic: str, rules: TopicTable[PublishRule | bool]) -> _Decision | SampledTopic:
        rule = rules.value_of(topic)
        if isinstance(rule, bool) or rule.passes_all:
            return _Decision.PASS
        if rule.max_per_second is None:
            return _Decision.KEEP_BACK
        return SampledTopic(topic, round(_NS / rule.max_per_second))


def _table(rules: tuple[PublishRule, ...]) -> TopicTable[PublishRule | bool]:
    return TopicTable([(rule.pattern, rule) for rule in rules], default=True)
