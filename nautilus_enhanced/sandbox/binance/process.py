"""The Binance spot venue in a process of its own, as a context manager."""

from __future__ import annotations

from typing import Any
from typing import Final

import msgspec

from nautilus_enhanced.sandbox.binance.clients import data_client_config
from nautilus_enhanced.sandbox.binance.clients import exec_client_config
from nautilus_enhanced.sandbox.child import ServingChild
from nautilus_enhanced.sandbox.errors import VenueError


START_TIMEOUT_S: Final = 20.0


class VenueAddress(msgspec.Struct, frozen=True, kw_only=True):
    """
    Where a venue listens and what it trades: the first line that its process writes.

    Attributes
    ----------
    http_url, ws_url, ws_api_url : str
        The URLs of REST API, market streams and WS-API.
    symbol : str
        What is traded, such as ``BTCUSDT``.
    tick_size, step_size : str
        The increments of price and quantity.
    """

    http_url: str
    ws_url: str
    ws_api_url: str
    symbol: str
    tick_size: str
    step_size: str


class BinanceSpotVenueProcess:
    """
    Run a loopback venue beside the program that trades on it.

    Parameters
    ----------
    **options : Any
        The options of ``python -m nautilus_enhanced.sandbox.binance``, with underscores:
        `replay`, `speed`, `seed`, `quotes_per_s`, `burst_size`, `port` and so on.

    Examples
    --------
    >>> with BinanceSpotVenueProcess(seed=7) as venue:
    ...     config = venue.data_client_config()
    """

    def __init__(self, **options: Any) -> None:
        arguments = ["--exit-with-stdin"]
        for name, value in options.items():
            arguments += [f"--{name.replace('_', '-')}", str(value)]
        self._child = ServingChild("nautilus_enhanced.sandbox.binance", *arguments)
        self._address: VenueAddress | None = None

    def __enter__(self) -> BinanceSpotVenueProcess:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def address(self) -> VenueAddress:
        """
        Return where the venue listens.

        Raises
        ------
        VenueError
            If it was not started.
        """
        if self._address is None:
            raise VenueError("The venue was not started: use it in a `with` block.")
        return self._address

    def start(self) -> VenueAddress:
        """
        Start the venue and wait until it listens.

        Raises
        ------
        VenueError
            If it does not start: a port in use, a corrupt recording, a missing extra.
        """
        answer = self._child.start(START_TIMEOUT_S)
        if "error" in answer:
            raise VenueError(answer["error"])
        self._address = msgspec.convert(answer, VenueAddress)
        return self._address

    def stop(self) -> None:
        """Stop the venue; calling it twice is harmless."""
        self._child.stop()

    def data_client_config(self, **settings: Any) -> Any:
        """Return the ``BinanceDataClientConfig`` for this venue."""
        address = self.address
        return data_client_config(http_url=address.http_url, ws_url=address.ws_url, **settings)

    def exec_client_config(self, **settings: Any) -> Any:
        """Return the ``BinanceExecClientConfig`` for this venue."""
        address = self.address
        return exec_client_config(
            http_url=address.http_url,
            ws_url=address.ws_url,
            ws_api_url=address.ws_api_url,
            **settings,
        )
