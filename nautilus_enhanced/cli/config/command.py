"""The command ``nt-enhanced config``."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

import click
import msgspec

from nautilus_enhanced.cli.app import EXIT_BAD_INPUT
from nautilus_enhanced.cli.app import EXIT_FAILED
from nautilus_enhanced.cli.config.checking import CheckResult
from nautilus_enhanced.cli.config.checking import check_text
from nautilus_enhanced.cli.config.files import backups
from nautilus_enhanced.cli.config.files import keep_backup
from nautilus_enhanced.cli.config.files import read_text
from nautilus_enhanced.cli.config.files import write_text
from nautilus_enhanced.common.features import KILL_SWITCH
from nautilus_enhanced.config import PRESETS
from nautilus_enhanced.migration import FileChange
from nautilus_enhanced.migration import migrate_text
from nautilus_enhanced.migration import revert_text
from nautilus_enhanced.migration.json_text import redact_text


if TYPE_CHECKING:
    from nautilus_enhanced.config import PresetName


COLOURS: Final = {"+": "green", "-": "red", "@": "cyan"}

EXAMPLES: Final = """\b
Examples:
  nt-enhanced config check node.json
  nt-enhanced config migrate node.json --publisher-only --dry-run
  nt-enhanced config migrate node.json --preset production --in-place
  nt-enhanced config revert node.json --in-place
"""


class FileResult(msgspec.Struct, frozen=True, kw_only=True):
    """
    What was done with a file.

    Attributes
    ----------
    file : str
        The file's name.
    changed : bool
        Whether the new text is another.
    diff : str
        The difference, redacted.
    notes : tuple[str, ...]
        What else is to be known.
    written, backup : str, optional
        Where the new text is, and where the one is that was there before.
    way_back : str
        How to undo it.
    """

    file: str
    changed: bool
    diff: str
    notes: tuple[str, ...] = ()
    written: str | None = None
    backup: str | None = None
    way_back: str = ""


@click.group("config", epilog=EXAMPLES)
def command() -> None:
    """
    Check a node's JSON file, bring it to the enhanced bus, and back.

    FILE is the JSON of a TradingNodeConfig. Nothing connects to a server or a venue, and no
    password is shown.

    Exits with 0 if all is well; with 1 if something is not, as each command says; with 2 for bad
    input.
    """


FILE_ARGUMENT = click.argument("file", type=click.Path(path_type=Path))
JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Write the result as JSON.")


def _writing_options(function: Callable[..., None]) -> Callable[..., None]:
    for option in (
        JSON_OPTION,
        click.option("--force", is_flag=True, help="Let --output overwrite; a backup is kept."),
        click.option(
            "--output", metavar="OUT", help="Write the result to OUT, which must not exist; - for "
            "stdout.",
        ),
        click.option(
            "--in-place", is_flag=True, help="Overwrite FILE; a backup is kept as FILE.1.bak."
        ),
        click.option("--dry-run", is_flag=True, help="Show what would change, write nothing."),
    ):  # fmt: skip
        function = option(function)
    return function


# -- check ---------------------------------------------------------------------------------------


@command.command("check")
@FILE_ARGUMENT
@JSON_OPTION
def check(file: Path, *, as_json: bool) -> None:
    """
    Say whether FILE is right, and what a node with it will run on this machine.

    Exits with 0 if all that is switched on will run (a stock file included), with 1 if FILE is
    right but something cannot run here, with 2 if FILE is wrong or cannot be read.
    """
    result = check_text(str(file), read_text(file))
    if as_json:
        _echo_json(result)
    else:
        _print_check(result)
    if not result.valid:
        raise SystemExit(EXIT_BAD_INPUT)
    if result.problems:
        raise SystemExit(EXIT_FAILED)


def _print_check(result: CheckResult) -> None:
    if result.valid:
        click.echo(f"{result.file}: a node with the {result.bus} bus")
        click.echo(f"  NautilusTrader {result.nautilus_trader}")
        if result.bus == "enhanced":
            click.echo(f"  server: {result.server or 'none, so nothing is published'}")
            for state in result.features:
                click.secho(f"  {state}", fg="green" if state.active else None)
        else:
            click.echo(
                f"  `nt-enhanced config migrate {shlex.quote(result.file)} --dry-run` shows what "
                "the enhanced bus would change"
            )
    for problem in result.problems:
        click.secho(f"Problem: {problem}", fg="red")
    if not result.problems:
        click.secho("OK", fg="green", bold=True)


# -- migrate and revert --------------------------------------------------------------------------


@command.command("migrate")
@FILE_ARGUMENT
@click.option(
    "--preset", type=click.Choice(list(PRESETS)), help="Fill in a preset where FILE says nothing."
)
@click.option("--publisher-only", is_flag=True, help="Leave engines and serializer stock.")
@_writing_options
def migrate(file: Path, *, preset: PresetName | None, publisher_only: bool, **options: Any) -> None:
    """
    Bring FILE to the enhanced bus: show the difference, and write it where it is asked for.

    Every stock field stays. Without --dry-run, --in-place or --output nothing is written and the
    exit code is 2; it is 0 if FILE needs no change.
    """
    text = read_text(file)
    change = migrate_text(text, preset=preset, publisher_only=publisher_only)
    name = shlex.quote(str(file))
    target = "OUT" if options["output"] in {None, "-"} else shlex.quote(options["output"])
    way_back = (
        f"`nt-enhanced config revert {name} --in-place`"
        if options["in_place"] or options["output"] is None
        else f"{name} is as it was; `nt-enhanced config revert {target}` makes another one"
    )
    _deliver(
        file,
        text,
        change,
        way_back=f"{way_back}; for one run {KILL_SWITCH}=1 in the node's environment",
        after="Read the file with `nautilus_enhanced.parse_node_config`: it reads stock ones too.",
        **options,
    )


@command.command("revert")
@FILE_ARGUMENT
@_writing_options
def revert(file: Path, **options: Any) -> None:
    """
    Bring FILE back to the stock bus.

    Gives back the original to the byte if only our settings were touched since, from the backup
    that `migrate --in-place` kept or by taking out what it put in. What is lost is said.
    Without --dry-run, --in-place or --output nothing is written and the exit code is 2.
    """
    text = read_text(file)
    change = revert_text(text, backups(file))
    _deliver(
        file,
        text,
        change,
        way_back="the backup, or `nt-enhanced config migrate` once more",
        after="",
        **options,
    )


def _deliver(
    file: Path,
    text: str,
    change: FileChange,
    *,
    way_back: str,
    after: str,
    dry_run: bool,
    in_place: bool,
    output: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Show what changes, and write it where it was asked for."""
    target = _target(file, in_place=in_place, output=output, force=force)
    to_stdout = output == "-"
    if to_stdout and as_json:
        raise click.UsageError("--json and --output - both want standard output; take one of them")
    changed = change.text != text
    written, backup = None, None
    if target is not None and not dry_run and (changed or not in_place):
        backup = keep_backup(target) if target.exists() else None
        write_text(target, change.text, like=file)
        written = target
    result = FileResult(
        file=str(file),
        changed=changed,
        diff=_diff(file, text, change.text),
        notes=change.notes,
        written=None if written is None else str(written),
        backup=None if backup is None else str(backup),
        way_back=way_back if changed else "",
    )
    if as_json:
        _echo_json(result)
    else:
        _print_result(result, after, to_stderr=to_stdout)
    if to_stdout and not dry_run:
        click.echo(change.text, nl=False)
    elif changed and target is None and not dry_run:
        click.echo(
            "Nothing was written: say --in-place (a backup is kept), --output OUT, or --dry-run.",
            err=True,
        )
        raise SystemExit(EXIT_BAD_INPUT)


def _target(file: Path, *, in_place: bool, output: str | None, force: bool) -> Path | None:
    if in_place and output is not None:
        raise click.UsageError("--in-place and --output both say where to write; take one of them")
    if in_place:
        return file
    if output is None or output == "-":
        return None
    target = Path(output)
    if target.resolve() == file.resolve():
        raise click.BadParameter("it is FILE; say --in-place", param_hint="--output")
    if target.exists() and not force:
        raise click.BadParameter(
            f"{output!r} is there already; --force overwrites it and keeps a backup",
            param_hint="--output",
        )
    return target


def _print_result(result: FileResult, after: str, *, to_stderr: bool) -> None:
    for line in result.diff.splitlines():
        bold = line.startswith(("+++", "---"))
        # click leaves colours out where its output is no terminal.
        click.secho(line, fg=None if bold else COLOURS.get(line[:1]), bold=bold, err=to_stderr)
    if not result.changed:
        click.echo(f"{result.file}: nothing to change.", err=to_stderr)
    for note in result.notes:
        click.echo(f"Note: {note}", err=to_stderr)
    if result.written is not None:
        kept = "" if result.backup is None else f"; what was there is in {result.backup}"
        click.echo(f"Wrote {result.written}{kept}.", err=to_stderr)
    if result.way_back:
        click.echo(f"The way back: {result.way_back}.", err=to_stderr)
        if after:
            click.echo(after, err=to_stderr)


def _diff(file: Path, before: str, after: str) -> str:
    lines = difflib.unified_diff(
        redact_text(before).splitlines(),
        redact_text(after).splitlines(),
        f"{file} (before)",
        f"{file} (after)",
        lineterm="",
    )
    return "\n".join(lines)


def _echo_json(result: msgspec.Struct) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(result)).decode())
