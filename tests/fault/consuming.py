"""
Processes that consume until they are ended, and write down what they handle, before and after.

Run: python consuming.py PORT LOG

For each line of NAME=VALUE on its input it forks one, which costs a hundredth of starting Python,
and answers the process ID.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

from consumers import CONNECTION
from consumers import SETTINGS
from consumers import consumer
from msgspec.structs import replace


if TYPE_CHECKING:
    from nautilus_enhanced.infrastructure.messagebus import StreamMessage


def consume(port: int, path: str, options: dict[str, str]) -> None:
    """Consume for as long as there is somebody to end us, and no longer than ten minutes."""
    parent = os.getppid()
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    me = os.getpid()
    pause_s = float(options.get("pause_s", 0))
    poison = options.get("poison", "")

    def write(what: str, message: StreamMessage) -> None:
        # One write is one line, whoever else writes, and outlives this process.
        line = f"{what} {me} {time.monotonic_ns()} {message.topic} {int(message.payload)}\n"
        os.write(log, line.encode())

    def handle(message: StreamMessage) -> None:
        write("begin", message)
        if poison and poison == f"{message.topic}:{int(message.payload)}":
            # A handler that takes all the memory does it after a while.
            time.sleep(10 * pause_s)
            os.kill(me, signal.SIGKILL)
        if pause_s:
            time.sleep(pause_s)
        write("end", message)

    settings = replace(
        SETTINGS,
        order=options.get("order", "topic"),  # type: ignore[arg-type]
        max_deliveries=int(options.get("max_deliveries", 5)),
        lease_ms=int(options.get("lease_ms", SETTINGS.lease_ms)),
    )
    connection = replace(
        CONNECTION, response_timeout_ms=int(options.get("response_timeout_ms", 1_000))
    )
    with consumer(
        port, handle, consumer=options.get("consumer"), settings=settings, connection=connection
    ):
        until = time.monotonic() + 600.0
        while time.monotonic() < until and os.getppid() == parent:
            time.sleep(0.05)


def main() -> None:
    """Fork until the input ends."""
    port, path = sys.argv[1:]
    # Who is ended is gone at once.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            consume(int(port), path, dict(one.split("=") for one in line.split()))
            os._exit(0)
        print(pid, flush=True)  # noqa: T201 (that is the answer)


if __name__ == "__main__":
    main()
