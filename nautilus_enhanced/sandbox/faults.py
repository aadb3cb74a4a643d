"""
Which faults a loopback venue shows, and when: pure, repeatable, without I/O or clock.

A `FaultRule` names a fault, what it is to happen to, and how often. A `FaultInjector` is told of
everything that passes and says what becomes of it. What it says depends on the rules, the seed
and what passed before, and on nothing else.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import fields
from enum import Enum
from typing import Any
from typing import Final
from typing import Generic
from typing import TypeVar

from nautilus_enhanced.sandbox.errors import FaultError


MAX_RULES: Final = 100
MAX_DELAY_MS: Final = 60_000
MAX_COUNT: Final = 1_000_000_000

T = TypeVar("T")


class FaultKind(Enum):
    """What can go wrong."""

    DROP = "drop"
    DELAY = "delay"
    REJECT = "reject"
    RATE_LIMIT = "rate-limit"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    GARBAGE = "garbage"


class Target(Enum):
    """
    What it can happen to.

    ``market`` are the messages of market data streams, ``user`` those about the account,
    ``order`` the requests that place, change or cancel orders, ``request`` all requests.
    """

    MARKET = "market"
    USER = "user"
    ORDER = "order"
    REQUEST = "request"


_MESSAGES: Final = frozenset({Target.MARKET, Target.USER})
_REQUESTS: Final = frozenset({Target.ORDER, Target.REQUEST})
TARGETS: Final = {
    FaultKind.DROP: _MESSAGES | _REQUESTS,
    FaultKind.DELAY: _MESSAGES | _REQUESTS,
    FaultKind.REJECT: _REQUESTS,
    FaultKind.RATE_LIMIT: _REQUESTS,
    FaultKind.DUPLICATE: _MESSAGES,
    FaultKind.REORDER: _MESSAGES,
    FaultKind.GARBAGE: _MESSAGES | _REQUESTS,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class FaultRule:
    """
    Say what goes wrong, with what, and how often.

    Attributes
    ----------
    kind : FaultKind
        The fault.
    on : Target
        What it happens to.
    match : str
        Only to what has this in its name: a stream, a kind of event, or a method and path.
    after : int
        How many to let pass first.
    every : int
        Of those behind, one in so many, beginning with the first.
    chance : float
        And of these, by chance: 0 to 1.
    times : int
        How often at most; 0 for no limit.
    ms : int
        How long a delay is, or how long a message that waits for the next one to overtake it
        waits at most, in milliseconds.
    """

    kind: FaultKind
    on: Target
    match: str = ""
    after: int = 0
    every: int = 1
    chance: float = 1.0
    times: int = 0
    ms: int = 100

    def __post_init__(self) -> None:
        allowed = TARGETS[self.kind]
        if self.on not in allowed:
            raise _error(f"on={self.on.value}", str(self), _one_of(t for t in allowed))
        ranges: tuple[tuple[str, float, float], ...] = (
            ("after", 0, MAX_COUNT),
            ("every", 1, MAX_COUNT),
            ("chance", 0, 1),
            ("times", 0, MAX_COUNT),
            ("ms", 0, MAX_DELAY_MS),
        )
        for name, least, most in ranges:
            value = getattr(self, name)
            if not least <= value <= most:
                raise _error(f"{name}={value}", str(self), f"{least:,} to {most:,}")

    def __str__(self) -> str:
        said = [f"on={self.on.value}"]
        for field in fields(self)[2:]:
            value = getattr(self, field.name)
            if value != field.default:
                said.append(f"{field.name}={value}")
        return f"{self.kind.value}:{','.join(said)}"

    @classmethod
    def parse(cls, text: str) -> FaultRule:
        """
        Read a rule as the command line takes it.

        Parameters
        ----------
        text : str
            Such as ``drop:on=market,after=100,times=1`` or ``delay:on=user,ms=250``.

        Raises
        ------
        FaultError
            If it is not a rule: the sentence says what is allowed.
        """
        name, _, rest = text.strip().partition(":")
        try:
            kind = FaultKind(name)
        except ValueError:
            raise _error(name, text, _one_of(FaultKind)) from None
        settings: dict[str, Any] = {}
        for part in filter(None, rest.split(",")):
            key, found, value = part.partition("=")
            if key not in _READERS or not found:
                raise _error(part, text, ", ".join(f"{key}=" for key in _READERS))
            read, allowed = _READERS[key]
            try:
                settings[key] = read(value)
            except ValueError:
                raise _error(part, text, allowed) from None
        if "on" not in settings:
            raise _error("no on=", text, _one_of(TARGETS[kind]))
        return cls(kind=kind, **settings)


def _error(wrong: str, rule: str, allowed: str) -> FaultError:
    remedy = f"Mend `{wrong}`: a fault is written like `drop:on=market,after=100,times=1`"
    return FaultError("fault", rule, allowed, remedy)


def _whole(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise ValueError(text)
    return int(text)


def _one_of(members: Iterable[Enum]) -> str:
    return ", ".join(sorted(str(member.value) for member in members))


_READERS: Final[dict[str, tuple[Any, str]]] = {
    "on": (Target, _one_of(Target)),
    "match": (str, "any text without a comma"),
    "after": (_whole, "a whole number"),
    "every": (_whole, "a whole number"),
    "chance": (float, "0 to 1"),
    "times": (_whole, "a whole number"),
    "ms": (_whole, "a whole number"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage(Generic[T]):
    """
    Say what becomes of one message.

    Attributes
    ----------
    items : tuple[T or None, ...]
        What to send now, in this order; None stands for garbage.
    delay_ms : int
        How long to wait with these, and so with all behind them.
    hold_ms : int
        If above 0, this message was kept back: what `FaultInjector.flush` gives is due after so
        long, unless another message brings it before.
    drop : bool
        Whether to cut the connections instead; the message is lost.
    """

    items: tuple[T | None, ...] = ()
    delay_ms: int = 0
    hold_ms: int = 0
    drop: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """
    Say what becomes of one request.

    Attributes
    ----------
    refuse : FaultKind, optional
        ``REJECT`` or ``RATE_LIMIT``: nothing is done, and the answer is the venue's for that.
    drop : bool
        Whether the connection is cut where the answer should come; it was done all the same.
    garbage : bool
        Whether the answer is no answer; it was done all the same.
    delay_ms : int
        How long the request waits before anything is done.
    """

    refuse: FaultKind | None = None
    drop: bool = False
    garbage: bool = False
    delay_ms: int = 0


@dataclass(kw_only=True, slots=True)
class _Active:
    rule: FaultRule
    seen: int = 0
    acted: int = 0


class FaultInjector:
    """
    Decide what goes wrong.

    Parameters
    ----------
    rules : Iterable[FaultRule]
        The faults, at most `MAX_RULES`.
    seed : int
        Selects what happens by chance.
    """

    def __init__(self, rules: Iterable[FaultRule] = (), *, seed: int = 1) -> None:
        self._chance = random.Random(seed)  # noqa: S311 (repeatable, not secret)
        self._active: list[_Active] = []
        self._held: dict[Target, Any] = {}
        for rule in rules:
            self.add(rule)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(str(a.rule) for a in self._active)})"

    def add(self, rule: FaultRule) -> None:
        """
        Add a fault.

        Raises
        ------
        FaultError
            If there are `MAX_RULES` already.
        """
        if len(self._active) >= MAX_RULES:
            raise _error("one more", str(rule), f"at most {MAX_RULES} at once")
        self._active.append(_Active(rule=rule))

    def clear(self) -> None:
        """Take all faults away; what is held back stays due."""
        self._active.clear()

    def counts(self) -> list[tuple[str, int]]:
        """Return each fault, and how often it happened."""
        return [(str(active.rule), active.acted) for active in self._active]

    def is_quiet(self, target: Target) -> bool:
        """Return whether nothing can happen to what goes there."""
        return target not in self._held and all(a.rule.on is not target for a in self._active)

    def passage(self, target: Target, name: str, message: T) -> Passage[T]:
        """
        Say what becomes of a message.

        Parameters
        ----------
        target : Target
            ``MARKET`` or ``USER``.
        name : str
            The name of its stream, or of its kind of event.
        message : T
            The message.
        """
        faults = {rule.kind: rule for rule in self._acting(target, name)}
        if FaultKind.DROP in faults:
            self._held.pop(target, None)
            return Passage(drop=True)
        delay = faults.get(FaultKind.DELAY)
        delay_ms = delay.ms if delay else 0
        items: tuple[T | None, ...] = (message,)
        if FaultKind.DUPLICATE in faults:
            items = (message, message)
        if FaultKind.GARBAGE in faults:
            items = (None, *items)
        if target in self._held:
            # It has been overtaken now.
            return Passage(items=(*items, *self._held.pop(target)), delay_ms=delay_ms)
        reorder = faults.get(FaultKind.REORDER)
        if reorder:
            self._held[target] = items
            return Passage(delay_ms=delay_ms, hold_ms=max(1, reorder.ms))
        return Passage(items=items, delay_ms=delay_ms)

    def flush(self, target: Target) -> tuple[Any, ...]:
        """Return what is held back to be overtaken, and hold it no longer."""
        held: tuple[Any, ...] = self._held.pop(target, ())
        return held

    def verdict(self, name: str, *, is_order: bool) -> Verdict:
        """
        Say what becomes of a request.

        Parameters
        ----------
        name : str
            Its method and path, or what the venue calls it.
        is_order : bool
            Whether it places, changes or cancels an order.
        """
        acting = list(self._acting(Target.REQUEST, name))
        if is_order:
            acting += self._acting(Target.ORDER, name)
        faults = {rule.kind: rule for rule in acting}
        refusals = (kind for kind in (FaultKind.RATE_LIMIT, FaultKind.REJECT) if kind in faults)
        delay = faults.get(FaultKind.DELAY)
        return Verdict(
            refuse=next(refusals, None),
            drop=FaultKind.DROP in faults,
            garbage=FaultKind.GARBAGE in faults,
            delay_ms=delay.ms if delay else 0,
        )

    def _acting(self, target: Target, name: str) -> list[FaultRule]:
        """Count what passes, and return the rules that act on it."""
        acting = []
        for active in self._active:
            rule = active.rule
            if rule.on is not target or rule.match not in name:
                continue
            active.seen += 1
            behind = active.seen - rule.after
            if behind <= 0 or (behind - 1) % rule.every:
                continue
            if rule.times and active.acted >= rule.times:
                continue
            if rule.chance < 1 and self._chance.random() >= rule.chance:
                continue
            active.acted += 1
            acting.append(rule)
        return acting
