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
MANY_WAITING: Final = 3_000


class Inbox(NamedTuple):
    """
    What waits inside of a client that has a queue of its own.

    Attributes
    ----------
    waiting : int
        Messages of the venue that have been read and not handled.
    is_read : bool
        Whether there is still somebody who handles them.
    """

    waiting: int
    is_read: bool = True


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
    inbox : Inbox or None
        What waits inside of it, where it has a queue of its own.
    """

    name: str
    connection: ConnectionStatistics
    ahead: tuple[str, ...]
    last_error: str
    inbox: Inbox | None = None


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
    name, connection, ahead, last_error, inbox = client
    if inbox is not None and not inbox.is_read:
        yield HealthFinding(
            state=HealthState.UNHEALTHY,
            reason=f"{name} hears nothing any more: the task that handles its messages has ended",
            remedy="restart the node; its log names the error that ended the task",
        )
    elif inbox is not None and inbox.waiting >= MANY_WAITING:
        yield HealthFinding(
            state=HealthState.DEGRADED,
            reason=f"{inbox.waiting:,} messages of the venue wait inside of {name}",
            remedy="subscribe to less, or let market data and orders have a connection each",
        )
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
