"""The command line: commands, help and exit codes."""

from __future__ import annotations

import importlib
import sys
from typing import Final

import click

from nautilus_enhanced import __version__
from nautilus_enhanced.infrastructure.messagebus.errors import EnhancedBusError


EXIT_FAILED: Final = 1
EXIT_BAD_INPUT: Final = 2
EXIT_INTERRUPTED: Final = 130

# Name of a command, its module and its one-line help: a command is imported when it is run.
COMMANDS: Final = {
    "bench": (
        "nautilus_enhanced.cli.bench",
        "Measure the enhanced bus beside the stock one, on this machine.",
    ),
    "config": (
        "nautilus_enhanced.cli.config.command",
        "Check a node's JSON file, bring it to the enhanced bus, and back.",
    ),
    "demo": (
        "nautilus_enhanced.cli.demo.command",
        "Watch a live node trade over the enhanced bus, on this machine alone.",
    ),
    "journal": (
        "nautilus_enhanced.cli.journal",
        "Look into the journal of a node, and send what waits in it.",
    ),
    "patches": (
        "nautilus_enhanced.cli.patches",
        "Put the kernel's hook into the source of a NautilusTrader fork.",
    ),
    "streams": (
        "nautilus_enhanced.cli.streams.command",
        "Look into the streams of nodes, enhanced or stock, and clean up.",
    ),
    "support-bundle": (
        "nautilus_enhanced.cli.support_bundle",
        "Collect what is needed to help, in one file without secrets.",
    ),
    "venue": (
        "nautilus_enhanced.cli.venue",
        "Run a venue on this machine that speaks a real one's protocol.",
    ),
}


class LazyGroup(click.Group):
    """A group that imports a command only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; None if there is no such."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = importlib.import_module(entry[0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(COMMANDS.items())])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="nt-enhanced")
def cli() -> None:
    """
    Run and look after the enhanced message bus for NautilusTrader.

    Exit codes: 0 success, 1 the check failed, 2 bad input or trouble at start, 130 interrupted.
    """


def run() -> None:
    """Run the command line; a user's mistake gets a sentence, never a traceback."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("Interrupted: everything that was started is stopped.", err=True)
        code = EXIT_INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = EXIT_BAD_INPUT
    except OSError as error:
        # No folder for temporary files, no more processes, a disk that is full.
        place = f"{error.filename}: " if error.filename else ""
        click.echo(f"Error: {place}{error.strerror or error}", err=True)
        code = EXIT_BAD_INPUT
    except (EnhancedBusError, ValueError) as error:
        click.echo(f"Error: {error}", err=True)
        code = EXIT_BAD_INPUT
    sys.exit(code or 0)
