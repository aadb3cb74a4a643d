"""Sessions of nodes on a Bybit venue, all buses at once, kept for the tests of a file."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from binance_play import DIP
from binance_play import write_market

from nautilus_enhanced.sandbox import VenueProcess


PROGRAM = Path(__file__).with_name("bybit_node.py")
# The factories do the same for both products, which is seen on one.
BUSES = {"linear": ("stock", "enhanced", "factories"), "spot": ("stock", "enhanced")}
VENUES = {"linear": "bybit", "spot": "bybit-spot"}
LIMIT_S = 100.0


def fetch(url: str) -> dict:
    request = urllib.request.Request(url, headers={"X-BAPI-API-KEY": "k"})
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


def play(product: str, bus: str) -> dict:
    """Trade with a node, start another one after it, and say what both and the venue saw."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        market = folder / "BTCUSDT.csv"
        write_market(market)
        with VenueProcess(VENUES[product], replay=market, symbol="BTC/USDT") as venue:
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
            listed = fetch(f"{at.http_url}/v5/order/realtime?category={product}")
            return found | {
                "venue": fetch(f"{at.http_url}/loopback/statistics"),
                "open": listed["result"]["list"],
            }


@cache
def outcomes(product: str) -> dict[str, dict]:
    """Return what came of it on each bus."""
    buses = BUSES[product]
    with ThreadPoolExecutor(len(buses)) as pool:
        return dict(zip(buses, pool.map(lambda bus: play(product, bus), buses), strict=True))
