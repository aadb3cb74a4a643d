"""
The live engines of an enhanced node: NautilusTrader's own, with other queues.

Only the queues and the tasks that serve them are replaced; ``execute``, ``process``,
``request``, ``response`` and every handler are those of the installed version.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from typing import Any

from nautilus_trader.live.data_engine import LiveDataEngine
from nautilus_trader.live.execution_engine import LiveExecutionEngine
from nautilus_trader.live.risk_engine import LiveRiskEngine

from nautilus_enhanced.live.dispatcher import PriorityDispatcher
from nautilus_enhanced.live.queues import DataQueue
from nautilus_enhanced.live.queues import EngineQueue
from nautilus_enhanced.live.scheduling import DispatchLane


if TYPE_CHECKING:
    import asyncio

    from nautilus_trader.core.message import Command


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
            self, qname="data_queue", kind="Data", dispatcher=dispatcher, maxsize=maxsize
        )
        self._cmd_queue = self._cmd_enqueuer = cmd
        self._req_queue = self._req_enqueuer = req
        self._res_queue = self._res_enqueuer = res
        self._data_queue = self._data_enqueuer = data

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


class EnhancedLiveRiskEngine(LiveRiskEngine):
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

    # Ours stand in for the queue and for its enqueuer.
    _cmd_queue: Any
    _cmd_enqueuer: Any
    _evt_queue: Any
    _evt_enqueuer: Any

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *args: Any,
        dispatcher: PriorityDispatcher | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(loop, *args, **kwargs)
        self._cmd_queue, self._evt_queue = _order_flow_queues(
            self, dispatcher or PriorityDispatcher(loop), event_handler="_handle_event"
        )
        self._cmd_enqueuer, self._evt_enqueuer = self._cmd_queue, self._evt_queue

    def _on_stop(self) -> None:
        if self._kill:
            _halt(self._cmd_queue, self._evt_queue)
        super()._on_stop()

    async def _run_cmd_queue(self) -> None:
        await self._cmd_queue.run()

    async def _run_evt_queue(self) -> None:
        await self._evt_queue.run()


class EnhancedLiveExecutionEngine(LiveExecutionEngine):
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

    # Ours stand in for the queue and for its enqueuer.
    _cmd_queue: Any
    _cmd_enqueuer: Any
    _evt_queue: Any
    _evt_enqueuer: Any

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *args: Any,
        dispatcher: PriorityDispatcher | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(loop, *args, **kwargs)
        self._cmd_queue, self._evt_queue = _order_flow_queues(
            self,
            dispatcher or PriorityDispatcher(loop),
            event_handler="_handle_event_with_tracking",
            keeps_sandbox_order=True,
        )
        self._cmd_enqueuer, self._evt_enqueuer = self._cmd_queue, self._evt_queue

    def _on_stop(self) -> None:
        if self._kill:
            _halt(self._cmd_queue, self._evt_queue)
        super()._on_stop()

    async def _run_cmd_queue(self) -> None:
        await self._cmd_queue.run()

    async def _run_evt_queue(self) -> None:
        await self._evt_queue.run()

    def lane_of_command(self, command: Command) -> DispatchLane:
        """Return DATA for a command to a sandbox execution client, else ORDER_FLOW."""
        sandbox = sys.modules.get(_SANDBOX_MODULE)
        if sandbox is None:
            return DispatchLane.ORDER_FLOW
        kind = sandbox.SandboxExecutionClient
        simulated = [isinstance(client, kind) for client in self._clients.values()]
        if not any(simulated):
            return DispatchLane.ORDER_FLOW
        if all(simulated) or isinstance(self._client_of(command), kind):
            return DispatchLane.DATA
        return DispatchLane.ORDER_FLOW

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
    keeps_sandbox_order: bool = False,
) -> tuple[EngineQueue, EngineQueue]:
    commands = EngineQueue(
        engine,
        qname="cmd_queue",
        handler="_execute_command",
        kind="command",
        lanes=(
            (DispatchLane.ORDER_FLOW, DispatchLane.DATA)
            if keeps_sandbox_order
            else (DispatchLane.ORDER_FLOW,)
        ),
        dispatcher=dispatcher,
        maxsize=engine._cmd_queue.maxsize,  # noqa: SLF001 (the queue that this one replaces)
        never_refuses=True,
        choose_lane=engine.lane_of_command if keeps_sandbox_order else None,
    )
    events = EngineQueue(
        engine,
        qname="evt_queue",
        handler=event_handler,
        kind="event",
        lanes=(DispatchLane.ORDER_FLOW,),
        dispatcher=dispatcher,
        maxsize=engine._evt_queue.maxsize,  # noqa: SLF001 (the queue that this one replaces)
        never_refuses=True,
    )
    return commands, events


def _halt(*queues: EngineQueue) -> None:
    """Serve nothing more: a killed engine handles no message after the call."""
    for queue in queues:
        queue.halt()
