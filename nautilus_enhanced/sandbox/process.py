"""A loopback venue in a process of its own, as a context manager."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from typing import Final

import msgspec

from nautilus_enhanced.sandbox.child import ServingChild
from nautilus_enhanced.sandbox.errors import VenueError


START_TIMEOUT_S: Final = 20.0


class VenueAddress(msgspec.Struct, frozen=True, kw_only=True):
    """
    Where a venue listens and what it trades: the first line that its process writes.

    Attributes
    ----------
    venue : str
        Its name.
    http_url, ws_url, ws_api_url : str
        The URLs of REST API, streams and WS-API; the last two are empty where there are none.
    host, port, account : str, int, str
        Of a venue that is not spoken to over HTTP: where its socket is, and its account.
    symbol : str
        What is traded, such as ``BTCUSDT``.
    tick_size, step_size : str
        The increments of price and quantity.
    """

    venue: str
    http_url: str
    symbol: str
    tick_size: str
    step_size: str
    ws_url: str = ""
    ws_api_url: str = ""
    host: str = ""
    port: int = 0
    account: str = ""


class VenueProcess:
    """
    Run a loopback venue beside the program that trades on it.

    Parameters
    ----------
    name : str
        The venue's name, such as ``binance-spot``.
    faults : Iterable[str]
        What goes wrong, as the option ``--fault`` takes it.
    **options : Any
        The other options of ``nt-enhanced venue``, with underscores: `replay`, `speed`, `seed`,
        `quotes_per_s`, `burst_size`, `port` and so on.
    """

    def __init__(self, name: str, *, faults: Iterable[str] = (), **options: Any) -> None:
        arguments = ["venue", name, "--json", "--exit-with-stdin"]
        for fault in faults:
            arguments += ["--fault", fault]
        for option, value in options.items():
            arguments += [f"--{option.replace('_', '-')}", str(value)]
        self._child = ServingChild("nautilus_enhanced.cli", *arguments)
        self._address: VenueAddress | None = None

    def __enter__(self) -> Any:
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
            raise VenueError(answer["error"].removeprefix("Error: "))
        self._address = msgspec.convert(answer, VenueAddress, strict=False)
        return self._address

    def stop(self) -> None:
        """Stop the venue; calling it twice is harmless."""
        self._child.stop()
