"""The Bybit venues in processes of their own, with what leads NautilusTrader's clients to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nautilus_enhanced.sandbox.bybit.clients import Product
from nautilus_enhanced.sandbox.bybit.clients import data_client_config
from nautilus_enhanced.sandbox.bybit.clients import exec_client_config
from nautilus_enhanced.sandbox.bybit.clients import public_socket_factory
from nautilus_enhanced.sandbox.process import VenueProcess


class _BybitVenueProcess(VenueProcess):
    _name: str
    _product: Product

    def __init__(self, *, faults: Iterable[str] = (), **options: Any) -> None:
        super().__init__(self._name, faults=faults, **options)

    def data_client_config(self, **settings: Any) -> Any:
        """Return the ``BybitDataClientConfig`` for this venue."""
        return data_client_config(product=self._product, http_url=self.address.http_url, **settings)

    def exec_client_config(self, **settings: Any) -> Any:
        """Return the ``BybitExecClientConfig`` for this venue."""
        at = self.address
        return exec_client_config(
            product=self._product,
            http_url=at.http_url,
            ws_url=at.ws_url,
            ws_api_url=at.ws_api_url,
            **settings,
        )

    def data_client_factory(self, factory: Any = None) -> Any:
        """
        Return the factory whose data clients get their market data from this venue.

        Parameters
        ----------
        factory : type[LiveDataClientFactory], optional
            What it is made of: by default NautilusTrader's own.
        """
        if factory is None:
            from nautilus_trader.adapters.bybit.factories import BybitLiveDataClientFactory  # noqa: PLC0415 (heavy)

            factory = BybitLiveDataClientFactory
        return public_socket_factory(factory, self.address.ws_url)


class BybitLinearVenueProcess(_BybitVenueProcess):
    """
    Run a venue of Bybit's linear perpetuals beside the program that trades on it.

    Parameters
    ----------
    faults : Iterable[str]
        What goes wrong, as the option ``--fault`` takes it.
    **options : Any
        The other options of ``nt-enhanced venue``, with underscores: `replay`, `speed`, `seed`,
        `quotes_per_s`, `burst_size`, `port` and so on.
    """

    _name = "bybit"
    _product = "linear"


class BybitSpotVenueProcess(_BybitVenueProcess):
    """
    Run a Bybit spot venue beside the program that trades on it.

    Parameters
    ----------
    faults : Iterable[str]
        What goes wrong, as the option ``--fault`` takes it.
    **options : Any
        The other options of ``nt-enhanced venue``, with underscores.
    """

    _name = "bybit-spot"
    _product = "spot"
