"""What the demo is to run."""

from __future__ import annotations

import msgspec


class DemoSettings(msgspec.Struct, frozen=True, kw_only=True):
    """
    What to run.

    Attributes
    ----------
    seconds : float
        For how long the strategy trades.
    redis_url : str, optional
        The server to use; without it an embedded one is started.
    replay : str, optional
        A recording to replay instead of the generated market.
    speed : float
        How many times faster to replay.
    symbol : str, optional
        What the recording is of, as BASE/QUOTE.
    venues : tuple[str, ...]
        The venues, as in `DEMO_VENUES`: one node trades on all of them.
    venue_port : int
        The port of the loopback venue, 0 for any; for one venue alone.
    seed : int
        Selects the course of the generated market.
    burst_size : int
        Quotes in each burst of the generated market, one burst a second.
    chaos : bool
        Whether to kill and restart the embedded server meanwhile; the seed selects when.
    """

    seconds: float
    redis_url: str | None = None
    replay: str | None = None
    speed: float = 1.0
    symbol: str | None = None
    venues: tuple[str, ...] = ("binance",)
    venue_port: int = 0
    seed: int = 1
    burst_size: int = 1_000
    chaos: bool = False
