"""The Interactive Brokers venues in processes of their own, with the configs that lead to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nautilus_enhanced.sandbox.interactive_brokers.clients import Product
from nautilus_enhanced.sandbox.interactive_brokers.clients import data_client_config
from nautilus_enhanced.sandbox.interactive_brokers.clients import exec_client_config
from nautilus_enhanced.sandbox.market import split_symbol
from nautilus_enhanced.sandbox.process import VenueProcess


class _InteractiveBrokersVenueProcess(VenueProcess):
    _name: str
    _product: Product

    def __init__(self, *, faults: Iterable[str] = (), **options: Any) -> None:
        super().__init__(self._name, faults=faults, **options)

    def data_client_config(self, **settings: Any) -> Any:
        """Return the ``InteractiveBrokersDataClientConfig`` for this venue."""
        return data_client_config(**self._where(), **settings)

    def exec_client_config(self, **settings: Any) -> Any:
        """Return the ``InteractiveBrokersExecClientConfig`` for this venue."""
        return exec_client_config(**self._where(), account=self.address.account, **settings)

    def _where(self) -> dict[str, Any]:
        at = self.address
        symbol = "/".join(split_symbol(at.symbol) or (at.symbol, "USD"))
        return {"host": at.host, "port": at.port, "product": self._product, "symbol": symbol}


class InteractiveBrokersStockVenueProcess(_InteractiveBrokersVenueProcess):
    """
    Run a venue of a stock at Interactive Brokers beside the program that trades on it.

    Parameters
    ----------
    faults : Iterable[str]
        What goes wrong, as the option ``--fault`` takes it.
    **options : Any
        The other options of ``nt-enhanced venue``, with underscores: `replay`, `speed`, `seed`,
        `quotes_per_s`, `burst_size`, `port` and so on.

    Examples
    --------
    >>> with InteractiveBrokersStockVenueProcess(seed=7) as venue:
    ...     config = venue.data_client_config()
    """

    _name = "ib"
    _product = "stock"


class InteractiveBrokersForexVenueProcess(_InteractiveBrokersVenueProcess):
    """
    Run a venue of a pair of currencies beside the program that trades on it.

    Parameters
    ----------
    faults : Iterable[str]
        What goes wrong, as the option ``--fault`` takes it.
    **options : Any
        The other options of ``nt-enhanced venue``, with underscores.
    """

    _name = "ib-forex"
    _product = "forex"
