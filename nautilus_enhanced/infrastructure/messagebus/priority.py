"""The four priorities of a message."""

from __future__ import annotations

from enum import IntEnum
from enum import unique


@unique
class MessagePriority(IntEnum):
    """
    Rank a message, most urgent first.

    The value is the index of the lane that carries the message.
    """

    CRITICAL = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3
