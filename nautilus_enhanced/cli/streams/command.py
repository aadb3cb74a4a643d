"""The command ``nt-enhanced streams``."""

from __future__ import annotations

from typing import Final

import click

from nautilus_enhanced.cli.streams.letters import dlq
from nautilus_enhanced.cli.streams.listing import list_streams
from nautilus_enhanced.cli.streams.listing import show_groups
from nautilus_enhanced.cli.streams.listing import show_lag
from nautilus_enhanced.cli.streams.tail import tail
from nautilus_enhanced.cli.streams.trim import trim


EXAMPLES: Final = """\b
Examples:
  nt-enhanced streams list
  nt-enhanced streams tail 'events.order.*'
  nt-enhanced streams lag --above 1000
"""


@click.group("streams", epilog=EXAMPLES)
def command() -> None:
    """
    Look into the streams of nodes, and clean up.

    Works with the streams of any node, of the stock bus too. A PATTERN is one of topics, with *
    and ? as in subscriptions, such as 'events.order.*', or one of whole keys, such as
    'trader-TRADER-001:*'. Put it in quotes, or the shell takes it for file names.

    Exits with 0 if it is done; with 1 if what was asked for is not so, as each command says; with
    2 for bad input, or if the server does not answer; with 130 if it was interrupted.
    """


for _each in (list_streams, tail, show_groups, show_lag, trim, dlq):
    command.add_command(_each)
