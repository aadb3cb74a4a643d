"""What every command says about itself."""

import click
import pytest
from click.testing import CliRunner

from nautilus_enhanced.cli.app import cli


def commands(group, path=()):
    """Yield the words of every command and group."""
    yield path
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("words", list(commands(cli)), ids=" ".join)
def test_help_is_for_people(words):
    told = CliRunner().invoke(cli, [*words, "--help"])
    assert told.exit_code == 0
    assert told.output.startswith("Usage:")
    # What tells click to keep lines apart is not for people.
    assert "\\b" not in told.output
    assert "\b" not in told.output
    assert "Exit" in told.output or len(words) != 1
    if len(words) == 1:
        assert "\n  Examples:\n" in told.output
