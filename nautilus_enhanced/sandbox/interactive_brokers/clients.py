"""
Configs that point NautilusTrader's Interactive Brokers clients at a loopback venue.

The venue speaks protobuf. The clients of version 1.221 are made for an older library that does not.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from typing import Literal
from typing import TypeAlias

from nautilus_enhanced.infrastructure.messagebus.errors import MissingExtraError
from nautilus_enhanced.sandbox.errors import VenueError


if TYPE_CHECKING:
    from nautilus_trader.adapters.interactive_brokers.config import (
        InteractiveBrokersDataClientConfig,
    )
    from nautilus_trader.adapters.interactive_brokers.config import (
        InteractiveBrokersExecClientConfig,
    )

Product: TypeAlias = Literal["stock", "forex"]

ACCOUNT: Final = "DU1234567"
CLIENT_ID: Final = 1
CONNECTION_TIMEOUT_S: Final = 30


def data_client_config(
    *, host: str, port: int, product: Product = "stock", symbol: str = "AAPL/USD", **settings: Any
) -> InteractiveBrokersDataClientConfig:
    """
    Return the config of an Interactive Brokers data client for a loopback venue.

    Parameters
    ----------
    host, port : str, int
        The venue's, from its address.
    product : {"stock", "forex"}
        What the venue trades.
    symbol : str
        As ``BASE/QUOTE``: the stock and its currency, or the pair.
    **settings : Any
        Further fields of ``InteractiveBrokersDataClientConfig``.

    Raises
    ------
    VenueError
        If the clients of this version of NautilusTrader do not speak what the venue speaks.
    MissingExtraError
        If what the clients need is not installed.
    """
    check_library()
    from nautilus_trader.adapters.interactive_brokers.config import (  # noqa: PLC0415
        InteractiveBrokersDataClientConfig,
    )

    fields = _common(host, port, product, symbol)
    return InteractiveBrokersDataClientConfig(**fields | settings)


def exec_client_config(
    *,
    host: str,
    port: int,
    account: str = ACCOUNT,
    product: Product = "stock",
    symbol: str = "AAPL/USD",
    **settings: Any,
) -> InteractiveBrokersExecClientConfig:
    """
    Return the config of an Interactive Brokers execution client for a loopback venue.

    Parameters
    ----------
    host, port : str, int
        The venue's, from its address.
    account : str
        The venue's account.
    product : {"stock", "forex"}
        What the venue trades.
    symbol : str
        As ``BASE/QUOTE``: the stock and its currency, or the pair.
    **settings : Any
        Further fields of ``InteractiveBrokersExecClientConfig``.

    Raises
    ------
    VenueError
        If the clients of this version of NautilusTrader do not speak what the venue speaks.
    MissingExtraError
        If what the clients need is not installed.
    """
    check_library()
    from nautilus_trader.adapters.interactive_brokers.config import (  # noqa: PLC0415
        InteractiveBrokersExecClientConfig,
    )
    from nautilus_trader.config import RoutingConfig  # noqa: PLC0415

    fields = _common(host, port, product, symbol)
    # One client for whatever exchange an instrument is listed at.
    fields |= {"account_id": account, "routing": RoutingConfig(default=True)}
    return InteractiveBrokersExecClientConfig(**fields | settings)


def check_library() -> None:
    """
    Check that the library of TWS's messages is there and knows protobuf.

    Raises
    ------
    VenueError
        If it is one that does not.
    MissingExtraError
        If it is missing.
    """
    if find_spec("ibapi") is None:
        raise MissingExtraError("ib", "A venue that speaks Interactive Brokers' protocol")
    if find_spec("ibapi.protobuf") is None:
        raise VenueError(
            "The installed `nautilus_ibapi` knows no protobuf, which is what the loopback venue of "
            "Interactive Brokers speaks: it needs 10.45, which comes with NautilusTrader 1.231."
        )


def _common(host: str, port: int, product: Product, symbol: str) -> dict[str, Any]:
    from nautilus_trader.adapters.interactive_brokers.common import IBContract  # noqa: PLC0415
    from nautilus_trader.adapters.interactive_brokers.config import (  # noqa: PLC0415
        InteractiveBrokersInstrumentProviderConfig,
    )

    base, _, quote = symbol.partition("/")
    contract: dict[str, Any] = {"symbol": base, "currency": quote}
    if product == "forex":
        contract |= {"secType": "CASH", "exchange": "IDEALPRO"}
    else:
        contract |= {"secType": "STK", "exchange": "SMART", "primaryExchange": "NASDAQ"}
    return {
        "ibg_host": host,
        "ibg_port": port,
        "ibg_client_id": CLIENT_ID,
        "connection_timeout": CONNECTION_TIMEOUT_S,
        "instrument_provider": InteractiveBrokersInstrumentProviderConfig(
            load_contracts=frozenset({IBContract(**contract)})
        ),
    }
