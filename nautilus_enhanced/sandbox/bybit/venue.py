"""The Bybit loopback venues."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from typing import Final

from nautilus_enhanced.sandbox.accounts import PLENTY
from nautilus_enhanced.sandbox.accounts import CashAccount
from nautilus_enhanced.sandbox.accounts import balances_at_first
from nautilus_enhanced.sandbox.bybit.exchange import BybitExchange
from nautilus_enhanced.sandbox.bybit.market_messages import Category
from nautilus_enhanced.sandbox.margin import MarginAccount
from nautilus_enhanced.sandbox.market import MarketSource
from nautilus_enhanced.sandbox.matching import MatchingEngine
from nautilus_enhanced.sandbox.venue import LoopbackVenue


# As Bybit has them for those who trade little.
MAKER_FEE: Final = Decimal("0.0002")
TAKER_FEE: Final = Decimal("0.00055")


class BybitLinearVenue(LoopbackVenue):
    """
    Serve Bybit's linear perpetuals on the loopback interface, for one contract and one account.

    Parameters
    ----------
    source : MarketSource
        The market. It begins to flow at the first subscription to a topic with data.
    wallet : Decimal
        What the account has at first, in the quote asset.
    api_key : str, optional
        The only API key that is let in; by default any is. Signatures are not checked.
    **options : Any
        Further parameters of `LoopbackVenue`: ``host``, ``port``, ``send_buffer_bytes``,
        ``faults`` and ``fault_seed``.
    """

    def __init__(
        self,
        source: MarketSource,
        *,
        wallet: Decimal = PLENTY,
        api_key: str | None = None,
        **options: Any,
    ) -> None:
        account = MarginAccount(
            source.instrument, wallet, leverage=10, maker_fee=MAKER_FEE, taker_fee=TAKER_FEE
        )
        engine = MatchingEngine(source.instrument, account)
        super().__init__(source, BybitExchange(engine, Category.LINEAR, api_key=api_key), **options)


class BybitSpotVenue(LoopbackVenue):
    """
    Serve Bybit spot on the loopback interface, for one symbol and one account.

    Parameters
    ----------
    source : MarketSource
        The market. It begins to flow at the first subscription to a topic with data.
    balances : Mapping[str, Decimal], optional
        What the account has at first; by default plenty of base and quote asset.
    api_key : str, optional
        The only API key that is let in; by default any is. Signatures are not checked.
    **options : Any
        Further parameters of `LoopbackVenue`: ``host``, ``port``, ``send_buffer_bytes``,
        ``faults`` and ``fault_seed``.
    """

    def __init__(
        self,
        source: MarketSource,
        *,
        balances: Mapping[str, Decimal] | None = None,
        api_key: str | None = None,
        **options: Any,
    ) -> None:
        instrument = source.instrument
        if balances is None:
            balances = balances_at_first(instrument)
        engine = MatchingEngine(instrument, CashAccount(instrument, balances))
        super().__init__(source, BybitExchange(engine, Category.SPOT, api_key=api_key), **options)
