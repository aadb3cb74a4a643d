"""What a client of TWS writes and reads, for tests."""

from importlib import import_module

from ibapi.message import IN
from ibapi.message import OUT


# The messages whose name is not that of their number.
NAMES = {
    IN.ERR_MSG: "ErrorMessage",
    IN.MANAGED_ACCTS: "ManagedAccounts",
    IN.NEXT_VALID_ID: "NextValidId",
    IN.CONTRACT_DATA: "ContractData",
    IN.CONTRACT_DATA_END: "ContractDataEnd",
    IN.OPEN_ORDER: "OpenOrder",
    IN.OPEN_ORDER_END: "OpenOrdersEnd",
    IN.ORDER_STATUS: "OrderStatus",
    IN.EXECUTION_DATA: "ExecutionDetails",
    IN.EXECUTION_DATA_END: "ExecutionDetailsEnd",
    IN.COMMISSION_AND_FEES_REPORT: "CommissionAndFeesReport",
    IN.POSITION_DATA: "Position",
    IN.POSITION_END: "PositionEnd",
    IN.ACCOUNT_SUMMARY: "AccountSummary",
    IN.ACCOUNT_SUMMARY_END: "AccountSummaryEnd",
    IN.TICK_PRICE: "TickPrice",
    IN.TICK_SIZE: "TickSize",
    IN.TICK_REQ_PARAMS: "TickReqParams",
    IN.TICK_SNAPSHOT_END: "TickSnapshotEnd",
    IN.TICK_BY_TICK: "TickByTickData",
    IN.MARKET_DEPTH_L2: "MarketDepthL2",
    IN.REAL_TIME_BARS: "RealTimeBarTick",
    IN.HISTORICAL_DATA: "HistoricalData",
    IN.HISTORICAL_DATA_END: "HistoricalDataEnd",
    IN.HISTORICAL_DATA_UPDATE: "HistoricalDataUpdate",
    IN.HISTORICAL_TICKS_LAST: "HistoricalTicksLast",
    IN.SYMBOL_SAMPLES: "SymbolSamples",
    IN.CURRENT_TIME: "CurrentTime",
}
VERSIONS = b"v100..223"
STOCK = {"symbol": "AAPL", "secType": "STK", "exchange": "SMART", "currency": "USD"}
FOREX = {"symbol": "EUR", "secType": "CASH", "exchange": "IDEALPRO", "currency": "USD"}


def proto(name):
    return getattr(import_module(f"ibapi.protobuf.{name}_pb2"), name)


def request(number, name, **fields):
    """A message of the client, without its length."""
    return (getattr(OUT, number) + 200).to_bytes(4, "big") + proto(name)(
        **fields
    ).SerializeToString()


def sized(message):
    return len(message).to_bytes(4, "big") + message


def decode(data):
    """The messages in some bytes of TWS, as pairs of name and message; and what is left over."""
    found = []
    while len(data) >= 4 and len(data) - 4 >= (size := int.from_bytes(data[:4], "big")):
        number, fields = int.from_bytes(data[4:8], "big") - 200, data[8 : 4 + size]
        name = NAMES[number]
        found.append((name, proto(name).FromString(fields)))
        data = data[4 + size :]
    return found, data


def read(frames):
    """The messages in frames."""
    found, rest = decode(b"".join(frames))
    assert rest == b""
    return found
