"""What is worth a word about clients, told from their figures."""

from __future__ import annotations

import msgspec
import pytest

from nautilus_enhanced.adapters import AdapterStatistics
from nautilus_enhanced.adapters import ConnectionStatistics
from nautilus_enhanced.adapters import MessageStatistics
from nautilus_enhanced.adapters import ReportStatistics
from nautilus_enhanced.adapters.findings import LONG_DOWN_S
from nautilus_enhanced.adapters.findings import OFTEN
from nautilus_enhanced.adapters.findings import adapter_findings
from nautilus_enhanced.infrastructure.messagebus.health import HealthState


QUOTES = MessageStatistics(
    message_type="QuoteTick",
    priority="NORMAL",
    count=1_000,
    sampled=64,
    event_time="none",
    latency_ms=None,
    inside_ms=None,
    ahead=0,
)
CONNECTION = ConnectionStatistics(
    connected=True,
    connects=1,
    disconnects=0,
    reconnects=9,
    reconnects_10min=0,
    down=(),
    down_s=0.0,
)
WELL = AdapterStatistics(
    client_id="BINANCE",
    side="data",
    client_type="BinanceSpotDataClient",
    messages=(QUOTES,),
    messages_per_second=1.0,
    connection=CONNECTION,
    reports=ReportStatistics(requests=0, failures=0, reports={}, longest_ms=0.0),
    errors=0,
    last_error="",
)


def changed(**fields):
    return msgspec.structs.replace(WELL, **fields)


def connection(**fields):
    return changed(connection=msgspec.structs.replace(CONNECTION, **fields))


def quotes(**fields):
    return changed(messages=(msgspec.structs.replace(QUOTES, **fields),))


def test_a_latency_that_nobody_can_tell_is_not_among_it():
    assert adapter_findings([WELL]) == ()
    assert adapter_findings([]) == ()


@pytest.mark.parametrize(
    ("client", "state", "reason"),
    [
        (connection(reconnects_10min=OFTEN), "degraded", "reconnected 3 times in ten minutes"),
        (
            connection(down=("_ws_client",), down_s=LONG_DOWN_S),
            "unhealthy",
            "without _ws_client for 10 s",
        ),
        (quotes(ahead=33), "degraded", "QuoteTick happened, by the venue's clock, after"),
        (changed(errors=1, last_error="KeyError: 1"), "degraded", "not whole: KeyError: 1"),
    ],
)
def test_what_is_found(client, state, reason):
    (finding,) = adapter_findings([WELL, client])
    assert finding.state is HealthState(state)
    assert reason in finding.reason
    assert "BINANCE (data)" in finding.reason
    assert finding.remedy


@pytest.mark.parametrize(
    "client",
    [
        connection(reconnects_10min=OFTEN - 1),
        connection(down=("_ws_client",), down_s=LONG_DOWN_S - 1),
        quotes(ahead=32),
        quotes(ahead=10, sampled=15),
    ],
)
def test_what_is_not(client):
    assert adapter_findings([client]) == ()


def test_what_could_not_be_put_in_place_is_found():
    (finding,) = adapter_findings([], ["SomeClient could not be enhanced: TypeError: layout"])
    assert finding.state is HealthState.DEGRADED
    assert "SomeClient" in finding.reason
