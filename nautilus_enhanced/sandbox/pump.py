"""
Market events in time: when each is due, it is matched and sent.

A burst has to leave as a real venue's does, so what can be encoded before it is due is.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Final
from typing import TypeAlias

from nautilus_enhanced.sandbox.dialect import Dialect
from nautilus_enhanced.sandbox.dialect import MarketFrame
from nautilus_enhanced.sandbox.hub import SessionHub
from nautilus_enhanced.sandbox.market import MarketEvent
from nautilus_enhanced.sandbox.market import MarketSource
from nautilus_enhanced.sandbox.market import Quote


CHUNK_EVENTS: Final = 256
# Below this a timer is no more exact than going on at once.
TIMER_GRAIN_NS: Final = 500_000

# An event and its frame, or None where the frame can only be made when it is sent.
_Prepared: TypeAlias = tuple[MarketEvent, MarketFrame | None]

logger = logging.getLogger(__name__)


class MarketPump:
    """
    Play a market to a venue's sessions.

    Parameters
    ----------
    source : MarketSource
        The market.
    dialect : Dialect
        The venue's words.
    hub : SessionHub
        The venue's sessions.

    Attributes
    ----------
    bursts : int
        Times that two or more quotes were due at one instant.
    """

    def __init__(self, source: MarketSource, dialect: Dialect, hub: SessionHub) -> None:
        self.bursts = 0
        self._source = source
        self._dialect = dialect
        self._hub = hub
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """Return whether there is more to come."""
        return self._task is not None and not self._task.done()

    def begin(self) -> None:
        """Begin, unless it has begun."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop for good; stopping twice is fine."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            start_ns = time.monotonic_ns()
            since_turn = 0
            for due_ns, events in itertools.groupby(self._source, key=lambda event: event.due_ns):
                prepared = await self._prepare(events)
                wait_ns = start_ns + due_ns - time.monotonic_ns()
                since_turn += len(prepared)
                if wait_ns > TIMER_GRAIN_NS:
                    await asyncio.sleep(wait_ns / 1e9)
                    since_turn = 0
                elif since_turn > CHUNK_EVENTS:
                    await asyncio.sleep(0)
                    since_turn = 0
                self.bursts += sum(isinstance(event, Quote) for event, _ in prepared) > 1
                await self._send(prepared)
        except Exception:
            logger.exception("The market of %r has ended", self._source)
            raise

    async def _prepare(self, events: Iterable[MarketEvent]) -> list[_Prepared]:
        """Encode what is due next while there is still time, so that a burst leaves at once."""
        prepared: list[_Prepared] = []
        for event in events:
            prepared.append((event, self._dialect.prepare(event)))
            if len(prepared) % CHUNK_EVENTS == 0:
                await asyncio.sleep(0)
        return prepared

    async def _send(self, prepared: Sequence[_Prepared]) -> None:
        """Match and send the events of one instant, giving way only to a transport that asks."""
        waiting: list[MarketFrame] = []
        for event, encoded in prepared:
            frames, fills = self._dialect.on_event(event, encoded, time.time_ns())
            waiting += frames
            if fills or len(waiting) >= CHUNK_EVENTS:
                self._hub.write(waiting)
                self._hub.push(fills)
                waiting.clear()
                if self._hub.is_congested:
                    await asyncio.sleep(0)
        self._hub.write(waiting)
