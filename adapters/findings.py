"""What is not well with the clients of a node: told from little, as it is asked all the time."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Final
from typing import NamedTuple

from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthFinding
from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthState


if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Iterator

    from nautilus_enhanced.adapters.statistics import ConnectionStatistics


OFTEN: Final = 3
LONG_DOWN_S: Final = 10.0


class ClientCondition(NamedTuple):
    """
    What must be known of a client to say how it is.

    Attributes
    ----------
    name : str
        Its ID and its side.
    connection : ConnectionStatistics
        The figures of its connections.
    ahead : tuple[str, ...]
        The types of messages of which most happen, by the venue's clock, after they arrive.
    last_error : str
        The last error inside of its mixin, or an empty string.
    """

    name: str
    connection: ConnectionStatistics
    ahead: tuple[str, ...]
    last_error: str


def adapter_findings(
    clients: Iterable[ClientCondition], failures: Iterable[str] = ()
) -> tuple[HealthFinding, ...]:
    """
    Return what is not well with clients.

    A latency that no message can tell, since the venue gives no time of its events, is not among
    it: nobody could mend it. It is in the figures.

    Parameters
    ----------
    clients : Iterable[ClientCondition]
        How each client is.
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


def _findings(client: ClientCondition) -> Iterator[HealthFinding]:
    name, connection, ahead, last_error = client
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
    if ahead:
        yield HealthFinding(
            state=HealthState.DEGRADED,
            reason=f"{name}: {', '.join(ahead)} happened, by the venue's clock, after they arrived",
            remedy="set this machine's clock (NTP): latencies are wrong by what it is behind",
        )
    if last_error:
        yield HealthFinding(
            state=HealthState.DEGRADED,
            reason=f"the figures of {name} are not whole: {last_error}",
            remedy="report this as a bug; the adapter itself is not concerned",
        )
