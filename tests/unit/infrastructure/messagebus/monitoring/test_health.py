"""Health: the worst finding decides, and each figure that is not well is found."""

from itertools import permutations

import msgspec
import pytest

from nautilus_enhanced.infrastructure.messagebus.monitoring.findings import client_findings
from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthFinding
from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthReport
from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthState
from nautilus_enhanced.infrastructure.messagebus.monitoring.statistics import ClientStatistics
from nautilus_enhanced.infrastructure.messagebus.monitoring.statistics import LaneStatistics


def finding(state):
    return HealthFinding(state=state, reason=f"is {state}", remedy=f"mend {state}")


def test_a_part_without_findings_is_healthy():
    assert HealthReport(component="x").state is HealthState.HEALTHY


@pytest.mark.parametrize("states", list(permutations(HealthState)))
def test_the_worst_finding_decides(states):
    report = HealthReport(component="x", findings=tuple(map(finding, states)))
    assert report.state is HealthState.UNHEALTHY
    assert report.reasons == tuple(f"is {state}" for state in states)
    assert report.remedies == tuple(f"mend {state}" for state in states)


def test_merging_keeps_all_findings_under_the_first_name():
    one = HealthReport(component="one", findings=(finding(HealthState.DEGRADED),))
    two = HealthReport(component="two", findings=(finding(HealthState.UNHEALTHY),))
    assert one.merged(two).component == "one"
    assert one.merged(two).state is HealthState.UNHEALTHY


def test_a_report_can_be_written_as_json():
    report = HealthReport(component="x", findings=(finding(HealthState.DEGRADED),))
    assert msgspec.json.decode(msgspec.json.encode(report), type=HealthReport) == report


LANE = LaneStatistics(
    priority="HIGH", published=0, acknowledged=0, dropped=0, refused=0, rejected=0,
    abandoned=0, queued=0, queued_bytes=0, high_water_reached=False,
)  # fmt: skip
FIGURES = ClientStatistics(
    connected=True, lanes=(LANE,), in_flight=0, batches=0, bytes_sent=0, connects=1,
    connect_failures=0, resent=0, found_after_reconnect=0, renumbered=0, second_writer=0,
    last_error="",
)  # fmt: skip
replace = msgspec.structs.replace


def state_and_reasons(figures, *, running=True, closed=False):
    found = client_findings(figures, "redis://h", running=running, closed=closed)
    report = HealthReport(component="x", findings=tuple(found))
    assert all(report.remedies)
    return str(report.state), " ".join(report.reasons)


@pytest.mark.parametrize(
    ("figures", "state", "reason"),
    [
        (FIGURES, "healthy", ""),
        (replace(FIGURES, connected=False, in_flight=2), "degraded", "2 messages wait: no att"),
        (replace(FIGURES, connected=False, last_error="gone"), "degraded", "wait: gone"),
        (replace(FIGURES, retrying_ms=7, last_error="OOM"), "degraded", "for 7 ms, 0 wait: OOM"),
        (replace(FIGURES, crash="KeyError: 1"), "unhealthy", "KeyError: 1"),
        (replace(FIGURES, second_writer=3), "degraded", "3 entry IDs were taken"),
        (replace(FIGURES, lanes=(replace(LANE, refused=1),)), "unhealthy", "1 refused"),
        (replace(FIGURES, lanes=(replace(LANE, rejected=1),)), "unhealthy", "1 rejected"),
        (
            replace(FIGURES, lanes=(replace(LANE, priority="LOW", dropped=1),)),
            "degraded",
            "1 dropped",
        ),
        (replace(FIGURES, lanes=(replace(LANE, high_water_reached=True),)), "degraded", "full"),
    ],
)
def test_what_is_not_well_is_found(figures, state, reason):
    assert state_and_reasons(figures)[0] == state
    assert reason in state_and_reasons(figures)[1]


def test_a_writer_that_does_not_run_is_unhealthy_unless_it_was_closed():
    assert state_and_reasons(FIGURES, running=False)[0] == "unhealthy"
    closed = replace(FIGURES, connected=False)
    assert state_and_reasons(closed, running=False, closed=True)[0] == "healthy"
