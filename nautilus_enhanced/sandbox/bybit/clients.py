"""
Configs and a factory that point NautilusTrader's Bybit clients at a loopback venue.

The config of the data client has no field for the URL of the public socket: its client takes the
one of the REST API, which no socket answers at. `public_socket_factory` gives the client sockets
that lead to the venue, before it connects; the adapter stays as it is for all other clients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import Literal
from typing import TypeAlias

from nautilus_enhanced.sandbox.errors import VenueError


if TYPE_CHECKING:
    from nautilus_trader.adapters.bybit.config import BybitDataClientConfig
    from nautilus_trader.adapters.bybit.config import BybitExecClientConfig

Product: TypeAlias = Literal["linear", "spot"]


def data_client_config(
    *,
    http_url: str,
    product: Product = "linear",
    api_key: str = "loopback",
    api_secret: str = "loopback",  # noqa: S107 (the venue checks no signature)
    **settings: Any,
) -> BybitDataClientConfig:
    """
    Return the config of a Bybit data client for a loopback venue.

    Its client must come from a factory that `public_socket_factory` made.

    Parameters
    ----------
    http_url : str
        The venue's, from its properties or its first line of output.
    product : {"linear", "spot"}
        What the venue trades.
    api_key, api_secret : str
        The credentials; a venue made without a key takes any.
    **settings : Any
        Further fields of ``BybitDataClientConfig``.

    Raises
    ------
    VenueError
        If this NautilusTrader's Bybit clients are not those that the venue speaks with.
    """
    from nautilus_trader.adapters.bybit.config import BybitDataClientConfig  # noqa: PLC0415

    fields = _common(BybitDataClientConfig, product, http_url, api_key, api_secret)
    # The venue says nothing of instruments' states beyond their list.
    fields["instrument_status_poll_secs"] = None
    return BybitDataClientConfig(**fields | settings)


def exec_client_config(
    *,
    http_url: str,
    ws_url: str,
    ws_api_url: str,
    product: Product = "linear",
    api_key: str = "loopback",
    api_secret: str = "loopback",  # noqa: S107 (the venue checks no signature)
    **settings: Any,
) -> BybitExecClientConfig:
    """
    Return the config of a Bybit execution client for a loopback venue.

    Parameters
    ----------
    http_url, ws_url, ws_api_url : str
        The venue's, from its properties or its first line of output.
    product : {"linear", "spot"}
        What the venue trades.
    api_key, api_secret : str
        The credentials; a venue made without a key takes any.
    **settings : Any
        Further fields of ``BybitExecClientConfig``.

    Raises
    ------
    VenueError
        If this NautilusTrader's Bybit clients are not those that the venue speaks with.
    """
    from nautilus_trader.adapters.bybit.config import BybitExecClientConfig  # noqa: PLC0415

    fields = _common(BybitExecClientConfig, product, http_url, api_key, api_secret)
    fields["base_url_ws_private"] = f"{ws_url}/v5/private"
    fields["base_url_ws_trade"] = ws_api_url
    return BybitExecClientConfig(**fields | settings)


def public_socket_factory(factory: Any, ws_url: str) -> Any:
    """
    Return a factory of Bybit data clients whose public sockets lead to a loopback venue.

    Parameters
    ----------
    factory : type[LiveDataClientFactory]
        NautilusTrader's ``BybitLiveDataClientFactory``, or its enhanced twin.
    ws_url : str
        The venue's, from its properties or its first line of output.

    Returns
    -------
    type[LiveDataClientFactory]
        A subclass of the same name, for ``add_data_client_factory``.
    """

    def create(*args: Any, **kwargs: Any) -> Any:
        client = factory.create(*args, **kwargs)
        _lead_to(client, ws_url)
        return client

    name = factory.__name__
    members = {
        "__doc__": f"Make what `{name}` makes, with public sockets of a loopback venue.",
        "__module__": __name__,
        "create": staticmethod(create),
    }
    return type(name, (factory,), members)


def _lead_to(client: Any, ws_url: str) -> None:
    """Replace a client's public sockets, none of which is connected yet."""
    from nautilus_trader.core import nautilus_pyo3  # noqa: PLC0415 (heavy)

    config = client._config  # noqa: SLF001 (there is no other way to a client's sockets)
    sockets = client._ws_clients  # noqa: SLF001 (there is no other way to a client's sockets)
    environment = config.environment or nautilus_pyo3.BybitEnvironment.MAINNET
    for product_type in tuple(sockets):
        socket = nautilus_pyo3.BybitWebSocketClient.new_public(
            product_type=product_type,
            environment=environment,
            url=f"{ws_url}/v5/public/{product_type.name.lower()}",
            proxy_url=config.proxy_url,
        )
        socket.set_bars_timestamp_on_close(config.bars_timestamp_on_close)
        sockets[product_type] = socket


def _common(
    config: Any, product: Product, http_url: str, api_key: str, api_secret: str
) -> dict[str, Any]:
    from nautilus_trader.config import InstrumentProviderConfig  # noqa: PLC0415 (heavy)
    from nautilus_trader.core import nautilus_pyo3  # noqa: PLC0415 (heavy)

    # The clients that came before had flags where these have an environment.
    if "environment" not in config.__struct_fields__:
        raise VenueError(
            "This NautilusTrader's Bybit clients are not those that the venue speaks with; "
            "use version 1.231.0."
        )
    kinds = nautilus_pyo3.BybitProductType
    return {
        "api_key": api_key,
        "api_secret": api_secret,
        "product_types": (kinds.SPOT if product == "spot" else kinds.LINEAR,),
        "base_url_http": http_url,
        "instrument_provider": InstrumentProviderConfig(load_all=True),
    }
