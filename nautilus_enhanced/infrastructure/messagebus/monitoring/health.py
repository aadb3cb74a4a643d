"""How a part of the bus is: a state, the reasons for it, and what to do about each."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class HealthState(StrEnum):
    """Rank the state of a part, best first."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


class HealthFinding(msgspec.Struct, frozen=True, kw_only=True):
    """
    One reason for a state that is not healthy.

    Attributes
    ----------
    state : HealthState
        The state that this finding alone would cause.
    reason : str
        What was observed, as a sentence.
    remedy : str
        What a person can do about it.
    """

    state: HealthState
    reason: str
    remedy: str


class HealthReport(msgspec.Struct, frozen=True, kw_only=True):
    """
    The state of a part: the worst of its findings.

    Attributes
    ----------
    component : str
        The part's name.
    findings : tuple[HealthFinding, ...]
        Why it is not healthy; empty when it is.
    """

    component: str
    findings: tuple[HealthFinding, ...] = ()

    @property
    def state(self) -> HealthState:
        """Return the worst state among the findings."""
        order = list(HealthState)
        return max((finding.state for finding in self.findings), key=order.index, default=order[0])

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return the reason of each finding."""
        return tuple(finding.reason for finding in self.findings)

    @property
    def remedies(self) -> tuple[str, ...]:
        """Return the remedy of each finding."""
        return tuple(finding.remedy for finding in self.findings)

    def merged(self, other: HealthReport) -> HealthReport:
        """Return a report with the findings of both, under this report's component."""
        return HealthReport(component=self.component, findings=self.findings + other.findings)
