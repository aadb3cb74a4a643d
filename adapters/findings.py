"""What is not well with the clients of a node: told from their figures alone."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.health import HealthFinding
from nautilus_enhanced.infrastructure.messagebus.health import HealthState


if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Iterator

    from nautilus_enhanced.adapters.statistics import AdapterStatistics


OFTEN: Final = 3
LONG_DOWN_S: Final = 10.0
# How many of the sampled messages may come from the future before the clocks are doubted, and
# how many there must be.
_AHEAD_SHARE: Final = 0.5
_ENOUGH: Final = 16


def adapter_findings(
    clients: Iterable[AdapterStatistics], failures: Iterable[str] = ()
) -> tuple[HealthFinding, ...]:
    """
    Return what is not well with clients, given their figures.

    A latency that no message can tell, since the venue gives no time of its events, is not among
    it: nobody could mend it. It is in the figures.

    Parameters
    ----------
    clients : Iterable[AdapterStatistics]
        The figures of each client.
    failures : Iterable[str]
        What could not be put in place, as sentences.
    """
    findings = [finding for client in clients for finding in _findings(client)]
    findings += [
        HealthFinding(
            state=HealthState.DEGRADED,
            reason=failure,
            remedy="report this as a bug; the client works as stock",
        )
        for failure in failures
    ]
    return tuple(findings)


def _findings(client: AdapterStatistics) -> Iterator[HealthFinding]:
    name = f"{client.client_id} ({client.side})"
    connection = client.connection
    if connection.reconnects_10min >= OFTEN:
        yield HealthFinding(
            state=HealthState.DEGRADED,
            reason=f"{name} reconnected {connection.reconnects_10min} times in ten minutes",
            remedy=f"look at the network to the venue of {name}, and at its limits and status",
        )
    if connection.down_s >= LONG_DOWN_S:
        yield HealthFinding(
            state=HealthState.UNHEALTHY,
            reason=(
                f"{name} has been without {', '.join(connection.down)} "
                f"for {connection.down_s:,.0f} s"
            ),
            remedy=f"look at the network to the venue of {name}; the adapter keeps trying",
        )
    ahead = [
        row.message_type
        for row in client.messages
        if row.sampled >= _ENOUGH and row.ahead > _AHEAD_SHARE * row.sampled
    ]
    if ahead:
        yield HealthFinding(
            state=HealthState.DEGRADED,
            reason=f"{name}: {', '.join(ahead)} happened, by the venue's clock, after they arrived",
            remedy="set this machine's clock (NTP): latencies are wrong by what it is behind",
        )
    if client.errors:
        yield HealthFinding(
            state=HealthState.DEGRADED,
            reason=f"the figures of {name} are not whole: {client.last_error}",
            remedy="report this as a bug; the adapter itself is not concerned",
        )
