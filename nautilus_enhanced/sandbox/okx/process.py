"""The OKX venues in processes of their own, with the configs that lead to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nautilus_enhanced.sandbox.okx.clients import Product
from nautilus_enhanced.sandbox.okx.clients import data_client_config
from nautilus_enhanced.sandbox.okx.clients import exec_client_config
from nautilus_enhanced.sandbox.process import VenueProcess


class _OKXVenueProcess(VenueProcess):
    _product: Product

    def __init__(self, *, faults: Iterable[str] = (), **options: Any) -> None:
        super().__init__(f"okx-{self._product}", faults=faults, **options)

    def data_client_config(self, **settings: Any) -> Any:
        """Return the ``OKXDataClientConfig`` for this venue."""
        at = self.address
        return data_client_config(
            product=self._product, http_url=at.http_url, ws_url=at.ws_url, **settings
        )

    def exec_client_config(self, **settings: Any) -> Any:
        """Return the ``OKXExecClientConfig`` for this venue."""
        at = self.address
        return exec_client_config(
            product=self._product, http_url=at.http_url, ws_api_url=at.ws_api_url, **settings
        )


class OKXSwapVenueProcess(_OKXVenueProcess):
    """
    Run a venue of OKX's linear swaps beside the program that trades on it.

    Parameters
    ----------
    faults : Iterable[str]
        What goes wrong, as the option ``--fault`` takes it.
    **options : Any
        The other options of ``nt-enhanced venue``, with underscores: `replay`, `speed`, `seed`,
        `quotes_per_s`, `burst_size`, `port` and so on.

    Examples
    --------
    >>> with OKXSwapVenueProcess(seed=7) as venue:
    ...     config = venue.data_client_config()
    """

    _product = "swap"


class OKXSpotVenueProcess(_OKXVenueProcess):
    """
    Run an OKX spot venue beside the program that trades on it.

    Parameters
    ----------
    faults : Iterable[str]
        What goes wrong, as the option ``--fault`` takes it.
    **options : Any
        The other options of ``nt-enhanced venue``, with underscores.
    """

    _product = "spot"
