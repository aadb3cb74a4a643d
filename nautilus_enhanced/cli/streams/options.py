"""What all commands about streams have in common: which server, which streams, which form."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from typing import TypeVar

import click

from nautilus_enhanced.infrastructure.messagebus import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus import RedisStreamManager
from nautilus_enhanced.infrastructure.messagebus.streams.manager.selection import (
    DEFAULT_STREAMS_PREFIX,
)


if TYPE_CHECKING:
    from collections.abc import Sequence


DEFAULT_URL: Final = "redis://localhost:6379"
# More than a person reads, and than a server should be asked for in one go.
MAX_STREAMS: Final = 10_000
# Searches that one call goes on with: each looks at about 100,000 keys.
_MAX_SEARCHES: Final = 100

Function = TypeVar("Function", bound=Callable[..., Any])

_SERVER: Final = (
    click.option(
        "--redis-url",
        "url",
        default=DEFAULT_URL,
        show_default=True,
        envvar="NT_ENHANCED_REDIS_URL",
        metavar="URL",
        help="The server; the variable NT_ENHANCED_REDIS_URL keeps a password out of sight.",
    ),
    click.option("--cluster", is_flag=True, help="The server is a node of a cluster."),
    click.option(
        "--sentinel",
        "sentinels",
        multiple=True,
        metavar="HOST:PORT",
        help="A sentinel to ask for the master; the URL then names the service. Repeatable.",
    ),
)
_JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_PATTERN: Final = click.argument("pattern", default="*", metavar="[PATTERN]")
_TRADER: Final = click.option(
    "--trader", "trader_id", metavar="ID", help="Only the streams of this trader."
)


def server_options(function: Function) -> Function:
    """Add the options that say which server, and `--json`."""
    return _with(function, (*_SERVER, _JSON))


def stream_options(function: Function) -> Function:
    """Add the pattern and the options that say which streams, on which server."""
    return _with(function, (_PATTERN, _TRADER, *_SERVER, _JSON))


def open_manager(url: str, *, cluster: bool, sentinels: Sequence[str]) -> RedisStreamManager:
    """
    Return a manager for the server that the options name.

    Raises
    ------
    ConfigurationError
        If they name none.
    """
    return RedisStreamManager(
        url, connection=ConnectionSettings(cluster=cluster, sentinels=tuple(sentinels))
    )


class Search:
    """
    Find the streams that a pattern means, however many keys the server has.

    Parameters
    ----------
    manager : RedisStreamManager
        Asks the server.
    pattern, trader_id, streams_prefix : str, str or None, str or None
        Which streams, as `RedisStreamManager.find_streams` takes it.
    """

    def __init__(
        self,
        manager: RedisStreamManager,
        pattern: str,
        trader_id: str | None,
        streams_prefix: str | None = DEFAULT_STREAMS_PREFIX,
    ) -> None:
        self._manager = manager
        self._pattern = pattern
        self._trader_id = trader_id
        self._streams_prefix = streams_prefix
        self._told: set[str] = set()

    def __call__(self) -> list[str]:
        """
        Return the streams; what stands in the way is told on stderr, once.

        Raises
        ------
        ConfigurationError
            If they are more than 10,000.
        """
        for _ in range(_MAX_SEARCHES):
            found = self._manager.find_streams(
                self._pattern, trader_id=self._trader_id, streams_prefix=self._streams_prefix
            )
            if found.complete or found.problems:
                break
        else:
            self._tell("the server has too many keys")
        for problem in found.problems:
            self._tell(problem)
        if len(found.streams) > MAX_STREAMS:
            raise ConfigurationError(
                "pattern",
                self._pattern,
                f"one that means {MAX_STREAMS:,} streams at most",
                f"It means {len(found.streams):,}",
            )
        return list(found.streams)

    def _tell(self, problem: str) -> None:
        if problem not in self._told:
            self._told.add(problem)
            click.echo(f"Not all streams may be found: {problem}", err=True)


def find(
    manager: RedisStreamManager,
    pattern: str,
    trader_id: str | None,
    streams_prefix: str | None = DEFAULT_STREAMS_PREFIX,
) -> list[str]:
    """Return the streams that a pattern means; see `Search`."""
    return Search(manager, pattern, trader_id, streams_prefix)()


def is_agreed(question: str, *, yes: bool) -> bool:
    """
    Return whether to go on: asked, or agreed to beforehand.

    Raises
    ------
    click.UsageError
        If there is nobody to ask.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask on: --yes goes on without a question")
    return click.confirm(question, default=False)


def _with(function: Function, decorators: Sequence[Callable[[Any], Any]]) -> Function:
    decorated: Function = reduce(lambda made, add: add(made), reversed(decorators), function)
    return decorated
