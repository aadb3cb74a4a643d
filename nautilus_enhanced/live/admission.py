"""What is let into a node, and whether more may come: decided without I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Final

import msgspec

from nautilus_enhanced.infrastructure.messagebus.patterns import TopicTable
from nautilus_enhanced.infrastructure.messagebus.streams.decoding import is_json


if TYPE_CHECKING:
    from collections.abc import Iterable

    from nautilus_enhanced.infrastructure.messagebus.settings.external import AllowRule


class _Typed(msgspec.Struct):
    """As much of a payload as says what it is."""

    type: str = ""


_FROM_JSON: Final = msgspec.json.Decoder(_Typed).decode
_FROM_MSGPACK: Final = msgspec.msgpack.Decoder(_Typed).decode


def type_of(payload: bytes) -> str:
    """
    Return the name that a payload says of its type, without making the object; ``''`` for none.

    Raises
    ------
    msgspec.MsgspecError
        If it is neither JSON nor msgpack of a map.
    """
    return (_FROM_JSON if is_json(payload) else _FROM_MSGPACK)(payload).type


class AllowList:
    """
    Tell what is let into a node.

    Parameters
    ----------
    rules : iterable of AllowRule
        The rules, of which one must match; none let in everything.
    """

    def __init__(self, rules: Iterable[AllowRule]) -> None:
        self._rules = tuple(
            (
                TopicTable([(rule.topic, True)], False),
                TopicTable([(rule.stream, True)], False),
                frozenset(rule.types),
            )
            for rule in rules
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._rules)} rules)"

    def refusal(self, topic: str, stream: str, payload: bytes) -> str | None:
        """
        Return what about a message is not allowed, or None if it is let in.

        The type is looked at only where a rule names types, and before anything is made of the
        payload.

        Parameters
        ----------
        topic, stream : str
            The topic and the key of the stream.
        payload : bytes
            The payload.

        Raises
        ------
        msgspec.MsgspecError
            If its type must be known, and the payload is neither JSON nor msgpack of a map.
        """
        if not self._rules:
            return None
        name: str | None = None
        for topics, streams, types in self._rules:
            if topics.value_of(topic) and streams.value_of(stream):
                if not types:
                    return None
                name = type_of(payload) if name is None else name
                if name in types:
                    return None
        return f"topic {topic!r}" if name is None else f"type {name!r} on topic {topic!r}"


def is_to_pause(backlog: int, *, is_paused: bool, pause_above: int, resume_below: int) -> bool:
    """
    Return whether nothing more may be published for now.

    Parameters
    ----------
    backlog : int
        Messages that wait in the engines.
    is_paused : bool
        Whether publishing is paused already.
    pause_above, resume_below : int
        From which number on it pauses, and below which it goes on.
    """
    return backlog >= (resume_below if is_paused else pause_above)


class SparseLog:
    """
    Say of a kind of event what happened, but not too often.

    Parameters
    ----------
    interval_ns : int
        Nanoseconds between two times that the same kind is said.
    max_kinds : int, default 1,000
        Kinds that are remembered; what is of another kind then counts as one of them all.
    """

    def __init__(self, interval_ns: int, max_kinds: int = 1_000) -> None:
        self._interval_ns = interval_ns
        self._max_kinds = max_kinds
        # By kind, when it was said last, and how often it was not since.
        self._said: dict[str, tuple[int, int]] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._said)} kinds)"

    def count(self, kind: str, now_ns: int) -> int:
        """
        Count an event; return for how many it is to be said now, 0 for not now.

        Parameters
        ----------
        kind : str
            The kind.
        now_ns : int
            The time by a monotonic clock.
        """
        if kind not in self._said and len(self._said) >= self._max_kinds:
            kind = ""
        said_ns, silent = self._said.get(kind, (None, 0))
        if said_ns is not None and now_ns - said_ns < self._interval_ns:
            self._said[kind] = (said_ns, silent + 1)
            return 0
        self._said[kind] = (now_ns, 0)
        return silent + 1
