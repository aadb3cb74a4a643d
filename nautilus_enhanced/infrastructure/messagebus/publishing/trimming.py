"""How long entries stay in their streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from nautilus_enhanced.infrastructure.messagebus.publishing.wire import command


if TYPE_CHECKING:
    from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import Batch


class TrimSettings(msgspec.Struct, frozen=True, kw_only=True):
    """
    How long entries are kept.

    Attributes
    ----------
    max_age_ms : int or None
        Entries older than this are removed; None keeps all.
    interval_ns : int
        Time between two trims of a stream, in nanoseconds.
    """

    max_age_ms: int | None = None
    interval_ns: int = 60 * 1_000_000_000

    def due(self, batch: Batch, now_ns: int, now_ms: int) -> list[tuple[bytes, bytes]]:
        """Return key and XTRIM command of the streams of `batch` that are due, and note them."""
        if self.max_age_ms is None:
            return []
        commands = []
        for stream in dict.fromkeys(route.stream for route in batch.routes):
            if not stream.trimmed_at_ns:
                stream.trimmed_at_ns = now_ns
            elif now_ns - stream.trimmed_at_ns >= self.interval_ns:
                stream.trimmed_at_ns = now_ns
                oldest = b"%d" % max(0, now_ms - self.max_age_ms)
                trim = command(b"XTRIM", stream.key, b"MINID", b"~", oldest)
                commands.append((stream.key, trim))
        return commands
