"""What the engines do together: one order flow, one dispatcher, and the sandbox's place."""

from __future__ import annotations

import asyncio
from types import MethodType
from types import SimpleNamespace

import pytest
from live_engines import QueueUnderTest
from live_engines import until
from nautilus_trader.adapters.sandbox.execution import SandboxExecutionClient
from nautilus_trader.model.identifiers import ClientId
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import Venue

from nautilus_enhanced.infrastructure.messagebus import FlowRule
from nautilus_enhanced.live.engines import EnhancedLiveExecutionEngine
from nautilus_enhanced.live.rules import FlowRules
from nautilus_enhanced.live.scheduling import DispatchLane


async def test_order_flow_of_both_engines_is_one_fifo_and_goes_before_data(engines_of):
    engines = engines_of()
    order = []
    queues = [
        QueueUnderTest(engines, name)
        for name in ("data.data", "data.res", "exec.evt", "risk.cmd", "risk.evt", "exec.cmd")
    ]
    for queue in queues:
        queue.react = order.append
    engines.start()
    await asyncio.sleep(0)
    for turn in range(2):
        for number, queue in enumerate(queues):
            queue.feed((turn, number))
    await until(lambda: len(order) == 12)
    flow = [(turn, number) for turn in range(2) for number in range(2, 6)]
    data = [(turn, number) for turn in range(2) for number in range(2)]
    assert order == flow + data


async def test_until_the_trader_has_started_all_is_served_as_it_came(engines_of):
    started = []
    engines = engines_of(started=lambda: bool(started))
    order = []
    data, events = QueueUnderTest(engines, "data.data"), QueueUnderTest(engines, "exec.evt")
    data.react = events.react = order.append
    data.feed(1)
    events.feed(2)
    engines.start()
    data.feed(3)
    events.feed(4)
    await until(lambda: len(order) == 4)
    assert order == [1, 2, 3, 4]
    started.append(True)
    data.feed("data")
    events.feed("event")
    await until(lambda: len(order) == 6)
    assert order[4:] == ["event", "data"]


SANDBOX = SandboxExecutionClient.__new__(SandboxExecutionClient)
REAL = object()


@pytest.mark.parametrize(
    ("clients", "goes_to", "lane"),
    [
        ({}, None, DispatchLane.ORDER_FLOW),
        ({"A": REAL}, REAL, DispatchLane.ORDER_FLOW),
        ({"A": SANDBOX}, SANDBOX, DispatchLane.DATA),
        ({"A": REAL, "B": SANDBOX}, SANDBOX, DispatchLane.DATA),
        ({"A": REAL, "B": SANDBOX}, REAL, DispatchLane.ORDER_FLOW),
        ({"A": REAL, "B": SANDBOX}, None, DispatchLane.ORDER_FLOW),
    ],
)
def test_a_command_to_a_sandbox_client_keeps_its_place_among_the_data(clients, goes_to, lane):
    engine = SimpleNamespace(
        _clients=clients, _client_of=lambda command: goes_to, _rules=FlowRules(())
    )
    engine._is_simulated = MethodType(EnhancedLiveExecutionEngine._is_simulated, engine)
    assert EnhancedLiveExecutionEngine.lane_of_command(engine, object()) is lane


def test_a_sandbox_order_goes_the_way_of_its_instruments_quotes_when_a_rule_demotes_them():
    rules = FlowRules([FlowRule(flow="data", venue="SIM")])
    engine = SimpleNamespace(_clients={"A": SANDBOX}, _rules=rules)
    engine._is_simulated = MethodType(EnhancedLiveExecutionEngine._is_simulated, engine)
    lanes = {
        EnhancedLiveExecutionEngine.lane_of_command(
            engine, SimpleNamespace(instrument_id=InstrumentId.from_str(instrument))
        )
        for instrument in ("X.SIM", "Y.SIM")
    }
    assert lanes == {DispatchLane.LOW}


@pytest.mark.parametrize(
    ("client_id", "instrument_id", "expected"),
    [
        ("A", None, "client A"),
        ("X", "S.V", "venue V"),
        (None, "S.V", "venue V"),
        (None, "S.OTHER", "default"),
        (None, None, "default"),
    ],
)
def test_where_a_command_goes_where_the_version_has_no_method_for_it(
    client_id, instrument_id, expected
):
    engine = SimpleNamespace(
        _clients={ClientId("A"): "client A"},
        _routing_map={Venue("V"): "venue V"},
        _default_client="default",
    )
    command = SimpleNamespace(
        client_id=client_id and ClientId(client_id),
        instrument_id=instrument_id and InstrumentId.from_str(instrument_id),
    )
    assert EnhancedLiveExecutionEngine._client_of(engine, command) == expected
