"""A stream that is new is read at once: nobody waits for an idle server to notice a short wait."""

import re
import time

import pytest

from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus import StreamNaming
from nautilus_enhanced.infrastructure.messagebus.streams import StreamClient
from nautilus_enhanced.infrastructure.messagebus.streams import SubscriptionSettings


# An idle server looks so often whether a call has waited long enough (hz 10).
LONGEST_LOOK_MS = 100
TOPICS = 20
NAMING = StreamNaming(trader_id="NEW-001")


@pytest.mark.parametrize("group", ["new", None])
def test_no_call_for_a_new_stream_waits_for_a_time_that_an_idle_server_does_not_keep(
    group, server, store, eventually
):
    handled = []
    publisher = BufferedMessageBusClient(server.connection_url, naming=NAMING)
    publisher.start()
    # Beats and looks are rare: what waits here waits for streams.
    settings = SubscriptionSettings(lease_ms=600_000, scan_interval_ms=600_000)
    with StreamClient(server.connection_url, naming=NAMING) as client, store.monitor() as monitor:
        subscription = client.subscribe(
            "events.*",
            lambda message: handled.append(message.topic),
            group=group,
            settings=settings,
        )
        assert subscription.wait_until_ready(20.0)
        for number in range(TOPICS):
            publisher.offer(f"events.order.S-{number}", b"{}")
            eventually(lambda: len(handled) > number, 20.0)  # noqa: B023 (called at once)
        store.echo("that was all")
        waits = []
        until = time.monotonic() + 20.0
        while time.monotonic() < until:
            asked = monitor.next_command()["command"]
            if "that was all" in asked:
                break
            waits += [int(found) for found in re.findall(r"^XREAD.* BLOCK (\d+)", asked)]
    publisher.stop()
    assert waits
    assert min(waits) >= LONGEST_LOOK_MS
