"""The command ``nt-enhanced demo``."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any
from typing import Final
from typing import Literal
from typing import cast

import click
import msgspec

from nautilus_enhanced.cli.app import EXIT_FAILED
from nautilus_enhanced.cli.demo.chaos import ChaosEvent
from nautilus_enhanced.cli.demo.messages import BusName
from nautilus_enhanced.cli.demo.messages import NodeProgress
from nautilus_enhanced.cli.demo.outages import MIN_TRADING_S
from nautilus_enhanced.cli.demo.report import BusReport
from nautilus_enhanced.cli.demo.report import judged
from nautilus_enhanced.cli.demo.report import table
from nautilus_enhanced.cli.demo.report import verdict
from nautilus_enhanced.cli.demo.run import Progress
from nautilus_enhanced.cli.demo.run import run_bus
from nautilus_enhanced.cli.demo.settings import DemoSettings
from nautilus_enhanced.cli.demo.venues import ALL
from nautilus_enhanced.cli.demo.venues import DEMO_VENUES
from nautilus_enhanced.cli.demo.venues import check_clients
from nautilus_enhanced.cli.demo.venues import selected
from nautilus_enhanced.infrastructure.messagebus.connection.urls import EMBEDDED
from nautilus_enhanced.infrastructure.messagebus.connection.urls import check_url


PLAIN_INTERVAL_S: Final = 2.0

EXAMPLES: Final = """\b
Examples:
  nt-enhanced demo
  nt-enhanced demo --bus both --seconds 20
  nt-enhanced demo --venue all --bus both
  nt-enhanced demo --replay quotes.parquet --json demo.json
  nt-enhanced demo --redis-url redis://localhost:6379/0
  nt-enhanced demo --chaos --seconds 30
"""


class ProgressPrinter:
    """Show progress: one line that changes on a terminal, a line every two seconds elsewhere."""

    def __init__(self, *, to_stderr: bool = False) -> None:
        self._to_stderr = to_stderr
        self._is_terminal = (sys.stderr if to_stderr else sys.stdout).isatty()
        self._printed_at = 0.0
        self._step = ""
        self._width = 0

    def __call__(self, progress: Progress) -> None:
        """Show it."""
        if progress.event is not None:
            self._show_event(progress, progress.event)
            return
        text = self._text(progress)
        if self._is_terminal:
            self._width = max(self._width, len(text))
            click.echo(f"\r{text:<{self._width}}", nl=False, err=self._to_stderr)
            return
        now = time.monotonic()
        if progress.step != self._step or now - self._printed_at >= PLAIN_INTERVAL_S:
            self._step, self._printed_at = progress.step, now
            click.echo(text, err=self._to_stderr)

    def done(self) -> None:
        """End the line that changes."""
        if self._is_terminal and self._width:
            click.echo(err=self._to_stderr)
            self._width = 0

    def _show_event(self, progress: Progress, event: ChaosEvent) -> None:
        """Show it on a line of its own, above the line that changes."""
        text = f"{progress.bus}: {event_text(event, progress.node)}"
        start = "\r" if self._is_terminal else ""
        colour = "red" if event.kind == "killed" else "green"
        # click leaves the colour out where its output is no terminal.
        click.secho(f"{start}{text:<{self._width}}", fg=colour, err=self._to_stderr)

    def _text(self, progress: Progress) -> str:
        node = progress.node
        if node is None:
            return f"{progress.bus}: {progress.step}"
        return (
            f"{progress.bus}: {progress.step} {progress.elapsed_s:4.0f}/{progress.seconds:.0f} s  "
            f"quotes {node.quotes:,}  trades {node.trades:,}  "
            f"orders {node.orders_submitted:,} ({node.orders_filled:,} filled)  "
            f"published {node.published:,}  consumed {progress.consumed:,}"
        )


def event_text(event: ChaosEvent, node: NodeProgress | None) -> str:
    """Return what to say of a kill or restart, with what the node last said."""
    text = f"{event.elapsed_s:6.1f} s  outage {event.number}/{event.of}: "
    if event.kind == "killed":
        return f"{text}server killed (pid {event.pid}), for {event.down_s:.1f} s"
    text += f"server back (pid {event.pid}) after {event.down_s:.1f} s"
    if node is not None and node.waiting is not None:
        text += f", {node.waiting:,} messages waited"
    return text


@click.command("demo", epilog=EXAMPLES, context_settings={"show_default": True})
@click.option(
    "--seconds",
    type=click.FloatRange(1, 3_600),
    default=15.0,
    help="For how long the strategy trades on each bus.",
)
@click.option(
    "--venue",
    type=click.Choice([*DEMO_VENUES, ALL]),
    default="binance",
    help="Whose protocol the venue speaks, on this machine; with `all` one node trades on each.",
)
@click.option(
    "--redis-url",
    metavar="URL",
    help="Use this server, such as redis://localhost:6379/0.  [default: an embedded Valkey]",
)
@click.option(
    "--bus",
    type=click.Choice(["stock", "enhanced", "both"]),
    help=(
        "The bus of the node; both runs one after the other.  "
        "[default: enhanced; with --chaos both]"
    ),
)
@click.option(
    "--chaos",
    is_flag=True,
    show_default=False,
    help=(
        "Kill the embedded server (SIGKILL) about every 2 to 3 s, restart it 0.5 to 2 s later, and "
        "compare what is in the streams at the end with what was published."
    ),
)
@click.option(
    "--replay",
    metavar="FILE",
    help="Replay a recording (.parquet or .csv).  [default: a generated market with bursts]",
)
@click.option(
    "--speed",
    type=click.FloatRange(0.01, 100_000),
    default=1.0,
    help="How many times faster to replay.",
)
@click.option(
    "--symbol",
    metavar="BASE/QUOTE",
    help="What the recording is of, where the file does not say it, such as EUR/USD.",
)
@click.option(
    "--seed", default=1, help="Selects the course of the generated market and of --chaos."
)
@click.option(
    "--burst-size",
    type=click.IntRange(0, 100_000),
    default=1_000,
    help="Quotes that the generated market sends at once, once a second.",
)
@click.option(
    "--venue-port",
    type=click.IntRange(0, 65_535),
    default=0,
    help="Port of the loopback venue, 0 for any free one; not with `--venue all`.",
)
@click.option("--json", "json_path", metavar="FILE", help="Write the result as JSON; - for stdout.")
def command(
    *,
    seconds: float,
    venue: str,
    venue_port: int,
    redis_url: str | None,
    bus: Literal["stock", "enhanced", "both"] | None,
    replay: str | None,
    json_path: str | None,
    chaos: bool,
    **options: Any,
) -> None:
    """
    Watch a live node trade over the enhanced bus, on this machine alone.

    Starts a venue that speaks the protocol of a real one, a Valkey server, a real TradingNode
    with NautilusTrader's own clients for that venue and a small strategy, and a consumer that
    decodes the streams back into NautilusTrader's objects. Nothing leaves this machine and no
    keys are needed.

    Exits with 0 only if orders were filled and no message was lost or doubled; with 1 if not,
    with 2 if it could not be run. With --chaos the enhanced bus alone decides: what the stock
    bus loses is shown beside it.
    """
    if redis_url is not None:
        if redis_url == EMBEDDED:
            redis_url = None
        else:
            check_url("--redis-url", redis_url)
    check_chaos(redis_url, seconds, chaos=chaos)
    check_port(venue, venue_port)
    check_readable(replay)
    check_writable(json_path)
    settings = DemoSettings(
        seconds=seconds,
        venues=selected(venue),
        venue_port=venue_port,
        redis_url=redis_url,
        replay=replay,
        chaos=chaos,
        **options,
    )
    check_clients(settings.venues)
    # A terminal that closes and a `kill` end the demo as Ctrl-C does: children first.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    bus = bus or ("both" if chaos else "enhanced")
    buses = ("stock", "enhanced") if bus == "both" else (bus,)
    # With the result on standard output, what is for people goes beside it.
    to_stderr = json_path == "-"
    reports = []
    for name in buses:
        printer = ProgressPrinter(to_stderr=to_stderr)
        try:
            reports.append(run_bus(cast("BusName", name), settings, printer))
        finally:
            printer.done()
    _print_summary(reports, to_stderr=to_stderr)
    if json_path is not None:
        _write_json(json_path, reports, both=bus == "both")
    if not all(report.ok for report in judged(reports)):
        raise SystemExit(EXIT_FAILED)


def check_chaos(redis_url: str | None, seconds: float, *, chaos: bool) -> None:
    """
    Refuse outages of a server that is not ours, and a run too short for one.

    Raises
    ------
    click.BadParameter
        If the options do not go together.
    """
    if not chaos:
        return
    if redis_url is not None:
        raise click.BadParameter(
            "it kills the server, and one of your own, which others may use and which may not "
            "keep its data, is not the demo's to kill; leave out `--redis-url` for an embedded one",
            param_hint="--chaos",
        )
    if seconds < MIN_TRADING_S:
        raise click.BadParameter(
            f"outages need `--seconds` {MIN_TRADING_S:.0f} or more, was {seconds:g}: one fits in "
            "only then",
            param_hint="--chaos",
        )


def check_port(venue: str, port: int) -> None:
    """
    Refuse one port for several venues.

    Raises
    ------
    click.BadParameter
        If there are several.
    """
    if port and len(selected(venue)) > 1:
        raise click.BadParameter(
            f"one port cannot be that of several venues, was {port}; leave it out, or name one "
            "venue by `--venue`",
            param_hint="--venue-port",
        )


def check_readable(path: str | None) -> None:
    """
    Refuse a recording that is not there, before anything is started.

    Raises
    ------
    click.BadParameter
        If the file cannot be read.
    """
    if path is not None and not (Path(path).is_file() and os.access(path, os.R_OK)):
        raise click.BadParameter(
            f"{path!r} is not a file that can be read; give a .parquet or .csv recording",
            param_hint="--replay",
        )


def check_writable(path: str | None) -> None:
    """
    Refuse a result file that cannot be written, before anything is started.

    Raises
    ------
    click.BadParameter
        If the folder is missing or the file cannot be written.
    """
    if path is None or path == "-":
        return
    target = Path(path)
    writable = os.access(target if target.exists() else target.parent, os.W_OK)
    if target.is_dir() or not target.parent.is_dir() or not writable:
        raise click.BadParameter(
            f"{path!r} cannot be written; name a file in a folder that exists and is yours",
            param_hint="--json",
        )


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _print_summary(reports: list[BusReport], *, to_stderr: bool) -> None:
    rows = table(reports)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    click.echo(err=to_stderr)
    for row in rows:
        cells = [f"{row[0]:<{widths[0]}}"]
        cells += [f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True)]
        click.echo("  ".join(cells).rstrip(), err=to_stderr)
    click.echo(err=to_stderr)
    # click leaves the colour out where its output is no terminal.
    ok = all(report.ok for report in judged(reports))
    click.secho(verdict(reports), fg="green" if ok else "red", bold=True, err=to_stderr)


def _write_json(path: str, reports: list[BusReport], *, both: bool) -> None:
    result: Any = {report.bus: report for report in reports} if both else reports[0]
    text = msgspec.json.format(msgspec.json.encode(result)).decode()
    if path == "-":
        click.echo(text)
    else:
        Path(path).write_text(f"{text}\n")
