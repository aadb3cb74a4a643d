"""
A process that publishes until it is killed, and writes down what it does before it does it.

Run: python producer.py PORT LOG
"""

from __future__ import annotations

import os
import sys
from typing import Any

from checker import Published
from checker import identity_of
from load import Asker
from load import Load
from load import make_client


class Log:
    """Write lines of event, topic and identity, unbuffered: they outlive this process."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, event: bytes, topic: str, identity: bytes) -> None:
        os.write(self._file, b"%b %b %b\n" % (event, topic.encode(), identity))


class LoggingClient:
    """The client, as `Load` uses it."""

    def __init__(self, client: Any, log: Log) -> None:
        self._client = client
        self._log = log
        self.start = client.start

    def offer(self, topic: str, payload: bytes) -> bool:
        self._log.write(b"put", topic, identity_of(payload))
        return bool(self._client.offer(topic, payload))


class LoggedBegun(list[bytes]):
    """What an `Asker` has begun."""

    def __init__(self, level: str, log: Log) -> None:
        self._topic = Asker.topic(level)
        self._log = log

    def append(self, identity: bytes) -> None:
        self._log.write(b"begun", self._topic, identity)


class LoggedCalls(list[Published]):
    """What an `Asker` was told."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def append(self, call: Published) -> None:
        if call.outcome == "given":
            self._log.write(b"given", call.topic, call.identity)


def main() -> None:
    """Publish for as long as there is somebody to kill us, and no longer than a minute."""
    port, path = sys.argv[1:]
    log = Log(path)
    client = make_client(int(port))
    load = Load(LoggingClient(client, log), "killed")  # type: ignore[arg-type]
    asker = Asker(client, ("accepted",), "killed")
    asker.begun = {level: LoggedBegun(level, log) for level in asker.levels}  # type: ignore[misc]
    asker.calls = LoggedCalls(log)
    load.start()
    asker.start()
    load.join(60.0)


if __name__ == "__main__":
    main()
