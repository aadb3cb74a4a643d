"""A backtest with a configuration of ours runs on the stock bus, and starts nothing of ours."""

from __future__ import annotations

import pytest
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.engine import BacktestEngineConfig
from nautilus_trader.common.config import LoggingConfig
from nautilus_trader.data.engine import DataEngine

from nautilus_enhanced import ConnectionSettings
from nautilus_enhanced import EnhancedMessageBusConfig
from nautilus_enhanced import features
from nautilus_enhanced.common.features import Reason
from nautilus_enhanced.sandbox import embedded


@pytest.mark.parametrize(
    "bus",
    [
        {},
        {"fallback": "raise"},
        {"connection": "embedded"},
        {"connection": ConnectionSettings(url="unix:///nowhere", password_env="NT_NOT_SET")},
    ],
    ids=str,
)
def test_ours_is_ignored(bus, monkeypatch):
    def start(_):
        pytest.fail("a backtest needs no server")

    monkeypatch.setattr(embedded.EmbeddedServer, "start", start)
    engine = BacktestEngine(
        BacktestEngineConfig(
            message_bus=EnhancedMessageBusConfig(**bus), logging=LoggingConfig(bypass_logging=True)
        )
    )
    try:
        decided = features(engine)
        assert decided.active == ()
        reasons = {state.reason for state in decided.states}
        # `adapters` is off unless it is asked for.
        assert reasons == {Reason.BACKTEST, Reason.SWITCHED_OFF}
        assert type(engine.kernel.data_engine) is DataEngine
        assert not engine.kernel.msgbus.has_backing
        engine.run()
    finally:
        engine.dispose()
