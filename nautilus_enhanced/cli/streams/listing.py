"""``nt-enhanced streams list``, ``groups`` and ``lag``: how streams and their groups are."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Final

import click

from nautilus_enhanced.cli.app import EXIT_FAILED
from nautilus_enhanced.cli.streams.options import find
from nautilus_enhanced.cli.streams.options import open_manager
from nautilus_enhanced.cli.streams.options import stream_options
from nautilus_enhanced.cli.streams.showing import as_data
from nautilus_enhanced.cli.streams.showing import print_json
from nautilus_enhanced.cli.streams.showing import printable
from nautilus_enhanced.cli.streams.showing import shown_count
from nautilus_enhanced.cli.streams.showing import shown_duration
from nautilus_enhanced.cli.streams.showing import shown_id
from nautilus_enhanced.cli.streams.showing import shown_size
from nautilus_enhanced.cli.streams.showing import table


if TYPE_CHECKING:
    from collections.abc import Sequence

    from nautilus_enhanced.infrastructure.messagebus import GroupStatus


NEVER: Final = "never"
LIST_EXAMPLES: Final = """\b
Examples:
  nt-enhanced streams list
  nt-enhanced streams list 'data.*.BINANCE.*' --trader TRADER-001
  nt-enhanced streams list --json --redis-url rediss://bus.example:6380
"""
GROUPS_EXAMPLES: Final = """\b
Examples:
  nt-enhanced streams groups
  nt-enhanced streams groups 'events.order.*' --consumers
"""
LAG_EXAMPLES: Final = """\b
Examples:
  nt-enhanced streams lag
  nt-enhanced streams lag 'events.*' --group risk --above 1000
"""


@click.command("list", epilog=LIST_EXAMPLES)
@stream_options
def list_streams(
    *,
    pattern: str,
    trader_id: str | None,
    url: str,
    cluster: bool,
    sentinels: Sequence[str],
    as_json: bool,
) -> None:
    """
    List the streams whose topic or key matches PATTERN.

    Exits with 0 if it is done; with 1 if nothing matches; with 2 for bad input, or if the server
    does not answer.
    """
    with open_manager(url, cluster=cluster, sentinels=sentinels) as manager:
        found = manager.stream_status(*find(manager, pattern, trader_id))
    if as_json:
        print_json(found)
    elif found:
        rows = [
            (
                one.stream,
                shown_count(one.length),
                shown_duration(one.idle_ms if one.length else None),
                shown_size(one.memory_bytes),
                shown_count(one.groups),
            )
            for one in found
        ]
        for line in table(("stream", "entries", "last entry", "memory", "groups"), rows):
            click.echo(line)
        click.echo(
            f"{len(found):,} streams, {sum(one.length for one in found):,} entries, "
            f"{shown_size(sum(one.memory_bytes or 0 for one in found))}"
        )
    _end(bool(found), pattern, as_json=as_json)


@click.command("groups", epilog=GROUPS_EXAMPLES)
@stream_options
@click.option("--consumers", "with_consumers", is_flag=True, help="Show each consumer too.")
def show_groups(
    *,
    pattern: str,
    trader_id: str | None,
    with_consumers: bool,
    url: str,
    cluster: bool,
    sentinels: Sequence[str],
    as_json: bool,
) -> None:
    """
    Show the groups of the streams that match PATTERN.

    "pending" is what was read and not acknowledged, "lag" what was not read.

    Exits with 0 if it is done; with 1 if there is no group; with 2 for bad input, or if the server
    does not answer.
    """
    with open_manager(url, cluster=cluster, sentinels=sentinels) as manager:
        found = manager.group_status(*find(manager, pattern, trader_id))
        consumers = (
            [manager.consumers(one.stream, one.group) for one in found] if with_consumers else []
        )
    if as_json:
        data = as_data(found)
        for one, of_group in zip(data, consumers, strict=with_consumers):
            one["members"] = of_group
        print_json(data)
    elif found:
        for line in _group_table(found):
            click.echo(line)
        for one, of_group in zip(found, consumers, strict=with_consumers):
            for consumer in sorted(of_group, key=lambda each: each.name):
                click.echo(
                    f"{printable(one.stream)} {printable(one.group)}: "
                    f"{printable(consumer.name)} has {consumer.pending:,} pending, asked "
                    f"{shown_duration(consumer.idle_ms)} ago"
                )
    _end(bool(found), pattern, as_json=as_json, what="group")


@click.command("lag", epilog=LAG_EXAMPLES)
@stream_options
@click.option("--group", "group", metavar="NAME", help="Only this group.")
@click.option(
    "--above",
    type=click.IntRange(0),
    metavar="N",
    help="Only groups that have more than N entries to read or to acknowledge.",
)
def show_lag(
    *,
    pattern: str,
    trader_id: str | None,
    group: str | None,
    above: int | None,
    url: str,
    cluster: bool,
    sentinels: Sequence[str],
    as_json: bool,
) -> None:
    """
    Show how far behind groups are, the furthest first.

    Servers before Redis 7.0 do not know the lag: entries are then counted, up to 10,000.

    Exits with 0 if it is done; with --above, with 1 if a group is behind by more than that; with
    2 for bad input, or if the server does not answer.
    """
    with open_manager(url, cluster=cluster, sentinels=sentinels) as manager:
        found = manager.group_status(*find(manager, pattern, trader_id))
    if group is not None:
        found = [one for one in found if one.group == group]
    if above is not None:
        found = [one for one in found if one.lag + one.pending > above]
    found.sort(key=lambda one: (-one.lag - one.pending, one.stream, one.group))
    if as_json:
        print_json(found)
    elif found:
        for line in _group_table(found):
            click.echo(line)
    else:
        click.echo("No group is behind by so much." if above is not None else "No group.")
    if above is not None and found:
        raise click.exceptions.Exit(EXIT_FAILED)


def _group_table(found: Sequence[GroupStatus]) -> list[str]:
    head = ("stream", "group", "consumers", "pending", "oldest", "lag", "asked")
    rows = [
        (
            one.stream,
            one.group,
            shown_count(one.consumers),
            shown_count(one.pending),
            shown_id(one.oldest_pending),
            shown_count(one.lag, exact=one.lag_is_exact),
            NEVER if one.idle_ms is None else f"{shown_duration(one.idle_ms)} ago",
        )
        for one in found
    ]
    return table(head, rows)


def _end(found: bool, pattern: str, *, as_json: bool, what: str = "stream") -> None:
    if not found:
        if not as_json:
            click.echo(f"No {what} matches {pattern!r}.")
        raise click.exceptions.Exit(EXIT_FAILED)
