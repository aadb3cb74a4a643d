"""
Configs that point NautilusTrader's Binance clients at a loopback venue.

Up to 1.221 the execution client takes its user data from a listenKey stream, below the base URL
of the market streams; from the version on that brings `websocket.user` it takes it from the
WS-API.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING
from typing import Any


if TYPE_CHECKING:
    from nautilus_trader.adapters.binance.config import BinanceDataClientConfig
    from nautilus_trader.adapters.binance.config import BinanceExecClientConfig


def data_client_config(
    *,
    http_url: str,
    ws_url: str,
    api_key: str = "loopback",
    api_secret: str = "loopback",  # noqa: S107 (the venue checks no signature)
    **settings: Any,
) -> BinanceDataClientConfig:
    """
    Return the config of a Binance spot data client for a loopback venue.

    Parameters
    ----------
    http_url, ws_url : str
        The venue's, from its properties or its first line of output.
    api_key, api_secret : str
        The credentials; a venue made without a key takes any.
    **settings : Any
        Further fields of ``BinanceDataClientConfig``.
    """
    from nautilus_trader.adapters.binance.config import BinanceDataClientConfig  # noqa: PLC0415

    fields = _common(http_url, ws_url, api_key, api_secret) | settings
    return BinanceDataClientConfig(**fields)


def exec_client_config(
    *,
    http_url: str,
    ws_url: str,
    ws_api_url: str,
    api_key: str = "loopback",
    api_secret: str = "loopback",  # noqa: S107 (the venue checks no signature)
    **settings: Any,
) -> BinanceExecClientConfig:
    """
    Return the config of a Binance spot execution client for a loopback venue.

    Parameters
    ----------
    http_url, ws_url, ws_api_url : str
        The venue's, from its properties or its first line of output.
    api_key, api_secret : str
        The credentials; a venue made without a key takes any.
    **settings : Any
        Further fields of ``BinanceExecClientConfig``.
    """
    from nautilus_trader.adapters.binance.config import BinanceExecClientConfig  # noqa: PLC0415

    by_api = importlib.util.find_spec("nautilus_trader.adapters.binance.websocket.user")
    user_url = ws_api_url if by_api else ws_url
    fields = _common(http_url, user_url, api_key, api_secret) | settings
    return BinanceExecClientConfig(**fields)


def _common(http_url: str, ws_url: str, api_key: str, api_secret: str) -> dict[str, Any]:
    from nautilus_trader.adapters.binance.common.enums import BinanceAccountType  # noqa: PLC0415
    from nautilus_trader.config import InstrumentProviderConfig  # noqa: PLC0415

    return {
        "api_key": api_key,
        "api_secret": api_secret,
        "account_type": BinanceAccountType.SPOT,
        "base_url_http": http_url,
        "base_url_ws": ws_url,
        "instrument_provider": InstrumentProviderConfig(load_all=True),
    }
