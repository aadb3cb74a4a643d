"""What is not well with a client, why, and what to do about it: told from its figures alone."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.health import HealthFinding
from nautilus_enhanced.infrastructure.messagebus.health import HealthState
from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority


if TYPE_CHECKING:
    from nautilus_enhanced.infrastructure.messagebus.statistics import ClientStatistics


_URGENT: Final = (MessagePriority.CRITICAL.name, MessagePriority.HIGH.name)


def client_findings(
    figures: ClientStatistics,
    server: str,
    *,
    running: bool,
    closed: bool,
) -> list[HealthFinding]:
    """
    Return what is not well with a client, given its figures.

    Parameters
    ----------
    figures : ClientStatistics
        The figures.
    server : str
        The server's URL without its password.
    running : bool
        Whether the writer's thread runs.
    closed : bool
        Whether the client was closed.
    """
    findings = []
    waiting = sum(lane.queued for lane in figures.lanes) + figures.in_flight
    if not running and not closed:
        findings.append(
            HealthFinding(
                state=HealthState.UNHEALTHY,
                reason="the writer does not run: nothing is published",
                remedy="start the client; if it was started, report this as a bug",
            )
        )
    elif not figures.connected and not closed:
        findings.append(
            HealthFinding(
                state=HealthState.DEGRADED,
                reason=(
                    f"not connected to {server}, {waiting:,} messages wait: "
                    f"{figures.last_error or 'no attempt has ended yet'}"
                ),
                remedy="start the server or mend the way to it; the writer keeps trying",
            )
        )
    elif figures.retrying_ms and not closed:
        findings.append(
            HealthFinding(
                state=HealthState.DEGRADED,
                reason=(
                    f"{server} has refused messages for {figures.retrying_ms:,} ms, "
                    f"{waiting:,} wait: {figures.last_error}"
                ),
                remedy="mend what the server says; the writer keeps trying",
            )
        )
    if figures.crash:
        findings.append(
            HealthFinding(
                state=HealthState.UNHEALTHY,
                reason=f"the writer failed and lost a batch: {figures.crash}",
                remedy="report this as a bug, with the traceback in the log",
            )
        )
    for lane in figures.lanes:
        lost = lane.refused + lane.dropped + lane.rejected
        if lost:
            urgent = lane.priority in _URGENT
            findings.append(
                HealthFinding(
                    state=HealthState.UNHEALTHY if urgent else HealthState.DEGRADED,
                    reason=(
                        f"{lost:,} {lane.priority} messages were not published since the start: "
                        f"{lane.refused:,} refused and {lane.dropped:,} dropped by a full lane, "
                        f"{lane.rejected:,} rejected by the server"
                        f"{f' ({figures.last_rejection})' if lane.rejected else ''}"
                    ),
                    remedy=(
                        "let the login write the stream, or remove the key that is none"
                        if lane.rejected
                        else "enlarge the lane, or find out why the server is slow"
                    ),
                )
            )
        if lane.high_water_reached:
            findings.append(
                HealthFinding(
                    state=HealthState.DEGRADED,
                    reason=f"the {lane.priority} lane is nearly full: {lane.queued:,} messages",
                    remedy="enlarge the lane, or publish less",
                )
            )
    if figures.indeterminate:
        findings.append(
            HealthFinding(
                state=HealthState.DEGRADED,
                reason=(
                    f"{figures.indeterminate:,} messages since the start may or may not be in "
                    "their streams: they were sent, and their confirmation was lost"
                ),
                remedy=(
                    "compare the streams with your own records; allow the login XRANGE and XINFO, "
                    "trim later, and give closing more time"
                ),
            )
        )
    if figures.second_writer:
        findings.append(
            HealthFinding(
                state=HealthState.DEGRADED,
                reason=(
                    f"another process writes to the same streams "
                    f"({figures.second_writer:,} entry IDs were taken)"
                ),
                remedy="give each node its own trader ID, or set `use_instance_id`",
            )
        )
    return findings
