"""What is worth a word about clients, told from little."""

from __future__ import annotations

import msgspec
import pytest

from nautilus_enhanced.adapters import ConnectionStatistics
from nautilus_enhanced.adapters.findings import LONG_DOWN_S
from nautilus_enhanced.adapters.findings import MANY_WAITING
from nautilus_enhanced.adapters.findings import OFTEN
from nautilus_enhanced.adapters.findings import ClientCondition
from nautilus_enhanced.adapters.findings import Inbox
from nautilus_enhanced.adapters.findings import adapter_findings
from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthState


CONNECTION = ConnectionStatistics(
    connected=True,
    connects=1,
    disconnects=0,
    reconnects=9,
    reconnects_10min=0,
    down=(),
    down_s=0.0,
)
WELL = ClientCondition(name="BINANCE (data)", connection=CONNECTION, ahead=(), last_error="")


def connection(**fields):
    return WELL._replace(connection=msgspec.structs.replace(CONNECTION, **fields))


def test_of_clients_that_are_well_there_is_nothing_to_say():
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
        (
            WELL._replace(ahead=("QuoteTick",)),
            "degraded",
            "QuoteTick happened, by the venue's clock, after",
        ),
        (WELL._replace(last_error="KeyError: 1"), "degraded", "not whole: KeyError: 1"),
        (
            WELL._replace(inbox=Inbox(waiting=MANY_WAITING)),
            "degraded",
            "3,000 messages of the venue wait inside of BINANCE (data)",
        ),
        (
            WELL._replace(inbox=Inbox(waiting=MANY_WAITING, is_read=False)),
            "unhealthy",
            "hears nothing any more",
        ),
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
        WELL._replace(inbox=Inbox(waiting=MANY_WAITING - 1)),
    ],
)
def test_what_is_not(client):
    assert adapter_findings([client]) == ()


def test_what_could_not_be_put_in_place_is_found():
    (finding,) = adapter_findings([], ["SomeClient could not be enhanced: TypeError: layout"])
    assert finding.state is HealthState.DEGRADED
    assert "SomeClient" in finding.reason
