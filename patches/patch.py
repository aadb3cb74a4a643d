"""What a patch is: one module, checked before it is touched, and put back on request."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING
from typing import Any
from typing import Protocol


if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_enhanced.infrastructure.messagebus.errors import PatchVerificationError


class PatchState(StrEnum):
    """Name where a patch is in place."""

    ABSENT = "not applied"
    RUN_TIME = "applied at run time"
    SOURCE = "in the source of this NautilusTrader"


def verification_error(sentence: str) -> PatchVerificationError:
    """Return the error; its module is imported late, since a fork's kernel imports this one."""
    from nautilus_enhanced.infrastructure.messagebus import errors  # noqa: PLC0415 (see above)

    return errors.PatchVerificationError(sentence)


class Patch(Protocol):
    """
    One reversible change of one module of NautilusTrader.

    Attributes
    ----------
    module : str
        The module that it changes.
    purpose : str
        What it is for, as a sentence.
    """

    module: str
    purpose: str

    def problems(self) -> tuple[str, ...]:
        """Return what is not as the patch expects, as sentences; empty if it fits."""

    @property
    def original(self) -> Callable[..., Any]:
        """Return what is changed as it is without the change."""

    @property
    def state(self) -> PatchState:
        """Return whether the change is in place, and who made it."""

    def is_applied(self) -> bool:
        """Return whether the change is in place."""

    def apply(self) -> None:
        """Put the change in place; doing it twice is harmless."""

    def revert(self) -> None:
        """Put the original back; doing it twice is harmless."""


class MethodWrap:
    """
    Replace one method of a class by a wrapper, and put the original back.

    Parameters
    ----------
    owner : type
        The class.
    name : str
        The method's name.
    wrap : Callable[[Callable[..., Any]], Callable[..., Any]]
        Makes the wrapper from the original.
    """

    def __init__(
        self,
        owner: type,
        name: str,
        wrap: Callable[[Callable[..., Any]], Callable[..., Any]],
    ) -> None:
        self._owner = owner
        self._name = name
        self.original: Callable[..., Any] = getattr(owner, name)
        self.wrapper = wrap(self.original)

    def is_applied(self) -> bool:
        """Return whether the wrapper is what a call reaches first."""
        return getattr(self._owner, self._name) is self.wrapper

    def apply(self) -> None:
        """Put the wrapper in place."""
        setattr(self._owner, self._name, self.wrapper)

    def revert(self) -> bool:
        """Put the original back; False if somebody else has wrapped the wrapper meanwhile."""
        if not self.is_applied():
            return False
        setattr(self._owner, self._name, self.original)
        return True
