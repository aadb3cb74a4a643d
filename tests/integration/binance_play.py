"""Sessions of nodes on a Binance venue, both buses at once, kept for the tests of a file."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from nautilus_enhanced.sandbox import VenueProcess


PROGRAM = Path(__file__).with_name("binance_node.py")
BUSES = ("stock", "enhanced")
LIMIT_S = 100.0
HIGH, DIP, SIZE = "50000.01", "49999.51", "0.1"


def write_market(path: Path) -> None:
    """Write a market that dips for a fifth of every two seconds, of the same size all the time."""
    lines = ["timestamp,price,quantity"]
    for number in range(500):
        seconds, part = divmod(number, 50)
        price = DIP if number % 100 >= 80 else HIGH
        lines.append(f"2026-01-01T00:00:{seconds:02}.{part * 20:03}Z,{price},{SIZE}")
    path.write_text("\n".join(lines) + "\n")


def fetch(url: str) -> object:
    request = urllib.request.Request(url, headers={"X-MBX-APIKEY": "k"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def run_node(folder: Path, *arguments: str) -> dict:
    result = folder / "-".join(arguments[:3])
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *arguments, str(result)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    return json.loads(result.read_text()) | {"output": done.stdout}


def once(events: list[str]) -> list[str]:
    """
    Return events without those that come twice in a row.

    A client whose user socket was dropped may subscribe twice when it comes back, on either bus,
    and is told everything twice then.
    """
    return [one for before, one in zip([None, *events], events, strict=False) if one != before]


def play(product: str, bus: str) -> dict:
    """Trade with a node, start another one after it, and say what both and the venue saw."""
    base = "/fapi/v1" if product == "futures" else "/api/v3"
    with TemporaryDirectory() as name:
        folder = Path(name)
        market = folder / "BTCUSDT.csv"
        write_market(market)
        with VenueProcess(f"binance-{product}", replay=market, symbol="BTC/USDT") as venue:
            at = venue.address
            address = {
                "http_url": at.http_url,
                "ws_url": at.ws_url,
                "ws_api_url": at.ws_api_url,
                "dip": float(DIP),
            }
            found = {
                session: run_node(folder, session, product, bus, json.dumps(address))
                for session in ("trade", "again")
            }
            return found | {
                "venue": fetch(f"{at.http_url}/loopback/statistics"),
                "faults": fetch(f"{at.http_url}/loopback/faults"),
                "open": fetch(f"{at.http_url}{base}/openOrders"),
            }


@cache
def outcomes(product: str) -> dict[str, dict]:
    """Return what came of it on each bus."""
    with ThreadPoolExecutor(len(BUSES)) as pool:
        return dict(zip(BUSES, pool.map(lambda bus: play(product, bus), BUSES), strict=True))
