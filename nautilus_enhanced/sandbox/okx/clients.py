"""
Configs that point NautilusTrader's OKX clients at a loopback venue.

The clients derive the URL of the business websocket from the one they are given. Version 1.221
does not: its clients connect to the real venue's, so that no loopback venue serves them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import Literal
from typing import TypeAlias

from nautilus_enhanced.sandbox.errors import VenueError


if TYPE_CHECKING:
    from nautilus_trader.adapters.okx.config import OKXDataClientConfig
    from nautilus_trader.adapters.okx.config import OKXExecClientConfig

Product: TypeAlias = Literal["swap", "spot"]


def data_client_config(
    *, http_url: str, ws_url: str, product: Product = "swap", **settings: Any
) -> OKXDataClientConfig:
    """
    Return the config of an OKX data client for a loopback venue.

    Parameters
    ----------
    http_url, ws_url : str
        The venue's, from its address.
    product : {"swap", "spot"}
        What the venue trades.
    **settings : Any
        Further fields of ``OKXDataClientConfig``; a venue made without a key takes any.

    Raises
    ------
    VenueError
        If the clients of this version of NautilusTrader cannot be pointed at it.
    """
    from nautilus_trader.adapters.okx.config import OKXDataClientConfig  # noqa: PLC0415

    return OKXDataClientConfig(**_common(product, http_url, ws_url) | settings)


def exec_client_config(
    *, http_url: str, ws_api_url: str, product: Product = "swap", **settings: Any
) -> OKXExecClientConfig:
    """
    Return the config of an OKX execution client for a loopback venue.

    Parameters
    ----------
    http_url, ws_api_url : str
        The venue's, from its address.
    product : {"swap", "spot"}
        What the venue trades.
    **settings : Any
        Further fields of ``OKXExecClientConfig``; a venue made without a key takes any.

    Raises
    ------
    VenueError
        If the clients of this version of NautilusTrader cannot be pointed at it.
    """
    from nautilus_trader.adapters.okx.config import OKXExecClientConfig  # noqa: PLC0415

    return OKXExecClientConfig(**_common(product, http_url, ws_api_url) | settings)


def _common(product: Product, http_url: str, ws_url: str) -> dict[str, Any]:
    from nautilus_trader.config import InstrumentProviderConfig  # noqa: PLC0415
    from nautilus_trader.core import nautilus_pyo3  # noqa: PLC0415
    from nautilus_trader.core.nautilus_pyo3 import OKXContractType  # noqa: PLC0415
    from nautilus_trader.core.nautilus_pyo3 import OKXInstrumentType  # noqa: PLC0415

    if not hasattr(nautilus_pyo3, "derive_okx_ws_url"):
        raise VenueError(
            "The OKX clients of this version of NautilusTrader connect to the real venue's "
            "business websocket, whatever URL they are given; a loopback venue needs version 1.231."
        )
    fields: dict[str, Any] = {
        "api_key": "loopback",
        "api_secret": "loopback",
        "api_passphrase": "loopback",
        "instrument_types": (OKXInstrumentType.SPOT,),
        "base_url_http": http_url,
        "base_url_ws": ws_url,
        "instrument_provider": InstrumentProviderConfig(load_all=True),
    }
    if product == "swap":
        fields["instrument_types"] = (OKXInstrumentType.SWAP,)
        fields["contract_types"] = (OKXContractType.LINEAR,)
    return fields
