"""The loopback venues by name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.errors import MissingExtraError
from nautilus_enhanced.sandbox.errors import VenueError
from nautilus_enhanced.sandbox.generator import GeneratedMarket
from nautilus_enhanced.sandbox.market import Instrument


if TYPE_CHECKING:
    from nautilus_enhanced.sandbox.market import MarketSource
    from nautilus_enhanced.sandbox.venue import LoopbackVenue


@dataclass(frozen=True, kw_only=True, slots=True)
class VenueEntry:
    """
    Say where a venue is, and how NautilusTrader's clients reach it.

    Attributes
    ----------
    module, attribute : str
        The class, made from a market source and options.
    about : str
        What it is, in a few words.
    data_fields, exec_fields : str
        The fields of the stock client configs that lead to it; ``{http_url}`` and the like stand
        for its addresses.
    has_keys : bool
        Whether its clients log in with an API key.
    market : Mapping[str, Any]
        The settings of a market that is made up for it, where they are not the usual ones.
    """

    module: str
    attribute: str
    about: str
    data_fields: str
    exec_fields: str
    has_keys: bool = True
    market: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


_BINANCE: Final = "nautilus_enhanced.sandbox.binance.venue"
_BYBIT: Final = "nautilus_enhanced.sandbox.bybit.venue"
_OKX: Final = "nautilus_enhanced.sandbox.okx.venue"
_IB: Final = "nautilus_enhanced.sandbox.interactive_brokers.venue"
_IB_CLIENTS: Final = "nautilus_enhanced.sandbox.interactive_brokers.clients"
_IB_DATA_FIELDS: Final = (
    'InteractiveBrokersDataClientConfig(ibg_host="{host}", ibg_port={port}, ibg_client_id=1)'
)
_IB_EXEC_FIELDS: Final = (
    'InteractiveBrokersExecClientConfig(ibg_host="{host}", ibg_port={port}, ibg_client_id=1,\n'
    '    account_id="{account}", routing=RoutingConfig(default=True))'
)
VENUES: Final = {
    "binance-spot": VenueEntry(
        module=_BINANCE,
        attribute="BinanceSpotVenue",
        about="Binance spot",
        data_fields=(
            "BinanceDataClientConfig(account_type=BinanceAccountType.SPOT,\n"
            '    base_url_http="{http_url}", base_url_ws="{ws_url}")'
        ),
        exec_fields=(
            "BinanceExecClientConfig(account_type=BinanceAccountType.SPOT,\n"
            '    base_url_http="{http_url}", base_url_ws="{ws_api_url}")\n'
            '    # NautilusTrader 1.221: base_url_ws="{ws_url}"'
        ),
    ),
    "binance-futures": VenueEntry(
        module=_BINANCE,
        attribute="BinanceFuturesVenue",
        about="Binance USDT futures",
        data_fields=(
            "BinanceDataClientConfig(account_type=BinanceAccountType.USDT_FUTURES,\n"
            '    base_url_http="{http_url}", base_url_ws="{ws_url}")'
        ),
        exec_fields=(
            "BinanceExecClientConfig(account_type=BinanceAccountType.USDT_FUTURES,\n"
            '    base_url_http="{http_url}", base_url_ws="{ws_api_url}",\n'
            '    base_url_ws_stream="{ws_url}")\n'
            '    # NautilusTrader 1.221: base_url_ws="{ws_url}", and no base_url_ws_stream'
        ),
    ),
    "bybit": VenueEntry(
        module=_BYBIT,
        attribute="BybitLinearVenue",
        about="Bybit linear perpetuals",
        data_fields=(
            "BybitDataClientConfig(product_types=(BybitProductType.LINEAR,),\n"
            '    base_url_http="{http_url}", instrument_status_poll_secs=None)\n'
            '    # with public_socket_factory(BybitLiveDataClientFactory, "{ws_url}")'
        ),
        exec_fields=(
            "BybitExecClientConfig(product_types=(BybitProductType.LINEAR,),\n"
            '    base_url_http="{http_url}", base_url_ws_private="{ws_url}/v5/private",\n'
            '    base_url_ws_trade="{ws_api_url}")'
        ),
    ),
    "bybit-spot": VenueEntry(
        module=_BYBIT,
        attribute="BybitSpotVenue",
        about="Bybit spot",
        data_fields=(
            "BybitDataClientConfig(product_types=(BybitProductType.SPOT,),\n"
            '    base_url_http="{http_url}", instrument_status_poll_secs=None)\n'
            '    # with public_socket_factory(BybitLiveDataClientFactory, "{ws_url}")'
        ),
        exec_fields=(
            "BybitExecClientConfig(product_types=(BybitProductType.SPOT,),\n"
            '    base_url_http="{http_url}", base_url_ws_private="{ws_url}/v5/private",\n'
            '    base_url_ws_trade="{ws_api_url}")'
        ),
    ),
    "okx-swap": VenueEntry(
        module=_OKX,
        attribute="OKXSwapVenue",
        about="OKX linear swaps",
        data_fields=(
            "OKXDataClientConfig(instrument_types=(OKXInstrumentType.SWAP,),\n"
            '    api_passphrase="any",\n'
            '    base_url_http="{http_url}", base_url_ws="{ws_url}")'
        ),
        exec_fields=(
            "OKXExecClientConfig(instrument_types=(OKXInstrumentType.SWAP,),\n"
            '    api_passphrase="any",\n'
            '    base_url_http="{http_url}", base_url_ws="{ws_api_url}")'
        ),
    ),
    "okx-spot": VenueEntry(
        module=_OKX,
        attribute="OKXSpotVenue",
        about="OKX spot",
        data_fields=(
            "OKXDataClientConfig(instrument_types=(OKXInstrumentType.SPOT,),\n"
            '    api_passphrase="any",\n'
            '    base_url_http="{http_url}", base_url_ws="{ws_url}")'
        ),
        exec_fields=(
            "OKXExecClientConfig(instrument_types=(OKXInstrumentType.SPOT,),\n"
            '    api_passphrase="any",\n'
            '    base_url_http="{http_url}", base_url_ws="{ws_api_url}")'
        ),
    ),
    "ib": VenueEntry(
        module=_IB,
        attribute="InteractiveBrokersStockVenue",
        about="A stock at Interactive Brokers",
        data_fields=_IB_DATA_FIELDS,
        exec_fields=_IB_EXEC_FIELDS,
        has_keys=False,
        market=MappingProxyType(
            {
                "instrument": Instrument(
                    base="AAPL", quote="USD", tick_size=Decimal("0.01"), step_size=Decimal(1)
                ),
                "start_price": Decimal("200.00"),
                "bound_ticks": 5_000,
            }
        ),
    ),
    "ib-forex": VenueEntry(
        module=_IB,
        attribute="InteractiveBrokersForexVenue",
        about="A currency pair at Interactive Brokers",
        data_fields=_IB_DATA_FIELDS,
        exec_fields=_IB_EXEC_FIELDS,
        has_keys=False,
        market=MappingProxyType(
            {
                "instrument": Instrument(
                    base="EUR", quote="USD", tick_size=Decimal("0.00005"), step_size=Decimal(1)
                ),
                "start_price": Decimal("1.10000"),
                "bound_ticks": 1_000,
            }
        ),
    ),
}
# What is missing where a module cannot be imported: the extra, and what needs it.
_EXTRAS: Final = {
    "aiohttp": ("sandbox", "A loopback venue"),
    "ibapi": ("ib", "A venue that speaks Interactive Brokers' protocol"),
    "google": ("ib", "A venue that speaks Interactive Brokers' protocol"),
}


def generated_market(name: str, **settings: Any) -> GeneratedMarket:
    """
    Make up a market for a venue.

    Parameters
    ----------
    name : str
        One of `VENUES`.
    **settings : Any
        Parameters of `GeneratedMarket`.

    Raises
    ------
    ValueError
        If a setting is outside of what is allowed.
    """
    return GeneratedMarket(**{**VENUES[name].market, **settings})


def open_venue(name: str, source: MarketSource, **options: Any) -> LoopbackVenue:
    """
    Make a venue.

    Parameters
    ----------
    name : str
        One of `VENUES`.
    source : MarketSource
        Its market.
    **options : Any
        Further parameters of the venue's class.

    Raises
    ------
    VenueError
        If there is no venue of that name.
    MissingExtraError
        If an extra that it needs is not installed.
    """
    entry = VENUES.get(name)
    if entry is None:
        raise VenueError(f"There is no venue `{name}`; allowed: {', '.join(VENUES)}.")
    venue: LoopbackVenue = venue_class(entry.module, entry.attribute)(source, **options)
    return venue


def venue_class(module: str, attribute: str) -> Any:
    """
    Import the class of a venue.

    Raises
    ------
    MissingExtraError
        If an extra that it needs is not installed.
    VenueError
        If another version of what it needs is installed.
    """
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as e:
        name = (e.name or "").partition(".")[0]
        if name not in _EXTRAS:
            raise
        if name == "ibapi":
            importlib.import_module(_IB_CLIENTS).check_library()
        raise MissingExtraError(*_EXTRAS[name]) from None
