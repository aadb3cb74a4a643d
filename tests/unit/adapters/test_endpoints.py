"""A tap passes on what comes, in its order, and shows it to whoever has sent it."""

from __future__ import annotations

import pytest
from nautilus_trader.common.component import LiveClock
from nautilus_trader.common.component import MessageBus
from nautilus_trader.model.identifiers import TraderId

from nautilus_enhanced.adapters.endpoints import EndpointTap
from nautilus_enhanced.adapters.observer import ClientObserver


ENDPOINT = "ExecEngine.process"


class Engine:
    def __init__(self):
        self.got = []

    def process(self, message):
        self.got.append(message)


@pytest.fixture
def engine():
    return Engine()


@pytest.fixture
def bus(engine):
    made = MessageBus(TraderId("T-001"), LiveClock())
    made.register(ENDPOINT, engine.process)
    return made


def test_messages_reach_the_engine_and_their_sender_s_figures(bus, engine):
    tap = EndpointTap(engine.process)
    tap.install(bus, ENDPOINT)
    observers = {kind: ClientObserver("A", "execution", "A", pytest.fail) for kind in (str, int)}
    tap.show(lambda message: observers[str] if isinstance(message, str) else None)
    tap.show(lambda message: observers[int] if isinstance(message, int) else None)
    sent = ["a", 1, 2.0, "b"]
    for message in sent:
        bus.send(endpoint=ENDPOINT, msg=message)
    assert engine.got == sent
    assert observers[str].statistics().count_of("str") == 2
    assert observers[int].statistics().count_of("int") == 1


def test_an_error_of_ours_stays_with_us(bus, engine, monkeypatch):
    said = []
    observer = ClientObserver("A", "execution", "A", said.append)
    tap = EndpointTap(engine.process)
    tap.install(bus, ENDPOINT)
    tap.show(lambda _: 1 / 0)
    tap.show(lambda _: observer)
    monkeypatch.setattr(type(observer.meter), "sample", lambda *_: 1 / 0)
    bus.send(endpoint=ENDPOINT, msg="a")
    assert engine.got == ["a"]
    assert observer.statistics().errors == len(said) == 1


def test_an_endpoint_that_leads_elsewhere_stays(bus, engine):
    with pytest.raises(ValueError, match="handler"):
        EndpointTap(Engine().process).install(bus, ENDPOINT)
    bus.send(endpoint=ENDPOINT, msg="a")
    assert engine.got == ["a"]
