"""
The program of one node that trades on several venues at once (see `venue_session.py`).

It is run as ``python all_venues_node.py SESSION all BUS ADDRESSES RESULT``; ADDRESSES has the
product and the address of each venue, by its name.
"""

import asyncio
import json
import sys

from binance_node import BinanceSession
from bybit_node import BybitSession
from ib_node import IBSession
from okx_node import OKXSession
from venue_session import finish
from venue_session import play


SESSIONS = {
    "binance-futures": BinanceSession,
    "bybit": BybitSession,
    "okx-swap": OKXSession,
    "ib": IBSession,
}


async def main(name, _, bus, addresses):
    venues = json.loads(addresses)
    sessions = [
        SESSIONS[venue](product, bus, urls, f"{number:03}")
        for number, (venue, (product, urls)) in enumerate(venues.items(), 1)
    ]
    return dict(zip(venues, await play(bus, name, sessions), strict=True))


if __name__ == "__main__":
    *arguments, result = sys.argv[1:]
    finish(asyncio.run(main(*arguments)), result)
