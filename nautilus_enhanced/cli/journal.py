"""The command ``nt-enhanced journal``: what a node left on disk, and how it gets to the server."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Final

import click
import msgspec

from nautilus_enhanced.cli.app import EXIT_FAILED
from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus import DurabilitySettings
from nautilus_enhanced.infrastructure.messagebus import JournalError
from nautilus_enhanced.infrastructure.messagebus import StreamSettings
from nautilus_enhanced.infrastructure.messagebus.connection.urls import redact_url
from nautilus_enhanced.infrastructure.messagebus.journal import JournalContents
from nautilus_enhanced.infrastructure.messagebus.journal import inspect


if TYPE_CHECKING:
    from collections.abc import Sequence

    from nautilus_enhanced.infrastructure.messagebus import ClientStatistics


EXAMPLES: Final = """\b
Examples:
  nt-enhanced journal show
  nt-enhanced journal show TRADER-001-stream.journal --json
  nt-enhanced journal drain TRADER-001-stream.journal --redis-url redis://localhost:6379
  nt-enhanced journal drain TRADER-001-stream.journal --redis-url ... --dry-run
"""
_STEP_S: Final = 0.1
_CONNECT_S: Final = 5.0
_NS: Final = 1_000_000_000
_ENCODINGS: Final = {"Json": "json", "MsgPack": "msgpack"}


@click.group("journal", epilog=EXAMPLES)
def command() -> None:
    """
    Look into the journal of a node, and send what waits in it.

    A node sends by itself what it finds in its journal when it starts. This is for one that does
    not start again, or not with nt-enhanced.

    Exits with 0 if it is done; with 1 if messages are left; with 2 for bad input.
    """


@command.command("show")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option(
    "--json", "as_json", is_flag=True, help="Print a JSON list, one object for each file."
)
def show(*, files: Sequence[str], as_json: bool) -> None:
    """
    Tell what waits in journals, without taking them from a node that runs.

    Without a file: all journals in the folder where nodes keep them by default.
    """
    folder = DurabilitySettings().folder()
    paths = [Path(file) for file in files] or sorted(folder.glob("*.journal"))
    found = [inspect(path)[0] for path in paths]
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    if not found:
        click.echo(f"No journal in {folder}.")
    for contents in found:
        for line in describe(contents, time.time_ns()):
            click.echo(line)


def describe(contents: JournalContents, now_ns: int) -> list[str]:
    """Return what a person wants to know about a journal, line by line."""
    held = f", in use by process {contents.holder}" if contents.holder else ""
    lines = [
        f"{contents.path}: {contents.messages:,} messages of "
        f"{contents.trader_id or 'nobody'} wait, {contents.size_bytes:,} bytes{held}"
    ]
    for lane in contents.lanes:
        if lane.messages:
            age_s = max(0, now_ns - lane.oldest_ns) // _NS
            sent = f", {lane.maybe_sent:,} perhaps sent already" if lane.maybe_sent else ""
            lines.append(
                f"  {lane.priority:<8} {lane.messages:>12,}, the oldest {age_s:,} s old{sent}"
            )
    if contents.damaged:
        lines.append(f"  {contents.damaged:,} rows are damaged and cannot be sent")
    return lines


@command.command("drain")
@click.argument("file", metavar="FILE")
@click.option(
    "--redis-url",
    required=True,
    envvar="NT_ENHANCED_REDIS_URL",
    metavar="URL",
    help="The server that the node published to; the variable NT_ENHANCED_REDIS_URL keeps a "
    "password out of sight.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(1.0, 86_400.0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Give up when nothing was sent for so long.",
)
@click.option("--dry-run", is_flag=True, help="Only tell what would be sent.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def drain(*, file: str, redis_url: str, timeout_s: float, dry_run: bool, as_json: bool) -> None:
    """
    Send what waits in a journal to the streams that the node would have sent it to.

    What the node had begun to send is looked for first, so that nothing is there twice. What is
    not sent by the end stays in the journal, so that this may be repeated.
    """
    path = Path(file)
    contents, session = inspect(path)
    if contents.holder:
        raise JournalError(
            f"{path} is in use by process {contents.holder}: that process sends what waits in it"
        )
    if not as_json:
        for line in describe(contents, time.time_ns()):
            click.echo(line)
    if session is None or not contents.messages or dry_run:
        _tell(contents.messages, 0, 0, as_json=as_json, dry_run=dry_run)
        return
    client = BufferedMessageBusClient(
        redis_url,
        naming=session.naming,
        encoding=_ENCODINGS[session.encoding],  # type: ignore[arg-type]  # as it was written
        connection=ConnectionSettings(),
        streams=StreamSettings(close_timeout_ms=0),
        # Damaged rows are put aside by whoever opens it, and nothing new is written.
        durability=DurabilitySettings(),
        journal_path=path,
    )
    try:
        if not client.start(_CONNECT_S):
            raise JournalError(
                f"{redact_url(redis_url)} cannot be reached, and nothing was sent: "
                f"{client.statistics().last_error}"
            )
        _wait(client, timeout_s, quiet=as_json)
    finally:
        client.stop(1.0)
    figures = client.statistics()
    left = figures.journaled
    done = figures.acknowledged - figures.found_after_reconnect
    _tell(left, done, figures.found_after_reconnect, as_json=as_json, figures=figures)
    if left or figures.lost or figures.indeterminate:
        raise click.exceptions.Exit(EXIT_FAILED)


def _wait(client: BufferedMessageBusClient, timeout_s: float, *, quiet: bool) -> None:
    """Wait until nothing is left, or nothing was sent for too long; show how far it is."""
    figures = client.statistics()
    total = left = figures.journaled + figures.in_flight
    moved_at = time.monotonic()
    show_bar = not quiet and sys.stderr.isatty()
    with click.progressbar(
        length=total, label="Sending", file=sys.stderr, hidden=not show_bar
    ) as bar:
        while left and time.monotonic() - moved_at < timeout_s:
            time.sleep(_STEP_S)
            figures = client.statistics()
            now_left = figures.journaled + figures.in_flight
            if now_left != left:
                bar.update(left - now_left)
                left, moved_at = now_left, time.monotonic()


def _tell(
    left: int,
    sent: int,
    found: int,
    *,
    as_json: bool,
    dry_run: bool = False,
    figures: ClientStatistics | None = None,
) -> None:
    lost = 0 if figures is None else figures.lost
    unknown = 0 if figures is None else figures.indeterminate
    if as_json:
        outcome = {"sent": sent, "found": found, "left": left, "lost": lost, "unknown": unknown}
        click.echo(msgspec.json.encode(outcome).decode())
        return
    if dry_run or not (sent or found or left or lost or unknown):
        click.echo("Nothing was sent." if dry_run else "Nothing waits.")
        return
    click.echo(
        f"{sent:,} messages were sent, {found:,} were there already, {left:,} are left"
        f"{f', {lost:,} were refused by the server' if lost else ''}"
        f"{f', of {unknown:,} nobody can know' if unknown else ''}."
    )
