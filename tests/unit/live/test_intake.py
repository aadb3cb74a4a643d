"""External streams: what the data engine takes, when, and what becomes of the rest."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from live_engines import QueueUnderTest
from live_engines import until
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.data import TestDataStubs

from nautilus_enhanced.infrastructure.messagebus import FlowRule
from nautilus_enhanced.live.intake import ExternalIntake


QUOTES = "data.quotes.SIM.AUD/USD"
AUDUSD = TestInstrumentProvider.default_fx_ccy("AUD/USD")


class World:
    """A real data engine that takes quotes, and a note of everything that happens."""

    def __init__(self, engines) -> None:
        self.engines = engines
        self.events = []
        self.sent = {}
        self.data = QueueUnderTest(engines, "data.data")
        self.data.react = lambda data: self.events.append(("handled", data))
        self.intake = ExternalIntake(
            ["data.quotes.*"],
            queue=engines.data.data_queue,
            deserialize=self.deserialize,
            mute=lambda topic: self.events.append(("muted", topic)),
            report=lambda text: self.events.append(("reported", text)),
        )

    def deserialize(self, payload):
        return self.sent[payload]

    def come(self, message, topic=QUOTES) -> None:
        payload = b"%d" % len(self.sent)
        self.sent[payload] = message
        self.intake.take(
            lambda came: self.events.append(("published", came.topic)),
            SimpleNamespace(topic=topic, payload=payload),
        )

    def start(self) -> None:
        self.engines.start()

    async def handled(self, count: int) -> None:
        await until(lambda: len(self.data.handled) >= count)


@pytest.fixture
def world_of(engines_of):
    return lambda **options: World(engines_of(**options))


async def test_data_on_a_subscribed_topic_is_queued_and_muted_while_it_is_handled(world_of):
    world = world_of()
    quote = TestDataStubs.quote_tick(AUDUSD)
    world.come(quote)
    assert world.events == []
    assert world.data.statistics.queued == 1
    assert world.engines.dispatcher.data_backlog == 1
    assert world.engines.dispatcher.oldest_data.ts_init == quote.ts_init
    world.start()
    await world.handled(1)
    assert world.events == [("muted", QUOTES), ("handled", quote), ("muted", None)]
    assert (world.data.statistics.posted, world.data.statistics.handled) == (1, 1)


async def test_external_data_keeps_its_place_among_the_venues(world_of):
    world = world_of()
    quotes = [TestDataStubs.quote_tick(AUDUSD, ts_init=number) for number in range(6)]
    for number, quote in enumerate(quotes):
        if number % 2:
            world.come(quote)
        else:
            world.data.feed(quote)
    world.start()
    await world.handled(6)
    assert world.data.handled == quotes


async def test_what_a_rule_demotes_is_demoted_wherever_it_comes_from(world_of):
    world = world_of(rules=(FlowRule(flow="data", kinds=("quotes",)),))
    quote, trade = TestDataStubs.quote_tick(AUDUSD), TestDataStubs.trade_tick(AUDUSD)
    world.come(quote)
    world.data.feed(trade)
    world.start()
    await world.handled(2)
    assert world.data.handled == [trade, quote]


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        ("data.trades.SIM.AUD/USD", TestDataStubs.trade_tick(AUDUSD)),
        (QUOTES, {"no": "data"}),
        (QUOTES, None),
    ],
)
async def test_everything_else_is_left_to_the_node(world_of, topic, message):
    world = world_of()
    world.come(message, topic)
    assert world.events == [("published", topic)]
    assert world.data.statistics.posted == 0


async def test_what_cannot_be_read_is_reported_and_the_reading_goes_on(world_of):
    world = world_of()
    world.intake.take(world.events.append, SimpleNamespace(topic=QUOTES, payload=b"unknown"))
    [(kind, text)] = world.events
    assert kind == "reported"
    assert QUOTES in text
    world.come(TestDataStubs.quote_tick(AUDUSD))
    assert world.data.statistics.posted == 1


async def test_a_handler_that_raises_leaves_nothing_muted(world_of):
    world = world_of()

    def fail(_):
        raise ValueError

    world.data.react = fail
    world.come(TestDataStubs.quote_tick(AUDUSD))
    world.start()
    await world.handled(1)
    await asyncio.sleep(0)
    assert world.events == [("muted", QUOTES), ("muted", None)]


async def test_beyond_the_hard_limit_external_data_is_refused_and_counted(world_of):
    world = world_of(qsize=5, factor=2)
    for _ in range(12):
        world.come(TestDataStubs.quote_tick(AUDUSD))
    assert (world.data.statistics.queued, world.data.statistics.refused) == (10, 2)
