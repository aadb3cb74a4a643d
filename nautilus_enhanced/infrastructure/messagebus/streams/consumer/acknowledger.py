"""The thread that tells the server what is done, and puts aside what cannot be done."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections import deque
from typing import TYPE_CHECKING
from typing import Final
from typing import Protocol

from nautilus_enhanced.infrastructure.messagebus.errors import ServerError
from nautilus_enhanced.infrastructure.messagebus.streams.commands import NO_GROUP
from nautilus_enhanced.infrastructure.messagebus.streams.commands import acknowledge
from nautilus_enhanced.infrastructure.messagebus.streams.commands import give_back
from nautilus_enhanced.infrastructure.messagebus.streams.commands import is_about_keys
from nautilus_enhanced.infrastructure.messagebus.streams.commands import is_error
from nautilus_enhanced.infrastructure.messagebus.streams.commands import succeeded
from nautilus_enhanced.infrastructure.messagebus.streams.letters import DeadLetter
from nautilus_enhanced.infrastructure.messagebus.streams.letters import encode_letter
from nautilus_enhanced.infrastructure.messagebus.streams.worker import ConnectedThread


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable

    from nautilus_enhanced.infrastructure.messagebus.connection.backoff import Backoff
    from nautilus_enhanced.infrastructure.messagebus.connection.connector import BusConnection
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.read_stream import ReadStream
    from nautilus_enhanced.infrastructure.messagebus.streams.statistics import SubscriptionFigures


# IDs in one XACK.
MAX_IDS: Final = 512
# Dead letters in one go.
MAX_LETTERS_AT_ONCE: Final = 32
# What is done within this time is told together: nobody waits for it.
_GATHER_S: Final = 0.005
_IDLE_S: Final = 1.0
# How long dead letters wait that the server refuses.
_PAUSE_S: Final = 0.2


class Settling(Protocol):
    """Takes what needs no handler any more."""

    def settle(self, source: ReadStream, ids: Iterable[bytes]) -> None:
        """Note that entries are done."""

    def bury(self, source: ReadStream, raw_id: bytes, letter: DeadLetter) -> None:
        """Note that an entry cannot be handled."""

    def give_back(self, source: ReadStream, raw_id: bytes, attempts: int) -> None:
        """Note that an entry is another consumer's to handle, and how often it was tried."""

    def is_idle(self) -> bool:
        """Return whether all of it is known to the server."""


class NoSettling:
    """Stand for the acknowledgement where no group keeps a place."""

    def __init__(self, figures: SubscriptionFigures) -> None:
        self._figures = figures

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def settle(self, source: ReadStream, ids: Iterable[bytes]) -> None:
        """Forget entries."""
        source.in_hand.difference_update(ids)

    def bury(self, source: ReadStream, raw_id: bytes, letter: DeadLetter) -> None:
        """Forget an entry, counted."""
        self._figures.counts["given_up"] += 1
        source.in_hand.discard(raw_id)

    def give_back(self, source: ReadStream, raw_id: bytes, attempts: int) -> None:
        """Forget an entry."""
        del attempts
        source.in_hand.discard(raw_id)

    @staticmethod
    def is_idle() -> bool:
        """Return True."""
        return True


class Acknowledger(ConnectedThread):
    """
    Acknowledge entries in batches, and write dead letters before they are acknowledged.

    What is noted is bounded by what is in hand. It is kept until the server has answered, across
    connections: to acknowledge twice is harmless, and a dead letter may be there twice when the
    connection broke just then.

    Parameters
    ----------
    connect : Callable[[], BusConnection]
        Makes a connection, not yet opened.
    backoff : Backoff
        The pauses.
    figures : SubscriptionFigures
        The figures.
    group, consumer : bytes
        The group, and the consumer's name in it.
    """

    def __init__(
        self,
        connect: Callable[[], BusConnection],
        backoff: Backoff,
        figures: SubscriptionFigures,
        group: bytes,
        consumer: bytes = b"nobody",
    ) -> None:
        super().__init__("nt-enhanced-acknowledger", connect, backoff, figures)
        self._group = group
        self._consumer = consumer
        self._returned: deque[tuple[ReadStream, bytes, int]] = deque()
        self._done: deque[tuple[ReadStream, bytes]] = deque()
        self._letters: deque[tuple[ReadStream, bytes, DeadLetter]] = deque()
        self._sending: dict[ReadStream, list[bytes]] = {}
        self._bell = threading.Event()
        self._letters_at = 0.0
        # What the server last said to dead letters or acknowledgements that it refuses.
        self.refused = ""

    def settle(self, source: ReadStream, ids: Iterable[bytes]) -> None:
        """Note that entries are done, from any thread."""
        # No generator: most often it is one, for each message that was handled.
        for raw_id in ids:
            self._done.append((source, raw_id))
        if not self._bell.is_set():
            self._bell.set()

    def bury(self, source: ReadStream, raw_id: bytes, letter: DeadLetter) -> None:
        """Note that an entry is to be a dead letter, from any thread."""
        self._letters.append((source, raw_id, letter))
        self._bell.set()

    def give_back(self, source: ReadStream, raw_id: bytes, attempts: int) -> None:
        """Note that an entry is another consumer's to handle, from any thread."""
        self._returned.append((source, raw_id, attempts))
        self._bell.set()

    def is_idle(self) -> bool:
        """Return whether the server knows all that was noted."""
        return not (self._done or self._letters or self._sending or self._returned)

    def ask_to_stop(self) -> None:
        """Let the current step be the last one."""
        super().ask_to_stop()
        self._bell.set()

    def step(self, connection: BusConnection) -> None:
        """Wait for something to tell, and tell it."""
        wait_s = self._letters_at - time.monotonic() if self._letters else _IDLE_S
        if not (self._done or self._sending or self._returned) and wait_s > 0:
            self._bell.wait(wait_s)
            if not self.stopping.is_set():
                self.stopping.wait(_GATHER_S)
        # Clear first and look second: what is noted in between rings again.
        self._bell.clear()
        self._give_back(connection)
        self._acknowledge(connection)
        # One that cannot be written waits, and no acknowledgement with it.
        if time.monotonic() >= self._letters_at:
            self._write_letters(connection)

    def ended(self, connection: BusConnection) -> None:
        """Tell what is left."""
        self._give_back(connection)
        self._acknowledge(connection)
        self._write_letters(connection)
        self._acknowledge(connection)

    def _give_back(self, connection: BusConnection) -> None:
        """Say how often entries were tried, so that giving them back counts as none."""
        entries = [self._returned[i] for i in range(len(self._returned))]
        gathered: dict[tuple[ReadStream, int], list[bytes]] = defaultdict(list)
        for source, raw_id, attempts in entries:
            gathered[source, attempts].append(raw_id)
        for (source, attempts), ids in gathered.items():
            for at in range(0, len(ids), MAX_IDS):
                some = ids[at : at + MAX_IDS]
                query = give_back(source.key, self._group, self._consumer, attempts, some)
                # Where it is refused, they count as delivered, and no more.
                connection.ask([(source.key, query)])
            source.in_hand.difference_update(ids)
        for _ in entries:
            self._returned.popleft()

    def _write_letters(self, connection: BusConnection) -> None:
        while self._letters:
            letters = [
                self._letters[i] for i in range(min(len(self._letters), MAX_LETTERS_AT_ONCE))
            ]
            answers = connection.ask([encode_letter(letter) for _, _, letter in letters])
            for (source, raw_id, _), answer in zip(letters, answers, strict=True):
                # In order, so that what stands behind one that failed is written once more.
                if is_about_keys(answer):
                    self._letters_at = time.monotonic() + _PAUSE_S
                    self._refuse(f"a dead letter cannot be written: {answer}")
                    return
                succeeded(answer, "a dead letter cannot be written")
                self._letters.popleft()
                self._done.append((source, raw_id))
                self.figures.counts["dead_lettered"] += 1
                self.refused = ""

    def _acknowledge(self, connection: BusConnection) -> None:
        for _ in range(len(self._done)):
            source, raw_id = self._done.popleft()
            self._sending.setdefault(source, []).append(raw_id)
        refused = ""
        for source, ids in list(self._sending.items()):
            chunks = [ids[at : at + MAX_IDS] for at in range(0, len(ids), MAX_IDS)]
            answers = connection.ask(
                [(source.key, acknowledge(source.key, self._group, chunk)) for chunk in chunks]
            )
            # Where there is no such group, or no stream any more, nothing is pending.
            errors = [one for one in answers if isinstance(one, Exception) and not _is_gone(one)]
            if errors:
                # Others first.
                refused = f"{source.name} cannot be acknowledged: {errors[0]}"
                continue
            source.in_hand.difference_update(ids)
            self.figures.counts["acknowledged"] += len(ids)
            del self._sending[source]
        if refused:
            self._refuse(refused)
            raise ServerError(refused)
        self.succeeded()
        if not self._letters:
            self.refused = ""

    def _refuse(self, reason: str) -> None:
        self.refused = self.figures.last_error = reason


def _is_gone(answer: Exception) -> bool:
    return is_error(answer, NO_GROUP) or is_error(answer, "WRONGTYPE")
