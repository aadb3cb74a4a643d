"""What is noted of one client: its messages, its connections, the reports it was asked for."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING
from typing import Any

from nautilus_trader.model.events import OrderDenied
from nautilus_trader.model.events import OrderSubmitted
from nautilus_trader.model.instruments import Instrument

from nautilus_enhanced.adapters.connection import ConnectionTracker
from nautilus_enhanced.adapters.findings import ClientCondition
from nautilus_enhanced.adapters.meter import MessageMeter
from nautilus_enhanced.adapters.meter import count_of
from nautilus_enhanced.adapters.meter import describe
from nautilus_enhanced.adapters.statistics import AdapterStatistics
from nautilus_enhanced.adapters.statistics import ReportStatistics
from nautilus_enhanced.live.labels import priority_of_type


if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_enhanced.adapters.findings import Inbox


# Made by the client itself, so that the time of the event is its own.
_OF_THE_CLIENT = (OrderDenied, OrderSubmitted)


class ClientObserver:
    """
    Gather what a mixin sees of one client.

    Nothing here raises into the client: whoever calls gives what went wrong to `fail`.

    Parameters
    ----------
    client_id : str
        The client's ID.
    side : {'data', 'execution'}
        Which side of an adapter it is.
    client_type : str
        The name of its stock class.
    report : Callable[[str], None]
        Says a sentence in the node's log.

    Attributes
    ----------
    inbox : Callable[[], Inbox] or None
        Tells what waits inside of the client, where it has a queue of its own.
    """

    def __init__(
        self,
        client_id: str,
        side: str,
        client_type: str,
        report: Callable[[str], None],
    ) -> None:
        self.client_id = client_id
        self.side = side
        self.client_type = client_type
        self.meter = MessageMeter()
        self.connection = ConnectionTracker()
        self.inbox: Callable[[], Inbox] | None = None
        self._report = report
        self._requests = 0
        self._failures = 0
        self._reports: Counter[str] = Counter()
        self._longest_ns = 0
        self._errors = 0
        self._last_error = ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.client_id}, {self.side}, {self.meter!r})"

    def note(self, message: Any) -> None:
        """Count a message and look at it."""
        next(self.meter.counts[type(message)])
        self.meter.sample(message)

    def note_request(self, begin_ns: int, reports: tuple[Any, ...] | None) -> None:
        """
        Count a request for reports.

        Parameters
        ----------
        begin_ns : int
            When it was made, by the monotonic clock.
        reports : tuple or None
            What it returned; None if it failed.
        """
        self._requests += 1
        self._longest_ns = max(self._longest_ns, time.monotonic_ns() - begin_ns)
        if reports is None:
            self._failures += 1
            return
        self._reports.update(type(report).__name__ for report in reports)

    def fail(self, error: Exception) -> None:
        """Note an error of ours, and say the first."""
        self._errors += 1
        self._last_error = f"{type(error).__name__}: {error}"
        if self._errors == 1:
            self._report(
                f"an error in the figures of {self.client_type} {self.client_id}, which goes on "
                f"undisturbed: {self._last_error} - report this as a bug; it is told only once",
            )

    def condition(self) -> ClientCondition:
        """Return what tells how the client is; it is asked every second on the trading thread."""
        return ClientCondition(
            name=f"{self.client_id} ({self.side})",
            connection=self.connection.statistics(),
            ahead=self.meter.ahead(),
            last_error=self._last_error,
            inbox=self._look_inside(),
        )

    def statistics(self) -> AdapterStatistics:
        """Return every counter and gauge."""
        meter = self.meter
        meter.note()
        inbox = self._look_inside()
        rows = [
            describe(
                kind,
                priority_of_type(kind).name,
                count_of(counter),
                meter.samples_of(kind),
                is_event=not issubclass(kind, Instrument),
                has_venue_time=not issubclass(kind, _OF_THE_CLIENT),
            )
            for kind, counter in meter.counts.copy().items()
        ]
        return AdapterStatistics(
            client_id=self.client_id,
            side=self.side,
            client_type=self.client_type,
            messages=tuple(sorted(rows, key=lambda row: (-row.count, row.message_type))),
            messages_per_second=meter.rate(),
            waiting=None if inbox is None else inbox.waiting,
            connection=self.connection.statistics(),
            reports=ReportStatistics(
                requests=self._requests,
                failures=self._failures,
                reports=dict(self._reports),
                longest_ms=self._longest_ns / 1e6,
            ),
            errors=self._errors,
            last_error=self._last_error,
        )

    def _look_inside(self) -> Inbox | None:
        if self.inbox is None or not self.connection.is_connected:
            return None
        try:
            return self.inbox()
        except Exception as error:  # noqa: BLE001 (of any version)
            self.fail(error)
            self.inbox = None
            return None
