"""
How many workers a subscription should have, from how busy they are and how much waits.

Without I/O and without a clock: what was measured goes in, a number comes out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec


if TYPE_CHECKING:
    from nautilus_enhanced.infrastructure.messagebus.settings.publishing import WorkerSettings


class WorkerLoad(msgspec.Struct, frozen=True, kw_only=True):
    """
    What workers did in a window of time.

    Attributes
    ----------
    workers : int
        How many there were.
    busy_ns : int
        Nanoseconds that they were busy, all of them together.
    window_ns : int
        The length of the window.
    waiting : int
        Messages that wait for one of them at its end.
    unchanged_ns : int
        Nanoseconds since their number was last changed.
    """

    workers: int
    busy_ns: int
    window_ns: int
    waiting: int
    unchanged_ns: int

    @property
    def utilisation(self) -> float:
        """Return the share of their time that they were busy: 0 to 1."""
        return min(1.0, self.busy_ns / (self.workers * self.window_ns))


def wanted_workers(load: WorkerLoad, settings: WorkerSettings) -> int:
    """
    Return how many workers there should be.

    One more at a time, where all are busy or too much waits; one fewer, where most are idle,
    nothing waits, and those that are left would not be busy enough to bring it back at once. No
    change follows another one within the cooldown.

    Parameters
    ----------
    load : WorkerLoad
        What they did.
    settings : WorkerSettings
        The bounds.
    """
    bounded = max(settings.min_workers, min(load.workers, settings.max_workers))
    if bounded != load.workers:
        return bounded
    if load.unchanged_ns < settings.cooldown_ms * 1_000_000:
        return load.workers
    is_behind = load.waiting > settings.waiting_per_worker * load.workers
    if load.utilisation >= settings.scale_up_at or is_behind:
        return min(load.workers + 1, settings.max_workers)
    if load.workers > settings.min_workers and load.utilisation <= settings.scale_down_at:
        after = load.utilisation * load.workers / (load.workers - 1)
        if not load.waiting and after < settings.scale_up_at:
            return load.workers - 1
    return load.workers
