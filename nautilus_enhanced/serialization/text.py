"""
Texts of numbers and times, as the host's serializer writes them, without its detours.

Pure functions. What they cannot write exactly so they refuse with a `ValueError`, and the host's
serializer gets the message.
"""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from functools import lru_cache
from typing import Final

from nautilus_trader.model.objects import FIXED_PRECISION


# The host's serializer divides raw units as decimals, in the thread's context. With so many
# digits (Python's default) the result is exact; beyond them it is rounded.
EXACT_DIGITS: Final = 28

# Raw values of so many bits have no more digits; several are checked at once as a sum of bits.
EXACT_BITS: Final = (10**EXACT_DIGITS).bit_length() - 1

_LAST_NS: Final = 2**63 - 1
_NS_PER_SECOND: Final = 1_000_000_000
_POINT: Final = -FIXED_PRECISION
# For each precision: the raw units of its last decimal.
UNITS: Final = tuple(
    10 ** (FIXED_PRECISION - precision) for precision in range(FIXED_PRECISION + 1)
)
# For each precision: the zeros that end the raw digits, and where the decimals are among them.
_SHAPES: Final = tuple(
    ("0" * (FIXED_PRECISION - precision), slice(_POINT, precision - FIXED_PRECISION or None))
    for precision in range(FIXED_PRECISION + 1)
)


def number_text(raw: int, precision: int) -> str:
    """
    Return the text of a price or quantity, as ``str`` of the host's object gives it.

    Parameters
    ----------
    raw : int
        The value in raw fixed-point units.
    precision : int
        The number of decimals.

    Raises
    ------
    ValueError
        If the raw value has more decimals than its precision, or more than `EXACT_DIGITS`
        digits.
    IndexError
        If the precision is more than the host's.
    """
    if raw < 0:
        return "-" + number_text(-raw, precision)
    # Digits, since arithmetic with integers this long takes longer.
    digits = str(raw).zfill(FIXED_PRECISION + 1)
    zeros, decimals = _SHAPES[precision]
    if len(digits) > EXACT_DIGITS or not digits.endswith(zeros):
        raise ValueError(f"{raw} with {precision} decimals is rounded by the host")
    if not precision:
        return digits[:_POINT]
    return f"{digits[:_POINT]}.{digits[decimals]}"


def iso_text(time_ns: int) -> str:
    """
    Return a time as ISO 8601 text in UTC, as pandas writes it.

    Parameters
    ----------
    time_ns : int
        Nanoseconds since the epoch, not negative.

    Raises
    ------
    ValueError
        If the time is later than pandas knows.
    """
    if time_ns > _LAST_NS:
        raise ValueError(f"{time_ns} ns is later than pandas knows")
    seconds, nanos = divmod(time_ns, _NS_PER_SECOND)
    if not nanos:
        return _second_text(seconds) + "Z"
    if nanos % 1_000:
        return f"{_second_text(seconds)}.{nanos:09d}Z"
    return f"{_second_text(seconds)}.{nanos // 1_000:06d}Z"


@lru_cache(maxsize=1_024)
def _second_text(seconds: int) -> str:
    """Return a time of whole seconds; most messages share theirs with the one before."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
