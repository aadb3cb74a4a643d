"""The consumer's process: reads the streams and decodes them, without any code of the writer."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any
from typing import Final

import msgspec
import redis
from nautilus_trader.serialization.serializer import MsgSpecSerializer
from redis.backoff import NoBackoff
from redis.retry import Retry

from nautilus_enhanced.cli.demo.messages import ConsumerProgress
from nautilus_enhanced.cli.demo.messages import ConsumerRequest
from nautilus_enhanced.cli.demo.messages import ConsumerResult
from nautilus_enhanced.cli.demo.messages import fingerprint
from nautilus_enhanced.cli.demo.messages import to_line
from nautilus_enhanced.cli.demo.messages import write_tally


SCAN_INTERVAL_S: Final = 0.25
PROGRESS_INTERVAL_S: Final = 0.25
BLOCK_MS: Final = 100
COUNT: Final = 5_000
RETRY_INTERVAL_S: Final = 0.05
# For so long the server may be away before this gives up. Who asks it to finish has a server
# that is up, or is gone as well.
PATIENCE_S: Final = 15.0
FINISHING_PATIENCE_S: Final = 1.0
# Reads without anything new after which the streams count as read to the end.
QUIET_READS: Final = 3


class StreamReader:
    """
    Read all streams of a trader from their beginning, with plain XREAD.

    The position in each stream is the last entry that was taken, so that after an outage of the
    server reading goes on behind it: nothing is skipped and nothing taken twice.

    Parameters
    ----------
    request : ConsumerRequest
        The server and the trader.
    """

    def __init__(self, request: ConsumerRequest) -> None:
        # redis-py's types promise answers in more forms than these settings give.
        self._client: Any = redis.Redis.from_url(
            request.server_url,
            socket_timeout=10.0,
            # An outage is to be seen here: `run` tries again.
            retry=Retry(NoBackoff(), 0),
        )
        self._pattern = f"trader-{request.trader_id}:*"
        self._serializer = MsgSpecSerializer(encoding=msgspec.json, timestamps_as_str=True)
        self._positions: dict[bytes, bytes] = {}
        self._last_ts: dict[str, int] = {}
        self.tally: Counter[str] = Counter()
        self.by_type: Counter[str] = Counter()
        self.consumed = 0
        self.undecodable = 0
        self.out_of_order = 0

    @property
    def streams(self) -> int:
        """Return the number of streams found."""
        return len(self._positions)

    def find_streams(self) -> None:
        """Look for streams that are new."""
        for key in self._client.scan_iter(match=self._pattern, count=1_000):
            self._positions.setdefault(key, b"0-0")

    def read(self) -> int:
        """Read what is new, for at most a tenth of a second; return how much it was."""
        if not self._positions:
            time.sleep(BLOCK_MS / 1_000)
            return 0
        answer: Any = self._client.xread(self._positions, count=COUNT, block=BLOCK_MS)
        entries = 0
        for key, messages in answer or []:
            for entry_id, fields in messages:
                self._positions[key] = entry_id
                self._take(fields[b"topic"].decode(), fields[b"payload"])
                entries += 1
        return entries

    def _take(self, topic: str, payload: bytes) -> None:
        self.consumed += 1
        self.tally[fingerprint(topic, payload)] += 1
        if topic.startswith("health:"):
            return
        try:
            message: Any = self._serializer.deserialize(payload)
        except Exception:  # noqa: BLE001 (whatever it is, it is counted and fails the demo)
            self.undecodable += 1
            return
        self.by_type[type(message).__name__] += 1
        ts_init = getattr(message, "ts_init", 0)
        if topic.startswith("data.") and ts_init < self._last_ts.get(topic, 0):
            self.out_of_order += 1
        self._last_ts[topic] = ts_init


def run(request: ConsumerRequest) -> ConsumerResult:
    """Read until standard input ends, then to the end of the streams."""
    reader = StreamReader(request)
    finish = threading.Event()
    threading.Thread(target=_watch_stdin, args=(finish,), daemon=True).start()
    scan_at = progress_at = 0.0
    quiet = 0
    reconnects = 0
    lost_at: float | None = None
    while quiet < QUIET_READS:
        finishing = finish.is_set()
        now = time.monotonic()
        try:
            if finishing or now >= scan_at:
                reader.find_streams()
                scan_at = now + SCAN_INTERVAL_S
            entries = reader.read()
        except (redis.ConnectionError, redis.TimeoutError):
            lost_at = lost_at or now
            if now - lost_at > (FINISHING_PATIENCE_S if finishing else PATIENCE_S):
                raise
            time.sleep(RETRY_INTERVAL_S)
            continue
        reconnects += lost_at is not None
        lost_at = None
        quiet = quiet + 1 if finishing and not entries else 0
        if now >= progress_at:
            tell(to_line(ConsumerProgress(consumed=reader.consumed)))
            progress_at = now + PROGRESS_INTERVAL_S
    write_tally(Path(request.tally_path), dict(reader.tally))
    return ConsumerResult(
        consumed=reader.consumed,
        streams=reader.streams,
        by_type=dict(reader.by_type),
        undecodable=reader.undecodable,
        out_of_order=reader.out_of_order,
        reconnects=reconnects,
    )


def tell(line: str) -> None:
    """Write a line to the parent."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _watch_stdin(finish: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    finish.set()


if __name__ == "__main__":
    tell(to_line(run(msgspec.json.decode(sys.argv[1], type=ConsumerRequest))))
