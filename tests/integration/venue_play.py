"""Sessions of nodes on loopback venues, all buses at once, kept for the tests of a file."""

from __future__ import annotations

import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from dataclasses import field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import node_programs

from nautilus_enhanced.sandbox import VenueProcess


HERE = Path(__file__).parent
LIMIT_S = 100.0
HIGH, DIP = "50000.01", "49999.51"


@dataclass(frozen=True, kw_only=True)
class Play:
    """
    What is played on a venue.

    Attributes
    ----------
    name : str
        The venue's name, as ``nt-enhanced venue`` has it.
    program : str
        The program of its node (see `venue_session.py`).
    product : str
        The product, as the program takes it.
    orders : str
        Where the venue lists open orders.
    symbol, size : str
        What is traded, and the size of quotes and trades.
    buses : tuple[str, ...]
        The buses.
    headers : dict[str, str]
        What the venue wants with a request that lists orders.
    """

    name: str
    program: str
    product: str
    orders: str
    symbol: str = "BTC/USDT"
    size: str = "0.1"
    buses: tuple[str, ...] = ("stock", "enhanced")
    headers: dict[str, str] = field(default_factory=dict, hash=False)


# The enhanced factories do the same for both products, which is seen on one.
ALL_BUSES = ("stock", "enhanced", "factories")
_BINANCE: dict[str, Any] = {"program": "binance_node.py", "headers": {"X-MBX-APIKEY": "k"}}
_BYBIT: dict[str, Any] = {"program": "bybit_node.py", "headers": {"X-BAPI-API-KEY": "k"}}
_OKX: dict[str, Any] = {"program": "okx_node.py", "headers": {"OK-ACCESS-KEY": "k"}}
_BYBIT_ORDERS = "/v5/order/realtime?category="
_OKX_ORDERS = "/api/v5/trade/orders-pending"
_IB: dict[str, Any] = {"program": "ib_node.py", "orders": "/loopback/orders", "size": "1"}
PLAYS = {
    play.name: play
    for play in (
        Play(name="binance-spot", product="spot", orders="/api/v3/openOrders", **_BINANCE),
        Play(name="binance-futures", product="futures", orders="/fapi/v1/openOrders", **_BINANCE),
        Play(
            name="bybit",
            product="linear",
            orders=f"{_BYBIT_ORDERS}linear",
            buses=ALL_BUSES,
            **_BYBIT,
        ),
        Play(name="bybit-spot", product="spot", orders=f"{_BYBIT_ORDERS}spot", **_BYBIT),
        Play(name="okx-swap", product="swap", orders=_OKX_ORDERS, buses=ALL_BUSES, **_OKX),
        Play(name="okx-spot", product="spot", orders=_OKX_ORDERS, **_OKX),
        Play(name="ib", product="stock", symbol="AAPL/USD", buses=ALL_BUSES, **_IB),
        Play(name="ib-forex", product="forex", symbol="EUR/USD", **_IB),
    )
}


def write_market(path: Path, size: str) -> None:
    """Write a market that dips for a fifth of every two seconds, of the same size all the time."""
    lines = ["timestamp,price,quantity"]
    for number in range(500):
        seconds, part = divmod(number, 50)
        price = DIP if number % 100 >= 80 else HIGH
        lines.append(f"2026-01-01T00:00:{seconds:02}.{part * 20:03}Z,{price},{size}")
    path.write_text("\n".join(lines) + "\n")


def run_program(program: str, folder: Path, *arguments: str) -> dict[str, Any]:
    """Run a node to its end; return what it found, and what it wrote."""
    result = folder / "-".join(arguments[:3])
    done = node_programs.run_program(HERE / program, *arguments, str(result), timeout_s=LIMIT_S)
    assert done.code == 0, done.output[-6000:]
    return json.loads(result.read_text()) | {"output": done.output}


def venue_of(play: Play, folder: Path) -> VenueProcess:
    """Return the venue of a play, which is not started yet."""
    market = folder / f"{play.name}.csv"
    write_market(market, play.size)
    return VenueProcess(play.name, replay=market, symbol=play.symbol)


def address_of(venue: VenueProcess) -> dict[str, Any]:
    """Return what a session has to know of a venue that runs."""
    return msgspec.to_builtins(venue.address) | {"dip": float(DIP)}


def play_on(play: Play, bus: str) -> dict[str, Any]:
    """Trade with a node, start another one after it, and say what both and the venue saw."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        with venue_of(play, folder) as venue:

            def fetch(path: str) -> Any:
                request = urllib.request.Request(
                    venue.address.http_url + path, headers=play.headers
                )
                with urllib.request.urlopen(request, timeout=30) as response:
                    return json.load(response)

            address = json.dumps(address_of(venue))
            found = {
                session: run_program(play.program, folder, session, play.product, bus, address)
                for session in ("trade", "again")
            }
            return found | {
                "venue": fetch("/loopback/statistics"),
                "faults": fetch("/loopback/faults"),
                "open": listed(fetch(play.orders)),
            }


def listed(answer: Any) -> list[Any]:
    """Return the orders in a venue's answer, whatever it has around them."""
    while isinstance(answer, dict):
        answer = next(answer[name] for name in ("result", "list", "data") if name in answer)
    return answer


def outcomes(name: str) -> dict[str, dict[str, Any]]:
    """
    Return what came of it on each bus.

    Raises
    ------
    Exception
        What the play failed with, for each test: it is not played again.
    """
    found = _played(name)
    for outcome in found.values():
        if isinstance(outcome, Exception):
            raise outcome
    return found


@cache
def _played(name: str) -> dict[str, Any]:
    play = PLAYS[name]

    def play_it(bus: str) -> Any:
        try:
            return play_on(play, bus)
        except Exception as error:  # noqa: BLE001 (whatever it is, the tests are told)
            return error

    with ThreadPoolExecutor(len(play.buses)) as pool:
        return dict(zip(play.buses, pool.map(play_it, play.buses), strict=True))
