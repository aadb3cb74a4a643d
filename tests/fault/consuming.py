"""
A process that consumes until it is ended, and writes down what it handles, before and after.

Run: python consuming.py PORT LOG [NAME=VALUE ...]
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

from consumers import SETTINGS
from consumers import consumer
from msgspec.structs import replace


if TYPE_CHECKING:
    from nautilus_enhanced.infrastructure.messagebus import StreamMessage


def main() -> None:
    """Consume for as long as there is somebody to end us, and no longer than two minutes."""
    port, path, *rest = sys.argv[1:]
    options = dict(one.split("=") for one in rest)
    parent = os.getppid()
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    me = options.get("consumer") or str(os.getpid())
    pause_s = float(options.get("pause_s", 0))
    poison = options.get("poison", "").encode()

    def write(what: str, message: StreamMessage) -> None:
        # One write is one line, whoever else writes, and outlives this process.
        line = f"{what} {me} {time.monotonic_ns()} {message.topic} {int(message.payload)}\n"
        os.write(log, line.encode())

    def handle(message: StreamMessage) -> None:
        write("begin", message)
        if message.payload == poison:
            os.kill(os.getpid(), signal.SIGKILL)
        if pause_s:
            time.sleep(pause_s)
        write("end", message)

    settings = replace(
        SETTINGS,
        order=options.get("order", "topic"),  # type: ignore[arg-type]
        max_deliveries=int(options.get("max_deliveries", 5)),
        lease_ms=int(options.get("lease_ms", SETTINGS.lease_ms)),
    )
    with consumer(int(port), handle, consumer=options.get("consumer"), settings=settings):
        until = time.monotonic() + 120.0
        while time.monotonic() < until and os.getppid() == parent:
            time.sleep(0.05)


if __name__ == "__main__":
    main()
