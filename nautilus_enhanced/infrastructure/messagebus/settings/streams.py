"""The settings of how the writer sends, and of how long what it sent stays."""

from __future__ import annotations

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import Settings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import check_range
from nautilus_enhanced.infrastructure.messagebus.streams.manager.trimming_settings import (
    TrimmingSettings,
)


class StreamSettings(Settings, frozen=True, kw_only=True):
    """
    Settings of how the writer sends.

    Parameters
    ----------
    batch_messages : int, default 256
        Messages sent together at most (1 to 4,096).
    batch_bytes : int, default 256 KiB
        Payload bytes sent together at most (1 KiB to 16 MiB); one larger message goes alone.
    close_timeout_ms : int, default 5,000
        Milliseconds for which closing waits for what is buffered to be confirmed (0 to
        60,000).
    ack_replicas : int, default 1
        Replicas that must have a message that is published with ``ack="replicated"`` (1 to 16).
    ack_timeout_ms : int, default 2,000
        Milliseconds that the server may take for ``replicated`` and ``fsynced`` (1 to 60,000),
        but no more than half of the connection's `response_timeout_ms`. The writer sends nothing
        else meanwhile.
    trimming : TrimmingSettings, optional
        How long entries of a node's own streams stay, with a look at who still needs them: for
        nodes only. None leaves that to `autotrim_mins`, which goes by age alone.
    """

    batch_messages: int = 256
    batch_bytes: int = 256 * 1024
    close_timeout_ms: int = 5_000
    ack_replicas: int = 1
    ack_timeout_ms: int = 2_000
    trimming: TrimmingSettings | None = None

    def __post_init__(self) -> None:
        check_range("streams.batch_messages", self.batch_messages, 1, 4_096, " messages")
        check_range("streams.batch_bytes", self.batch_bytes, 1024, 16 * 1024**2, " bytes")
        check_range("streams.close_timeout_ms", self.close_timeout_ms, 0, 60_000, " ms")
        check_range("streams.ack_replicas", self.ack_replicas, 1, 16, " replicas")
        check_range("streams.ack_timeout_ms", self.ack_timeout_ms, 1, 60_000, " ms")
        if self.trimming is not None and not isinstance(self.trimming, TrimmingSettings):
            raise ConfigurationError(
                "streams.trimming", type(self.trimming).__name__, "a TrimmingSettings or None"
            )
