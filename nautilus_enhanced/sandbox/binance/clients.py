"""
Configs that point NautilusTrader's Binance clients at a loopback venue.

Where user data comes from differs. On spot: up to 1.221 a listenKey stream below the base URL of
the market streams; from the version on that brings `websocket.user`, the WS-API. On futures it is
a listenKey stream always, but later versions have a field of its own for its URL.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING
from typing import Any
from typing import Literal
from typing import TypeAlias


if TYPE_CHECKING:
    from nautilus_trader.adapters.binance.config import BinanceDataClientConfig
    from nautilus_trader.adapters.binance.config import BinanceExecClientConfig

Product: TypeAlias = Literal["spot", "futures"]


def data_client_config(
    *,
    http_url: str,
    ws_url: str,
    product: Product = "spot",
    api_key: str = "loopback",
    api_secret: str = "loopback",  # noqa: S107 (the venue checks no signature)
    **settings: Any,
) -> BinanceDataClientConfig:
    """
    Return the config of a Binance data client for a loopback venue.

    Parameters
    ----------
    http_url, ws_url : str
        The venue's, from its properties or its first line of output.
    product : {"spot", "futures"}
        What the venue trades.
    api_key, api_secret : str
        The credentials; a venue made without a key takes any.
    **settings : Any
        Further fields of ``BinanceDataClientConfig``.
    """
    from nautilus_trader.adapters.binance.config import BinanceDataClientConfig  # noqa: PLC0415

    fields = _common(product, http_url, ws_url, api_key, api_secret) | settings
    return BinanceDataClientConfig(**fields)


def exec_client_config(
    *,
    http_url: str,
    ws_url: str,
    ws_api_url: str,
    product: Product = "spot",
    api_key: str = "loopback",
    api_secret: str = "loopback",  # noqa: S107 (the venue checks no signature)
    **settings: Any,
) -> BinanceExecClientConfig:
    """
    Return the config of a Binance execution client for a loopback venue.

    Parameters
    ----------
    http_url, ws_url, ws_api_url : str
        The venue's, from its properties or its first line of output.
    product : {"spot", "futures"}
        What the venue trades.
    api_key, api_secret : str
        The credentials; a venue made without a key takes any.
    **settings : Any
        Further fields of ``BinanceExecClientConfig``.
    """
    from nautilus_trader.adapters.binance.config import BinanceExecClientConfig  # noqa: PLC0415

    by_api = importlib.util.find_spec("nautilus_trader.adapters.binance.websocket.user")
    fields = _common(product, http_url, ws_api_url if by_api else ws_url, api_key, api_secret)
    if product == "futures" and "base_url_ws_stream" in BinanceExecClientConfig.__struct_fields__:
        fields["base_url_ws_stream"] = ws_url
    return BinanceExecClientConfig(**fields | settings)


def _common(
    product: Product, http_url: str, ws_url: str, api_key: str, api_secret: str
) -> dict[str, Any]:
    from nautilus_trader.adapters.binance.common.enums import BinanceAccountType  # noqa: PLC0415
    from nautilus_trader.config import InstrumentProviderConfig  # noqa: PLC0415

    kinds = {"spot": BinanceAccountType.SPOT, "futures": BinanceAccountType.USDT_FUTURES}
    return {
        "api_key": api_key,
        "api_secret": api_secret,
        "account_type": kinds[product],
        "base_url_http": http_url,
        "base_url_ws": ws_url,
        "instrument_provider": InstrumentProviderConfig(load_all=True),
    }
