"""What became of a message that is waited for: told by the writer, awaited on an event loop."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Callable


class AwaitedReceipt:
    """
    Carry what became of one message from any thread to the event loop that it is made on.

    Parameters
    ----------
    confirm : Callable[[Callable[[str], None]], None], optional
        Has the server asked for more than acceptance, and calls back with what stands against it
        or an empty string. Without it acceptance is all that is waited for.
    """

    def __init__(self, confirm: Callable[[Callable[[str], None]], None] | None = None) -> None:
        self._confirm = confirm
        self._loop = asyncio.get_running_loop()
        self._fate: asyncio.Future[tuple[bool | None, str]] = self._loop.create_future()

    def settle(self, accepted: bool | None) -> None:
        """
        Take the writer's word, from its thread.

        Parameters
        ----------
        accepted : bool or None
            Whether the message is in its stream; None if nobody can know.
        """
        if accepted and self._confirm is not None:
            self._confirm(partial(self._tell, accepted))
        else:
            self._tell(accepted)

    async def fate(self) -> tuple[bool | None, str]:
        """Return whether the message was accepted, and what stands against more than that."""
        return await self._fate

    def _tell(self, accepted: bool | None, problem: str = "") -> None:
        # The event loop of a caller that went away may be closed.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._set, accepted, problem)

    def _set(self, accepted: bool | None, problem: str) -> None:
        # A caller that was cancelled waits no more.
        if not self._fate.done():
            self._fate.set_result((accepted, problem))
