"""
A recorded market: quotes or trades from a parquet or CSV file, replayed.

What a file holds is seen from its columns: ``timestamp, bid, ask`` (with ``bid_size`` and
``ask_size`` or without) are quotes; ``timestamp, price, quantity`` (with ``trade_id`` and
``buyer_maker`` or without) are trades. A CSV file without a header is taken as ``timestamp,
bid, ask``. A quote without sizes shows `DEFAULT_SIZE`. A recording of trades alone also yields
a quote one tick wide around each trade, or orders would have nothing to fill against.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Final

from nautilus_enhanced.sandbox.errors import SandboxError
from nautilus_enhanced.sandbox.market import Instrument
from nautilus_enhanced.sandbox.market import MarketEvent
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.market import Trade
from nautilus_enhanced.sandbox.market import split_symbol


if TYPE_CHECKING:
    import pandas as pd

DEFAULT_SIZE: Final = Decimal(1)
DEFAULT_STEP: Final = Decimal("0.00001")
MAX_ROWS: Final = 1_000_000
MAX_DECIMALS: Final = 8
MAX_SPEED: Final = 1e6

_COMPACT_TIME: Final = re.compile(r"\d{8} \d{9}")
_HEADERLESS: Final = ["timestamp", "bid", "ask"]
_EXPECTED: Final = "columns `timestamp, bid, ask` or `timestamp, price, quantity`"
# From this many digits on, an integer counts seconds, milliseconds, microseconds or nanoseconds.
_INTEGER_UNITS: Final = ((17, "ns"), (14, "us"), (11, "ms"), (0, "s"))


class RecordingError(SandboxError, ValueError):
    """A recording cannot be replayed: the file, or how it is asked for, is to be mended."""

    def __init__(self, path: Path, where: str, wrong: str, remedy: str) -> None:
        place = f"`{path}`, {where}," if where else f"`{path}`"
        super().__init__(f"Recording {place} {wrong}; {remedy}.")


@dataclass(frozen=True, kw_only=True)
class RecordedMarket:
    """
    Replay a recorded market; made by `open`.

    Attributes
    ----------
    instrument : Instrument
        What is traded; tick and step size come from the decimals found in the file.
    events : tuple[MarketEvent, ...]
        One pass, timed as recorded.
    speed : float
        How many times faster than recorded.
    loop : bool
        Whether to begin again after the last event, for ever.
    """

    instrument: Instrument
    events: tuple[MarketEvent, ...] = field(repr=False)
    speed: float = 1.0
    loop: bool = False

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        speed: float = 1.0,
        loop: bool = False,
        symbol: str | None = None,
    ) -> RecordedMarket:
        """
        Read and check a whole recording.

        Parameters
        ----------
        path : str or Path
            A ``.parquet`` or ``.csv`` file of at most `MAX_ROWS` rows.
        speed : float
            How many times faster than recorded, above 0.
        loop : bool
            Whether to begin again after the last event, for ever.
        symbol : str, optional
            Such as ``BTC/USDT``; by default the column ``symbol`` or the file's name tells.

        Raises
        ------
        RecordingError
            If the file is missing, unreadable, of another layout, empty, or holds a row that
            cannot be: the sentence names row, column and remedy.
        """
        path = Path(path)
        if not 0 < speed <= MAX_SPEED:
            raise RecordingError(
                path, "", f"was opened with speed {speed}", "allowed are speeds above 0 to 1e6"
            )
        reader = _Reader(path, _read_frame(path))
        events, tick_size, step_size = reader.events()
        base, quote = reader.assets(symbol)
        largest = max(e.ask if isinstance(e, Quote) else e.price for e in events)
        instrument = Instrument(
            base=base,
            quote=quote,
            tick_size=tick_size,
            step_size=step_size,
            # The least order that is worth five steps at these prices, whatever is quoted.
            min_notional=min(Decimal(5), 5 * step_size * largest).normalize(),
            max_price=max(Decimal(10_000_000), 10 * largest),
        )
        return cls(instrument=instrument, events=events, speed=speed, loop=loop)

    def __iter__(self) -> Iterator[MarketEvent]:
        """Iterate over the events, timed by `speed`; for ever when `loop` is set."""
        last_ns = self.events[-1].due_ns
        # The pass after this one begins a mean interval after its last event.
        period_ns = last_ns + max(last_ns // max(len(self.events) - 1, 1), 1)
        ids = self.events[-1].trade_id if isinstance(self.events[-1], Trade) else 0
        first = next((e.trade_id for e in self.events if isinstance(e, Trade)), 0)
        for turn in itertools.count() if self.loop else range(1):
            for event in self.events:
                due_ns = int((event.due_ns + turn * period_ns) / self.speed)
                if isinstance(event, Trade):
                    trade_id = event.trade_id + turn * (ids - first + 1)
                    yield replace(event, due_ns=due_ns, trade_id=trade_id)
                else:
                    yield replace(event, due_ns=due_ns)


def _read_frame(path: Path) -> pd.DataFrame:
    layout = f"expected is a .parquet or .csv file with {_EXPECTED}"
    if not path.exists():
        raise RecordingError(path, "", "does not exist", "give the path of a .parquet or .csv file")
    if not path.is_file():
        raise RecordingError(path, "", "is not a file", "give the path of a .parquet or .csv file")
    suffix = path.suffix.lower()
    if suffix not in {".parquet", ".csv"}:
        raise RecordingError(path, "", f"has the ending `{path.suffix}`", layout)
    try:
        frame = _read_parquet(path) if suffix == ".parquet" else _read_csv(path)
    except PermissionError:
        raise RecordingError(
            path, "", "may not be read by this user", "change its permissions or copy it"
        ) from None
    except Exception as e:  # noqa: BLE001 (pandas and pyarrow raise two dozen types)
        kind = " ".join(str(e).split())[:120] or type(e).__name__
        raise RecordingError(path, "", f"is corrupt or empty ({kind})", layout) from None
    if not len(frame):
        raise RecordingError(path, "", "holds no rows", layout)
    if len(frame) > MAX_ROWS:
        raise RecordingError(
            path,
            "",
            f"holds {len(frame):,} rows",
            f"at most {MAX_ROWS:,} are allowed, cut it into pieces",
        )
    frame.columns = [str(name).strip().lower() for name in frame.columns]
    return frame


def _read_parquet(path: Path) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415 (half a second that only a replay needs)

    frame = pd.read_parquet(path)
    return frame if isinstance(frame.index, pd.RangeIndex) else frame.reset_index()


def _read_csv(path: Path) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415 (half a second that only a replay needs)

    with path.open(encoding="utf-8") as file:
        headerless = file.readline()[:1].isdigit()
    # As text, so that a price keeps the decimals it was written with.
    frame = pd.read_csv(path, dtype=str, header=None if headerless else 0)
    if headerless and len(frame.columns) >= len(_HEADERLESS):
        return frame.iloc[:, : len(_HEADERLESS)].set_axis(_HEADERLESS, axis=1)
    return frame


class _Reader:
    """Turns the columns of one file into events, and says which row stood in the way."""

    def __init__(self, path: Path, frame: pd.DataFrame) -> None:
        self._path = path
        self._frame = frame

    def events(self) -> tuple[tuple[MarketEvent, ...], Decimal, Decimal]:
        """Return the events, the tick size and the step size."""
        columns = set(self._frame.columns)
        if {"timestamp", "bid", "ask"} <= columns:
            return self._quotes(columns)
        if {"timestamp", "price", "quantity"} <= columns:
            return self._trades(columns)
        found = ", ".join(str(name) for name in self._frame.columns)[:120]
        raise RecordingError(
            self._path, "", f"has the columns `{found}`", f"expected are {_EXPECTED}"
        )

    def assets(self, symbol: str | None) -> tuple[str, str]:
        """Return base and quote asset: by the argument, the column, or the file's name."""
        named = symbol
        if named is None and "symbol" in self._frame.columns:
            named = str(self._frame["symbol"].iloc[0])
        if named is None:
            named = re.split(r"[-_.]", self._path.name)[0]
        assets = split_symbol(named)
        if assets is None:
            raise RecordingError(
                self._path,
                "",
                f"has the symbol `{named}`, of which base and quote asset are not known",
                "give the symbol as BASE/QUOTE, such as BTC/USDT",
            )
        return assets

    def _quotes(self, columns: set[str]) -> tuple[tuple[MarketEvent, ...], Decimal, Decimal]:
        dues = self._dues()
        bids, asks = self._decimals("bid"), self._decimals("ask")
        sized = {"bid_size", "ask_size"} <= columns
        nothing = [DEFAULT_SIZE] * len(dues)
        bid_sizes = self._decimals("bid_size") if sized else nothing
        ask_sizes = self._decimals("ask_size") if sized else nothing
        quotes = []
        for row, (due_ns, bid, ask, bid_size, ask_size) in enumerate(
            zip(dues, bids, asks, bid_sizes, ask_sizes, strict=True), start=1
        ):
            if bid > ask:
                self._refuse(
                    row, "bid", f"is {bid}, above the ask {ask}", "allowed is a bid up to the ask"
                )
            quotes.append(
                Quote(due_ns=due_ns, bid=bid, ask=ask, bid_size=bid_size, ask_size=ask_size)
            )
        step = _grid((*bid_sizes, *ask_sizes)) if sized else DEFAULT_STEP
        return tuple(quotes), _grid((*bids, *asks)), step

    def _trades(self, columns: set[str]) -> tuple[tuple[MarketEvent, ...], Decimal, Decimal]:
        dues = self._dues()
        prices, sizes = self._decimals("price"), self._decimals("quantity")
        tick_size = _grid(prices)
        makers = (
            [str(value).strip().lower() in {"true", "1"} for value in self._frame["buyer_maker"]]
            if "buyer_maker" in columns
            else [False] * len(dues)
        )
        events: list[MarketEvent] = []
        for trade_id, (due_ns, price, size, maker) in enumerate(
            zip(dues, prices, sizes, makers, strict=True), start=1
        ):
            bid = price if maker or price <= tick_size else price - tick_size
            events.append(
                Quote(due_ns=due_ns, bid=bid, ask=bid + tick_size, bid_size=size, ask_size=size)
            )
            events.append(
                Trade(
                    due_ns=due_ns, trade_id=trade_id, price=price, size=size, buyer_is_maker=maker
                )
            )
        return tuple(events), tick_size, _grid(sizes)

    def _dues(self) -> list[int]:
        """Return the times in nanoseconds since the first row."""
        import pandas as pd  # noqa: PLC0415 (half a second that only a replay needs)

        column = self._frame["timestamp"]
        first = str(column.iloc[0]).strip()
        if pd.api.types.is_datetime64_any_dtype(column):
            times = column
        elif first.isdigit():
            unit = next(unit for digits, unit in _INTEGER_UNITS if len(first) > digits)
            numbers = pd.to_numeric(column, errors="coerce")
            times = pd.to_datetime(numbers, unit=unit, utc=True, errors="coerce")
        elif _COMPACT_TIME.fullmatch(first):
            # Milliseconds without a point: given six digits they are a fraction to strptime.
            text = column.astype(str) + "000"
            times = pd.to_datetime(text, format="%Y%m%d %H%M%S%f", utc=True, errors="coerce")
        else:
            times = pd.to_datetime(column, utc=True, errors="coerce", format="ISO8601")
        missing = times.isna()
        if missing.any():
            row = int(missing.to_numpy().argmax())
            self._refuse(
                row + 1,
                "timestamp",
                f"is `{column.iloc[row]}`",
                "allowed are ISO 8601 times and integers since 1970",
            )
        if times.dt.tz is not None:
            times = times.dt.tz_convert("UTC").dt.tz_localize(None)
        values = [int(v) for v in times.astype("datetime64[ns]").astype("int64")]
        for row, (earlier, later) in enumerate(itertools.pairwise(values), start=2):
            if later < earlier:
                self._refuse(
                    row, "timestamp", "is earlier than the row before", "sort the file by time"
                )
        return [value - values[0] for value in values]

    def _decimals(self, name: str) -> list[Decimal]:
        """Return a column as positive decimals of at most `MAX_DECIMALS` places."""
        quantum = Decimal(1).scaleb(-MAX_DECIMALS)
        numbers = []
        for row, value in enumerate(self._frame[name], start=1):
            try:
                number = Decimal(str(value).strip())
                # Beyond these places there is only the noise of binary fractions.
                number = number.quantize(quantum)
            except ArithmeticError:
                number = Decimal("NaN")
            if not number.is_finite() or number <= 0:
                self._refuse(row, name, f"is `{value}`", "allowed are numbers above 0")
            numbers.append(number)
        return numbers

    def _refuse(self, row: int, column: str, wrong: str, remedy: str) -> None:
        raise RecordingError(self._path, f"row {row}, column `{column}`", wrong, remedy)


def _grid(numbers: Sequence[Decimal]) -> Decimal:
    """Return the coarsest power of ten, at most 1, of which all numbers are multiples."""
    exponents = (n.normalize().as_tuple().exponent for n in numbers)
    return Decimal(1).scaleb(min(0, *(e for e in exponents if isinstance(e, int)), 0))
