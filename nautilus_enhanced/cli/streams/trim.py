"""``nt-enhanced streams trim``: remove what is too old, and what nobody needs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

import click

from nautilus_enhanced.cli.streams.options import find
from nautilus_enhanced.cli.streams.options import is_agreed
from nautilus_enhanced.cli.streams.options import open_manager
from nautilus_enhanced.cli.streams.options import stream_options
from nautilus_enhanced.cli.streams.showing import print_json
from nautilus_enhanced.cli.streams.showing import printable
from nautilus_enhanced.cli.streams.showing import shown_count
from nautilus_enhanced.cli.streams.showing import shown_id
from nautilus_enhanced.cli.streams.showing import shown_time
from nautilus_enhanced.infrastructure.messagebus import TrimmingSettings


if TYPE_CHECKING:
    from collections.abc import Sequence

    from nautilus_enhanced.infrastructure.messagebus import RedisStreamManager
    from nautilus_enhanced.infrastructure.messagebus import TrimPlan


EXAMPLES: Final = """\b
Examples:
  nt-enhanced streams trim 'data.*' --max-age 30
  nt-enhanced streams trim 'data.quotes.*' --max-entries 10000 --yes
  nt-enhanced streams trim 'trader-TRADER-001:*' --max-age 1440 --json
"""
DEFAULTS: Final = TrimmingSettings()
# Streams of which it is counted what would go: up to 10,000 entries of each are read for it.
MAX_COUNTED_STREAMS: Final = 20


@click.command("trim", epilog=EXAMPLES)
@stream_options
@click.option(
    "--max-age",
    "max_age_mins",
    type=int,
    metavar="MINUTES",
    help=f"Remove what is older. [default: {DEFAULTS.max_age_mins}, unless --max-entries is given]",
)
@click.option(
    "--max-entries",
    type=int,
    metavar="N",
    help="Remove what is more than about N entries of a stream.",
)
@click.option(
    "--hard-cap",
    "hard_cap_entries",
    type=int,
    default=DEFAULTS.hard_cap_entries,
    show_default=True,
    metavar="N",
    help="Remove what is more than N entries of a stream, even if a group needs it.",
)
@click.option(
    "--group-expiry",
    "group_expiry_mins",
    type=int,
    default=DEFAULTS.group_expiry_mins,
    show_default=True,
    metavar="MINUTES",
    help="Groups for which nobody has asked for so long hold nothing back.",
)
@click.option("--dry-run", is_flag=True, help="Only tell what would go, without a question.")
@click.option("--yes", is_flag=True, help="Remove it without a question.")
def trim(
    *,
    pattern: str,
    trader_id: str | None,
    max_age_mins: int | None,
    max_entries: int | None,
    hard_cap_entries: int,
    group_expiry_mins: int,
    dry_run: bool,
    yes: bool,
    url: str,
    cluster: bool,
    sentinels: Sequence[str],
    as_json: bool,
) -> None:
    """
    Remove old entries of the streams that match PATTERN, but not what a live group needs.

    Shows what would go, and asks; without a terminal, and without --yes, nothing is removed. A
    stream that carries all topics of a node is trimmed only where its key matches. A node can do
    this by itself: see `streams.trimming`.

    Exits with 0 if it is done; with 2 for bad input, or if the server does not answer.
    """
    if dry_run and yes:
        raise click.UsageError("--dry-run and --yes say opposite things: give one")
    if max_age_mins is None and max_entries is None:
        max_age_mins = DEFAULTS.max_age_mins
    settings = TrimmingSettings(
        max_age_mins=max_age_mins,
        max_entries=max_entries,
        hard_cap_entries=hard_cap_entries,
        group_expiry_mins=group_expiry_mins,
    )
    with open_manager(url, cluster=cluster, sentinels=sentinels) as manager:
        plans = manager.plan_trim(find(manager, pattern, trader_id, None), settings)
        found = [
            _describe(manager, plan, counts=n < MAX_COUNTED_STREAMS) for n, plan in enumerate(plans)
        ]
        if not as_json:
            for line in (line for one in found for line in _lines(one)):
                click.echo(line)
        if not plans:
            _say("No stream matches.", as_json=as_json)
        elif not dry_run and (yes or (sys.stdin.isatty() and not as_json)):
            if is_agreed(f"Remove it from {len(plans):,} streams?", yes=yes):
                outcomes = manager.trim(plans)
                for one, outcome in zip(found, outcomes, strict=True):
                    one |= {"removed": outcome.removed, "gap": outcome.gap}
                gap = sum(outcome.gap for outcome in outcomes)
                lost = f", {gap:,} of them still needed by a group" if gap else ""
                removed = sum(outcome.removed for outcome in outcomes)
                _say(f"{removed:,} entries were removed{lost}.", as_json=as_json)
            else:
                _say("Nothing was removed.", as_json=as_json)
        else:
            how = "" if dry_run else ": --yes removes it"
            _say(f"Nothing was removed{how}.", as_json=as_json)
    if as_json:
        print_json(found)


def _describe(manager: RedisStreamManager, plan: TrimPlan, *, counts: bool) -> dict[str, Any]:
    """Return what a plan says, with the entries that are too old, counted as far as that goes."""
    stream = plan.key.decode("utf-8", "backslashreplace")
    too_old: int | None = None
    exact = True
    if plan.by_age is not None and counts:
        too_old, exact = manager.count_entries(stream, before=plan.by_age)
    return {
        "stream": stream,
        "entries": plan.length,
        "before": None if plan.by_age is None else shown_id(plan.by_age),
        "too_old": too_old,
        "too_old_is_exact": exact,
        "too_many": max(0, plan.length - (plan.max_entries or plan.length)),
        "over_hard_cap": max(0, plan.length - plan.hard_cap),
        "held_by": plan.held_by if plan.is_held_back else None,
        "hold": None if plan.hold is None else shown_id(plan.hold),
        "expired_groups": list(plan.expired),
    }


def _lines(one: dict[str, Any]) -> list[str]:
    """Return what a person wants to know about a plan."""
    parts = []
    if one["too_old"] is not None:
        count = shown_count(one["too_old"], exact=one["too_old_is_exact"])
        parts.append(f"{count} from before {shown_time(int(one['before'].partition('-')[0]))}")
    elif one["before"] is not None:
        parts.append(f"what is from before {shown_time(int(one['before'].partition('-')[0]))}")
    if one["too_many"]:
        parts.append(f"up to {one['too_many']:,} that are too many")
    if one["over_hard_cap"]:
        parts.append(f"{one['over_hard_cap']:,} over the hard cap")
    lines = [
        f"{printable(one['stream'])}: of {one['entries']:,} entries {' and '.join(parts) or 'none'}"
    ]
    if one["held_by"]:
        lines.append(f"  group {printable(one['held_by'])} needs what is from {one['hold']} on")
    if one["expired_groups"]:
        names = ", ".join(map(printable, one["expired_groups"]))
        lines.append(f"  nobody has read for too long for {names}: it holds nothing back")
    return lines


def _say(text: str, *, as_json: bool) -> None:
    click.echo(text, err=as_json)
