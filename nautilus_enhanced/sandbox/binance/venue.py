"""The Binance loopback venues."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from nautilus_enhanced.sandbox.accounts import PLENTY
from nautilus_enhanced.sandbox.accounts import CashAccount
from nautilus_enhanced.sandbox.accounts import balances_at_first
from nautilus_enhanced.sandbox.binance.futures import FuturesExchange
from nautilus_enhanced.sandbox.binance.spot import SpotExchange
from nautilus_enhanced.sandbox.margin import MarginAccount
from nautilus_enhanced.sandbox.market import MarketSource
from nautilus_enhanced.sandbox.matching import MatchingEngine
from nautilus_enhanced.sandbox.venue import LoopbackVenue


class BinanceSpotVenue(LoopbackVenue):
    """
    Serve Binance spot on the loopback interface, for one symbol and one account.

    Parameters
    ----------
    source : MarketSource
        The market. It begins to flow at the first subscription to a stream with data.
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
        super().__init__(source, SpotExchange(engine, api_key=api_key), **options)


class BinanceFuturesVenue(LoopbackVenue):
    """
    Serve Binance's USDT futures on the loopback interface, for one contract and one account.

    Parameters
    ----------
    source : MarketSource
        The market. It begins to flow at the first subscription to a stream with data.
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
        instrument = source.instrument
        account = MarginAccount(instrument, wallet)
        super().__init__(source, FuturesExchange(instrument, account, api_key=api_key), **options)
