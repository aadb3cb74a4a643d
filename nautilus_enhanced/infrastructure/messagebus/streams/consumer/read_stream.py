"""A stream that this process reads, and what of it is in hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import FIRST_ID


if TYPE_CHECKING:
    from collections.abc import Iterable

    from nautilus_enhanced.infrastructure.messagebus.publishing.wire import EntryId
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.recovery import PendingWork


class ReadStream:
    """
    A stream, from when it is found until it is left to another consumer.

    Found again, or after a lost lease, it is another object: what the old one has in hand is
    somebody else's by then.

    Parameters
    ----------
    key : bytes
        The key.
    topic : str
        Its topic, or `MANY_TOPICS`.
    appeared : bool
        Whether it came after the subscription.
    begins : bool, default False
        Whether the subscription decides where reading begins, and not the group.

    Attributes
    ----------
    in_hand : set[bytes]
        The IDs that were read and are not acknowledged, as far as the server has said.
    forced : set[bytes]
        The IDs that were made pending in a group that did not know them. Some may have been
        acknowledged just before that: those that are not in hand any more.
    is_prepared : bool
        Whether its group, or its place, is known.
    work : PendingWork or None
        What is left of looking after pending entries.
    is_held_up : bool
        Whether nothing new is read until that work is done.
    read_to : tuple[int, int]
        The last entry that was read.
    skip_to : tuple[int, int]
        Up to here, messages on topics that begin now are not delivered.
    is_left : bool
        Whether it is to be another consumer's: what no handler has begun is given back.
    is_lost : bool
        Whether somebody else may read it by now.
    """

    __slots__ = (
        "appeared", "begins", "forced", "in_hand", "is_held_up", "is_left", "is_lost",
        "is_prepared", "key", "name", "read_to", "skip_to", "topic", "work",
    )  # fmt: skip

    def __init__(self, key: bytes, topic: str, *, appeared: bool, begins: bool = False) -> None:
        self.key = key
        self.name = key.decode("utf-8", "backslashreplace")
        self.topic = topic
        self.appeared = appeared
        self.begins = begins
        self.in_hand: set[bytes] = set()
        self.forced: set[bytes] = set()
        self.is_prepared = False
        self.work: PendingWork | None = None
        self.is_held_up = False
        self.read_to: EntryId = FIRST_ID
        self.skip_to: EntryId = FIRST_ID
        self.is_left = False
        self.is_lost = False

    def force(self, ids: Iterable[bytes]) -> None:
        """Note what is made pending in a group that did not know it."""
        self.forced.update(ids)
        if self.work is not None:
            self.work.unlisted.difference_update(ids)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}, {len(self.in_hand)} in hand)"
