"""The clock of the operating system."""

from __future__ import annotations

import time


class SystemClock:
    """Read the operating system's clocks."""

    __slots__ = ()

    monotonic_ns = staticmethod(time.monotonic_ns)
    time_ns = staticmethod(time.time_ns)
