"""The command ``nt-enhanced venue``: a loopback venue by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

import click
import msgspec

from nautilus_enhanced.sandbox import FaultRule
from nautilus_enhanced.sandbox import MarketSource
from nautilus_enhanced.sandbox import RecordedMarket
from nautilus_enhanced.sandbox.venues import VENUES
from nautilus_enhanced.sandbox.venues import generated_market
from nautilus_enhanced.sandbox.venues import open_venue


if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from nautilus_enhanced.sandbox.venue import LoopbackVenue


EXAMPLES: Final = """\b
Examples:
  nt-enhanced venue binance-spot
  nt-enhanced venue binance-futures --port 9001 --burst-size 500
  nt-enhanced venue ib --port 4002
  nt-enhanced venue binance-spot --replay BTCUSDT.csv --speed 10
  nt-enhanced venue binance-spot --fault drop:on=market,after=1000,times=1
  nt-enhanced venue binance-spot --fault delay:on=user,ms=250 --fault reject:on=order,every=10
"""


@click.command("venue", epilog=EXAMPLES, context_settings={"show_default": True})
@click.argument("name", type=click.Choice(list(VENUES)), metavar="NAME")
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="0 for any free port.")
@click.option("--api-key", help="The only API key that is let in; any is by default.")
@click.option(
    "--replay",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A .parquet or .csv recording of quotes or trades, instead of a generated market.",
)
@click.option("--speed", default=1.0, help="How many times faster to replay.")
@click.option("--loop/--no-loop", default=True, help="Replay for ever, or once.")
@click.option("--symbol", help="Of the recording, as BASE/QUOTE.")
@click.option("--seed", default=1, help="Selects the course of the generated market.")
@click.option("--quotes-per-s", default=50.0, help="Mean rate outside of bursts.")
@click.option("--trades-per-s", default=5.0, help="Mean rate.")
@click.option("--burst-size", default=0, help="Quotes that are due at once; 0 for no bursts.")
@click.option("--burst-interval-s", default=1.0, help="Seconds from one burst to the next.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KIND:on=...",
    help="What goes wrong: drop, delay, reject, rate-limit, duplicate, reorder or garbage, on "
    "market, user, order or request. May be given several times.",
)
@click.option("--fault-seed", default=1, help="Selects what goes wrong by chance.")
@click.option(
    "--seconds", type=click.FloatRange(min=0.1), help="Stop after so long; by default never."
)
@click.option("--json", "as_json", is_flag=True, help="Say where it listens as a line of JSON.")
@click.option("--exit-with-stdin", is_flag=True, help="Stop when standard input ends.")
def command(
    *,
    name: str,
    host: str,
    port: int,
    api_key: str | None,
    replay: Path | None,
    speed: float,
    loop: bool,
    symbol: str | None,
    faults: Sequence[str],
    fault_seed: int,
    seconds: float | None,
    as_json: bool,
    exit_with_stdin: bool,
    **generated: Any,
) -> None:
    """
    Run a venue on this machine that speaks a real one's protocol.

    NAME is binance-spot, binance-futures, bybit, bybit-spot, okx-swap, okx-spot, ib or ib-forex.
    NautilusTrader's own clients trade on it, on any bus; any API key is let in and signatures are
    not checked. Prices are made up, or replayed from a file; orders fill against them.

    Exits with 0 when it was stopped (Ctrl-C, SIGTERM, --seconds); with 2 for bad input, or if it
    cannot listen there.
    """
    rules = [FaultRule.parse(text) for text in faults]
    keys = {"api_key": api_key} if VENUES[name].has_keys else {}
    if api_key is not None and not keys:
        raise click.BadParameter(f"{name} has no API keys: leave it out.", param_hint="--api-key")
    source: MarketSource
    if replay is None:
        source = generated_market(name, **generated)
        market = f"a made-up market (seed {generated['seed']})"
    else:
        source = RecordedMarket.open(replay, speed=speed, loop=loop, symbol=symbol)
        market = str(replay)
    venue = open_venue(
        name, source, host=host, port=port, faults=rules, fault_seed=fault_seed, **keys
    )

    def tell() -> None:
        click.echo(_ready_line(name, venue) if as_json else _ready_text(name, venue, market))
        sys.stdout.flush()

    asyncio.run(_serve(venue, tell, seconds, exit_with_stdin=exit_with_stdin))
    if not as_json:
        click.echo(_ending(venue))


async def _serve(
    venue: LoopbackVenue, tell: Any, seconds: float | None, *, exit_with_stdin: bool
) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if seconds is not None:
        loop.call_later(seconds, stop.set)
    async with venue:
        tell()
        if exit_with_stdin:
            threading.Thread(target=_watch_stdin, args=(loop, stop), daemon=True).start()
        await stop.wait()


def _ready_line(name: str, venue: LoopbackVenue) -> str:
    rules = venue.dialect.engine.instrument
    ready = {
        "venue": name,
        **venue.addresses,
        "symbol": rules.symbol,
        "tick_size": str(rules.tick_size),
        "step_size": str(rules.step_size),
    }
    return msgspec.json.encode(ready).decode()


def _ready_text(name: str, venue: LoopbackVenue, market: str) -> str:
    entry, addresses = VENUES[name], venue.addresses
    faults = [f"  fault    {rule}" for rule, _ in venue.faults.counts()]
    keys = ", with any API key and secret" if entry.has_keys else ""
    lines = [
        f"{entry.about} on this machine: {venue.source.instrument.symbol} from {market}.",
        *_where(addresses),
        *faults,
        f"NautilusTrader's clients find it by these fields{keys}:",
        entry.data_fields.format(**addresses),
        entry.exec_fields.format(**addresses),
        "Ctrl-C stops it.",
    ]
    return "\n".join(lines)


def _where(addresses: Mapping[str, str]) -> list[str]:
    """Return the addresses that a venue has, a line each."""
    if "account" in addresses:
        return [
            f"  TWS      {addresses['host']}:{addresses['port']}",
            f"  account  {addresses['account']}",
            f"  faults   {addresses['http_url']}/loopback/faults",
        ]
    labels = {"http_url": "REST", "ws_url": "streams", "ws_api_url": "WS-API"}
    return [f"  {label:<8} {addresses[name]}" for name, label in labels.items()]


def _ending(venue: LoopbackVenue) -> str:
    figures = venue.statistics()
    faults = f", {figures.faults:,} faults" if figures.faults else ""
    return (
        f"Stopped: {figures.quotes_sent:,} quotes and {figures.trades_sent:,} trades were sent, "
        f"{figures.orders_received:,} orders came, {figures.fills:,} fills{faults}."
    )


def _watch_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Read until the end: a thread, because an event loop takes no files as standard input."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    if not loop.is_closed():
        loop.call_soon_threadsafe(stop.set)
