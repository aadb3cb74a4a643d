"""What an Interactive Brokers venue decides: the dialect of TWS, no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Final

from nautilus_enhanced.sandbox.connection import FrameSender
from nautilus_enhanced.sandbox.dialect import Answer
from nautilus_enhanced.sandbox.dialect import MarketFrame
from nautilus_enhanced.sandbox.dialect import OrderCounts
from nautilus_enhanced.sandbox.dialect import Request
from nautilus_enhanced.sandbox.dialect import UserEvent
from nautilus_enhanced.sandbox.faults import FaultKind
from nautilus_enhanced.sandbox.interactive_brokers.accounts import BrokerAccount
from nautilus_enhanced.sandbox.interactive_brokers.answers import Answers
from nautilus_enhanced.sandbox.interactive_brokers.contracts import Listing
from nautilus_enhanced.sandbox.interactive_brokers.messages import Messages
from nautilus_enhanced.sandbox.interactive_brokers.messages import summary_figures
from nautilus_enhanced.sandbox.interactive_brokers.sessions import TwsSession
from nautilus_enhanced.sandbox.interactive_brokers.streams import MarketChannels
from nautilus_enhanced.sandbox.interactive_brokers.trading import Trading
from nautilus_enhanced.sandbox.market import MarketEvent
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.matching import MatchingEngine


NOT_FOUND: Final = 404
# TWS sends changes of an account summary every three minutes.
SUMMARY_INTERVAL_NS: Final = 180 * 1_000_000_000


class TwsExchange:
    """
    Serve TWS's clients for one account and one contract.

    Parameters
    ----------
    engine : MatchingEngine
        Holds the orders.
    account : BrokerAccount
        The account, which is the engine's.
    is_forex : bool
        Whether a pair of currencies is traded; else it is a stock.
    account_name : str
        The account, as clients name it.
    """

    def __init__(
        self, engine: MatchingEngine, account: BrokerAccount, *, is_forex: bool, account_name: str
    ) -> None:
        self.engine = engine
        self.account = account
        self.listing = Listing(engine.instrument, is_forex=is_forex)
        self.channels = MarketChannels(self.listing)
        self.trading = Trading(engine, account, Messages(self.listing, account_name))
        self.answers = Answers(self.listing, self.channels, self.trading)
        self._sessions: dict[int, TwsSession] = {}
        self._summary: dict[str, str] = {}
        self._summary_ns = 0

    # -- the seam: see `dialect.py` --------------------------------------------------------------

    @property
    def counts(self) -> OrderCounts:
        """Return what happened to orders."""
        return self.trading.counts

    @property
    def sockets(self) -> Mapping[str, str]:
        """Return nothing: there are no websockets."""
        return {}

    @property
    def quote_streams(self) -> frozenset[str]:
        """Return the streams that carry each quote, or what it changes."""
        return frozenset({self.channels.quotes, self.channels.name_of("BidAsk")})

    @property
    def trade_streams(self) -> frozenset[str]:
        """Return the streams that carry each trade."""
        return self.channels.trade_streams

    def addresses(self, authority: str) -> dict[str, str]:
        """Return where the socket is, the account, and the URL of figures and faults."""
        host, _, port = authority.rpartition(":")
        account = self.trading.messages.account_name
        return {"http_url": f"http://{authority}", "host": host, "port": port, "account": account}

    def handle(self, request: Request) -> Answer:
        """Refuse a request over HTTP: TWS has none."""
        return Answer(status=NOT_FOUND, body={"error": f"TWS does not serve {request.name}."})

    def is_order(self, request: Request) -> bool:
        """Return False: orders do not come over HTTP."""
        return False

    def refusal(self, kind: FaultKind, *, is_order: bool) -> Answer:
        """Refuse as `handle` does."""
        return Answer(status=NOT_FOUND, body={"error": "TWS does not serve HTTP."})

    def session(self, kind: str, sender: FrameSender, names: Iterable[str]) -> TwsSession:
        """Open a session."""
        return TwsSession(sender, self)

    def carries(self, stream: str) -> bool:
        """Return whether a stream carries market data."""
        return self.channels.carries(stream)

    def select(self, streams: frozenset[str]) -> None:
        """Make only what somebody wants."""
        self.channels.select(streams)

    def prepare(self, event: MarketEvent) -> MarketFrame | None:
        """Return what a quote changes; other messages hold the time of sending."""
        return self.channels.prepare(event)

    def on_event(
        self, event: MarketEvent, prepared: MarketFrame | None, now_ns: int
    ) -> tuple[list[MarketFrame], Sequence[UserEvent]]:
        """Take a market event; return its frames, and what it does to the account's orders."""
        events: list[UserEvent] = []
        if isinstance(event, Quote):
            fills = self.engine.on_quote(event, now_ns=now_ns)
            events = self.trading.order_events(fills, now_ns) if fills else []
        if now_ns - self._summary_ns >= SUMMARY_INTERVAL_NS:
            events += self._summary_events(now_ns)
        return self.channels.frames(event, prepared, now_ns), events

    # -- for sessions ----------------------------------------------------------------------------

    def admit(self, client_id: int, session: TwsSession) -> bool:
        """Return whether a client with that ID is let in: one at a time is."""
        before = self._sessions.get(client_id)
        if before is not None and before is not session and not before.sender.is_over:
            return False
        self._sessions[client_id] = session
        return True

    def _summary_events(self, now_ns: int) -> list[UserEvent]:
        self._summary_ns = now_ns
        before, self._summary = self._summary, summary_figures(self.account)
        return [UserEvent(name="accountSummary", payload=None)] if before != self._summary else []
