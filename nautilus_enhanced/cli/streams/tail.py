"""``nt-enhanced streams tail``: show what is published, as it comes."""

from __future__ import annotations

import os
import re
import sys
import time
from datetime import UTC
from datetime import datetime
from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from typing import Literal

import click
import msgspec

from nautilus_enhanced.cli.streams.decoding import as_object
from nautilus_enhanced.cli.streams.decoding import as_text
from nautilus_enhanced.cli.streams.decoding import plain
from nautilus_enhanced.cli.streams.options import Search
from nautilus_enhanced.cli.streams.options import open_manager
from nautilus_enhanced.cli.streams.options import stream_options
from nautilus_enhanced.cli.streams.showing import printable
from nautilus_enhanced.cli.streams.showing import shown_time
from nautilus_enhanced.infrastructure.messagebus import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus import MessagePriority
from nautilus_enhanced.infrastructure.messagebus import ServerUnreachableError
from nautilus_enhanced.infrastructure.messagebus.patterns import DEFAULT_TOPIC_PRIORITIES
from nautilus_enhanced.infrastructure.messagebus.patterns import TopicPriorities
from nautilus_enhanced.infrastructure.messagebus.streams.manager.selection import StreamSelector


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

    from nautilus_enhanced.infrastructure.messagebus import RedisStreamManager
    from nautilus_enhanced.infrastructure.messagebus import StreamMessage
    from nautilus_enhanced.infrastructure.messagebus.publishing.wire import EntryId


Form = Literal["json", "object"]

EXAMPLES: Final = """\b
Examples:
  nt-enhanced streams tail 'events.order.*'
  nt-enhanced streams tail 'data.quotes.*' --trader TRADER-001 --since 10m
  nt-enhanced streams tail 'events.*' --from-start --no-follow --json
  nt-enhanced streams tail 'events.order.*' --group risk --count 20
"""
PAGE: Final = 200
# A stream is asked for so often when nothing comes, and streams are looked for so often.
_PAUSE_S: Final = 0.1
_FIND_EVERY_S: Final = 3.0
_RETRY_S: Final = 1.0
# By how much the clock of a publisher may be behind the server's.
_GRACE_MS: Final = 60_000
_MS: Final = 1_000
_LAST_NUMBER: Final = 2**64 - 1
_START: Final[EntryId] = (0, 0)
_DURATION: Final = re.compile(r"(\d{1,9})(ms|s|m|h|d)")
_UNITS_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_COLOURS: Final = {
    MessagePriority.CRITICAL: "red",
    MessagePriority.HIGH: "yellow",
    MessagePriority.NORMAL: "cyan",
    MessagePriority.LOW: "bright_black",
}


@click.command("tail", epilog=EXAMPLES)
@stream_options
@click.option("--from-start", is_flag=True, help="Begin with what is there.")
@click.option(
    "--since",
    metavar="WHEN",
    help="Begin with what was published since: 90s, 10m, 2h, 1d ago, or a time in ISO 8601 (UTC "
    "if it has no zone).",
)
@click.option(
    "--group", metavar="NAME", help="Begin where this group stands: what it has not read yet."
)
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after N messages.")
@click.option("--no-follow", is_flag=True, help="End when all that is there was shown.")
@click.option(
    "--objects",
    is_flag=True,
    help="Show the objects that NautilusTrader makes of the payloads.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0.0, 86_400.0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Give up when the server has not answered for so long.",
)
@click.option("--streams-prefix", default="stream", show_default=True, metavar="NAME",
    help="How the streams are called that carry all topics of a node.")  # fmt: skip
def tail(
    *,
    pattern: str,
    trader_id: str | None,
    from_start: bool,
    since: str | None,
    group: str | None,
    count: int | None,
    no_follow: bool,
    objects: bool,
    timeout_s: float,
    streams_prefix: str,
    url: str,
    cluster: bool,
    sentinels: Sequence[str],
    as_json: bool,
) -> None:
    """
    Show the messages on the topics that match PATTERN, of all traders, as they come.

    Reads beside all groups: nobody is deprived of anything, and nothing is acknowledged. Messages
    of one stream are in order; those of several are in the order of their IDs as far as they are
    read together. With --json, one object a line. Ctrl-C ends it.

    Exits with 0 if it was ended, by Ctrl-C too; with 2 for bad input, or if the server does not
    answer.
    """
    if sum((from_start, since is not None, group is not None)) > 1:
        raise click.UsageError(
            "--from-start, --since and --group each say where to begin: give one"
        )
    selector = StreamSelector(pattern, trader_id=trader_id, streams_prefix=streams_prefix)
    printer = Printer("object" if objects else "json", as_lines=as_json)
    with open_manager(url, cluster=cluster, sentinels=sentinels) as manager:
        now_ms = manager.server_time_ms()
        tailing = Tailing(
            manager,
            selector,
            _START if from_start else before_ms(parse_since(since, now_ms)),
            group=group,
            from_now=not from_start and since is None,
        )
        search = Search(manager, pattern, trader_id, streams_prefix)
        try:
            tailing.look(search())
            _follow(tailing, printer, search, count, no_follow=no_follow, timeout_s=timeout_s)
        except KeyboardInterrupt:
            pass
        except BrokenPipeError:
            # Who reads has enough: what is flushed at the end must not be an error again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _follow(
    tailing: Tailing,
    printer: Printer,
    search: Callable[[], Sequence[str]],
    count: int | None,
    *,
    no_follow: bool,
    timeout_s: float,
) -> None:
    """Print what comes, until there was enough, or everything, or nobody answers any more."""
    answered_at = found_at = time.monotonic()
    left = count
    while True:
        try:
            if time.monotonic() - found_at >= _FIND_EVERY_S:
                tailing.look(search())
                found_at = time.monotonic()
            messages, more = tailing.read()
            answered_at = time.monotonic()
        except ServerUnreachableError as error:
            if time.monotonic() - answered_at >= timeout_s:
                raise
            click.echo(f"{error}: trying again", err=True)
            time.sleep(_RETRY_S)
            continue
        for message in messages[:left]:
            printer.show(message)
        if left is not None:
            left -= len(messages)
            if left <= 0:
                return
        if not more:
            if no_follow:
                return
            time.sleep(_PAUSE_S)


class Tailing:
    """
    Read streams on from where they are, without a group.

    Parameters
    ----------
    manager : RedisStreamManager
        Asks the server.
    selector : StreamSelector
        Which messages.
    begin : tuple[int, int]
        Behind which ID to begin, in each stream.
    group : str, optional
        A group that knows better, where a stream has it.
    from_now : bool, default False
        If the streams that are there at first are read from their ends, whatever the clocks of
        their publishers.
    """

    def __init__(
        self,
        manager: RedisStreamManager,
        selector: StreamSelector,
        begin: EntryId,
        *,
        group: str | None = None,
        from_now: bool = False,
    ) -> None:
        self._manager = manager
        self._selector = selector
        self._begin = begin
        self._group = group
        self._from_now = from_now
        self._positions: dict[str, EntryId] = {}

    def look(self, streams: Sequence[str]) -> None:
        """Take streams that are new into the reading."""
        new = [stream for stream in streams if stream not in self._positions]
        stands: dict[str, EntryId] = {}
        if self._from_now and new:
            stands = {one.stream: one.last_id for one in self._manager.stream_status(*new)}
            # What is found later is new, and read from where it began.
            self._begin = before_ms(self._begin[0] - _GRACE_MS)
        if self._group is not None and new:
            stands |= {
                one.stream: one.last_delivered
                for one in self._manager.group_status(*new)
                if one.group == self._group
            }
        self._from_now = False
        for stream in new:
            self._positions[stream] = stands.get(stream, self._begin)

    def read(self) -> tuple[list[StreamMessage], bool]:
        """Return the next messages that are meant, and whether more may be there already."""
        if not self._positions:
            return [], False
        page = self._manager.read_after(self._positions, count=PAGE)
        for message in page:
            self._positions[message.stream] = message.entry_id
        meant = [
            message
            for message in page
            if self._selector.takes(message.stream.encode(), message.topic.encode())
        ]
        meant.sort(key=lambda message: (message.entry_id, message.stream))
        return meant, bool(page)


class Printer:
    """
    Print messages, one a line.

    Parameters
    ----------
    form : {'json', 'object'}
        What payloads become.
    as_lines : bool
        If each line is a JSON object.
    """

    def __init__(self, form: Form, *, as_lines: bool) -> None:
        self._text = as_object if form == "object" else as_text
        self._as_lines = as_lines
        self._priorities = TopicPriorities(DEFAULT_TOPIC_PRIORITIES)
        self._colours = not os.environ.get("NO_COLOR")

    def show(self, message: StreamMessage) -> None:
        """Print a message."""
        if self._as_lines:
            click.echo(msgspec.json.encode(describe(message)))
            return
        # click leaves colours out where there is no terminal.
        priority = self._priorities.priority_of(message.topic)
        body = printable(self._text(message.payload, message.encoding))
        gap = f" [{message.gap:,} were dropped before it]" if message.gap else ""
        click.echo(
            f"{self._styled(shown_time(message.entry_id[0]), dim=True)} "
            f"{self._styled(printable(message.topic), fg=_COLOURS[priority])} {body}{gap}"
        )

    def _styled(self, text: str, **style: Any) -> str:
        return click.style(text, **style) if self._colours else text


def describe(message: StreamMessage) -> dict[str, Any]:
    """Return a message as JSON data, its payload decoded."""
    data: dict[str, Any] = {
        "stream": message.stream,
        "id": message.id,
        "topic": message.topic,
        "type": message.type,
        "payload": plain(message.payload, message.encoding),
    }
    if message.gap:
        data["gap"] = message.gap
    if message.journaled_at is not None:
        data["journaled_at"] = message.journaled_at
    return data


def before_ms(milliseconds: int) -> EntryId:
    """Return the last ID before a time."""
    return _START if milliseconds <= 0 else (milliseconds - 1, _LAST_NUMBER)


def parse_since(since: str | None, now_ms: int) -> int:
    """
    Return the time, in milliseconds since the UNIX epoch, that an option says.

    Parameters
    ----------
    since : str or None
        How long ago, or when; None is now.
    now_ms : int
        Now, by the server's clock.

    Raises
    ------
    ConfigurationError
        If it is neither.
    """
    if since is None:
        return now_ms
    if found := _DURATION.fullmatch(since):
        return max(0, now_ms - int(found[1]) * _UNITS_MS[found[2]])
    try:
        at = datetime.fromisoformat(since)
    except ValueError:
        raise ConfigurationError(
            "--since", since, "90s, 10m, 2h, 1d, or a time such as 2026-01-31T14:00"
        ) from None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0, round(at.timestamp() * _MS))
