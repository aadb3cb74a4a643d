"""A stock and a pair of currencies at TWS, and sessions of clients, for tests."""

from decimal import Decimal

from tws_messages import STOCK
from tws_messages import VERSIONS
from tws_messages import read
from tws_messages import request

from nautilus_enhanced.sandbox.connection import FrameSender
from nautilus_enhanced.sandbox.interactive_brokers.accounts import FOREX_TERMS
from nautilus_enhanced.sandbox.interactive_brokers.accounts import STOCK_TERMS
from nautilus_enhanced.sandbox.interactive_brokers.accounts import BrokerAccount
from nautilus_enhanced.sandbox.interactive_brokers.contracts import tradable
from nautilus_enhanced.sandbox.interactive_brokers.exchange import TwsExchange
from nautilus_enhanced.sandbox.market import Instrument
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.market import Trade
from nautilus_enhanced.sandbox.matching import MatchingEngine


D = Decimal
NOW_NS = 1_767_225_600_000_000_000  # 2026-01-01
STOCK_INSTRUMENT = Instrument(base="AAPL", quote="USD", tick_size=D("0.01"), step_size=D("0.1"))
FOREX_INSTRUMENT = Instrument(base="EUR", quote="USD", tick_size=D("0.00005"), step_size=D(1))
ORDER = {
    "action": "BUY",
    "totalQuantity": "100",
    "orderType": "LMT",
    "lmtPrice": 150.0,
    "tif": "GTC",
    "account": "DU1",
    "transmit": True,
}


class FakeTransport:
    def __init__(self):
        self.closing = False

    def is_closing(self):
        return self.closing


def quote(bid, ask, size="500"):
    return Quote(due_ns=0, bid=D(bid), ask=D(ask), bid_size=D(size), ask_size=D(size))


def trade(price, size="10", number=1):
    return Trade(due_ns=0, trade_id=number, price=D(price), size=D(size), buyer_is_maker=False)


def exchange_of(instrument, *, is_forex=False, cash="100000"):
    instrument = tradable(instrument)
    account = BrokerAccount(instrument, D(cash), FOREX_TERMS if is_forex else STOCK_TERMS)
    engine = MatchingEngine(instrument, account)
    return TwsExchange(engine, account, is_forex=is_forex, account_name="DU1")


class Client:
    """One client of an exchange: it asks, and hears what is for it."""

    def __init__(self, exchange, client_id=1):
        self.exchange = exchange
        self.transport = FakeTransport()
        self.session = exchange.session("tws", FrameSender(self.transport, limit_bytes=1), ())
        self.greeting = self.session.receive(VERSIONS, NOW_NS)
        self.first = self.session.receive(
            request("START_API", "StartApiRequest", clientId=client_id), NOW_NS
        )
        exchange.select(frozenset(self.session.streams))

    def ask(self, number, name, now_ns=NOW_NS, **fields):
        """Ask; return the answer, and behind it what it caused, as far as it is for this client."""
        reply = self.session.receive(request(number, name, **fields), now_ns)
        self.exchange.select(frozenset(self.session.streams))
        return read([*reply.frames, *self.hear(reply.events)])

    def hear(self, events):
        return [f for f in map(self.session.user_frame, events) if f is not None]

    def place(self, order_id, contract=STOCK, **changes):
        return self.ask(
            "PLACE_ORDER",
            "PlaceOrderRequest",
            orderId=order_id,
            contract=contract,
            order={**ORDER, "orderRef": f"O-{order_id}:{order_id}", **changes},
        )

    def cancel(self, order_id):
        return self.ask("CANCEL_ORDER", "CancelOrderRequest", orderId=order_id)

    def market(self, event, now_ns=NOW_NS):
        """Let something happen at the market; return what this client hears of it."""
        frames, events = self.exchange.on_event(event, self.exchange.prepare(event), now_ns)
        wanted = [f for f in frames if f.stream in self.session.streams]
        return read([*self.session.encode(wanted), *self.hear(events)])


def names(messages):
    return [name for name, _ in messages]


def only(messages, name):
    (message,) = [m for n, m in messages if n == name]
    return message
