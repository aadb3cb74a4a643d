#!/usr/bin/env python3
"""
Handle a node's order events: what a consumer needs at least.

    python examples/consumers/subscribe.py redis://localhost:6379/0

Started twice, or on two machines, the two share the work; what is published while none of them
runs is handled by the next one that is started. Ctrl-C ends it.
"""

import argparse
import asyncio
import contextlib

from nautilus_enhanced.infrastructure.messagebus.streams import StreamClient
from nautilus_enhanced.infrastructure.messagebus.streams import StreamMessage


async def handle(message: StreamMessage) -> None:
    """Handle an event: it is acknowledged when this returns, and comes again if it raises."""
    print(f"{message.topic} {message.id}: {message.body}", flush=True)


async def main(url: str) -> None:
    """Handle events until cancelled."""
    async with StreamClient(url) as client:
        client.subscribe("events.order.*", handle, group="example", decode="plain")
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url", help="the server, such as redis://localhost:6379/0")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(parser.parse_args().url))
