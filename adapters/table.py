"""
NautilusTrader's adapters, as data: what each has, and what is particular about it.

The names are looked up when an adapter is used, and never before: most bring a dependency of their
own. What is true of 1.221.0 only stands beside what is true of 1.231.0.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any
from typing import Final

import msgspec


_ADAPTERS: Final = "nautilus_trader.adapters."


class Adapter(msgspec.Struct, frozen=True, kw_only=True):
    """
    One adapter.

    Attributes
    ----------
    name : str
        The name of its package below ``nautilus_trader.adapters``.
    prefix : str
        What the names of its classes begin with.
    data_clients, execution_clients : tuple[str, ...]
        Its clients, as paths below its package; empty where it has none of that side.
    factories : str
        Its module of factories.
    versions : tuple[str, ...]
        Those of 1.221.0 and 1.231.0 that have it.
    names_1221 : dict[str, str]
        What 1.221.0 calls a class, where it is another name.
    requires : tuple[str, ...]
        The modules, in this or that version, that it cannot be imported without and that
        NautilusTrader does not bring.
    extra : str
        The extra of NautilusTrader that brings them.
    hooks : tuple[tuple[str, str], ...]
        Where it tells that a socket has come back: the attribute of the client that has the
        method, an empty string for the client itself, and the method.
    sockets : tuple[str, ...]
        The attributes of its clients with sockets that say whether they are up.
    attach : str
        The module with what must be done for its clients besides, as a function ``attach``.
    without_event_time : str
        What comes without a time of the event, for the documentation.
    passes_by : str
        What the clients' own methods do not see, and where it is seen instead.
    """

    name: str
    prefix: str
    data_clients: tuple[str, ...] = ()
    execution_clients: tuple[str, ...] = ()
    factories: str = "factories"
    versions: tuple[str, ...] = ("1.221.0", "1.231.0")
    names_1221: dict[str, str] = {}
    requires: tuple[str, ...] = ()
    extra: str = ""
    hooks: tuple[tuple[str, str], ...] = ()
    sockets: tuple[str, ...] = ()
    attach: str = ""
    without_event_time: str = ""
    passes_by: str = ""

    @property
    def data_factory(self) -> str | None:
        """Return the name of its factory of data clients, if it has one."""
        return f"{self.prefix}LiveDataClientFactory" if self.data_clients else None

    @property
    def execution_factory(self) -> str | None:
        """Return the name of its factory of execution clients, if it has one."""
        return f"{self.prefix}LiveExecClientFactory" if self.execution_clients else None

    def load(self, path: str) -> Any:
        """
        Return what is at a path below the adapter's package, such as ``data:BybitDataClient``.

        Raises
        ------
        ImportError
            If the adapter, or what it requires, is not installed.
        AttributeError
            If its module has no such name.
        """
        module, _, name = path.partition(":")
        try:
            found = import_module(f"{_ADAPTERS}{self.name}.{module}")
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in self.requires:
                raise ImportError(
                    f"NautilusTrader's {self.name} needs `{error.name}`, which is missing: "
                    f"run `pip install 'nautilus_trader[{self.extra}]'`",
                    name=(error.name or "").partition(".")[0],
                ) from error
            raise
        other = self.names_1221.get(name)
        if other is not None and not hasattr(found, name):
            name = other
        return getattr(found, name)

    def load_factory(self, name: str) -> Any:
        """Return one of its factories by name; raise as `load` does."""
        return self.load(f"{self.factories}:{name}")


def _usual(
    name: str,
    prefix: str,
    *,
    data: bool = True,
    execution: bool = True,
    **rest: Any,
) -> Adapter:
    return Adapter(
        name=name,
        prefix=prefix,
        data_clients=(f"data:{prefix}DataClient",) if data else (),
        execution_clients=(f"execution:{prefix}ExecutionClient",) if execution else (),
        **rest,
    )


_WS: Final = ("_ws_client",)
ADAPTERS: Final[tuple[Adapter, ...]] = (
    _usual(
        "architect_ax",
        "Ax",
        versions=("1.231.0",),
        sockets=("_ws_client", "_ws_orders_client"),
    ),
    _usual(
        "betfair",
        "Betfair",
        requires=("betfair_parser",),
        extra="betfair",
        hooks=(("", "_reconnect"), ("_stream", "post_reconnection")),
        passes_by="what the execution client sends to the data engine: seen in its `_handle_data`",
    ),
    Adapter(
        name="binance",
        prefix="Binance",
        data_clients=("spot.data:BinanceSpotDataClient", "futures.data:BinanceFuturesDataClient"),
        execution_clients=(
            "spot.execution:BinanceSpotExecutionClient",
            "futures.execution:BinanceFuturesExecutionClient",
        ),
        hooks=(
            ("_ws_client", "_handle_reconnect"),
            ("_ws_public_client", "_handle_reconnect"),
            ("_ws_client", "_handle_stream_reconnect"),
        ),
        without_event_time="spot: quotes (`bookTicker`)",
    ),
    _usual("bitmex", "Bitmex", sockets=_WS),
    _usual(
        "bybit",
        "Bybit",
        sockets=("_ws_clients", "_ws_private_client", "_ws_trade_client"),
        passes_by="results of margin commands: seen in `_publish_margin_data` (1.231.0)",
    ),
    _usual("coinbase_intx", "CoinbaseIntx", versions=("1.221.0",), sockets=_WS),
    _usual("databento", "Databento", execution=False),
    _usual("deribit", "Deribit", versions=("1.231.0",), sockets=_WS),
    _usual(
        "dydx",
        "Dydx",
        names_1221={
            "DydxDataClient": "DYDXDataClient",
            "DydxExecutionClient": "DYDXExecutionClient",
            "DydxLiveDataClientFactory": "DYDXLiveDataClientFactory",
            "DydxLiveExecClientFactory": "DYDXLiveExecClientFactory",
        },
        requires=("grpc", "v4_proto", "bech32", "bip_utils", "ecdsa", "Crypto"),
        extra="dydx",
    ),
    _usual("hyperliquid", "Hyperliquid", sockets=_WS),
    _usual(
        "interactive_brokers",
        "InteractiveBrokers",
        requires=("ibapi",),
        extra="ib",
        attach="nautilus_enhanced.adapters.interactive_brokers.shared",
        without_event_time="quotes of a batch; trades and quotes tick by tick in whole seconds",
        passes_by=(
            "market data and the loss of the connection: seen in the shared client; instruments "
            "that the execution client sends: seen at the endpoint"
        ),
    ),
    _usual(
        "kraken",
        "Kraken",
        versions=("1.231.0",),
        sockets=("_ws_client_spot", "_ws_client_futures", "_ws_client_spot_l3"),
    ),
    _usual("okx", "OKX", sockets=("_ws_client", "_ws_business_client")),
    _usual(
        "polymarket",
        "Polymarket",
        requires=("py_clob_client_v2", "py_clob_client"),
        extra="polymarket",
        hooks=(("_ws_client", "_handle_reconnect"),),
    ),
    Adapter(
        name="sandbox",
        prefix="Sandbox",
        execution_clients=("execution:SandboxExecutionClient",),
        factories="factory",
        attach="nautilus_enhanced.adapters.sandbox",
        without_event_time="events of orders: the simulated exchange is in the process",
        passes_by="all events and account states: seen at the endpoints, by their account",
    ),
    _usual("tardis", "Tardis", execution=False),
)


def adapter_called(name: str) -> Adapter:
    """
    Return an adapter by the name of its package.

    Raises
    ------
    KeyError
        If there is none of that name.
    """
    for adapter in ADAPTERS:
        if adapter.name == name:
            return adapter
    raise KeyError(name)


def adapter_of(client: type) -> Adapter | None:
    """
    Return the adapter that a client's class is of, or is derived from.

    Parameters
    ----------
    client : type
        The class.

    Returns
    -------
    Adapter or None
        None for one that is not NautilusTrader's.
    """
    for base in client.__mro__:
        if base.__module__.startswith(_ADAPTERS):
            name = base.__module__.removeprefix(_ADAPTERS).partition(".")[0]
            found = next((adapter for adapter in ADAPTERS if adapter.name == name), None)
            if found is not None:
                return found
    return None
