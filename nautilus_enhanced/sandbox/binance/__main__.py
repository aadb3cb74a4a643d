"""
Run the Binance spot venue as a process: ``python -m nautilus_enhanced.sandbox.binance``.

Prints one line of JSON when it is ready, and serves until it is told to stop.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import click

from nautilus_enhanced.infrastructure.messagebus.errors import EnhancedBusError
from nautilus_enhanced.sandbox import GeneratedMarket
from nautilus_enhanced.sandbox import MarketSource
from nautilus_enhanced.sandbox import RecordedMarket


BAD_INPUT = 2


@click.command(context_settings={"show_default": True})
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="0 for any free port.")
@click.option("--api-key", help="The only API key that is let in; any is by default.")
@click.option("--replay", type=click.Path(path_type=Path), help="A .parquet or .csv recording.")
@click.option("--speed", default=1.0, help="How many times faster to replay.")
@click.option("--loop/--no-loop", default=True, help="Replay for ever, or once.")
@click.option("--symbol", help="Of the recording, as BASE/QUOTE.")
@click.option("--seed", default=1, help="Selects the course of the generated market.")
@click.option("--quotes-per-s", default=50.0, help="Mean rate outside of bursts.")
@click.option("--trades-per-s", default=5.0, help="Mean rate.")
@click.option("--burst-size", default=0, help="Quotes that are due at once; 0 for no bursts.")
@click.option("--burst-interval-s", default=1.0, help="Seconds from one burst to the next.")
@click.option("--exit-with-stdin", is_flag=True, help="Stop when standard input ends.")
def main(
    *,
    replay: Path | None,
    speed: float,
    loop: bool,
    symbol: str | None,
    host: str,
    port: int,
    api_key: str | None,
    exit_with_stdin: bool,
    **generated: Any,
) -> None:
    """Serve Binance spot on the loopback interface, from a generated or a recorded market."""
    try:
        source: MarketSource
        if replay is None:
            source = GeneratedMarket(**generated)
        else:
            source = RecordedMarket.open(replay, speed=speed, loop=loop, symbol=symbol)
        asyncio.run(_serve(source, host, port, api_key, exit_with_stdin=exit_with_stdin))
    except (EnhancedBusError, ValueError) as e:
        click.echo(str(e), err=True)
        sys.exit(BAD_INPUT)


async def _serve(
    source: MarketSource, host: str, port: int, api_key: str | None, *, exit_with_stdin: bool
) -> None:
    from nautilus_enhanced.sandbox.binance import BinanceSpotVenue  # noqa: PLC0415 (an extra)

    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with BinanceSpotVenue(source, host=host, port=port, api_key=api_key) as venue:
        ready = {
            "http_url": venue.http_url,
            "ws_url": venue.ws_url,
            "ws_api_url": venue.ws_api_url,
            "symbol": source.instrument.symbol,
            "tick_size": str(source.instrument.tick_size),
            "step_size": str(source.instrument.step_size),
        }
        click.echo(json.dumps(ready))
        sys.stdout.flush()
        if exit_with_stdin:
            threading.Thread(target=_watch_stdin, args=(loop, stop), daemon=True).start()
        await stop.wait()


def _watch_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Read until the end: a thread, because an event loop takes no files as standard input."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    if not loop.is_closed():
        loop.call_soon_threadsafe(stop.set)


if __name__ == "__main__":
    main()
