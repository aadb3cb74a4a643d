"""
The two mixins: what a client hands to the engines passes through them, and is noted.

Each wraps the methods through which a client hands out messages, as the class has them at the
moment it is mixed: a call by name is a third of the price of one through ``super()``, and a version
of NautilusTrader that lacks a method simply has one less to wrap. What is passed on is what came
in, and an error on our side stays on our side.
"""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from typing import Protocol

from nautilus_trader.data.messages import DataResponse

from nautilus_enhanced.adapters.meter import SAMPLE_MASK


if TYPE_CHECKING:
    from collections import defaultdict
    from collections.abc import Callable
    from itertools import count

    from nautilus_enhanced.adapters.observer import ClientObserver


# On a method that is wrapped, so that a subclass of a mixed class is not wrapped twice.
_MARK: Final = "__nt_enhanced_observed__"

DATA_SINKS: Final = ("_handle_data",)
# What answers a request for history: one response each, whatever is in it.
RESPONSE_SINKS: Final = (
    "_handle_data_response",
    "_handle_instrument",
    "_handle_instruments",
    "_handle_quote_ticks",
    "_handle_trade_ticks",
    "_handle_funding_rates",
    "_handle_bars",
    "_handle_order_book_depths",
    "_handle_order_book_deltas",
    "_handle_forward_prices",
)
EXECUTION_SINKS: Final = (
    "_send_order_event",
    "_send_account_state",
    "_send_mass_status_report",
    "_send_order_status_report",
    "_send_fill_report",
    "_send_position_status_report",
    # Betfair's, for what it sends to the data engine.
    "_handle_data",
    # Bybit's, for what it publishes itself.
    "_publish_margin_data",
)
REPORT_REQUESTS: Final = (
    "generate_order_status_report",
    "generate_order_status_reports",
    "generate_fill_reports",
    "generate_position_status_reports",
    "generate_mass_status",
)
CONNECTION_SINK: Final = "_set_connected"


class DataClientHost(Protocol):
    """What `DataClientMixin` needs of the client it is mixed into."""

    def _handle_data(self, data: Any) -> None:
        """Hand live data to the data engine."""

    def _set_connected(self, value: bool = True) -> None:
        """Note whether the client is connected."""


class ExecutionClientHost(Protocol):
    """What `ExecutionClientMixin` needs of the client it is mixed into."""

    def _send_order_event(self, event: Any) -> None:
        """Hand an event of an order to the execution engine."""

    def _send_account_state(self, account_state: Any) -> None:
        """Hand a state of the account to the portfolio."""

    def _set_connected(self, value: bool = True) -> None:
        """Note whether the client is connected."""


class _Observed:
    """What both mixins have in common: who observes, and nobody until somebody is told to."""

    _nt_observer: ClientObserver | None = None
    # Of the observer's meter: a quote is to pay for no more than one look for it.
    _nt_counts: defaultdict[type, count[int]] | None = None
    _nt_sample: Callable[[Any], None]

    def observe_with(self, observer: ClientObserver) -> None:
        """Note from now on what the client does."""
        self._nt_observer = observer
        self._nt_sample = observer.meter.sample
        self._nt_counts = observer.meter.counts

    @property
    def observer(self) -> ClientObserver | None:
        """Return who notes what the client does; None on a stock bus."""
        return self._nt_observer


class DataClientMixin(_Observed):
    """
    Note what a data client hands to the data engine, and its connection.

    It comes before the client's class among the bases. Without an observer it does nothing.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _wrap(cls, DATA_SINKS, _observed_data)
        _wrap(cls, RESPONSE_SINKS, _observed_response)
        _wrap(cls, (CONNECTION_SINK,), _observed_connection)


class ExecutionClientMixin(_Observed):
    """
    Note what an execution client hands to the engines and to reconciliation, and its connection.

    It comes before the client's class among the bases. Without an observer it does nothing.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _wrap(cls, EXECUTION_SINKS, _observed_message)
        _wrap(cls, REPORT_REQUESTS, _observed_request)
        _wrap(cls, (CONNECTION_SINK,), _observed_connection)


def is_observed(cls: type, name: str) -> bool:
    """Return whether a class or one of its bases has a method that is wrapped."""
    return any(hasattr(base.__dict__.get(name), _MARK) for base in cls.__mro__)


def _wrap(cls: type, names: tuple[str, ...], wrap: Callable[[Any], Any]) -> None:
    """Wrap those of the methods that the class has."""
    for name in names:
        base = getattr(cls, name, None)
        if base is None or is_observed(cls, name):
            continue
        wrapped = wrap(base)
        functools.update_wrapper(wrapped, base)
        setattr(wrapped, _MARK, True)
        setattr(cls, name, wrapped)


def _observed_data(base: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    # What every quote goes through: counted each time, looked at every 16th.
    def _handle_data(self: Any, data: Any) -> None:
        counts = self._nt_counts
        if counts is not None:
            try:
                if not next(counts[type(data)]) & SAMPLE_MASK:
                    self._nt_sample(data)
            except Exception as error:  # noqa: BLE001 (never the adapter's)
                self._nt_observer.fail(error)
        base(self, data)

    return _handle_data


def _observed_message(base: Callable[..., None]) -> Callable[..., None]:
    def _send(self: Any, message: Any) -> None:
        observer = self._nt_observer
        if observer is not None:
            try:
                observer.note(message)
            except Exception as error:  # noqa: BLE001 (never the adapter's)
                observer.fail(error)
        base(self, message)

    return _send


def _observed_response(base: Callable[..., None]) -> Callable[..., None]:
    def _respond(self: Any, *args: Any, **kwargs: Any) -> None:
        observer = self._nt_observer
        if observer is not None:
            try:
                observer.meter.add(DataResponse, 1)
            except Exception as error:  # noqa: BLE001 (never the adapter's)
                observer.fail(error)
        base(self, *args, **kwargs)

    return _respond


def _observed_connection(base: Callable[..., None]) -> Callable[..., None]:
    def _set_connected(self: Any, value: bool = True) -> None:
        observer = self._nt_observer
        if observer is not None:
            try:
                observer.connection.note_connected(connected=bool(value))
            except Exception as error:  # noqa: BLE001 (never the adapter's)
                observer.fail(error)
        base(self, value)

    return _set_connected


def _observed_request(base: Callable[..., Any]) -> Callable[..., Any]:
    async def _generate(self: Any, *args: Any, **kwargs: Any) -> Any:
        observer = self._nt_observer
        if observer is None:
            return await base(self, *args, **kwargs)
        begin_ns, reports = time.monotonic_ns(), None
        try:
            result = await base(self, *args, **kwargs)
            reports = reports_in(result)
        finally:
            try:
                observer.note_request(begin_ns, reports)
            except Exception as error:  # noqa: BLE001 (never the adapter's)
                observer.fail(error)
        return result

    return _generate


def reports_in(result: Any) -> tuple[Any, ...]:
    """Return the reports that a request for them returned: some, one or none."""
    if result is None:
        return ()
    return tuple(result) if isinstance(result, list | tuple) else (result,)
