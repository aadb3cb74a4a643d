"""The command ``nt-enhanced patches``: the kernel's hook in the source of a fork."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from typing import Final

import click

from nautilus_enhanced.cli.app import EXIT_FAILED
from nautilus_enhanced.infrastructure.messagebus.errors import PatchVerificationError
from nautilus_enhanced.patches import PATCHES
from nautilus_enhanced.patches.source import HookState
from nautilus_enhanced.patches.tree import ForkTree


if TYPE_CHECKING:
    from typing import NoReturn


EXAMPLES: Final = """\b
Examples:
  nt-enhanced patches list
  nt-enhanced patches check --tree ~/src/my-fork
  nt-enhanced patches diff --tree ~/src/my-fork | less
  nt-enhanced patches apply --tree ~/src/my-fork
  nt-enhanced patches revert --tree ~/src/my-fork
"""

_tree = click.option(
    "--tree",
    required=True,
    metavar="DIR",
    help="The fork: the folder that holds `nautilus_trader`, or that folder itself.",
)


@click.group("patches", epilog=EXAMPLES)
def command() -> None:
    """
    Put the kernel's hook into the source of a NautilusTrader fork, and take it out again.

    Nobody with the published NautilusTrader needs this: there the hook is put in when a node with
    an enhanced configuration is made. In a fork it can be part of the source, to be reviewed with
    the rest. Nothing of the tree is imported or run. Needs the extra `forks`, all but `list`.

    Exits with 0 if it is done or was done before; with 1 if the tree is not one that the hook
    fits, and then nothing is changed; with 2 for bad input.
    """


@command.command("list")
def list_patches() -> None:
    """Tell which modules are patched, what for, and how that is in this Python."""
    for patch in PATCHES:
        click.echo(f"{patch.module}: {patch.purpose}")
        click.echo(f"  {patch.state.value}")
        for problem in patch.problems():
            click.echo(f"  not as expected: {problem}")


@command.command("check")
@_tree
def check(tree: str) -> None:
    """
    Tell whether the hook fits a tree, and what would run on it.

    Exits with 0 if it fits or is there, with 1 if not.
    """
    fork = ForkTree(Path(tree))
    try:
        state = fork.state()
        problems = fork.kernel_problems()
        parts = fork.part_problems()
    except PatchVerificationError as error:
        _refuse(fork, error)
    click.echo(f"{fork.name}: {state.value}")
    for problem in problems:
        click.echo(f"  does not fit: {problem}")
    for problem in parts:
        click.echo(f"  that part of the bus would be stock: {problem}")
    if problems or state is HookState.DAMAGED:
        raise click.exceptions.Exit(EXIT_FAILED)
    if not parts:
        click.echo("  fits, and every part of the bus can run on it")


@command.command("diff")
@_tree
def diff(tree: str) -> None:
    """Print what `apply` would change, and change nothing."""
    fork = ForkTree(Path(tree))
    try:
        text = fork.diff()
    except PatchVerificationError as error:
        _refuse(fork, error)
    click.echo(text, nl=False)
    if not text:
        click.echo(f"{fork.name} has the hook: nothing to change.", err=True)


@command.command("apply")
@_tree
def apply(tree: str) -> None:
    """
    Put the hook into a tree.

    A tree that has it is left as it is, so doing it twice is harmless.
    """
    fork = ForkTree(Path(tree))
    try:
        done = fork.apply()
    except PatchVerificationError as error:
        _refuse(fork, error)
    if done:
        click.echo(f"{fork.name} has the hook now; `nt-enhanced patches revert` takes it out.")
    else:
        click.echo(f"{fork.name} has the hook already: nothing was changed.")


@command.command("revert")
@_tree
def revert(tree: str) -> None:
    """
    Take the hook out of a tree: the file is as it was before, byte by byte.

    What else was changed in it meanwhile stays.
    """
    fork = ForkTree(Path(tree))
    try:
        done = fork.revert()
    except PatchVerificationError as error:
        _refuse(fork, error)
    click.echo(
        f"{fork.name} is without the hook again."
        if done
        else f"{fork.name} has no hook: nothing was changed."
    )


def _refuse(fork: ForkTree, error: PatchVerificationError) -> NoReturn:
    click.echo(f"{fork.name} was left as it is: {error}", err=True)
    raise click.exceptions.Exit(EXIT_FAILED)
