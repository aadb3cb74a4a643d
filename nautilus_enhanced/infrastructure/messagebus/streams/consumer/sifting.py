"""Make deliveries of entries whose topics are selected, and settle the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.publishing.wire import FIELD_GAP
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import EntryId
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import parse_entry_id
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.book import Delivery
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import FIRST_ID
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import NOW
from nautilus_enhanced.infrastructure.messagebus.streams.entries import PLAIN
from nautilus_enhanced.infrastructure.messagebus.streams.entries import number_of
from nautilus_enhanced.infrastructure.messagebus.streams.entries import topic_and_payload


if TYPE_CHECKING:
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.acknowledger import Settling
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.choosing import StreamChooser
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.read_stream import ReadStream
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.runners import Runner
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import StartTable
    from nautilus_enhanced.infrastructure.messagebus.streams.statistics import SubscriptionFigures


_MAX_TOPICS: Final = 262_144


class EntrySifter:
    """
    Give messages of selected topics to a runner.

    Parameters
    ----------
    chooser : StreamChooser
        Tells which topics are selected.
    starts : StartTable
        Tells which topics begin now.
    runner : Runner
        Takes what is to be handled.
    settling : Settling
        Takes what needs no handler.
    figures : SubscriptionFigures
        The figures.
    """

    def __init__(
        self,
        chooser: StreamChooser,
        starts: StartTable,
        runner: Runner,
        settling: Settling,
        figures: SubscriptionFigures,
    ) -> None:
        self._chooser = chooser
        self._starts = starts
        self._runner = runner
        self._settling = settling
        self.figures = figures
        self._topics: dict[bytes, str | None] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._topics)} topics)"

    def hand_over(
        self, stream: ReadStream, entries: list[Any], deliveries: dict[bytes, int] | None = None
    ) -> None:
        """Give messages of selected topics to the runner, and settle the rest."""
        topics = self._topics
        counts = self.figures.counts
        taken: list[Delivery] = []
        unwanted: list[bytes] = []
        skip_to = stream.skip_to if not stream.topic else FIRST_ID
        for raw_id, fields in entries:
            found = None if fields is None else topic_and_payload(fields)
            if found is None:
                unwanted.append(raw_id)
                continue
            raw_topic, payload = found
            topic = topics[raw_topic] if raw_topic in topics else self._learn(raw_topic)
            if topic is None:
                unwanted.append(raw_id)
                continue
            if skip_to is not FIRST_ID and self._is_before(topic, raw_id, skip_to):
                counts["skipped"] += 1
                unwanted.append(raw_id)
                continue
            if len(fields) > PLAIN:
                counts["gaps"] += number_of(fields, FIELD_GAP) or 0
            attempts = 0 if deliveries is None else deliveries[raw_id]
            taken.append(Delivery(topic, payload, stream, raw_id, fields, attempts))
        counts["read"] += len(entries)
        if taken:
            self._runner.submit(taken)
        if unwanted:
            self._settling.settle(stream, unwanted)

    def _is_before(self, topic: str, raw_id: bytes, skip_to: EntryId) -> bool:
        return self._starts.of(topic) is NOW and parse_entry_id(raw_id) <= skip_to

    def _learn(self, raw: bytes) -> str | None:
        """Return a topic as text, or None if it is not selected; remembers many."""
        topic: str | None = raw.decode("utf-8", "backslashreplace")
        if not self._chooser.accepts(topic):  # type: ignore[arg-type]  # it was just made
            topic = None
        if len(self._topics) < _MAX_TOPICS:
            self._topics[raw] = topic
        return topic
