"""What TWS answers from what it knows: contracts, orders, fills, the account, history. No I/O."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from itertools import islice
from typing import Any
from typing import Final
from typing import TypeAlias

from ibapi.message import IN
from ibapi.message import OUT
from ibapi.protobuf.ContractData_pb2 import ContractData
from ibapi.protobuf.ContractDataEnd_pb2 import ContractDataEnd
from ibapi.protobuf.ContractDataRequest_pb2 import ContractDataRequest
from ibapi.protobuf.ContractDescription_pb2 import ContractDescription
from ibapi.protobuf.CurrentTime_pb2 import CurrentTime
from ibapi.protobuf.ExecutionDetailsEnd_pb2 import ExecutionDetailsEnd
from ibapi.protobuf.ExecutionRequest_pb2 import ExecutionRequest
from ibapi.protobuf.HistoricalData_pb2 import HistoricalData
from ibapi.protobuf.HistoricalDataEnd_pb2 import HistoricalDataEnd
from ibapi.protobuf.HistoricalTicksLast_pb2 import HistoricalTicksLast
from ibapi.protobuf.HistoricalTicksRequest_pb2 import HistoricalTicksRequest
from ibapi.protobuf.MatchingSymbolsRequest_pb2 import MatchingSymbolsRequest
from ibapi.protobuf.OpenOrdersEnd_pb2 import OpenOrdersEnd
from ibapi.protobuf.SymbolSamples_pb2 import SymbolSamples

from nautilus_enhanced.sandbox.dialect import NS_PER_MS
from nautilus_enhanced.sandbox.interactive_brokers.contracts import Listing
from nautilus_enhanced.sandbox.interactive_brokers.messages import Placed
from nautilus_enhanced.sandbox.interactive_brokers.messages import time_text
from nautilus_enhanced.sandbox.interactive_brokers.requests import HISTORY_REFUSED
from nautilus_enhanced.sandbox.interactive_brokers.requests import INVALID_REQUEST
from nautilus_enhanced.sandbox.interactive_brokers.requests import NO_SECURITY
from nautilus_enhanced.sandbox.interactive_brokers.requests import NO_SECURITY_TEXT
from nautilus_enhanced.sandbox.interactive_brokers.requests import ApiError
from nautilus_enhanced.sandbox.interactive_brokers.streams import BAR_SIZES_MS
from nautilus_enhanced.sandbox.interactive_brokers.streams import DAY_MS
from nautilus_enhanced.sandbox.interactive_brokers.streams import MarketChannels
from nautilus_enhanced.sandbox.interactive_brokers.streams import bar
from nautilus_enhanced.sandbox.interactive_brokers.streams import last_tick
from nautilus_enhanced.sandbox.interactive_brokers.trading import Trading
from nautilus_enhanced.sandbox.interactive_brokers.wire import encode
from nautilus_enhanced.sandbox.orders import Filled
from nautilus_enhanced.sandbox.orders import Side
from nautilus_enhanced.sandbox.tape import candles


MAX_TICKS: Final = 1_000
_SECOND_MS: Final = 1_000
_NS_PER_S: Final = 1_000_000_000
_IN_SECONDS: Final = 2
# Seconds, days, weeks, months and years, of a duration.
_UNITS_MS: Final = {
    "S": _SECOND_MS,
    "D": DAY_MS,
    "W": 7 * DAY_MS,
    "M": 31 * DAY_MS,
    "Y": 366 * DAY_MS,
}
_TIME_FORMATS: Final = ("%Y%m%d-%H:%M:%S", "%Y%m%d %H:%M:%S", "%Y%m%d")

# What a client asks for, who it is, and when; the messages it is answered with.
_Answer: TypeAlias = Callable[[bytes, int, int], list[bytes]]


class Answers:
    """
    Answer requests that leave everything as it is.

    Parameters
    ----------
    listing : Listing
        The contract.
    channels : MarketChannels
        Remember what was traded.
    trading : Trading
        Knows the orders and the account.
    """

    def __init__(self, listing: Listing, channels: MarketChannels, trading: Trading) -> None:
        self._listing = listing
        self._channels = channels
        self._trading = trading
        self._answers: dict[int, _Answer] = {
            OUT.REQ_CONTRACT_DATA: self._contract,
            OUT.REQ_MATCHING_SYMBOLS: self._matching,
            OUT.REQ_OPEN_ORDERS: self._own_orders,
            OUT.REQ_ALL_OPEN_ORDERS: self._all_orders,
            OUT.REQ_EXECUTIONS: self._executions,
            OUT.REQ_HISTORICAL_TICKS: self._ticks,
            OUT.REQ_CURRENT_TIME: self._time,
            # Market data are real here, whatever kind is asked for; frozen and delayed ones, too.
            OUT.REQ_MARKET_DATA_TYPE: _nothing,
            OUT.SET_SERVER_LOGLEVEL: _nothing,
            OUT.REQ_AUTO_OPEN_ORDERS: _nothing,
        }

    def answers(self, number: int) -> bool:
        """Return whether requests of that number are answered here."""
        return number in self._answers

    def answer(self, number: int, fields: bytes, client_id: int, now_ns: int) -> list[bytes]:
        """
        Return the messages that answer a request.

        Raises
        ------
        ApiError
            If the answer is an error.
        """
        return self._answers[number](fields, client_id, now_ns)

    def history(self, request: Any, now_ns: int) -> list[bytes]:
        """
        Return the bars that a client asks for: what was traded since the venue began.

        Raises
        ------
        ApiError
            321 or 162 if there are no such bars.
        """
        refusal = "Historical Market Data Service error message:"
        if not self._listing.matches(request.contract):
            raise ApiError(NO_SECURITY, NO_SECURITY_TEXT)
        interval_ms = BAR_SIZES_MS.get(request.barSizeSetting)
        if interval_ms is None:
            raise _invalid("Historical data bar size setting is invalid.")
        if request.whatToShow != "TRADES" or self._listing.is_forex:
            raise ApiError(HISTORY_REFUSED, f"{refusal}No data of type {request.whatToShow}")
        end_ms = _time_ms(request.endDateTime) if request.endDateTime else now_ns // NS_PER_MS
        start_ms = end_ms - _duration_ms(request.duration)
        made = [
            candle
            for candle in candles(self._channels.tape.prints, interval_ms)
            if start_ms <= candle.open_ms < end_ms
        ]
        if not made and not request.keepUpToDate:
            raise ApiError(HISTORY_REFUSED, f"{refusal}HMDS query returned no data")
        in_seconds = request.formatDate == _IN_SECONDS
        bars = [bar(c, None if in_seconds else _date(c.open_ms, interval_ms)) for c in made]
        frames = [
            encode(IN.HISTORICAL_DATA, HistoricalData(reqId=request.reqId, historicalDataBars=bars))
        ]
        if not request.keepUpToDate:
            end = HistoricalDataEnd(
                reqId=request.reqId,
                startDateStr=time_text(start_ms * NS_PER_MS),
                endDateStr=time_text(end_ms * NS_PER_MS),
            )
            frames.append(encode(IN.HISTORICAL_DATA_END, end))
        return frames

    def _contract(self, fields: bytes, _: int, __: int) -> list[bytes]:
        request = ContractDataRequest.FromString(fields)
        if not self._listing.matches(request.contract):
            raise ApiError(NO_SECURITY, NO_SECURITY_TEXT)
        data = ContractData(
            reqId=request.reqId,
            contract=self._listing.contract(),
            contractDetails=self._listing.details(),
        )
        return [
            encode(IN.CONTRACT_DATA, data),
            encode(IN.CONTRACT_DATA_END, ContractDataEnd(reqId=request.reqId)),
        ]

    def _matching(self, fields: bytes, _: int, __: int) -> list[bytes]:
        request = MatchingSymbolsRequest.FromString(fields)
        samples = SymbolSamples(reqId=request.reqId)
        if self._listing.instrument.base.startswith(request.pattern.upper()):
            found = ContractDescription(contract=self._listing.contract())
            samples.contractDescriptions.append(found)
        return [encode(IN.SYMBOL_SAMPLES, samples)]

    def _own_orders(self, _: bytes, client_id: int, __: int) -> list[bytes]:
        return [*self._trading.open_orders(client_id), encode(IN.OPEN_ORDER_END, OpenOrdersEnd())]

    def _all_orders(self, _: bytes, __: int, ___: int) -> list[bytes]:
        return [*self._trading.open_orders(None), encode(IN.OPEN_ORDER_END, OpenOrdersEnd())]

    def _executions(self, fields: bytes, _: int, __: int) -> list[bytes]:
        request = ExecutionRequest.FromString(fields)
        frames: list[bytes] = []
        for placed, fill in self._trading.fills():
            if self._is_wanted(request.executionFilter, placed, fill):
                frames += [
                    self._trading.messages.execution(placed, fill, request.reqId),
                    self._trading.messages.commission(fill),
                ]
        end = ExecutionDetailsEnd(reqId=request.reqId)
        return [*frames, encode(IN.EXECUTION_DATA_END, end)]

    def _is_wanted(self, wanted: Any, placed: Placed, fill: Filled) -> bool:
        contract, side = self._listing.contract(), fill.order.request.side
        after_ms = _time_ms(wanted.time) if wanted.time else 0
        return (
            wanted.clientId in {0, placed.client_id}
            and wanted.acctCode in {"", self._trading.messages.account_name}
            and wanted.symbol in {"", contract.symbol}
            and wanted.secType in {"", contract.secType}
            and wanted.exchange in {"", self._listing.exchange, self._listing.traded_at}
            and wanted.side in {"", side.value, "BOT" if side is Side.BUY else "SLD"}
            and fill.time_ns // NS_PER_MS >= after_ms
        )

    def _ticks(self, fields: bytes, _: int, __: int) -> list[bytes]:
        request = HistoricalTicksRequest.FromString(fields)
        if not self._listing.matches(request.contract):
            raise ApiError(NO_SECURITY, NO_SECURITY_TEXT)
        if request.whatToShow != "TRADES" or self._listing.is_forex:
            raise _invalid(f"Historical ticks {request.whatToShow} are not served.")
        start_ms = _time_ms(request.startDateTime) if request.startDateTime else None
        end_ms = _time_ms(request.endDateTime) if request.endDateTime else None
        chosen = (
            print_
            for print_ in self._channels.tape.prints
            if (start_ms is None or print_.time_ms >= start_ms)
            and (end_ms is None or print_.time_ms < end_ms)
        )
        most = min(request.numberOfTicks or MAX_TICKS, MAX_TICKS)
        # From a start the first ones, up to an end the last ones.
        prints = list(islice(chosen, most)) if start_ms is not None else list(chosen)[-most:]
        ticks = [
            last_tick(p, self._channels.size(p.trade.size), self._listing.traded_at) for p in prints
        ]
        message = HistoricalTicksLast(reqId=request.reqId, historicalTicksLast=ticks, isDone=True)
        return [encode(IN.HISTORICAL_TICKS_LAST, message)]

    def _time(self, _: bytes, __: int, now_ns: int) -> list[bytes]:
        return [encode(IN.CURRENT_TIME, CurrentTime(currentTime=now_ns // _NS_PER_S))]


def _nothing(_: bytes, __: int, ___: int) -> list[bytes]:
    return []


def _invalid(cause: str) -> ApiError:
    return ApiError(INVALID_REQUEST, f"Error validating request.-'bW' : cause - {cause}")


def _date(open_ms: int, interval_ms: int) -> str:
    """Return the time of a bar as text: a date for those of a day."""
    if interval_ms == DAY_MS:
        return time.strftime("%Y%m%d", time.gmtime(open_ms // _SECOND_MS))
    return time_text(open_ms * NS_PER_MS)


def _duration_ms(text: str) -> int:
    number, _, unit = text.partition(" ")
    if not number.isdecimal() or unit not in _UNITS_MS:
        raise _invalid(f"Invalid duration: {text}")
    return int(number) * _UNITS_MS[unit]


def _time_ms(text: str) -> int:
    """Return a client's time in milliseconds; only UTC is known, by whichever name."""
    said = text.removesuffix(" UTC").removesuffix(" Universal")
    for layout in _TIME_FORMATS:
        try:
            moment = datetime.strptime(said, layout).replace(tzinfo=UTC)
        except ValueError:
            continue
        return int(moment.timestamp() * _SECOND_MS)
    raise _invalid(f"The date or time {text} is not one of yyyymmdd-hh:mm:ss in UTC.")
