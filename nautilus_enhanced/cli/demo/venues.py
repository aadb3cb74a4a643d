"""The venues that the demo can trade on, as a table."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from typing import Final

from nautilus_enhanced.sandbox.market import split_symbol
from nautilus_enhanced.sandbox.process import VenueAddress


ALL: Final = "all"
# Words of venues for what happened to an order, by the one that the demo has for it.
_KINDS: Final = {
    "NEW": ("NEW", "New", "live"),
    "TRADE": ("TRADE", "Trade", "partially_filled", "filled", "Fill"),
    "CANCELED": ("CANCELED", "Cancelled", "canceled"),
}
_KIND_OF: Final = {word: kind for kind, words in _KINDS.items() for word in words}


@dataclass(frozen=True, kw_only=True, slots=True)
class Clients:
    """
    Hold what a node needs for its clients of a venue.

    Attributes
    ----------
    data_config, exec_config : Any
        Their configs.
    data_factory, exec_factory : Any
        NautilusTrader's factories.
    """

    data_config: Any
    exec_config: Any
    data_factory: Any
    exec_factory: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoVenue:
    """
    Say how the demo trades on a venue.

    Attributes
    ----------
    loopback : str
        Its name for ``nt-enhanced venue``.
    client : str
        What its clients are called in a node.
    instrument : str
        What the instrument is called in a node, with ``{base}`` and ``{quote}``.
    clients : Callable[[VenueAddress], Clients]
        Makes what leads the clients there.
    id_options : dict[str, Any]
        Options of a strategy, so that the venue takes its order IDs.
    measured : frozenset[str]
        The events whose way from the venue's message to the strategy is measured: those that
        come by that message alone.
    pace : float
        The part of the quotes of a generated market that such a venue sends.
    is_always_there : bool
        Whether each version of NautilusTrader has the clients, without anything else installed.
    """

    loopback: str
    client: str
    instrument: str
    clients: Callable[[VenueAddress], Clients]
    id_options: dict[str, Any]
    measured: frozenset[str] = frozenset(_KINDS)
    pace: float = 1.0
    is_always_there: bool = False

    def instrument_id(self, symbol: str) -> str:
        """Return the ID of the instrument that a loopback venue has for a symbol."""
        base, quote = split_symbol(symbol) or (symbol, "")
        return self.instrument.format(base=base, quote=quote)

    def measured_pushes(self, pushes: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return those of the venue's pushes that are measured, in the demo's words."""
        translated = (
            push | {"execution_type": _KIND_OF.get(push["execution_type"], "")} for push in pushes
        )
        return [push for push in translated if push["execution_type"] in self.measured]


def _binance(at: VenueAddress) -> Clients:
    from nautilus_trader.adapters.binance.factories import BinanceLiveDataClientFactory  # noqa: PLC0415 (heavy)
    from nautilus_trader.adapters.binance.factories import BinanceLiveExecClientFactory  # noqa: PLC0415 (heavy)

    from nautilus_enhanced.sandbox import binance  # noqa: PLC0415 (as heavy)

    return Clients(
        data_config=binance.data_client_config(http_url=at.http_url, ws_url=at.ws_url),
        exec_config=binance.exec_client_config(
            http_url=at.http_url, ws_url=at.ws_url, ws_api_url=at.ws_api_url
        ),
        data_factory=BinanceLiveDataClientFactory,
        exec_factory=BinanceLiveExecClientFactory,
    )


def _bybit(at: VenueAddress) -> Clients:
    from nautilus_trader.adapters.bybit.factories import BybitLiveDataClientFactory  # noqa: PLC0415 (heavy)
    from nautilus_trader.adapters.bybit.factories import BybitLiveExecClientFactory  # noqa: PLC0415 (heavy)

    from nautilus_enhanced.sandbox import bybit  # noqa: PLC0415 (as heavy)

    return Clients(
        data_config=bybit.data_client_config(http_url=at.http_url),
        exec_config=bybit.exec_client_config(
            http_url=at.http_url, ws_url=at.ws_url, ws_api_url=at.ws_api_url
        ),
        data_factory=bybit.public_socket_factory(BybitLiveDataClientFactory, at.ws_url),
        exec_factory=BybitLiveExecClientFactory,
    )


def _okx(at: VenueAddress) -> Clients:
    from nautilus_trader.adapters.okx.factories import OKXLiveDataClientFactory  # noqa: PLC0415 (heavy)
    from nautilus_trader.adapters.okx.factories import OKXLiveExecClientFactory  # noqa: PLC0415 (heavy)
    from nautilus_trader.core.nautilus_pyo3 import OKXMarginMode  # noqa: PLC0415 (heavy)

    from nautilus_enhanced.sandbox import okx  # noqa: PLC0415 (as heavy)

    return Clients(
        data_config=okx.data_client_config(http_url=at.http_url, ws_url=at.ws_url),
        exec_config=okx.exec_client_config(
            http_url=at.http_url, ws_api_url=at.ws_api_url, margin_mode=OKXMarginMode.CROSS
        ),
        data_factory=OKXLiveDataClientFactory,
        exec_factory=OKXLiveExecClientFactory,
    )


def _interactive_brokers(at: VenueAddress) -> Clients:
    from nautilus_enhanced.sandbox import interactive_brokers as ib  # noqa: PLC0415 (heavy)

    base, quote = split_symbol(at.symbol) or (at.symbol, "USD")
    where: dict[str, Any] = {"host": at.host, "port": at.port, "symbol": f"{base}/{quote}"}
    # First, since they say what is missing: the factories cannot be imported without it.
    data_config = ib.data_client_config(**where)
    # With a connection of its own: orders do not wait behind market data in one queue.
    exec_config = ib.exec_client_config(
        account=at.account, ibg_client_id=data_config.ibg_client_id + 1, **where
    )
    from nautilus_trader.adapters.interactive_brokers import factories  # noqa: PLC0415 (an extra)

    return Clients(
        data_config=data_config,
        exec_config=exec_config,
        data_factory=factories.InteractiveBrokersLiveDataClientFactory,
        exec_factory=factories.InteractiveBrokersLiveExecClientFactory,
    )


DEMO_VENUES: Final = {
    "binance": DemoVenue(
        loopback="binance-spot",
        client="BINANCE",
        instrument="{base}{quote}.BINANCE",
        clients=_binance,
        id_options={},
        is_always_there=True,
    ),
    "bybit": DemoVenue(
        loopback="bybit",
        client="BYBIT",
        instrument="{base}{quote}-LINEAR.BYBIT",
        clients=_bybit,
        id_options={},
    ),
    "okx": DemoVenue(
        loopback="okx-swap",
        client="OKX",
        instrument="{base}-{quote}-SWAP.OKX",
        clients=_okx,
        # Letters and digits, and nothing else.
        id_options={"use_hyphens_in_client_order_ids": False},
        # That an order was accepted the answer to the request tells, too, and sooner.
        measured=frozenset({"TRADE", "CANCELED"}),
    ),
    "ib": DemoVenue(
        loopback="ib",
        client="IB",
        instrument="{base}.NASDAQ",
        clients=_interactive_brokers,
        id_options={},
        # What the other messages about an order make is told before them or after, too.
        measured=frozenset({"TRADE"}),
        # Interactive Brokers thins its quotes out, and its client takes some 1,500 messages a
        # second, of which a quote is two.
        pace=0.05,
    ),
}


def selected(name: str) -> tuple[str, ...]:
    """Return the venues that ``--venue`` names."""
    return tuple(DEMO_VENUES) if name == ALL else (name,)


def check_clients(names: Iterable[str]) -> None:
    """
    Check that this NautilusTrader has the clients of these venues.

    Raises
    ------
    VenueError
        If its clients are not those that a loopback venue speaks with.
    MissingExtraError
        If what the clients need is not installed.
    """
    nowhere = VenueAddress(
        venue="",
        http_url="http://127.0.0.1:1",
        ws_url="ws://127.0.0.1:1",
        ws_api_url="ws://127.0.0.1:1",
        host="127.0.0.1",
        port=1,
        account="DU0",
        symbol="BTCUSDT",
        tick_size="0.01",
        step_size="0.01",
    )
    for name in names:
        # To look is to import NautilusTrader, which takes longer than the rest of the start.
        if not DEMO_VENUES[name].is_always_there:
            DEMO_VENUES[name].clients(nowhere)
