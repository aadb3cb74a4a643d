"""Streams that the server refuses, left alone for a while so that others are read."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.streams.commands import is_about_keys


if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from nautilus_enhanced.infrastructure.messagebus.contracts import Clock
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.read_stream import ReadStream
    from nautilus_enhanced.infrastructure.messagebus.streams.statistics import SubscriptionFigures


# How long a stream is left alone that the server refuses.
BARRED_NS: Final = 1_000_000_000


class BarredStreams:
    """
    Know which streams the server refuses, and until when they are left alone.

    Parameters
    ----------
    clock : Clock
        The clock.
    figures : SubscriptionFigures
        The figures.
    """

    def __init__(self, clock: Clock, figures: SubscriptionFigures) -> None:
        self._clock = clock
        self._figures = figures
        self._until: dict[ReadStream, int] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._until)} streams)"

    def __len__(self) -> int:
        return len(self._until)

    def __contains__(self, stream: object) -> bool:
        return stream in self._until

    def holds(self, stream: ReadStream) -> bool:
        """Return whether a stream is left alone now."""
        until_ns = self._until.get(stream)
        return until_ns is not None and self._clock.monotonic_ns() < until_ns

    def refused(self, stream: ReadStream, answer: Any, what: str) -> bool:
        """
        Note what the server said to a stream; return whether it refuses just that one.

        Parameters
        ----------
        stream : ReadStream
            The stream.
        answer : Any
            The answer.
        what : str
            What cannot be done then, for who looks for the last error.
        """
        if not is_about_keys(answer):
            return False
        self._until[stream] = self._clock.monotonic_ns() + BARRED_NS
        self._figures.last_error = f"{what}: {answer}"
        return True

    def accepted(self, streams: Sequence[ReadStream]) -> None:
        """Note that the server refuses none of these streams."""
        if self._until:
            for stream in streams:
                self._until.pop(stream, None)

    def keep(self, streams: Mapping[bytes, ReadStream]) -> None:
        """Forget those that are not read any more."""
        self._until = {s: until for s, until in self._until.items() if streams.get(s.key) is s}
