"""
The live engines of an enhanced node: NautilusTrader's own, with other queues.

Only the queues and the tasks that serve them are replaced; ``execute``, ``process``,
``request``, ``response`` and every handler are those of the installed version.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from typing import Any

from nautilus_trader.common.actor import Actor
from nautilus_trader.common.component import is_matching_py
from nautilus_trader.execution.emulator import OrderEmulator
from nautilus_trader.live.data_engine import LiveDataEngine
from nautilus_trader.live.execution_engine import LiveExecutionEngine
from nautilus_trader.live.risk_engine import LiveRiskEngine
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.portfolio.portfolio import Portfolio

from nautilus_enhanced.live.conflation import feeds_only_strategies
from nautilus_enhanced.live.data_queue import DataQueue
from nautilus_enhanced.live.dispatcher import PriorityDispatcher
from nautilus_enhanced.live.queues import EngineQueue
from nautilus_enhanced.live.scheduling import DispatchLane
from nautilus_enhanced.live.subscriptions import RememberedAnswers
from nautilus_enhanced.live.subscriptions import SubscriptionWatch


if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from nautilus_trader.core.message import Command
    from nautilus_trader.model.identifiers import InstrumentId


_SANDBOX_MODULE = "nautilus_trader.adapters.sandbox.execution"


class EnhancedLiveDataEngine(LiveDataEngine):
    """
    A live data engine whose four queues are one FIFO, served after order flow.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The event loop for the engine.
    dispatcher : PriorityDispatcher, optional
        The node's dispatcher; without it the engine gets one of its own.
    **kwargs : Any
        The parameters of ``LiveDataEngine``.
    """

    # Ours stand in for the queue and for its enqueuer.
    _cmd_queue: Any
    _cmd_enqueuer: Any
    _req_queue: Any
    _req_enqueuer: Any
    _res_queue: Any
    _res_enqueuer: Any
    _data_queue: Any
    _data_enqueuer: Any

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *args: Any,
        dispatcher: PriorityDispatcher | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(loop, *args, **kwargs)
        dispatcher = dispatcher or PriorityDispatcher(loop)

        maxsize = self._data_queue.maxsize

        def queue(qname: str, handler: str, kind: str) -> EngineQueue:
            return EngineQueue(
                self,
                qname=qname,
                handler=handler,
                kind=kind,
                lanes=(DispatchLane.DATA,),
                dispatcher=dispatcher,
                maxsize=maxsize,
                never_refuses=True,
            )

        cmd = queue("cmd_queue", "_execute_command", "DataCommand")
        req = queue("req_queue", "_handle_request", "RequestData")
        res = queue("res_queue", "_handle_response", "DataResponse")
        data = DataQueue(
            self,
            qname="data_queue",
            kind="Data",
            dispatcher=dispatcher,
            maxsize=maxsize,
            may_conflate=self.may_conflate,
        )
        self._cmd_queue = self._cmd_enqueuer = cmd
        self._req_queue = self._req_enqueuer = req
        self._res_queue = self._res_enqueuer = res
        self._data_queue = self._data_enqueuer = data
        self._quote_subscribers = RememberedAnswers(
            self._feeds_only_strategies, SubscriptionWatch(self._msgbus).mark
        )

    @property
    def data_queue(self) -> DataQueue:
        """Return the queue of market data."""
        queue: DataQueue = self._data_queue
        return queue

    def may_conflate(self, instrument_id: InstrumentId) -> bool:
        """
        Return whether only strategies and the portfolio get the quotes of an instrument.

        Any thread may ask. While a command waits the answer is no: it may be the subscription of
        an aggregator, which is to get every quote that comes behind it.
        """
        return not (
            self._cmd_queue.queued
            # What the engine hands on by itself, without a subscription.
            or instrument_id in self._synthetic_quote_feeds
            or instrument_id in getattr(self, "_option_chain_instrument_index", ())  # not in 1.221
        ) and self._quote_subscribers.about(instrument_id)

    def _feeds_only_strategies(self, instrument_id: InstrumentId) -> bool:
        topic = f"data.quotes.{instrument_id.venue}.{instrument_id.symbol.topic()}"
        return feeds_only_strategies(
            [
                subscription
                for subscription in self._msgbus.subscriptions()
                if is_matching_py(topic, subscription.topic)
            ],
            _wants_the_latest,
        )

    def _on_stop(self) -> None:
        if self._kill:
            _halt(self._cmd_queue, self._req_queue, self._res_queue, self._data_queue)
        super()._on_stop()

    async def _run_cmd_queue(self) -> None:
        await self._cmd_queue.run()

    async def _run_req_queue(self) -> None:
        await self._req_queue.run()

    async def _run_res_queue(self) -> None:
        await self._res_queue.run()

    async def _run_data_queue(self) -> None:
        await self._data_queue.run()


class _ServesOrderFlow:
    """What the engines with a queue of commands and one of events have in common."""

    _kill: bool
    # Ours stand in for the queue and for its enqueuer.
    _cmd_queue: Any
    _cmd_enqueuer: Any
    _evt_queue: Any
    _evt_enqueuer: Any

    def _replace_queues(
        self,
        dispatcher: PriorityDispatcher,
        *,
        event_handler: str,
        choose_command_lane: Callable[[Any], DispatchLane] | None = None,
    ) -> None:
        self._cmd_queue, self._evt_queue = _order_flow_queues(
            self,
            dispatcher,
            event_handler=event_handler,
            choose_command_lane=choose_command_lane,
        )
        self._cmd_enqueuer, self._evt_enqueuer = self._cmd_queue, self._evt_queue

    def _on_stop(self) -> None:
        if self._kill:
            _halt(self._cmd_queue, self._evt_queue)
        super()._on_stop()  # type: ignore[misc]  # the engine that it is mixed into has it

    async def _run_cmd_queue(self) -> None:
        await self._cmd_queue.run()

    async def _run_evt_queue(self) -> None:
        await self._evt_queue.run()


class EnhancedLiveRiskEngine(_ServesOrderFlow, LiveRiskEngine):
    """
    A live risk engine whose queues are part of the node's one FIFO of order flow.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The event loop for the engine.
    dispatcher : PriorityDispatcher, optional
        The node's dispatcher; without it the engine gets one of its own.
    **kwargs : Any
        The parameters of ``LiveRiskEngine``.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *args: Any,
        dispatcher: PriorityDispatcher | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(loop, *args, **kwargs)
        self._replace_queues(dispatcher or PriorityDispatcher(loop), event_handler="_handle_event")


class EnhancedLiveExecutionEngine(_ServesOrderFlow, LiveExecutionEngine):
    """
    A live execution engine whose queues are part of the node's one FIFO of order flow.

    Commands for a sandbox execution client keep their place among the data instead: it fills
    at the prices that were published last, which before a backlog is served are old ones.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The event loop for the engine.
    dispatcher : PriorityDispatcher, optional
        The node's dispatcher; without it the engine gets one of its own.
    **kwargs : Any
        The parameters of ``LiveExecutionEngine``.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *args: Any,
        dispatcher: PriorityDispatcher | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(loop, *args, **kwargs)
        dispatcher = dispatcher or PriorityDispatcher(loop)
        self._rules = dispatcher.rules
        self._replace_queues(
            dispatcher,
            event_handler="_handle_event_with_tracking",
            choose_command_lane=self.lane_of_command,
        )

    def lane_of_command(self, command: Command) -> DispatchLane:
        """
        Return the lane of a command: for a sandbox execution client that of its market data.

        All other commands stay in order flow, unless a rule demotes the order.
        """
        if self._is_simulated(command):
            instrument_id = getattr(command, "instrument_id", None)
            return self._rules.lane_of_kind(QuoteTick, instrument_id)
        return self._rules.lane_of_order(command)

    def _is_simulated(self, command: Command) -> bool:
        """Return whether a command goes to a sandbox execution client."""
        sandbox = sys.modules.get(_SANDBOX_MODULE)
        if sandbox is None:
            return False
        kind = sandbox.SandboxExecutionClient
        simulated = [isinstance(client, kind) for client in self._clients.values()]
        if not any(simulated):
            return False
        return all(simulated) or isinstance(self._client_of(command), kind)

    def _client_of(self, command: Command) -> Any:
        """Return the client that the command will go to, as the engine finds it."""
        find = getattr(self, "_find_client_for_command", None)
        if find is not None:
            return find(command)
        # 1.221 has no method for it: by client ID, then by venue, then the default.
        client = self._clients.get(command.client_id)
        instrument_id = getattr(command, "instrument_id", None)
        if client is None and instrument_id is not None:
            client = self._routing_map.get(instrument_id.venue)
        return self._default_client if client is None else client


def _order_flow_queues(
    engine: Any,
    dispatcher: PriorityDispatcher,
    *,
    event_handler: str,
    choose_command_lane: Callable[[Any], DispatchLane] | None = None,
) -> tuple[EngineQueue, EngineQueue]:
    """Return the queues of an engine's commands and events."""
    choose = dispatcher.rules.lane_of_order if dispatcher.rules.has_order_rules else None

    def queue(
        qname: str,
        handler: str,
        kind: str,
        replaced: Any,
        choose_lane: Callable[[Any], DispatchLane] | None,
        *lanes: DispatchLane,
    ) -> EngineQueue:
        return EngineQueue(
            engine,
            qname=qname,
            handler=handler,
            kind=kind,
            lanes=(DispatchLane.ORDER_FLOW, *lanes),
            dispatcher=dispatcher,
            maxsize=replaced.maxsize,
            never_refuses=True,
            choose_lane=choose_lane,
        )

    low = (DispatchLane.LOW,) if dispatcher.settings.rules else ()
    data = (DispatchLane.DATA,) if choose_command_lane else ()
    commands = queue(
        "cmd_queue",
        "_execute_command",
        "command",
        engine._cmd_queue,  # noqa: SLF001 (the queue that this one replaces)
        choose_command_lane or choose,
        *data,
        *low,
    )
    events = queue(
        "evt_queue",
        event_handler,
        "event",
        engine._evt_queue,  # noqa: SLF001 (the queue that this one replaces)
        choose,
        *low,
    )
    return commands, events


def _wants_the_latest(owner: Any) -> bool:
    """
    Return whether the owner of a handler can do without quotes that were superseded.

    Strategies, actors and the portfolio can. The emulator triggers orders by each quote, a
    sandbox fills by each, and an aggregator counts each.
    """
    return isinstance(owner, Actor | Portfolio) and not isinstance(owner, OrderEmulator)


def _halt(*queues: EngineQueue) -> None:
    """Serve nothing more: a killed engine handles no message after the call."""
    for queue in queues:
        queue.halt()
