"""``nt-enhanced streams dlq``: what groups could not handle."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

import click

from nautilus_enhanced.cli.app import EXIT_FAILED
from nautilus_enhanced.cli.streams.decoding import as_text
from nautilus_enhanced.cli.streams.decoding import plain
from nautilus_enhanced.cli.streams.options import is_agreed
from nautilus_enhanced.cli.streams.options import open_manager
from nautilus_enhanced.cli.streams.options import server_options
from nautilus_enhanced.cli.streams.showing import as_data
from nautilus_enhanced.cli.streams.showing import print_json
from nautilus_enhanced.cli.streams.showing import printable
from nautilus_enhanced.cli.streams.showing import shown_id
from nautilus_enhanced.cli.streams.showing import shown_time
from nautilus_enhanced.cli.streams.showing import table
from nautilus_enhanced.infrastructure.messagebus import ConfigurationError


if TYPE_CHECKING:
    from collections.abc import Sequence

    from nautilus_enhanced.infrastructure.messagebus import DeadLetter
    from nautilus_enhanced.infrastructure.messagebus import RedisStreamManager
    from nautilus_enhanced.infrastructure.messagebus.publishing.wire import EntryId


EXAMPLES: Final = """\b
Examples:
  nt-enhanced streams dlq list
  nt-enhanced streams dlq list risk --count 20
  nt-enhanced streams dlq show risk 1700000000000-0
  nt-enhanced streams dlq requeue risk 1700000000000-0
  nt-enhanced streams dlq purge risk --all --yes
"""
_NS_IN_MS: Final = 1_000_000
_SHORT: Final = 60
_ENTRY_ID: Final = re.compile(r"(\d{1,20})-(\d{1,20})")
_MAX: Final = 10_000

_ids = click.argument("ids", nargs=-1, metavar="[ID]...")
_all = click.option("--all", "all_of_them", is_flag=True, help="All dead letters of the group.")
_yes = click.option("--yes", is_flag=True, help="Do it without a question.")


@click.group("dlq", epilog=EXAMPLES)
def dlq() -> None:
    """
    Look after dead letters: messages that a group could not handle.

    Exits with 0 if it is done; with 1 if a letter is not there; with 2 for bad input, or if the
    server does not answer.
    """


@dlq.command("list")
@click.argument("group", required=False)
@click.option("--after", metavar="ID", help="Only letters behind this one.")
@click.option(
    "--count", type=click.IntRange(1, _MAX), default=100, show_default=True, metavar="N",
    help="Letters to show at most.",
)  # fmt: skip
@server_options
def list_letters(
    *,
    group: str | None,
    after: str | None,
    count: int,
    url: str,
    cluster: bool,
    sentinels: Sequence[str],
    as_json: bool,
) -> None:
    """List the groups that have dead letters, or the dead letters of GROUP, the oldest first."""
    with open_manager(url, cluster=cluster, sentinels=sentinels) as manager:
        if group is None:
            groups = manager.dead_letter_groups()
            if as_json:
                print_json(groups)
                return
            for one in groups:
                click.echo(f"{printable(one.group)}: {one.letters:,} dead letters")
            if not groups:
                click.echo("No group has dead letters.")
            return
        position = None if after is None else parse_id(after)
        letters = manager.dead_letters(group, after=position, count=count)
    if as_json:
        print_json([_data(letter) for letter in letters])
        return
    if not letters:
        click.echo(f"Group {group} has no dead letters{'' if after is None else ' behind that'}.")
        return
    rows = [
        (
            shown_id(letter.letter_id),
            shown_time(letter.failed_at // _NS_IN_MS),
            str(letter.deliveries),
            letter.topic,
            _short(f"{letter.error_type}: {letter.error}"),
        )
        for letter in letters
    ]
    for line in table(("letter", "failed", "tries", "topic", "error"), rows):
        click.echo(line)
    if len(letters) == count:
        click.echo(f"There may be more: --after {shown_id(letters[-1].letter_id)}")


@dlq.command("show")
@click.argument("group")
@click.argument("letter_id", metavar="ID")
@server_options
def show_letter(
    *,
    group: str,
    letter_id: str,
    url: str,
    cluster: bool,
    sentinels: Sequence[str],
    as_json: bool,
) -> None:
    """Show one dead letter of GROUP with its payload and its error."""
    with open_manager(url, cluster=cluster, sentinels=sentinels) as manager:
        try:
            letter = manager.dead_letter(group, parse_id(letter_id))
        except ConfigurationError as error:
            if error.field != "letter_id":
                raise
            click.echo(f"Error: {error}", err=True)
            raise click.exceptions.Exit(EXIT_FAILED) from None
    if as_json:
        print_json(_data(letter))
        return
    rows = {
        "topic": letter.topic,
        "published": f"{shown_id(letter.entry_id)} in {letter.stream}",
        "failed": f"{shown_time(letter.failed_at // _NS_IN_MS)}, after {letter.deliveries} tries, "
        f"in {letter.consumer} of {letter.group}",
        "error": f"{letter.error_type}: {letter.error}",
        "type": letter.type or "not said",
        "payload": as_text(letter.payload, letter.encoding),
    }
    for name, text in rows.items():
        click.echo(f"{name + ':':<11}{printable(text)}")


@dlq.command("requeue")
@click.argument("group")
@_ids
@_all
@_yes
@server_options
def requeue(
    *,
    group: str,
    ids: Sequence[str],
    all_of_them: bool,
    yes: bool,
    url: str,
    cluster: bool,
    sentinels: Sequence[str],
    as_json: bool,
) -> None:
    """Give dead letters back to GROUP, whose consumers try them again."""
    with open_manager(url, cluster=cluster, sentinels=sentinels) as manager:
        chosen = _chosen(manager, group, ids, all_of_them=all_of_them)
        if not chosen or not is_agreed(
            f"Give {len(chosen):,} dead letters back to {group}?", yes=yes
        ):
            _tell(0, 0, "given back", as_json=as_json)
            return
        done = manager.requeue_dead_letters(group, chosen)
    _tell(len(done.requeued), len(done.missing), "given back", as_json=as_json)


@dlq.command("purge")
@click.argument("group")
@_ids
@_all
@_yes
@server_options
def purge(
    *,
    group: str,
    ids: Sequence[str],
    all_of_them: bool,
    yes: bool,
    url: str,
    cluster: bool,
    sentinels: Sequence[str],
    as_json: bool,
) -> None:
    """Throw dead letters of GROUP away, for good."""
    with open_manager(url, cluster=cluster, sentinels=sentinels) as manager:
        chosen = _chosen(manager, group, ids, all_of_them=all_of_them)
        if not chosen or not is_agreed(
            f"Throw {len(chosen):,} dead letters of {group} away?", yes=yes
        ):
            _tell(0, 0, "thrown away", as_json=as_json)
            return
        done = manager.purge_dead_letters(group, chosen)
    _tell(done, len(chosen) - done, "thrown away", as_json=as_json)


def parse_id(text: str) -> EntryId:
    """
    Return the ID that a text says.

    Raises
    ------
    ConfigurationError
        If it says none.
    """
    found = _ENTRY_ID.fullmatch(text)
    if found is None:
        raise ConfigurationError("ID", text, "the ID of a letter, such as 1700000000000-0")
    return int(found[1]), int(found[2])


def _chosen(
    manager: RedisStreamManager, group: str, ids: Sequence[str], *, all_of_them: bool
) -> list[EntryId]:
    """Return the letters that are meant: those that are there now, if it is all."""
    if bool(ids) == all_of_them:
        raise click.UsageError("name the letters by their IDs, or give --all")
    if ids:
        return [parse_id(one) for one in ids]
    letters = manager.dead_letters(group, count=_MAX)
    return [letter.letter_id for letter in letters if letter.letter_id is not None]


def _data(letter: DeadLetter) -> dict[str, Any]:
    data: dict[str, Any] = as_data(letter)
    return data | {"payload": plain(letter.payload, letter.encoding)}


def _short(text: str) -> str:
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"


def _tell(done: int, missing: int, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"done": done, "missing": missing})
    else:
        absent = f", {missing:,} were not there" if missing else ""
        click.echo(f"{done:,} dead letters were {what}{absent}.")
    if missing:
        raise click.exceptions.Exit(EXIT_FAILED)
