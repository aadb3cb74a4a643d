"""The Interactive Brokers loopback venues."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from typing import Final

from nautilus_enhanced.sandbox.accounts import PLENTY
from nautilus_enhanced.sandbox.interactive_brokers.accounts import FOREX_TERMS
from nautilus_enhanced.sandbox.interactive_brokers.accounts import STOCK_TERMS
from nautilus_enhanced.sandbox.interactive_brokers.accounts import BrokerAccount
from nautilus_enhanced.sandbox.interactive_brokers.accounts import Terms
from nautilus_enhanced.sandbox.interactive_brokers.clients import ACCOUNT
from nautilus_enhanced.sandbox.interactive_brokers.contracts import tradable
from nautilus_enhanced.sandbox.interactive_brokers.exchange import TwsExchange
from nautilus_enhanced.sandbox.interactive_brokers.wire import GREETING
from nautilus_enhanced.sandbox.interactive_brokers.wire import TwsFraming
from nautilus_enhanced.sandbox.listener import PlainSocket
from nautilus_enhanced.sandbox.market import MarketSource
from nautilus_enhanced.sandbox.matching import MatchingEngine
from nautilus_enhanced.sandbox.venue import LoopbackVenue


SOCKET: Final = PlainSocket(greeting=GREETING, framing=TwsFraming, kind="tws")


class _InteractiveBrokersVenue(LoopbackVenue):
    _is_forex: bool
    _terms: Terms

    def __init__(
        self,
        source: MarketSource,
        *,
        cash: Decimal = PLENTY,
        account: str = ACCOUNT,
        **options: Any,
    ) -> None:
        instrument = tradable(source.instrument)
        held = BrokerAccount(instrument, cash, self._terms)
        exchange = TwsExchange(
            MatchingEngine(instrument, held), held, is_forex=self._is_forex, account_name=account
        )
        super().__init__(source, exchange, plain_socket=SOCKET, **options)


class InteractiveBrokersStockVenue(_InteractiveBrokersVenue):
    """
    Serve TWS's socket on the loopback interface, for one stock and one account.

    Parameters
    ----------
    source : MarketSource
        The market. It begins to flow at the first subscription to market data.
    cash : Decimal
        What the account has at first, in the currency of the stock.
    account : str
        The account's name.
    **options : Any
        Further parameters of `LoopbackVenue`: ``host``, ``port``, ``send_buffer_bytes``,
        ``faults`` and ``fault_seed``.
    """

    _is_forex = False
    _terms = STOCK_TERMS


class InteractiveBrokersForexVenue(_InteractiveBrokersVenue):
    """
    Serve TWS's socket on the loopback interface, for one pair of currencies and one account.

    Parameters
    ----------
    source : MarketSource
        The market. It begins to flow at the first subscription to market data.
    cash : Decimal
        What the account has at first, in the currency that pays.
    account : str
        The account's name.
    **options : Any
        Further parameters of `LoopbackVenue`: ``host``, ``port``, ``send_buffer_bytes``,
        ``faults`` and ``fault_seed``.
    """

    _is_forex = True
    _terms = FOREX_TERMS
