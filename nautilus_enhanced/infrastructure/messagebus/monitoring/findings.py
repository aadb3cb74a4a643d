"""What is not well with a client, why, and what to do about it: told from its figures alone."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthFinding
from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthState
from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority


if TYPE_CHECKING:
    from nautilus_enhanced.infrastructure.messagebus.monitoring.statistics import ClientStatistics
    from nautilus_enhanced.infrastructure.messagebus.monitoring.statistics import JournalStatistics


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
    waiting = sum(lane.queued + lane.journaled for lane in figures.lanes) + figures.in_flight
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
    elif figures.journaled and not closed:
        estimate_s = figures.drain_estimate_s
        findings.append(
            HealthFinding(
                state=HealthState.DEGRADED,
                reason=(
                    f"catching up: {waiting:,} messages wait, {figures.journaled:,} of them in the "
                    f"journal, {_until(estimate_s)}"
                ),
                remedy="wait; if it gets no less, publish less or give the server more to run on",
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
        lost = lane.refused + lane.dropped + lane.rejected + lane.shed
        if lost:
            urgent = lane.priority in _URGENT
            findings.append(
                HealthFinding(
                    state=HealthState.UNHEALTHY if urgent else HealthState.DEGRADED,
                    reason=(
                        f"{lost:,} {lane.priority} messages were not published since the start: "
                        f"{lane.refused:,} refused and {lane.dropped:,} dropped by a full lane, "
                        f"{f'{lane.shed:,} given up by a full journal, ' if lane.shed else ''}"
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
        if lane.expired:
            findings.append(
                HealthFinding(
                    state=HealthState.UNHEALTHY
                    if lane.priority in _URGENT
                    else HealthState.DEGRADED,
                    reason=(
                        f"{lane.expired:,} {lane.priority} messages waited in the journal for "
                        "longer than `max_age_ms` since the start and were not published"
                    ),
                    remedy="raise `max_age_ms` of the lane, if their readers can use them so late",
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
    if figures.journal is not None and not closed:
        findings += _journal_findings(figures.journal)
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


def _until(estimate_s: float | None) -> str:
    return "and it gets no less" if estimate_s is None else f"for about {estimate_s:,.0f} s more"


def _journal_findings(journal: JournalStatistics) -> list[HealthFinding]:
    """Return what is not well with the journal."""
    findings = []
    if journal.state == "waiting":
        findings.append(
            HealthFinding(
                state=HealthState.DEGRADED,
                reason=f"nothing is published yet: {journal.problem or 'the journal is opened'}",
                remedy="end the other process; after `handover_timeout_ms` it goes on without",
            )
        )
    elif journal.state == "unavailable":
        findings.append(
            HealthFinding(
                state=HealthState.UNHEALTHY,
                reason=f"there is no journal, buffered messages end with the process: "
                f"{journal.problem}",
                remedy="mend what it says, and start the process again",
            )
        )
    elif journal.problem:
        findings.append(
            HealthFinding(
                state=HealthState.UNHEALTHY,
                reason=(
                    f"the journal {journal.path} takes nothing ({journal.problem}): messages wait "
                    f"in memory, {journal.unwritten:,} were sent without it"
                ),
                remedy="make room on its disk, or raise `durability.max_bytes`",
            )
        )
    if journal.put_aside:
        findings.append(
            HealthFinding(
                state=HealthState.DEGRADED,
                reason=f"the journal could not be read as a whole: {journal.put_aside}",
                remedy="look at it with `nt-enhanced journal show`, send what is left with "
                "`nt-enhanced journal drain`, and then remove it",
            )
        )
    return findings
