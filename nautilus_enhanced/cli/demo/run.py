"""One run of the demo: starts the processes, follows them, and gathers what they found."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

import msgspec
import redis

from nautilus_enhanced.cli.demo.chaos import Chaos
from nautilus_enhanced.cli.demo.chaos import ChaosEvent
from nautilus_enhanced.cli.demo.chaos_report import ChaosReport
from nautilus_enhanced.cli.demo.chaos_report import report_chaos
from nautilus_enhanced.cli.demo.errors import DemoTroubleError
from nautilus_enhanced.cli.demo.loopback import count_bursts
from nautilus_enhanced.cli.demo.loopback import measured_pushes
from nautilus_enhanced.cli.demo.loopback import start_venues
from nautilus_enhanced.cli.demo.messages import BusName
from nautilus_enhanced.cli.demo.messages import Comparison
from nautilus_enhanced.cli.demo.messages import ConsumerProgress
from nautilus_enhanced.cli.demo.messages import ConsumerRequest
from nautilus_enhanced.cli.demo.messages import ConsumerResult
from nautilus_enhanced.cli.demo.messages import NodeProgress
from nautilus_enhanced.cli.demo.messages import NodeRequest
from nautilus_enhanced.cli.demo.messages import NodeResult
from nautilus_enhanced.cli.demo.messages import compare
from nautilus_enhanced.cli.demo.messages import from_line
from nautilus_enhanced.cli.demo.messages import read_sequences
from nautilus_enhanced.cli.demo.messages import read_tally
from nautilus_enhanced.cli.demo.messages import tally_of
from nautilus_enhanced.cli.demo.outages import PublisherSample
from nautilus_enhanced.cli.demo.outages import plan_outages
from nautilus_enhanced.cli.demo.processes import Child
from nautilus_enhanced.cli.demo.processes import Family
from nautilus_enhanced.cli.demo.report import BusReport
from nautilus_enhanced.cli.demo.report import judge
from nautilus_enhanced.cli.demo.settings import DemoSettings
from nautilus_enhanced.cli.demo.streams import compare_streams
from nautilus_enhanced.cli.demo.streams import count_entries
from nautilus_enhanced.cli.demo.streams import read_streams
from nautilus_enhanced.infrastructure.messagebus.connection.urls import redact_url
from nautilus_enhanced.sandbox.embedded import EmbeddedServer


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator


# On top of the seconds asked for: imports, connecting, reconciliation, flushing, reading.
GRACE_S: Final = 90.0


class Progress(msgspec.Struct, kw_only=True):
    """What is known so far; shown while the demo runs."""

    bus: BusName
    seconds: float
    step: str = "starting"
    elapsed_s: float = 0.0
    node: NodeProgress | None = None
    consumed: int = 0
    # What was done to the server just now; only in the report that tells it.
    event: ChaosEvent | None = None


def run_bus(
    bus: BusName,
    settings: DemoSettings,
    on_progress: Callable[[Progress], None],
) -> BusReport:
    """
    Run venue, server, node and consumer on one bus, and return what came of it.

    Raises
    ------
    DemoTroubleError
        If a process could not be started or ended early.
    MissingExtraError, EmbeddedServerError
        If the embedded server could not be started.
    """
    try:
        return _run_bus(bus, settings, on_progress)
    except redis.RedisError as error:
        raise DemoTroubleError(f"the server gave no answer: {error}") from error


def _run_bus(
    bus: BusName,
    settings: DemoSettings,
    on_progress: Callable[[Progress], None],
) -> BusReport:
    with (
        tempfile.TemporaryDirectory(prefix="nt-enhanced-demo-") as folder,
        Family(Path(folder)) as family,
    ):
        return _Run(bus, settings, on_progress, Path(folder), family).run()


class _Run:
    """The state of one run."""

    def __init__(
        self,
        bus: BusName,
        settings: DemoSettings,
        on_progress: Callable[[Progress], None],
        folder: Path,
        family: Family,
    ) -> None:
        self._bus = bus
        self._settings = settings
        self._on_progress = on_progress
        self._folder = folder
        self._family = family
        self._progress = Progress(bus=bus, seconds=settings.seconds)
        # A name of its own, so that a shared server's other streams are left alone.
        self._trader_id = f"DEMO-{secrets.token_hex(3).upper()}"
        self._chaos: Chaos | None = None

    def run(self) -> BusReport:
        settings = self._settings
        with _server(settings) as (url, embedded):
            if settings.chaos and embedded is not None:
                planned = plan_outages(settings.seed, settings.seconds)
                self._chaos = Chaos(
                    embedded,
                    planned,
                    partial(count_entries, url, self._trader_id),
                    self._tell_event,
                )
            self._say("starting the venues" if len(settings.venues) > 1 else "starting the venue")
            venues = start_venues(self._family, settings)
            self._say("starting the node")
            consumer = self._family.start(
                "consumer",
                "nautilus_enhanced.cli.demo.consumer",
                _json(
                    ConsumerRequest(
                        trader_id=self._trader_id,
                        server_url=url,
                        tally_path=str(self._folder / "consumed.json"),
                    )
                ),
            )
            node = self._family.start(
                "node",
                "nautilus_enhanced.cli.demo.node",
                _json(
                    NodeRequest(
                        bus=self._bus,
                        trader_id=self._trader_id,
                        server_url=url,
                        venues=venues,
                        seconds=self._settings.seconds,
                        witness_path=str(self._folder / "published.json"),
                        log_dir=str(self._folder),
                        samples_path=self._samples_path if settings.chaos else None,
                    )
                ),
            )
            node_result = self._follow(node, NodeResult)
            if self._chaos is not None:
                self._chaos.end()
            self._say("reading the streams to their end")
            consumer.ask_to_finish()
            consumer_result = self._follow(consumer, ConsumerResult)
            pushes = measured_pushes(venues)
            comparison, chaos = self._compare(url, node_result, consumer_result, pushes)
            if settings.redis_url is not None:
                _remove_streams(url, self._trader_id)
            return judge(
                bus=self._bus,
                server="embedded" if settings.redis_url is None else redact_url(url),
                seconds=settings.seconds,
                node=node_result,
                consumer=consumer_result,
                comparison=comparison,
                pushes=pushes,
                bursts=count_bursts(venues),
                chaos=chaos,
            )

    def _compare(
        self,
        url: str,
        node: NodeResult,
        consumer: ConsumerResult,
        pushes: dict[str, list[dict[str, Any]]],
    ) -> tuple[Comparison, ChaosReport | None]:
        """Hold what arrived against what was published, and say what outages did."""
        published = read_sequences(self._folder / "published.json")
        consumed = read_tally(self._folder / "consumed.json")
        if self._chaos is None:
            return compare(tally_of(published), consumed), None
        # The streams tell what arrived; the consumer had outages of its own.
        stored = read_streams(url, self._trader_id)
        report = report_chaos(
            outages=self._chaos.outages,
            samples=self._samples(),
            arrivals_ns=stored.arrivals_ns(),
            stored=stored.tally,
            consumed=consumed,
            node=node,
            consumer=consumer,
            pushes=[push for of_venue in pushes.values() for push in of_venue],
        )
        return compare_streams(published, stored.by_topic), report

    def _say(self, step: str) -> None:
        self._progress.step = step
        self._on_progress(self._progress)

    def _tell_event(self, event: ChaosEvent) -> None:
        self._progress.event = event
        self._on_progress(self._progress)
        self._progress.event = None

    @property
    def _samples_path(self) -> str:
        return str(self._folder / "samples.json")

    def _samples(self) -> list[PublisherSample]:
        """Return the publisher's figures; none on the stock bus."""
        path = Path(self._samples_path)
        if not path.exists():
            return []
        return msgspec.json.decode(path.read_bytes(), type=list[PublisherSample])

    def _follow(self, child: Child, result: type[Any]) -> Any:
        """Show progress until `child` has sent its result."""
        deadline = time.monotonic() + self._settings.seconds + GRACE_S
        answer: Any = None
        while time.monotonic() < deadline:
            timeout_s = 0.5
            if self._chaos is not None:
                self._chaos.act()
                timeout_s = min(timeout_s, self._chaos.due_in_s())
            line = self._family.next_line(timeout_s)
            if line is None:
                continue
            if line.text is None:
                if line.child is child and answer is not None:
                    return answer
                raise DemoTroubleError(_ending(line.child))
            message = from_line(line.text)
            if isinstance(message, result):
                # The child still has to end by itself: what it left undone would show there.
                answer = message
            elif isinstance(message, NodeProgress):
                self._progress.node = message
                self._progress.elapsed_s = message.elapsed_s
                if self._chaos is not None:
                    self._chaos.begin(message.elapsed_s)
                self._say("trading")
            elif isinstance(message, ConsumerProgress):
                self._progress.consumed = message.consumed
                self._say(self._progress.step)
        raise DemoTroubleError(f"the {child.name} process did not finish in time")


@contextlib.contextmanager
def _server(settings: DemoSettings) -> Iterator[tuple[str, EmbeddedServer | None]]:
    """Give the URL of a server that answers: the user's, or an embedded one, and that one."""
    redis_url = settings.redis_url
    if redis_url is None:
        # What it confirmed before it is killed has to be there after it.
        with EmbeddedServer(appendonly=settings.chaos, appendfsync="always") as server:
            yield server.url, server
        return
    try:
        client = redis.Redis.from_url(redis_url, socket_timeout=3.0, socket_connect_timeout=3.0)
        client.ping()
    except (redis.RedisError, ValueError) as error:
        raise DemoTroubleError(
            f"`--redis-url` {redact_url(redis_url)} does not answer: {error}. Start the server, "
            "or leave the option out for an embedded one",
        ) from error
    yield redis_url, None


def _remove_streams(url: str, trader_id: str) -> None:
    """Remove the run's own streams from a server that is not ours."""
    client = redis.Redis.from_url(url)
    for key in client.scan_iter(match=f"trader-{trader_id}:*", count=1_000):
        client.unlink(key)


def _json(request: msgspec.Struct) -> str:
    return msgspec.json.encode(request).decode()


def _ending(child: Child) -> str:
    """Say how a child ended that should not have."""
    last = [line for line in child.errors().splitlines() if line.strip()][-1:]
    code = child.process.returncode
    return f"the {child.name} process ended early (exit code {code}): {''.join(last) or 'no word'}"
