"""What one unit of a size is on OKX's markets: the base asset on spot, a contract on swaps."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from nautilus_enhanced.sandbox.market import Instrument


CONTRACT_VALUE: Final = Decimal("0.01")


@dataclass(frozen=True, kw_only=True, slots=True)
class Units:
    """
    Name an instrument as OKX does, and turn its sizes into quantities of the base asset.

    Attributes
    ----------
    instrument : Instrument
        What is traded.
    is_spot : bool
        Whether sizes are quantities of the base asset; else they are contracts of
        `CONTRACT_VALUE`.
    """

    instrument: Instrument
    is_spot: bool

    @property
    def kind(self) -> str:
        """Return OKX's ``instType``."""
        return "SPOT" if self.is_spot else "SWAP"

    @property
    def name(self) -> str:
        """Return OKX's ``instId``."""
        pair = f"{self.instrument.base}-{self.instrument.quote}"
        return pair if self.is_spot else f"{pair}-SWAP"

    @property
    def trade_modes(self) -> frozenset[str]:
        """Return the values of ``tdMode`` that orders may have."""
        return frozenset({"cash"} if self.is_spot else {"cross", "isolated"})

    @property
    def value(self) -> Decimal:
        """Return what one unit is, in the base asset."""
        return Decimal(1) if self.is_spot else CONTRACT_VALUE

    def base(self, size: Decimal) -> Decimal:
        """Return a size as a quantity of the base asset."""
        return size * self.value

    def size(self, quantity: Decimal) -> str:
        """Return a quantity of the base asset as a size."""
        return plain(quantity / self.value)


def plain(number: Decimal) -> str:
    """Return a number without an exponent and without zeros at its end."""
    return format(number.normalize(), "f")
