"""The command ``nt-enhanced support-bundle``."""

from __future__ import annotations

import os
import zipfile
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any
from typing import Final

import click
import msgspec

from nautilus_enhanced.cli import support_facts
from nautilus_enhanced.cli.app import EXIT_FAILED
from nautilus_enhanced.common.redaction import Redactor
from nautilus_enhanced.common.redaction import secrets_in
from nautilus_enhanced.common.redaction import secrets_of_environment
from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError


EXAMPLES: Final = """\b
Examples:
  nt-enhanced support-bundle
  nt-enhanced support-bundle --config node.json
  nt-enhanced support-bundle --config node.json --output for-support.zip
"""
WHAT: Final = {
    "versions": "versions of nt-enhanced, NautilusTrader and Python",
    "platform": "operating system and kind of machine, no names",
    "packages": "versions of the packages that matter",
    "patches": "what was checked in NautilusTrader, and what was not as expected",
    "configuration": "the bus configuration, secrets hidden",
    "features": "what would run on a node with it, and why or why not",
    "server": "what the server tells about itself, as far as it names nobody",
    "journals": "how much waits in the journals on this machine, no messages",
}


@click.command("support-bundle", epilog=EXAMPLES)
@click.option(
    "--output",
    metavar="FILE.zip",
    help="Where to write it; a file that is there is not replaced.  "
    "[default: nt-enhanced-support-<time>.zip]",
)
@click.option(
    "--config",
    metavar="FILE",
    help="A node's configuration, or only its `message_bus`, as JSON.  [default: the defaults]",
)
def command(*, output: str | None, config: str | None) -> None:
    """
    Collect what is needed to help, in one file without secrets.

    With a configuration, its server is asked once for INFO. Passwords, the logins of URLs and
    the values of environment variables that look like secrets are hidden, and the finished file
    is read again to see that none is left. Look into it before you send it all the same.

    Exits with 0 if it was written; with 1 if a secret was left, and then nothing is written;
    with 2 if a file cannot be read or written.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    path = Path(output or f"nt-enhanced-support-{stamp}.zip")
    sections, redactor = collect(None if config is None else Path(config), dict(os.environ))
    files = {f"{name}.json": _json(content) for name, content in sections.items()}
    files["README.txt"] = _readme(stamp).encode()
    _write(path, files)
    left = secrets_left(path, redactor)
    if left:
        path.unlink()
        click.echo(f"A secret was left in {', '.join(left)}: nothing was written.", err=True)
        raise click.exceptions.Exit(EXIT_FAILED)
    click.echo(f"{path} holds:")
    for name, content in files.items():
        click.echo(f"  {name:<19} {len(content):>7,} bytes  {WHAT.get(name[:-5], 'this list')}")
    for name, content in sections.items():
        if isinstance(content, dict) and "error" in content:
            click.echo(f"{name}: {content['error']}")
    click.echo(
        f"No secret is left: it was searched for {redactor.count} values that are or may be one."
    )


def collect(path: Path | None, environ: dict[str, str]) -> tuple[dict[str, Any], Redactor]:
    """
    Return the sections without secrets, and what hid them.

    Raises
    ------
    ConfigurationError
        If the configuration's file cannot be read.
    """
    raw, note = None, ""
    if path is not None:
        try:
            raw = support_facts.read_config(path)
        except msgspec.DecodeError as error:
            # It says what is wrong at which byte, and quotes nothing.
            note = f"{path.name} is not JSON: {error}"
    redactor = Redactor(
        [
            *secrets_in(raw),
            *support_facts.password_elsewhere(raw, environ),
            *secrets_of_environment(environ),
        ]
    )
    return redactor.data(support_facts.gather(path, raw, note)), redactor


def secrets_left(path: Path, redactor: Redactor) -> list[str]:
    """Return the names of the files in a bundle that still hold a secret."""
    with zipfile.ZipFile(path) as bundle:
        return [
            name
            for name in bundle.namelist()
            if redactor.found_in(
                msgspec.json.decode(bundle.read(name))
                if name.endswith(".json")
                else bundle.read(name).decode()
            )
        ]


def _json(content: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


def _readme(stamp: str) -> str:
    lines = (f"{name}.json: {text}" for name, text in WHAT.items())
    return "\n".join((f"nt-enhanced support bundle of {stamp} (UTC)", "", *lines, ""))


def _write(path: Path, files: dict[str, bytes]) -> None:
    """Write a new file that only its owner can read."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError(
            "--output", str(path), "a file that is not there yet", "Name another one"
        ) from None
    except OSError as error:
        raise ConfigurationError(
            "--output", str(path), "a file that can be written", f"{error.strerror}"
        ) from None
    with (
        os.fdopen(descriptor, "wb") as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle,
    ):
        for name, content in files.items():
            bundle.writestr(name, content)
