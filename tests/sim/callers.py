"""Those who publish and wait for an acknowledgement: the client's coroutine, without a loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from typing import Any

from virtual_time import Found

from nautilus_enhanced.infrastructure.messagebus.errors import BufferFullError
from nautilus_enhanced.infrastructure.messagebus.errors import IndeterminateError
from nautilus_enhanced.infrastructure.messagebus.errors import NotAcceptedError
from nautilus_enhanced.infrastructure.messagebus.errors import NotConfirmedError


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Coroutine

    from ledger import Ledger
    from ledger import Message
    from virtual_time import Timeline

    from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority


class Caller:
    """
    Run one coroutine of `BufferedMessageBusClient.publish`, and be the event loop it knows.

    Parameters
    ----------
    timeline : Timeline
        When the coroutine goes on.
    ledger : Ledger
        Is told what the coroutine says.
    message : Message
        What is published.
    level : str
        The acknowledgement that is asked for.
    """

    def __init__(self, timeline: Timeline, ledger: Ledger, message: Message, level: str) -> None:
        self._timeline = timeline
        self._ledger = ledger
        self._message = message
        self._level = level
        self._waits_for: asyncio.Future[Any] | None = None
        self._coroutine: Coroutine[Any, Any, None] | None = None
        self.is_done = False
        # Whether its fate is known, though it may not have gone on yet.
        self.is_told = False

    def __repr__(self) -> str:
        return f"who waits for {self._message} to be {self._level}"

    def begin(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._coroutine = coroutine
        self._step()

    def _step(self) -> None:
        if self.is_done or (self._waits_for is not None and not self._waits_for.done()):
            return
        assert self._coroutine is not None
        asyncio._set_running_loop(self)
        try:
            self._waits_for = self._coroutine.send(None)
        except StopIteration:
            self._ledger.tell(self._message, True)
            self._message.is_promised = self._level == "fsynced"
        except BufferFullError:
            pass
        except NotConfirmedError:
            self._ledger.tell(self._message, True)
            if self._level == "accepted":
                raise Found(f"{self}: nobody asked for more") from None
        except NotAcceptedError:
            self._ledger.tell(self._message, False)
        except IndeterminateError:
            self._ledger.tell(self._message, None)
        else:
            return
        finally:
            asyncio._set_running_loop(None)
        self.is_done = self.is_told = True

    @property
    def waits_in(self) -> MessagePriority | None:
        """Return the lane that its message is in, if it waits for that to be accepted."""
        waits = self._level == "accepted" and not self.is_told
        return self._message.lane if waits else None

    # -- the event loop, as far as the client asks it --------------------------------------------

    def get_debug(self) -> bool:
        return False

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def call_soon_threadsafe(self, callback: Callable[..., Any], *args: Any) -> None:
        callback(*args)
        self.is_told = True
        self._timeline.after(0, self._step)

    def run_in_executor(self, _: None, callback: Callable[[], Any]) -> asyncio.Future[Any]:
        done = self.create_future()
        done.set_result(callback())
        return done
